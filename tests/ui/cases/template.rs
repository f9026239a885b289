//! Text, where a template is asked for, and words for a language that are a map.

use std::collections::HashMap;

use tower_registration::mail::{DefaultTemplate, Template};

/// As `LettreMailer` does.
fn mailer(_: impl Template) {}

fn main() {
    mailer("Your code is {code}");
    let words = HashMap::<&str, &str>::new();
    DefaultTemplate::new().with_translation("nl", words);
}
