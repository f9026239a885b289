//! Whole requests against the checks and the endpoint, mounted as in a server: there is a 200 only
//! where an oracle, written from the protocol alone, says that there may be one, and there is one
//! where it says that there must be.
//!
//! An input is a sequence of requests to one server. Each begins as an honest one, new or sent
//! before, and is spoiled before or after it is signed.

mod oracle;
mod senders;

use std::convert::Infallible;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxService};
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppSecretHash, Application, StaticApps},
    backend::memory::{MemoryRegistrations, MemoryReplayGuard},
    clock::ManualClock,
    delivery::{Handover, NoRoom, Permit},
    registration::{RegistrationKey, Registrations, ResendRegistration, UserId},
    signature::{SigningKey, TransportProfile, VerifyingKey},
};

use self::{
    oracle::{Oracle, Verdict},
    senders::Senders,
};
use crate::{canonical::Wire, source::Source};

const CLIENT: &str = "312CE25E-A112-4D45-9965-6175E7C568DD";
const SERVER: &str = "495C1CF8-673A-499C-A1F7-CFD32B60E726";
const POWERLESS: &str = "ap-without-permissions";
const INACTIVE: &str = "ap-inactive";
const SECRET: &str = "secret-0b8f1d6e-8a55-4ac1-a2ff-5b7f6c3c3f3a";
const AUTHORITY: &str = "api.example.com";
const BODY: &str = r#"{"username":"jane@example.co","orgId":"example-org-id"}"#;
const PUBLIC: &str = include_str!("../keys/test-only-ed25519.pub.pem");
const PRIVATE: &str = include_str!("../keys/test-only-ed25519.pem");
const MAX_BODY: usize = 16_384;

/// Delivers nothing.
#[derive(Clone)]
struct Nowhere;

impl Handover for Nowhere {
    type Permit = Self;

    fn reserve(&self) -> Result<Self, NoRoom> {
        Ok(Self)
    }
}

impl Permit for Nowhere {
    fn hand_over(self, _: UserId) {}
}

/// Answers with the status alone.
type Server = BoxService<Request<Full<Bytes>>, StatusCode, Infallible>;

fn server(clock: &ManualClock, name: Option<&str>) -> Server {
    let id = |id: &str| AppId::new(id).expect("an id");
    let secret = AppSecretHash::of(SECRET).expect("a secret");
    let key = VerifyingKey::from_pem(PUBLIC).expect("a key");
    let rights = ["Auth:Users:Create", "Auth:Types:EndUser"];
    let apps = StaticApps::new([
        Application::client_side(id(CLIENT)).with_permissions(rights),
        Application::server_side(id(SERVER), vec![secret], vec![key]).with_permissions(rights),
        Application::client_side(id(POWERLESS)),
        Application::client_side(id(INACTIVE))
            .with_permissions(rights)
            .inactive(),
    ]);
    let before = start() - TimeDelta::days(1);
    let guard = MemoryReplayGuard::builder()
        .capacity(1_000)
        .started_at(before);
    let verify = VerifyRequest::builder()
        .apps(apps.expect("applications"))
        .replay_guard(guard.build().expect("a guard"))
        .clock(clock.clone());
    let verify = match name {
        Some(name) => verify.authority(name),
        None => verify,
    };
    let key = RegistrationKey::from_bytes([7; 32]).expect("a key");
    let registrations =
        Registrations::new(MemoryRegistrations::new(), key).with_clock(clock.clone());
    let resend = ResendRegistration::builder(registrations, Nowhere)
        .insecure_without_answer_grid()
        .build();
    let service = verify
        .build()
        .expect("checks")
        .layer(resend.expect("an endpoint"));
    let answered = service_fn(move |request: Request<Full<Bytes>>| {
        let answer = service.clone().oneshot(request);
        async { answer.await.map(|answer| answer.status()) }
    });
    BoxService::new(answered)
}

fn start() -> DateTime<Utc> {
    "2026-11-23T07:44:00Z".parse().expect("a time")
}

fn request(wire: &Wire) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(&wire.body)));
    *request.method_mut() = Method::from_bytes(wire.method.as_bytes()).ok()?;
    let target = match &*wire.authority {
        "" => wire.path.clone(),
        authority => format!("{}://{authority}{}", wire.scheme, wire.path),
    };
    *request.uri_mut() = target.parse().ok()?;
    *request.headers_mut() = wire.header_map();
    Some(request)
}

fn run(source: &mut Source<'_>, key: &SigningKey, runtime: &Runtime) {
    let first = source.byte();
    let name = (first / 6).is_multiple_of(2).then_some(AUTHORITY);
    let clock = ManualClock::at(start());
    let mut server = server(&clock, name);
    let mut send = |wire: &Wire| {
        let request = request(wire)?;
        let answer: Result<_, Infallible> =
            runtime.block_on(async { server.ready().await?.call(request).await });
        let Ok(status) = answer;
        Some(status)
    };
    let mut senders = Senders {
        key: key.clone(),
        name,
        sent: Vec::new(),
        nonces: 0,
    };
    let (mut oracle, mut now) = (Oracle::new(name), start());
    for _ in 0..=first % 6 {
        let wire = senders.next(source, now);
        let Some(status) = send(&wire) else { continue };
        match oracle.judge(&wire, now) {
            Verdict::Passes => assert_eq!(status, 200, "{name:?} {wire:?}"),
            Verdict::MayPass => {}
            Verdict::Refused => assert_ne!(status, 200, "{name:?} {wire:?}"),
        }
        now += TimeDelta::milliseconds(source.pick(&[0, 1, 59_999, 300_000, 360_001]));
        clock.set(now);
    }
    // Whatever came before, an honest request is served.
    senders.nonces = 0xf0;
    for app in [CLIENT, SERVER] {
        let mut wire = senders.honest(app, now);
        senders.sign(&mut wire, &TransportProfile::RECEIVED);
        assert_eq!(oracle.judge(&wire, now), Verdict::Passes, "{wire:?}");
        assert_eq!(send(&wire), Some(StatusCode::OK), "{wire:?}");
    }
}

#[test]
fn a_request_is_served_only_if_an_independent_oracle_agrees() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let key = SigningKey::from_pem(PRIVATE).expect("a key");
    bolero::check!()
        .with_iterations(400)
        .for_each(|bytes: &[u8]| run(&mut Source::new(bytes), &key, &runtime));
}
