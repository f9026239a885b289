//! How long to wait before the next try. Pure: the jitter is an argument.

use std::time::Duration;

/// The longest wait after the first failure.
pub const BASE: Duration = Duration::from_secs(10);
/// By how much each failure lengthens the wait.
pub const FACTOR: u32 = 4;
/// The longest wait of all.
pub const CAP: Duration = Duration::from_mins(10);

/// The wait after the `failures`th failure in a row: [`BASE`] times [`FACTOR`] for each one after
/// the first, up to [`CAP`]; half of it always, the other half by `jitter` from none to all, so
/// that mails which failed together don't come back together.
///
/// The policy's five tries span 7 to 14 minutes: a mail server's restart, and the five minutes
/// that greylisting usually asks for.
///
/// ```
/// use std::time::Duration;
/// use tower_registration::delivery::backoff;
///
/// assert_eq!(backoff::wait(1, 0), Duration::from_secs(5));
/// assert_eq!(backoff::wait(1, u32::MAX), Duration::from_secs(10));
/// assert_eq!(backoff::wait(2, u32::MAX), Duration::from_secs(40));
/// ```
#[must_use]
pub fn wait(failures: u32, jitter: u32) -> Duration {
    let growth = FACTOR.saturating_pow(failures.saturating_sub(1));
    let longest = BASE.saturating_mul(growth).min(CAP);
    let half = longest / 2;
    half + half.mul_f64(f64::from(jitter) / f64::from(u32::MAX))
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
        for (failures, seconds) in rows {
            let longest = Duration::from_secs(seconds);
            assert_eq!(wait(failures, u32::MAX), longest, "{failures}");
            assert_eq!(wait(failures, 0), longest / 2, "{failures}");
            let middle = wait(failures, u32::MAX / 2);
            assert!(longest / 2 < middle && middle < longest, "{failures}");
        }
    }
}
