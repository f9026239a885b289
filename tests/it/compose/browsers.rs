//! CORS, compression, sessions, caches: what a browser sends and reads.

use std::sync::{Arc, OnceLock};

use axum::{
    Extension, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    routing::put,
};
use http::{HeaderValue, Method, StatusCode};
use tower::{ServiceBuilder, service_fn};
use tower_http::{
    compression::{Compression, CompressionLayer, predicate::SizeAbove},
    cors::{Any, CorsLayer},
    decompression::RequestDecompressionLayer,
};
use tower_registration::{registration::PATH, verified::Verified};
use tower_sessions::{MemoryStore, Session, SessionManagerLayer};

use super::{Endpoint, USERS, honest, new_checks, route, strangers};
use crate::{
    layers::through_router,
    resend::seen,
    support::{Answer, Call, JANE, send, signing_key, start},
};

pub(super) const ORIGIN: &str = "https://app.example.com";
const ALLOWED: &str = "access-control-allow-origin";

pub(super) fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(ORIGIN.parse::<HeaderValue>().unwrap())
        .allow_methods([Method::PUT])
        .allow_headers(Any)
}

/// What a browser asks before it sends a call: without any credentials.
pub(super) fn preflight() -> Call {
    honest()
        .method(Method::OPTIONS)
        .without("x-dfns-appid")
        .without("x-dfns-nonce")
        .body("")
        .with("origin", ORIGIN)
        .with("access-control-request-method", "PUT")
        .with(
            "access-control-request-headers",
            "x-dfns-appid,x-dfns-nonce",
        )
}

#[tokio::test]
async fn a_preflight_is_answered_by_cors_outside_of_the_checks_and_refused_by_checks_outside_of_cors()
 {
    let answer = through_router(&route().layer(new_checks()).layer(cors()), preflight()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers[ALLOWED], ORIGIN);
    assert_eq!(answer.headers["access-control-allow-methods"], "PUT");

    let refused = through_router(&route().layer(cors()).layer(new_checks()), preflight()).await;
    refused.assert_error(401, "AppInvalid");
    assert!(!refused.headers.contains_key(ALLOWED));
}

#[tokio::test]
async fn a_browser_may_read_rejections_only_with_cors_outside_of_the_checks() {
    let outside = route().layer(new_checks()).layer(cors());
    let within = route().layer(cors()).layer(new_checks());
    for (router, may_read) in [(outside, true), (within, false)] {
        let served = through_router(&router, honest().with("origin", ORIGIN)).await;
        assert_eq!(served.headers[ALLOWED], ORIGIN);
        let refused = through_router(&router, strangers().with("origin", ORIGIN)).await;
        refused.assert_error(401, "AppInvalid");
        assert_eq!(refused.headers.contains_key(ALLOWED), may_read);
    }
}

/// A call whose client reads gzip, and says so under its signature.
fn gzip_reader(username: &str) -> Call {
    Call::server_app(start())
        .user(username)
        .with("accept-encoding", "gzip")
}

