//! What the tests share: applications, honest requests to spoil, and answers to look at.

use std::{
    convert::Infallible,
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use tower::{Service, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppSecretHash, Application, Permissions, StaticApps},
    backend::memory::MemoryReplayGuard,
    clock::ManualClock,
    headers::HeaderNames,
    registration,
    rejection::Rejection,
    signature::{CanonicalRequest, RequestParts, SigningKey, TransportProfile, VerifyingKey},
    verify::VerifyBuilder,
};

pub(crate) const CLIENT_APP: &str = "312CE25E-A112-4D45-9965-6175E7C568DD";
pub(crate) const SERVER_APP: &str = "495C1CF8-673A-499C-A1F7-CFD32B60E726";
pub(crate) const EMPLOYEE_APP: &str = "ap-employee-only";
pub(crate) const POWERLESS_APP: &str = "ap-without-permissions";
pub(crate) const KEYLESS_APP: &str = "ap-without-keys";
pub(crate) const INACTIVE_APP: &str = "ap-inactive";
pub(crate) const SECRET: &str = "secret-0b8f1d6e-8a55-4ac1-a2ff-5b7f6c3c3f3a";
pub(crate) const AUTHORITY: &str = "api.example.com";
pub(crate) const JANE: &str = r#"{"username":"jane@example.co","orgId":"example-org-id"}"#;

/// An instant that all tests begin at; no clock of theirs reads another.
pub(crate) fn start() -> DateTime<Utc> {
    "2026-11-23T07:44:00Z".parse().expect("a time")
}

pub(crate) fn signing_key() -> SigningKey {
    SigningKey::from_pem(include_str!("../keys/test-only-ed25519.pem")).expect("a key")
}

pub(crate) fn other_signing_key() -> SigningKey {
    SigningKey::from_pem(include_str!("../keys/test-only-p256.pem")).expect("a key")
}

pub(crate) fn verifying_key() -> VerifyingKey {
    signing_key().verifying_key().clone()
}

/// One application of each sort.
pub(crate) fn apps() -> StaticApps {
    let id = |id: &str| AppId::new(id).expect("an id");
    let end_users = [Permissions::USERS_CREATE, Permissions::TYPES_END_USER];
    let employees = [Permissions::USERS_CREATE, Permissions::TYPES_EMPLOYEE];
    let secret = AppSecretHash::of(SECRET).expect("a secret");
    StaticApps::new([
        Application::client_side(id(CLIENT_APP)).with_permissions(end_users),
        Application::server_side(id(SERVER_APP), vec![secret], vec![verifying_key()])
            .with_permissions(end_users),
        Application::server_side(
            id(KEYLESS_APP),
            vec![AppSecretHash::of(SECRET).expect("a secret")],
            vec![],
        ),
        Application::client_side(id(EMPLOYEE_APP)).with_permissions(employees),
        Application::client_side(id(POWERLESS_APP)),
        Application::client_side(id(INACTIVE_APP))
            .with_permissions(end_users)
            .inactive(),
    ])
    .expect("applications")
}

/// A guard that knows of everything since [`start`] less a day.
pub(crate) fn guard() -> Arc<MemoryReplayGuard> {
    Arc::new(
        MemoryReplayGuard::builder()
            .started_at(start() - TimeDelta::days(1))
            .build()
            .expect("a guard"),
    )
}

/// All checks, over [`apps`] and a guard in memory.
pub(crate) type Verify = VerifyRequest<StaticApps, Arc<MemoryReplayGuard>>;

pub(crate) fn verify(clock: &ManualClock) -> Verify {
    verify_with(clock, &guard())
}

pub(crate) fn verify_with(clock: &ManualClock, guard: &Arc<MemoryReplayGuard>) -> Verify {
    verify_builder(clock, guard)
        .build()
        .expect("settings that can be served")
}

pub(crate) fn verify_builder(
    clock: &ManualClock,
    guard: &Arc<MemoryReplayGuard>,
) -> VerifyBuilder<StaticApps, Arc<MemoryReplayGuard>> {
    VerifyRequest::builder()
        .apps(apps())
        .replay_guard(Arc::clone(guard))
        .authority(AUTHORITY)
        .clock(clock.clone())
}

/// A header value with a new nonce that states `datetime`.
pub(crate) fn nonce_at(datetime: DateTime<Utc>) -> String {
    nonce_of(&uuid::Uuid::new_v4().to_string(), datetime)
}

pub(crate) fn nonce_of(random: &str, datetime: DateTime<Utc>) -> String {
    let json = serde_json::json!({"uuid": random, "date": datetime.to_rfc3339_opts(SecondsFormat::AutoSi, true)});
    BASE64_URL_SAFE_NO_PAD.encode(json.to_string())
}

/// A request that passes, to be spoiled before it is built.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    signed: bool,
}

impl Call {
    pub(crate) fn client_app(now: DateTime<Utc>) -> Self {
        Self::new(CLIENT_APP, now)
    }

