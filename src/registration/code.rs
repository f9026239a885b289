//! The registration code: four groups of four digits, and the two forms in which a store keeps it.
//!
//! 1. A code is drawn uniformly from 10^16, 53 bits, and written `1234-1234-1234-1234`, as in the
//!    endpoint's published reference.
//! 2. Reading one ignores white space and hyphens; what is left are exactly 16 ASCII digits.
//! 3. In clear it exists in memory and in the mail alone. A store has its [`CodeDigest`] to compare
//!    with, and, while a mail is owed, the [`SealedCode`] to send. Both are made by a
//!    [`RegistrationKey`](super::RegistrationKey).
//!
//! ```
//! use tower_registration::registration::code::RegistrationCode;
//!
//! let code: RegistrationCode = " 1234 5678-9012 3456\n".parse().unwrap();
//! assert_eq!(code.expose(), "1234-5678-9012-3456");
//! assert_eq!(format!("{code:?}"), "RegistrationCode(..)");
//! assert!("1234-5678-9012-345".parse::<RegistrationCode>().is_err());
//! ```

use std::{fmt, str::FromStr};

use base64_simd::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::secret;

/// Digits of a code.
pub const DIGITS: usize = 16;
/// Digits between two hyphens.
const GROUP: usize = 4;
/// Bytes of a code as it is written, hyphens included.
pub(super) const WRITTEN: usize = DIGITS + DIGITS / GROUP - 1;
/// Longest text in which a code is looked for, in bytes: room for every spelling of one.
pub const MAX_SPELLING: usize = 128;
/// How many codes there are.
const CODES: u64 = 10_u64.pow(16);
/// Draws from here on are refused: they would make the lower codes likelier than the rest.
const UNBIASED: u64 = u64::MAX / CODES * CODES;

/// A registration code in clear. Erased on drop, and not shown by `Debug`.
#[derive(Clone)]
pub struct RegistrationCode(Zeroizing<String>);

/// A text that is no registration code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no registration code of {DIGITS} digits")]
#[non_exhaustive]
pub struct InvalidCode;

impl RegistrationCode {
    /// Draws a code, each of the 10^16 equally likely, from what `fill` fills in. Calls it again
    /// in the rare case (one in 2,700) that a draw would favour some codes.
    ///
    /// # Errors
    ///
    /// The first error of `fill`.
    pub fn draw<E>(mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut bytes = Zeroizing::new([0; size_of::<u64>()]);
        loop {
            fill(&mut bytes[..])?;
            let drawn = u64::from_le_bytes(*bytes);
            if drawn < UNBIASED {
                return Ok(Self::numbered(drawn % CODES));
            }
        }
    }

    /// The code as it stands in the mail, `1234-1234-1234-1234`. Whoever calls this answers for
    /// where it goes.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn numbered(number: u64) -> Self {
        let digits = Zeroizing::new(format!("{number:0DIGITS$}"));
        Self::written(digits.chars())
    }

    /// Writes the digits in groups. The capacity is right from the start, so that no reallocation
    /// leaves a copy behind.
    fn written(digits: impl Iterator<Item = char>) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(WRITTEN));
        for (index, digit) in digits.enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            text.push(digit);
        }
        Self(text)
    }
}

impl FromStr for RegistrationCode {
    type Err = InvalidCode;

    /// Reads a code as people type or paste it: white space and hyphens (of which mail programs
    /// know three) are ignored.
    fn from_str(text: &str) -> Result<Self, InvalidCode> {
        if text.len() > MAX_SPELLING {
            return Err(InvalidCode);
        }
        let digits = || {
            text.chars()
                .filter(|c| !c.is_whitespace() && !matches!(c, '-' | '\u{2010}' | '\u{2011}'))
        };
        if digits().count() == DIGITS && digits().all(|c| c.is_ascii_digit()) {
            Ok(Self::written(digits()))
        } else {
            Err(InvalidCode)
        }
    }
}

impl fmt::Debug for RegistrationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RegistrationCode(..)")
    }
}

/// The keyed digest of a code, bound to its user and generation. In serde, base64url text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CodeDigest(pub(crate) [u8; 32]);

/// A text that is no [`CodeDigest`] or [`SealedCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no base64url of a digest or sealed code")]
#[non_exhaustive]
pub struct InvalidEncoding;

/// Compares in constant time.
impl PartialEq for CodeDigest {
    fn eq(&self, other: &Self) -> bool {
        secret::equal(&self.0, &other.0)
    }
}

impl Eq for CodeDigest {}

impl From<CodeDigest> for String {
    fn from(digest: CodeDigest) -> Self {
        URL_SAFE_NO_PAD.encode_to_string(digest.0)
    }
}

impl TryFrom<String> for CodeDigest {
    type Error = InvalidEncoding;

