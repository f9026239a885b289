//! The mail as a value.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::registration::{OrgId, RegistrationCode, Username};

/// A registration mail to be sent: what a [`Template`](super::Template) makes words of.
///
/// `Debug` shows neither the code nor whose it is.
#[derive(Clone)]
pub struct RegistrationEmail {
    /// Where it goes: the address that the store holds.
    pub to: String,
    /// The user's name in the organisation.
    pub username: Username,
    /// The organisation.
    pub org_id: OrgId,
    /// The code, in clear.
    pub code: RegistrationCode,
    /// The user's language as a BCP 47 tag, if known.
    pub locale: Option<String>,
    /// When the code was made.
    pub issued_at: DateTime<Utc>,
    /// The instant from which the code is no longer accepted.
    pub expires_at: DateTime<Utc>,
    /// When this try at the mail began: how long the code is still valid, counts from here.
    pub sent_at: DateTime<Utc>,
    /// The same for each try at this mail, and no other mail's: 32 hex digits, for the left side
    /// of a `Message-ID`.
    pub message_id: String,
}

impl fmt::Debug for RegistrationEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrationEmail")
            .field("org_id", &self.org_id)
            .field("expires_at", &self.expires_at)
            .field("message_id", &self.message_id)
            .finish_non_exhaustive()
    }
}
