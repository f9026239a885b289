//! Checks of one's own: a closure, and a check that does not say what becomes of the body.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_registration::{
    gate::{Check, GateLayer, Mount},
    rejection::Rejection,
};

type Body = Full<Bytes>;

async fn inner(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::default())
}

fn serve(_: impl Service<Request<Body>>) {}

#[derive(Clone)]
struct Mounted;

impl Mount<Body> for Mounted {
    type Body = Body;

    fn mount(body: Body) -> Body {
        body
    }
}

#[derive(Clone)]
struct Checking;

impl<B> Check<B> for Checking {
    type Pending = ();

    fn begin(&self, _: &mut Request<B>) -> Result<(), Rejection> {
        Ok(())
    }

    fn poll(
        &self,
        _: Pin<&mut ()>,
        _: &mut Request<B>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        Poll::Ready(Ok(()))
    }
}

fn main() {
    serve(GateLayer::from_check(Mounted).layer(service_fn(inner)));
    serve(GateLayer::from_check(Checking).layer(service_fn(inner)));
}
