//! Whether a request is signed by whom it says.
//!
//! `verify_rs256`: `ours` reads the signature's header, writes the canonical text of the whole
//! request and verifies it; `ring_floor` is `ring`'s verification alone, over the same text, ready
//! made, and the same signature, decoded. Peers:
//!
//! - `jsonwebtoken` gets the text ready made as well, and decodes the signature; it is built with
//!   its backend in pure Rust.
//! - `httpsig_hyper` covers method, path, authority and four headers where we cover twelve, and the
//!   body by its digest.
//!
//! `verify_text` is everything but the operation with the key: `ours` reads signature and nonce and
//! writes the canonical text. Peers:
//!
//! - `httpsig_hyper_hmac` makes the signature's base and an HMAC of it, and no digest of the body.
//! - `http_signature_normalization` reads the signature's header and makes the signing string of
//!   the same headers as ours; it covers no body. It takes headers as a map of strings, which is
//!   made within the time as whoever calls it has to.
//! - `scratchstack` is all of AWS Signature Version 4 with a signing key that is there: canonical
//!   request of five headers, its SHA-256 and the body's, one HMAC.
//!
//! Functions that end in `_1k` have a body of 1 KiB, all others one of 58 bytes.

mod requests;
#[path = "requests/sigv4.rs"]
mod sigv4;

