//! The policy's numbers.

use std::time::Duration;

use chrono::TimeDelta;

use super::budget::Budget;

/// How long a code is accepted, unless set otherwise: 4 h.
pub const DEFAULT_CODE_LIFETIME: Duration = Duration::from_hours(4);
/// For how long after a code no other is made, unless set otherwise: 60 s.
pub const DEFAULT_COOLDOWN: Duration = Duration::from_mins(1);
/// Codes an hour for each user, unless set otherwise.
pub const DEFAULT_PER_HOUR: u32 = 5;
/// Codes a day for each user, unless set otherwise.
pub const DEFAULT_PER_DAY: u32 = 10;
/// Wrong guesses a day for each user, unless set otherwise.
pub const DEFAULT_GUESSES_PER_DAY: u32 = 20;
/// Tries at one mail, unless set otherwise.
pub const DEFAULT_MAX_ATTEMPTS: u32 = 5;
/// Shortest lifetime of a code. So short a one is for tests: no mail arrives in time.
pub const MIN_CODE_LIFETIME: Duration = Duration::from_secs(1);
/// Longest lifetime of a code: 30 days.
pub const MAX_CODE_LIFETIME: Duration = Duration::from_hours(30 * 24);
/// Longest cooldown.
pub const MAX_COOLDOWN: Duration = Duration::from_hours(24);
/// Highest cap an hour or a day.
pub const MAX_CAP: u32 = 1_000_000;
/// Most tries at one mail.
pub const MAX_ATTEMPTS: u32 = 100;

/// How long codes live, and how often a user may get and guess one.
///
/// A cap of n an hour lets n through at once, and then one for each n-th of an hour (GCRA, which
/// keeps one timestamp): on average n an hour, and in no hour twice as many.
///
/// ```
/// use std::time::Duration;
/// use tower_registration::registration::{Policy, PolicyError};
///
/// let strict = Policy::builder().cooldown(Duration::from_secs(300)).per_day(3).build();
/// assert!(strict.is_ok());
/// let mute = Policy::builder().per_day(0).build();
/// assert_eq!(
///     mute.unwrap_err().to_string(),
///     "a limit of 0 codes a day can't be kept: set it to 1 to 1000000"
/// );
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub(super) code_lifetime: TimeDelta,
    pub(super) cooldown: TimeDelta,
    pub(super) hour: Budget,
    pub(super) day: Budget,
    pub(super) guesses: Budget,
    pub(super) max_attempts: u32,
}

impl Policy {
    /// Starts from the defaults.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }
}

impl Default for Policy {
    /// The defaults of [`PolicyBuilder`].
    fn default() -> Self {
        PolicyBuilder::default().into_policy()
    }
}

/// Numbers that no policy can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Out of [`MIN_CODE_LIFETIME`] to [`MAX_CODE_LIFETIME`].
    #[error("a code lifetime of {0:?} is not between 1 s and 30 days: change `code_lifetime`")]
    CodeLifetime(Duration),
    /// Over [`MAX_COOLDOWN`].
    #[error("a cooldown of {0:?} is longer than 24 hours: shorten `cooldown`")]
    Cooldown(Duration),
    /// Out of 1 to [`MAX_CAP`], or for tries 1 to [`MAX_ATTEMPTS`].
    #[error("a limit of {value} {of} can't be kept: set it to 1 to {max}")]
    Limit {
        /// What is limited.
        of: &'static str,
        /// What was set.
        value: u32,
        /// The most that can be set.
        max: u32,
    },
}

/// Sets the numbers of a [`Policy`].
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct PolicyBuilder {
    code_lifetime: Duration,
    cooldown: Duration,
    per_hour: u32,
    per_day: u32,
    guesses_per_day: u32,
    max_attempts: u32,
}

impl Default for PolicyBuilder {
    fn default() -> Self {
        Self {
            code_lifetime: DEFAULT_CODE_LIFETIME,
            cooldown: DEFAULT_COOLDOWN,
            per_hour: DEFAULT_PER_HOUR,
            per_day: DEFAULT_PER_DAY,
            guesses_per_day: DEFAULT_GUESSES_PER_DAY,
            max_attempts: DEFAULT_MAX_ATTEMPTS,
        }
    }
}

impl PolicyBuilder {
    /// How long a code is accepted: [`DEFAULT_CODE_LIFETIME`] by default, [`MIN_CODE_LIFETIME`] to
    /// [`MAX_CODE_LIFETIME`].
    pub fn code_lifetime(self, code_lifetime: Duration) -> Self {
        Self {
            code_lifetime,
            ..self
        }
    }

