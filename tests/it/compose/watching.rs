//! Traces, sensitive headers, request ids, panics: what an operator sees.

use axum::{Router, routing::put};
use http::{HeaderName, StatusCode};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    classify::{ServerErrorsAsFailures, SharedClassifier},
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer},
};
use tower_registration::registration::PATH;
use tracing::{Level, subscriber::DefaultGuard};

use super::{assert_used_up, checks, honest, new_checks, route, strangers};
use crate::{
    layers::through_router,
    support::{Call, Log, SECRET, guard, signing_key, start},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What this thread logs until the second is dropped.
fn log() -> (Log, DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

/// A trace that shows headers, as one who looks for a fault would have it.
fn trace() -> TraceLayer<SharedClassifier<ServerErrorsAsFailures>, DefaultMakeSpan> {
    TraceLayer::new_for_http()
        .make_span_with(
            DefaultMakeSpan::new()
                .level(Level::INFO)
                .include_headers(true),
        )
        .on_response(DefaultOnResponse::new().level(Level::INFO))
}

fn marked() -> SetSensitiveRequestHeadersLayer {
    SetSensitiveRequestHeadersLayer::new([
        HeaderName::from_static("x-dfns-appsecret"),
        HeaderName::from_static("x-dfns-apisignature"),
    ])
}

#[tokio::test]
async fn headers_marked_outside_of_the_trace_leave_no_secret_in_the_log() {
    let (log, _guard) = log();
    let stack = ServiceBuilder::new()
        .layer(marked())
        .layer(trace())
        .layer(new_checks());
    let router = route().layer(stack);
    let call = Call::server_app(start()).sign(&signing_key());
    let signature = call.headers["x-dfns-apisignature"]
        .to_str()
        .unwrap()
        .to_owned();
    through_router(&router, call.clone()).await.assert_success();
    let wrong = call.with("x-dfns-appsecret", "wrong-secret-3c9");
    through_router(&router, wrong)
        .await
        .assert_error(401, "AppSecretInvalid");
    let log = log.text();
    for secret in [SECRET, &*signature, "wrong-secret-3c9"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
    assert!(log.contains(r#""x-dfns-appsecret": Sensitive"#), "{log}");
}

#[tokio::test]
async fn headers_marked_within_the_trace_are_marked_too_late() {
    let (log, _guard) = log();
    let stack = ServiceBuilder::new()
        .layer(trace())
        .layer(marked())
        .layer(new_checks());
    let call = Call::server_app(start()).sign(&signing_key());
    through_router(&route().layer(stack), call)
        .await
        .assert_success();
    assert!(log.text().contains(SECRET));
}

#[tokio::test]
async fn a_trace_outside_of_the_checks_has_a_rejections_status_and_reason() {
    let (log, _guard) = log();
    let router = route().layer(new_checks()).layer(trace());
    through_router(&router, strangers())
        .await
        .assert_error(401, "AppInvalid");
    let log = log.text();
    let line = |text| {
        log.lines()
            .find(|line: &&str| line.contains(text))
            .expect(text)
    };
    assert!(line("finished processing").contains("status=401"), "{log}");
    let reason = line("request refused");
    assert!(
        reason.contains("AppInvalid") && reason.contains(PATH),
        "{log}"
    );
}

#[tokio::test]
async fn a_trace_within_the_checks_sees_no_rejection() {
    let (log, _guard) = log();
    let router = route().layer(trace()).layer(new_checks());
    through_router(&router, strangers())
        .await
        .assert_error(401, "AppInvalid");
    assert!(!log.text().contains("finished processing"));
    through_router(&router, honest()).await.assert_success();
    assert!(log.text().contains("finished processing"));
}

/// Sets and shows ids, with the rest of the stack within.
fn ids(routes: Router) -> Router {
    let stack = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID));
    routes.layer(stack)
}

#[tokio::test]
async fn request_ids_outside_of_the_checks_are_on_every_answer_and_break_no_signature() {
    let router = ids(route().layer(new_checks()));
    let signed = through_router(&router, Call::server_app(start())).await;
    signed.assert_success();
    let refused = through_router(&router, strangers()).await;
    refused.assert_error(401, "AppInvalid");
    let [signed, refused] = [signed, refused].map(|answer| answer.headers[REQUEST_ID].clone());
    assert_eq!((signed.len(), refused.len()), (36, 36));
    assert_ne!(signed, refused);

    // What stands on the way may set it, too: it is not among the headers that are signed.
    let call = Call::server_app(start())
        .sign(&signing_key())
        .with("x-request-id", "the-proxys");
    let answer = through_router(&router, call).await;
    answer.assert_success();
    assert_eq!(answer.headers[REQUEST_ID], "the-proxys");
}

#[tokio::test]
async fn request_ids_within_the_checks_are_missing_from_rejections() {
    let router = ids(route()).layer(new_checks());
    let answer = through_router(&router, honest()).await;
    answer.assert_success();
    assert!(answer.headers.contains_key(REQUEST_ID));
    let refused = through_router(&router, strangers()).await;
    assert!(!refused.headers.contains_key(REQUEST_ID));
}

/// A handler that panics.
fn broken() -> Router {
    async fn panics() {
        panic!("a fault in a handler")
    }
    Router::new().route(PATH, put(panics))
}

#[tokio::test]
async fn a_handlers_panic_is_caught_on_either_side_of_the_checks_and_its_nonce_stays_used() {
    let guard = guard();
    let outside = broken().layer(checks(&guard)).layer(CatchPanicLayer::new());
    let within = broken().layer(CatchPanicLayer::new()).layer(checks(&guard));
    for router in [outside, within] {
        let call = honest();
        let answer = through_router(&router, call.clone()).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_used_up(&guard, call).await;
    }
}

#[tokio::test]
async fn a_trace_outside_of_catch_panic_has_a_panics_status_and_one_within_has_none() {
    for (stack, is_told) in [
        (broken().layer(CatchPanicLayer::new()).layer(trace()), true),
        (broken().layer(trace()).layer(CatchPanicLayer::new()), false),
    ] {
        let (log, _guard) = log();
        let answer = through_router(&stack.layer(new_checks()), honest()).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(log.text().contains("status=500"), is_told, "{}", log.text());
    }
}
