//! The loop of a hyper server: for whom it waits, how long, and what does not end it.

use std::{convert::Infallible, io::ErrorKind, pin::pin, sync::Arc, time::Duration};

use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{sleep, timeout},
};
use tower::{BoxError, Service};

/// How long the head of a request may take, and the wait for the next one, over HTTP/1.1.
pub(crate) const HEAD: Duration = Duration::from_secs(10);
/// How long a connection takes requests. Then it has as long again for those that it took.
pub(crate) const LIFETIME: Duration = Duration::from_mins(1);

/// Serves so many connections at once, fewer than there are file descriptors (`ulimit -n`). Others
/// wait in the system's queue.
pub(crate) async fn serve<S, B>(listener: TcpListener, connections: usize, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>,
    S: Clone + Send + 'static,
    B: Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD);
    let room = Arc::new(Semaphore::new(connections));
    loop {
        let place = room.clone().acquire_owned().await.expect("never closed");
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            // This client has gone already; the next one may be there.
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                // Out of file descriptors, most likely: others have to close theirs first.
                tracing::warn!(%error, "no connection accepted");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let (server, service) = (server.clone(), TowerToHyperService::new(service.clone()));
        tokio::spawn(async move {
            let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
            let mut ended = timeout(LIFETIME, connection.as_mut()).await;
            if ended.is_err() {
                connection.as_mut().graceful_shutdown();
                ended = timeout(LIFETIME, connection).await;
            }
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(error, "connection ended"),
                Err(_) => tracing::debug!("connection cut off"),
            }
            drop(place);
        });
    }
}
