//! The contract of an [`Outbox`], beside that of the [`registration_store`](super::registration_store),
//! which it shares the harness with.

mod at_once;

pub use self::at_once::{
    a_dropped_lease_loses_no_mail, a_lease_and_a_swap_at_once_have_one_winner,
    of_leases_at_once_no_user_is_in_two,
};
use super::{
    Breaches, Subject,
    breach::{Answered, Kept, ensure},
    registration_store::{
        StoreHarness, at, enter, jane, marked, must_replace, pending, replace, stored, user,
    },
};
use crate::registration::{Backlog, DueMail, Lease, Outbox, Registration, UserId};

/// Runs every rule.
///
/// # Errors
///
/// All rules that are broken.
pub async fn all(harness: &impl StoreHarness<Store: Outbox>) -> Result<(), Breaches> {
    crate::__conformance_rules! { outbox __conformance_all [harness] }
}

/// A registration whose mail is due so many microseconds from the beginning.
fn owing(due: i64) -> Kept<Registration> {
    let mut owing = marked(0, 0)?;
    owing.lease = None;
    if let Some(owed) = &mut owing.owed {
        owed.next_at = at(due);
    }
    Ok(owing)
}

/// What is leased at `now` until `until`, in microseconds.
async fn leased<S: Outbox>(store: &S, now: i64, until: i64, limit: usize) -> Kept<Vec<DueMail>> {
    let leased = store.lease_due(at(now), at(until), limit).await;
    leased.answered("a lease")
}

/// The users among `mails`, without what they all have in common.
fn names(mails: &[DueMail]) -> Vec<&str> {
    let names = mails.iter().map(|mail| mail.user.username.as_str());
    names
        .map(|name| name.trim_end_matches("@example.co"))
        .collect()
}

async fn enter_owing<H: StoreHarness>(
    harness: &H,
    subject: &Subject<H::Store>,
    users: &[(&str, i64)],
) -> Kept {
    for (name, due) in users {
        let user = user("org", &format!("{name}@example.co"))?;
        enter(harness, subject, &user, &owing(*due)?).await?;
    }
    Ok(())
}

/// Sentence 1: oldest first, at most `limit`, at or before `now`: to the microsecond.
///
/// # Errors
///
/// If the rule is broken.
pub async fn mails_are_leased_oldest_first_up_to_the_limit_and_not_before_they_are_due(
    harness: &impl StoreHarness<Store: Outbox>,
) -> Kept {
    let subject = harness.fresh().await;
    let users = [("third", 30), ("first", 10), ("late", 41), ("second", 20)];
    enter_owing(harness, &subject, &users).await?;
    let steps: [(i64, usize, &[&str]); 7] = [
        (9, 9, &[]),
        (40, 0, &[]),
        (40, 2, &["first", "second"]),
        (40, 2, &["third"]),
        (40, 2, &[]),
        (41, usize::MAX, &["late"]),
        (99, 9, &[]),
    ];
    for (now, limit, expected) in steps {
        let mails = leased(&*subject.one, now, 100, limit).await?;
        ensure!(
            names(&mails) == expected,
            "at {now}, up to {limit}, {:?} were leased and not {expected:?}",
            names(&mails)
        );
    }
    Ok(())
}

/// Sentence 1: [`due_at`](Registration::due_at) is the end of the lease, where there is one, so that
/// the mail of a sender that died is found again.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_mail_is_due_again_when_its_lease_ends(
    harness: &impl StoreHarness<Store: Outbox>,
) -> Kept {
    let subject = harness.fresh().await;
    enter_owing(harness, &subject, &[("jane", 0)]).await?;
    for (now, until, found) in [
        (0, 60, 1),
        (59, 99, 0),
        (60, 90, 1),
        (89, 99, 0),
        (90, 99, 1),
    ] {
        let mails = leased(&*subject.other, now, until, 9).await?.len();
        ensure!(
            mails == found,
            "{mails} mails and not {found} were due at {now}"
        );
    }
    Ok(())
}

