//! How often the heap is asked, counted on the thread that asks: the other tests of this binary
//! neither change a count nor notice that they are counted.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
};

use allocation_counter::measure;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppSecretHash, Application, StaticApps},
    backend::memory::MemoryReplayGuard,
    clock::ManualClock,
    nonce::{Claim, ClaimOutcome, Nonce, NonceId, ReplayGuard},
    signature::SigningKey,
};

use crate::support::{
    AUTHORITY, CLIENT_APP, Call, SECRET, SERVER_APP, guard, nonce_at, start, verify_with,
};

/// Requests of one kind that are counted, each by itself.
const REQUESTS: usize = 1_000;
/// Extensions are a boxed map, which has a table, in which the proofs are boxed: one each.
const CLIENT_APP_COUNT: u64 = 3;
/// As above, `ring`'s own 5, and one each for signature, JSON and signed text.
const SERVER_APP_COUNT: u64 = 11;

/// An inner service that asks the heap for nothing.
fn answer<B>(_: Request<B>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::default())))
}

/// Allocations of one call of `service`, which has to answer at once and with 200.
fn count<S, R>(service: &mut S, request: Request<Full<Bytes>>) -> u64
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible>,
{
    let mut status = None;
    let info = measure(|| {
        let answer = service.call(request).now_or_never();
        status = answer.map(|Ok(answer)| answer.status().as_u16());
    });
    assert_eq!(status, Some(200));
    info.count_total
}

/// A guard that grows seldom, as one does that has been serving for a while.
fn grown_guard() -> Arc<MemoryReplayGuard> {
    let guard = MemoryReplayGuard::builder().capacity(5 * REQUESTS);
    let before = start() - TimeDelta::days(1);
    Arc::new(guard.started_at(before).build().unwrap())
}

/// The allocations that a request takes behind `verify`, over those of the inner service by itself:
/// the median of several requests, since a claim for which the guard grows takes more.
#[track_caller]
fn median_of<G: ReplayGuard>(
    verify: &VerifyRequest<StaticApps, G>,
    call: impl Fn() -> Call,
) -> Option<u64> {
    let mut bare = service_fn(answer);
    let mut verified = verify.layer(service_fn(answer));
    let mut counts: Vec<_> = (0..REQUESTS)
        .map(|_| count(&mut verified, call().build()) - count(&mut bare, call().build()))
        .collect();
    counts.sort_unstable();
    counts.get(REQUESTS / 2).copied()
}

#[test]
fn the_counter_counts() {
    let text = std::hint::black_box("text");
    assert_eq!(measure(|| drop(text.to_owned())).count_total, 1);
}

#[test]
fn reading_a_nonce_allocates_nothing() {
    let header = nonce_at(start());
    let mut nonce = None;
    let info = measure(|| nonce = Nonce::decode(&header).ok());
    assert_eq!(nonce.map(|nonce| nonce.datetime()), Some(start()));
    assert_eq!(info.count_total, 0);
}

#[test]
fn a_client_side_application_costs_one_extension() {
    let verify = verify_with(&ManualClock::at(start()), &grown_guard());
    let median = median_of(&verify, || Call::client_app(start()));
    assert_eq!(median, Some(CLIENT_APP_COUNT));
}

#[test]
fn a_server_side_application_costs_the_extension_the_signature_and_its_text() {
    let key = SigningKey::from_pem(include_str!("../keys/test-only-rsa-2048.pem")).unwrap();
    let app = Application::server_side(
        AppId::new(SERVER_APP).unwrap(),
        vec![AppSecretHash::of(SECRET).unwrap()],
        vec![key.verifying_key().clone()],
    );
    let verify = VerifyRequest::builder()
        .apps(StaticApps::new([app]).unwrap())
        .replay_guard(grown_guard())
        .authority(AUTHORITY)
        .clock(ManualClock::at(start()))
        .build()
        .unwrap();
    let median = median_of(&verify, || Call::server_app(start()).sign(&key));
    assert_eq!(median, Some(SERVER_APP_COUNT));
}

/// The nonce of this number, claimed for the `number`-th millisecond.
fn claim(guard: &MemoryReplayGuard, app: &AppId, nonce: NonceId, number: i64) -> ClaimOutcome {
    let now: DateTime<Utc> = start() + TimeDelta::milliseconds(number);
    let claim = Claim::new(app, nonce, now, now + TimeDelta::seconds(300), now);
    guard.claim(claim).now_or_never().unwrap().unwrap()
}

#[test]
fn claims_allocate_only_where_the_guard_grows_and_replays_never() {
    const WARM: i64 = 100_000;
    const CLAIMS: i64 = 10_000;
    let (guard, app) = (guard(), AppId::new(CLIENT_APP).unwrap());
    let nonce = |number: i64| NonceId::of(&format!("nonce number {number}")).unwrap();
    for number in 0..WARM {
        let outcome = claim(&guard, &app, nonce(number), number);
        assert_eq!(outcome, ClaimOutcome::Claimed);
    }
    let mut allocations = 0;
    for number in WARM..WARM + CLAIMS {
        let nonce = nonce(number);
        let mut outcome = None;
        let info = measure(|| outcome = Some(claim(&guard, &app, nonce, number)));
        assert_eq!(outcome, Some(ClaimOutcome::Claimed));
        allocations += info.count_total;
    }
    assert!(
        allocations < CLAIMS.unsigned_abs() / 16,
        "{allocations} allocations"
    );
    let nonce = nonce(0);
    let mut outcome = None;
    let info = measure(|| outcome = Some(claim(&guard, &app, nonce, WARM + CLAIMS)));
    assert_eq!(outcome, Some(ClaimOutcome::Replayed));
    assert_eq!(info.count_total, 0);
}
