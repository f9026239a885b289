//! Whether a signature is one of this request under one of the application's keys.

use std::fmt;

use super::{
    canonical::CanonicalRequest,
    key::{MAX_RSA_BITS, VerifyingKey},
    profile::TransportProfile,
};
use crate::{encoding, verified::VerifiedSignature};

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
#[non_exhaustive]
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
    /// white space, no mix of the two alphabets, no padding cut short, no bits left over.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn decode(header: &str) -> Result<Self, SignatureDecodeError> {
        Self::decode_bytes(header.as_bytes())
    }

    pub(crate) fn decode_bytes(header: &[u8]) -> Result<Self, SignatureDecodeError> {
        if header.is_empty() {
            return Err(SignatureDecodeError::Empty);
        }
        if header.len() > MAX_SIGNATURE_BYTES.div_ceil(3) * 4 {
            return Err(SignatureDecodeError::TooLong);
        }
        let bytes = encoding::decode_to_vec(header).ok_or(SignatureDecodeError::NotBase64)?;
        if bytes.len() > MAX_SIGNATURE_BYTES {
            return Err(SignatureDecodeError::TooLong);
        }
        Ok(Self(bytes))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ApiSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiSignature({} bytes)", self.0.len())
    }
}

/// Why a signature is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The application has no key.
    #[error("the application has no key registered: add its public key to its record")]
    NoKey,
    /// The signature has another length than those under the application's keys.
    #[error(
        "signature has another length than those of the application's keys: it is one by another \
         kind of key, or not raw r||s where the key is P-256"
    )]
    WrongLength,
    /// No key verifies it under any profile.
    #[error(
        "signature does not verify under any key and profile: the client signed another text, or by \
         another key; `insecure_explain_signature` says which, in development"
    )]
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
    let signature = signature.as_bytes();
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
    for profile in distinct(profiles, request) {
        let mut input = request.signing_input(profile, algorithm);
        for (index, key) in candidates.clone() {
            input.set_algorithm(key.algorithm());
            if key.verifies(input.as_str().as_bytes(), signature) {
                return Ok(VerifiedSignature {
                    key: index,
                    profile: profile.name(),
                });
            }
        }
    }
    Err(SignatureError::NoMatch)
}

