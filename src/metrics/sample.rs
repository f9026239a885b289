//! What is asked for from time to time: how full the stores are.

use chrono::{DateTime, Utc};
use metrics::Key;

use super::{MAILS_OWED, NONCES_CAPACITY, NONCES_LIVE, OLDEST_AGE, record::gauge};
use crate::{
    nonce::ReplayGuard,
    registration::{Backlog, Outbox},
};

/// Asks the guard how full it is, and sets the gauges of nonces; a guard that can't tell sets none.
///
/// # Errors
///
/// If the guard gives no answer. The gauges are NaN then: nothing is known.
pub async fn sample_nonces<G: ReplayGuard>(guard: &G) -> Result<(), G::Error> {
    let occupancy = guard.occupancy().await;
    match &occupancy {
        Ok(None) => {}
        Ok(Some(occupancy)) => {
            set_nonces(number(occupancy.live), number(occupancy.capacity));
        }
        Err(_) => set_nonces(f64::NAN, f64::NAN),
    }
    occupancy.map(drop)
}

/// Asks the store how much it owes at `now`, and sets the gauges of owed mails; a store that can't
/// tell sets none.
///
/// # Errors
///
/// If the store gives no answer. The gauges are NaN then: nothing is known.
pub async fn sample_mails<S: Outbox>(store: &S, now: DateTime<Utc>) -> Result<(), S::Error> {
    let backlog = store.backlog().await;
    match &backlog {
        Ok(None) => {}
        Ok(Some(backlog)) => set_mails(number(backlog.owed), age(backlog, now)),
        Err(_) => set_mails(f64::NAN, f64::NAN),
    }
    backlog.map(drop)
}

fn set_nonces(live: f64, capacity: f64) {
    static LIVE: Key = Key::from_static_name(NONCES_LIVE);
    static CAPACITY: Key = Key::from_static_name(NONCES_CAPACITY);
    gauge(&LIVE).set(live);
    gauge(&CAPACITY).set(capacity);
}

fn set_mails(owed: f64, age: f64) {
    static OWED: Key = Key::from_static_name(MAILS_OWED);
    static AGE: Key = Key::from_static_name(OLDEST_AGE);
    gauge(&OWED).set(owed);
    gauge(&AGE).set(age);
}

/// In seconds; none where nothing is owed, or where clocks disagree.
fn age(backlog: &Backlog, now: DateTime<Utc>) -> f64 {
    let age = backlog
        .oldest
        .map(|made| now - made)
        .and_then(|age| age.to_std().ok());
    age.unwrap_or_default().as_secs_f64()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are not 2^53 of anything here"
)]
fn number(count: u64) -> f64 {
    count as f64
}
