//! What changes a request that a client signed.

use std::convert::Infallible;

use axum::{Router, body::Body, routing::put};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_http::{
    map_request_body::MapRequestBodyLayer, normalize_path::NormalizePathLayer,
    set_header::SetRequestHeaderLayer,
};
use tower_registration::registration::PATH;

use super::{checks, honest, new_checks, route};
use crate::{
    layers::through_router,
    support::{Call, JANE, guard, send, start},
};

fn signed() -> Call {
    Call::server_app(start())
}

#[tokio::test]
async fn a_path_is_normalized_to_one_that_was_not_signed() {
    let slash = || signed().uri(&format!("{PATH}/"));
    let shown = || Router::new().route(PATH, put(|uri: Uri| async move { uri.to_string() }));
    let trims = NormalizePathLayer::trim_trailing_slash();
    let outside = trims.layer(shown().layer(new_checks()));
    send(&outside, slash().build())
        .await
        .assert_error(401, "ApiSignatureInvalid");
    send(&outside, signed().build()).await.assert_success();

    let within = new_checks().layer(trims.layer(shown()));
    let answer = send(&within, slash().build()).await;
    answer.assert_success();
    assert_eq!(answer.body, PATH, "the handler reads what was not signed");
}

/// Sets a header of every request.
fn set(name: &'static str) -> SetRequestHeaderLayer<HeaderValue> {
    let name = HeaderName::from_static(name);
    SetRequestHeaderLayer::overriding(name, HeaderValue::from_static("of-the-layer"))
}

#[tokio::test]
async fn a_covered_header_that_is_set_outside_breaks_the_signature_and_within_is_unsigned() {
    for name in [
        "accept",
        "accept-encoding",
        "authorization",
        "content-type",
        "host",
        "user-agent",
        "x-dfns-useraction",
    ] {
        let handler = move |headers: HeaderMap| async move { headers[name].clone() };
        let shown = || {
            let handler = move |headers| async move {
                let value: HeaderValue = handler(headers).await;
                value.to_str().unwrap().to_owned()
            };
            Router::new().route(PATH, put(handler))
        };
        let outside = shown().layer(new_checks()).layer(set(name));
        through_router(&outside, signed())
            .await
            .assert_error(401, "ApiSignatureInvalid");
        let within = shown().layer(set(name)).layer(new_checks());
        let answer = through_router(&within, signed()).await;
        answer.assert_success();
        assert_eq!(answer.body, "of-the-layer", "{name}");
    }
    let uncovered = route().layer(new_checks()).layer(set("x-request-id"));
    through_router(&uncovered, signed()).await.assert_success();
}

#[tokio::test]
async fn a_body_that_is_replaced_outside_breaks_the_signature_and_within_is_unsigned() {
    let echo = || Router::new().route(PATH, put(|body: Bytes| async { body }));
    let replaces = || MapRequestBodyLayer::new(|_: Body| Body::from("of the layer"));
    let outside = echo().layer(new_checks()).layer(replaces());
    through_router(&outside, signed())
        .await
        .assert_error(401, "ApiSignatureInvalid");
    let within = echo().layer(replaces()).layer(new_checks());
    let answer = through_router(&within, signed()).await;
    answer.assert_success();
    assert_eq!(answer.body, "of the layer");
}

#[tokio::test]
async fn checks_within_checks_refuse_every_request_where_they_share_a_guard() {
    for call in [honest(), signed()] {
        let guard = guard();
        let twice = route().layer(checks(&guard)).layer(checks(&guard));
        through_router(&twice, call.clone())
            .await
            .assert_error(400, "NonceReplayed");
        let apart = route().layer(new_checks()).layer(new_checks());
        through_router(&apart, call).await.assert_success();
    }
}

#[tokio::test]
async fn services_side_by_side_refuse_what_the_other_has_seen_only_if_they_share_a_guard() {
    let plain = |guard: &_| {
        let echo =
            service_fn(|_| async { Ok::<_, Infallible>(http::Response::new(Full::from(JANE))) });
        checks(guard).layer(echo)
    };
    let (one, other) = (guard(), guard());
    for (guard, refuses) in [(&one, true), (&other, false)] {
        let call = honest();
        let router = route().layer(checks(&one));
        through_router(&router, call.clone()).await.assert_success();
        let answer = send(&plain(guard), call.build()).await;
        if refuses {
            answer.assert_error(400, "NonceReplayed");
        } else {
            answer.assert_success();
        }
    }
}