/// The profiles in order, without those that come to the text of an earlier one.
pub(super) fn distinct<'p>(
    profiles: &'p [TransportProfile],
    request: &CanonicalRequest<'_>,
) -> impl Iterator<Item = &'p TransportProfile> {
    let is_first = |(position, profile): &(usize, &TransportProfile)| {
        let mut earlier = profiles[..*position].iter();
        !earlier.any(|earlier| request.same_text(earlier, profile))
    };
    profiles
        .iter()
        .enumerate()
        .filter(is_first)
        .map(|(_, profile)| profile)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
    use http::{HeaderMap, HeaderName, HeaderValue, Method};
    use proptest::{prelude::*, sample::Index};
    use ring::{hmac, rand::SystemRandom, signature::EcdsaKeyPair};

    use super::*;
    use crate::{
        headers::HeaderNames,
        signature::{RequestParts, SigningAlgorithm, SigningKey, TransportHeader, TransportValue},
    };

    const RSA: &str = include_str!("../../tests/keys/test-only-rsa-2048.pem");
    const RSA_PUBLIC: &str = include_str!("../../tests/keys/test-only-rsa-2048.pub.pem");

    fn p256() -> SigningKey {
        let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        private_key(der.as_ref())
    }

    fn ed25519() -> SigningKey {
        let random = SystemRandom::new();
        let der = ring::signature::Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        private_key(der.as_ref())
    }

    fn private_key(der: &[u8]) -> SigningKey {
        let content = BASE64_STANDARD.encode(der);
        SigningKey::from_pem(&format!(
            "-----BEGIN PRIVATE KEY-----\n{content}\n-----END PRIVATE KEY-----"
        ))
        .unwrap()
    }

    /// A request that owns its parts.
    #[derive(Clone, Debug)]
    struct Sample {
        method: String,
        scheme: String,
        authority: String,
        path: String,
        headers: Vec<(HeaderName, String)>,
        body: Vec<u8>,
    }

    impl Sample {
        fn with<T>(&self, then: impl FnOnce(&CanonicalRequest<'_>) -> T) -> T {
            let mut headers = HeaderMap::new();
            for (name, value) in &self.headers {
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            then(
                &CanonicalRequest::of(RequestParts {
                    method: &Method::from_bytes(self.method.as_bytes()).unwrap(),
                    scheme: &self.scheme,
                    authority: &self.authority,
                    path_and_query: &self.path,
                    host: "",
                    headers: &headers,
                    names: &HeaderNames::default(),
                    body: &self.body,
                })
                .unwrap(),
            )
        }

        fn signed_by(&self, key: &SigningKey, profile: &TransportProfile) -> ApiSignature {
            let text = self.with(|request| request.signing_input(profile, key.algorithm()));
            ApiSignature::decode(&key.sign(text.as_str()).unwrap()).unwrap()
        }

        fn verify(
            &self,
            signature: &ApiSignature,
            profiles: &[TransportProfile],
            keys: &[VerifyingKey],
        ) -> Result<(usize, &'static str), SignatureError> {
            self.with(|request| verify(signature, request, profiles, keys))
                .map(|proof| (proof.key_index(), proof.profile()))
        }

        /// The parts that the text covers, one after the other.
        fn covered(&mut self) -> Vec<&mut String> {
            let mut covered = vec![&mut self.method, &mut self.scheme];
            covered.extend([&mut self.authority, &mut self.path]);
            covered.extend(self.headers.iter_mut().map(|(_, value)| value));
            covered
        }
    }

    const HEADERS: [&str; 12] = [
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "x-dfns-appid",
        "x-dfns-appsecret",
        "x-dfns-nonce",
        "x-dfns-useraction",
    ];

    fn sample() -> Sample {
        Sample {
            method: "PUT".into(),
            scheme: "https".into(),
            authority: "api.example.com".into(),
            path: "/path?query".into(),
            headers: HEADERS
                .map(|name| (HeaderName::from_static(name), format!("value of {name}")))
                .to_vec(),
            body: b"body".to_vec(),
        }
    }

    fn public(keys: &[&SigningKey]) -> Vec<VerifyingKey> {
        keys.iter().map(|key| key.verifying_key().clone()).collect()
    }

    #[test]
    fn every_spelling_of_base64_is_one_signature() {
        let bytes = [0xfb, 0xef, 0xff, 0xfe];
        for header in ["--___g", "--___g==", "++///g", "++///g=="] {
            assert_eq!(ApiSignature::decode(header).unwrap().as_bytes(), bytes);
        }
    }

    #[test]
    fn what_is_no_base64_is_no_signature() {
        for header in [
            "-+//_g", "--___g=", "--__ _g", " --___g", "--___h", "=", "--___",
        ] {
            assert_eq!(
                ApiSignature::decode(header).unwrap_err(),
                SignatureDecodeError::NotBase64,
                "{header}"
            );
        }
        assert_eq!(
            ApiSignature::decode("").unwrap_err(),
            SignatureDecodeError::Empty
        );
    }

    #[test]
    fn a_signature_is_accepted_up_to_its_bound_and_refused_past_it() {
        for padded in [true, false] {
            let decode = |length| {
                let bytes = vec![7; length];
                ApiSignature::decode(&if padded {
                    BASE64_URL_SAFE.encode(bytes)
                } else {
                    BASE64_URL_SAFE_NO_PAD.encode(bytes)
                })
            };
            assert!(decode(MAX_SIGNATURE_BYTES).is_ok());
            let refused = SignatureDecodeError::TooLong;
            assert_eq!(decode(MAX_SIGNATURE_BYTES + 1).unwrap_err(), refused);
            assert_eq!(decode(MAX_SIGNATURE_BYTES + 3).unwrap_err(), refused);
        }
    }

    #[test]
    fn the_key_and_the_profile_that_verified_are_told() {
        let (rsa, p256, ed25519) = (SigningKey::from_pem(RSA).unwrap(), p256(), ed25519());
        let keys = public(&[&p256, &rsa, &ed25519]);
        for (index, key) in [(0, &p256), (1, &rsa), (2, &ed25519)] {
            for profile in TransportProfile::DEFAULT {
                let signature = sample().signed_by(key, profile);
                assert_eq!(
                    sample().verify(&signature, TransportProfile::DEFAULT, &keys),
                    Ok((index, profile.name()))
                );
            }
        }
    }

    #[test]
    fn a_profile_that_is_not_set_does_not_count() {
        let key = ed25519();
        let signature = sample().signed_by(&key, &TransportProfile::SHELL);
        let profiles = [TransportProfile::NODE, TransportProfile::RECEIVED];
        assert_eq!(
            sample().verify(&signature, &profiles, &public(&[&key])),
            Err(SignatureError::NoMatch)
        );
    }

    #[test]
    fn profiles_of_one_text_are_one_to_a_request() {
        let same =
            |sample: &Sample, left, right| sample.with(|request| request.same_text(left, right));
        let (node, received) = (&TransportProfile::NODE, &TransportProfile::RECEIVED);
        let mut request = sample();
        assert!(!same(&request, node, received));
        request.headers[3].1.clear();
        assert!(same(&request, node, received));
        let length = TransportValue::Fixed("value of content-length");
        let fixed = received.with(TransportHeader::ContentLength, length);
        assert!(same(&request, &fixed, received));
        // Of two that are the same, the first gives its name.
        let key = ed25519();
        let signature = request.signed_by(&key, received);
        assert_eq!(
            request.verify(&signature, TransportProfile::DEFAULT, &public(&[&key])),
            Ok((0, "node"))
        );
    }

    #[test]
    fn keys_are_tried_up_to_their_bound() {
        let (signer, other) = (ed25519(), ed25519());
        let signature = sample().signed_by(&signer, &TransportProfile::RECEIVED);
        let verify = |others: usize| {
            let mut keys = vec![other.verifying_key().clone(); others];
            keys.push(signer.verifying_key().clone());
            sample().verify(&signature, &[TransportProfile::RECEIVED], &keys)
        };
        assert_eq!(verify(MAX_KEYS - 1), Ok((MAX_KEYS - 1, "received")));
        assert_eq!(verify(MAX_KEYS), Err(SignatureError::NoMatch));
    }

    #[test]
    fn without_keys_nothing_verifies() {
        let signature = sample().signed_by(&ed25519(), &TransportProfile::RECEIVED);
        let profiles = TransportProfile::DEFAULT;
        assert_eq!(
            sample().verify(&signature, profiles, &[]),
            Err(SignatureError::NoKey)
        );
        let rsa = public(&[&SigningKey::from_pem(RSA).unwrap()]);
        assert_eq!(
            sample().verify(&signature, profiles, &rsa),
            Err(SignatureError::WrongLength)
        );
    }

    #[test]
    fn a_public_key_used_as_a_shared_secret_signs_nothing() {
        let keys = [VerifyingKey::from_pem(RSA_PUBLIC).unwrap()];
        let secret = hmac::Key::new(hmac::HMAC_SHA256, RSA_PUBLIC.as_bytes());
        let text = sample().with(|request| {
            request.signing_input(&TransportProfile::RECEIVED, SigningAlgorithm::Rs256)
        });
        let tag = hmac::sign(&secret, text.as_str().as_bytes());
        for length in [32, 256] {
            let mut bytes = tag.as_ref().to_vec();
            bytes.resize(length, 0);
            let signature = ApiSignature::decode(&BASE64_URL_SAFE.encode(bytes)).unwrap();
            assert!(
                sample()
                    .verify(&signature, TransportProfile::DEFAULT, &keys)
                    .is_err()
            );
        }
    }

    #[test]
    fn a_text_that_names_another_algorithm_than_the_keys_is_not_signed() {
        // The signature is genuine, and of the length of the other curve's; the header lies.
        let (p256, ed25519) = (p256(), ed25519());
        for (key, named) in [
            (&p256, SigningAlgorithm::EdDsa),
            (&ed25519, SigningAlgorithm::Es256),
            (&ed25519, SigningAlgorithm::Rs256),
        ] {
            let text = sample().with(|r| r.signing_input(&TransportProfile::RECEIVED, named));
            let signature = ApiSignature::decode(&key.sign(text.as_str()).unwrap()).unwrap();
            assert_eq!(
                sample().verify(
                    &signature,
                    TransportProfile::DEFAULT,
                    &public(&[&p256, &ed25519])
                ),
                Err(SignatureError::NoMatch)
            );
        }
    }

    #[test]
    fn an_all_zero_signature_verifies_under_no_key() {
        let rsa = SigningKey::from_pem(RSA).unwrap();
        let keys = public(&[&rsa, &p256(), &ed25519()]);
        for length in [64, 256] {
            let zeros = BASE64_URL_SAFE.encode(vec![0; length]);
            let signature = ApiSignature::decode(&zeros).unwrap();
            assert_eq!(
                sample().verify(&signature, TransportProfile::DEFAULT, &keys),
                Err(SignatureError::NoMatch)
            );
        }
    }

    proptest! {
        #[test]
        fn a_change_of_any_covered_byte_is_refused(
            with_p256 in any::<bool>(),
            part in any::<Index>(),
            position in any::<Index>(),
            bit in 0..6_u8,
        ) {
            let key = if with_p256 { p256() } else { ed25519() };
            let original = sample();
            let signature = original.signed_by(&key, &TransportProfile::RECEIVED);
            let keys = public(&[&key]);
            let profiles = TransportProfile::DEFAULT;
            prop_assert!(original.verify(&signature, profiles, &keys).is_ok());

            let mut changed = original.clone();
            let parts = changed.covered().len();
            match part.index(parts + 1) {
                0 => {
                    // A method has capital letters alone; another one of them takes its place.
                    let letter = char::from(b'A' + bit);
                    let at = position.index(changed.method.len());
                    changed.method.replace_range(at..=at, &letter.to_string());
                }
                body if body == parts => {
                    let at = position.index(changed.body.len());
                    changed.body[at] ^= 1 << bit;
                }
                part => {
                    let mut covered = changed.covered();
                    let at = position.index(covered[part].len());
                    let byte = covered[part].as_bytes()[at];
                    let other = char::from(b' ' + (byte - b' ' + 1 + bit) % 95);
                    covered[part].replace_range(at..=at, &other.to_string());
                }
            }
            prop_assert_eq!(
                changed.verify(&signature, profiles, &keys),
                Err(SignatureError::NoMatch)
            );
        }

        #[test]
        fn a_header_added_or_removed_is_refused(position in any::<Index>(), with_p256 in any::<bool>()) {
            let key = if with_p256 { p256() } else { ed25519() };
            let full = sample();
            let mut without = full.clone();
            without.headers.remove(position.index(HEADERS.len()));
            for (signed, sent) in [(&full, &without), (&without, &full)] {
                let signature = signed.signed_by(&key, &TransportProfile::RECEIVED);
                // Under `node`, a connection header that the client did not sign is the client's.
                let verdict = sent.verify(&signature, &[TransportProfile::RECEIVED], &public(&[&key]));
                prop_assert_eq!(verdict, Err(SignatureError::NoMatch));
            }
        }
    }

    #[test]
    fn profiles_that_come_to_the_same_text_are_tried_once() {
        let tried = |sample: &Sample| {
            sample.with(|request| {
                distinct(TransportProfile::DEFAULT, request)
                    .map(TransportProfile::name)
                    .collect::<Vec<_>>()
            })
        };
        let mut sample = sample();
        assert_eq!(tried(&sample), ["node", "received", "shell"]);
        let is_named = |name| move |(header, _): &&mut (HeaderName, String)| *header == name;
        let connection = sample.headers.iter_mut().find(is_named("connection"));
        connection.unwrap().1.clear();
        assert_eq!(tried(&sample), ["node", "shell"]);
        for (name, value) in &mut sample.headers {
            match name.as_str() {
                "accept" => *value = "application/json".into(),
                "accept-encoding" | "user-agent" => value.clear(),
                _ => {}
            }
        }
        assert_eq!(tried(&sample), ["node"]);
    }
}
