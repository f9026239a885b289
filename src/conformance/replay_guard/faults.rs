//! The rules about guards that are full, and claims that are dropped.

use super::{Bench, FLOOD, ReplayGuardHarness, claim};
use crate::{
    conformance::{
        breach::{Kept, ensure},
        race::{POLLS, dropped_after},
    },
    nonce::ClaimOutcome,
};

/// Sentence 3: whatever was claimed before a [`FLOOD`] is not claimed again after it. A guard that
/// is full says so by an error.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_flood_evicts_nothing(harness: &impl ReplayGuardHarness) -> Kept {
    let subject = match harness.bounded().await {
        Some(bounded) => bounded,
        None => harness.fresh().await,
    };
    let time = harness.time();
    let bench = Bench { subject, time };
    let mut claimed = Vec::new();
    for number in 0..FLOOD {
        let outcome = bench.claim(number, bench.at(300), bench.at(0)).await;
        if outcome == Ok(ClaimOutcome::Claimed) {
            claimed.push(number);
        }
    }
    ensure!(
        !claimed.is_empty(),
        "not one of {FLOOD} claims was accepted"
    );
    for number in claimed {
        let outcome = bench.claim(number, bench.at(300), bench.at(0)).await;
        ensure!(
            outcome != Ok(ClaimOutcome::Claimed),
            "claim {number} of a flood was evicted while it was live"
        );
    }
    Ok(())
}

/// Sentence 5: a claim that was dropped on its way took place or did not, and keeps nobody else
/// from claiming.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_dropped_claim_happened_or_not(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    for polls in 0..POLLS {
        let (fresh_until, now) = (bench.at(300), bench.at(0));
        let guard = &bench.subject.one;
        let dropped = dropped_after(polls, claim(&**guard, polls, fresh_until, now)).await;
        let mut wins = usize::from(dropped == Some(Ok(ClaimOutcome::Claimed)));
        for caller in 0..3 {
            let guard = bench.subject.handle(caller);
            let outcome = claim(&**guard, polls, fresh_until, now).await?;
            wins += usize::from(outcome == ClaimOutcome::Claimed);
            ensure!(
                outcome != ClaimOutcome::Unknowable,
                "a dropped claim left a gap"
            );
        }
        ensure!(
            wins <= 1,
            "a claim dropped after {polls} polls was won {wins} times"
        );
        let other = (polls + POLLS, fresh_until, now);
        bench.expect(ClaimOutcome::Claimed, other).await?;
    }
    Ok(())
}
