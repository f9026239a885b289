//! The check of the API signature.
//!
//! 1. It needs a [`VerifiedApp`](crate::verified::VerifiedApp): without one, the layers are put
//!    together wrongly, and the request is refused with 500.
//! 2. A client-side application passes, its body unread; a signature that it sends is ignored.
//! 3. A server-side application's signature header has to be there and decode before the body is
//!    read. Then the body is read within its [`BodyLimits`](super::BodyLimits).
//! 4. A request is for the [authority](SignatureCheckBuilder::authority) that is set. Where none is,
//!    it has to name its service itself: by `host` header, URI, or both, which then have to agree up
//!    to case and the port that the set scheme implies. Otherwise one of two names would be covered
//!    by no signature, or a signature for no service in particular be good at every one.
//! 5. The signature has to verify under one of the application's keys and one of the
//!    [`TransportProfile`](super::TransportProfile)s, tried in order.
//!
//! ```
//! use tower_registration::signature::{ApiSignatureLayer, SignatureConfigError, TransportProfile};
//!
//! let layer = ApiSignatureLayer::builder()
//!     .authority("api.example.com")
//!     .transport_profiles([TransportProfile::NODE, TransportProfile::RECEIVED])
//!     .layer()?;
//! let refused = ApiSignatureLayer::builder().transport_profiles([]).layer();
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

use http::{HeaderMap, Request};
use http_body::Body;
use pin_project::pin_project;

use super::{
    body::{Buffering, CheckedBody, collect_unread},
    canonical::{CanonicalRequest, RequestParts},
    explain::{explain, shown},
    key::VerifyingKey,
    settings::{Settings, SignatureCheckBuilder},
    verify::{ApiSignature, MAX_KEYS, SignatureError, verify},
};
use crate::{
    app::{AppKind, Application},
    gate::{Check, GateLayer, Mount},
    headers::Credential,
    rejection::{Rejection, RejectionKind},
    target, trace,
    verified::{Verified, VerifiedSignature},
};

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

impl SignatureCheck {
    pub(super) fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// A builder with the default settings: `x-dfns-` headers, the authority of the request, scheme
    /// `https`, the profiles of [`TransportProfile::DEFAULT`](super::TransportProfile::DEFAULT), the
    /// default [`BodyLimits`](super::BodyLimits).
    pub fn builder() -> SignatureCheckBuilder {
        SignatureCheckBuilder::default()
    }
}

// The error is then that the body does not fit, in the words of `Check`, and not what it lacks.
#[diagnostic::do_not_recommend]
impl<B> Check<CheckedBody<B>> for SignatureCheck
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Pending = SignaturePending<B>;

    fn begin(
        &self,
        request: &mut Request<CheckedBody<B>>,
    ) -> Result<SignaturePending<B>, Rejection> {
        let Some((app, signature)) = self.0.claimed_signature(request)? else {
            return Ok(SignaturePending(None));
        };
        if self.0.explains {
            self.0.hide_explanation(request.headers_mut());
        }
        let body = collect_unread(request, self.0.limits).ok_or_else(|| {
            let reason = "body was taken before its signature was checked";
            Rejection::new(RejectionKind::InternalError, reason)
        })?;
        Ok(SignaturePending(Some(Reading {
            body,
            app,
            signature,
        })))
    }

    fn poll(
        &self,
        pending: Pin<&mut SignaturePending<B>>,
        request: &mut Request<CheckedBody<B>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let Some(reading) = pending.project().0.as_pin_mut() else {
            return Poll::Ready(Ok(()));
        };
        let reading = reading.project();
        let body = ready!(reading.body.poll(cx))?;
        let verified = self
            .0
            .verify(request, &body, reading.app, reading.signature)?;
        *request.body_mut() = CheckedBody::read(body);
        Verified::of_mut(request.extensions_mut()).signature = Some(verified);
        Poll::Ready(Ok(()))
    }
}

impl<B> Mount<B> for SignatureCheck {
    type Body = CheckedBody<B>;

    fn mount(body: B) -> CheckedBody<B> {
        CheckedBody::unread(body)
    }
}

