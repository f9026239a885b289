//! The rules about what is one, and what is at once.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Bench, ReplayGuardHarness, app, claim, dated, nonce};
use crate::{
    conformance::{
        breach::{Answered, Kept, ensure},
        race::{self, LEAST, ROUNDS, race},
    },
    nonce::{ClaimOutcome, NonceId, Occupancy, ReplayGuard},
};

/// Sentence 1: the first claim of a fresh nonce is `Claimed`, every other `Replayed`.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_nonce_is_claimed_once(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    for number in 0..10 {
        let claim = (number, bench.at(300), bench.at(0));
        bench.expect(ClaimOutcome::Claimed, claim).await?;
        bench.expect(ClaimOutcome::Replayed, claim).await?;
        bench.expect(ClaimOutcome::Replayed, claim).await?;
    }
    Ok(())
}

/// Sentence 1: of 64 claims at once, through both handles, one is `Claimed` and the others are
/// `Replayed`. Races are run until one is seen in which the winner met a loser.
///
/// # Errors
///
/// If the rule is broken.
pub async fn of_many_claims_at_once_one_wins(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    for round in 0..ROUNDS {
        let (fresh_until, now) = (bench.at(300), bench.at(0));
        let answers = race(|caller| {
            let guard = bench.subject.handle(caller).clone();
            async move { claim(&*guard, round, fresh_until, now).await }
        })
        .await?;
        ensure!(
            answers
                .iter()
                .all(|answer| answer.value != ClaimOutcome::Unknowable),
            "a claim that lost a race is unknowable"
        );
        let won = |outcome: &ClaimOutcome| *outcome == ClaimOutcome::Claimed;
        let (_, met) = race::one_winner(answers, won)?;
        if met && round >= LEAST {
            return Ok(());
        }
    }
    race::never_met()
}

/// Sentence 1: handles on one store know one another's claims.
///
/// # Errors
///
/// If the rule is broken.
pub async fn what_one_handle_claimed_another_knows(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    for number in 0..50 {
        let (fresh_until, now) = (bench.at(300), bench.at(0));
        for caller in [number, number + 1] {
            let guard = bench.subject.handle(caller);
            let outcome = claim(&**guard, number, fresh_until, now).await?;
            let first = caller == number;
            ensure!(
                (outcome == ClaimOutcome::Claimed) == first,
                "through handle {caller}, the claim is {outcome:?}"
            );
        }
    }
    Ok(())
}

/// Sentence 1: what is one is `(app, nonce)`.
///
/// # Errors
///
/// If the rule is broken.
pub async fn equal_nonces_of_two_apps_do_not_collide(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    for name in ["one", "two", "One", "one%", "o"] {
        let app = app(name)?;
        for expected in [ClaimOutcome::Claimed, ClaimOutcome::Replayed] {
            let claim = dated(&app, nonce(1)?, bench.at(300), bench.at(0));
            let outcome = bench.subject.one.claim(claim).await.answered("a claim")?;
            ensure!(outcome == expected, "the claim of {app} is {outcome:?}");
        }
    }
    Ok(())
}

/// Sentence 1: an id that ends in what another nonce begins with makes no other pair of the two.
///
/// # Errors
///
/// If the rule is broken.
pub async fn an_ids_end_is_not_taken_for_a_nonces_beginning(
    harness: &impl ReplayGuardHarness,
) -> Kept {
    let bench = Bench::fresh(harness).await;
    let long = format!("app{}", "x".repeat(16));
    for (name, nonce) in [
        ("app", NonceId::Digest([b'x'; 32])),
        (&*long, NonceId::Uuid(Uuid::from_bytes([b'x'; 16]))),
    ] {
        let app = app(name)?;
        let claim = dated(&app, nonce, bench.at(300), bench.at(0));
        let outcome = bench.subject.one.claim(claim).await.answered("a claim")?;
        ensure!(
            outcome == ClaimOutcome::Claimed,
            "{app}'s claim is {outcome:?}"
        );
    }
    Ok(())
}

/// Sentence 1: whatever times the other claims state.
///
/// # Errors
///
/// If the rule is broken.
pub async fn another_datetime_makes_no_other_nonce(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    let (start, end) = (bench.at(0), bench.at(100));
    bench.expect(ClaimOutcome::Claimed, (1, end, start)).await?;
    for (fresh_until, now) in [(99, 50), (101, 50), (150, 50), (360, 50), (400, 99)] {
        let times = (
            start + TimeDelta::seconds(fresh_until),
            start + TimeDelta::seconds(now),
        );
        bench
            .expect(ClaimOutcome::Replayed, (1, times.0, times.1))
            .await?;
    }
    Ok(())
}

/// Sentence 7: replays add nothing, and there is room for what is there. A guard that can't tell
/// breaks no rule.
///
/// # Errors
///
/// If the rule is broken.
pub async fn every_live_entry_is_counted_once(harness: &impl ReplayGuardHarness) -> Kept {
    const ENTRIES: usize = 20;
    let bench = Bench::fresh(harness).await;
    for number in (0..ENTRIES).chain(0..ENTRIES) {
        bench.claim(number, bench.at(300), bench.at(0)).await?;
    }
    let told = bench.subject.other.occupancy().await;
    let Some(Occupancy { live, capacity }) = told.answered("a count")? else {
        return Ok(());
    };
    ensure!(
        live == ENTRIES as u64 && live <= capacity,
        "{live} entries of {capacity} are counted, and {ENTRIES} were claimed"
    );
    Ok(())
}
