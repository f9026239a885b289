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
    der::{
        Decode, Reader, SliceReader,
        asn1::{AnyRef, UintRef},
    },
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
#[non_exhaustive]
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
            RSA if parameters.is_some_and(AnyRef::is_null) => Self::from_pkcs1(key),
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
    pub(super) fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    const RSA: &str = include_str!("../../tests/keys/test-only-rsa-2048.pub.pem");
    const RSA_PKCS1: &str = include_str!("../../tests/keys/test-only-rsa-2048-pkcs1.pub.pem");
    const P256: &str = include_str!("../../tests/keys/test-only-p256.pub.pem");
    const P256_COMPRESSED: &str =
        include_str!("../../tests/keys/test-only-p256-compressed.pub.pem");
    const P384: &str = include_str!("../../tests/keys/test-only-p384.pub.pem");
    const ED25519: &str = include_str!("../../tests/keys/test-only-ed25519.pub.pem");
    const PRIVATE: &str = include_str!("../../tests/keys/test-only-ed25519.pem");

    /// An `RSAPublicKey`; no leading zeros but where DER needs one.
    fn pkcs1(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
        let integers: Vec<u8> = [modulus, exponent]
            .into_iter()
            .flat_map(|number| {
                let sign = if number[0] >= 0x80 { &[0][..] } else { &[] };
                tlv(2, &[sign, number].concat())
            })
            .collect();
        tlv(0x30, &integers)
    }

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap();
        let [high, low] = length.to_be_bytes();
        let header = match length {
            0..=0x7f => vec![tag, low],
            0x80..=0xff => vec![tag, 0x81, low],
            _ => vec![tag, 0x82, high, low],
        };
        [&header, content].concat()
    }

    /// An odd number of that many bits.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        modulus
    }

    const F4: &[u8] = &[1, 0, 1];

    #[track_caller]
    fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<usize, KeyError> {
        VerifyingKey::from_pkcs1(&pkcs1(modulus, exponent)).map(|key| key.bits())
    }

    #[test]
    fn keys_that_openssl_writes_are_read_and_decide_the_algorithm() {
        for (pem, expected) in [
            (RSA, "VerifyingKey(RS256, 2048 bits)"),
            (RSA_PKCS1, "VerifyingKey(RS256, 2048 bits)"),
            (P256, "VerifyingKey(ES256, 256 bits)"),
            (ED25519, "VerifyingKey(EdDSA, 256 bits)"),
        ] {
            assert_eq!(
                format!("{:?}", VerifyingKey::from_pem(pem).unwrap()),
                expected
            );
        }
        assert_eq!(
            VerifyingKey::from_pem(RSA),
            VerifyingKey::from_pem(RSA_PKCS1)
        );
    }

    #[test]
    fn line_ends_white_space_around_the_block_and_text_before_it_do_not_matter() {
        let windows = format!("\n {}\r\n", RSA.replace('\n', "\r\n"));
        let told = format!("Key Attributes: <none>\n{RSA}");
        for pem in [windows, told] {
            assert_eq!(VerifyingKey::from_pem(&pem), VerifyingKey::from_pem(RSA));
        }
    }

    #[test]
    fn what_is_no_public_key_is_refused_with_the_way_out() {
        let refused = |pem: &str| VerifyingKey::from_pem(pem).unwrap_err();
        assert_eq!(refused(""), KeyError::NotPem);
        assert_eq!(
            refused(&RSA.replace("-----END", "----END")),
            KeyError::NotPem
        );
        assert_eq!(refused(&RSA.replace("MII", "M!I")), KeyError::NotPem);
        assert_eq!(refused(&format!("{RSA}{ED25519}")), KeyError::NotPem);
        assert_eq!(refused(&format!("{RSA}more")), KeyError::NotPem);
        assert_eq!(refused(&format!("before {RSA}")), KeyError::NotPem);
        assert_eq!(
            refused(PRIVATE),
            KeyError::NotAPublicKey("PRIVATE KEY".into())
        );
        assert_eq!(refused(P384), KeyError::UnsupportedAlgorithm);
        assert_eq!(refused(P256_COMPRESSED), KeyError::P256Point);
        let relabelled = RSA.replace("PUBLIC KEY", "RSA PUBLIC KEY");
        assert_eq!(refused(&relabelled), KeyError::Malformed);
        assert!(refused(PRIVATE).to_string().contains("-pubout"));
    }

    #[test]
    fn an_rsa_modulus_is_accepted_from_2048_to_8192_bits() {
        assert_eq!(rsa(&modulus(2047), F4), Err(KeyError::RsaSize(2047)));
        assert_eq!(rsa(&modulus(2048), F4), Ok(2048));
        assert_eq!(rsa(&modulus(8192), F4), Ok(8192));
        assert_eq!(rsa(&modulus(8193), F4), Err(KeyError::RsaSize(8193)));
        assert!(
            KeyError::RsaSize(1024)
                .to_string()
                .contains("rsa_keygen_bits")
        );
    }

    #[test]
    fn an_rsa_exponent_is_odd_and_between_3_and_2_to_the_33() {
        let n = modulus(2048);
        for bad in [&[1][..], &[2], &[4], &[2, 0, 0, 0, 1]] {
            assert_eq!(rsa(&n, bad), Err(KeyError::RsaNumbers), "{bad:?}");
        }
        for good in [&[3][..], F4, &[1, 255, 255, 255, 255]] {
            assert_eq!(rsa(&n, good), Ok(2048), "{good:?}");
        }
        let mut even = n;
        even[255] -= 1;
        assert_eq!(rsa(&even, F4), Err(KeyError::RsaNumbers));
    }

    #[test]
    fn trailing_data_and_negative_numbers_are_refused() {
        let mut der = pkcs1(&modulus(2048), F4);
        der.push(0);
        assert_eq!(VerifyingKey::from_pkcs1(&der), Err(KeyError::Malformed));
        let third = tlv(0x30, &[tlv(2, &[1]), tlv(2, &[3]), tlv(2, &[5])].concat());
        assert_eq!(VerifyingKey::from_pkcs1(&third), Err(KeyError::Malformed));
        let negative = tlv(0x30, &[tlv(2, &modulus(2048)), tlv(2, F4)].concat());
        assert_eq!(
            VerifyingKey::from_pkcs1(&negative),
            Err(KeyError::Malformed)
        );
    }

    #[test]
    fn a_p256_key_off_the_curve_is_refused() {
        let on_curve = spki_key(P256);
        assert!(VerifyingKey::from_p256(&on_curve).is_ok());
        let mut off_curve = on_curve.clone();
        *off_curve.last_mut().unwrap() ^= 1;
        for bad in [&off_curve[..], &on_curve[..64], &[0], &[]] {
            assert_eq!(VerifyingKey::from_p256(bad), Err(KeyError::P256Point));
        }
    }

    #[test]
    fn an_ed25519_key_has_32_bytes() {
        assert!(VerifyingKey::from_ed25519(&[9; 32]).is_ok());
        for length in [0, 31, 33] {
            assert_eq!(
                VerifyingKey::from_ed25519(&vec![9; length]),
                Err(KeyError::Ed25519Length)
            );
        }
    }

    fn spki_key(pem: &str) -> Vec<u8> {
        let (_, der) = pem::decode(pem).unwrap();
        let info = SubjectPublicKeyInfoRef::from_der(&der).unwrap();
        info.subject_public_key.as_bytes().unwrap().to_vec()
    }
}
