//! The plain hyper service beside the router, behind the same checks.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use tower_registration::{
    VerifyRequest, app::AppRegistry, nonce::ReplayGuard, signature::CheckedBody, verified::Verified,
};

/// Half of the file descriptors that a process usually may have: the router takes some, too.
const CONNECTIONS: usize = 500;

/// Serves until the process ends, by the loop of `examples/hyper`.
pub(crate) async fn serve<R, G>(listener: TcpListener, verify: VerifyRequest<R, G>)
where
    R: AppRegistry,
    G: ReplayGuard,
{
    let service = ServiceBuilder::new()
        .layer(verify)
        .service(service_fn(greet));
    crate::serve::serve(listener, CONNECTIONS, service).await;
}

/// The proofs are where they are behind axum: in the request's extensions.
async fn greet(
    request: Request<CheckedBody<Incoming>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let caller = Verified::of(request.extensions()).app();
    let name = caller.map_or("nobody", |app| app.application().id().as_str());
    Ok(Response::new(Full::from(format!("hello, {name}\n"))))
}
