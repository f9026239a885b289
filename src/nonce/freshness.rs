//! How old a nonce may be, and how far ahead of the verifier's clock.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Nonce, NonceId};

/// How long a nonce stays fresh after its datetime, unless set otherwise: 300 s.
pub const DEFAULT_MAX_AGE: Duration = Duration::from_mins(5);
/// How far a nonce's datetime may lie ahead of the verifier's clock, unless set otherwise: 60 s.
pub const DEFAULT_MAX_FUTURE: Duration = Duration::from_mins(1);
/// Longest age or lead that can be set: a day. Guards keep every nonce that long.
pub const MAX_WINDOW: Duration = Duration::from_hours(24);

/// The window in which a nonce is accepted: `now - max_age <= datetime <= now + max_future`, both
/// ends included.
///
/// ```
/// use std::time::Duration;
/// use tower_registration::nonce::Freshness;
///
/// let strict = Freshness::new(Duration::from_secs(30), Duration::from_secs(5)).unwrap();
/// assert!(Freshness::new(Duration::ZERO, Duration::from_secs(5)).is_err());
/// # let _ = strict;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    max_age: TimeDelta,
    max_future: TimeDelta,
}

/// A window that no nonce could be used in, or that guards could not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a nonce window of {max_age:?} back and {max_future:?} ahead can't be served: set the age to 1 ms \
     to 24 h, the lead to at most 24 h"
)]
pub struct FreshnessError {
    max_age: Duration,
    max_future: Duration,
}

/// A nonce outside of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFresh {
    /// Its datetime is more than the age back.
    #[error("nonce is stale")]
    Stale,
    /// Its datetime is more than the lead ahead.
    #[error("nonce is from the future")]
    Future,
}

impl Freshness {
    /// A window of `max_age` (1 ms to 24 h) back and `max_future` (0 to 24 h) ahead.
    ///
    /// # Errors
    ///
    /// If either is out of these bounds.
    pub fn new(max_age: Duration, max_future: Duration) -> Result<Self, FreshnessError> {
        let bounded =
            (Duration::from_millis(1)..=MAX_WINDOW).contains(&max_age) && max_future <= MAX_WINDOW;
        match (
            TimeDelta::from_std(max_age),
            TimeDelta::from_std(max_future),
        ) {
            (Ok(age), Ok(future)) if bounded => Ok(Self {
                max_age: age,
                max_future: future,
            }),
            _ => Err(FreshnessError {
                max_age,
                max_future,
            }),
        }
    }

    /// Accepts a nonce that is fresh at `now`.
    ///
    /// # Errors
    ///
    /// If its datetime lies outside of the window, or so far out that the window's end is no time.
    pub fn check(&self, nonce: Nonce, now: DateTime<Utc>) -> Result<FreshNonce, NotFresh> {
        let datetime = nonce.datetime();
        let fresh_until = datetime
            .checked_add_signed(self.max_age)
            .ok_or(NotFresh::Future)?;
        if fresh_until < now {
            return Err(NotFresh::Stale);
        }
        if datetime.signed_duration_since(now) > self.max_future {
            return Err(NotFresh::Future);
        }
        Ok(FreshNonce {
            nonce,
            fresh_until,
            checked_at: now,
        })
    }
}

impl Freshness {
    /// For the developer of a client: how far off a nonce is, and what is accepted.
    pub(super) fn describe(
        &self,
        error: NotFresh,
        datetime: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> String {
        let lead = signed_seconds(datetime.signed_duration_since(now));
        let (behind, ahead) = (-self.max_age, self.max_future);
        let (behind, ahead) = (signed_seconds(behind), signed_seconds(ahead));
        format!(
            "{error}: its datetime is {lead} s from this clock, and {behind} s to {ahead} s are \
             accepted: set the clock that is wrong, the caller's or this one"
        )
    }
}

/// Seconds with their sign, to the millisecond.
pub(super) fn signed_seconds(difference: TimeDelta) -> String {
    let milliseconds = difference.num_milliseconds();
    let sign = if milliseconds < 0 { '-' } else { '+' };
    let (seconds, rest) = (
        milliseconds.unsigned_abs() / 1_000,
        milliseconds.unsigned_abs() % 1_000,
    );
    format!("{sign}{seconds}.{rest:03}")
}

impl Default for Freshness {
    /// [`DEFAULT_MAX_AGE`] and [`DEFAULT_MAX_FUTURE`].
    fn default() -> Self {
        Self {
            max_age: TimeDelta::seconds(300),
            max_future: TimeDelta::seconds(60),
        }
    }
}

/// Proof that a nonce was fresh when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshNonce {
    nonce: Nonce,
    fresh_until: DateTime<Utc>,
    checked_at: DateTime<Utc>,
}

impl FreshNonce {
    /// The nonce.
    #[must_use]
    pub fn nonce(&self) -> &Nonce {
        &self.nonce
    }

    /// What makes it one.
    #[must_use]
    pub fn id(&self) -> NonceId {
        self.nonce.id()
    }

    /// The last instant at which it is fresh, that instant included.
    #[must_use]
    pub fn fresh_until(&self) -> DateTime<Utc> {
        self.fresh_until
    }

    /// When it was looked at.
    #[must_use]
    pub fn checked_at(&self) -> DateTime<Utc> {
        self.checked_at
    }

    /// Whether it is still fresh at a later `now`.
    #[must_use]
    pub fn is_fresh_at(&self, now: DateTime<Utc>) -> bool {
        now <= self.fresh_until
    }
}
