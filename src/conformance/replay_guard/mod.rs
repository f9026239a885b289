//! The contract of a [`ReplayGuard`].
//!
//! Sentences are those of the trait's contract. What a guard does with a nonce that is not fresh is
//! its own business, as long as it accepts none twice.

mod faults;
mod once;
mod time;

use std::{
    future::{Future, ready},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};

pub use self::{
    faults::{a_dropped_claim_happened_or_not, a_flood_evicts_nothing},
    once::{
        a_nonce_is_claimed_once, an_ids_end_is_not_taken_for_a_nonces_beginning,
        another_datetime_makes_no_other_nonce, equal_nonces_of_two_apps_do_not_collide,
        every_live_entry_is_counted_once, of_many_claims_at_once_one_wins,
        what_one_handle_claimed_another_knows,
    },
    time::{
        a_clock_stepping_back_reopens_nothing, a_clock_that_leaps_ahead_and_back_costs_a_window,
        a_nonce_from_the_future_is_kept_until_it_is_stale, a_small_step_back_refuses_nobody,
        an_entry_lives_through_its_last_instant, far_off_times_neither_panic_nor_reopen,
    },
};
use super::{
    Breach, Breaches, Subject,
    breach::{Answered, Kept, ensure},
};
use crate::{
    app::AppId,
    clock::{Clock, SystemClock},
    nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
};

/// Claims that a flood makes; a [bounded](ReplayGuardHarness::bounded) guard has room for fewer.
pub const FLOOD: usize = 2_000;

/// Opens guards to be put to the test. Any `Fn() -> impl Future<Output = Subject<G>>` is one, for a
/// guard that keeps no time of its own.
#[diagnostic::on_unimplemented(
    message = "`{Self}` opens no replay guards to test",
    note = "give a function that returns a future of a `tower_registration::conformance::Subject`, or implement `tower_registration::conformance::replay_guard::ReplayGuardHarness`"
)]
pub trait ReplayGuardHarness {
    /// What is put to the test.
    type Guard: ReplayGuard;

    /// A guard that has claimed nothing, with room for a million nonces, and that refuses none for
    /// being dated before its start.
    fn fresh(&self) -> impl Future<Output = Subject<Self::Guard>>;

    /// The same with room for fewer nonces than [`FLOOD`], for a guard that has a bound.
    fn bounded(&self) -> impl Future<Output = Option<Subject<Self::Guard>>> {
        ready(None)
    }

    /// Whose clock the guard forgets by.
    fn time(&self) -> Time {
        Time::OfTheClaim
    }
}

/// Whose clock a guard forgets by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Time {
    /// The claims' alone: years pass in no time, and dates are those of 2027.
    OfTheClaim,
    /// A server's, as with a store that expires entries by itself. Claims are dated by the system's
    /// clock, which the server's has to agree with, and rules about passing time wait for it.
    OfAServer {
        /// How long after an entry's end the server has surely forgotten it.
        forgets_within: Duration,
    },
}

// What is no function is told what else it may be, and not that it is none.
#[diagnostic::do_not_recommend]
impl<F, A, G> ReplayGuardHarness for F
where
    F: Fn() -> A,
    A: Future<Output = Subject<G>>,
    G: ReplayGuard,
{
    type Guard = G;

    fn fresh(&self) -> impl Future<Output = Subject<G>> {
        self()
    }
}

/// Runs every rule.
///
/// # Errors
///
/// All rules that are broken.
pub async fn all(harness: &impl ReplayGuardHarness) -> Result<(), Breaches> {
    crate::__conformance_rules! { replay_guard __conformance_all [harness] }
}

/// A guard, and the time that claims are dated from.
struct Bench<G> {
    subject: Subject<G>,
    time: Time,
}

impl<G: ReplayGuard> Bench<G> {
    async fn fresh(harness: &impl ReplayGuardHarness<Guard = G>) -> Self {
        let subject = harness.fresh().await;
        let time = harness.time();
        Self { subject, time }
    }

    /// So many seconds from the beginning: of a day in 2027, or of the call.
    fn at(&self, seconds: i64) -> DateTime<Utc> {
        let base = match self.time {
            Time::OfTheClaim => DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default(),
            Time::OfAServer { .. } => SystemClock.now(),
        };
        base + TimeDelta::seconds(seconds)
    }

    /// The outcome of claim `number` by application `app`.
    async fn claim(
        &self,
        number: usize,
        fresh_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Kept<ClaimOutcome> {
        claim(&self.subject.one, number, fresh_until, now).await
    }

    async fn expect(
        &self,
        outcome: ClaimOutcome,
        (number, fresh_until, now): (usize, DateTime<Utc>, DateTime<Utc>),
    ) -> Kept {
        let got = self.claim(number, fresh_until, now).await?;
        ensure!(
            got == outcome,
            "a claim until {fresh_until} at {now} is {got:?} and not {outcome:?}"
        );
        Ok(())
    }
}

fn app(name: &str) -> Kept<AppId> {
    AppId::new(name).answered("an application id")
}

fn nonce(number: usize) -> Kept<NonceId> {
    NonceId::of(&format!("nonce number {number}")).answered("a nonce")
}

/// A claim, dated 300 s before its end.
fn dated(app: &AppId, nonce: NonceId, fresh_until: DateTime<Utc>, now: DateTime<Utc>) -> Claim<'_> {
    let issued_at = fresh_until
        .checked_sub_signed(TimeDelta::seconds(300))
        .unwrap_or(fresh_until);
    Claim::new(app, nonce, issued_at, fresh_until, now)
}

async fn claim<G: ReplayGuard>(
    guard: &G,
    number: usize,
    fresh_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Kept<ClaimOutcome> {
    let app = app("app")?;
    let claim = guard.claim(dated(&app, nonce(number)?, fresh_until, now));
    claim.await.answered("a claim")
}

/// So that a rule that has no store's word to judge by can say what it saw.
fn breach<T>(what: String) -> Kept<T> {
    Err(Breach::new(what))
}
