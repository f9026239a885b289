//! How long a send may take, and how long its lease holds.

use std::time::Duration;

use chrono::TimeDelta;

use crate::registration::policy::MAX_LEASE;

/// How long handing one mail over may take, unless set otherwise.
pub const DEFAULT_SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a sender has a mail to itself, unless set otherwise: after that it is taken for dead.
pub const DEFAULT_LEASE: Duration = Duration::from_mins(1);

/// The time that a send has and the lease around it. The same for all senders on one store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    pub(super) send_timeout: Duration,
    pub(super) lease: TimeDelta,
}

/// Times under which a user could have two mails in flight, or none could be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a send timeout of {send_timeout:?} under a lease of {lease:?} can't be kept: set the timeout \
     over zero and shorter than the lease, the lease to at most 10 minutes"
)]
pub struct TimingError {
    send_timeout: Duration,
    lease: Duration,
}

impl Timing {
    /// A timeout for each send, and a lease that is longer than it: the rest is for settling.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_registration::delivery::Timing;
    ///
    /// let (send, lease) = (Duration::from_secs(5), Duration::from_secs(20));
    /// assert!(Timing::new(send, lease).is_ok());
    /// assert!(Timing::new(lease, lease).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If the timeout is zero or not shorter than the lease, or the lease longer than
    /// [`MAX_LEASE`].
    pub fn new(send_timeout: Duration, lease: Duration) -> Result<Self, TimingError> {
        let error = TimingError {
            send_timeout,
            lease,
        };
        let delta = TimeDelta::from_std(lease).map_err(|_| error)?;
        if send_timeout.is_zero() || send_timeout >= lease || delta > MAX_LEASE {
            return Err(error);
        }
        Ok(Self {
            send_timeout,
            lease: TimeDelta::microseconds(delta.num_microseconds().unwrap_or(0)),
        })
    }
}

impl Default for Timing {
    /// [`DEFAULT_SEND_TIMEOUT`] and [`DEFAULT_LEASE`].
    fn default() -> Self {
        Self {
            send_timeout: DEFAULT_SEND_TIMEOUT,
            lease: TimeDelta::seconds(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_accepted_within_their_bounds() {
        let second = Duration::from_secs(1);
        let longest = Duration::from_mins(10);
        let shorter = Duration::from_secs(599);
        assert_eq!(
            Timing::new(DEFAULT_SEND_TIMEOUT, DEFAULT_LEASE),
            Ok(Timing::default())
        );
        assert!(Timing::new(Duration::ZERO, second).is_err());
        assert!(Timing::new(shorter, longest).is_ok());
        assert!(Timing::new(second, longest + second).is_err());
        assert!(Timing::new(second, Duration::MAX).is_err());
        assert!(Timing::new(second, second).is_err());
    }
}
