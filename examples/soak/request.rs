//! Requests as bytes, signed by the crate's own client layer.

use std::{convert::Infallible, future::Ready, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tower::{
    Layer, ServiceExt,
    util::{ServiceFn, service_fn},
};
use tower_registration::{
    app::AppId,
    client::{ClientApp, SignRequest, SignRequestLayer},
    registration::PATH,
    secret::SecretString,
    signature::SigningKey,
};

use crate::{
    Failure,
    place::{AUTHORITY, CLIENT_SIDE, ORG, SECRET, SERVER_SIDE, username},
};

/// Keys that are published and good for nothing else. RSA is the slowest to sign with, and the
/// rarest here.
const KEYS: [&str; 2] = [
    include_str!("../../tests/keys/test-only-ed25519.pem"),
    include_str!("../../tests/keys/test-only-p256.pem"),
];
const RARE_KEY: &str = include_str!("../../tests/keys/test-only-rsa-2048.pem");
/// A key that the server does not know.
const STRANGE_KEY: &str = include_str!("../demo-key.pem");

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    ClientSide,
    ServerSide,
    /// A server-side application with the key that makes signing dear.
    ServerSideRsa,
    /// The server-side application's id and secret, and another key.
    Forger,
}

/// A service that gives its request back instead of sending it.
type Back = ServiceFn<fn(Request<Full<Bytes>>) -> Ready<Result<Given, Infallible>>>;
type Given = Response<Request<Full<Bytes>>>;

/// Makes requests to one server.
pub(crate) struct Requests {
    address: SocketAddr,
    client_side: SignRequest<Back>,
    server_side: Vec<SignRequest<Back>>,
    rsa: SignRequest<Back>,
    forger: SignRequest<Back>,
}

impl Requests {
    pub(crate) fn to(address: SocketAddr) -> Result<Self, Failure> {
        let signer = |key: &str| -> Result<_, Failure> {
            let (id, secret) = (AppId::new(SERVER_SIDE)?, SecretString::from(SECRET));
            let key = SigningKey::from_pem(key)?;
            layer(ClientApp::server_side(&id, &secret, key)?)
        };
        Ok(Self {
            address,
            client_side: layer(ClientApp::client_side(&AppId::new(CLIENT_SIDE)?))?,
            server_side: KEYS.into_iter().map(signer).collect::<Result<_, _>>()?,
            rsa: signer(RARE_KEY)?,
            forger: signer(STRANGE_KEY)?,
        })
    }

    /// A request with a nonce of its own for a new code of that user.
    pub(crate) async fn resend(&self, by: By, user: usize) -> Request<Bytes> {
        let body = json!({"username": username(user), "orgId": ORG});
        self.signed(by, http::Method::PUT, PATH, body.to_string())
            .await
    }

    /// A request that shows a code.
    pub(crate) async fn redeem(&self, user: &str, code: &str) -> Request<Bytes> {
        let body = json!({"username": user, "orgId": ORG, "registrationCode": code});
        let path = "/auth/registration";
        self.signed(By::ClientSide, http::Method::POST, path, body.to_string())
            .await
    }

    async fn signed(
        &self,
        by: By,
        method: http::Method,
        path: &str,
        body: String,
    ) -> Request<Bytes> {
        let signer = match by {
            By::ClientSide => &self.client_side,
            By::ServerSide => &self.server_side[body.len() % self.server_side.len()],
            By::ServerSideRsa => &self.rsa,
            By::Forger => &self.forger,
        };
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(body))
            .expect("a request");
        let given = signer.clone().oneshot(request).await;
        let (parts, body) = given.expect("a signature").into_body().into_parts();
        let Ok(body) = body.collect().await;
        Request::from_parts(parts, body.to_bytes())
    }
}

fn layer(app: ClientApp) -> Result<SignRequest<Back>, Failure> {
    fn back(request: Request<Full<Bytes>>) -> Ready<Result<Given, Infallible>> {
        std::future::ready(Ok(Response::new(request)))
    }
    let layer = SignRequestLayer::new(app).authority(AUTHORITY)?;
    Ok(layer.layer(service_fn(back as fn(_) -> _)))
}

/// What goes over the wire.
pub(crate) fn wire(request: &Request<Bytes>) -> Bytes {
    let target = request.uri().path_and_query();
    let target = target.map_or("/", http::uri::PathAndQuery::as_str);
    let mut bytes = format!("{} {target} HTTP/1.1\r\n", request.method()).into_bytes();
    for (name, value) in request.headers() {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            bytes.extend_from_slice(part);
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(request.body());
    bytes.into()
}
