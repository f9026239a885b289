//! Whether a guess is the code.

use chrono::{DateTime, Utc};

use super::{Policy, changed};
use crate::registration::{CurrentCode, Registration, RegistrationStatus, code::CodeDigest};

/// What [`redeem`] decided. Whoever swaps must pass none of them over: another would be a new major
/// version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redeem {
    /// The guess is the code: the registration, completed, to be swapped in before anybody is
    /// told.
    Redeemed(Registration),
    /// The guess is wrong: the registration with the guess charged, to be swapped in before
    /// anybody is told.
    WrongGuess(Registration),
    /// The guess was not looked at; nothing changes.
    Refused(Refusal),
}

/// Why no guess is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// Has completed registration.
    Registered,
    /// Is switched off.
    Deactivated,
    /// Has never got a code.
    NoCode,
    /// The code's time is over.
    Expired,
    /// All wrong guesses that a day has are spent: even the right code is refused.
    GuessesSpent,
}

/// Decides about a guess: the digest of the text that was sent, made for
/// `registration.generation`, or `None` for a text that is no code, which is a wrong guess too.
#[must_use]
pub fn redeem(
    registration: &Registration,
    now: DateTime<Utc>,
    policy: &Policy,
    guess: Option<&CodeDigest>,
) -> Redeem {
    let code = match live_code(registration, now) {
        Ok(code) => code,
        Err(refusal) => return Redeem::Refused(refusal),
    };
    let Some(guesses) = policy.guesses.draw(registration.budgets.guesses, now) else {
        return Redeem::Refused(Refusal::GuessesSpent);
    };
    let mut next = changed(registration);
    if guess == Some(&code.digest) {
        next.status = RegistrationStatus::Registered;
        next.code = None;
        next.owed = None;
        next.lease = None;
        Redeem::Redeemed(next)
    } else {
        next.budgets.guesses = Some(guesses);
        Redeem::WrongGuess(next)
    }
}

fn live_code(registration: &Registration, now: DateTime<Utc>) -> Result<&CurrentCode, Refusal> {
    match registration.status {
        RegistrationStatus::Registered => return Err(Refusal::Registered),
        RegistrationStatus::Deactivated => return Err(Refusal::Deactivated),
        RegistrationStatus::Pending => {}
    }
    let code = registration.code.as_ref().ok_or(Refusal::NoCode)?;
    if now < code.expires_at {
        Ok(code)
    } else {
        Err(Refusal::Expired)
    }
}
