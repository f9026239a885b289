//! Rates by address and by application: whom they count, what they cost, and what they answer.

use std::{marker::PhantomData, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router,
    body::Body,
    extract::ConnectInfo,
    response::{IntoResponse, Response},
};
use http::{Request, StatusCode};
use tower::{Layer, Service};
use tower_governor::{
    GovernorError, GovernorLayer,
    governor::GovernorConfigBuilder,
    key_extractor::{KeyExtractor, PeerIpKeyExtractor, SmartIpKeyExtractor},
};
use tower_http::compression::{Compression, CompressionBody, CompressionLayer};
use tower_registration::verified::Verified;

use super::{
    assert_still_good, assert_used_up,
    browsers::{ORIGIN, cors, preflight},
    checks, honest, new_checks, route, strangers,
};
use crate::{
    layers::through_router,
    support::{Call, guard, start},
};

/// Lets one request through for each key, and another in an hour.
pub(super) fn rated<K>(routes: Router, key: K) -> Router
where
    K: KeyExtractor<Key: Send + Sync> + Send + Sync + 'static,
{
    let mut rate = GovernorConfigBuilder::default().key_extractor(key);
    let rate = rate.period(Duration::from_hours(1)).burst_size(1);
    routes.layer(GovernorLayer::new(rate.finish().unwrap()))
}

/// As if all requests came from here.
pub(super) fn from(address: [u8; 4]) -> Extension<ConnectInfo<SocketAddr>> {
    Extension(ConnectInfo(SocketAddr::from((address, 1))))
}

pub(super) const HERE: [u8; 4] = [192, 0, 2, 1];
const ELSEWHERE: [u8; 4] = [192, 0, 2, 2];

#[tokio::test]
async fn a_rate_by_address_outside_of_the_checks_refuses_before_a_nonce_is_used() {
    let guard = guard();
    let limited = rated(route().layer(checks(&guard)), PeerIpKeyExtractor);
    let here = limited.clone().layer(from(HERE));
    through_router(&here, honest()).await.assert_success();
    let second = honest();
    let answer = through_router(&here, second.clone()).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(answer.headers.contains_key("retry-after"));
    // The same call may be sent again when it is time; another address need not wait.
    assert_still_good(&guard, second).await;
    let elsewhere = limited.layer(from(ELSEWHERE));
    through_router(&elsewhere, honest()).await.assert_success();
}

#[tokio::test]
async fn a_rate_by_address_within_the_checks_uses_the_nonce_up() {
    let guard = guard();
    let router = rated(route(), PeerIpKeyExtractor)
        .layer(checks(&guard))
        .layer(from(HERE));
    through_router(&router, honest()).await.assert_success();
    let second = honest();
    let answer = through_router(&router, second.clone()).await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_used_up(&guard, second).await;
}

#[tokio::test]
async fn strangers_count_only_where_the_rate_is_outside_of_the_checks() {
    let outside = rated(route().layer(new_checks()), PeerIpKeyExtractor);
    let within = rated(route(), PeerIpKeyExtractor).layer(new_checks());
    for (router, second) in [(outside, 429), (within, 401)] {
        let router = router.layer(from(HERE));
        through_router(&router, strangers())
            .await
            .assert_error(401, "AppInvalid");
        let answer = through_router(&router, strangers()).await;
        assert_eq!(answer.status, second);
    }
}

/// The application that was verified, whatever a header says.
#[derive(Clone)]
struct ByApp;

impl KeyExtractor for ByApp {
    type Key = String;

    fn extract<B>(&self, request: &Request<B>) -> Result<String, GovernorError> {
        let app = Verified::of(request.extensions()).app();
        let app = app.ok_or(GovernorError::UnableToExtractKey)?;
        Ok(app.application().id().as_str().to_owned())
    }
}

