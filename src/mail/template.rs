//! From a mail to its words.

use std::fmt::{self, Write};

use chrono::TimeDelta;

use super::RegistrationEmail;

/// Longest product name, in characters.
pub const MAX_PRODUCT_NAME: usize = 100;

/// Subject and body of a mail. `Debug` shows the subject alone.
#[derive(Clone, PartialEq, Eq)]
pub struct RenderedEmail {
    /// The subject: one line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The same as HTML. Whatever comes from outside is escaped.
    pub html: String,
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
    note = "use `tower_registration::mail::DefaultTemplate`, or implement `Template`"
)]
pub trait Template: Send + Sync + 'static {
    /// Subject and body of `mail`.
    fn render(&self, mail: &RegistrationEmail) -> RenderedEmail;
}

/// Plain English, as text and as HTML that loads nothing from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultTemplate {
    product: Option<String>,
}

/// A name that fits into no subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no product name: use 1 to {MAX_PRODUCT_NAME} characters without line breaks")]
pub struct InvalidProductName(String);

impl DefaultTemplate {
    /// Mails that name no product.
    #[must_use]
    pub fn new() -> Self {
        Self { product: None }
    }

    /// Mails that name `product` in subject and body: 1 to [`MAX_PRODUCT_NAME`] characters.
    ///
    /// ```
    /// use tower_registration::mail::DefaultTemplate;
    ///
    /// assert!(DefaultTemplate::for_product("Acme & Sons").is_ok());
    /// assert!(DefaultTemplate::for_product("Acme\r\nBcc: all@example.co").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If `product` is empty, too long, or has control characters.
    pub fn for_product(product: &str) -> Result<Self, InvalidProductName> {
        let sized = (1..=MAX_PRODUCT_NAME).contains(&product.chars().count());
        if !sized || product.chars().any(char::is_control) {
            return Err(InvalidProductName(product.to_owned()));
        }
        Ok(Self {
            product: Some(product.to_owned()),
        })
    }

    fn subject(&self) -> String {
        match &self.product {
            Some(product) => format!("Your {product} registration code"),
            None => "Your registration code".to_owned(),
        }
    }
}

impl Default for DefaultTemplate {
    fn default() -> Self {
        Self::new()
    }
}

impl Template for DefaultTemplate {
    fn render(&self, mail: &RegistrationEmail) -> RenderedEmail {
        let subject = self.subject();
        let code = mail.code.expose();
        let user = mail.username.as_str();
        let valid = format!(
            "It is valid for {}, until {} UTC, and works once.",
            lasting(mail.expires_at - mail.issued_at),
            mail.expires_at.format("%Y-%m-%d %H:%M")
        );
        let earlier = "Codes from earlier mails no longer work.";
        let ignore =
            "If you did not ask for it, ignore this mail: without the code, nothing happens.";
        let text =
            format!("{subject} for {user}:\n\n    {code}\n\n{valid}\n{earlier}\n\n{ignore}\n");
        let title = escaped(&subject);
        let user = escaped(user);
        let html = format!(
            "<!DOCTYPE html>\n\
             <html lang=\"en\">\n\
             <head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
             <body style=\"font-family: sans-serif\">\n\
             <p>{title} for {user}:</p>\n\
             <p style=\"font-family: monospace; font-size: 1.5em; font-weight: bold\">\n\
             {code}</p>\n\
             <p>{valid} {earlier}</p>\n\
             <p>{ignore}</p>\n\
             </body>\n\
             </html>\n"
        );
        RenderedEmail {
            subject,
            text,
            html,
        }
    }
}

/// "4 hours", "1 hour", "90 minutes": whole ones, rather too few than too many.
fn lasting(span: TimeDelta) -> String {
    let minutes = span.num_minutes().max(0);
    let (count, unit) = match minutes % 60 {
        0 if minutes > 0 => (minutes / 60, "hour"),
        _ => (minutes, "minute"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// Text as it may stand between tags and within quoted attributes.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string does not fail.
                let _ = write!(html, "&#{};", u32::from(c));
            }
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::registration::{OrgId, Username};

    fn mail(username: &str) -> RegistrationEmail {
        RegistrationEmail {
            to: "jane@example.co".to_owned(),
            username: Username::new(username).unwrap(),
            org_id: OrgId::new("org").unwrap(),
            code: "1234567890123456".parse().unwrap(),
            locale: None,
            issued_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH + TimeDelta::hours(4),
            message_id: "id".to_owned(),
        }
    }

    #[test]
    fn both_bodies_have_the_code_its_user_and_how_long_it_is_valid() {
        let rendered = DefaultTemplate::for_product("Acme")
            .unwrap()
            .render(&mail("jane@example.co"));
        assert_eq!(rendered.subject, "Your Acme registration code");
        for body in [&rendered.text, &rendered.html] {
            for expected in [
                "1234-5678-9012-3456",
                "jane@example.co",
                "Acme",
                "valid for 4 hours, until 1970-01-01 04:00 UTC",
                "earlier mails no longer work",
                "did not ask",
            ] {
                assert!(body.contains(expected), "{expected} in {body}");
            }
        }
    }

    #[test]
    fn what_comes_from_outside_is_escaped_in_html() {
        let template = DefaultTemplate::for_product("<b>&'\"").unwrap();
        let rendered = template.render(&mail("o'neil&co@example.co"));
        assert!(rendered.html.contains("o&#39;neil&#38;co@example.co"));
        assert!(rendered.html.contains("&#60;b&#62;&#38;&#39;&#34;"));
        assert!(!rendered.html.contains("<b>"));
        assert!(rendered.text.contains("o'neil&co@example.co"));
    }

    #[test]
    fn the_html_loads_nothing_from_elsewhere() {
        let html = DefaultTemplate::new().render(&mail("jane@example.co")).html;
        for remote in ["http", "src=", "href=", "url(", "<script", "<img", "<link"] {
            assert!(!html.contains(remote), "{remote}");
        }
    }

    #[test]
    fn a_product_name_is_accepted_up_to_its_bound() {
        let name = |length| DefaultTemplate::for_product(&"ä".repeat(length));
        assert!(name(0).is_err());
        assert!(name(MAX_PRODUCT_NAME).is_ok());
        assert!(name(MAX_PRODUCT_NAME + 1).is_err());
    }

    #[test]
    fn spans_are_told_in_whole_units() {
        let rows = [
            (60, "1 minute"),
            (5_400, "90 minutes"),
            (3_600, "1 hour"),
            (7_259, "2 hours"),
        ];
        for (seconds, expected) in rows {
            assert_eq!(lasting(TimeDelta::seconds(seconds)), expected);
        }
    }

    #[test]
    fn debug_shows_neither_code_nor_user() {
        let mail = mail("jane@example.co");
        let shown = format!("{mail:?} {:?}", DefaultTemplate::new().render(&mail));
        for secret in ["1234", "jane"] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
    }
}
