//! The layer, its service, and its future.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, request::Parts, uri::Scheme};
use http_body::Body;
use http_body_util::Full;
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use uuid::Uuid;

use super::{
    app::ClientApp,
    outgoing::{RequestError, Signer},
};
use crate::{
    clock::{Clock, SharedClock, SystemClock},
    headers::HeaderNames,
    rejection::Rejection,
    signature::{
        BodyLimits, Buffering, SignatureConfigError, collect, read_authority, read_scheme,
    },
};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The request's body is over the limit, took too long, or broke off. Nothing was sent.
    #[error("the request's body could not be read")]
    Body(#[source] Rejection),
    /// The request cannot be signed. Nothing was sent.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The inner service's own error.
    #[error("the request failed")]
    Transport(#[source] BoxError),
}

/// Adds nonce, application headers and signature to every request.
#[derive(Clone)]
#[must_use]
pub struct SignRequestLayer {
    signer: Signer,
    limits: BodyLimits,
    clock: SharedClock,
}

impl SignRequestLayer {
    /// Signs as `app`, with `x-dfns-` headers, the request's own authority, scheme `https`, the
    /// default [`BodyLimits`] and the system's clock.
    pub fn new(app: ClientApp) -> Self {
        Self {
            signer: Signer {
                app,
                names: HeaderNames::default(),
                authority: None,
                scheme: Scheme::HTTPS,
                shows_text: false,
            },
            limits: BodyLimits::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The names of the credential headers.
    pub fn header_names(mut self, names: HeaderNames) -> Self {
        self.signer.names = names;
        self
    }

    /// The authority to sign, where the server goes by another name than the request's `host`, as
    /// behind a proxy or a tunnel. Once it is set, `host` may name another service than the URI, as
    /// where the URI is the tunnel's; over HTTP/2, the server then has to have its authority set too.
    ///
    /// # Errors
    ///
    /// If it is no authority, such as `api.example.com`.
    pub fn authority(mut self, authority: impl Into<String>) -> Result<Self, SignatureConfigError> {
        self.signer.authority = Some(read_authority(authority.into())?);
        Ok(self)
    }

    /// The scheme to sign, whatever the request's own: `https` unless set.
    ///
    /// # Errors
    ///
    /// If it is no scheme.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Result<Self, SignatureConfigError> {
        self.signer.scheme = read_scheme(scheme.into())?;
        Ok(self)
    }

    /// Sends along, in `x-dfns-explain-signature`, the text that was signed, so that a server with
    /// [`insecure_explain_signature`](crate::signature::SignatureCheckBuilder::insecure_explain_signature)
    /// can say in its log where its own differs. A text of over
    /// [`MAX_EXPLANATION`](crate::headers::MAX_EXPLANATION) bytes is left away.
    ///
    /// For development: the text holds the app secret, any bearer token and the body, once more
    /// than the request does, in a header that neither proxies nor traces know to keep out of their
    /// logs.
    pub fn insecure_show_signed_text(mut self) -> Self {
        self.signer.shows_text = true;
        self
    }

    /// How long a request's body may be, and how long it may take.
    pub fn body_limits(mut self, limits: BodyLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the nonces' times come from.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }
}

impl fmt::Debug for SignRequestLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignRequestLayer")
            .field("signer", &self.signer)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for SignRequestLayer {
    type Service = SignRequest<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SignRequest {
            settings: Arc::new(self.clone()),
            inner,
        }
    }
}

/// A client whose requests are signed.
#[derive(Clone, Debug)]
pub struct SignRequest<S> {
    settings: Arc<SignRequestLayer>,
    inner: S,
}

impl<S, B, ResBody> Service<Request<B>> for SignRequest<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResBody>;
    type Error = ClientError;
    type Future = SignedResponse<B, S, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner
            .poll_ready(cx)
            .map_err(|error| ClientError::Transport(error.into()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready goes with the request; its clone stays behind.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let (parts, body) = request.into_parts();
        SignedResponse {
            stage: Stage::Reading {
                body: collect(body, &parts.headers, self.settings.limits),
                parts: Some(parts),
                ready,
                settings: Arc::clone(&self.settings),
            },
        }
    }
}

/// The response to a signed request.
#[pin_project]
pub struct SignedResponse<B, S, F> {
    #[pin]
    stage: Stage<B, S, F>,
}

#[pin_project(project = StageProjection)]
#[expect(
    clippy::large_enum_variant,
    reason = "the request waits in the first variant, and a box would cost each request an allocation"
)]
enum Stage<B, S, F> {
    Reading {
        #[pin]
        body: Buffering<B>,
        parts: Option<Parts>,
        ready: S,
        settings: Arc<SignRequestLayer>,
    },
    Sending(#[pin] F),
}

impl<B, S, F> fmt::Debug for SignedResponse<B, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Reading { .. } => "SignedResponse::Reading",
            Stage::Sending(_) => "SignedResponse::Sending",
        })
    }
}

