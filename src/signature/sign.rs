//! Private keys, for whoever calls the API.

use std::{fmt, sync::Arc};

use base64_simd::URL_SAFE_NO_PAD;
use ring::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
        RsaKeyPair,
    },
};
use spki::{
    AlgorithmIdentifierRef, ObjectIdentifier,
    der::{Decode, Reader, SliceReader},
};

use super::{
    key::{self, SigningAlgorithm, VerifyingKey},
    pem::{self, KeyError},
};

/// Largest RSA modulus to sign with, in bits: `ring` signs with no larger one.
pub const MAX_RSA_SIGNING_BITS: usize = 4096;

/// A private key. Clones share it; `Debug` shows its algorithm and size alone.
///
/// ```
/// use tower_registration::signature::{KeyError, SigningKey};
///
/// let key = SigningKey::from_pem(
///     "-----BEGIN PRIVATE KEY-----\n\
///      MC4CAQAwBQYDK2VwBCIEIBftnHPp22SewYmmEoMcX8VwI4IHwaqd+9LFPj/15eqF\n\
///      -----END PRIVATE KEY-----\n",
/// )?;
/// assert_eq!(format!("{key:?}"), "SigningKey(EdDSA, 256 bits)");
/// assert!(SigningKey::from_pem("MC4CAQAwBQYDK2VwBCIE").is_err());
/// # Ok::<(), KeyError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Pair>,
    verifying: VerifyingKey,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The operating system gave no random bytes, without which RSA and P-256 don't sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signing failed: the operating system gave no random bytes")]
#[non_exhaustive]
pub struct SigningFailed;

impl SigningKey {
    /// Reads a PEM block: `PRIVATE KEY` (PKCS#8) of an RSA (2048 to [`MAX_RSA_SIGNING_BITS`] bits),
    /// P-256 or Ed25519 key, or `RSA PRIVATE KEY` (PKCS#1). The decoded bytes are erased.
    ///
    /// # Errors
    ///
    /// If it is none, or the key is refused; the error says what to write instead.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, der) = pem::decode(pem)?;
        match label {
            "PRIVATE KEY" => Self::from_pkcs8(&der),
            "RSA PRIVATE KEY" => Self::from_rsa(RsaKeyPair::from_der(&der)),
            other => Err(KeyError::NotAPrivateKey(other.to_owned())),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let (oid, curve) = read_algorithm(der).map_err(|_| KeyError::Malformed)?;
        match oid {
            key::RSA => Self::from_rsa(RsaKeyPair::from_pkcs8(der)),
            key::EC if curve == Some(key::P256) => {
                let random = SystemRandom::new();
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, &random)
                    .map_err(refused)?;
                let verifying = VerifyingKey::from_p256(pair.public_key().as_ref())?;
                Ok(Self::new(Pair::P256(pair), verifying))
            }
            key::ED25519_OID => {
                // "Unchecked" is the case of a file without the public key, as OpenSSL writes it;
                // where the file holds one, it is checked.
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(refused)?;
                let verifying = VerifyingKey::from_ed25519(pair.public_key().as_ref())?;
                Ok(Self::new(Pair::Ed25519(pair), verifying))
            }
            _ => Err(KeyError::UnsupportedAlgorithm),
        }
    }

    fn from_rsa(pair: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<Self, KeyError> {
        let pair = pair.map_err(refused)?;
        let verifying = VerifyingKey::from_pkcs1(pair.public().as_ref())?;
        let key = Self::new(Pair::Rsa(pair), verifying);
        // `ring` looks at some of the numbers only when it signs: better a start that fails than
        // every request.
        key.sign("").map_err(|_| {
            KeyError::PrivateKeyRefused("it signs nothing: its numbers don't fit".to_owned())
        })?;
        Ok(key)
    }

    fn new(pair: Pair, verifying: VerifyingKey) -> Self {
        Self {
            pair: Arc::new(pair),
            verifying,
        }
    }

    /// How it signs.
    #[must_use]
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.verifying.algorithm()
    }

    /// Its public half.
    #[must_use]
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// The signature of `text`, in base64url without padding.
    ///
    /// RSA blinding and ECDSA's nonces draw on the operating system's generator: nothing else
    /// would keep the key safe, and so it is no argument.
    ///
    /// # Errors
    ///
    /// If the operating system gives no random bytes.
    pub fn sign(&self, text: &str) -> Result<String, SigningFailed> {
        let random = SystemRandom::new();
        let text = text.as_bytes();
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature)
                    .map_err(|_| SigningFailed)?;
                Ok(URL_SAFE_NO_PAD.encode_to_string(signature))
            }
            Pair::P256(pair) => pair
                .sign(&random, text)
                .map(|signature| URL_SAFE_NO_PAD.encode_to_string(signature))
                .map_err(|_| SigningFailed),
            Pair::Ed25519(pair) => Ok(URL_SAFE_NO_PAD.encode_to_string(pair.sign(text))),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithm = self.algorithm().name();
        write!(f, "SigningKey({algorithm}, {} bits)", self.verifying.bits())
    }
}

