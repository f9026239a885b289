//! A service that takes the body as it arrives, behind a layer that hands it on as `CheckedBody`.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_registration::signature::ApiSignatureLayer;

async fn inner(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::default())
}

fn serve(_: impl Service<Request<Full<Bytes>>>) {}

fn main() {
    let layer = ApiSignatureLayer::builder().layer().unwrap();
    serve(layer.layer(service_fn(inner)));
}
