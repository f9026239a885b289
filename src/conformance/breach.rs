//! What a rule says when it is broken.

use std::{error::Error, fmt};

/// A rule that is broken.
#[derive(Clone, PartialEq, Eq)]
pub struct Breach {
    rule: Option<Named>,
    what: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Named {
    suite: &'static str,
    sentence: u8,
    rule: &'static str,
}

impl Breach {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            rule: None,
            what: what.into(),
        }
    }

    /// The breach of this rule.
    #[doc(hidden)]
    #[must_use]
    pub fn of(self, suite: &'static str, sentence: u8, rule: &'static str) -> Self {
        let rule = Some(Named {
            suite,
            sentence,
            rule,
        });
        Self { rule, ..self }
    }

    /// The rule's name; none where a rule was run by itself.
    #[must_use]
    pub fn rule(&self) -> Option<&'static str> {
        self.rule.map(|named| named.rule)
    }

    /// The sentence of the contract, in the documentation of the trait, that the rule is about.
    #[must_use]
    pub fn sentence(&self) -> Option<u8> {
        self.rule.map(|named| named.sentence)
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(named) = self.rule {
            let Named {
                suite,
                sentence,
                rule,
            } = named;
            write!(f, "{suite}, sentence {sentence}, {rule}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// The same as `Display`, since it is what `unwrap` shows.
impl fmt::Debug for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Breach {}

/// All rules of a suite that are broken; at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Breaches(Vec<Breach>);

impl Breaches {
    /// An error if there are any.
    #[doc(hidden)]
    pub fn none_of(breaches: Vec<Breach>) -> Result<(), Self> {
        if breaches.is_empty() {
            Ok(())
        } else {
            Err(Self(breaches))
        }
    }

    /// One by one.
    pub fn iter(&self) -> impl Iterator<Item = &Breach> {
        self.0.iter()
    }
}

impl fmt::Display for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rules are broken", self.0.len())?;
        self.0.iter().try_for_each(|breach| write!(f, "\n{breach}"))
    }
}

/// The same as `Display`, since it is what `unwrap` shows.
impl fmt::Debug for Breaches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Breaches {}

/// What a rule comes to: nothing more to say, or that it is broken.
pub type Kept<T = ()> = Result<T, Breach>;

/// Breaks the rule unless a condition holds.
macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err($crate::conformance::Breach::new(format!($($what)+)));
        }
    };
}
pub(super) use ensure;

/// An answer where an error has no place: nothing in the rule makes anything fail.
pub(super) trait Answered<T> {
    fn answered(self, what: &str) -> Kept<T>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Answered<T> for Result<T, E> {
    fn answered(self, what: &str) -> Kept<T> {
        self.map_err(|error| Breach::new(format!("{what} failed: {}", error.into())))
    }
}
