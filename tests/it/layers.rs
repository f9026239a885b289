//! The layers among other people's layers, one by one, and over parts that fail.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{Router, routing::put};
use bytes::Bytes;
use chrono::TimeDelta;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_registration::{
    VerifyRequest,
    app::{AppLayer, AppRegistry, Application},
    clock::{Clock, ManualClock},
    gate::{Check, GateLayer, Mount},
    headers::HeaderNames,
    nonce::{Claim, ClaimOutcome, NonceLayer, ReplayGuard},
    registration::PATH,
    signature::{ApiSignatureLayer, BodyLimits, DEFAULT_BODY_TIMEOUT},
    user_action::{UserAction, UserActionLayer, UserActionOutcome, UserActionVerifier},
    verified::Verified,
};

use crate::support::{
    AUTHORITY, Answer, CLIENT_APP, Call, Calls, Verify, apps, guard, nonce_at, send, signing_key,
    start, verify, verify_with,
};

fn clock() -> ManualClock {
    ManualClock::at(start())
}

fn app_layer() -> AppLayer<tower_registration::app::StaticApps> {
    AppLayer::new(apps()).clock(clock())
}

fn signature_layer() -> ApiSignatureLayer {
    ApiSignatureLayer::builder()
        .authority(AUTHORITY)
        .layer()
        .unwrap()
}

fn nonce_layer() -> NonceLayer<Arc<tower_registration::backend::memory::MemoryReplayGuard>> {
    NonceLayer::new(guard()).clock(clock())
}

#[tokio::test]
async fn layers_mounted_by_hand_in_order_do_what_the_composed_one_does() {
    let calls = Calls::default();
    let service = ServiceBuilder::new()
        .layer(app_layer())
        .layer(signature_layer())
        .layer(nonce_layer())
        .service(calls.echo());
    for call in [
        Call::client_app(start()),
        Call::server_app(start()).sign(&signing_key()),
    ] {
        send(&service, call.clone().build()).await.assert_success();
        send(&service, call.clone().build())
            .await
            .assert_error(400, "NonceReplayed");
        let forged = call.with("x-dfns-appid", "unknown");
        send(&service, forged.build())
            .await
            .assert_error(401, "AppInvalid");
    }
    assert_eq!(calls.count(), 2);
}

#[tokio::test]
async fn a_nonce_that_becomes_stale_between_call_and_poll_is_refused() {
    for (seconds, status) in [(300, 200), (301, 400)] {
        let (calls, clock) = (Calls::default(), ManualClock::at(start()));
        let layer = NonceLayer::new(guard())
            .clock(clock.clone())
            .insecure_without_applications();
        let mut service = layer.layer(calls.echo());
        let answer = service.ready().await.unwrap();
        let answer = answer.call(Call::client_app(start()).build());
        clock.advance(TimeDelta::seconds(seconds));
        assert_eq!(answer.await.unwrap().status(), status, "after {seconds} s");
    }
}

#[tokio::test]
async fn a_refusal_that_is_polled_again_calls_nothing() {
    let calls = Calls::default();
    let mut service = app_layer().layer(calls.echo());
    let unknown = Call::client_app(start()).with("x-dfns-appid", "unknown");
    let mut answer = Box::pin(service.ready().await.unwrap().call(unknown.build()));
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(first)) = answer.as_mut().poll(&mut context) else {
        panic!("an unknown application is refused at once");
    };
    assert_eq!(first.status(), 401);
    let again = AssertUnwindSafe(|| answer.as_mut().poll(&mut context).is_ready());
    assert!(catch_unwind(again).is_err(), "polled after completion");
    assert_eq!(calls.count(), 0);
}

/// Asserts that a stack refuses an honest call as put together wrongly, naming the missing layer.
async fn assert_names_missing<S, R>(service: S, call: Call, missing: &str)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>> + Clone,
    S::Error: std::fmt::Debug,
    R: http_body::Body,
    R::Error: std::fmt::Debug,
{
    let answer = send(&service, call.build()).await;
    answer.assert_error(500, "InternalError");
    assert_eq!(answer.json()["error"]["message"], "Internal Server Error");
    let rejection = answer.rejection.unwrap();
    assert!(rejection.reason().contains(missing), "{rejection}");
}

