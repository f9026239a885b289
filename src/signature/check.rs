//! The check of the API signature.
//!
//! 1. It needs a [`VerifiedApp`](crate::verified::VerifiedApp): without one, the layers are put
//!    together wrongly, and the request is refused with 500.
//! 2. A client-side application passes, its body unread; a signature that it sends is ignored.
//! 3. A server-side application's signature header has to be there and decode before the body is
//!    read. Then the body is read within its [`BodyLimits`].
//! 4. The signature has to verify under one of the application's keys and one of the
//!    [`TransportProfile`]s, tried in order.
//!
//! ```
//! use tower_registration::signature::{ApiSignatureLayer, SignatureConfigError, TransportProfile};
//!
//! let layer = ApiSignatureLayer::builder()
//!     .authority("api.example.com")
//!     .profiles([TransportProfile::NODE, TransportProfile::RECEIVED])
//!     .layer()?;
//! let refused = ApiSignatureLayer::builder().profiles([]).layer();
//! assert_eq!(refused.unwrap_err(), SignatureConfigError::NoProfiles);
//! # Ok::<(), SignatureConfigError>(())
//! ```

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{
    Request,
    header::HOST,
    request::Parts,
    uri::{Authority, Scheme},
};
use http_body::Body;
use pin_project::pin_project;

use super::{
    body::{BodyLimits, Buffering, CheckedBody, collect},
    canonical::{CanonicalRequest, RequestParts},
    profile::{MAX_PROFILES, TransportProfile},
    verify::{ApiSignature, MAX_KEYS, verify},
};
use crate::{
    app::{AppKind, Application},
    gate::{Check, GateLayer},
    headers::{Credential, HeaderNames},
    rejection::{Rejection, RejectionKind},
    target::{original_uri, path_and_query},
    trace,
    verified::{Verified, VerifiedSignature},
};

/// The scheme under which clients reach the service, unless set otherwise.
pub const DEFAULT_SCHEME: &str = "https";

/// A layer that lets pass what [`SignatureCheck`] lets pass.
pub type ApiSignatureLayer = GateLayer<SignatureCheck>;

impl ApiSignatureLayer {
    /// A builder with the default settings.
    pub fn builder() -> SignatureCheckBuilder {
        SignatureCheck::builder()
    }
}

/// Whether a server-side application signed the request.
#[derive(Clone, Debug)]
pub struct SignatureCheck(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    names: HeaderNames,
    authority: Option<Authority>,
    scheme: Scheme,
    profiles: Vec<TransportProfile>,
    limits: BodyLimits,
}

/// Settings of a [`SignatureCheck`].
#[derive(Clone, Debug)]
#[must_use]
pub struct SignatureCheckBuilder {
    names: HeaderNames,
    authority: Option<String>,
    scheme: String,
    profiles: Vec<TransportProfile>,
    limits: BodyLimits,
}

/// Settings under which no signature could be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureConfigError {
    /// The authority is none.
    #[error("{0:?} is no authority: use host and port alone, as in \"api.example.com\"")]
    Authority(String),
    /// The scheme is none.
    #[error("{0:?} is no scheme: use \"https\"")]
    Scheme(String),
    /// No profile: nothing would ever verify.
    #[error("no transport profile is set: leave the default, or set at least one")]
    NoProfiles,
    /// More than [`MAX_PROFILES`] profiles.
    #[error("{0} transport profiles are set: use at most {MAX_PROFILES}")]
    TooManyProfiles(usize),
}

impl SignatureCheck {
    /// A builder with the default settings: `x-dfns-` headers, the authority of the request, scheme
    /// `https`, the profiles of [`TransportProfile::DEFAULT`], the default [`BodyLimits`].
    pub fn builder() -> SignatureCheckBuilder {
        SignatureCheckBuilder {
            names: HeaderNames::default(),
            authority: None,
            scheme: DEFAULT_SCHEME.to_owned(),
            profiles: TransportProfile::DEFAULT.to_vec(),
            limits: BodyLimits::default(),
        }
    }
}

impl SignatureCheckBuilder {
    /// The names of the credential headers.
    pub fn header_names(self, names: HeaderNames) -> Self {
        Self { names, ..self }
    }

    /// The authority under which clients reach the service, such as `api.example.com`. Without it,
    /// the `Host` header's value counts, and where there is none, the URI's authority: set it where
    /// a proxy rewrites `Host`.
    pub fn authority(self, authority: impl Into<String>) -> Self {
        Self {
            authority: Some(authority.into()),
            ..self
        }
    }

    /// The scheme under which clients reach the service. [`DEFAULT_SCHEME`] unless set.
    pub fn scheme(self, scheme: impl Into<String>) -> Self {
        Self {
            scheme: scheme.into(),
            ..self
        }
    }

    /// The transport profiles in the order in which they are tried, 1 to [`MAX_PROFILES`].
    pub fn profiles(self, profiles: impl IntoIterator<Item = TransportProfile>) -> Self {
        Self {
            profiles: profiles.into_iter().collect(),
            ..self
        }
    }

    /// How long a body may be, and how long it may take.
    pub fn body_limits(self, limits: BodyLimits) -> Self {
        Self { limits, ..self }
    }

