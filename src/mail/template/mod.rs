//! From a mail to its words.

mod bidi;
mod default;
mod html;
mod languages;
mod text;
mod translation;

pub use default::{DefaultTemplate, InvalidProductName, MAX_PRODUCT_NAME, UnknownLanguage};
pub use translation::{Direction, Lasting, Translation};

use std::fmt;

use super::RegistrationEmail;

/// Subject and body of a mail. `Debug` shows the subject alone.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenderedEmail {
    /// The subject: one line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The same as HTML, or empty where the mail is plain text alone. Whatever comes from outside is
    /// escaped.
    pub html: String,
}

impl RenderedEmail {
    /// A mail of plain text.
    #[must_use]
    pub fn new(subject: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            subject: subject.into(),
            text: text.into(),
            html: String::new(),
        }
    }

    /// The same mail with an HTML side.
    #[must_use]
    pub fn with_html(self, html: impl Into<String>) -> Self {
        Self {
            html: html.into(),
            ..self
        }
    }
}

impl fmt::Debug for RenderedEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderedEmail")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Puts a mail into words, in the language of [`RegistrationEmail::locale`] as far as it knows it.
///
/// Rendering can't fail: where something is missing, fall back. A panic counts as a failed try.
/// Escape what goes into HTML, and keep line breaks out of the subject.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no template",
    note = "use `tower_registration::mail::DefaultTemplate`, or implement `tower_registration::mail::Template`"
)]
pub trait Template: Send + Sync + 'static {
    /// Subject and body of `mail`.
    fn render(&self, mail: &RegistrationEmail) -> RenderedEmail;
}