/// Sentence 1: who is owed nothing is not found, whether never, no longer, or not yet again.
///
/// # Errors
///
/// If the rule is broken.
pub async fn what_is_not_owed_is_not_due(harness: &impl StoreHarness<Store: Outbox>) -> Kept {
    let subject = harness.fresh().await;
    let (store, jane) = (&*subject.one, jane()?);
    let idle = user("org", "idle@example.co")?;
    enter(harness, &subject, &idle, &pending()).await?;
    enter(harness, &subject, &jane, &owing(0)?).await?;
    let mail = leased(store, 0, 60, 9).await?;
    ensure!(
        names(&mail) == ["jane"],
        "{:?} were leased and not jane",
        names(&mail)
    );

    let later = Registration {
        version: 2,
        ..owing(500)?
    };
    must_replace(store, &jane, &later).await?;
    ensure!(
        leased(store, 499, 600, 9).await?.is_empty(),
        "a mail put off was due before"
    );
    let delivered = Registration {
        version: 3,
        owed: None,
        ..later
    };
    must_replace(store, &jane, &delivered).await?;
    ensure!(
        leased(store, 9_999, 10_000, 9).await?.is_empty(),
        "a delivered mail was due"
    );
    Ok(())
}

/// Sentence 2: the lease and the version are swapped in, are what is returned and what is stored,
/// and change nothing else; who still has the version before has lost it.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_lease_is_swapped_in_with_the_next_version_as_its_token(
    harness: &impl StoreHarness<Store: Outbox>,
) -> Kept {
    let subject = harness.fresh().await;
    let jane = jane()?;
    let before = Registration {
        version: 7,
        ..owing(0)?
    };
    enter(harness, &subject, &jane, &before).await?;
    let mails = leased(&*subject.one, 0, 60, 1).await?;
    let lease = Some(Lease {
        token: 8,
        until: at(60),
    });
    let after = Registration {
        version: 8,
        lease,
        ..before
    };
    ensure!(
        mails
            .first()
            .is_some_and(|mail| mail.user == jane && mail.registration == after),
        "the lease is not what it should be: {mails:?}"
    );
    let kept = stored(&*subject.other, &jane).await?;
    ensure!(
        kept == after,
        "what was leased is not what is stored: {kept:?}"
    );
    is_stale(&*subject.one, &jane, 7).await
}

/// A swap under this version is lost.
async fn is_stale<S: Outbox>(store: &S, user: &UserId, version: u64) -> Kept {
    let new = Registration {
        version: version + 1,
        ..owing(0)?
    };
    let swapped = replace(store, user, version, &new).await?;
    ensure!(
        !swapped,
        "a swap under the version before the lease was made"
    );
    Ok(())
}

/// Sentence 3: due, leased or put off; in whole seconds or not. A store that can't tell breaks no
/// rule.
///
/// # Errors
///
/// If the rule is broken.
pub async fn the_backlog_is_all_that_is_owed_and_as_old_as_its_oldest_code(
    harness: &impl StoreHarness<Store: Outbox>,
) -> Kept {
    let subject = harness.fresh().await;
    let nothing = Backlog {
        owed: 0,
        oldest: None,
    };
    is_backlog(&*subject.one, nothing).await?;
    enter(
        harness,
        &subject,
        &user("org", "idle@example.co")?,
        &pending(),
    )
    .await?;
    for (name, due, made) in [("leased", 0, 1), ("put-off", 900, 0), ("due", 1, 500_000)] {
        let mut owing = owing(due)?;
        owing
            .code
            .iter_mut()
            .for_each(|code| code.issued_at = at(made));
        let user = user("org", &format!("{name}@example.co"))?;
        enter(harness, &subject, &user, &owing).await?;
    }
    let leased = leased(&*subject.one, 0, 600, 9).await?;
    ensure!(leased.len() == 1, "{} mails were due", leased.len());
    let all = Backlog {
        owed: 3,
        oldest: Some(at(0)),
    };
    is_backlog(&*subject.other, all).await
}

async fn is_backlog<S: Outbox>(store: &S, expected: Backlog) -> Kept {
    let told = store.backlog().await.answered("a count")?;
    ensure!(
        told.is_none_or(|told| told == expected),
        "the backlog is {told:?} and not {expected:?}"
    );
    Ok(())
}