#[tokio::test(start_paused = true)]
async fn compression_outside_of_the_checks_leaves_one_answer_for_all_users() {
    let endpoint = Endpoint::new();
    let everything = CompressionLayer::new().compress_when(SizeAbove::new(0));
    let router = endpoint.route().layer(new_checks()).layer(everything);
    let mut answers = Vec::new();
    for username in USERS {
        let answer = through_router(&router, gzip_reader(username)).await;
        answer.assert_success();
        assert_eq!(answer.headers["content-encoding"], "gzip");
        assert!(answer.body.starts_with(&[0x1f, 0x8b]));
        answers.push(seen(&answer));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(endpoint.mails().await, 1);
}

#[tokio::test(start_paused = true)]
async fn compression_as_it_is_leaves_the_endpoints_answer_as_it_is() {
    let router = Endpoint::new().route().layer(new_checks());
    let router = router.layer(CompressionLayer::new());
    let answer = through_router(&router, gzip_reader(USERS[0])).await;
    answer.assert_success();
    assert!(!answer.headers.contains_key("content-encoding"));
    assert_eq!(answer.body, r#"{"message":"success"}"#);
}

#[tokio::test]
async fn compression_within_the_checks_passes_rejections_by() {
    let outside = route().layer(new_checks()).layer(CompressionLayer::new());
    let within = route().layer(CompressionLayer::new()).layer(new_checks());
    for (router, is_compressed) in [(outside, true), (within, false)] {
        let call = strangers().with("accept-encoding", "gzip");
        let refused = through_router(&router, call).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            refused.headers.contains_key("content-encoding"),
            is_compressed
        );
    }
}

/// These bytes as gzip, as a client would send them.
async fn gzip(bytes: impl Into<Bytes>) -> Bytes {
    let bytes = bytes.into();
    let whole = service_fn(move |_| {
        let body = axum::body::Body::from(bytes.clone());
        async { Ok::<_, std::convert::Infallible>(http::Response::new(body)) }
    });
    let call = honest().with("accept-encoding", "gzip").build();
    let answer: Answer = send(&Compression::new(whole), call).await;
    assert_eq!(answer.headers["content-encoding"], "gzip");
    answer.body
}

async fn compressed(bytes: impl Into<Bytes>) -> Call {
    Call::server_app(start())
        .body(gzip(bytes).await)
        .with("content-encoding", "gzip")
        .sign(&signing_key())
}

#[tokio::test]
async fn a_compressed_body_is_verified_as_it_was_sent_and_so_opened_within_the_checks() {
    let echo = || Router::new().route(PATH, put(|body: Bytes| async { body }));
    let stack = ServiceBuilder::new()
        .layer(new_checks())
        .layer(RequestDecompressionLayer::new());
    let answer = through_router(&echo().layer(stack), compressed(JANE).await).await;
    answer.assert_success();
    assert_eq!(answer.body, JANE);

    let stack = ServiceBuilder::new()
        .layer(RequestDecompressionLayer::new())
        .layer(new_checks());
    through_router(&echo().layer(stack), compressed(JANE).await)
        .await
        .assert_error(401, "ApiSignatureInvalid");
}

#[tokio::test]
async fn whether_a_body_is_opened_depends_on_a_header_that_nobody_signed() {
    let echo = Router::new().route(PATH, put(|body: Bytes| async { body }));
    let stack = ServiceBuilder::new()
        .layer(new_checks())
        .layer(RequestDecompressionLayer::new());
    let without = compressed(JANE).await.without("content-encoding");
    let answer = through_router(&echo.layer(stack), without).await;
    answer.assert_success();
    assert_eq!(answer.body, gzip(JANE).await);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_grows_when_it_is_opened_is_bounded_by_the_endpoint_again() {
    let endpoint = Endpoint::new();
    let stack = ServiceBuilder::new()
        .layer(new_checks())
        .layer(RequestDecompressionLayer::new());
    let router = endpoint.route().layer(stack);
    through_router(&router, compressed(JANE).await)
        .await
        .assert_success();
    let bomb = compressed(vec![b' '; 1024 * 1024]).await;
    assert!(bomb.body.len() < 16 * 1024, "small enough for the checks");
    through_router(&router, bomb)
        .await
        .assert_error(413, "BodyTooLarge");
}

#[tokio::test]
async fn a_session_around_the_checks_breaks_no_signature_opens_no_door_and_is_not_begun_by_strangers()
 {
    let handler = |session: Session, Extension(verified): Extension<Verified>| async move {
        assert!(verified.signature().is_some());
        session.insert("seen", true).await.unwrap();
    };
    let sessions = SessionManagerLayer::new(MemoryStore::default());
    let router = Router::new()
        .route(PATH, put(handler))
        .layer(new_checks())
        .layer(sessions);
    let first = through_router(&router, Call::server_app(start())).await;
    first.assert_success();
    let cookie = first.headers["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap();

    // A browser adds the cookie after the signature was made.
    let with_cookie = |call: Call| call.sign(&signing_key()).with("cookie", cookie);
    through_router(&router, with_cookie(Call::server_app(start())))
        .await
        .assert_success();
    let without_credentials = honest().without("x-dfns-appid").with("cookie", cookie);
    let refused = through_router(&router, without_credentials).await;
    refused.assert_error(401, "AppInvalid");
    assert!(!refused.headers.contains_key("set-cookie"));
}

/// Answers all requests as the first one was, whatever `cache-control` says.
async fn cached(
    State(kept): State<Arc<OnceLock<Bytes>>>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    let Some(kept) = kept.get().cloned() else {
        let (parts, body) = next.run(request).await.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        kept.set(body.clone()).unwrap();
        return http::Response::from_parts(parts, Body::from(body));
    };
    http::Response::new(Body::from(kept))
}

#[tokio::test(start_paused = true)]
async fn a_cache_within_the_checks_answers_for_the_endpoint_and_no_mail_goes_out() {
    for (is_cached, mails) in [(false, 1), (true, 0)] {
        let endpoint = Endpoint::new();
        let mut router = endpoint.route();
        if is_cached {
            let kept = Arc::new(OnceLock::new());
            router = router.layer(from_fn_with_state(kept, cached));
        }
        let router = router.layer(new_checks());
        for username in ["nobody@example.co", "jane@example.co"] {
            let answer = through_router(&router, honest().user(username)).await;
            answer.assert_success();
            assert_eq!(answer.body, r#"{"message":"success"}"#);
        }
        assert_eq!(endpoint.mails().await, mails);
    }
}
