//! Concurrency and bodies: what is refused before a nonce is used up, and what after.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    error_handling::HandleErrorLayer,
    routing::{get, put},
};
use futures_util::FutureExt;
use http::{Method, Request, StatusCode};
use tokio::{sync::Notify, time::timeout};
use tower::{
    BoxError, ServiceBuilder, ServiceExt,
    limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer},
};
use tower_governor::key_extractor::PeerIpKeyExtractor;
use tower_http::limit::RequestBodyLimitLayer;
use tower_registration::{registration::PATH, signature::DEFAULT_MAX_BODY_BYTES};

use super::{
    Endpoint, Guard, assert_still_good, assert_used_up, checks, honest, new_checks,
    rates::{HERE, from, rated},
    route,
};
use crate::{
    layers::through_router,
    support::{Answer, Call, guard, start},
};

/// A handler that stays until it is told to go on.
#[derive(Clone, Default)]
struct Busy {
    entered: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Busy {
    fn route(&self) -> Router {
        let busy = self.clone();
        let stay = move || async move {
            busy.entered.notify_one();
            busy.go_on.notified().await;
        };
        Router::new().route(PATH, put(stay))
    }

    /// Sends a second call while a first one is being served, which then is let go. What the second
    /// is answered in the meantime, if anything.
    async fn meanwhile(&self, router: &Router, second: Call) -> Option<StatusCode> {
        let first = tokio::spawn({
            let router = router.clone();
            async move { through_router(&router, honest()).await }
        });
        self.entered.notified().await;
        let answer = timeout(Duration::from_secs(1), through_router(router, second)).await;
        self.go_on.notify_one();
        first.await.unwrap().assert_success();
        answer.ok().map(|answer| answer.status)
    }

    /// A second call that is refused, and not kept waiting, while a first one is being served.
    async fn second_call(&self, router: Router) -> Call {
        let second = honest();
        let answer = self.meanwhile(&router, second.clone()).await;
        assert_eq!(answer, Some(StatusCode::SERVICE_UNAVAILABLE));
        second
    }
}

async fn overloaded(error: BoxError) -> StatusCode {
    assert!(error.is::<tower::load_shed::error::Overloaded>(), "{error}");
    StatusCode::SERVICE_UNAVAILABLE
}

/// One request at a time over all copies of the router; `ConcurrencyLimitLayer` would make a limit
/// for each route, and for each request of a router that `with_state` was not called on. What
/// comes meanwhile is refused and not kept waiting.
fn shedding(
    routes: Router,
    outer: impl FnOnce(Router) -> Router,
    inner: impl FnOnce(Router) -> Router,
) -> Router {
    let stack = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(overloaded))
        .load_shed()
        .layer(GlobalConcurrencyLimitLayer::new(1));
    outer(inner(routes).layer(stack))
}

#[tokio::test(start_paused = true)]
async fn load_shed_outside_of_the_checks_refuses_before_a_nonce_is_used() {
    let (busy, guard) = (Busy::default(), guard());
    let router = shedding(busy.route(), |routes| routes, check(&guard));
    let second = busy.second_call(router).await;
    assert_still_good(&guard, second).await;
}

#[tokio::test(start_paused = true)]
async fn load_shed_within_the_checks_uses_the_nonce_up() {
    let (busy, guard) = (Busy::default(), guard());
    let router = shedding(busy.route(), check(&guard), |routes| routes);
    let second = busy.second_call(router).await;
    assert_used_up(&guard, second).await;
}

fn check(guard: &Guard) -> impl FnOnce(Router) -> Router {
    let checks = checks(guard);
    |routes| routes.layer(checks)
}