fn refused(reason: ring::error::KeyRejected) -> KeyError {
    KeyError::PrivateKeyRefused(reason.to_string())
}

/// Algorithm and curve of a `PrivateKeyInfo` (RFC 5958). The rest is read, and trailing data
/// refused, by `ring`.
fn read_algorithm(der: &[u8]) -> spki::der::Result<(ObjectIdentifier, Option<ObjectIdentifier>)> {
    SliceReader::new(der)?.sequence(|reader| {
        u8::decode(reader)?;
        let algorithm = AlgorithmIdentifierRef::decode(reader)?;
        reader.read_slice(reader.remaining_len())?;
        Ok((algorithm.oid, algorithm.parameters_oid().ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::ApiSignature;

    macro_rules! key_file {
        ($name:literal) => {
            include_str!(concat!("../../tests/keys/test-only-", $name, ".pem"))
        };
    }

    #[test]
    fn keys_that_openssl_writes_sign_what_their_public_halves_verify() {
        for (private, public) in [
            (key_file!("rsa-2048"), key_file!("rsa-2048.pub")),
            (key_file!("rsa-2048-pkcs1"), key_file!("rsa-2048.pub")),
            (key_file!("p256"), key_file!("p256.pub")),
            (key_file!("ed25519"), key_file!("ed25519.pub")),
        ] {
            let (private, public) = (
                SigningKey::from_pem(private).unwrap(),
                VerifyingKey::from_pem(public).unwrap(),
            );
            assert_eq!(private.verifying_key(), &public);
            let signature = private.sign("text").unwrap();
            let signature = ApiSignature::decode(&signature).unwrap();
            assert!(public.verifies(b"text", signature.as_bytes()));
            assert!(!public.verifies(b"Text", signature.as_bytes()));
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused_with_the_way_out() {
        let refused = |pem: &str| SigningKey::from_pem(pem).unwrap_err();
        let ed25519 = key_file!("ed25519");
        assert_eq!(
            refused(key_file!("rsa-2048.pub")),
            KeyError::NotAPrivateKey("PUBLIC KEY".into())
        );
        assert_eq!(refused(key_file!("p384")), KeyError::UnsupportedAlgorithm);
        assert_eq!(
            refused(&ed25519.replace("PRIVATE KEY", "RSA PRIVATE KEY")),
            KeyError::PrivateKeyRefused("InvalidEncoding".into())
        );
        assert_eq!(refused(&format!("{ed25519}{ed25519}")), KeyError::NotPem);
        assert!(matches!(
            refused(key_file!("rsa-1024")),
            KeyError::PrivateKeyRefused(_)
        ));
    }

    #[test]
    fn an_rsa_key_whose_numbers_do_not_fit_is_refused_when_it_is_loaded() {
        let (label, der) = pem::decode(key_file!("rsa-2048")).unwrap();
        let mut spoiled = der.to_vec();
        // The coefficient of the two primes is the last number.
        *spoiled.last_mut().unwrap() ^= 1;
        let pem = spki::der::pem::encode_string(label, spki::der::pem::LineEnding::LF, &spoiled);
        assert!(matches!(
            SigningKey::from_pem(&pem.unwrap()),
            Err(KeyError::PrivateKeyRefused(_))
        ));
    }

    #[test]
    fn debug_shows_algorithm_and_size_alone() {
        let key = SigningKey::from_pem(key_file!("rsa-2048")).unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(RS256, 2048 bits)");
    }
}
