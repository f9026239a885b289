//! Services that take the body as it arrives, behind a layer that hands it on as `CheckedBody`. The
//! words are the compiler's own: `Service` is not ours.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_registration::signature::ApiSignatureLayer;

type Body = Full<Bytes>;

async fn function(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::default())
}

#[derive(Clone)]
struct Api;

impl Service<Request<Body>> for Api {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::default()))
    }
}

fn serve(_: impl Service<Request<Body>>) {}

fn main() {
    let layer = ApiSignatureLayer::builder().layer().unwrap();
    serve(layer.layer(service_fn(function)));
    serve(layer.layer(Api));
}