#[tokio::test(start_paused = true)]
async fn without_load_shed_a_second_call_is_kept_waiting() {
    let busy = Busy::default();
    let limited = busy.route().layer(new_checks());
    let limited = limited.layer(GlobalConcurrencyLimitLayer::new(1));
    assert_eq!(busy.meanwhile(&limited, honest()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_one_for_all_routes_only_if_it_is_global() {
    let elsewhere = || honest().method(Method::GET).uri("/elsewhere").body("");
    let busy = Busy::default();
    let checked = || {
        let both = busy.route().route("/elsewhere", get(|| async {}));
        both.layer(new_checks())
    };
    let of_each = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(overloaded))
        .load_shed()
        .layer(ConcurrencyLimitLayer::new(1));
    // As it is served: until then, a layer is put around a route anew for each request.
    let router = checked().layer(of_each).with_state(());
    let answer = busy.meanwhile(&router, elsewhere()).await;
    assert_eq!(answer, Some(StatusCode::OK));
    let answer = busy.meanwhile(&router, honest()).await;
    assert_eq!(answer, Some(StatusCode::SERVICE_UNAVAILABLE));

    let router = shedding(checked(), |routes| routes, |routes| routes);
    let answer = busy.meanwhile(&router, elsewhere()).await;
    assert_eq!(answer, Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test(start_paused = true)]
async fn a_rate_outside_of_the_limit_refuses_a_flood_before_it_asks_for_a_permit() {
    for (rate_is_outside, status) in [(true, 429), (false, 503)] {
        let busy = Busy::default();
        let checked = busy.route().layer(new_checks());
        let router = if rate_is_outside {
            let limited = shedding(checked, |routes| routes, |routes| routes);
            rated(limited, PeerIpKeyExtractor)
        } else {
            let rated = rated(checked, PeerIpKeyExtractor);
            shedding(rated, |routes| routes, |routes| routes)
        };
        let answer = busy.meanwhile(&router.layer(from(HERE)), honest()).await;
        assert_eq!(answer.unwrap(), status);
    }
}

/// A call whose body never comes.
fn without_body(call: Call) -> Request<Body> {
    let (parts, _) = call.build().into_parts();
    let never = futures_util::stream::pending::<Result<&str, Infallible>>();
    Request::from_parts(parts, Body::from_stream(never))
}

/// Whether a second call is refused while the body of a first one does not come.
async fn is_kept_by_a_slow_body(router: &Router, slow: Call) -> bool {
    let mut first = pin!(router.clone().oneshot(without_body(slow)));
    assert!((&mut first).now_or_never().is_none());
    let second = through_router(router, honest()).await;
    let first = Answer::of(first.await.unwrap()).await;
    first.assert_error(408, "BodyTimeout");
    through_router(router, honest()).await.assert_success();
    if second.status == StatusCode::OK {
        return false;
    }
    assert_eq!(second.status, StatusCode::SERVICE_UNAVAILABLE);
    true
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_keeps_a_permit_for_its_time() {
    let endpoint = || Endpoint::new().route();
    let outside = || shedding(endpoint(), |routes| routes, check(&guard()));
    let within = || shedding(endpoint(), check(&guard()), |routes| routes);
    // The body of an application that signs is read by the checks, any other's by the endpoint. The
    // id of such an application is no secret, so that anybody may do this.
    let (signed, unsigned) = (|| Call::server_app(start()), honest);
    assert!(is_kept_by_a_slow_body(&outside(), signed()).await);
    assert!(is_kept_by_a_slow_body(&outside(), unsigned()).await);
    assert!(is_kept_by_a_slow_body(&within(), unsigned()).await);
    // Routes of axum are ready at any time, and ask what is inside when they are called.
    assert!(!is_kept_by_a_slow_body(&within(), signed()).await);
}

#[tokio::test(start_paused = true)]
async fn a_limit_within_the_checks_holds_its_permit_from_before_them_where_there_is_no_axum() {
    let service = ServiceBuilder::new()
        .layer(new_checks())
        .load_shed()
        .layer(ConcurrencyLimitLayer::new(1))
        .service(Endpoint::new().resend);
    for slow in [Call::server_app(start()), honest()] {
        let second = || service.clone().oneshot(honest().build().map(Body::new));
        let mut first = pin!(service.clone().oneshot(without_body(slow)));
        assert!((&mut first).now_or_never().is_none());
        let refused = second().await.unwrap_err();
        assert!(refused.is::<tower::load_shed::error::Overloaded>());
        let first = Answer::of(first.await.unwrap()).await;
        first.assert_error(408, "BodyTimeout");
        Answer::of(second().await.unwrap()).await.assert_success();
    }
}

/// A signed call with a body of this many bytes, and the layer around the checks.
async fn sized(bytes: usize, is_announced: bool, limit: usize) -> Answer {
    let call = Call::server_app(start()).body(vec![b' '; bytes]);
    let call = if is_announced {
        call.with("content-length", &bytes.to_string())
    } else {
        call
    };
    let router = route().layer(new_checks());
    through_router(&router.layer(RequestBodyLimitLayer::new(limit)), call).await
}

#[tokio::test]
async fn a_body_limit_outside_has_an_answer_of_its_own_where_the_length_is_announced() {
    const LIMIT: usize = 1_024;
    sized(LIMIT, true, LIMIT).await.assert_success();
    let answer = sized(LIMIT + 1, true, LIMIT).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.body, "length limit exceeded");
    // Else the checks find that the body breaks off, and say why.
    let answer = sized(LIMIT + 1, false, LIMIT).await;
    answer.assert_error(413, "BodyTooLarge");
}

#[tokio::test]
async fn a_body_limit_above_that_of_the_checks_leaves_the_answer_to_them() {
    let (most, above) = (DEFAULT_MAX_BODY_BYTES, DEFAULT_MAX_BODY_BYTES * 2);
    for is_announced in [true, false] {
        sized(most, is_announced, above).await.assert_success();
        let answer = sized(most + 1, is_announced, above).await;
        answer.assert_error(413, "BodyTooLarge");
    }
}

#[tokio::test(start_paused = true)]
async fn the_endpoint_understands_a_body_limits_error_as_well() {
    let router = Endpoint::new().route().layer(new_checks());
    let router = router.layer(RequestBodyLimitLayer::new(16));
    through_router(&router, honest())
        .await
        .assert_error(413, "BodyTooLarge");
}
