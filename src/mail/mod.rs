//! The registration e-mail, its words, and the port that sends it.
//!
//! 1. A [`RegistrationEmail`] is what is to be said, to the address that the store holds.
//! 2. A [`Template`] puts it into words; [`DefaultTemplate`] does so in the user's language.
//! 3. A [`Mailer`] hands it to whatever carries it, and says by its error whether another try may
//!    succeed. Trying again is [`delivery`](crate::delivery)'s business.
//!
//! # What the mail looks like
//!
//! [`DefaultTemplate`] says the same as plain text and as HTML: the code, on a line of its own and
//! large, whose it is, how long it is valid, that it works once and ends the codes before it, and
//! what to do for who did not ask for it. The HTML loads nothing and links to nothing. It fits a
//! screen of 320 pixels, however long the address is, and follows the reader's dark mode. Lines of
//! the text have 78 columns at most, except for an address that is longer. No name or address turns
//! the text around it, whichever direction it is written in.
//!
//! It knows English, German, French, Spanish and Japanese. Another language, or other words for one
//! of these, is a [`Translation`]:
//!
//! ```
//! use tower_registration::mail::{DefaultTemplate, Direction, Lasting, Translation};
//!
//! struct Hebrew;
//!
//! impl Translation for Hebrew {
//!     fn direction(&self) -> Direction {
//!         Direction::RightToLeft
//!     }
//!
//!     fn subject(&self, product: Option<&str>) -> String {
//!         match product {
//!             Some(product) => format!("קוד ההרשמה שלך – {product}"),
//!             None => "קוד ההרשמה שלך".to_owned(),
//!         }
//!     }
//!
//!     fn instruction(&self) -> &'static str {
//!         "יש להזין את הקוד הבא כדי להשלים את ההרשמה:"
//!     }
//!
//!     fn username_label(&self) -> &'static str {
//!         "שם המשתמש שלך:"
//!     }
//!
//!     fn validity(&self, lasting: Lasting, until: &str) -> String {
//!         let lasting = match lasting {
//!             Lasting::Minutes(1) => "דקה אחת".to_owned(),
//!             Lasting::Minutes(minutes) => format!("{minutes} דקות"),
//!             Lasting::Hours(2) => "שעתיים".to_owned(),
//!             Lasting::Hours(hours) => format!("{hours} שעות"),
//!             Lasting::Days(2) => "יומיים".to_owned(),
//!             Lasting::Days(days) => format!("{days} ימים"),
//!         };
//!         format!("הקוד תקף למשך {lasting} (עד {until}) וניתן להשתמש בו פעם אחת בלבד.")
//!     }
//!
//!     fn superseded(&self) -> &'static str {
//!         "קודים מהודעות קודמות אינם תקפים עוד."
//!     }
//!
//!     fn unasked(&self) -> &'static str {
//!         "אם לא ביקשת קוד, אפשר להתעלם מהודעה זו. אין למסור את הקוד לאיש."
//!     }
//! }
//!
//! let template = DefaultTemplate::for_product("Acme")?.with_translation("he", Hebrew);
//! // A user whose locale is `he` or `he-IL` reads Hebrew, and who has none reads German:
//! let template = template.with_fallback("de")?;
//! // Which can't be a language that nobody has taught it:
//! assert!(template.with_fallback("tlh").is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
    DefaultTemplate, Direction, InvalidProductName, Lasting, MAX_PRODUCT_NAME, RenderedEmail,
    Template, Translation, UnknownLanguage,
};

use std::{borrow::Cow, error::Error, future::Future, sync::Arc};

/// Why a mail was not handed over.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether another try may succeed",
    note = "implement `tower_registration::mail::MailError` for the error of your `Mailer`"
)]
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
    note = "use `tower_registration::mail::LettreMailer` (feature `smtp`), or implement `tower_registration::mail::Mailer`"
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
