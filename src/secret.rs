//! Secret bytes: redacted in `Debug`, erased on drop, compared in constant time.

use std::fmt;

use serde::{Deserialize, Deserializer, de::Error};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Text that must not be printed, logged or compared byte by byte.
///
/// ```
/// use tower_registration::secret::SecretString;
///
/// let secret = SecretString::from("correct horse battery staple");
/// assert_eq!(format!("{secret:?}"), "SecretString(..)");
/// assert!(secret.matches("correct horse battery staple"));
/// assert!(!secret.matches("correct horse battery stable"));
/// ```
// rustc shows the line of the struct to who compares two of them by `==`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretString(String); // compared by `matches`, read by `expose`

impl SecretString {
    /// The text itself. Whoever calls this answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `candidate` is this secret, in time that depends on the lengths alone.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        equal(self.0.as_bytes(), candidate.as_bytes())
    }
}

impl From<&str> for SecretString {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<'de> Deserialize<'de> for SecretString {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<Self, D::Error> {
        // The format's own error would show what it found instead.
        String::deserialize(text)
            .map(Self)
            .map_err(|_| D::Error::custom("a secret is no string"))
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString(..)")
    }
}

/// Constant-time equality: the time depends on the lengths alone.
pub(crate) fn equal(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_string_is_refused_without_being_shown() {
        for json in ["53213", "[53213]", "\"53213"] {
            let error = serde_json::from_str::<SecretString>(json).unwrap_err();
            assert!(!error.to_string().contains("53213"), "{error}");
        }
        let secret: SecretString = serde_json::from_str("\"s3cr3t\"").unwrap();
        assert!(secret.matches("s3cr3t"));
    }

    #[test]
    fn a_derived_debug_shows_no_secret() {
        #[derive(Debug)]
        struct Config {
            name: &'static str,
            secrets: Vec<SecretString>,
        }

        let config = Config {
            name: "acme",
            secrets: vec![SecretString::from("s3cr3t")],
        };
        let shown = format!("{config:?}");
        assert!(config.name == "acme" && config.secrets[0].matches("s3cr3t"));
        let redacted = "Config { name: \"acme\", secrets: [SecretString(..)] }";
        assert_eq!(shown, redacted);
    }
}
