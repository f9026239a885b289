//! Keys: arbitrary and spoiled ones are refused or load as what they say, and nothing panics.

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, Method};
use tower_registration::{
    headers::HeaderNames,
    signature::{
        ApiSignature, CanonicalRequest, RequestParts, SigningAlgorithm, SigningKey,
        TransportProfile, VerifyingKey, verify,
    },
};

use crate::source::Source;

const KEYS: [&str; 12] = [
    include_str!("../keys/test-only-ed25519.pub.pem"),
    include_str!("../keys/test-only-p256.pub.pem"),
    include_str!("../keys/test-only-rsa-2048.pub.pem"),
    include_str!("../keys/test-only-rsa-2048-pkcs1.pub.pem"),
    include_str!("../keys/test-only-ed25519.pem"),
    include_str!("../keys/test-only-p256.pem"),
    include_str!("../keys/test-only-rsa-2048.pem"),
    include_str!("../keys/test-only-p256-compressed.pub.pem"),
    include_str!("../keys/test-only-p384.pub.pem"),
    include_str!("../keys/test-only-rsa-2048-pkcs1.pem"),
    include_str!("../keys/test-only-rsa-1024.pem"),
    include_str!("../keys/test-only-rsa-1024.pub.pem"),
];

/// Label and content of the first block, with lines of text before it and nothing after it.
fn block(pem: &str) -> Option<(&str, Vec<u8>)> {
    let pem = pem.trim();
    let rest = match pem.strip_prefix("-----BEGIN ") {
        Some(rest) => rest,
        None => pem.split_once("\n-----BEGIN ")?.1,
    };
    let (label, rest) = rest.split_once("-----")?;
    let text = rest.strip_suffix(&format!("-----END {label}-----"))?;
    let text: String = text.split_ascii_whitespace().collect();
    Some((label, BASE64_STANDARD.decode(text).ok()?))
}

/// Content and rest of the DER value with this tag.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (own, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
        let length = bytes
            .iter()
            .fold(0, |all, byte| all << 8 | usize::from(*byte));
        (length, rest)
    };
    (*own == tag)
        .then(|| rest.split_at_checked(length))
        .flatten()
}

/// Algorithm and bits of a public key, by its object identifier and numbers.
fn described(pem: &str) -> Option<(SigningAlgorithm, usize)> {
    let (label, der) = block(pem)?;
    let rsa = |der: &[u8]| {
        let (numbers, _) = value(der, 0x30)?;
        let (modulus, _) = value(numbers, 2)?;
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        let first = modulus.get(zeros)?;
        let bits = (modulus.len() - zeros) * 8 - first.leading_zeros() as usize;
        Some((SigningAlgorithm::Rs256, bits))
    };
    if label == "RSA PUBLIC KEY" {
        return rsa(&der);
    }
    let (info, _) = value(&der, 0x30)?;
    let (algorithm, key) = value(info, 0x30)?;
    let (key, _) = value(key, 3)?;
    match value(algorithm, 6)?.0 {
        [42, 134, 72, 134, 247, 13, 1, 1, 1] => rsa(&key[1..]),
        [42, 134, 72, 206, 61, 2, 1] => Some((SigningAlgorithm::Es256, (key.len() - 2) * 4)),
        [43, 101, 112] => Some((SigningAlgorithm::EdDsa, (key.len() - 1) * 8)),
        _ => None,
    }
}

fn pem(source: &mut Source<'_>) -> String {
    let key = source.pick(&KEYS);
    match source.byte() % 4 {
        0 => source.edited(key),
        1 => {
            let (label, mut der) = block(key).expect("a block");
            source.edit(&mut der);
            wrapped(
                source.pick(&[label, "PUBLIC KEY", "RSA PUBLIC KEY", "PRIVATE KEY"]),
                &der,
            )
        }
        2 => wrapped(
            source.pick(&[
                "PUBLIC KEY",
                "RSA PUBLIC KEY",
                "PRIVATE KEY",
                "RSA PRIVATE KEY",
            ]),
            source.rest(),
        ),
        _ => String::from_utf8_lossy(source.rest()).into_owned(),
    }
}

fn wrapped(label: &str, der: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(der);
    let lines: String = text.as_bytes().chunks(64).fold(String::new(), |all, line| {
        all + std::str::from_utf8(line).expect("ASCII") + "\n"
    });
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}

/// Whether `signature` is taken for one of a plain request.
fn verifies(key: &VerifyingKey, sign: impl FnOnce(&str) -> String) -> bool {
    let (names, headers) = (HeaderNames::default(), HeaderMap::new());
    let request = CanonicalRequest::of(RequestParts {
        method: &Method::PUT,
        scheme: "https",
        authority: "api.example.com",
        path_and_query: "/",
        host: "api.example.com",
        headers: &headers,
        names: &names,
        body: b"{}",
    });
    let request = request.expect("a canonical text");
    let input = request.signing_input(&TransportProfile::RECEIVED, key.algorithm());
    let signature = ApiSignature::decode(&sign(input.as_str())).expect("a signature");
    verify(
        &signature,
        &request,
        &[TransportProfile::RECEIVED],
        std::slice::from_ref(key),
    )
    .is_ok()
}

#[test]
fn keys_load_as_what_they_say_or_are_refused() {
    bolero::check!()
        .with_iterations(2_000)
        .for_each(|bytes: &[u8]| {
            let mut source = Source::new(bytes);
            let pem = pem(&mut source);
            if let Ok(key) = VerifyingKey::from_pem(&pem) {
                let bits = key.bits();
                assert_eq!(described(&pem), Some((key.algorithm(), bits)), "{pem}");
                match key.algorithm() {
                    SigningAlgorithm::Rs256 => assert!((2_048..=8_192).contains(&bits), "{bits}"),
                    SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => assert_eq!(bits, 256),
                    other => panic!("bits of {other:?} are not known"),
                }
                // Of the right length, and none of this text under any key that has been seen.
                let length = bits.div_ceil(8).max(64);
                let junk = BASE64_STANDARD.encode(vec![0x5a; length]);
                assert!(!verifies(&key, |_| junk), "{pem}");
            }
            if let Ok(key) = SigningKey::from_pem(&pem) {
                let public = key.verifying_key();
                assert_eq!(key.algorithm(), public.algorithm());
                assert!(verifies(public, |text| key
                    .sign(text)
                    .expect("a signature")));
                assert!(VerifyingKey::from_pem(&pem).is_err());
            }
        });
}
