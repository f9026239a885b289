//! Rates by address: what counts as one, what is forgotten, and the answer to one that is too fast.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    http::{
        Request, Response, StatusCode,
        header::{CACHE_CONTROL, RETRY_AFTER},
    },
    response::IntoResponse,
};
use serde_json::json;
use tower_governor::{GovernorError, key_extractor::KeyExtractor};
use tower_registration::rejection::{Rejection, RejectionKind};

/// How often addresses are forgotten that have all of their rate again.
const SWEEP: Duration = Duration::from_mins(1);

/// The addresses of a key extractor, those of IPv6 by their network of 64 bits: whoever has one of
/// its addresses has them all, and could begin anew with each.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByNetwork<K>(pub(super) K);

impl<K: KeyExtractor<Key = IpAddr>> KeyExtractor for ByNetwork<K> {
    type Key = IpAddr;

    fn extract<B>(&self, request: &Request<B>) -> Result<IpAddr, GovernorError> {
        // An IPv4 address may come in the form of an IPv6 one: all of them would be one network.
        let address = self.0.extract(request)?.to_canonical();
        Ok(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        })
    }
}

/// Calls `forget` time and again, which says how many addresses are left, or nothing once there is
/// no service any more.
pub(super) async fn sweep(forget: impl Fn() -> Option<usize>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let Some(addresses) = forget() else { return };
        tracing::debug!(addresses, "rates swept");
    }
}

/// In the form of the API's other errors.
pub(super) fn refuse(error: &GovernorError) -> Response<Body> {
    let GovernorError::TooManyRequests { wait_time, .. } = error else {
        // Served without `into_make_service_with_connect_info`.
        let rejection = Rejection::new(RejectionKind::InternalError, error.to_string());
        return rejection.into_response().map(Body::new);
    };
    // It is rounded down, so that a part of a second would be none.
    let seconds = wait_time + 1;
    let error = json!({"error": {"message": "too many requests", "name": "TooManyRequests"}});
    let headers = [
        (RETRY_AFTER, seconds.to_string()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (StatusCode::TOO_MANY_REQUESTS, headers, Json(error)).into_response()
}
