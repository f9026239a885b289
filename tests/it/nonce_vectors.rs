//! `nonces.json`: every spelling of a nonce, each stage asserted apart.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue};
use serde::Deserialize;
use tower_registration::{
    headers::{Credential, HeaderNames},
    nonce::{Freshness, Nonce},
};

use crate::vectors;

#[derive(Deserialize)]
struct Vector {
    name: String,
    header: String,
    now: DateTime<Utc>,
    max_age_s: u64,
    max_future_s: u64,
    expect: vectors::Verdict,
    why: String,
}

/// The stage that refuses a vector, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Header,
    Decoding,
    Freshness,
    Nowhere,
}

fn run(vector: &Vector) -> Refused {
    let names = HeaderNames::default();
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&vector.header).expect("a header value");
    headers.insert(names.get(Credential::Nonce), value);
    let Ok(value) = names.require(&headers, Credential::Nonce) else {
        return Refused::Header;
    };
    let Ok(nonce) = Nonce::decode(value) else {
        return Refused::Decoding;
    };
    let freshness = Freshness::new(
        Duration::from_secs(vector.max_age_s),
        Duration::from_secs(vector.max_future_s),
    )
    .expect("a window");
    match freshness.check(nonce, vector.now) {
        Ok(_) => Refused::Nowhere,
        Err(_) => Refused::Freshness,
    }
}

/// Which stage has to refuse the vectors that are well-formed or never get that far.
fn expected_stage(vector: &Vector) -> Refused {
    match (vector.expect, vector.name.as_str()) {
        (vectors::Verdict::Accept, _) => Refused::Nowhere,
        (vectors::Verdict::Reject, "empty" | "too-long") => Refused::Header,
        (vectors::Verdict::Reject, "too-old" | "too-new") => Refused::Freshness,
        (vectors::Verdict::Reject, _) => Refused::Decoding,
    }
}

#[test]
fn every_nonce_vector_gets_its_verdict_at_its_stage() {
    let vectors: Vec<Vector> = vectors::load("nonces.json");
    assert!(!vectors.is_empty());
    for vector in &vectors {
        let Vector { name, why, .. } = vector;
        let stage = run(vector);
        let accepted = stage == Refused::Nowhere;
        assert_eq!(
            accepted,
            vector.expect == vectors::Verdict::Accept,
            "{name}: {why} ({stage:?})"
        );
        if !vectors::from_elsewhere() {
            assert_eq!(stage, expected_stage(vector), "{name}: {why}");
        }
    }
}