    pub(crate) fn server_app(now: DateTime<Utc>) -> Self {
        let mut call = Self::new(SERVER_APP, now).with("x-dfns-appsecret", SECRET);
        call.signed = true;
        call
    }

    pub(crate) fn new(app: &str, now: DateTime<Utc>) -> Self {
        let call = Self {
            method: Method::PUT,
            uri: registration::PATH.parse().expect("a path"),
            headers: HeaderMap::new(),
            body: Bytes::from_static(JANE.as_bytes()),
            signed: false,
        };
        call.with("host", AUTHORITY)
            .with("content-type", "application/json")
            .with("x-dfns-appid", app)
            .with("x-dfns-nonce", &nonce_at(now))
    }

    /// The same with this header alone under its name.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.with_bytes(name, value.as_bytes())
    }

    pub(crate) fn with_bytes(mut self, name: &str, value: &[u8]) -> Self {
        let value = HeaderValue::from_bytes(value).expect("a header value");
        self.headers.insert(header_name(name), value);
        self
    }

    /// The same with one more value of this header.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a header value");
        self.headers.append(header_name(name), value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    pub(crate) fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    pub(crate) fn uri(mut self, uri: &str) -> Self {
        self.uri = uri.parse().expect("a URI");
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn user(self, username: &str) -> Self {
        let body = serde_json::json!({"username": username, "orgId": "example-org-id"});
        self.body(body.to_string())
    }

    /// Signs the call as it is now, so that what is changed afterwards is not covered.
    pub(crate) fn sign(self, key: &SigningKey) -> Self {
        self.sign_for(AUTHORITY, key)
    }

    /// As [`sign`](Self::sign), for a service that is reached under another name.
    pub(crate) fn sign_for(self, authority: &str, key: &SigningKey) -> Self {
        let names = HeaderNames::default();
        let signature = {
            let request = CanonicalRequest::of(RequestParts {
                method: &self.method,
                scheme: "https",
                authority,
                path_and_query: self.uri.path_and_query().map_or("", |path| path.as_str()),
                host: authority,
                headers: &self.headers,
                names: &names,
                body: &self.body,
            })
            .expect("a canonical text");
            let input = request.signing_input(&TransportProfile::RECEIVED, key.algorithm());
            key.sign(input.as_str()).expect("a signature")
        };
        let mut call = self.with("x-dfns-apisignature", &signature);
        call.signed = false;
        call
    }

    /// The request; signed, if it is a server-side application's and not signed yet.
    pub(crate) fn build(self) -> Request<Full<Bytes>> {
        let call = if self.signed {
            self.sign(&signing_key())
        } else {
            self
        };
        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = call.method;
        *request.uri_mut() = call.uri;
        *request.headers_mut() = call.headers;
        request
    }
}

fn header_name(name: &str) -> HeaderName {
    name.parse().expect("a header name")
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) rejection: Option<Rejection>,
}

impl Answer {
    pub(crate) async fn of<B>(response: Response<B>) -> Self
    where
        B: http_body::Body,
        B::Error: std::fmt::Debug,
    {
        Self::try_of(response).await.expect("a body")
    }

    /// The error says that the body did not arrive.
    pub(crate) async fn try_of<B>(response: Response<B>) -> Result<Self, String>
    where
        B: http_body::Body,
        B::Error: std::fmt::Debug,
    {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|error| format!("{error:?}"))?;
        Ok(Self {
            status: parts.status,
            headers: parts.headers,
            body: body.to_bytes(),
            rejection: parts.extensions.get().cloned(),
        })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// `error.name`, or nothing in an answer without one.
    pub(crate) fn error_name(&self) -> String {
        self.json()["error"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn assert_error(&self, status: u16, name: &str) {
        assert_eq!(
            (self.status.as_u16(), self.error_name().as_str()),
            (status, name),
            "{self:?}"
        );
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(self.headers["cache-control"], "no-store");
    }

    #[track_caller]
    pub(crate) fn assert_success(&self) {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
    }
}

/// Sends one request through a service.
pub(crate) async fn send<S, B, R>(service: &S, request: Request<B>) -> Answer
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: std::fmt::Debug,
    R: http_body::Body,
    R::Error: std::fmt::Debug,
{
    Answer::of(service.clone().oneshot(request).await.expect("an answer")).await
}

/// Counts the requests that get through to an inner service.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A service that answers with the body that it got.
    pub(crate) fn echo<B>(&self) -> Echo<B>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: std::fmt::Debug,
    {
        let calls = self.clone();
        Echo::new(service_fn(move |request: Request<B>| {
            calls.0.fetch_add(1, Ordering::SeqCst);
            async move {
                let body = request.into_body().collect().await.expect("a body");
                Ok(Response::new(Full::new(body.to_bytes())))
            }
        }))
    }
}

/// A service that answers with the body that it got.
pub(crate) type Echo<B> = BoxCloneSyncService<Request<B>, Response<Full<Bytes>>, Infallible>;

/// Everything that this thread logs, at every level, while it is captured.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    #[must_use]
    pub(crate) fn capture(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("the log").clone()).expect("text")
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
