//! The languages that the default template comes with, one file each.
//!
//! Another one is a file like its neighbours, a line in [`SHIPPED`], and a row in
//! `tests/it/languages.rs`, which writes its mails to `tests/mails` to be looked at.

mod english;
mod french;
mod german;
mod japanese;
mod spanish;

use super::translation::Translation;

/// English, which is what is left where nothing else is known.
pub(super) const ENGLISH: Language<'static> = ("en", &english::English);

/// A language: the tag that it goes by, and its words.
pub(super) type Language<'a> = (&'a str, &'a dyn Translation);

pub(super) const SHIPPED: [Language<'static>; 5] = [
    ENGLISH,
    ("de", &german::German),
    ("fr", &french::French),
    ("es", &spanish::Spanish),
    ("ja", &japanese::Japanese),
];