#[tokio::test]
async fn a_layer_without_the_one_it_needs_refuses_and_names_it() {
    let calls = Calls::default();
    let (client, server) = (
        || Call::client_app(start()),
        || Call::server_app(start()).sign(&signing_key()),
    );
    let alone = nonce_layer().layer(calls.echo());
    assert_names_missing(alone, client(), "AppLayer").await;
    let alone = signature_layer().layer(calls.echo());
    assert_names_missing(alone, client(), "AppLayer").await;
    let unsigned = ServiceBuilder::new()
        .layer(app_layer())
        .layer(nonce_layer())
        .service(calls.echo());
    assert_names_missing(unsigned.clone(), server(), "ApiSignatureLayer").await;
    let inside_out = ServiceBuilder::new()
        .layer(app_layer())
        .layer(nonce_layer())
        .layer(signature_layer())
        .service(calls.echo());
    assert_names_missing(inside_out, server(), "ApiSignatureLayer").await;
    let no_nonce = ServiceBuilder::new()
        .layer(app_layer())
        .layer(signature_layer())
        .layer(UserActionLayer::new(Tokens::default()))
        .service(calls.echo());
    let confirmed = client().with("x-dfns-useraction", "token");
    assert_names_missing(no_nonce, confirmed, "NonceLayer").await;
    assert_eq!(calls.count(), 0);

    // A client-side application has nothing to sign.
    send(&unsigned, client().build()).await.assert_success();
}

#[tokio::test]
async fn a_layer_alone_is_there_for_who_asks_for_it_by_name() {
    let calls = Calls::default();
    let unsigned = ServiceBuilder::new()
        .layer(app_layer())
        .layer(nonce_layer().insecure_without_signature())
        .service(calls.echo());
    send(&unsigned, Call::server_app(start()).build())
        .await
        .assert_success();
    let anybody = nonce_layer()
        .insecure_without_applications()
        .layer(calls.echo());
    let call = Call::client_app(start()).without("x-dfns-appid");
    send(&anybody, call.clone().build()).await.assert_success();
    send(&anybody, call.build())
        .await
        .assert_error(400, "NonceReplayed");
}

