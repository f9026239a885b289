//! The rules about passing time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::sleep;

use super::{Bench, ReplayGuardHarness, Time, breach};
use crate::{
    clock::{Clock, SystemClock},
    conformance::breach::{Kept, ensure},
    nonce::{
        ClaimOutcome::{Claimed, Replayed, Unknowable},
        ReplayGuard,
    },
};

/// How long an entry lives where time is a server's.
const SHORT: TimeDelta = TimeDelta::milliseconds(1_200);
/// Pause between two looks at such an entry.
const LOOK: Duration = Duration::from_millis(40);
/// Far enough for a clock to be plainly wrong, in seconds.
const YEARS: i64 = 73 * 365 * 86_400;

impl<G: ReplayGuard> Bench<G> {
    /// Claims enough other nonces at `now` for a guard that forgets from time to time to have done
    /// so.
    async fn pass_time(&self, now: i64) -> Kept {
        for number in 0..1_000 {
            let number = 1_000_000 * usize::try_from(now).unwrap_or(1) + number;
            let claim = (number, self.at(now + 300), self.at(now));
            self.expect(Claimed, claim).await?;
        }
        Ok(())
    }

    /// Claims a nonce that lives [`SHORT`], and asks again until it has passed.
    async fn replay_until_stale(&self, number: usize) -> Kept<DateTime<Utc>> {
        let start = SystemClock.now();
        let end = start + SHORT;
        self.expect(Claimed, (number, end, start)).await?;
        loop {
            let now = SystemClock.now();
            if now > end {
                return Ok(end);
            }
            self.expect(Replayed, (number, end, now)).await?;
            sleep(LOOK).await;
        }
    }
}

/// Sentence 2: an entry lives as long as its nonce is fresh by its own datetime, not for a fixed
/// time after it arrived.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_nonce_from_the_future_is_kept_until_it_is_stale(
    harness: &impl ReplayGuardHarness,
) -> Kept {
    let bench = Bench::fresh(harness).await;
    if bench.time != Time::OfTheClaim {
        return bench.replay_until_stale(1).await.map(drop);
    }
    let end = bench.at(360);
    bench.expect(Claimed, (1, end, bench.at(0))).await?;
    for now in [1, 60, 299, 300, 301, 359] {
        bench.pass_time(now).await?;
        bench.expect(Replayed, (1, end, bench.at(now))).await?;
    }
    Ok(())
}

/// Sentence 2: `fresh_until` is the last instant of an entry, not the first after it.
///
/// # Errors
///
/// If the rule is broken.
pub async fn an_entry_lives_through_its_last_instant(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    let (start, last) = (bench.at(0), bench.at(300));
    bench.expect(Claimed, (1, last, start)).await?;
    if bench.time == Time::OfTheClaim {
        bench.pass_time(300).await?;
    }
    let micro = TimeDelta::microseconds(1);
    for (fresh_until, now) in [(last, last - micro), (last, last), (last + micro, last)] {
        bench.expect(Replayed, (1, fresh_until, now)).await?;
    }
    Ok(())
}

/// Sentence 4: once time has passed and the entry may be forgotten, no claim that it would have
/// refused is accepted, whatever clock the claim goes by.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_clock_stepping_back_reopens_nothing(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    let end = match bench.time {
        Time::OfTheClaim => {
            let end = bench.at(300);
            bench.expect(Claimed, (1, end, bench.at(0))).await?;
            bench.pass_time(1_000).await?;
            end
        }
        Time::OfAServer { forgets_within } => {
            let end = bench.replay_until_stale(1).await?;
            sleep(forgets_within).await;
            end
        }
    };
    let seconds = |delta| end + TimeDelta::seconds(delta);
    for (fresh_until, now) in [(0, -300), (0, -1), (0, 0), (10, -290), (300, 0)] {
        let outcome = bench.claim(1, seconds(fresh_until), seconds(now)).await?;
        ensure!(
            outcome != Claimed,
            "a nonce used until {end} was accepted again until {} at {}",
            seconds(fresh_until),
            seconds(now)
        );
    }
    Ok(())
}

/// Sentences 4 and 5: times that no calendar of the guard's may hold neither panic nor reopen.
/// Errors are fine.
///
/// # Errors
///
/// If the rule is broken.
pub async fn far_off_times_neither_panic_nor_reopen(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    let (first, last) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    let times = [
        first,
        DateTime::UNIX_EPOCH,
        bench.at(0),
        bench.at(300),
        last,
    ];
    for (number, fresh_until) in times.into_iter().enumerate() {
        let mut wins = 0;
        for now in times.into_iter().chain(times.into_iter().rev()) {
            let outcome = bench.claim(number, fresh_until, now).await;
            let live = now <= fresh_until;
            wins += usize::from(live && outcome == Ok(Claimed));
        }
        ensure!(
            wins <= 1,
            "a nonce until {fresh_until} was accepted {wins} times"
        );
    }
    // None of it has shut the guard.
    let claim = (9, bench.at(300), bench.at(0));
    match (bench.time, bench.claim(claim.0, claim.1, claim.2).await?) {
        (_, Claimed) | (Time::OfTheClaim, Unknowable) => Ok(()),
        (_, outcome) => breach(format!("after far-off times a first use is {outcome:?}")),
    }
}

/// Sentence 6: callers whose clocks are 2 s apart are all served. Where time is a server's, how far
/// a caller may be behind is the guard's own setting, and nothing is asked here.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_small_step_back_refuses_nobody(harness: &impl ReplayGuardHarness) -> Kept {
    let bench = Bench::fresh(harness).await;
    if bench.time != Time::OfTheClaim {
        return Ok(());
    }
    for (number, now) in (0..1_000).enumerate() {
        let claim = (2 * number, bench.at(now + 20), bench.at(now));
        bench.expect(Claimed, claim).await?;
        let behind = (2 * number + 1, bench.at(now + 18), bench.at(now - 2));
        bench.expect(Claimed, behind).await?;
    }
    Ok(())
}

/// Sentence 6: a clock that leaped ahead by years, while nonces were claimed by it, and came back
/// shuts nobody out for longer than a window.
///
/// # Errors
///
/// If the rule is broken.
pub async fn a_clock_that_leaps_ahead_and_back_costs_a_window(
    harness: &impl ReplayGuardHarness,
) -> Kept {
    let bench = Bench::fresh(harness).await;
    let back = if bench.time == Time::OfTheClaim {
        for now in 0..10 {
            bench.pass_time(now).await?;
        }
        bench.pass_time(YEARS).await?;
        350
    } else {
        for number in 0..100 {
            // By its own clock, the guard may say of these what it likes.
            let _ = bench
                .claim(100 + number, bench.at(YEARS + 300), bench.at(YEARS))
                .await;
        }
        0
    };
    let claim = (5_000, bench.at(back + 300), bench.at(back));
    bench.expect(Claimed, claim).await?;
    bench.expect(Replayed, claim).await
}
