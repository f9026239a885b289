//! Reading keys as PEM (RFC 7468): one block, its label, and nothing after it. Lines of text before
//! it are allowed, as some tools write what the key is of.

use spki::der::pem;
use zeroize::Zeroizing;

use super::key::{MAX_RSA_BITS, MIN_RSA_BITS};

/// What is wrong with a key, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No PEM block.
    #[error(
        "the key is no PEM block, or something follows it: write one key as text, from its \
         -----BEGIN line to its -----END line"
    )]
    NotPem,
    /// A PEM block of another kind than a public key.
    #[error(
        "the PEM block is a {0:?}: write the public key as \"PUBLIC KEY\", as made by \
         `openssl pkey -in private.pem -pubout` (or `openssl x509 -in cert.pem -pubkey -noout`)"
    )]
    NotAPublicKey(String),
    /// A PEM block of another kind than a private key without password.
    #[error(
        "the PEM block is a {0:?}: write the private key as \"PRIVATE KEY\", as made by \
         `openssl pkcs8 -topk8 -nocrypt -in private.pem`"
    )]
    NotAPrivateKey(String),
    /// The block's content is no key, or something follows the key in it.
    #[error("the PEM block holds no well-formed key: export the key anew")]
    Malformed,
    /// A key of an algorithm that is not supported.
    #[error("the key is of another algorithm: use RSA, ECDSA on P-256, or Ed25519")]
    UnsupportedAlgorithm,
    /// An RSA modulus that is too small or too large.
    #[error(
        "the RSA key has {0} bits: use {MIN_RSA_BITS} to {MAX_RSA_BITS}, as made by \
         `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`"
    )]
    RsaSize(usize),
    /// An RSA modulus or exponent that no proper key has.
    #[error(
        "the RSA key has an even modulus, or an exponent that is not odd and between 3 and 2^33: \
         make a new key with exponent 65537"
    )]
    RsaNumbers,
    /// A P-256 key that is no uncompressed point on the curve.
    #[error(
        "the P-256 key is no uncompressed point on the curve: export it with \
         `openssl pkey -pubin -in public.pem -pubout -ec_conv_form uncompressed`"
    )]
    P256Point,
    /// An Ed25519 key of another length than 32 bytes.
    #[error("the Ed25519 key is not 32 bytes long: export the key anew")]
    Ed25519Length,
    /// A private key that `ring` refuses, with its reason.
    #[error(
        "the private key is refused ({0}): use RSA of 2048 to 4096 bits, P-256 or Ed25519, as made \
         by `openssl genpkey`"
    )]
    PrivateKeyRefused(String),
}

/// The label and the content of the one block of `pem`. Lines may be of any one width.
pub(super) fn decode(pem: &str) -> Result<(&str, Zeroizing<Vec<u8>>), KeyError> {
    let mut decoder =
        pem::Decoder::new_detect_wrap(pem.trim().as_bytes()).map_err(|_| KeyError::NotPem)?;
    // Of its full size from the start: a vector that grows leaves copies behind.
    let mut content = Zeroizing::new(vec![0; decoder.remaining_len()]);
    decoder.decode(&mut content).map_err(|_| KeyError::NotPem)?;
    if decoder.is_finished() {
        Ok((decoder.type_label(), content))
    } else {
        Err(KeyError::NotPem)
    }
}
