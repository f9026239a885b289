//! A request whose body is no `http_body::Body`, so that nobody could read it.

use std::convert::Infallible;

use http::{Request, Response};
use tower::{Layer, Service, service_fn};
use tower_registration::signature::{ApiSignatureLayer, CheckedBody};

async fn inner(_: Request<CheckedBody<Vec<u8>>>) -> Result<Response<String>, Infallible> {
    Ok(Response::default())
}

fn serve(_: impl Service<Request<Vec<u8>>>) {}

fn main() {
    let layer = ApiSignatureLayer::builder().layer().unwrap();
    serve(layer.layer(service_fn(inner)));
}
