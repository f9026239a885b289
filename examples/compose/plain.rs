//! The plain hyper service beside the router, behind the same checks.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use tower_registration::{signature::CheckedBody, verified::Verified};

use crate::Verify;

/// Serves until the process ends.
pub(crate) async fn serve(listener: TcpListener, verify: Verify) {
    let service = ServiceBuilder::new()
        .layer(verify)
        .service(service_fn(greet));
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others have to close theirs first.
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let connection = auto::Builder::new(TokioExecutor::new());
            let served = connection.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = served.await {
                tracing::debug!(error, "connection ended");
            }
        });
    }
}

/// The proofs are where they are behind axum: in the request's extensions.
async fn greet(
    request: Request<CheckedBody<Incoming>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let caller = Verified::of(request.extensions()).app();
    let name = caller.map_or("nobody", |app| app.application().id().as_str());
    Ok(Response::new(Full::from(format!("hello, {name}\n"))))
}