#[tokio::test]
async fn a_rate_by_application_stands_within_the_checks_that_prove_it() {
    let within = rated(route(), ByApp).layer(new_checks());
    through_router(&within, honest()).await.assert_success();
    let second = through_router(&within, honest()).await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    let another = Call::server_app(start());
    through_router(&within, another).await.assert_success();

    let outside = rated(route().layer(new_checks()), ByApp);
    let nobody = through_router(&outside, honest()).await;
    assert_eq!(nobody.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn preflights_count_only_where_the_rate_is_outside_of_cors() {
    let within = rated(route().layer(new_checks()), PeerIpKeyExtractor).layer(cors());
    let outside = rated(
        route().layer(new_checks()).layer(cors()),
        PeerIpKeyExtractor,
    );
    for (router, second) in [(within, 200), (outside, 429)] {
        let router = router.layer(from(HERE));
        let first = through_router(&router, preflight()).await;
        assert_eq!(first.status, StatusCode::OK);
        let answer = through_router(&router, preflight()).await;
        assert_eq!(answer.status, second);
    }
}

#[tokio::test]
async fn a_page_may_read_the_429_only_where_the_rate_is_within_cors() {
    let within = rated(route().layer(new_checks()), PeerIpKeyExtractor).layer(cors());
    let outside = rated(
        route().layer(new_checks()).layer(cors()),
        PeerIpKeyExtractor,
    );
    for (router, may_read) in [(within, true), (outside, false)] {
        let router = router.layer(from(HERE));
        let call = || honest().with("origin", ORIGIN);
        through_router(&router, call()).await.assert_success();
        let refused = through_router(&router, call()).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        let allowed = refused.headers.get("access-control-allow-origin");
        assert_eq!(allowed.is_some(), may_read);
    }
}

#[tokio::test]
async fn a_rate_without_the_peers_address_serves_nobody() {
    let router = rated(route().layer(new_checks()), PeerIpKeyExtractor);
    let answer = through_router(&router, honest()).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn an_address_that_the_proxy_adds_to_the_clients_own_is_not_the_one_that_counts() {
    let router = rated(route().layer(new_checks()), SmartIpKeyExtractor).layer(from(HERE));
    let by = |header: &str| honest().with("x-forwarded-for", header);
    for invented in ["198.51.100.1", "198.51.100.2", "198.51.100.3"] {
        let added_to = format!("{invented}, 192.0.2.7");
        let answer = through_router(&router, by(&added_to)).await;
        answer.assert_success();
    }
    let replaced = through_router(&router, by("192.0.2.7")).await;
    replaced.assert_success();
    let replaced = through_router(&router, by("192.0.2.7")).await;
    assert_eq!(replaced.status, StatusCode::TOO_MANY_REQUESTS);
}

/// A rate of this many in a second, all of them at once: the wait is always shorter than one.
fn until_refused(routes: Router, handler: Option<fn(GovernorError) -> Response>) -> Router {
    let rate = GovernorConfigBuilder::default()
        .period(Duration::from_millis(900))
        .finish()
        .unwrap();
    let layer = GovernorLayer::new(rate);
    let layer = match handler {
        Some(handler) => layer.error_handler(handler),
        None => layer,
    };
    routes.layer(layer).layer(from(HERE))
}

#[tokio::test]
async fn the_429_is_a_line_of_text_with_a_wait_of_0_unless_another_is_made() {
    let own = |_: GovernorError| {
        let error = serde_json::json!({"error": {"name": "Own"}});
        (StatusCode::TOO_MANY_REQUESTS, axum::Json(error)).into_response()
    };
    for (handler, is_own) in [(None, false), (Some(own as fn(_) -> _), true)] {
        let router = until_refused(route().layer(new_checks()), handler);
        let mut answer = through_router(&router, honest()).await;
        for _ in 0..1_000 {
            if answer.status == StatusCode::TOO_MANY_REQUESTS {
                break;
            }
            answer.assert_success();
            answer = through_router(&router, honest()).await;
        }
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
        if is_own {
            assert_eq!(answer.error_name(), "Own");
        } else {
            assert_eq!(answer.body, "Too Many Requests! Wait for 0s");
            assert_eq!(answer.headers["retry-after"], "0");
        }
    }
}

#[tokio::test]
async fn a_rate_forgets_no_address_until_it_is_swept_and_then_none_that_still_waits() {
    for (period, left) in [(Duration::from_micros(1), 0), (Duration::from_hours(1), 1)] {
        let rate = GovernorConfigBuilder::default().period(period).finish();
        let rate = rate.unwrap();
        let limiter = Arc::clone(rate.limiter());
        let router = route().layer(new_checks()).layer(GovernorLayer::new(rate));
        let router = router.layer(from(HERE));
        through_router(&router, honest()).await.assert_success();
        // The governor's clock is the machine's: the shorter period is over by then.
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(limiter.len(), 1);
        limiter.retain_recent();
        assert_eq!(limiter.len(), left, "{period:?}");
    }
}

/// Whether a type is a service for axum's requests.
struct Served<S>(PhantomData<S>);

impl<S: Service<Request<Body>>> Served<S> {
    #[expect(
        clippy::unused_self,
        reason = "found by the type of the value, if it is there"
    )]
    fn is_service(&self) -> bool {
        true
    }
}

trait Otherwise {
    fn is_service(&self) -> bool {
        false
    }
}

impl<S> Otherwise for Served<S> {}

fn served<S>(_: &S) -> Served<S> {
    Served(PhantomData)
}

#[tokio::test]
async fn the_governor_wraps_no_body_but_axums_so_that_compression_stands_outside_of_it() {
    let rate = || GovernorConfigBuilder::default().finish().unwrap();
    let around_axum = GovernorLayer::<_, _, Body>::new(rate()).layer(route());
    assert!(served(&around_axum).is_service());
    let compressed: Compression<Router> = CompressionLayer::new().layer(route());
    assert!(served(&compressed).is_service());
    let around_compression =
        GovernorLayer::<_, _, CompressionBody<Body>>::new(rate()).layer(compressed);
    assert!(!served(&around_compression).is_service());

    let compressed = CompressionLayer::new().layer(around_axum);
    assert!(served(&compressed).is_service());
}
