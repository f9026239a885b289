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
use http::{
    Request, Response,
    request::Parts,
    uri::{Authority, Scheme},
};
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
    signature::{BodyLimits, Buffering, collect},
};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
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
    /// behind a proxy or a tunnel.
    pub fn authority(mut self, authority: Authority) -> Self {
        self.signer.authority = Some(authority);
        self
    }

    /// The scheme to sign, whatever the request's own: `https` unless set.
    pub fn scheme(mut self, scheme: Scheme) -> Self {
        self.signer.scheme = scheme;
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
