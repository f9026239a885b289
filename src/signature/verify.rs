//! Whether a signature is one of this request under one of the application's keys.

use std::fmt;

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_PAD_INDIFFERENT, URL_SAFE_PAD_INDIFFERENT},
};

use super::{
    canonical::CanonicalRequest,
    key::{MAX_RSA_BITS, VerifyingKey},
    profile::TransportProfile,
};
use crate::verified::VerifiedSignature;

/// Most keys of an application that are tried, in the record's order. [`verify`] does not look at
/// those that come after; the check logs a warning about an application that has more.
pub const MAX_KEYS: usize = 8;
/// Longest signature, in bytes: that of the largest RSA key.
pub const MAX_SIGNATURE_BYTES: usize = MAX_RSA_BITS / 8;

/// A decoded signature, of 1 to [`MAX_SIGNATURE_BYTES`] bytes. It says nothing yet about whose it
/// is.
#[derive(Clone)]
pub struct ApiSignature(Vec<u8>);

/// Why a header value is no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureDecodeError {
    /// The empty string.
    #[error("signature is empty")]
    Empty,
    /// More than [`MAX_SIGNATURE_BYTES`] bytes.
    #[error("signature is longer than {MAX_SIGNATURE_BYTES} bytes")]
    TooLong,
    /// Neither base64url nor base64.
    #[error("signature is no base64url")]
    NotBase64,
}

impl ApiSignature {
    /// Reads a header value: base64url or standard base64, padded or not, and nothing else: no
    /// white space, no mix of the two alphabets, no bits left over.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn decode(header: &str) -> Result<Self, SignatureDecodeError> {
        if header.is_empty() {
            return Err(SignatureDecodeError::Empty);
        }
        if header.len() > MAX_SIGNATURE_BYTES.div_ceil(3) * 4 {
            return Err(SignatureDecodeError::TooLong);
        }
        let bytes = if header.contains(['+', '/']) {
            STANDARD_PAD_INDIFFERENT.decode(header)
        } else {
            URL_SAFE_PAD_INDIFFERENT.decode(header)
        }
        .map_err(|_| SignatureDecodeError::NotBase64)?;
        if bytes.len() > MAX_SIGNATURE_BYTES {
            return Err(SignatureDecodeError::TooLong);
        }
        Ok(Self(bytes))
    }
}

impl fmt::Debug for ApiSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiSignature({} bytes)", self.0.len())
    }
}

/// Why a signature is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The application has no key.
    #[error("the application has no key registered")]
    NoKey,
    /// The signature has another length than those under the application's keys.
    #[error("signature has another length than those of the application's keys")]
    WrongLength,
    /// No key verifies it under any profile.
    #[error("signature does not verify under any key and profile")]
    NoMatch,
}

/// Tries the first [`MAX_KEYS`] of `keys` under each of `profiles`, in order. Profiles that come to
/// the same text are tried once; keys whose signatures have another length are passed over.
///
/// # Errors
///
/// If none verifies.
pub fn verify(
    signature: &ApiSignature,
    request: &CanonicalRequest<'_>,
    profiles: &[TransportProfile],
    keys: &[VerifyingKey],
) -> Result<VerifiedSignature, SignatureError> {
    let ApiSignature(signature) = signature;
    let mut candidates = keys
        .iter()
        .take(MAX_KEYS)
        .enumerate()
        .filter(|(_, key)| key.signature_bytes() == signature.len())
        .peekable();
    let Some((_, first)) = candidates.peek() else {
        return Err(if keys.is_empty() {
            SignatureError::NoKey
        } else {
            SignatureError::WrongLength
        });
    };
    let algorithm = first.algorithm();
    for (position, profile) in profiles.iter().enumerate() {
        let tried = &profiles[..position];
        if tried
            .iter()
            .any(|earlier| request.same_text(earlier, profile))
        {
            continue;
        }
        let mut input = request.signing_input(profile, algorithm);
        for (index, key) in candidates.clone() {
            input.set_algorithm(key.algorithm());
            if key.verifies(input.as_str(), signature) {
                return Ok(VerifiedSignature {
                    key: index,
                    profile: profile.name(),
                });
            }
        }
    }
    Err(SignatureError::NoMatch)
}
