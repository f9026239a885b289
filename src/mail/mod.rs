//! The registration e-mail, its words, and the port that sends it.
//!
//! 1. A [`RegistrationEmail`] is what is to be said, to the address that the store holds.
//! 2. A [`Template`] puts it into words; [`DefaultTemplate`] does so in English.
//! 3. A [`Mailer`] hands it to whatever carries it, and says by its error whether another try may
//!    succeed. Trying again is [`delivery`](crate::delivery)'s business.

mod email;
#[cfg(feature = "smtp")]
mod lettre;
#[cfg(feature = "smtp")]
mod smtp;
mod template;

pub use email::RegistrationEmail;
#[cfg(feature = "smtp")]
pub use lettre::{LettreConfigError, LettreError, LettreMailer, SMTP_TIMEOUT};
pub use template::{
    DefaultTemplate, InvalidProductName, MAX_PRODUCT_NAME, RenderedEmail, Template,
};

use std::{borrow::Cow, error::Error, future::Future, sync::Arc};

/// Why a mail was not handed over.
pub trait MailError: Error + Send + Sync + 'static {
    /// Whether another try may succeed: the server was unreachable, busy or said 4xx. An unknown
    /// outcome is transient too.
    fn is_transient(&self) -> bool;

    /// What the log says of it, so that an operator can act on it. Nothing that names the user:
    /// no address, no code, and so not what a server said in its own words. By default, that no
    /// reason is given.
    fn reason(&self) -> Cow<'static, str> {
        Cow::Borrowed("no reason given")
    }
}

/// Hands registration mails to whatever carries them.
///
/// # Contract
///
/// 1. `Ok` means that the mail is in the hands of somebody else who will deliver it.
/// 2. An error that [is not transient](MailError::is_transient) means that no further try of this
///    mail can succeed.
/// 3. `send` may be called again with the same mail after an error or a lost answer:
///    [`RegistrationEmail::message_id`] is then the same, so that a receiver can drop a double.
/// 4. A dropped future sends nothing more: a send that takes longer than its time is dropped.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no mailer",
    note = "use `tower_registration::mail::LettreMailer` (feature `smtp`), or implement `Mailer`"
)]
pub trait Mailer: Send + Sync + 'static {
    /// Why a mail was not handed over.
    type Error: MailError;

    /// Hands over one mail.
    fn send(
        &self,
        mail: &RegistrationEmail,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}

impl<M: Mailer> Mailer for Arc<M> {
    type Error = M::Error;

    fn send(
        &self,
        mail: &RegistrationEmail,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        M::send(self, mail)
    }
}