use std::{collections::BTreeMap, hint::black_box, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::Utc;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt;
use http::Request;
use http_body_util::{BodyExt, Full};
use httpsig_hyper::{
    ContentDigestType, MessageSignatureReq, RequestContentDigest,
    prelude::{
        AlgorithmName, HttpSignatureParams, PublicKey, SecretKey, SharedKey,
        message_component::HttpMessageComponentId,
    },
};
use jsonwebtoken::{Algorithm, DecodingKey};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use spki::{
    SubjectPublicKeyInfoRef,
    der::{Decode, Document, Reader, SliceReader, asn1::UintRef},
};
use tower_registration::{
    headers::HeaderNames,
    nonce::Nonce,
    signature::{
        ApiSignature, CanonicalRequest, RequestParts, SigningAlgorithm, SigningInput, SigningKey,
        TransportProfile, VerifyingKey, verify,
    },
};

use crate::requests::{
    body_of,
    support::{AUTHORITY, Call},
};

const PRIVATE: &str = include_str!("../tests/keys/test-only-rsa-2048.pem");
const PUBLIC: &str = include_str!("../tests/keys/test-only-rsa-2048.pub.pem");
/// A key of HMAC-SHA-256, in base64; not a secret.
const SHARED: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A signed request as a server has it.
struct Signed {
    request: Request<Full<Bytes>>,
    body: Bytes,
    names: HeaderNames,
}

impl Signed {
    fn new(bytes: usize) -> Self {
        let body = body_of(bytes);
        assert_eq!(body.len(), bytes);
        let key = SigningKey::from_pem(PRIVATE).expect("a key");
        let call = Call::server_app(Utc::now())
            .with("accept", "*/*")
            .with("accept-encoding", "gzip, deflate")
            .with("content-length", &bytes.to_string())
            .with("user-agent", "bench/1.0")
            .body(body.clone());
        Self {
            request: call.sign(&key).build(),
            body: body.into(),
            names: HeaderNames::default(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.request.headers()[name]
            .to_str()
            .expect("visible ASCII")
    }

    fn canonical(&self) -> CanonicalRequest<'_> {
        CanonicalRequest::of(RequestParts {
            method: self.request.method(),
            scheme: "https",
            authority: AUTHORITY,
            path_and_query: self.request.uri().path(),
            host: AUTHORITY,
            headers: self.request.headers(),
            names: &self.names,
            body: &self.body,
        })
        .expect("a canonical text")
    }

    fn text(&self) -> SigningInput {
        self.canonical()
            .signing_input(&TransportProfile::RECEIVED, SigningAlgorithm::Rs256)
    }

    fn is_verified(&self, key: &VerifyingKey) -> bool {
        let signature = ApiSignature::decode(self.header("x-dfns-apisignature"));
        let signature = signature.expect("a signature");
        let keys = std::slice::from_ref(key);
        verify(
            &signature,
            &self.canonical(),
            &[TransportProfile::RECEIVED],
            keys,
        )
        .is_ok()
    }
}

/// Modulus and exponent of a public key in PEM, RFC 5280 and RFC 8017.
fn rsa_numbers(pem: &str) -> (Vec<u8>, Vec<u8>) {
    let (_, document) = Document::from_pem(pem).expect("PEM");
    let info = SubjectPublicKeyInfoRef::from_der(document.as_bytes()).expect("a public key");
    let key = info.subject_public_key.as_bytes().expect("whole bytes");
    let mut reader = SliceReader::new(key).expect("DER");
    let numbers = reader.sequence(|reader| {
        let (n, e) = (UintRef::decode(reader)?, UintRef::decode(reader)?);
        Ok::<_, spki::der::Error>((n.as_bytes().to_vec(), e.as_bytes().to_vec()))
    });
    numbers.expect("two numbers")
}

/// The request as `httpsig_hyper` signs it, by either kind of key.
fn message<K: httpsig_hyper::prelude::SigningKey + Sync>(
    signed: &Signed,
    key: &K,
    digest: bool,
) -> Request<http_body_util::combinators::BoxBody<Bytes, httpsig_hyper::HyperDigestError>> {
    let mut covered = vec![
        "@method",
        "@authority",
        "@path",
        "content-type",
        "x-dfns-appid",
        "x-dfns-nonce",
    ];
    let mut request = Request::put(format!("https://{AUTHORITY}{}", signed.request.uri()))
        .body(Full::new(signed.body.clone()))
        .expect("a request");
    *request.headers_mut() = signed.request.headers().clone();
    let mut request = if digest {
        covered.push("content-digest");
        let digested = request.set_content_digest(&ContentDigestType::Sha256);
        digested.now_or_never().expect("at once").expect("a digest")
    } else {
        request.map(|body| body.map_err(|never| match never {}).boxed())
    };
    let covered: Result<Vec<_>, _> = covered
        .into_iter()
        .map(HttpMessageComponentId::try_from)
        .collect();
    let mut parameters =
        HttpSignatureParams::try_new(&covered.expect("names")).expect("parameters");
    parameters.set_key_info(key);
    let signing = request.set_message_signature(&parameters, key, None);
    signing
        .now_or_never()
        .expect("at once")
        .expect("a signature");
    request
}

fn verify_rs256(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify_rs256");
    let key = VerifyingKey::from_pem(PUBLIC).expect("a key");
    let (modulus, exponent) = rsa_numbers(PUBLIC);
    let floor = RsaPublicKeyComponents {
        n: modulus,
        e: exponent,
    };
    let token_key = DecodingKey::from_rsa_pem(PUBLIC.as_bytes()).expect("a key");
    let peer_key = PublicKey::from_pem(&AlgorithmName::RsaV1_5Sha256, PUBLIC).expect("a key");
    let peer_secret = SecretKey::from_pem(&AlgorithmName::RsaV1_5Sha256, PRIVATE).expect("a key");
    for (bytes, ending) in [(58, ""), (1_024, "_1k")] {
        let signed = Signed::new(bytes);
        assert!(signed.is_verified(&key));
        group.bench_function(format!("ours{ending}"), |bencher| {
            bencher.iter(|| black_box(&signed).is_verified(&key));
        });

        let text = signed.text();
        let encoded = signed.header("x-dfns-apisignature");
        let signature = BASE64_URL_SAFE_NO_PAD.decode(encoded).expect("base64url");
        let is_verified = || {
            let (text, signature) = (text.as_str().as_bytes(), &signature);
            floor
                .verify(&RSA_PKCS1_2048_8192_SHA256, black_box(text), signature)
                .is_ok()
        };
        assert!(is_verified());
        group.bench_function(format!("ring_floor{ending}"), |bencher| {
            bencher.iter(is_verified);
        });

        let is_verified = || {
            let text = black_box(text.as_str().as_bytes());
            jsonwebtoken::crypto::verify(encoded, text, &token_key, Algorithm::RS256)
        };
        assert!(is_verified().expect("a verdict"));
        group.bench_function(format!("jsonwebtoken{ending}"), |bencher| {
            bencher.iter(is_verified);
        });

        let request = || message(&signed, &peer_secret, true);
        let (head, body) = request().into_parts();
        let body = body
            .collect()
            .now_or_never()
            .expect("at once")
            .expect("a body")
            .to_bytes();
        let copy = || Request::from_parts(head.clone(), Full::new(body.clone()));
        let is_verified = |request: Request<Full<Bytes>>| {
            let verdict = request
                .verify_message_signature(&peer_key, None)
                .now_or_never();
            let digest = request.verify_content_digest().now_or_never();
            verdict.is_some_and(|verdict| verdict.is_ok())
                && digest.is_some_and(|digest| digest.is_ok())
        };
        assert!(is_verified(copy()));
        group.bench_function(format!("httpsig_hyper{ending}"), |bencher| {
            bencher.iter_batched(copy, is_verified, BatchSize::SmallInput);
        });
    }
    group.finish();
}

fn verify_text(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify_text");
    for (bytes, ending) in [(58, ""), (1_024, "_1k")] {
        let signed = Signed::new(bytes);
        let ours = || {
            let signed = black_box(&signed);
            let signature = ApiSignature::decode(signed.header("x-dfns-apisignature"));
            let nonce = Nonce::decode(signed.header("x-dfns-nonce"));
            (
                signature.expect("a signature"),
                nonce.expect("a nonce"),
                signed.text(),
            )
        };
        assert!(ours().2.as_str().starts_with("eyJ"));
        group.bench_function(format!("ours{ending}"), |bencher| bencher.iter(ours));
    }

    let signed = Signed::new(58);
    let key = SharedKey::from_base64(&AlgorithmName::HmacSha256, SHARED).expect("a key");
    let request = message(&signed, &key, false);
    let is_verified = || {
        let verdict = black_box(&request).verify_message_signature(&key, None);
        verdict
            .now_or_never()
            .is_some_and(|verdict| verdict.is_ok())
    };
    assert!(is_verified());
    group.bench_function("httpsig_hyper_hmac", |bencher| bencher.iter(is_verified));

    let config =
        http_signature_normalization::Config::default().set_expiration(Duration::from_hours(1));
    let (method, path) = ("PUT", signed.request.uri().path());
    let headers = || -> BTreeMap<String, String> {
        let headers = signed.request.headers().iter();
        let text = |value: &http::HeaderValue| value.to_str().expect("visible ASCII").to_owned();
        headers
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect()
    };
    let unsigned = config
        .begin_sign(method, path, headers())
        .expect("a signing string");
    let ready = unsigned.sign("key".to_owned(), |_| {
        Ok::<_, ()>(signed.header("x-dfns-apisignature").to_owned())
    });
    let authorization = ready.expect("a signature").authorization_header();
    let text = || {
        let mut headers = headers();
        headers.insert("authorization".to_owned(), authorization.clone());
        config
            .begin_verify(method, path, headers)
            .expect("a signing string")
    };
    assert!(text().verify(|_, text| text.contains("x-dfns-nonce")));
    group.bench_function("http_signature_normalization", |bencher| bencher.iter(text));

    let signed = sigv4::signed(&signed);
    assert!(sigv4::is_verified(signed.clone()));
    group.bench_function("scratchstack", |bencher| {
        let copy = || signed.clone();
        bencher.iter_batched(copy, sigv4::is_verified, BatchSize::SmallInput);
    });
    group.finish();
}

criterion_group!(benches, verify_rs256, verify_text);
criterion_main!(benches);
