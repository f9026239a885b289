//! Where time comes from.
//!
//! The pure core takes the time as an argument. The layers and services around it read it from a
//! [`Clock`], which is [`SystemClock`] unless a builder is given another; [`ManualClock`] is for
//! tests, yours and ours.
//!
//! ```
//! use chrono::TimeDelta;
//! use tower_registration::{
//!     app::{AppId, AppSecretHash, Application},
//!     clock::{Clock, ManualClock},
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let clock = ManualClock::at("2026-11-23T07:44:00Z".parse()?);
//! let secret = AppSecretHash::of("s3cr3t")?.expiring(clock.now() + TimeDelta::days(7));
//! let app = Application::server_side(AppId::new("ap-1")?, vec![secret], vec![]);
//! assert!(app.has_secret("s3cr3t", clock.now()));
//! clock.advance(TimeDelta::days(7));
//! assert!(!app.has_secret("s3cr3t", clock.now()));
//! # Ok(())
//! # }
//! ```

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use chrono::{DateTime, TimeDelta, Timelike, Utc};

/// A source of the current time.
///
/// A clock may step: nothing in this crate assumes that two readings are in order. What a step
/// back could reopen (a used nonce, an expired code) is guarded where it is kept.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no clock",
    note = "use `tower_registration::clock::SystemClock`, or `tower_registration::clock::ManualClock` in tests"
)]
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> DateTime<Utc>;
}

/// So that one clock, of whatever kind, may be given to several parts.
impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        C::now(self)
    }
}

pub(crate) type SharedClock = Arc<dyn Clock>;

/// The operating system's clock, in whole microseconds: the precision that databases keep.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        let now = SystemTime::now();
        now.duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| {
                let seconds = i64::try_from(since.as_secs()).ok()?;
                DateTime::from_timestamp(seconds, since.subsec_micros() * 1_000)
            })
            .unwrap_or_else(|| to_micros(now.into()))
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

    /// Moves by `delta`, backwards where it is negative, and no farther than to either end of time.
    pub fn advance(&self, delta: TimeDelta) {
        let micros = delta.num_microseconds().unwrap_or_else(|| {
            if delta < TimeDelta::zero() {
                i64::MIN
            } else {
                i64::MAX
            }
        });
        let moved = |now: i64| Some(now.saturating_add(micros));
        // Never an error: there is always a time to move to.
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, moved);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        let micros = self.0.load(Ordering::SeqCst);
        DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

/// Cuts what lies below a microsecond, so that a time is the same before and after a database.
fn to_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    time.with_nanosecond(time.nanosecond() / 1_000 * 1_000)
        .unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_shows_its_time_in_whole_microseconds() {
        let (before, now, after) = (Utc::now(), SystemClock.now(), Utc::now());
        assert!(to_micros(before) <= now && now <= after);
        assert_eq!(now, to_micros(now));
    }

    #[test]
    fn a_clock_stops_at_either_end_of_time() {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH);
        for (delta, end) in [
            (TimeDelta::MAX, DateTime::<Utc>::MAX_UTC),
            (TimeDelta::MIN, DateTime::<Utc>::MIN_UTC),
        ] {
            clock.set(DateTime::UNIX_EPOCH);
            for _ in 0..2 {
                clock.advance(delta);
                assert_eq!(clock.now(), end);
            }
        }
    }
}
