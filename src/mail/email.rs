//! The mail as a value.

use std::fmt;

use chrono::{DateTime, Utc};

use crate::registration::{OrgId, RegistrationCode, UserId, Username};

/// A registration mail to be sent: what a [`Template`](super::Template) makes words of.
///
/// `Debug` shows neither the code nor whose it is.
#[derive(Clone)]
#[non_exhaustive]
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

impl RegistrationEmail {
    /// A mail to the address `to`, sent when its code was made, in no known language: to try a
    /// [`Mailer`](super::Mailer) or a [`Template`](super::Template) out with.
    #[must_use]
    pub fn new(
        to: impl Into<String>,
        user: UserId,
        code: RegistrationCode,
        issued_at: DateTime<Utc>,
        expires_at: DateTime<Utc>,
        message_id: impl Into<String>,
    ) -> Self {
        Self {
            to: to.into(),
            username: user.username,
            org_id: user.org_id,
            code,
            locale: None,
            issued_at,
            expires_at,
            sent_at: issued_at,
            message_id: message_id.into(),
        }
    }

    /// The same mail, tried at another time than that at which its code was made.
    #[must_use]
    pub fn with_sent_at(self, sent_at: DateTime<Utc>) -> Self {
        Self { sent_at, ..self }
    }

    /// The same mail in a language.
    #[must_use]
    pub fn with_locale(self, locale: impl Into<String>) -> Self {
        Self {
            locale: Some(locale.into()),
            ..self
        }
    }
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
