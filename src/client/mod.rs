//! The outgoing side: a layer that adds nonce, application headers and signature to requests.
//!
//! 1. Every request gets a new nonce (a random UUID and the [`Clock`](crate::clock::Clock)'s time)
//!    and the application's id.
//! 2. A server-side application's requests also get its secret and a signature. Both header values
//!    are marked sensitive.
//! 3. What is signed is what goes over the wire: the body is read whole first, `content-length` is
//!    set as hyper would set it, `transfer-encoding` is removed, and so is `connection` from an
//!    HTTP/2 request, which may not have it. `host` is set from the URI, unless it is there or the
//!    request's version is HTTP/2, which has `:authority` for it. A `host` that names another
//!    service than the URI is refused, unless the layer's
//!    [authority](SignRequestLayer::authority) is set: over HTTP/2 both would go out.
//! 4. Headers of these names that the request already has are replaced. A user action token is
//!    the caller's to set; it is covered by the signature.
//!
//! # What the transport below may add
//!
//! hyper's clients (1.x) and hyper-util's legacy `Client` over HTTP/1.1 and HTTP/2 add nothing that
//! is covered to a request that leaves this layer, and change nothing. Mount layers that set
//! `accept`, `accept-encoding`, `user-agent`, `authorization` or a user action *outside* of this
//! one, so that they run before it signs. A layer that retries belongs outside as well: each try
//! needs a nonce of its own.
//!
//! ```
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use bytes::Bytes;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_registration::{
//!     app::AppId,
//!     client::{ClientApp, ClientError, SignRequestLayer},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let transport = service_fn(async |request: Request<Full<Bytes>>| {
//!     assert!(request.headers().contains_key("x-dfns-nonce"));
//!     assert_eq!(request.headers()["x-dfns-appid"], "ap-4s6se-e2t7n-89gfg50iaos73pm6");
//!     Ok::<_, std::io::Error>(Response::new(()))
//! });
//! let app = ClientApp::client_side(&AppId::new("ap-4s6se-e2t7n-89gfg50iaos73pm6")?);
//! let client = SignRequestLayer::new(app).layer(transport);
//!
//! let request = Request::put("https://api.example.com/auth/registration/code")
//!     .body(Full::<Bytes>::from("{}"))?;
//! assert!(client.clone().oneshot(request).await.is_ok());
//!
//! // Neither Host nor an authority in the URI: nobody could say what the server will see.
//! let request = Request::put("/auth/registration/code").body(Full::<Bytes>::from("{}"))?;
//! assert!(matches!(client.oneshot(request).await, Err(ClientError::Request(_))));
//! # Ok(())
//! # }
//! ```

mod app;
mod outgoing;
mod service;

pub use app::{ClientApp, InvalidAppSecret};
pub use outgoing::{RequestError, encode_nonce};
pub use service::{ClientError, SignRequest, SignRequestLayer, SignedResponse};