impl<B, S, ResBody> Future for SignedResponse<B, S, S::Future>
where
    S: Service<Request<Full<Bytes>>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<ResBody>, ClientError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let response = match stage.as_mut().project() {
                StageProjection::Reading {
                    body,
                    parts,
                    ready,
                    settings,
                } => {
                    let body = ready!(body.poll(cx)).map_err(ClientError::Body)?;
                    let mut parts = parts.take().expect("polled after completion");
                    let now = settings.clock.now();
                    settings
                        .signer
                        .sign(&mut parts, &body, Uuid::new_v4(), now)?;
                    ready.call(Request::from_parts(parts, Full::new(body)))
                }
                StageProjection::Sending(response) => {
                    return response
                        .poll(cx)
                        .map_err(|error| ClientError::Transport(error.into()));
                }
            };
            stage.set(Stage::Sending(response));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, io, sync::Mutex, time::Duration};

    use chrono::DateTime;
    use http::{HeaderMap, StatusCode, Version, header::HOST};
    use http_body_util::Channel;
    use hyper::body::Incoming;
    use hyper_util::{
        client::legacy::Client,
        rt::{TokioExecutor, TokioIo},
        server::conn::auto,
        service::TowerToHyperService,
    };
    use tokio::net::TcpListener;
    use tower::{ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::{
        app::{AppId, Application},
        clock::ManualClock,
        nonce::Nonce,
        rejection::RejectionKind,
        secret::SecretString,
        signature::{CheckedBody, SignatureCheck, SigningKey, TransportProfile},
        verified::{Verified, VerifiedApp},
    };

    const KEYS: [&str; 3] = [
        include_str!("../../tests/keys/test-only-rsa-2048.pem"),
        include_str!("../../tests/keys/test-only-p256.pem"),
        include_str!("../../tests/keys/test-only-ed25519.pem"),
    ];

    fn layer(key: &str) -> SignRequestLayer {
        let key = SigningKey::from_pem(key).unwrap();
        let secret = SecretString::from("secret");
        let id = AppId::new("app").unwrap();
        SignRequestLayer::new(ClientApp::server_side(&id, &secret, key).unwrap())
    }

    /// Serves one connection with a check of the signature that knows no profile but "as received";
    /// answers with the headers that came in.
    async fn serve(listener: TcpListener, key: &str) {
        let key = SigningKey::from_pem(key).unwrap();
        let app = Application::server_side(
            AppId::new("app").unwrap(),
            vec![],
            vec![key.verifying_key().clone()],
        );
        let app = VerifiedApp {
            application: Arc::new(app),
            secret: None,
        };
        let check = SignatureCheck::builder().transport_profiles([TransportProfile::RECEIVED]);
        let inner = service_fn(async |request: Request<CheckedBody<Incoming>>| {
            let mut response = Response::new(Full::<Bytes>::default());
            *response.headers_mut() = request.headers().clone();
            response.headers_mut().remove("content-length");
            Ok::<_, Infallible>(response)
        });
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<Incoming>| {
                Verified::of_mut(request.extensions_mut()).app = Some(app.clone());
                request
            })
            .layer(check.layer().unwrap())
            .service(inner);
        let (stream, _) = listener.accept().await.unwrap();
        let _ = auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .await;
    }

    async fn call(version: Version, key: &'static str, body: &'static str) -> HeaderMap {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(serve(listener, key));
        let client = Client::builder(TokioExecutor::new())
            .http2_only(version == Version::HTTP_2)
            .build_http::<Full<Bytes>>();
        let request = Request::put(format!("http://{address}/path?a=%20b"))
            .version(version)
            .header("content-type", "application/json")
            .header("x-dfns-useraction", "token")
            .body(Full::<Bytes>::from(body))
            .unwrap();
        let response = layer(key).layer(client).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{version:?}");
        server.abort();
        response.into_parts().0.headers
    }

    #[tokio::test]
    async fn what_is_signed_is_what_hyper_sends_over_both_versions() {
        for key in KEYS {
            for body in ["", r#"{"username":"jane@example.co"}"#] {
                let headers = call(Version::HTTP_11, key, body).await;
                assert!(headers.contains_key(HOST));
                let headers = call(Version::HTTP_2, key, body).await;
                assert!(!headers.contains_key(HOST));
            }
        }
    }

    type Sent = Arc<Mutex<Vec<Request<Full<Bytes>>>>>;

    fn recorder(
        sent: &Sent,
    ) -> impl Service<Request<Full<Bytes>>, Response = Response<()>, Error = io::Error, Future: Send>
    + Clone
    + Send
    + 'static {
        let sent = Arc::clone(sent);
        service_fn(move |request| {
            sent.lock().unwrap().push(request);
            std::future::ready(Ok(Response::new(())))
        })
    }

    fn request() -> Request<Full<Bytes>> {
        Request::put("https://api.example.com/path")
            .body(Full::from("{}"))
            .unwrap()
    }

    #[tokio::test]
    async fn each_request_has_a_nonce_of_its_own_and_secrets_are_marked() {
        let sent = Sent::default();
        let clock = ManualClock::at(DateTime::UNIX_EPOCH);
        let client = layer(KEYS[2]).clock(clock).layer(recorder(&sent));
        for _ in 0..2 {
            client.clone().oneshot(request()).await.unwrap();
        }
        let sent = sent.lock().unwrap();
        let nonce = |request: &Request<_>| {
            Nonce::decode(request.headers()["x-dfns-nonce"].to_str().unwrap()).unwrap()
        };
        assert_ne!(nonce(&sent[0]).id(), nonce(&sent[1]).id());
        assert_eq!(nonce(&sent[0]).datetime(), DateTime::UNIX_EPOCH);
        for (name, is_sensitive) in [
            ("x-dfns-appsecret", true),
            ("x-dfns-apisignature", true),
            ("x-dfns-appid", false),
        ] {
            assert_eq!(sent[0].headers()[name].is_sensitive(), is_sensitive);
        }
    }

    #[tokio::test]
    async fn the_layer_works_over_services_that_have_to_be_readied() {
        let sent = Sent::default();
        let mut client = ServiceBuilder::new()
            .layer(layer(KEYS[2]))
            .buffer(1)
            .concurrency_limit(1)
            .timeout(Duration::from_secs(1))
            .service(recorder(&sent));
        for count in 1..=2 {
            let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut client).await;
            ready.unwrap().call(request()).await.unwrap();
            assert_eq!(sent.lock().unwrap().len(), count);
        }
    }

    #[tokio::test]
    async fn nothing_is_sent_when_the_body_breaks_its_limits() {
        let sent = Sent::default();
        let client = |max_bytes| {
            let limits = BodyLimits::new(max_bytes, Duration::from_secs(1)).unwrap();
            layer(KEYS[2]).body_limits(limits).layer(recorder(&sent))
        };
        let refused = |verdict: Result<Response<()>, ClientError>| match verdict {
            Err(ClientError::Body(rejection)) => rejection.kind(),
            other => panic!("{other:?}"),
        };
        let verdict = client(1).oneshot(request()).await;
        assert_eq!(refused(verdict), RejectionKind::BodyTooLarge);
        let (sender, body) = Channel::<Bytes, io::Error>::new(1);
        sender.abort(io::Error::other("broken"));
        let verdict = client(2).oneshot(request().map(|_| body)).await;
        assert_eq!(refused(verdict), RejectionKind::BodyInvalid);
        assert!(sent.lock().unwrap().is_empty());
        assert!(client(2).oneshot(request()).await.is_ok());
    }

    #[tokio::test]
    async fn the_transports_errors_are_told_apart() {
        let broken = service_fn(async |_: Request<Full<Bytes>>| {
            Err::<Response<()>, _>(io::Error::other("refused"))
        });
        let verdict = layer(KEYS[2]).layer(broken).oneshot(request()).await;
        assert!(matches!(verdict, Err(ClientError::Transport(error)) if error.is::<io::Error>()));
    }
}
