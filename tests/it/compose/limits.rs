//! Rates and concurrency: what is refused before a nonce is used up, and what after.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Router, error_handling::HandleErrorLayer, extract::ConnectInfo, routing::put,
};
use http::{Request, StatusCode};
use tokio::{sync::Notify, time::timeout};
use tower::{BoxError, ServiceBuilder, limit::GlobalConcurrencyLimitLayer};
use tower_governor::{
    GovernorError, GovernorLayer,
    governor::GovernorConfigBuilder,
    key_extractor::{KeyExtractor, PeerIpKeyExtractor},
};
use tower_registration::{registration::PATH, verified::Verified};

use super::{
    Guard, assert_still_good, assert_used_up, checks, honest, new_checks, route, strangers,
};
use crate::{
    layers::through_router,
    support::{Call, guard, start},
};

/// Lets one request through for each key, and another in an hour.
fn rated<K>(routes: Router, key: K) -> Router
where
    K: KeyExtractor<Key: Send + Sync> + Send + Sync + 'static,
{
    let mut rate = GovernorConfigBuilder::default().key_extractor(key);
    let rate = rate.period(Duration::from_hours(1)).burst_size(1);
    routes.layer(GovernorLayer::new(rate.finish().unwrap()))
}

/// As if all requests came from here.
fn from(address: [u8; 4]) -> Extension<ConnectInfo<SocketAddr>> {
    Extension(ConnectInfo(SocketAddr::from((address, 1))))
}

const HERE: [u8; 4] = [192, 0, 2, 1];
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

    /// Sends a second call while a first one is being served, which then is let go. The second.
    async fn second_call(&self, router: Router) -> Call {
        let first = tokio::spawn({
            let router = router.clone();
            async move { through_router(&router, honest()).await }
        });
        self.entered.notified().await;
        let second = honest();
        let answer = through_router(&router, second.clone());
        let answer = timeout(Duration::from_secs(1), answer).await;
        let answer = answer.expect("it is not kept waiting");
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        self.go_on.notify_one();
        first.await.unwrap().assert_success();
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
