//! The value that a store keeps for each user.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::code::{CodeDigest, SealedCode};
use crate::app::Permissions;

/// Where a user stands. A store keeps each of these, so that another would be a new major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RegistrationStatus {
    /// Has yet to register: may get codes and redeem one.
    Pending,
    /// Has completed registration: gets nothing more.
    Registered,
    /// Switched off: gets nothing.
    Deactivated,
}

/// What kind of user. A store keeps each of these, so that another would be a new major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum UserKind {
    /// Works for the customer.
    CustomerEmployee,
    /// Uses what the customer offers.
    EndUser,
}

impl UserKind {
    /// The permission that an application needs to deal with users of this kind.
    #[must_use]
    pub const fn permission(self) -> &'static str {
        match self {
            Self::CustomerEmployee => Permissions::TYPES_EMPLOYEE,
            Self::EndUser => Permissions::TYPES_END_USER,
        }
    }
}

/// All that this crate keeps about a user: one value, swapped as a whole.
///
/// It holds no code in clear: [`CurrentCode`] has a keyed digest, [`OwedMail`] a sealed one.
/// Keep it as columns or as one JSON column beside your own; times are whole microseconds.
///
/// A later version of this crate may add a field: the suite [`conformance`](crate#features) shows whether
/// a store of columns keeps all. What the types of [`code`](Self::code), [`budgets`](Self::budgets),
/// [`owed`](Self::owed) and [`lease`](Self::lease) hold is complete, so that columns can make them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Registration {
    /// Where the user stands.
    pub status: RegistrationStatus,
    /// What kind of user.
    pub kind: UserKind,
    /// Where mail goes: the address that the embedder knows, not what a request spells.
    pub address: String,
    /// The user's language as a BCP 47 tag, if known; for the mail's template.
    #[serde(default)]
    pub locale: Option<String>,
    /// How many codes have been made. Digests and seals are bound to it.
    #[serde(default)]
    pub generation: u64,
    /// The one live code.
    #[serde(default)]
    pub code: Option<CurrentCode>,
    /// What the user has left of each limit.
    #[serde(default)]
    pub budgets: Budgets,
    /// The mail that has yet to go out. There is at most one, since there is one live code.
    #[serde(default)]
    pub owed: Option<OwedMail>,
    /// Who is sending this user a mail right now.
    #[serde(default)]
    pub lease: Option<Lease>,
    /// Counts every change of this value; what a swap compares.
    #[serde(default)]
    pub version: u64,
}

impl Registration {
    /// A user who has yet to register and has no code.
    #[must_use]
    pub fn pending(kind: UserKind, address: impl Into<String>) -> Self {
        Self {
            status: RegistrationStatus::Pending,
            kind,
            address: address.into(),
            locale: None,
            generation: 0,
            code: None,
            budgets: Budgets::default(),
            owed: None,
            lease: None,
            version: 0,
        }
    }

    /// The same user with another status.
    #[must_use]
    pub fn with_status(self, status: RegistrationStatus) -> Self {
        Self { status, ..self }
    }

    /// The same user with a language.
    #[must_use]
    pub fn with_locale(self, locale: impl Into<String>) -> Self {
        Self {
            locale: Some(locale.into()),
            ..self
        }
    }

    /// When a dispatcher should look at this user next: the owed mail's time, but not before a
    /// lease ends. `None` where nothing is owed. A store that is an [`Outbox`](super::Outbox)
    /// keeps this in an indexed column.
    #[must_use]
    pub fn due_at(&self) -> Option<DateTime<Utc>> {
        let owed = self.owed.as_ref()?;
        Some(match &self.lease {
            Some(lease) => owed.next_at.max(lease.until),
            None => owed.next_at,
        })
    }
}

/// The live code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CurrentCode {
    /// Keyed digest of the code, bound to user and generation.
    pub digest: CodeDigest,
    /// When it was made.
    pub issued_at: DateTime<Utc>,
    /// The instant from which it is no longer accepted.
    pub expires_at: DateTime<Utc>,
}

/// The state of the limits: for each, the theoretical arrival time of GCRA, or `None` if it has
/// never been drawn on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Budgets {
    /// Codes an hour.
    pub hour: Option<DateTime<Utc>>,
    /// Codes a day.
    pub day: Option<DateTime<Utc>>,
    /// Wrong guesses a day.
    pub guesses: Option<DateTime<Utc>>,
}

/// A mail that has yet to go out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwedMail {
    /// The code, readable with the [`RegistrationKey`](super::RegistrationKey) alone; gone as soon
    /// as the mail is delivered or given up.
    pub sealed: SealedCode,
    /// How often delivery has been tried.
    pub attempts: u32,
    /// When to try (again).
    pub next_at: DateTime<Utc>,
}

/// The right of one sender to have this user's mail in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The version that the swap which took the lease made: no other lease of this user has it.
    pub token: u64,
    /// When it ends by itself, the sender being taken for dead.
    pub until: DateTime<Utc>,
}
