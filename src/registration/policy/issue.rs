//! Whether a user gets a new code.

use chrono::{DateTime, Utc};

use super::{Policy, changed, later, mail::live_lease};
use crate::registration::{CurrentCode, OwedMail, Registration, RegistrationStatus, code::NewCode};

/// What [`reissue`] decided. There is nothing else to decide, and whoever swaps must pass neither over:
/// another would be a new major version.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "lives for one swap, and is never kept in numbers"
)]
pub enum Reissue {
    /// The registration with the new code, to be swapped in.
    Issued(Registration),
    /// Nothing changes.
    Kept(Kept),
}

/// Why a user keeps the code that there is, if any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kept {
    /// Has completed registration.
    Registered,
    /// Is switched off.
    Deactivated,
    /// The caller may not deal with users of this kind. Decided by whoever asks for a new code;
    /// [`reissue`] knows nothing of callers.
    KindNotPermitted,
    /// The code is younger than the cooldown.
    CoolingDown,
    /// A mail is on its way right now: it must not arrive with a dead code.
    MailInFlight,
    /// Got all codes that an hour has.
    HourlyCap,
    /// Got all codes that a day has.
    DailyCap,
}

/// Decides whether the user gets `new`, which was made for the generation after
/// `registration.generation`.
#[must_use]
pub fn reissue(
    registration: &Registration,
    now: DateTime<Utc>,
    policy: &Policy,
    new: NewCode,
) -> Reissue {
    if let Err(kept) = may_have_a_code(registration, now, policy) {
        return Reissue::Kept(kept);
    }
    let Some(hour) = policy.hour.draw(registration.budgets.hour, now) else {
        return Reissue::Kept(Kept::HourlyCap);
    };
    let Some(day) = policy.day.draw(registration.budgets.day, now) else {
        return Reissue::Kept(Kept::DailyCap);
    };
    let mut issued = changed(registration);
    issued.generation += 1;
    issued.code = Some(CurrentCode {
        digest: new.digest,
        issued_at: now,
        expires_at: later(now, policy.code_lifetime),
    });
    issued.owed = Some(OwedMail {
        sealed: new.sealed,
        attempts: 0,
        next_at: now,
    });
    issued.lease = None;
    issued.budgets.hour = Some(hour);
    issued.budgets.day = Some(day);
    Reissue::Issued(issued)
}

fn may_have_a_code(
    registration: &Registration,
    now: DateTime<Utc>,
    policy: &Policy,
) -> Result<(), Kept> {
    match registration.status {
        RegistrationStatus::Registered => return Err(Kept::Registered),
        RegistrationStatus::Deactivated => return Err(Kept::Deactivated),
        RegistrationStatus::Pending => {}
    }
    if registration
        .code
        .as_ref()
        .is_some_and(|code| is_young(code, now, policy))
    {
        return Err(Kept::CoolingDown);
    }
    match live_lease(registration, now) {
        Some(_) => Err(Kept::MailInFlight),
        None => Ok(()),
    }
}

/// A code dated more than a cooldown ahead was made under a wrong clock, and is not young.
fn is_young(code: &CurrentCode, now: DateTime<Utc>, policy: &Policy) -> bool {
    now < later(code.issued_at, policy.cooldown) && code.issued_at <= later(now, policy.cooldown)
}
