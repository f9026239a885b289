//! Traces, sensitive headers, request ids, panics: what an operator sees.

use axum::{Router, routing::put};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderName, StatusCode};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    classify::{ServerErrorsAsFailures, SharedClassifier},
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer},
};
use tower_registration::{
    clock::ManualClock, headers::HeaderNames, registration::PATH, signature::Explain,
};
use tracing::{Level, Span, subscriber::DefaultGuard};

use super::{assert_used_up, checks, honest, new_checks, route, strangers};
use crate::{
    layers::through_router,
    support::{Call, Log, SECRET, Verify, guard, signing_key, start, verify_builder},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What this thread logs until the second is dropped.
fn log() -> (Log, DefaultGuard) {
    log_at(Level::DEBUG)
}

fn log_at(level: Level) -> (Log, DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(level)
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
async fn a_trace_within_the_checks_finds_headers_marked_by_them() {
    let (log, _guard) = log();
    let router = route().layer(trace()).layer(new_checks());
    let call = Call::server_app(start())
        .with("x-dfns-useraction", "action-5d1")
        .sign(&signing_key());
    let signature = call.headers["x-dfns-apisignature"].clone();
    through_router(&router, call).await.assert_success();
    let log = log.text();
    for secret in [SECRET, signature.to_str().unwrap(), "action-5d1"] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
    for name in [
        "x-dfns-appsecret",
        "x-dfns-apisignature",
        "x-dfns-useraction",
    ] {
        assert!(log.contains(&format!(r#""{name}": Sensitive"#)), "{log}");
    }
}

/// The checks, which explain what does not verify or don't.
fn explaining(explains: bool) -> Verify {
    let builder = verify_builder(&ManualClock::at(start()), &guard());
    let builder = if explains {
        builder.insecure_explain_signature(Explain::EvenInRelease)
    } else {
        builder
    };
    builder.build().unwrap()
}

/// A call whose client shows what it signed, and the text that it shows, with the secret in it.
fn showing() -> (Call, String) {
    let text = BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"h-x-dfns-appsecret":"{SECRET}"}}"#));
    let call = Call::server_app(start()).sign(&signing_key());
    (call.with("x-dfns-explain-signature", &text), text)
}

#[tokio::test]
async fn the_text_that_a_client_shows_is_in_an_outer_trace_unless_it_is_marked_outside_of_it() {
    let explanation = || {
        let name = HeaderNames::default().explanation().clone();
        SetSensitiveRequestHeadersLayer::new([name])
    };
    for explains in [true, false] {
        let (log, _guard) = log();
        let (call, text) = showing();
        let checked = route().layer(explaining(explains));
        let router = checked.clone().layer(trace()).layer(explanation());
        through_router(&router, call).await.assert_success();
        assert!(!log.text().contains(&text), "{}", log.text());
        let marked = r#""x-dfns-explain-signature": Sensitive"#;
        assert!(log.text().contains(marked), "{}", log.text());

        let router = checked.layer(explanation()).layer(trace());
        through_router(&router, showing().0).await.assert_success();
        assert!(log.text().contains(&text), "{}", log.text());
    }
}

#[tokio::test]
async fn the_text_that_a_client_shows_is_in_an_inner_trace_only_where_the_checks_do_not_read_it() {
    for explains in [true, false] {
        let (log, _guard) = log();
        let (call, text) = showing();
        let router = route().layer(trace()).layer(explaining(explains));
        through_router(&router, call).await.assert_success();
        assert_eq!(log.text().contains(&text), !explains, "{}", log.text());
    }
}

#[tokio::test]
async fn a_trace_shows_no_headers_and_no_body_of_itself() {
    let (log, _guard) = log_at(Level::TRACE);
    let router = route()
        .layer(new_checks())
        .layer(TraceLayer::new_for_http());
    let call = Call::server_app(start()).with("user-agent", "an-agent-77");
    through_router(&router, call).await.assert_success();
    let log = log.text();
    assert!(log.contains("finished processing"), "{log}");
    for part in [SECRET, "an-agent-77", "jane@example.co"] {
        assert!(!log.contains(part), "{part} is in {log}");
    }
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

/// As the guide has it.
fn span<B>(request: &http::Request<B>) -> Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok());
    tracing::info_span!("request", id, method = %request.method(), uri = %request.uri())
}

/// The request's id in a rejection, and what was logged of it at `INFO`.
async fn logged(router: Router) -> (String, String) {
    let (log, _guard) = log_at(Level::INFO);
    let refused = through_router(&router, strangers()).await;
    refused.assert_error(401, "AppInvalid");
    let id = refused.headers[REQUEST_ID].to_str().unwrap().to_owned();
    (id, log.text())
}

#[tokio::test]
async fn a_rejections_id_is_in_the_log_where_the_trace_is_told_so_and_within_the_layer_that_sets_it()
 {
    let told = || {
        TraceLayer::new_for_http()
            .make_span_with(span)
            .on_response(DefaultOnResponse::new().level(Level::INFO))
    };
    let (id, log) = logged(ids(route().layer(new_checks()).layer(told()))).await;
    let line = log.lines().find(|line| line.contains(&id)).expect(&log);
    assert!(line.contains("status=401"), "{log}");

    let (_, log) = logged(ids(route().layer(new_checks())).layer(told())).await;
    assert!(log.contains("status=401"), "{log}");
    assert!(!log.contains("id="), "{log}");

    let untold = TraceLayer::new_for_http();
    let (_, log) = logged(ids(route().layer(new_checks()).layer(untold))).await;
    assert_eq!(log, "", "nothing at this level");
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
