//! Layers of a client around `SignRequestLayer`, or within it.

use std::{
    future::{Ready, ready},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{Router, routing::put};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{
    ServiceBuilder,
    retry::{Policy, RetryLayer},
};
use tower_http::set_header::SetRequestHeaderLayer;
use tower_registration::{
    app::AppId,
    client::{ClientApp, SignRequestLayer},
    clock::ManualClock,
    registration::PATH,
    secret::SecretString,
};

use super::{new_checks, route};
use crate::support::{AUTHORITY, JANE, SECRET, SERVER_APP, send, signing_key, start};

fn signing() -> SignRequestLayer {
    let id = AppId::new(SERVER_APP).unwrap();
    let app = ClientApp::server_side(&id, &SecretString::from(SECRET), signing_key()).unwrap();
    SignRequestLayer::new(app).clock(ManualClock::at(start()))
}

fn request() -> Request<Full<Bytes>> {
    Request::put(format!("https://{AUTHORITY}{PATH}"))
        .header("content-type", "application/json")
        .body(Full::from(JANE))
        .unwrap()
}

#[tokio::test]
async fn a_header_that_is_covered_is_set_before_the_request_is_signed() {
    for name in [
        "accept",
        "accept-encoding",
        "authorization",
        "user-agent",
        "x-dfns-useraction",
    ] {
        let set = || {
            let value = HeaderValue::from_static("of-the-layer");
            SetRequestHeaderLayer::overriding(HeaderName::from_static(name), value)
        };
        let server = route().layer(new_checks());
        let outside = ServiceBuilder::new().layer(set()).layer(signing());
        let outside = outside.service(server.clone());
        send(&outside, request()).await.assert_success();
        let within = ServiceBuilder::new().layer(signing()).layer(set());
        send(&within.service(server), request())
            .await
            .assert_error(401, "ApiSignatureInvalid");
    }
}

/// Tries again while the service is unavailable.
#[derive(Clone)]
struct Patient;

impl<B, E> Policy<Request<Full<Bytes>>, Response<B>, E> for Patient {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Full<Bytes>>,
        result: &mut Result<Response<B>, E>,
    ) -> Option<Ready<()>> {
        let answer = result.as_ref().ok()?;
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Full<Bytes>>) -> Option<Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

/// A server whose first answer, once a nonce has been used up for it, is that it is unavailable.
fn unavailable_once() -> Router {
    let calls = Arc::new(AtomicUsize::new(0));
    let handler = move || async move {
        match calls.fetch_add(1, Ordering::SeqCst) {
            0 => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::OK,
        }
    };
    Router::new().route(PATH, put(handler)).layer(new_checks())
}

#[tokio::test]
async fn a_retry_outside_has_a_nonce_for_each_try_and_one_within_sends_the_used_one_again() {
    let retry = || RetryLayer::new(Patient);
    let outside = ServiceBuilder::new().layer(retry()).layer(signing());
    send(&outside.service(unavailable_once()), request())
        .await
        .assert_success();
    let within = ServiceBuilder::new().layer(signing()).layer(retry());
    send(&within.service(unavailable_once()), request())
        .await
        .assert_error(400, "NonceReplayed");
}
