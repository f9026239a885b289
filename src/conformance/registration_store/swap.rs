//! The rules about swaps: under another version, at once, half seen, and dropped.

use tokio::task::yield_now;

use super::{StoreHarness, enter, jane, load, marked, must_replace, replace, stored};
use crate::{
    conformance::{
        breach::{Kept, ensure},
        race::{self, CALLERS, LEAST, POLLS, ROUNDS, dropped_after, race},
    },
    registration::{Registration, RegistrationStore, UserId},
};

/// Swaps that loads look on at.
const SWAPS: u64 = 100;

/// Sentence 2: of swaps in a row under one version, the first is made; under a version that was, or
/// has yet to be, none is. What is lost changes nothing.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_swap_under_another_version_changes_nothing(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let (store, jane) = (&*subject.one, jane()?);
    enter(harness, &subject, &jane, &marked(0, 5)?).await?;
    for expected in [0, 4, 6, 7, 1 << 40] {
        let swapped = replace(store, &jane, expected, &marked(1, expected + 1)?).await?;
        ensure!(
            !swapped,
            "a swap under version {expected} was made over version 5"
        );
        ensure!(
            stored(store, &jane).await? == marked(0, 5)?,
            "a lost swap changed something"
        );
    }
    must_replace(store, &jane, &marked(2, 6)?).await?;
    let again = replace(store, &jane, 5, &marked(3, 6)?).await?;
    ensure!(!again, "two swaps under one version were made");
    ensure!(
        stored(store, &jane).await? == marked(2, 6)?,
        "the second swap changed something"
    );
    Ok(())
}

/// Sentence 2: of 64 swaps at once under one version, through both handles, one is made, and it is
/// what is stored. Races are run until one is seen in which the winner met a loser.
///
/// # Errors
///
/// If the rule is broken.
pub async fn of_many_swaps_at_once_one_wins(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let jane = jane()?;
    enter(harness, &subject, &jane, &marked(0, 0)?).await?;
    for (round, version) in (0..ROUNDS).zip(0..) {
        let answers = race(|caller| {
            let (store, jane) = (subject.handle(caller).clone(), jane.clone());
            async move {
                let new = marked(number(caller), version + 1)?;
                Ok((caller, replace(&*store, &jane, version, &new).await?))
            }
        })
        .await?;
        let (winner, met) = race::one_winner(answers, |(_, swapped)| *swapped)?;
        let expected = marked(number(winner.value.0), version + 1)?;
        ensure!(
            stored(&*subject.other, &jane).await? == expected,
            "what is stored is not what won"
        );
        if met && round >= LEAST {
            return Ok(());
        }
    }
    race::never_met()
}

fn number(caller: usize) -> u64 {
    u64::try_from(caller).unwrap_or(0)
}

/// Sentence 2: changes that load, change and swap until they win are all in what is stored.
///
/// # Errors
///
/// If the rule is broken.
pub async fn swaps_at_once_lose_no_change(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let jane = jane()?;
    enter(harness, &subject, &jane, &marked(0, 0)?).await?;
    for total in (1..).map(|round| round * number(CALLERS)).take(ROUNDS) {
        let answers = race(|caller| {
            let (store, jane) = (subject.handle(caller).clone(), jane.clone());
            async move { count_up(&*store, &jane).await }
        })
        .await?;
        let counted = stored(&*subject.one, &jane).await?;
        ensure!(
            (counted.generation, counted.version) == (total, total),
            "of {total} changes, {} are stored, in version {}",
            counted.generation,
            counted.version
        );
        if race::any_met(&answers) {
            return Ok(());
        }
    }
    race::never_met()
}

async fn count_up<S: RegistrationStore>(store: &S, user: &UserId) -> Kept {
    loop {
        let current = stored(store, user).await?;
        let new = marked(current.generation + 1, current.version + 1)?;
        if replace(store, user, current.version, &new).await? {
            return Ok(());
        }
        // Somebody else won, who needs the thread to say so.
        yield_now().await;
    }
}

/// Sentence 1: a load beside swaps sees the one before or the one after, whole.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_load_sees_no_half_of_a_swap(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let jane = jane()?;
    enter(harness, &subject, &jane, &marked(0, 0)?).await?;
    for first in (0..).map(|round| round * SWAPS).take(ROUNDS) {
        let answers = race(|caller| {
            let (store, jane) = (subject.handle(caller).clone(), jane.clone());
            async move {
                match caller {
                    0 => swap_on(&*store, &jane, first).await,
                    _ => read_on(&*store, &jane, first).await,
                }
            }
        })
        .await?;
        if race::any_met(&answers) {
            return Ok(());
        }
    }
    race::never_met()
}

/// Swaps in [`SWAPS`] versions after the first.
async fn swap_on<S: RegistrationStore>(store: &S, user: &UserId, first: u64) -> Kept {
    for version in first + 1..=first + SWAPS {
        must_replace(store, user, &marked(version, version)?).await?;
    }
    Ok(())
}

/// Loads until it has seen the last of them.
async fn read_on<S: RegistrationStore>(store: &S, user: &UserId, first: u64) -> Kept {
    let mut latest = first;
    while latest < first + SWAPS {
        latest = whole(&stored(store, user).await?, latest)?;
        yield_now().await;
    }
    Ok(())
}

/// The version of a registration that is what one swap wrote, and no older than what was read
/// before.
fn whole(read: &Registration, earlier: u64) -> Kept<u64> {
    let version = read.version;
    ensure!(
        *read == marked(version, version)?,
        "a load saw half of a swap: {read:?}"
    );
    ensure!(
        version >= earlier,
        "a load went back from version {earlier} to {version}"
    );
    Ok(version)
}

/// Sentence 4: a swap that was dropped on its way was made or not, in whole, and the user can still
/// be changed.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_dropped_swap_happened_or_not(harness: &impl StoreHarness) -> Kept {
    let subject = harness.fresh().await;
    let (store, jane) = (&*subject.one, jane()?);
    enter(harness, &subject, &jane, &marked(0, 0)?).await?;
    let mut version = 0;
    for polls in 0..POLLS {
        let (old, new) = (stored(store, &jane).await?, marked(77, version + 1)?);
        let call = replace(store, &jane, version, &new);
        let answer = dropped_after(polls, call).await.transpose()?;
        let left = settled(store, &jane, [&old, &new]).await?;
        ensure!(
            answer != Some(true) || left == new.version + 1,
            "a swap that was answered is gone"
        );
        version = left;
    }
    Ok(())
}

/// Swaps over whichever of the two is stored. A dropped call may reach its store late: then the
/// first swap is lost to it, and the second is not. The version that is stored in the end.
async fn settled<S: RegistrationStore>(
    store: &S,
    user: &UserId,
    allowed: [&Registration; 2],
) -> Kept<u64> {
    for _ in 0..2 {
        let current = load(store, user).await?;
        let whole = current.filter(|current| allowed.contains(&current));
        let Some(current) = whole else {
            ensure!(
                false,
                "a dropped swap left neither the old registration nor the new"
            );
            break;
        };
        let next = marked(current.version + 1, current.version + 1)?;
        if replace(store, user, current.version, &next).await? {
            return Ok(next.version);
        }
    }
    Err(crate::conformance::Breach::new(
        "after a dropped swap, the user can't be changed any more",
    ))
}