    /// The check.
    ///
    /// # Errors
    ///
    /// If the authority or scheme is none, or the profiles are none or too many.
    pub fn build(self) -> Result<SignatureCheck, SignatureConfigError> {
        let authority = match self.authority {
            None => None,
            Some(text) => Some(
                Authority::try_from(text.as_str())
                    .map_err(|_| SignatureConfigError::Authority(text))?,
            ),
        };
        let scheme = Scheme::try_from(self.scheme.as_str())
            .map_err(|_| SignatureConfigError::Scheme(self.scheme))?;
        match self.profiles.len() {
            1..=MAX_PROFILES => {}
            0 => return Err(SignatureConfigError::NoProfiles),
            more => return Err(SignatureConfigError::TooManyProfiles(more)),
        }
        Ok(SignatureCheck(Arc::new(Settings {
            names: self.names,
            authority,
            scheme,
            profiles: self.profiles,
            limits: self.limits,
        })))
    }

    /// The check as a layer.
    ///
    /// # Errors
    ///
    /// Those of [`build`](Self::build).
    pub fn layer(self) -> Result<ApiSignatureLayer, SignatureConfigError> {
        self.build().map(GateLayer::from_check)
    }
}

impl<B> Check<B> for SignatureCheck
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Body = CheckedBody<B>;
    type Future = SignatureVerdict<B>;

    fn check(&self, request: Request<B>) -> Self::Future {
        let stage = match self.0.claimed_signature(&request) {
            Err(rejection) => Stage::Decided(Some(Err(rejection))),
            Ok(None) => Stage::Decided(Some(Ok(request.map(CheckedBody::Unread)))),
            Ok(Some((app, signature))) => {
                let (parts, body) = request.into_parts();
                Stage::Reading {
                    body: collect(body, &parts.headers, self.0.limits),
                    pending: Some(Pending {
                        parts,
                        app,
                        signature,
                        settings: Arc::clone(&self.0),
                    }),
                }
            }
        };
        SignatureVerdict { stage }
    }
}

impl Settings {
    /// Who has to have signed, and the signature; `None` where nobody has to.
    fn claimed_signature<B>(
        &self,
        request: &Request<B>,
    ) -> Result<Option<(Arc<Application>, ApiSignature)>, Rejection> {
        let app = Verified::of(request.extensions())
            .app()
            .ok_or_else(|| Rejection::missing_layer("ApiSignatureLayer", "AppLayer"))?
            .application();
        match app.kind() {
            AppKind::ClientSideApplication => Ok(None),
            AppKind::ServerSideApplication => {
                let header = self
                    .names
                    .require(request.headers(), Credential::ApiSignature)?;
                let signature = ApiSignature::decode(header).map_err(|error| refuse(&error))?;
                Ok(Some((Arc::clone(app), signature)))
            }
        }
    }

    fn verify(
        &self,
        parts: &Parts,
        body: &[u8],
        app: &Application,
        signature: &ApiSignature,
    ) -> Result<VerifiedSignature, Rejection> {
        let uri = original_uri(&parts.uri, &parts.extensions);
        let host = uri.authority().map_or("", Authority::as_str);
        let received_host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = self
            .authority
            .as_ref()
            .map_or_else(|| received_host.unwrap_or(host), Authority::as_str);
        let request = CanonicalRequest::of(RequestParts {
            method: &parts.method,
            scheme: self.scheme.as_str(),
            authority,
            path_and_query: path_and_query(uri),
            host,
            headers: &parts.headers,
            names: &self.names,
            body,
        })
        .map_err(|error| refuse(&error))?;
        if app.keys().len() > MAX_KEYS {
            trace::warn!(target: trace::VERIFY, app = %app.id(), keys = app.keys().len(), most = MAX_KEYS, "application has more keys than are tried");
        }
        verify(signature, &request, &self.profiles, app.keys()).map_err(|error| refuse(&error))
    }
}

/// The errors that come here name headers and lengths, never values.
fn refuse(error: &impl Error) -> Rejection {
    Rejection::new(RejectionKind::ApiSignatureInvalid, error.to_string())
}

/// The verdict of a [`SignatureCheck`].
#[pin_project]
pub struct SignatureVerdict<B> {
    #[pin]
    stage: Stage<B>,
}

#[pin_project(project = StageProjection)]
enum Stage<B> {
    Decided(Option<Result<Request<CheckedBody<B>>, Rejection>>),
    Reading {
        #[pin]
        body: Buffering<B>,
        pending: Option<Pending>,
    },
}

/// What waits for the body.
struct Pending {
    parts: Parts,
    app: Arc<Application>,
    signature: ApiSignature,
    settings: Arc<Settings>,
}

impl<B> fmt::Debug for SignatureVerdict<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Decided(_) => "SignatureVerdict::Decided",
            Stage::Reading { .. } => "SignatureVerdict::Reading",
        })
    }
}

impl<B> Future for SignatureVerdict<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Request<CheckedBody<B>>, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().stage.project() {
            StageProjection::Decided(verdict) => {
                Poll::Ready(verdict.take().expect("polled after completion"))
            }
            StageProjection::Reading { body, pending } => {
                let bytes = ready!(body.poll(cx))?;
                let pending = pending.take().expect("polled after completion");
                Poll::Ready(pending.decide(bytes))
            }
        }
    }
}

impl Pending {
    fn decide<B>(self, body: bytes::Bytes) -> Result<Request<CheckedBody<B>>, Rejection> {
        let Self {
            mut parts,
            app,
            signature,
            settings,
        } = self;
        let verified = settings.verify(&parts, &body, &app, &signature)?;
        Verified::of_mut(&mut parts.extensions).signature = Some(verified);
        Ok(Request::from_parts(parts, CheckedBody::Whole(Some(body))))
    }
}
