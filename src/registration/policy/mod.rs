//! What may happen to a registration, as pure functions of the [`Registration`], the time and a
//! [`Policy`]. Nothing here reads a clock, draws a random number or waits.
//!
//! 1. [`reissue`] makes a new code the only live one and owes its mail, in one value: the old code
//!    is dead in the same swap. It keeps everything as it is for a user who has registered, is
//!    deactivated, got a code less than the cooldown ago, is over a cap, or has a mail in flight.
//! 2. [`redeem`] uses the live code up, or charges a wrong guess. Guesses are charged across
//!    codes, and once they are spent the right code is refused too.
//! 3. [`lease`] gives one sender the right to send the owed mail; [`settle`] records what became
//!    of it, if the right is still the sender's.
//! 4. A decision that changes anything returns the whole new value, its version one higher. The
//!    caller swaps it in, and decides again where somebody else was faster.
//! 5. A clock that steps back blocks nobody for longer than a limit's window: times that a clock
//!    in order can't have written are not believed. A code that expired lives again while the
//!    clock shows a time at which it did.
//!
//! ```
//! use chrono::{DateTime, TimeDelta};
//! use tower_registration::registration::{
//!     Kept, NewCode, OrgId, Policy, Registration, RegistrationKey, Reissue, UserId, UserKind,
//!     Username, policy,
//! };
//!
//! let user = UserId {
//!     org_id: OrgId::new("example-org-id").unwrap(),
//!     username: Username::new("jane@example.co").unwrap(),
//! };
//! let key = RegistrationKey::from_bytes([7; 32]).unwrap();
//! let code = "1234-5678-9012-3456".parse().unwrap();
//! let new = NewCode {
//!     digest: key.digest(&user, 1, &code),
//!     sealed: key.seal(&user, 1, &code, [1; 12]),
//! };
//! let (policy, now) = (Policy::default(), DateTime::UNIX_EPOCH);
//!
//! let jane = Registration::pending(UserKind::EndUser, "jane@example.co");
//! let Reissue::Issued(jane) = policy::reissue(&jane, now, &policy, new.clone()) else {
//!     panic!("she has no code yet");
//! };
//! assert_eq!(jane.generation, 1);
//!
//! let soon = now + TimeDelta::seconds(59);
//! assert_eq!(policy::reissue(&jane, soon, &policy, new), Reissue::Kept(Kept::CoolingDown));
//! ```

mod budget;
mod issue;
mod limits;
mod mail;
mod redeem;

use chrono::{DateTime, TimeDelta, Utc};

pub use issue::{Kept, Reissue, reissue};
pub use limits::{
    DEFAULT_CODE_LIFETIME, DEFAULT_COOLDOWN, DEFAULT_GUESSES_PER_DAY, DEFAULT_MAX_ATTEMPTS,
    DEFAULT_PER_DAY, DEFAULT_PER_HOUR, MAX_ATTEMPTS, MAX_CAP, MAX_CODE_LIFETIME, MAX_COOLDOWN,
    MIN_CODE_LIFETIME, Policy, PolicyBuilder, PolicyError,
};
pub use mail::{MAX_LEASE, Settlement, When, is_sendable, lease, leased, settle};
pub use redeem::{Redeem, Refusal, redeem};

use super::Registration;

/// The next version of `registration`.
fn changed(registration: &Registration) -> Registration {
    Registration {
        version: registration.version + 1,
        ..registration.clone()
    }
}

/// `time + delta`, or the end of time.
fn later(time: DateTime<Utc>, delta: TimeDelta) -> DateTime<Utc> {
    time.checked_add_signed(delta)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests;
