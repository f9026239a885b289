//! The rules about what comes back.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::{
    StoreHarness, enter, jane, load, marked, must_replace, pending, replace, stored, user,
};
use crate::{
    conformance::breach::{Answered, Kept, ensure},
    registration::{MAX_ORG_ID, Registration, RegistrationStatus, UserId, UserKind},
};

/// Sentence 1: who was never entered is `None`, and no swap makes a user.
///
/// # Errors
///
/// If the rule is broken.
pub async fn an_unknown_user_is_none_and_stays_so(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let (store, jane) = (&*subject.one, jane()?);
    ensure!(
        load(store, &jane).await?.is_none(),
        "an unknown user was found"
    );
    for (expected, version) in [(0, 0), (0, 1), (1, 2)] {
        let mut new = pending();
        new.version = version;
        let made = replace(store, &jane, expected, &new).await?;
        ensure!(!made, "a swap from version {expected} made a user");
    }
    ensure!(
        load(store, &jane).await?.is_none(),
        "a lost swap made a user"
    );
    Ok(())
}

/// Sentence 1: every field, each of its values, and times to the microsecond.
///
/// # Errors
///
/// If the rule is broken.
pub async fn every_field_comes_back(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let (store, jane) = (&*subject.one, jane()?);
    enter(harness, &subject, &jane, &marked(0, 0)?).await?;
    comes_back(&marked(0, 0)?, &stored(store, &jane).await?)?;
    for (version, new) in (1..).zip(each_value()?) {
        let new = Registration { version, ..new };
        must_replace(store, &jane, &new).await?;
        comes_back(&new, &stored(store, &jane).await?)?;
    }
    Ok(())
}

/// Registrations that have between them every value of each field, set and unset.
fn each_value() -> Kept<Vec<Registration>> {
    let full = || marked(999_999, 0);
    let mut all = vec![full()?, pending()];
    for status in [
        RegistrationStatus::Pending,
        RegistrationStatus::Registered,
        RegistrationStatus::Deactivated,
    ] {
        all.push(full()?.with_status(status));
    }
    let mut employee = full()?;
    employee.kind = UserKind::CustomerEmployee;
    all.push(employee);
    for unset in 0..7 {
        let mut some = full()?;
        match unset {
            0 => some.locale = None,
            1 => some.code = None,
            2 => some.owed = None,
            3 => some.lease = None,
            4 => some.budgets.hour = None,
            5 => some.budgets.day = None,
            _ => some.budgets.guesses = None,
        }
        all.push(some);
    }
    Ok(all)
}

fn comes_back(written: &Registration, read: &Registration) -> Kept {
    ensure!(
        written == read,
        "what was written came back as another:\n{written:?}\n{read:?}"
    );
    Ok(())
}

/// Sentence 1: also at the ends of what a field may hold. Versions and generations go to
/// 2^63 - 1, which is what databases count to, times from the year 1 to 9999.
///
/// # Errors
///
/// If the rule is broken.
pub async fn extreme_values_come_back(harness: &impl StoreHarness) -> Kept {
    const LAST: u64 = i64::MAX as u64;
    let subject = harness.fresh().await;
    let store = &*subject.one;
    let ends = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"];
    for (number, end) in ends.into_iter().enumerate() {
        let end: DateTime<Utc> = end.parse().answered("a time")?;
        let user = user("org", &format!("user{number}@example.co"))?;
        let mut extreme = extreme(end)?;
        extreme.version = LAST - 1;
        enter(harness, &subject, &user, &extreme).await?;
        comes_back(&extreme, &stored(store, &user).await?)?;
        extreme.version = LAST;
        must_replace(store, &user, &extreme).await?;
        comes_back(&extreme, &stored(store, &user).await?)?;
    }
    Ok(())
}

fn extreme(end: DateTime<Utc>) -> Kept<Registration> {
    const LAST: u64 = i64::MAX as u64;
    // What quotes, escapes, encodings and collations stumble over.
    let hard = "'\";--\\ %_$1?\u{1f980}e\u{301}\u{200d}\u{feff}\u{10ffff}\t\r\n";
    let mut extreme = marked(1, 0)?.with_locale(hard);
    extreme.address = format!("{hard}{}", "x".repeat(1_000));
    extreme.generation = LAST;
    extreme.budgets.hour = Some(end);
    extreme.budgets.day = Some(end);
    extreme.budgets.guesses = Some(end);
    if let Some(code) = &mut extreme.code {
        (code.issued_at, code.expires_at) = (end, end);
    }
    if let Some(owed) = &mut extreme.owed {
        owed.attempts = u32::MAX;
        owed.next_at = end;
        owed.sealed = serde_json::from_value(json!("A".repeat(4_096))).answered("a seal")?;
    }
    if let Some(lease) = &mut extreme.lease {
        (lease.token, lease.until) = (LAST, end);
    }
    Ok(extreme)
}

/// Sentence 1: an organisation's id counts byte for byte, ends and case included, and so does a
/// username, which is in lower case already.
///
/// # Errors
///
/// If the rule is broken.
pub async fn users_are_told_apart_byte_for_byte(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let users = look_alikes()?;
    for (number, user) in (0..).zip(&users) {
        let nobody = load(&*subject.one, user).await?;
        ensure!(nobody.is_none(), "{user:?} was found before it was entered");
        enter(harness, &subject, user, &marked(number, 0)?).await?;
    }
    for (number, user) in (0..).zip(&users) {
        must_replace(&*subject.one, user, &marked(number, 1)?).await?;
    }
    for (number, user) in (0..).zip(&users) {
        let found = stored(&*subject.one, user).await?;
        ensure!(
            found == marked(number, 1)?,
            "{user:?} was taken for another: {found:?}"
        );
    }
    Ok(())
}

fn look_alikes() -> Kept<Vec<UserId>> {
    let long = "o".repeat(MAX_ORG_ID);
    let orgs = [
        "org", "Org", "org ", " org", "o%", "o_g", "org'--", "org:jane", &long,
    ];
    let names = [
        "jane@example.co",
        "jane@example.com",
        "ja%e@example.co",
        "ja_e@example.co",
        "j'ane@example.co",
        "jáne@example.co",
        "jan@example.co",
    ];
    let pairs = orgs
        .iter()
        .map(|org| (*org, names[0]))
        .chain(names[1..].iter().map(|name| (orgs[0], *name)));
    pairs.map(|(org, name)| user(org, name)).collect()
}

/// Sentence 1: what one handle has written, another on the same store reads at once, and swaps.
///
/// # Errors
///
/// If the rule is broken.
pub async fn what_one_handle_wrote_another_reads(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let jane = jane()?;
    enter(harness, &subject, &jane, &marked(0, 0)?).await?;
    for (caller, version) in (0..50).zip(1..) {
        let new = marked(version, version)?;
        must_replace(&**subject.handle(caller), &jane, &new).await?;
        for reader in 0..2 {
            let read = stored(&**subject.handle(reader), &jane).await?;
            comes_back(&new, &read)?;
        }
    }
    Ok(())
}
