//! How long to wait before the next try. Pure: the jitter is an argument.

use std::time::Duration;

/// The longest wait after the first failure, unless set otherwise.
pub const BASE: Duration = Duration::from_secs(10);
/// By how much each failure lengthens the wait.
pub const FACTOR: u32 = 4;
/// The longest wait of all, unless set otherwise.
pub const CAP: Duration = Duration::from_mins(10);

/// How long mails that failed wait for the next try. The default, [`BASE`] and [`CAP`], spreads the
/// policy's five tries over 7 to 14 minutes: a mail server's restart, and the five minutes that
/// greylisting usually asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The longest wait after the first failure.
    pub base: Duration,
    /// The longest wait of all.
    pub cap: Duration,
}

impl Backoff {
    /// The same with another longest wait after the first failure.
    #[must_use]
    pub fn with_base(self, base: Duration) -> Self {
        Self { base, ..self }
    }

    /// The same with another longest wait of all.
    #[must_use]
    pub fn with_cap(self, cap: Duration) -> Self {
        Self { cap, ..self }
    }

    /// The wait after the `failures`th failure in a row: the base times [`FACTOR`] for each one
    /// after the first, up to the cap; half of it always, the other half by `jitter` from none to
    /// all, so that mails which failed together don't come back together.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_registration::delivery::Backoff;
    ///
    /// let backoff = Backoff::default();
    /// assert_eq!(backoff.wait(1, 0), Duration::from_secs(5));
    /// assert_eq!(backoff.wait(1, u32::MAX), Duration::from_secs(10));
    /// assert_eq!(backoff.wait(2, u32::MAX), Duration::from_secs(40));
    /// ```
    #[must_use]
    pub fn wait(self, failures: u32, jitter: u32) -> Duration {
        let growth = FACTOR.saturating_pow(failures.saturating_sub(1));
        let longest = self.base.saturating_mul(growth).min(self.cap);
        let half = longest / 2;
        half + half.mul_f64(f64::from(jitter) / f64::from(u32::MAX))
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: BASE,
            cap: CAP,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_lengthens_the_wait_up_to_its_cap() {
        let rows = [
            (0, 10),
            (1, 10),
            (2, 40),
            (3, 160),
            (4, 600),
            (5, 600),
            (u32::MAX, 600),
        ];
        let wait = |failures, jitter| Backoff::default().wait(failures, jitter);
        for (failures, seconds) in rows {
            let longest = Duration::from_secs(seconds);
            assert_eq!(wait(failures, u32::MAX), longest, "{failures}");
            assert_eq!(wait(failures, 0), longest / 2, "{failures}");
            let middle = wait(failures, u32::MAX / 2);
            assert!(longest / 2 < middle && middle < longest, "{failures}");
        }
    }
}