#[tokio::test]
async fn an_outer_check_made_twice_keeps_nothing_of_the_first() {
    let second = ServiceBuilder::new()
        .layer(verify(&ManualClock::at(start())))
        .layer(app_layer())
        .service(service_fn(|request: Request<_>| async move {
            let verified = Verified::of(request.extensions());
            assert!(verified.app().is_some());
            assert!(verified.signature().is_none() && verified.nonce().is_none());
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    send(&second, Call::server_app(start()).build())
        .await
        .assert_success();
}

#[tokio::test]
async fn the_gate_calls_the_service_that_was_polled_ready() {
    let calls = Calls::default();
    let limited = ServiceBuilder::new()
        .layer(verify(&ManualClock::at(start())))
        .concurrency_limit(1)
        .service(calls.echo());
    let mut tasks = Vec::new();
    for _ in 0..32 {
        let service = limited.clone();
        tasks.push(tokio::spawn(async move {
            for call in [Call::client_app(start()), Call::server_app(start())] {
                send(&service, call.build()).await.assert_success();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(calls.count(), 64);
}

#[tokio::test]
async fn the_checks_stand_on_either_side_of_buffer_and_timeout() {
    let calls = Calls::default();
    let inside = ServiceBuilder::new()
        .buffer(8)
        .timeout(Duration::from_secs(5))
        .layer(verify(&ManualClock::at(start())))
        .service(calls.echo());
    let outside = ServiceBuilder::new()
        .layer(verify(&ManualClock::at(start())))
        .buffer(8)
        .timeout(Duration::from_secs(5))
        .concurrency_limit(1)
        .service(calls.echo());
    for _ in 0..4 {
        for call in [Call::client_app(start()), Call::server_app(start())] {
            send(&inside, call.clone().build()).await.assert_success();
            send(&outside, call.build()).await.assert_success();
        }
    }
    assert_eq!(calls.count(), 16);
}

#[tokio::test(start_paused = true)]
async fn an_inner_error_is_the_callers_to_handle() {
    let stuck = ServiceBuilder::new()
        .layer(verify(&ManualClock::at(start())))
        .timeout(Duration::from_secs(5))
        .service(service_fn(|_: Request<_>| async {
            std::future::pending::<()>().await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        }));
    let error = stuck.oneshot(Call::client_app(start()).build()).await;
    assert!(error.unwrap_err().is::<tower::timeout::error::Elapsed>());
}

#[tokio::test]
async fn routers_carry_the_checks_as_layer_route_layer_and_route_service() {
    let clock = ManualClock::at(start());
    let handler = || put(|body: Bytes| async move { body });
    let layered = Router::new().route(PATH, handler()).layer(verify(&clock));
    let on_routes = Router::new()
        .route(PATH, handler())
        .route_layer(verify(&clock));
    let service = verify(&clock).layer(Calls::default().echo());
    let as_service = Router::new().route_service(PATH, service);
    for router in [layered, on_routes, as_service] {
        for call in [Call::client_app(start()), Call::server_app(start())] {
            let call = if call.headers.contains_key("x-dfns-appsecret") {
                call.sign(&signing_key())
            } else {
                call
            };
            let body = call.body.clone();
            let answer = through_router(&router, call.clone()).await;
            answer.assert_success();
            assert_eq!(answer.body, body);
            through_router(&router, call)
                .await
                .assert_error(400, "NonceReplayed");
        }
    }
}

pub(crate) async fn through_router(router: &Router, call: Call) -> Answer {
    let request = call.build().map(axum::body::Body::new);
    Answer::of(router.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn a_nested_router_verifies_the_path_as_it_was_sent() {
    let inner = Router::new()
        .route("/manage/users/send-registration-email", put(|| async {}))
        .layer(verify(&ManualClock::at(start())));
    let router = Router::new().nest("/auth", inner);
    through_router(&router, Call::server_app(start()))
        .await
        .assert_success();
    let stripped = Call::server_app(start())
        .uri("/manage/users/send-registration-email")
        .sign(&signing_key())
        .uri(PATH);
    through_router(&router, stripped)
        .await
        .assert_error(401, "ApiSignatureInvalid");
}

/// What a part that fails does when it is asked.
#[derive(Clone, Copy, Debug)]
enum Failure {
    Error,
    Panic,
    PanicLater,
}

const FAILURES: [Failure; 3] = [Failure::Error, Failure::Panic, Failure::PanicLater];

type Failing<T> = Pin<Box<dyn Future<Output = Result<T, std::io::Error>> + Send>>;

impl Failure {
    fn happen<T: Send + 'static>(self) -> Failing<T> {
        match self {
            Self::Error => Box::pin(async { Err(std::io::Error::other("unreachable: s3cr3t")) }),
            Self::Panic => panic!("at once: s3cr3t"),
            Self::PanicLater => Box::pin(async {
                tokio::task::yield_now().await;
                panic!("later: s3cr3t")
            }),
        }
    }
}

impl AppRegistry for Failure {
    type Error = std::io::Error;
    type Future = Failing<Option<Arc<Application>>>;

    fn find(&self, _: &str) -> Self::Future {
        self.happen()
    }
}

impl ReplayGuard for Failure {
    type Error = std::io::Error;
    type Future = Failing<ClaimOutcome>;

    fn claim(&self, _: Claim<'_>) -> Self::Future {
        self.happen()
    }
}

impl UserActionVerifier for Failure {
    type Error = std::io::Error;
    type Future = Failing<UserActionOutcome>;

    fn use_up(&self, _: UserAction<'_>) -> Self::Future {
        self.happen()
    }
}

async fn assert_unavailable<C>(layer: GateLayer<C>, failure: Failure)
where
    C: Mount<Full<Bytes>, Body = CheckedBody> + Check<CheckedBody> + Clone,
{
    let calls = Calls::default();
    let service = layer.layer(calls.echo());
    for call in [Call::client_app(start()), Call::server_app(start())] {
        let answer = send(&service, call.with("x-dfns-useraction", "token").build()).await;
        answer.assert_error(503, "Unavailable");
        assert_eq!(answer.headers["retry-after"], "1", "{failure:?}");
        let sent = String::from_utf8_lossy(&answer.body);
        assert!(!sent.contains("s3cr3t"), "{failure:?}: {sent}");
    }
    assert_eq!(calls.count(), 0, "{failure:?}");
}

type CheckedBody = tower_registration::signature::CheckedBody<Full<Bytes>>;

#[tokio::test]
async fn a_failing_or_panicking_registry_or_guard_refuses() {
    for failure in FAILURES {
        let builder = VerifyRequest::builder().clock(ManualClock::at(start()));
        let registry = builder.clone().apps(failure).replay_guard(guard());
        assert_unavailable(registry.build().unwrap(), failure).await;
        let guard = builder.apps(apps()).replay_guard(failure);
        assert_unavailable(guard.authority(AUTHORITY).build().unwrap(), failure).await;
    }
}

#[tokio::test]
async fn a_failing_or_panicking_user_action_verifier_refuses() {
    for failure in FAILURES {
        let calls = Calls::default();
        let service = VerifyRequest::builder()
            .apps(apps())
            .replay_guard(guard())
            .user_action(failure)
            .clock(ManualClock::at(start()))
            .build()
            .unwrap()
            .layer(calls.echo());
        let call = Call::client_app(start()).with("x-dfns-useraction", "token");
        send(&service, call.build())
            .await
            .assert_error(503, "Unavailable");
        assert_eq!(calls.count(), 0, "{failure:?}");
    }
}

#[tokio::test]
async fn a_full_guard_refuses_and_one_applications_flood_leaves_room_for_another() {
    let clock = ManualClock::at(start());
    let small = Arc::new(
        tower_registration::backend::memory::MemoryReplayGuard::builder()
            .started_at(start())
            .capacity(4)
            .share_per_app(3)
            .build()
            .unwrap(),
    );
    let service = verify_with(&clock, &small).layer(Calls::default().echo());
    for _ in 0..3 {
        send(&service, Call::client_app(start()).build())
            .await
            .assert_success();
    }
    for _ in 0..3 {
        let answer = send(&service, Call::client_app(start()).build()).await;
        answer.assert_error(503, "Unavailable");
    }
    let other = || Call::new(crate::support::EMPLOYEE_APP, start());
    send(&service, other().build()).await.assert_success();
    send(&service, other().build())
        .await
        .assert_error(503, "Unavailable");
    // What is stale by its own datetime is forgotten, and there is room again.
    clock.advance(TimeDelta::seconds(400));
    send(&service, Call::client_app(clock.now()).build())
        .await
        .assert_success();
}

/// Good tokens, each for one method, path and body.
#[derive(Clone, Default)]
struct Tokens {
    used: Arc<Mutex<Vec<String>>>,
    asked: Arc<AtomicUsize>,
}

impl UserActionVerifier for Tokens {
    type Error = Infallible;
    type Future = std::future::Ready<Result<UserActionOutcome, Infallible>>;

    fn use_up(&self, action: UserAction<'_>) -> Self::Future {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let good = format!("{} {} {}", action.method, action.path, action.body.len());
        let mut used = self.used.lock().unwrap();
        std::future::ready(Ok(if action.token != good {
            UserActionOutcome::Invalid
        } else if used.contains(&good) {
            UserActionOutcome::Replayed
        } else {
            used.push(good);
            UserActionOutcome::UsedUp
        }))
    }
}

#[tokio::test]
async fn a_user_action_is_bound_to_the_request_and_used_up_last() {
    let calls = Calls::default();
    let tokens = Tokens::default();
    let service = VerifyRequest::builder()
        .apps(apps())
        .replay_guard(guard())
        .authority(AUTHORITY)
        .user_action(tokens.clone())
        .clock(ManualClock::at(start()))
        .build()
        .unwrap()
        .layer(calls.echo());
    let good = |call: Call| {
        let token = format!("PUT {PATH} {}", call.body.len());
        call.with("x-dfns-useraction", &token)
    };
    for (call, first) in [
        (Call::client_app(start()), true),
        (Call::server_app(start()), false),
    ] {
        let missing = send(&service, call.clone().build()).await;
        missing.assert_error(403, "UserActionInvalid");
        let again = |call: Call| call.with("x-dfns-nonce", &nonce_at(start()));
        let wrong = again(call.clone()).with("x-dfns-useraction", "PUT / 0");
        let answer = send(&service, wrong.build()).await;
        answer.assert_error(403, "UserActionInvalid");
        let answer = send(&service, good(again(call.clone())).build()).await;
        if first {
            answer.assert_success();
            assert_eq!(answer.body, call.body, "the body is passed on");
        } else {
            answer.assert_error(400, "UserActionReplayed");
        }
    }
    assert_eq!((calls.count(), tokens.asked.load(Ordering::SeqCst)), (1, 4));
    // A stranger uses up no token: his request does not get so far.
    let forged = good(Call::server_app(start()).with("x-dfns-appsecret", "wrong"));
    send(&service, forged.build())
        .await
        .assert_error(401, "AppSecretInvalid");
    assert_eq!(tokens.asked.load(Ordering::SeqCst), 4);
}

/// Notes what it is asked about.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<String>>>);

impl UserActionVerifier for Asked {
    type Error = Infallible;
    type Future = std::future::Ready<Result<UserActionOutcome, Infallible>>;

    fn use_up(&self, action: UserAction<'_>) -> Self::Future {
        let app = action.app.map_or("nobody", |app| app.id().as_str());
        let body = String::from_utf8_lossy(action.body);
        self.0
            .lock()
            .unwrap()
            .push(format!("{app} {} {} {body}", action.method, action.path));
        std::future::ready(Ok(UserActionOutcome::UsedUp))
    }
}

#[tokio::test]
async fn a_user_action_is_asked_about_with_all_that_it_is_bound_to() {
    let asked = Asked::default();
    let layer = VerifyRequest::builder()
        .apps(apps())
        .replay_guard(guard())
        .user_action(asked.clone())
        .clock(ManualClock::at(start()))
        .build()
        .unwrap();
    let inner = Router::new()
        .route("/registration/code", put(|| async {}))
        .layer(layer);
    let call = Call::client_app(start())
        .uri("/auth/registration/code?a=1")
        .body("body")
        .with("x-dfns-useraction", "token");
    through_router(&Router::new().nest("/auth", inner), call)
        .await
        .assert_success();
    assert_eq!(
        *asked.0.lock().unwrap(),
        [format!("{CLIENT_APP} PUT /auth/registration/code?a=1 body")]
    );

    let alone = ServiceBuilder::new()
        .layer(nonce_layer().insecure_without_applications())
        .layer(UserActionLayer::new(asked.clone()))
        .service(Calls::default().echo());
    let call = Call::client_app(start()).with("x-dfns-useraction", "token");
    send(&alone, call.body("{}").build()).await.assert_success();
    assert_eq!(
        asked.0.lock().unwrap()[1],
        format!("nobody PUT {PATH} {{}}")
    );
}

#[tokio::test]
async fn the_header_and_the_limits_of_a_user_actions_layer_can_be_set() {
    let limits = BodyLimits::new(2, DEFAULT_BODY_TIMEOUT).unwrap();
    let layer = UserActionLayer::new(Asked::default())
        .header_names(HeaderNames::with_prefix("x-acme-").unwrap())
        .body_limits(limits);
    let service = ServiceBuilder::new()
        .layer(nonce_layer().insecure_without_applications())
        .layer(layer)
        .service(Calls::default().echo());
    for (header, body, status) in [
        ("x-acme-useraction", "{}", 200),
        ("x-dfns-useraction", "{}", 403),
        ("x-acme-useraction", "{ }", 413),
    ] {
        let call = Call::client_app(start()).with(header, "token").body(body);
        let answer = send(&service, call.build()).await;
        assert_eq!(answer.status, status, "{header} {body}");
    }
}

#[tokio::test]
async fn unknown_paths_of_a_layered_router_are_checked_before_they_are_not_found() {
    let router = Router::new()
        .route(PATH, put(|| async {}))
        .layer(verify(&ManualClock::at(start())));
    let stranger = Call::client_app(start())
        .with("x-dfns-appid", "unknown")
        .uri("/elsewhere");
    through_router(&router, stranger)
        .await
        .assert_error(401, "AppInvalid");
    let known = Call::client_app(start()).uri("/elsewhere");
    let answer = through_router(&router, known).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

/// The types are what embedders write down in their own signatures.
#[test]
fn the_layer_can_be_named_and_shared_between_threads() {
    fn assert<T: Clone + Send + Sync + std::fmt::Debug + 'static>(_: &T) {}
    let layer: Verify = verify(&ManualClock::at(start()));
    assert(&layer);
    assert(&layer.layer(()));
    assert_eq!(CLIENT_APP.len(), 36);
}