    /// For how long after a code no other is made: [`DEFAULT_COOLDOWN`] by default, zero for
    /// none, at most [`MAX_COOLDOWN`]. Longer than the code's lifetime, it leaves users without a code meanwhile.
    pub fn cooldown(self, cooldown: Duration) -> Self {
        Self { cooldown, ..self }
    }

    /// Codes an hour for each user: [`DEFAULT_PER_HOUR`] by default, 1 to [`MAX_CAP`].
    pub fn per_hour(self, per_hour: u32) -> Self {
        Self { per_hour, ..self }
    }

    /// Codes a day for each user: [`DEFAULT_PER_DAY`] by default, 1 to [`MAX_CAP`].
    pub fn per_day(self, per_day: u32) -> Self {
        Self { per_day, ..self }
    }

    /// Wrong guesses a day for each user, across codes: [`DEFAULT_GUESSES_PER_DAY`] by default, 1
    /// to [`MAX_CAP`].
    pub fn guesses_per_day(self, guesses_per_day: u32) -> Self {
        Self {
            guesses_per_day,
            ..self
        }
    }

    /// Tries at one mail before it is given up: [`DEFAULT_MAX_ATTEMPTS`] by default, 1 to [`MAX_ATTEMPTS`].
    pub fn max_attempts(self, max_attempts: u32) -> Self {
        Self {
            max_attempts,
            ..self
        }
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// If a number is out of its bounds.
    pub fn build(self) -> Result<Policy, PolicyError> {
        if !(MIN_CODE_LIFETIME..=MAX_CODE_LIFETIME).contains(&self.code_lifetime) {
            return Err(PolicyError::CodeLifetime(self.code_lifetime));
        }
        if self.cooldown > MAX_COOLDOWN {
            return Err(PolicyError::Cooldown(self.cooldown));
        }
        limited("codes an hour", self.per_hour, MAX_CAP)?;
        limited("codes a day", self.per_day, MAX_CAP)?;
        limited("wrong guesses a day", self.guesses_per_day, MAX_CAP)?;
        limited("tries at one mail", self.max_attempts, MAX_ATTEMPTS)?;
        Ok(self.into_policy())
    }

    fn into_policy(self) -> Policy {
        Policy {
            code_lifetime: micros(self.code_lifetime),
            cooldown: micros(self.cooldown),
            hour: Budget::hourly(self.per_hour),
            day: Budget::daily(self.per_day),
            guesses: Budget::daily(self.guesses_per_day),
            max_attempts: self.max_attempts,
        }
    }
}

fn limited(of: &'static str, value: u32, max: u32) -> Result<(), PolicyError> {
    if (1..=max).contains(&value) {
        Ok(())
    } else {
        Err(PolicyError::Limit { of, value, max })
    }
}

/// In whole microseconds, as registrations keep their times.
fn micros(duration: Duration) -> TimeDelta {
    TimeDelta::microseconds(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_defaults_are_a_valid_policy() {
        assert_eq!(Policy::builder().build(), Ok(Policy::default()));
    }

    #[test]
    fn a_code_lifetime_is_accepted_within_its_bounds() {
        let build = |lifetime| {
            Policy::builder()
                .cooldown(SECOND)
                .code_lifetime(lifetime)
                .build()
        };
        assert!(build(MIN_CODE_LIFETIME).is_ok());
        assert!(build(Duration::from_millis(999)).is_err());
        assert!(build(MAX_CODE_LIFETIME).is_ok());
        assert!(build(MAX_CODE_LIFETIME + SECOND).is_err());
        assert!(build(Duration::MAX).is_err());
    }

    #[test]
    fn a_cooldown_may_be_zero_and_up_to_its_bound() {
        let build = |cooldown| Policy::builder().cooldown(cooldown).build();
        assert!(build(Duration::ZERO).is_ok());
        assert!(build(MAX_COOLDOWN).is_ok());
        assert!(build(MAX_COOLDOWN + SECOND).is_err());
    }

    #[test]
    fn limits_are_accepted_within_their_bounds() {
        type Set = fn(PolicyBuilder, u32) -> PolicyBuilder;
        let limits: [(Set, u32); 4] = [
            (PolicyBuilder::per_hour, MAX_CAP),
            (PolicyBuilder::per_day, MAX_CAP),
            (PolicyBuilder::guesses_per_day, MAX_CAP),
            (PolicyBuilder::max_attempts, MAX_ATTEMPTS),
        ];
        for (set, max) in limits {
            let build = |value| set(Policy::builder(), value).build();
            assert!(build(0).is_err());
            assert!(build(1).is_ok());
            assert!(build(max).is_ok());
            assert!(build(max + 1).is_err());
        }
    }
}
