//! What stands around all routes, from the outside in, and why there.
//!
//! 1. *Request id, sensitive headers, trace.* Every answer, a rejection or a 429 too, has an id,
//!    and with it a line in the log. Headers are marked before the trace looks at them, so that no
//!    secret is in it.
//! 2. *Panics* are caught within the trace, which then sees a 500.
//! 3. *CORS* outside of everything that refuses: a preflight has no credentials, and a browser shows
//!    a page no answer, be it a rejection, that lacks the headers.
//! 4. *Compression* of whatever comes out.
//! 5. *Rates by address* outside of the checks: what is refused here costs no nonce, and strangers
//!    count. Within CORS, so that preflights don't.
//! 6. *A timeout* well above the answer's grid, the time that a body may take, and the work.
//!
//! Within are the checks of the API, and the sessions and logins of the pages.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    http::{
        HeaderName, HeaderValue, Method, Request, Response, StatusCode,
        header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, RETRY_AFTER, SET_COOKIE},
    },
};
use http_body_util::Full;
use tower::ServiceBuilder;
use tower_governor::{
    GovernorLayer, governor::GovernorConfigBuilder, key_extractor::PeerIpKeyExtractor,
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::CorsLayer,
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    sensitive_headers::{SetSensitiveRequestHeadersLayer, SetSensitiveResponseHeadersLayer},
    timeout::TimeoutLayer,
    trace::{DefaultOnResponse, TraceLayer},
};
use tower_registration::{
    headers::{Credential, HeaderNames},
    rejection::{Rejection, RejectionKind},
};
use tracing::{Level, Span};

use super::rates::{self, ByNetwork};

/// Whose pages may call the API from a browser.
pub(crate) const ORIGIN: &str = "https://app.example.com";
/// As many requests of one address may come at once, and one more each second.
const BURST: u32 = 20;
/// A body may take 10 s, the checks and the store their time, the grid 100 ms.
const TIMEOUT: Duration = Duration::from_secs(30);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Called on a Tokio runtime, where it leaves a task that sweeps the rates while the router is there.
pub(super) fn around(routes: Router) -> Result<Router, Box<dyn Error>> {
    // Behind a proxy, whose address would be everybody's: `SmartIpKeyExtractor`, if the proxy replaces
    // the `x-forwarded-for` of its clients and does not add to it.
    let rates = GovernorConfigBuilder::default()
        .period(Duration::from_secs(1))
        .burst_size(BURST)
        .key_extractor(ByNetwork(PeerIpKeyExtractor))
        .finish()
        .ok_or("a rate of nothing")?;
    let limiter = Arc::downgrade(rates.limiter());
    tokio::spawn(rates::sweep(move || {
        let limiter = limiter.upgrade()?;
        limiter.retain_recent();
        limiter.shrink_to_fit();
        Some(limiter.len())
    }));
    let trace = TraceLayer::new_for_http()
        .make_span_with(span)
        .on_request(log_headers)
        .on_response(DefaultOnResponse::new().level(Level::INFO));
    let stack = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(SetSensitiveRequestHeadersLayer::new(secrets()))
        .layer(trace)
        .layer(SetSensitiveResponseHeadersLayer::new([SET_COOKIE]))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(CatchPanicLayer::custom(|_| -> Response<Full<Bytes>> {
            Rejection::new(RejectionKind::InternalError, "a handler panicked").into_response()
        }))
        .layer(cors()?)
        .layer(CompressionLayer::new())
        .layer(GovernorLayer::new(rates).error_handler(|error| rates::refuse(&error)))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            TIMEOUT,
        ));
    Ok(routes.layer(stack))
}

/// The trace's own is at `DEBUG`, and has no id.
fn span<B>(request: &Request<B>) -> Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.and_then(|id| id.header_value().to_str().ok());
    tracing::info_span!("request", id, method = %request.method(), uri = %request.uri())
}

/// For who looks for a fault, at `DEBUG`. What is marked is not shown.
fn log_headers<B>(request: &Request<B>, _: &Span) {
    tracing::debug!(headers = ?request.headers(), "request came in");
}

fn secrets() -> Vec<HeaderName> {
    let names = HeaderNames::default();
    let secret = [
        Credential::AppSecret,
        Credential::ApiSignature,
        Credential::UserAction,
    ];
    let own = secret.map(|credential| names.get(credential).clone());
    // The text that a client signed, by which a server may explain: the secret is in it.
    let explanation = names.explanation().clone();
    own.into_iter()
        .chain([explanation, AUTHORIZATION, COOKIE])
        .collect()
}

/// For client-side applications, which are what runs in browsers: no secret, no signature. Without
/// `allow_credentials`: a browser sends no session's cookie from another origin's page.
fn cors() -> Result<CorsLayer, Box<dyn Error>> {
    let names = HeaderNames::default();
    let [id, nonce] = [Credential::AppId, Credential::Nonce].map(|name| names.get(name).clone());
    Ok(CorsLayer::new()
        .allow_origin([ORIGIN.parse::<HeaderValue>()?])
        .allow_methods([Method::GET, Method::PUT])
        .allow_headers([CONTENT_TYPE, id, nonce])
        .expose_headers([REQUEST_ID, RETRY_AFTER])
        .max_age(Duration::from_hours(1)))
}
