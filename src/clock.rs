//! Where time comes from.
//!
//! The pure core takes the time as an argument. The layers and services around it read it from a
//! [`Clock`], which is [`SystemClock`] unless a builder is given another; [`ManualClock`] is for
//! tests, yours and ours.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

/// A source of the current time.
///
/// A clock may step: nothing in this crate assumes that two readings are in order. What a step
/// back could reopen (a used nonce, an expired code) is guarded where it is kept.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock shared by several layers.
pub type SharedClock = Arc<dyn Clock>;

/// The operating system's clock, in whole microseconds: the precision that databases keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        to_micros(Utc::now())
    }
}

/// A clock that stands still until it is told otherwise. Clones share the time.
///
/// ```
/// use tower_registration::clock::{Clock, ManualClock};
/// use chrono::TimeDelta;
///
/// let clock = ManualClock::at("2026-11-23T07:44:00Z".parse().unwrap());
/// let before = clock.now();
/// clock.advance(TimeDelta::seconds(301));
/// assert_eq!(clock.now() - before, TimeDelta::seconds(301));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// A clock that shows `time`, in whole microseconds.
    #[must_use]
    pub fn at(time: DateTime<Utc>) -> Self {
        Self(Arc::new(AtomicI64::new(time.timestamp_micros())))
    }

    /// Shows `time` from now on.
    pub fn set(&self, time: DateTime<Utc>) {
        self.0.store(time.timestamp_micros(), Ordering::SeqCst);
    }

    /// Moves by `delta`, backwards where it is negative.
    pub fn advance(&self, delta: TimeDelta) {
        let micros = delta.num_microseconds().unwrap_or(i64::MAX);
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::SeqCst))
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

/// Cuts what lies below a microsecond, so that a time is the same before and after a database.
fn to_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    time.duration_trunc(TimeDelta::microseconds(1))
        .unwrap_or(time)
}