/// What a [`SignatureCheck`] waits for: the body, where somebody has to have signed it.
#[pin_project]
pub struct SignaturePending<B>(#[pin] Option<Reading<B>>);

#[pin_project]
struct Reading<B> {
    #[pin]
    body: Buffering<B>,
    app: Arc<Application>,
    signature: ApiSignature,
}

impl<B> fmt::Debug for SignaturePending<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignaturePending")
            .field("reading", &self.0.is_some())
            .finish()
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
                    .require_bytes(request.headers(), Credential::ApiSignature)?;
                let signature =
                    ApiSignature::decode_bytes(header).map_err(|error| refuse(&error))?;
                if app.keys().is_empty() {
                    return Err(refuse(&SignatureError::NoKey));
                }
                Ok(Some((Arc::clone(app), signature)))
            }
        }
    }

    fn verify<B>(
        &self,
        request: &Request<B>,
        body: &[u8],
        app: &Application,
        signature: &ApiSignature,
    ) -> Result<VerifiedSignature, Rejection> {
        let uri = target::original_uri(request.uri(), request.extensions());
        let authority = target::service_name(
            self.authority.as_ref(),
            &self.scheme,
            request.headers(),
            uri,
        )
        .map_err(|error| refuse(&error))?;
        let canonical = CanonicalRequest::of(RequestParts {
            method: request.method(),
            scheme: self.scheme.as_str(),
            authority,
            path_and_query: target::path_and_query(uri),
            host: target::authority(uri),
            headers: request.headers(),
            names: &self.names,
            body,
        })
        .map_err(|error| refuse(&error))?;
        if app.keys().len() > MAX_KEYS {
            trace::warn!(target: trace::VERIFY, app = %app.id(), keys = app.keys().len(), most = MAX_KEYS, "application has more keys than are tried");
        }
        verify(signature, &canonical, &self.profiles, app.keys()).map_err(|error| {
            if self.explains && error == SignatureError::NoMatch {
                self.log_explanation(&canonical, request.headers(), app);
            }
            refuse(&error)
        })
    }

    /// Tells the developer of a client, who has the secret of `app`, why no signature verifies.
    fn log_explanation(
        &self,
        canonical: &CanonicalRequest<'_>,
        headers: &HeaderMap,
        app: &Application,
    ) {
        let algorithms: Vec<_> = app.keys().iter().map(VerifyingKey::algorithm).collect();
        let shown = shown(headers, &self.names);
        trace::warn!(target: trace::VERIFY, app = %app.id(), difference = %explain(canonical, &self.profiles, &algorithms, shown), "signature does not verify");
    }

    /// The text that a client shows holds the app secret: it is marked as the secret itself is.
    fn hide_explanation(&self, headers: &mut HeaderMap) {
        let explanation = self.names.explanation();
        for (name, value) in headers.iter_mut() {
            if name == explanation {
                value.set_sensitive(true);
            }
        }
    }
}

