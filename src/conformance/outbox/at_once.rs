//! The rules about leases at once, and leases that are dropped.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::sleep;

use super::{enter_owing, leased, owing};
use crate::{
    conformance::{
        breach::{Kept, ensure},
        race::{self, CALLERS, LEAST, POLLS, ROUNDS, dropped_after, race},
        registration_store::{StoreHarness, enter, must_replace, replace, stored, user},
    },
    registration::{DueMail, Outbox, Registration, UserId},
};

/// Sentence 2: of leases at once, through both handles, no two have one user, and none has more
/// than its limit; together they have all. Races are run until calls were seen to meet.
///
/// # Errors
///
/// If the rule is broken.
pub async fn of_leases_at_once_no_user_is_in_two(
    harness: &impl StoreHarness<Store: Outbox>,
) -> Kept {
    const LIMIT: usize = 3;
    let subject = harness.fresh().await;
    for number in 0..CALLERS * LIMIT {
        let user = user("org", &format!("user{number}@example.co"))?;
        enter(harness, &subject, &user, &owing(0)?).await?;
    }
    for round in (0..).take(ROUNDS) {
        let now = round * 60;
        let answers = race(|caller| {
            let store = subject.handle(caller).clone();
            async move { leased(&*store, now, now + 60, LIMIT).await }
        })
        .await?;
        let mut users = BTreeSet::new();
        for mail in answers.iter().flat_map(|answer| &answer.value) {
            ensure!(users.insert(&mail.user), "a user was leased twice at once");
        }
        let most = answers.iter().map(|answer| answer.value.len()).max();
        ensure!(
            most <= Some(LIMIT),
            "{most:?} mails were leased, of {LIMIT} asked for"
        );
        // A call may find fewer than it asked for: others have hold of them. They are found next.
        let rest = leased(&*subject.one, now, now + 60, usize::MAX).await?;
        let fresh = rest.iter().all(|mail| users.insert(&mail.user));
        ensure!(fresh, "a user was leased again before the lease ended");
        ensure!(
            users.len() == CALLERS * LIMIT,
            "only {} mails were found",
            users.len()
        );
        if round >= 5 && race::any_met(&answers) {
            return Ok(());
        }
    }
    race::never_met()
}

/// Sentence 2: a lease is a swap like any other: beside swaps under the version that it found, one
/// of all is made.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_lease_and_a_swap_at_once_have_one_winner(
    harness: &impl StoreHarness<Store: Outbox>,
) -> Kept {
    let subject = harness.fresh().await;
    for round in 0..ROUNDS {
        let user = user("org", &format!("user{round}@example.co"))?;
        enter(harness, &subject, &user, &owing(0)?).await?;
        let answers = race(|caller| {
            let (store, user) = (subject.handle(caller / 2).clone(), user.clone());
            async move { lease_or_swap(&*store, &user, caller.is_multiple_of(2)).await }
        })
        .await?;
        let (_, met) = race::one_winner(answers, |won| *won)?;
        let version = stored(&*subject.one, &user).await?.version;
        ensure!(
            version == 1,
            "one of lease and swap won, and the version is {version}"
        );
        let settled = Registration {
            version: 2,
            owed: None,
            ..owing(0)?
        };
        must_replace(&*subject.one, &user, &settled).await?;
        if met && round >= LEAST {
            return Ok(());
        }
    }
    race::never_met()
}

/// Whether a lease has the user, or a swap was made that puts the mail off.
async fn lease_or_swap<S: Outbox>(store: &S, user: &UserId, lease: bool) -> Kept<bool> {
    if lease {
        let mails = leased(store, 0, 60, 9).await?;
        return Ok(mails.iter().any(|mail| mail.user == *user));
    }
    let new = Registration {
        version: 1,
        ..owing(1_000)?
    };
    replace(store, user, 0, &new).await
}

/// Sentence 2 of this contract and 4 of the store's: a lease that was dropped on its way was taken
/// or not, for each user in whole, and what it took is due again when it ends.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_dropped_lease_loses_no_mail(harness: &impl StoreHarness<Store: Outbox>) -> Kept {
    let subject = harness.fresh().await;
    let users = [("one", 0), ("two", 0), ("three", 0)];
    enter_owing(harness, &subject, &users).await?;
    let mut versions: BTreeMap<UserId, u64> = BTreeMap::new();
    for (polls, now) in (0..POLLS).zip((0..).step_by(100)) {
        let lease = leased(&*subject.one, now, now + 50, 9);
        drop(dropped_after(polls, lease).await);
        for mail in all_again(&*subject.other, now, users.len()).await? {
            let version = mail.registration.version;
            let sound = mail
                .registration
                .lease
                .is_some_and(|lease| lease.token == version);
            let before = versions.insert(mail.user, version).unwrap_or(0);
            ensure!(
                sound && version > before,
                "a dropped lease left version {version}"
            );
        }
    }
    Ok(())
}

/// Leases until as many mails are had. A dropped call may still hold some for a moment, until its
/// store has noticed.
async fn all_again<S: Outbox>(store: &S, now: i64, expected: usize) -> Kept<Vec<DueMail>> {
    const TRIES: usize = 200;
    const PAUSE: Duration = Duration::from_millis(5);
    let mut mails = leased(store, now + 50, now + 100, 9).await?;
    for _ in 0..TRIES {
        if mails.len() >= expected {
            break;
        }
        sleep(PAUSE).await;
        mails.extend(leased(store, now + 50, now + 100, 9).await?);
    }
    ensure!(
        mails.len() == expected,
        "after a dropped lease, {} mails of {expected} are left",
        mails.len()
    );
    Ok(mails)
}
