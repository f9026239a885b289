//! The plain hyper service beside the router, behind the same checks.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::{ServiceBuilder, service_fn};
use tower_registration::{
    VerifyRequest, app::AppRegistry, nonce::ReplayGuard, signature::CheckedBody, verified::Verified,
};

/// Who comes when there are as many waits in the listener's queue.
const MAX_CONNECTIONS: usize = 1_024;
/// How long a request's head may take. The checks begin when it is there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until the process ends.
pub(crate) async fn serve<R, G>(listener: TcpListener, verify: VerifyRequest<R, G>)
where
    R: AppRegistry,
    G: ReplayGuard,
{
    let service = ServiceBuilder::new()
        .layer(verify)
        .service(service_fn(greet));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: others have to close theirs first.
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            let _place = place;
            // HTTP/1.1 alone: to find out which version it is, `auto` waits for a first line without
            // any limit, that of the head included.
            let mut connection = auto::Builder::new(TokioExecutor::new()).http1_only();
            connection
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT);
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
