//! Who sends the owed mail, and what became of it.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Policy, changed, later};
use crate::registration::{Lease, OwedMail, Registration, RegistrationStatus};

/// Longest lease. One that ends later was taken under a clock that has since stepped back, and
/// holds nobody up.
pub const MAX_LEASE: TimeDelta = TimeDelta::minutes(10);

/// Whether [`lease`] waits for the owed mail's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Only once it is due.
    Due,
    /// Even before: the last try of a process that stops.
    Early,
}

/// What became of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Settlement {
    /// It is in the hands of somebody who will deliver it.
    Delivered,
    /// It was not handed over, or nobody knows; another try may succeed.
    Transient {
        /// When to try again.
        retry_at: DateTime<Utc>,
    },
    /// It was not tried: this sender can't open its code. Another one may, and no try is counted.
    Unopened {
        /// When to look again.
        retry_at: DateTime<Utc>,
    },
    /// No try can succeed.
    Permanent,
    /// It was not sent, since it is of no use any more ([`is_sendable`]).
    Moot,
}

/// Leases the owed mail to the caller until `until`, or returns `None` where nothing is owed, the
/// time has not come, or somebody else has a live lease.
#[must_use]
pub fn lease(
    registration: &Registration,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    when: When,
) -> Option<Registration> {
    let owed = registration.owed.as_ref()?;
    let come = when == When::Early || owed.next_at <= now;
    (come && live_lease(registration, now).is_none()).then(|| leased(registration, until))
}

/// The registration with a new lease, whatever it was before. For an
/// [`Outbox`](crate::registration::Outbox), which knows by its index that a mail is due.
#[must_use]
pub fn leased(registration: &Registration, until: DateTime<Utc>) -> Registration {
    let mut leased = changed(registration);
    leased.lease = Some(Lease {
        token: leased.version,
        until,
    });
    leased
}

/// Records what became of the mail that was sent under the lease `token`, and ends the lease.
/// `None` if the lease is no longer the sender's: then somebody else answers for the user's mail.
///
/// A transient failure is the end of the mail if it was the last try that the policy has, or if
/// the code would have expired at the next.
#[must_use]
pub fn settle(
    registration: &Registration,
    token: u64,
    policy: &Policy,
    settlement: Settlement,
) -> Option<Registration> {
    registration.lease.filter(|lease| lease.token == token)?;
    let mut settled = changed(registration);
    settled.lease = None;
    settled.owed = match settlement {
        Settlement::Transient { retry_at } => {
            retried(registration, retry_at, 1).filter(|owed| owed.attempts < policy.max_attempts)
        }
        Settlement::Unopened { retry_at } => retried(registration, retry_at, 0),
        Settlement::Delivered | Settlement::Permanent | Settlement::Moot => None,
    };
    Some(settled)
}

/// The mail after so many more tries, if its code is still alive when it is looked at again.
fn retried(registration: &Registration, retry_at: DateTime<Utc>, tries: u32) -> Option<OwedMail> {
    let owed = registration.owed.as_ref()?;
    let code = registration.code.as_ref()?;
    (retry_at < code.expires_at).then(|| OwedMail {
        sealed: owed.sealed.clone(),
        attempts: owed.attempts.saturating_add(tries),
        next_at: retry_at,
    })
}

/// Whether the owed mail would still be of use: the user has yet to register, and the code lives.
#[must_use]
pub fn is_sendable(registration: &Registration, now: DateTime<Utc>) -> bool {
    let live = registration
        .code
        .as_ref()
        .is_some_and(|code| now < code.expires_at);
    live && registration.status == RegistrationStatus::Pending
}

/// The lease, unless it has ended or can't be real.
pub(super) fn live_lease(registration: &Registration, now: DateTime<Utc>) -> Option<&Lease> {
    let lease = registration.lease.as_ref()?;
    (lease.until > now && lease.until <= later(now, MAX_LEASE)).then_some(lease)
}