/// The errors that come here name headers and lengths, never values.
fn refuse(error: &impl Error) -> Rejection {
    Rejection::new(RejectionKind::ApiSignatureInvalid, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, future::poll_fn, pin::pin, time::Duration};

    use bytes::Bytes;
    use http::{HeaderValue, Method, Response, StatusCode, header::HOST};
    use http_body_util::{BodyExt, Channel, Full};
    use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

    use super::*;
    use crate::{
        app::{AppId, AppSecretHash},
        gate::GateBody,
        headers::HeaderNames,
        signature::{BodyLimits, SigningKey, TransportProfile},
        verified::VerifiedApp,
    };

    const PRIVATE: &str = include_str!("../../tests/keys/test-only-ed25519.pem");
    const OTHER: &str = include_str!("../../tests/keys/test-only-p256.pem");
    const BODY: &str = r#"{"username":"jane@example.co"}"#;

    fn key() -> SigningKey {
        SigningKey::from_pem(PRIVATE).unwrap()
    }

    fn app(keys: &[SigningKey]) -> Application {
        let keys = keys.iter().map(|key| key.verifying_key().clone()).collect();
        let secret = AppSecretHash::of("secret").unwrap();
        Application::server_side(AppId::new("app").unwrap(), vec![secret], keys)
    }

    fn as_app<B>(mut request: Request<B>, app: Application) -> Request<B> {
        Verified::of_mut(request.extensions_mut()).app = Some(VerifiedApp {
            application: Arc::new(app),
            secret: Some(0),
        });
        request
    }

    /// A request to `api.example.com` that is signed, as `host`, for `path`.
    fn signed(path: &str, host: &str) -> Request<Full<Bytes>> {
        let mut request = Request::put(path).body(Full::from(BODY)).unwrap();
        request
            .headers_mut()
            .insert(HOST, HeaderValue::from_static("api.example.com"));
        let names = HeaderNames::default();
        let input = CanonicalRequest::of(RequestParts {
            method: &Method::PUT,
            scheme: "https",
            authority: host,
            path_and_query: path,
            host: "",
            headers: request.headers(),
            names: &names,
            body: BODY.as_bytes(),
        })
        .unwrap()
        .signing_input(&TransportProfile::RECEIVED, key().algorithm());
        let signature = key().sign(input.as_str()).unwrap().parse().unwrap();
        request
            .headers_mut()
            .insert(names.get(Credential::ApiSignature), signature);
        request
    }

    /// What the inner service was given.
    #[derive(Debug)]
    struct Seen {
        body: Bytes,
        was_whole: bool,
        proof: Option<VerifiedSignature>,
    }

    async fn pass<B>(
        layer: SignatureCheckBuilder,
        request: Request<B>,
    ) -> Result<Seen, RejectionKind>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>> + fmt::Debug>,
    {
        let inner = service_fn(async |request: Request<CheckedBody<B>>| {
            let proof = Verified::of(request.extensions()).signature().copied();
            let was_whole = request.body().whole().is_some();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut response = Response::new(Full::<Bytes>::default());
            response.extensions_mut().insert(Arc::new(Seen {
                body,
                was_whole,
                proof,
            }));
            Ok::<_, Infallible>(response)
        });
        let response: Response<GateBody<_>> = layer
            .layer()
            .unwrap()
            .layer(inner)
            .oneshot(request)
            .await
            .unwrap();
        if let Some(rejection) = response.extensions().get::<Rejection>() {
            return Err(rejection.kind());
        }
        let (mut parts, _) = response.into_parts();
        let seen = parts.extensions.remove::<Arc<Seen>>().unwrap();
        Ok(Arc::try_unwrap(seen).unwrap())
    }

    fn builder() -> SignatureCheckBuilder {
        SignatureCheck::builder()
    }

    #[track_caller]
    fn refused(verdict: &Result<Seen, RejectionKind>) -> RejectionKind {
        *verdict.as_ref().unwrap_err()
    }

    #[tokio::test]
    async fn a_signed_request_passes_with_its_proof_and_its_whole_body() {
        let request = signed("/path?query", "api.example.com");
        let keys = [SigningKey::from_pem(OTHER).unwrap(), key()];
        let seen = pass(builder(), as_app(request, app(&keys))).await.unwrap();
        assert_eq!(seen.body, BODY);
        assert!(seen.was_whole);
        let proof = seen.proof.unwrap();
        assert_eq!((proof.key_index(), proof.profile()), (1, "node"));
    }

    #[tokio::test]
    async fn a_server_side_application_without_a_key_is_refused_signed_or_not() {
        let mut unsigned = signed("/path", "api.example.com");
        unsigned.headers_mut().remove("x-dfns-apisignature");
        for request in [unsigned, signed("/path", "api.example.com")] {
            let verdict = pass(builder(), as_app(request, app(&[]))).await;
            assert_eq!(refused(&verdict), RejectionKind::ApiSignatureInvalid);
        }
    }

    #[tokio::test]
    async fn a_request_that_was_changed_after_signing_is_refused() {
        type Change = fn(&mut Request<Full<Bytes>>);
        let changes: [(&str, Change); 5] = [
            ("body", |request| *request.body_mut() = Full::from("{}")),
            ("path", |request| {
                *request.uri_mut() = "/other".parse().unwrap();
            }),
            ("method", |request| *request.method_mut() = Method::POST),
            ("host", |request| {
                request
                    .headers_mut()
                    .insert(HOST, HeaderValue::from_static("evil.example.com"));
            }),
            ("second host", |request| {
                request
                    .headers_mut()
                    .append(HOST, HeaderValue::from_static("api.example.com"));
            }),
        ];
        for (name, change) in changes {
            let mut request = as_app(signed("/path", "api.example.com"), app(&[key()]));
            change(&mut request);
            let verdict = pass(builder(), request).await;
            assert_eq!(
                refused(&verdict),
                RejectionKind::ApiSignatureInvalid,
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn without_a_verified_application_the_service_is_put_together_wrongly() {
        let verdict = pass(builder(), signed("/path", "api.example.com")).await;
        assert_eq!(refused(&verdict), RejectionKind::InternalError);
    }

    #[tokio::test]
    async fn a_client_side_application_passes_unread_whatever_signature_it_sends() {
        for header in ["", "not base64!", "AAAA"] {
            let mut request = signed("/path", "api.example.com");
            request
                .headers_mut()
                .insert("x-dfns-apisignature", HeaderValue::from_static(header));
            let app = Application::client_side(AppId::new("app").unwrap());
            let seen = pass(builder(), as_app(request, app)).await.unwrap();
            assert_eq!(seen.body, BODY);
            assert!(!seen.was_whole && seen.proof.is_none());
        }
    }

    #[tokio::test]
    async fn a_missing_or_malformed_signature_is_refused_before_the_body_is_read() {
        for headers in [&[][..], &[""], &["not base64!"], &["AAAA", "AAAA"]] {
            // Nothing is ever sent, so that whoever reads this body waits for its time to be up.
            let (_sender, body) = Channel::<Bytes, Infallible>::new(1);
            let mut request = Request::put("/path").body(body).unwrap();
            for header in headers {
                let value = HeaderValue::from_static(header);
                request.headers_mut().append("x-dfns-apisignature", value);
            }
            let verdict = pass(builder(), as_app(request, app(&[key()]))).await;
            assert_eq!(refused(&verdict), RejectionKind::ApiSignatureInvalid);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_has_to_arrive_within_its_limits() {
        let (_sender, body) = Channel::<Bytes, Infallible>::new(1);
        let late = signed("/path", "api.example.com").map(|_| body);
        let verdict = pass(builder(), as_app(late, app(&[key()]))).await;
        assert_eq!(refused(&verdict), RejectionKind::BodyTimeout);

        for (max_bytes, expected) in [
            (BODY.len(), None),
            (BODY.len() - 1, Some(RejectionKind::BodyTooLarge)),
        ] {
            let limits = BodyLimits::new(max_bytes, Duration::from_secs(1)).unwrap();
            let request = as_app(signed("/path", "api.example.com"), app(&[key()]));
            let verdict = pass(builder().body_limits(limits), request).await;
            assert_eq!(verdict.err(), expected);
        }
    }

    #[tokio::test]
    async fn a_set_authority_and_scheme_count_instead_of_the_requests() {
        let request = || as_app(signed("/path", "public.example.com"), app(&[key()]));
        let verdict = pass(builder(), request()).await;
        assert_eq!(refused(&verdict), RejectionKind::ApiSignatureInvalid);
        let public = builder().authority("public.example.com");
        assert!(pass(public.clone(), request()).await.is_ok());
        let verdict = pass(public.scheme("http"), request()).await;
        assert_eq!(refused(&verdict), RejectionKind::ApiSignatureInvalid);
    }

    #[tokio::test]
    async fn without_a_host_header_the_uris_authority_counts() {
        let mut request = signed("/path", "api.example.com");
        request.headers_mut().remove(HOST);
        *request.uri_mut() = "https://api.example.com/path".parse().unwrap();
        assert!(
            pass(builder(), as_app(request, app(&[key()])))
                .await
                .is_ok()
        );
    }

    #[cfg(feature = "axum")]
    #[tokio::test]
    async fn the_original_uri_counts_where_a_nested_router_has_stripped_it() {
        let inner = axum::Router::new()
            .route("/path", axum::routing::put(async |body: Bytes| body))
            .layer(builder().layer().unwrap());
        let router = axum::Router::new().nest("/api", inner);
        for (path, status) in [
            ("/api/path?query", StatusCode::OK),
            ("/path?query", StatusCode::UNAUTHORIZED),
        ] {
            let mut request = as_app(signed(path, "api.example.com"), app(&[key()]));
            *request.uri_mut() = "/api/path?query".parse().unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "signed for {path}");
        }
    }

    #[tokio::test]
    async fn other_header_names_are_read_where_they_are_set() {
        let names = HeaderNames::with_prefix("x-acme-").unwrap();
        let request = as_app(signed("/path", "api.example.com"), app(&[key()]));
        let verdict = pass(builder().header_names(names), request).await;
        assert_eq!(refused(&verdict), RejectionKind::ApiSignatureInvalid);
    }

    #[tokio::test]
    async fn a_reason_names_no_value() {
        let mut request = as_app(signed("/path", "api.example.com"), app(&[key()]));
        let hidden = HeaderValue::from_bytes(b"hidden\xff").unwrap();
        request.headers_mut().insert("x-dfns-appsecret", hidden);
        let check = builder().build().unwrap();
        let mut request = request.map(SignatureCheck::mount);
        let mut pending = pin!(check.begin(&mut request).unwrap());
        let verdict = poll_fn(|cx| check.poll(pending.as_mut(), &mut request, cx)).await;
        let rejection = verdict.unwrap_err();
        assert_eq!(rejection.reason(), "x-dfns-appsecret is not visible ASCII");
    }

    #[tokio::test]
    async fn the_layer_works_over_services_that_have_to_be_readied() {
        let inner = service_fn(async |_: Request<CheckedBody<Full<Bytes>>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
        let mut service = ServiceBuilder::new()
            .layer(builder().layer().unwrap())
            .concurrency_limit(1)
            .timeout(Duration::from_secs(1))
            .service(inner);
        for _ in 0..2 {
            let request = as_app(signed("/path", "api.example.com"), app(&[key()]));
            let response = service.ready().await.unwrap().call(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
        }
    }

    #[test]
    fn debug_of_what_is_waited_for_shows_no_request() {
        let request = as_app(signed("/path", "api.example.com"), app(&[key()]));
        let mut request = request.map(SignatureCheck::mount);
        let pending = builder().build().unwrap().begin(&mut request).unwrap();
        assert_eq!(format!("{pending:?}"), "SignaturePending { reading: true }");
    }
}
