//! The signature vectors, stage by stage: canonical JSON, signing input, key, verdict.
//!
//! They were made by an implementation apart from ours (`tests/vectors`, or the folder that the
//! environment's `VECTORS_DIR` names).
//!
//! A vector's `canonical_json` and `signing_input` are of the request that was *signed*. Where the
//! request was changed after that, no profile may come to this text; that the signature itself is
//! good is shown by putting the signed request together again from the text.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use tower_registration::{
    headers::HeaderNames,
    signature::{
        ApiSignature, CanonicalRequest, KeyError, RequestParts, TransportProfile, VerifyingKey,
        verify,
    },
    verified::VerifiedSignature,
};

use crate::vectors::{self, Verdict};

/// Vectors in the repository's own file.
const VECTORS: usize = 28;

#[derive(Deserialize)]
struct Vector {
    name: String,
    expect: Verdict,
    alg: String,
    public_key_pem: String,
    request: Wire,
    canonical_json: String,
    signing_input: String,
    signature: String,
}

#[derive(Deserialize)]
struct Wire {
    method: String,
    scheme: String,
    authority: String,
    path: String,
    headers: Vec<(String, String)>,
    body_base64url: String,
}

impl Wire {
    fn with<T>(&self, then: impl FnOnce(&CanonicalRequest<'_>) -> T) -> T {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let names = HeaderNames::default();
        let method = Method::from_bytes(self.method.as_bytes()).unwrap();
        let body = BASE64_URL_SAFE_NO_PAD.decode(&self.body_base64url).unwrap();
        let request = CanonicalRequest::of(RequestParts {
            method: &method,
            scheme: &self.scheme,
            authority: &self.authority,
            path_and_query: &self.path,
            host: &self.authority,
            headers: &headers,
            names: &names,
            body: &body,
        })
        .unwrap();
        then(&request)
    }

    /// The request that a canonical text was made of.
    fn from_canonical(json: &str) -> Self {
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(json).unwrap();
        let text = |name: &str| members[name].as_str().unwrap().to_owned();
        Self {
            method: text("r-method").to_ascii_uppercase(),
            scheme: text("r-scheme"),
            authority: text("r-authority"),
            path: text("r-path"),
            headers: members
                .keys()
                .filter_map(|member| Some((member.strip_prefix("h-")?.to_owned(), text(member))))
                .collect(),
            body_base64url: text("r-body"),
        }
    }

    fn verdict(
        &self,
        signature: &str,
        profiles: &[TransportProfile],
        key: &VerifyingKey,
    ) -> Option<VerifiedSignature> {
        let signature = ApiSignature::decode(signature).ok()?;
        self.with(|request| verify(&signature, request, profiles, std::slice::from_ref(key)).ok())
    }
}

#[test]
fn every_vector_agrees_at_every_stage() {
    let vectors: Vec<Vector> = vectors::load("signatures.json");
    let names: BTreeSet<_> = vectors.iter().map(|vector| &*vector.name).collect();
    assert_eq!(names.len(), vectors.len(), "a name comes twice");
    let mut stages = [0; 4];
    for vector in &vectors {
        let stage = agree(vector);
        stages[stage as usize] += 1;
    }
    assert_eq!(stages.iter().sum::<usize>(), vectors.len());
    if !vectors::from_elsewhere() {
        assert_eq!(vectors.len(), VECTORS);
        // Every way that a vector can go is taken by one.
        assert!(stages.iter().all(|count| *count > 0), "{stages:?}");
    }
}

/// Where a vector's verdict falls.
#[derive(Clone, Copy)]
enum Stage {
    Verified,
    WeakKey,
    ChangedAfterSigning,
    BadSignature,
}

fn agree(vector: &Vector) -> Stage {
    let name = &vector.name;
    let profiles = TransportProfile::DEFAULT;
    let matching = vector.request.with(|request| {
        profiles
            .iter()
            .find(|profile| request.json(profile) == vector.canonical_json)
    });
    let key = match VerifyingKey::from_pem(&vector.public_key_pem) {
        Ok(key) => key,
        Err(error) => {
            if !vectors::from_elsewhere() {
                assert_eq!(error, KeyError::RsaSize(1024), "{name}");
            }
            assert_eq!(vector.expect, Verdict::Reject, "{name}");
            assert!(matching.is_some(), "{name}: canonical JSON");
            return Stage::WeakKey;
        }
    };
    assert_eq!(key.algorithm().name(), vector.alg, "{name}: algorithm");
    let verdict = vector.request.verdict(&vector.signature, profiles, &key);
    let Some(profile) = matching else {
        assert_eq!(
            vector.expect,
            Verdict::Reject,
            "{name}: no profile comes to its text"
        );
        assert!(verdict.is_none(), "{name}: verdict");
        assert_signed_before_the_change(vector, &key);
        return Stage::ChangedAfterSigning;
    };
    let input = vector
        .request
        .with(|request| request.signing_input(profile, key.algorithm()));
    match vector.expect {
        Verdict::Accept => {
            assert_eq!(
                input.as_str(),
                vector.signing_input,
                "{name}: signing input"
            );
            let verified = verdict.expect(name);
            assert_eq!(verified.profile(), profile.name(), "{name}: profile");
            Stage::Verified
        }
        Verdict::Reject => {
            // A vector of algorithm confusion has another header over the same payload.
            let payload = |text: &str| text.split_once('.').unwrap().1.to_owned();
            assert_eq!(
                payload(input.as_str()),
                payload(&vector.signing_input),
                "{name}: payload"
            );
            assert!(verdict.is_none(), "{name}: verdict");
            Stage::BadSignature
        }
    }
}

/// The refusal is the change's doing: before it, text and signature were good.
fn assert_signed_before_the_change(vector: &Vector, key: &VerifyingKey) {
    let name = &vector.name;
    let signed = Wire::from_canonical(&vector.canonical_json);
    let received = TransportProfile::RECEIVED;
    let (json, input) = signed.with(|request| {
        let input = request.signing_input(&received, key.algorithm());
        (request.json(&received), input)
    });
    assert_eq!(json, vector.canonical_json, "{name}: canonical JSON");
    assert_eq!(
        input.as_str(),
        vector.signing_input,
        "{name}: signing input"
    );
    let verdict = signed.verdict(&vector.signature, &[received], key);
    assert!(
        verdict.is_some(),
        "{name}: the signature is good for what was signed"
    );
}
