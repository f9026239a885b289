//! Reading nonces.
//!
//! `ours` is what the layers call. `composed` is what an engineer would write from the
//! libraries that engineers use most; it refuses less (no length of the random value, one alphabet,
//! no second spelling). `base64_floor` is the decoding of the header's base64 alone, by the library
//! that we use, into a buffer on the stack.

use std::hint::black_box;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use base64_simd::{Out, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use criterion::{Criterion, criterion_group, criterion_main};
use serde::Deserialize;
use tower_registration::nonce::{Nonce, NonceId};
use uuid::Uuid;

/// `{"uuid":"530ea1ea-71c0-410d-ae19-206c17a2a497","date":"2026-11-23T07:44:00.123Z"}`
const HEADER: &str = "eyJ1dWlkIjoiNTMwZWExZWEtNzFjMC00MTBkLWFlMTktMjA2YzE3YTJhNDk3IiwiZGF0ZSI6IjIwMjYtMTEtMjNUMDc6NDQ6MDAuMTIzWiJ9";

#[derive(Deserialize)]
struct Composed {
    uuid: String,
    date: String,
}

fn composed(header: &str) -> Option<(Uuid, DateTime<Utc>)> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(header).ok()?;
    let Composed { uuid, date } = serde_json::from_slice(&json).ok()?;
    let datetime = DateTime::parse_from_rfc3339(&date).ok()?.to_utc();
    Some((Uuid::parse_str(&uuid).ok()?, datetime))
}

fn nonce_decode(criterion: &mut Criterion) {
    let nonce = Nonce::decode(HEADER).expect("a nonce");
    let (uuid, datetime) = composed(HEADER).expect("a nonce");
    assert_eq!(
        (nonce.id(), nonce.datetime()),
        (NonceId::Uuid(uuid), datetime)
    );

    let mut group = criterion.benchmark_group("nonce_decode");
    group.bench_function("ours", |bencher| {
        bencher.iter(|| Nonce::decode(black_box(HEADER)));
    });
    group.bench_function("composed", |bencher| {
        bencher.iter(|| composed(black_box(HEADER)));
    });
    group.bench_function("base64_floor", |bencher| {
        bencher.iter(|| {
            let mut json = [0_u8; 96];
            let decoded =
                URL_SAFE_NO_PAD.decode(black_box(HEADER.as_bytes()), Out::from_slice(&mut json));
            decoded.map(|json| json.len())
        });
    });
    group.finish();
}

criterion_group!(benches, nonce_decode);
criterion_main!(benches);
