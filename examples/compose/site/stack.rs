//! What stands around all routes, from the outside in, and why there.
//!
//! 1. *Request id, sensitive headers, trace.* Every answer, a rejection or a 429 too, has an id and
//!    a line in the log. Headers are marked before the trace looks at them, so that no secret is in it.
//! 2. *Panics* are caught within the trace, which then sees a 500.
//! 3. *CORS* outside of everything that refuses: a preflight has no credentials, and a browser shows
//!    a page no answer, be it a rejection, that lacks the headers.
//! 4. *Compression* of whatever comes out.
//! 5. *Rates by address* outside of the checks: what is refused here costs no nonce, and strangers
//!    count. Within CORS, so that preflights don't.
//! 6. *A timeout* well above the answer's grid, the time that a body may take, and the work.
//!
//! Within are the checks of the API, and the sessions and logins of the pages.

use std::{error::Error, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    http::{
        HeaderName, HeaderValue, Method, Response, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, RETRY_AFTER, SET_COOKIE},
    },
    response::IntoResponse,
};
use serde_json::json;
use tower::ServiceBuilder;
use tower_governor::{GovernorError, GovernorLayer, governor::GovernorConfigBuilder};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::CorsLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
    sensitive_headers::{SetSensitiveRequestHeadersLayer, SetSensitiveResponseHeadersLayer},
    timeout::TimeoutLayer,
    trace::{DefaultMakeSpan, DefaultOnResponse, TraceLayer},
};
use tower_registration::headers::{Credential, HeaderNames};
use tracing::Level;

/// Whose pages may call the API from a browser.
pub(crate) const ORIGIN: &str = "https://app.example.com";
/// As many requests of one address may come at once, and one more each second.
const BURST: u32 = 20;
/// A body may take 10 s, the checks and the store their time, the grid 100 ms.
const TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

pub(super) fn around(routes: Router) -> Result<Router, Box<dyn Error>> {
    // Behind a proxy, `SmartIpKeyExtractor`: its address would be everybody's.
    let rates = GovernorConfigBuilder::default()
        .per_second(1)
        .burst_size(BURST)
        .finish()
        .ok_or("a rate of nothing")?;
    let trace = TraceLayer::new_for_http()
        .make_span_with(
            DefaultMakeSpan::new()
                .level(Level::INFO)
                .include_headers(true),
        )
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let stack = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(SetSensitiveRequestHeadersLayer::new(secrets()))
        .layer(trace)
        .layer(SetSensitiveResponseHeadersLayer::new([SET_COOKIE]))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(CatchPanicLayer::new())
        .layer(cors()?)
        .layer(CompressionLayer::new())
        .layer(GovernorLayer::new(rates).error_handler(too_many))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIMEOUT,
        ));
    Ok(routes.layer(stack))
}

fn secrets() -> Vec<HeaderName> {
    let names = HeaderNames::default();
    let secret = [
        Credential::AppSecret,
        Credential::ApiSignature,
        Credential::UserAction,
    ];
    let own = secret.map(|credential| names.get(credential).clone());
    own.into_iter().chain([AUTHORIZATION, COOKIE]).collect()
}

/// Without `allow_credentials`: a browser sends no session's cookie from another origin's page.
fn cors() -> Result<CorsLayer, Box<dyn Error>> {
    let names = HeaderNames::default();
    let credentials = Credential::ALL.map(|credential| names.get(credential).clone());
    let headers: Vec<_> = credentials.into_iter().chain([CONTENT_TYPE]).collect();
    Ok(CorsLayer::new()
        .allow_origin([ORIGIN.parse::<HeaderValue>()?])
        .allow_methods([Method::GET, Method::PUT])
        .allow_headers(headers)
        .expose_headers([REQUEST_ID, RETRY_AFTER])
        .max_age(Duration::from_hours(1)))
}

/// In the form of the API's other errors.
fn too_many(error: GovernorError) -> Response<Body> {
    let (parts, message) = error.into_response().into_parts();
    let error = json!({"error": {"message": message, "name": "TooManyRequests"}});
    (parts.status, parts.headers, Json(error)).into_response()
}