    fn try_from(text: String) -> Result<Self, InvalidEncoding> {
        let bytes = URL_SAFE_NO_PAD
            .decode_to_vec(text)
            .map_err(|_| InvalidEncoding)?;
        bytes.try_into().map(Self).map_err(|_| InvalidEncoding)
    }
}

impl fmt::Debug for CodeDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeDigest(..)")
    }
}

/// A code that the [`RegistrationKey`](super::RegistrationKey) which sealed it can open, for the
/// same user and generation. In serde, base64url text.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SealedCode(pub(crate) Vec<u8>);

/// Compares in constant time.
impl PartialEq for SealedCode {
    fn eq(&self, other: &Self) -> bool {
        secret::equal(&self.0, &other.0)
    }
}

impl Eq for SealedCode {}

impl From<SealedCode> for String {
    fn from(sealed: SealedCode) -> Self {
        URL_SAFE_NO_PAD.encode_to_string(sealed.0)
    }
}

impl TryFrom<String> for SealedCode {
    type Error = InvalidEncoding;

    fn try_from(text: String) -> Result<Self, InvalidEncoding> {
        let bytes = URL_SAFE_NO_PAD
            .decode_to_vec(text)
            .map_err(|_| InvalidEncoding)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for SealedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedCode(..)")
    }
}

/// What a store gets of a new code, and all that it gets.
#[derive(Clone, Debug)]
pub struct NewCode {
    /// To compare guesses with.
    pub digest: CodeDigest,
    /// To send.
    pub sealed: SealedCode,
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn drawn(numbers: &[u64]) -> String {
        let mut numbers = numbers.iter();
        let code = RegistrationCode::draw(|bytes| {
            bytes.copy_from_slice(&numbers.next().unwrap().to_le_bytes());
            Ok::<_, Infallible>(())
        });
        assert!(numbers.next().is_none(), "not all draws were used");
        code.unwrap().expose().to_owned()
    }

    #[test]
    fn a_code_is_four_groups_of_four_digits() {
        assert_eq!(drawn(&[0]), "0000-0000-0000-0000");
        assert_eq!(drawn(&[1_234_567_890_123_456]), "1234-5678-9012-3456");
        assert_eq!(drawn(&[CODES - 1]), "9999-9999-9999-9999");
        assert_eq!(drawn(&[CODES]), "0000-0000-0000-0000");
    }

    #[test]
    fn draws_from_the_biased_tail_are_drawn_again() {
        assert_eq!(UNBIASED % CODES, 0);
        assert_eq!(drawn(&[UNBIASED - 1]), "9999-9999-9999-9999");
        assert_eq!(drawn(&[UNBIASED, u64::MAX, 7]), "0000-0000-0000-0007");
    }

    #[test]
    fn a_failing_generator_makes_no_code() {
        assert_eq!(RegistrationCode::draw(|_| Err("dry")).unwrap_err(), "dry");
    }

    #[test]
    fn white_space_and_hyphens_are_ignored_and_nothing_else() {
        let accepted = [
            "1234-5678-9012-3456",
            "1234567890123456",
            " 1234 5678\t9012\r\n3456 ",
            "1234\u{2011}5678\u{2010}9012\u{a0}3456",
            "-1-2-3-4-5-6-7-8-9-0-1-2-3-4-5-6-",
        ];
        for text in accepted {
            let code: RegistrationCode = text.parse().unwrap();
            assert_eq!(code.expose(), "1234-5678-9012-3456", "{text:?}");
        }
        let refused = [
            "",
            "1234-5678-9012-345",
            "1234-5678-9012-34567",
            "1234-5678-9012-345x",
            "1234_5678_9012_3456",
            "١٢٣٤٥٦٧٨٩٠١٢٣٤٥٦",
        ];
        for text in refused {
            assert!(text.parse::<RegistrationCode>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_spelling_is_read_up_to_its_bound() {
        let spelt = |length: usize| " ".repeat(length - DIGITS) + &"7".repeat(DIGITS);
        assert!(spelt(MAX_SPELLING).parse::<RegistrationCode>().is_ok());
        assert!(spelt(MAX_SPELLING + 1).parse::<RegistrationCode>().is_err());
    }

    #[test]
    fn digests_and_seals_survive_serde_as_text() {
        let digest = CodeDigest([0xfb; 32]);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{}-_s\"", "-_v7".repeat(10)));
        assert_eq!(serde_json::from_str::<CodeDigest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<CodeDigest>("\"AAAA\"").is_err());
        assert!(serde_json::from_str::<SealedCode>("\"?\"").is_err());
    }

    proptest! {
        #[test]
        fn what_is_drawn_can_be_read_back(number: u64) {
            let code = drawn(&[number % UNBIASED]);
            prop_assert_eq!(code.len(), WRITTEN);
            let read: RegistrationCode = code.parse().unwrap();
            prop_assert_eq!(read.expose(), &code);
        }
    }
}
