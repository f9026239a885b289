//! Public keys, read and validated once. The algorithm is the key's, never the request's.

use std::{fmt, sync::Arc};

use ring::{
    agreement::{self, EphemeralPrivateKey},
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
        UnparsedPublicKey,
    },
};
use spki::{
    ObjectIdentifier, SubjectPublicKeyInfoRef,
    der::{Decode, Reader, SliceReader, asn1::UintRef},
};

use super::pem::{self, KeyError};

/// Smallest RSA modulus, in bits.
pub const MIN_RSA_BITS: usize = 2048;
/// Largest RSA modulus, in bits: what `ring` verifies with.
pub const MAX_RSA_BITS: usize = 8192;

/// Longest RSA exponent, in bits: a longer one makes verifying dear, and `ring` refuses it.
const MAX_RSA_EXPONENT_BITS: usize = 33;
/// Bytes of a P-256 or Ed25519 signature.
const CURVE_SIGNATURE_BYTES: usize = 64;
/// Bytes of an Ed25519 public key.
const ED25519_BYTES: usize = 32;

/// `rsaEncryption`, RFC 8017
pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// `id-ecPublicKey`, RFC 5480
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1`, RFC 5480
pub(super) const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `id-Ed25519`, RFC 8410
pub(super) const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// How a key signs, by the names of RFC 7518 and RFC 8037.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    /// RSA PKCS#1 v1.5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256; the signature is r and s, 32 bytes each.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// Its name in the signed header.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// base64url of `{"alg":…,"typ":"JWT"}`. All are of one length.
    pub(super) const fn encoded_header(self) -> &'static str {
        match self {
            Self::Rs256 => "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9",
            Self::Es256 => "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9",
            Self::EdDsa => "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9",
        }
    }
}

/// A public key that has been validated. Clones share it.
///
/// ```
/// use tower_registration::signature::{KeyError, SigningAlgorithm, VerifyingKey};
///
/// let key = VerifyingKey::from_pem(
///     "-----BEGIN PUBLIC KEY-----\n\
///      MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n\
///      -----END PUBLIC KEY-----\n",
/// )?;
/// assert_eq!(key.algorithm(), SigningAlgorithm::EdDsa);
/// assert_eq!(VerifyingKey::from_pem("11qYAYKxCrfV"), Err(KeyError::NotPem));
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(Arc<Inner>);

#[derive(PartialEq, Eq)]
enum Inner {
    /// Modulus and exponent, without leading zeros.
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// An uncompressed point.
    P256(Vec<u8>),
    Ed25519([u8; ED25519_BYTES]),
}

impl VerifyingKey {
    /// Reads a PEM block: `PUBLIC KEY` (SPKI, RFC 5280) of an RSA, P-256 or Ed25519 key, or
    /// `RSA PUBLIC KEY` (PKCS#1, RFC 8017).
    ///
    /// # Errors
    ///
    /// If it is none, or the key is none to rely on; the error says what to write instead.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(pem)?;
        match label {
            "PUBLIC KEY" => Self::from_spki(&der),
            "RSA PUBLIC KEY" => Self::from_pkcs1(&der),
            other => Err(KeyError::NotAPublicKey(other.to_owned())),
        }
    }

    fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::Malformed)?;
        let key = info
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Malformed)?;
        let parameters = info.algorithm.parameters;
        match info.algorithm.oid {
            RSA if parameters.is_some_and(|any| any.is_null()) => Self::from_pkcs1(key),
            ED25519_OID if parameters.is_none() => Self::from_ed25519(key),
            EC if info.algorithm.parameters_oid() == Ok(P256) => Self::from_p256(key),
            RSA | ED25519_OID => Err(KeyError::Malformed),
            _ => Err(KeyError::UnsupportedAlgorithm),
        }
    }

    pub(super) fn from_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let (modulus, exponent) = read_pkcs1(der).map_err(|_| KeyError::Malformed)?;
        let bits = bit_length(modulus);
        if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
            return Err(KeyError::RsaSize(bits));
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        let exponent_fits = (2..=MAX_RSA_EXPONENT_BITS).contains(&bit_length(exponent));
        if !is_odd(modulus) || !is_odd(exponent) || !exponent_fits {
            return Err(KeyError::RsaNumbers);
        }
        Ok(Self(Arc::new(Inner::Rsa {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        })))
    }

    pub(super) fn from_p256(point: &[u8]) -> Result<Self, KeyError> {
        // `ring` shows no point validation but that of a key agreement. Nothing but whether it
        // succeeds is used, and that depends on the point alone.
        EphemeralPrivateKey::generate(&agreement::ECDH_P256, &SystemRandom::new())
            .and_then(|own| {
                let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, point);
                agreement::agree_ephemeral(own, &peer, |_| ())
            })
            .map_err(|_| KeyError::P256Point)?;
        Ok(Self(Arc::new(Inner::P256(point.to_vec()))))
    }

    pub(super) fn from_ed25519(key: &[u8]) -> Result<Self, KeyError> {
        let key = key.try_into().map_err(|_| KeyError::Ed25519Length)?;
        Ok(Self(Arc::new(Inner::Ed25519(key))))
    }

    /// The one algorithm that signatures under this key are of.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        match &*self.0 {
            Inner::Rsa { .. } => SigningAlgorithm::Rs256,
            Inner::P256(_) => SigningAlgorithm::Es256,
            Inner::Ed25519(_) => SigningAlgorithm::EdDsa,
        }
    }

    /// The size of the key, in bits: an RSA key's modulus, 256 for the other two.
    #[must_use]
    pub fn bits(&self) -> usize {
        match &*self.0 {
            Inner::Rsa { modulus, .. } => bit_length(modulus),
            Inner::P256(_) | Inner::Ed25519(_) => 256,
        }
    }

    /// The length of every signature under this key, in bytes.
    pub(super) fn signature_bytes(&self) -> usize {
        match &*self.0 {
            Inner::Rsa { modulus, .. } => modulus.len(),
            Inner::P256(_) | Inner::Ed25519(_) => CURVE_SIGNATURE_BYTES,
        }
    }

    /// Whether `signature` is one of `text` under this key.
    pub(super) fn verifies(&self, text: &str, signature: &[u8]) -> bool {
        let text = text.as_bytes();
        match &*self.0 {
            Inner::Rsa { modulus, exponent } => RsaPublicKeyComponents {
                n: modulus,
                e: exponent,
            }
            .verify(&RSA_PKCS1_2048_8192_SHA256, text, signature),
            Inner::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(text, signature)
            }
            Inner::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(text, signature),
        }
        .is_ok()
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.algorithm().name();
        write!(f, "VerifyingKey({algorithm}, {} bits)", self.bits())
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, A.1.1), without leading zeros.
fn read_pkcs1(der: &[u8]) -> spki::der::Result<(&[u8], &[u8])> {
    let mut reader = SliceReader::new(der)?;
    let numbers = reader.sequence(|reader| {
        let modulus = UintRef::decode(reader)?;
        let exponent = UintRef::decode(reader)?;
        spki::der::Result::Ok((modulus.as_bytes(), exponent.as_bytes()))
    })?;
    reader.finish()?;
    Ok(numbers)
}

/// The bit length of a big-endian number without leading zeros.
fn bit_length(number: &[u8]) -> usize {
    number
        .first()
        .map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
