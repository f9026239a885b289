//! What a request costs in all, over the inner service alone.
//!
//! `bare` is that service, `tower_http` the same behind a middleware that awaits and lets pass,
//! `client_app` and `server_app` the same behind [`VerifyRequest`](tower_registration::VerifyRequest), on the system's clock, with
//! every nonce fresh; `server_app` verifies an RS256 signature of 2048 bits over a body of 58 bytes,
//! `server_app_1k` over one of 1 KiB. Requests are made before the time is taken, and are dropped
//! with their answers within it.

#[path = "requests/layers.rs"]
mod layers;
mod requests;

use std::{
    convert::Infallible,
    future::ready,
    hint::black_box,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::Utc;
use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_http::auth::AsyncRequireAuthorizationLayer;

use tower_registration::backend::memory::DEFAULT_CAPACITY;

use crate::{
    layers::{answer, rsa_key, verify},
    requests::{body_of, support::Call},
};

type Sent = Request<Full<Bytes>>;

/// Requests that are made in one go: few enough to be in the processor's cache when they are sent,
/// as one that has just been read is.
const BATCH: usize = 50;

fn client_calls() -> Vec<Sent> {
    let call = || Call::client_app(Utc::now()).build();
    std::iter::repeat_with(call).take(10_000).collect()
}

/// Signing is dear: these are few, and used again behind a new guard.
fn server_calls(bytes: usize) -> Vec<Sent> {
    let key = rsa_key();
    let call = || {
        Call::server_app(Utc::now())
            .body(body_of(bytes))
            .sign(&key)
            .build()
    };
    std::iter::repeat_with(call).take(1_000).collect()
}

/// Measures `service`, which is made anew whenever all of `calls` have been sent through it.
fn bench<S, B>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    calls: impl FnOnce() -> Vec<Sent>,
    service: impl Fn() -> S,
) where
    S: Service<Sent, Response = Response<B>, Error = Infallible>,
{
    let send = |service: &mut S, call| service.call(call).now_or_never();
    // A function that is left out makes no calls.
    let mut make = Some(calls);
    let mut calls = Vec::new();
    group.bench_function(name, |bencher| {
        if let Some(make) = make.take() {
            calls = make();
            let mut service = service();
            for call in calls.iter().take(10) {
                let answer = send(&mut service, call.clone()).map(|Ok(answer)| answer.status());
                assert_eq!(answer, Some(StatusCode::OK));
            }
        }
        bencher.iter_custom(|iterations| {
            let mut left = usize::try_from(iterations).expect("as many fit");
            let mut total = Duration::ZERO;
            while left > 0 {
                let mut service = service();
                for part in calls[..calls.len().min(left)].chunks(BATCH) {
                    let batch = part.to_vec();
                    let start = Instant::now();
                    for call in batch {
                        black_box(send(&mut service, call));
                    }
                    total += start.elapsed();
                    left -= part.len();
                }
            }
            total
        });
    });
}

fn stack(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("stack");
    bench(&mut group, "bare", client_calls, || {
        service_fn(answer::<Full<Bytes>>)
    });
    bench(&mut group, "tower_http", client_calls, || {
        let pass = |request: Sent| ready(Ok::<_, Response<Full<Bytes>>>(request));
        AsyncRequireAuthorizationLayer::new(pass).layer(service_fn(answer::<Full<Bytes>>))
    });
    bench(&mut group, "client_app", client_calls, || {
        verify(DEFAULT_CAPACITY).layer(service_fn(answer))
    });
    for (name, bytes) in [("server_app", 58), ("server_app_1k", 1_024)] {
        bench(
            &mut group,
            name,
            || server_calls(bytes),
            || verify(DEFAULT_CAPACITY).layer(service_fn(answer)),
        );
    }
    group.finish();
}

criterion_group!(benches, stack);
criterion_main!(benches);
