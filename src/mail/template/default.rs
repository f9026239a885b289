//! The template for who brings none.

use std::{fmt, iter, sync::Arc};

use super::{
    RenderedEmail, Template, bidi, html,
    languages::{ENGLISH, Language, SHIPPED},
    text,
    translation::{Direction, Lasting, Translation},
};
use crate::mail::RegistrationEmail;

/// Longest product name, in characters.
pub const MAX_PRODUCT_NAME: usize = 100;

/// Text and HTML that loads nothing from elsewhere, in the user's language.
///
/// 1. English (`en`), German (`de`), French (`fr`), Spanish (`es`) and Japanese (`ja`) are there;
///    [`with_translation`](Self::with_translation) brings others, or other words.
/// 2. [`RegistrationEmail::locale`] is looked up as RFC 4647 (3.4) has it, from its end: a user of
///    `de-CH-1996` gets `de-CH` if there is one, else `de`. Upper and lower case are the same, and
///    so are hyphen and underscore.
/// 3. Who has no locale, or none that is known, gets English, or what
///    [`with_fallback`](Self::with_fallback) names.
#[derive(Clone)]
pub struct DefaultTemplate {
    product: Option<String>,
    translations: Vec<(String, Arc<dyn Translation>)>,
    fallback: String,
}

/// A name that fits into no subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no product name: use 1 to {MAX_PRODUCT_NAME} characters, none of which breaks lines or turns text"
)]
pub struct InvalidProductName(String);

/// A language that has no words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no translation for {0:?}: add it by `with_translation` first")]
pub struct UnknownLanguage(String);

/// All that a mail says, before it is laid out. What was put into its sentences stands in isolates.
pub(super) struct Letter<'a> {
    pub(super) language: &'a str,
    pub(super) direction: Direction,
    pub(super) subject: String,
    pub(super) instruction: &'a str,
    pub(super) code: &'a str,
    pub(super) username_label: &'a str,
    pub(super) username: String,
    pub(super) validity: String,
    pub(super) superseded: &'a str,
    pub(super) unasked: &'a str,
}

impl DefaultTemplate {
    /// Mails that name no product.
    #[must_use]
    pub fn new() -> Self {
        Self {
            product: None,
            translations: Vec::new(),
            fallback: ENGLISH.0.to_owned(),
        }
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
    /// If `product` is empty, too long, or has characters that control lines or direction.
    pub fn for_product(product: &str) -> Result<Self, InvalidProductName> {
        let sized = (1..=MAX_PRODUCT_NAME).contains(&product.chars().count());
        if !sized || product.contains(bidi::is_control) {
            return Err(InvalidProductName(product.to_owned()));
        }
        Ok(Self {
            product: Some(product.to_owned()),
            ..Self::new()
        })
    }

    /// The same with words for `language`, a BCP 47 tag, in place of any that there were. The
    /// [module](crate::mail) has an example.
    #[must_use]
    pub fn with_translation(
        mut self,
        language: impl Into<String>,
        translation: impl Translation,
    ) -> Self {
        self.translations
            .push((language.into(), Arc::new(translation)));
        self
    }

    /// The same with `language` for who has none that is known.
    ///
    /// ```
    /// use tower_registration::mail::DefaultTemplate;
    ///
    /// assert!(DefaultTemplate::new().with_fallback("de-AT").is_ok());
    /// assert!(DefaultTemplate::new().with_fallback("nl").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If there are no words for `language` yet.
    pub fn with_fallback(mut self, language: &str) -> Result<Self, UnknownLanguage> {
        let known = self.lookup(language).map(|(tag, _)| tag.to_owned());
        self.fallback = known.ok_or_else(|| UnknownLanguage(language.to_owned()))?;
        Ok(self)
    }

    /// The words for a tag, or for what is left of it without its last parts.
    fn lookup(&self, tag: &str) -> Option<Language<'_>> {
        let mut tags = iter::successors(Some(tag), |tag| Some(tag.rsplit_once(['-', '_'])?.0));
        tags.find_map(|tag| self.exactly(tag))
    }

    fn exactly(&self, tag: &str) -> Option<Language<'_>> {
        // What was added last comes first, and what is shipped last.
        let added = self.translations.iter().rev();
        added
            .map(|(known, words)| (known.as_str(), &**words))
            .chain(SHIPPED)
            .find(|(known, _)| known.eq_ignore_ascii_case(tag))
    }

    fn letter<'a>(&'a self, mail: &'a RegistrationEmail) -> Letter<'a> {
        let wanted = mail.locale.as_deref().and_then(|tag| self.lookup(tag));
        let (language, words) = wanted
            .or_else(|| self.exactly(&self.fallback))
            .unwrap_or(ENGLISH);
        let product = self.product.as_deref().map(bidi::isolated_name);
        let until = mail.expires_at.format("%Y-%m-%d %H:%M UTC").to_string();
        let lasting = Lasting::of(mail.expires_at - mail.sent_at);
        Letter {
            language,
            direction: words.direction(),
            subject: words.subject(product.as_deref()),
            instruction: words.instruction(),
            code: mail.code.expose(),
            username_label: words.username_label(),
            username: bidi::without_controls(mail.username.as_str()),
            validity: words.validity(lasting, &bidi::isolated_identifier(&until)),
            superseded: words.superseded(),
            unasked: words.unasked(),
        }
    }
}

impl Default for DefaultTemplate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DefaultTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let added: Vec<_> = self.translations.iter().map(|(tag, _)| tag).collect();
        f.debug_struct("DefaultTemplate")
            .field("product", &self.product)
            .field("translations", &added)
            .field("fallback", &self.fallback)
            .finish()
    }
}

impl Template for DefaultTemplate {
    fn render(&self, mail: &RegistrationEmail) -> RenderedEmail {
        let mut letter = self.letter(mail);
        letter.subject = letter.subject.replace(bidi::ends_line, " ");
        RenderedEmail {
            subject: bidi::without_idle_isolates(&letter.subject).into_owned(),
            text: text::page(&letter),
            html: html::page(&letter),
        }
    }
}
