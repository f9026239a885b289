//! Guards with a fault.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::yield_now;
use tower_registration::{
    conformance::{Subject, replay_guard},
    nonce::{Claim, ClaimOutcome, Occupancy, ReplayGuard},
};

use super::breaks;

/// What is wrong with a guard.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    LooksThenWrites,
    EvictsWhenFull,
    ExpiresByArrival,
    ForgetsAtTheEnd,
    ForgetsByTheClock,
    IgnoresTheApp,
    JoinsAppAndNonce,
    NonceAndDatetime,
    WatermarkByTheClock,
    LocksAcrossAnAwait,
    CountsTwice,
}

#[derive(Clone)]
struct Faulty(Fault, Arc<State>);

#[derive(Default)]
struct State {
    entries: Mutex<HashMap<Vec<u8>, DateTime<Utc>>>,
    order: Mutex<VecDeque<Vec<u8>>>,
    latest: Mutex<DateTime<Utc>>,
    locked: AtomicBool,
}

impl Faulty {
    fn with(fault: Fault) -> Self {
        Self(fault, Arc::default())
    }

    fn key(&self, claim: &Claim<'_>) -> Vec<u8> {
        let nonce = claim.nonce.as_bytes();
        let app = claim.app.as_str().as_bytes();
        let datetime = claim.issued_at.to_string();
        match self.0 {
            Fault::IgnoresTheApp => nonce.to_vec(),
            Fault::JoinsAppAndNonce => [app, nonce].concat(),
            Fault::NonceAndDatetime => [app, b"\0", nonce, datetime.as_bytes()].concat(),
            _ => [app, b"\0", nonce].concat(),
        }
    }

    fn decide(&self, key: Vec<u8>, until: DateTime<Utc>, now: DateTime<Utc>) -> ClaimOutcome {
        let latest = {
            let mut latest = self.1.latest.lock().unwrap();
            let before = *latest;
            *latest = before.max(now);
            before
        };
        if self.0 == Fault::WatermarkByTheClock && until < latest {
            return ClaimOutcome::Unknowable;
        }
        if self.0 == Fault::LooksThenWrites {
            let known = self.1.entries.lock().unwrap().contains_key(&key);
            thread::yield_now();
            self.1.entries.lock().unwrap().insert(key, until);
            return if known {
                ClaimOutcome::Replayed
            } else {
                ClaimOutcome::Claimed
            };
        }
        let mut entries = self.1.entries.lock().unwrap();
        if now > latest {
            match self.0 {
                Fault::ExpiresByArrival | Fault::ForgetsByTheClock => {
                    entries.retain(|_, until| now <= *until);
                }
                Fault::ForgetsAtTheEnd => entries.retain(|_, until| now < *until),
                _ => {}
            }
        }
        if entries.contains_key(&key) {
            return ClaimOutcome::Replayed;
        }
        if self.0 == Fault::EvictsWhenFull {
            let mut order = self.1.order.lock().unwrap();
            order.push_back(key.clone());
            if order.len() > 1_500 {
                let oldest = order.pop_front().unwrap();
                entries.remove(&oldest);
            }
        }
        entries.insert(key, until);
        ClaimOutcome::Claimed
    }
}

impl ReplayGuard for Faulty {
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = Result<ClaimOutcome, &'static str>> + Send>>;

    fn claim(&self, claim: Claim<'_>) -> Self::Future {
        let (guard, key, now) = (self.clone(), self.key(&claim), claim.now);
        let until = match self.0 {
            Fault::ExpiresByArrival => now.checked_add_signed(TimeDelta::seconds(300)),
            _ => Some(claim.fresh_until),
        };
        let until = until.unwrap_or(now);
        Box::pin(async move {
            if guard.0 == Fault::LocksAcrossAnAwait {
                if guard.1.locked.swap(true, Ordering::SeqCst) {
                    return Err("busy");
                }
                yield_now().await;
            }
            let outcome = guard.decide(key, until, now);
            guard.1.locked.store(false, Ordering::SeqCst);
            Ok(outcome)
        })
    }

    async fn occupancy(&self) -> Result<Option<Occupancy>, &'static str> {
        let entries = self.1.entries.lock().unwrap().len() as u64;
        let times = if self.0 == Fault::CountsTwice { 2 } else { 1 };
        Ok(Some(Occupancy::new(entries * times, u64::MAX)))
    }
}

/// The suite over a guard with this fault.
async fn suite(fault: Fault) -> Result<(), tower_registration::conformance::Breaches> {
    replay_guard::all(&|| async move { Subject::new(Faulty::with(fault)) }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guard_without_a_fault_passes() {
    suite(Fault::None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guard_that_looks_and_then_writes_is_found() {
    let rules = ["of_many_claims_at_once_one_wins"];
    breaks(suite(Fault::LooksThenWrites).await, &rules);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guard_that_evicts_is_found() {
    breaks(
        suite(Fault::EvictsWhenFull).await,
        &["a_flood_evicts_nothing"],
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guards_that_forget_too_early_are_found() {
    let kept = "a_nonce_from_the_future_is_kept_until_it_is_stale";
    breaks(suite(Fault::ExpiresByArrival).await, &[kept]);
    let last = "an_entry_lives_through_its_last_instant";
    breaks(suite(Fault::ForgetsAtTheEnd).await, &[last]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guard_that_believes_a_clock_stepping_back_is_found() {
    let rules = ["a_clock_stepping_back_reopens_nothing"];
    breaks(suite(Fault::ForgetsByTheClock).await, &rules);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guard_that_a_leaping_clock_shuts_is_found() {
    let rules = ["a_clock_that_leaps_ahead_and_back_costs_a_window"];
    breaks(suite(Fault::WatermarkByTheClock).await, &rules);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guards_that_know_nonces_by_something_else_are_found() {
    let collide = "equal_nonces_of_two_apps_do_not_collide";
    breaks(suite(Fault::IgnoresTheApp).await, &[collide]);
    let joined = "an_ids_end_is_not_taken_for_a_nonces_beginning";
    breaks(suite(Fault::JoinsAppAndNonce).await, &[joined]);
    let datetime = "another_datetime_makes_no_other_nonce";
    breaks(suite(Fault::NonceAndDatetime).await, &[datetime]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guard_that_a_dropped_claim_locks_is_found() {
    let rules = ["a_dropped_claim_happened_or_not"];
    breaks(suite(Fault::LocksAcrossAnAwait).await, &rules);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_guard_that_miscounts_is_found() {
    let rules = ["every_live_entry_is_counted_once"];
    breaks(suite(Fault::CountsTwice).await, &rules);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handles_that_share_no_store_are_found() {
    let apart = || async {
        Subject::new(Faulty::with(Fault::None)).with_second_handle(Faulty::with(Fault::None))
    };
    let rules = [
        "what_one_handle_claimed_another_knows",
        "of_many_claims_at_once_one_wins",
    ];
    breaks(replay_guard::all(&apart).await, &rules);
}
