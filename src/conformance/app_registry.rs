//! The contract of an [`AppRegistry`].

use std::future::Future;

use super::{
    Breaches, Subject,
    breach::{Answered, Kept, ensure},
    race::{POLLS, dropped_after, race},
};
use crate::{
    app::{AppRegistry, Application},
    headers::MAX_SHORT_VALUE,
};

/// Opens registries to be put to the test.
#[diagnostic::on_unimplemented(
    message = "`{Self}` opens no application registries to test",
    note = "implement `tower_registration::conformance::app_registry::AppRegistryHarness`"
)]
pub trait AppRegistryHarness {
    /// What is put to the test.
    type Registry: AppRegistry;

    /// A registry that knows the [applications](Self::applications) and no others.
    fn fresh(&self) -> impl Future<Output = Subject<Self::Registry>>;

    /// What it knows; at least one application, and better one of each sort.
    fn applications(&self) -> Vec<Application>;
}

/// Runs every rule.
///
/// # Errors
///
/// All rules that are broken.
pub async fn all(harness: &impl AppRegistryHarness) -> Result<(), Breaches> {
    crate::__conformance_rules! { app_registry __conformance_all [harness] }
}

/// Whether an application is found by `id`, as what it is.
async fn found<R: AppRegistry>(registry: &R, id: &str, expected: Option<&Application>) -> Kept {
    let found = registry.find(id).await.answered("a question")?;
    match (found.as_deref(), expected) {
        (None, None) => Ok(()),
        (Some(found), Some(expected)) => same(found, expected),
        (Some(found), None) => {
            let other = found.id();
            Err(super::Breach::new(format!(
                "{id:?} is unknown, and {other} was found"
            )))
        }
        (None, Some(_)) => Err(super::Breach::new(format!(
            "{id:?} is known, and was not found"
        ))),
    }
}

/// Compares all that an application shows of itself; hashes of secrets are not among that.
fn same(found: &Application, expected: &Application) -> Kept {
    let seen = |app: &Application| {
        (
            app.id().clone(),
            app.kind(),
            app.is_active(),
            app.permissions().clone(),
            app.keys().len(),
        )
    };
    let (found, expected) = (seen(found), seen(expected));
    ensure!(
        found == expected,
        "{found:?} was found, and it is {expected:?}"
    );
    Ok(())
}

/// Sentence 1: each by its own id, with kind, permissions and keys, switched off where it is.
///
/// # Errors
///
/// If the rule is broken.
pub async fn every_application_is_found_as_it_is(harness: &impl AppRegistryHarness) -> Kept {
    let subject = harness.fresh().await;
    let applications = harness.applications();
    ensure!(!applications.is_empty(), "the harness names no application");
    for app in &applications {
        for caller in 0..2 {
            found(&**subject.handle(caller), app.id().as_str(), Some(app)).await?;
        }
    }
    Ok(())
}

/// Sentence 1: what is nearly an id is none: in another case, cut, longer, or a pattern.
///
/// # Errors
///
/// If the rule is broken.
pub async fn ids_are_compared_byte_for_byte(harness: &impl AppRegistryHarness) -> Kept {
    let subject = harness.fresh().await;
    let applications = harness.applications();
    let known = |id: &str| applications.iter().find(|app| app.id().as_str() == id);
    for app in &applications {
        let id = app.id().as_str();
        let mut likes = vec![
            id.to_ascii_uppercase(),
            id.to_ascii_lowercase(),
            format!("{id}%"),
            format!("{id} "),
            format!(" {id}"),
            format!("{id}{id}"),
            "_".repeat(id.len()),
            id[..id.len() - 1].to_owned(),
            id[1..].to_owned(),
        ];
        likes.retain(|like| !like.is_empty() && like.len() <= MAX_SHORT_VALUE);
        for like in &likes {
            found(&*subject.one, like, known(like)).await?;
        }
    }
    Ok(())
}

/// Sentence 2: 64 callers at once are told what one is told.
///
/// # Errors
///
/// If the rule is broken.
pub async fn questions_at_once_have_the_same_answers(harness: &impl AppRegistryHarness) -> Kept {
    let subject = harness.fresh().await;
    for app in harness.applications() {
        race(|caller| {
            let (registry, app) = (subject.handle(caller).clone(), app.clone());
            async move {
                found(&*registry, app.id().as_str(), Some(&app)).await?;
                found(&*registry, "ap-made-up", None).await
            }
        })
        .await?;
    }
    Ok(())
}

/// Sentence 2: an application is still found after strangers have asked for 5,000 that there are
/// not, and after each.
///
/// # Errors
///
/// If the rule is broken.
pub async fn made_up_ids_drive_out_no_application(harness: &impl AppRegistryHarness) -> Kept {
    const MADE_UP: usize = 5_000;
    let subject = harness.fresh().await;
    let applications = harness.applications();
    for (made_up, app) in (0..MADE_UP).zip(applications.iter().cycle()) {
        found(&*subject.one, &format!("made-up-{made_up}"), None).await?;
        found(&*subject.one, app.id().as_str(), Some(app)).await?;
    }
    Ok(())
}

/// Sentence 2: a question that was dropped on its way changes no answer.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_dropped_question_changes_nothing(harness: &impl AppRegistryHarness) -> Kept {
    for polls in 0..POLLS {
        let subject = harness.fresh().await;
        for app in harness.applications() {
            for (id, expected) in [(app.id().as_str(), Some(&app)), ("made-up", None)] {
                drop(dropped_after(polls, subject.one.find(id)).await);
                found(&*subject.one, id, expected).await?;
            }
        }
    }
    Ok(())
}

/// Sentence 3: the longest id, and what quotes, patterns and paths stumble over, is unknown; an
/// error would tell the stranger that something is wrong, and a panic more.
///
/// # Errors
///
/// If the rule is broken.
pub async fn whatever_a_stranger_asks_for_is_unknown(harness: &impl AppRegistryHarness) -> Kept {
    let subject = harness.fresh().await;
    let longest = "x".repeat(MAX_SHORT_VALUE);
    let strange = [
        &*longest,
        "'",
        "\"",
        "' OR '1'='1",
        "';--",
        "%",
        "_",
        "*",
        "?",
        "$1",
        "\\",
        "\\u0000",
        "{}",
        "[]",
        "null",
        "NULL",
        "undefined",
        "..",
        "../../etc/passwd",
        "a/b",
        "a:b",
        "0",
        "~",
        "<id>",
        "${id}",
        "%s%n",
        "%00",
    ];
    for id in strange {
        found(&*subject.one, id, None).await?;
    }
    Ok(())
}
