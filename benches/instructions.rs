//! How many instructions the processor takes for one nonce and for one request, by callgrind: a
//! count that no other load on the machine changes.
//!
//! ```sh
//! cargo install gungraun-runner --version 0.20.0   # once; valgrind has to be there too
//! cargo bench --bench instructions
//! ```
//!
//! A count over its limit fails the run, so that what a change costs shows in its review. Limits
//! leave room for what compilers differ by. Layers have been used before; what a function returns is
//! dropped uncounted.

#![expect(
    missing_docs,
    clippy::must_use_candidate,
    reason = "of what gungraun's macros make"
)]

#[path = "requests/layers.rs"]
mod layers;
mod requests;

use std::hint::black_box;

use bytes::Bytes;
use chrono::Utc;
use futures_util::FutureExt;
use gungraun::{
    Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main,
};
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_registration::{
    VerifyRequest, app::StaticApps, backend::memory::MemoryReplayGuard, nonce::Nonce,
};

use crate::{
    layers::{answer, rsa_key, verify},
    requests::{
        body_of,
        support::{Call, nonce_at},
    },
};

type Verify = VerifyRequest<StaticApps, MemoryReplayGuard>;

fn limit(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

fn send(layer: &Verify, call: Request<Full<Bytes>>) -> StatusCode {
    let mut service = layer.layer(service_fn(answer));
    let answer = service.call(call).now_or_never();
    answer.map_or(StatusCode::PROCESSING, |Ok(answer)| answer.status())
}

/// The layers after so many requests that the guard seldom grows.
fn used() -> Verify {
    let layer = verify(5_000);
    for _ in 0..1_000 {
        let call = Call::client_app(Utc::now()).build();
        assert_eq!(send(&layer, call), StatusCode::OK);
    }
    layer
}

fn client() -> (Verify, Request<Full<Bytes>>) {
    let call = Call::client_app(Utc::now()).body(body_of(58));
    (used(), call.build())
}

fn server() -> (Verify, Request<Full<Bytes>>) {
    let (layer, key) = (used(), rsa_key());
    let call = || Call::server_app(Utc::now()).body(body_of(58)).sign(&key);
    assert_eq!(send(&layer, call().build()), StatusCode::OK);
    (layer, call().build())
}

fn header() -> String {
    let header = nonce_at(Utc::now());
    assert!(Nonce::decode(&header).is_ok());
    header
}

#[library_benchmark(config = limit(1_100))]
#[bench::common(header())]
fn nonce_decode(header: String) -> (bool, String) {
    (Nonce::decode(black_box(&header)).is_ok(), header)
}

// The inner service alone, the request's end included.
#[library_benchmark(config = limit(1_700))]
#[bench::used(Call::client_app(Utc::now()).body(body_of(58)).build())]
fn bare(call: Request<Full<Bytes>>) -> StatusCode {
    let answer = service_fn(answer).call(black_box(call)).now_or_never();
    answer.map_or(StatusCode::PROCESSING, |Ok(answer)| answer.status())
}

#[library_benchmark(config = limit(10_000))]
#[bench::used(client())]
fn client_app((layer, call): (Verify, Request<Full<Bytes>>)) -> (StatusCode, Verify) {
    (send(&layer, black_box(call)), layer)
}

#[library_benchmark(config = limit(465_000))]
#[bench::used(server())]
fn server_app((layer, call): (Verify, Request<Full<Bytes>>)) -> (StatusCode, Verify) {
    (send(&layer, black_box(call)), layer)
}

library_benchmark_group!(
    name = instructions,
    benchmarks = [nonce_decode, bare, client_app, server_app]
);
main!(library_benchmark_groups = instructions);
