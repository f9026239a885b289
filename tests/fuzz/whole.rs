//! Whole requests against the checks and the endpoint, mounted as in a server: there is a 200 only
//! where an oracle, written from the protocol alone, says that there may be one, and there is one
//! where it says that there must be.
//!
//! An input is a sequence of requests to one server. Each begins as an honest one, new or sent
//! before, and is spoiled before or after it is signed.

use std::{collections::HashMap, convert::Infallible};

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use ring::signature::{ED25519, UnparsedPublicKey};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxService};
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppSecretHash, Application, StaticApps},
    backend::memory::{MemoryRegistrations, MemoryReplayGuard},
    clock::ManualClock,
    delivery::{Handover, NoRoom, Permit},
    registration::{self, RegistrationKey, Registrations, ResendRegistration, UserId},
    signature::{SigningAlgorithm, SigningKey, TransportProfile, VerifyingKey},
};

use crate::{
    bodies,
    canonical::{Wire, value},
    headers, nonce,
    source::Source,
};

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

fn server(clock: &ManualClock) -> Server {
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
    let before = ManualClock::at(start() - TimeDelta::days(1));
    let guard = MemoryReplayGuard::builder().capacity(1_000).clock(&before);
    let verify = VerifyRequest::builder()
        .apps(apps.expect("applications"))
        .replay_guard(guard.build().expect("a guard"))
        .authority(AUTHORITY)
        .clock(clock.clone())
        .build();
    let key = RegistrationKey::from_bytes([7; 32]).expect("a key");
    let registrations =
        Registrations::new(MemoryRegistrations::new(), key).with_clock(clock.clone());
    let resend = ResendRegistration::builder(registrations, Nowhere)
        .insecure_without_answer_grid()
        .build();
    let service = verify.expect("checks").layer(resend.expect("an endpoint"));
    let answered = service_fn(move |request: Request<Full<Bytes>>| {
        let answer = service.clone().oneshot(request);
        async { answer.await.map(|answer| answer.status()) }
    });
    BoxService::new(answered)
}

fn start() -> DateTime<Utc> {
    "2026-11-23T07:44:00Z".parse().expect("a time")
}

/// What the oracle says of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verdict {
    Passes,
    /// A guard may have forgotten the nonce, or not; `content-length` is none that a client sends.
    MayPass,
    Refused,
}

/// The service by its protocol.
#[derive(Default)]
struct Oracle {
    /// Until when each nonce of an application is fresh by its own time.
    used: HashMap<(String, Vec<u8>), DateTime<Utc>>,
}

impl Oracle {
    fn judge(&mut self, wire: &Wire, now: DateTime<Utc>) -> Verdict {
        let Some((app, id, until)) = verified(wire, now) else {
            return Verdict::Refused;
        };
        let announced = match &wire.values("content-length")[..] {
            [] => Verdict::Passes,
            [one] if *one == wire.body.len().to_string().as_bytes() => Verdict::Passes,
            _ => Verdict::MayPass,
        };
        let verdict = match self.used.get(&(app.clone(), id.clone())) {
            Some(until) if *until >= now => return Verdict::Refused,
            Some(_) => Verdict::MayPass,
            None => announced,
        };
        // Where it is not certain that the nonce was claimed, it must not count as used for sure.
        if announced == Verdict::Passes {
            self.used.insert((app.clone(), id), until);
        }
        let json = |value: &&[u8]| {
            let text = String::from_utf8_lossy(value).to_ascii_lowercase();
            text.split(';').next().map(str::trim) == Some("application/json")
        };
        let types = wire.values("content-type");
        let served = wire.method == "PUT"
            && app != POWERLESS
            && types.len() == 1
            && types.iter().all(json)
            && wire.body.len() <= MAX_BODY
            && bodies::expected(&wire.body, &[]).is_some();
        if served { verdict } else { Verdict::Refused }
    }
}

/// Application, identity of the nonce and its end, of a request that passes but for replays.
fn verified(wire: &Wire, now: DateTime<Utc>) -> Option<(String, Vec<u8>, DateTime<Utc>)> {
    let read = |ending: &str, most| {
        headers::expected(&wire.values(&format!("x-dfns-{ending}")), most).ok()
    };
    let app = read("appid", 1_024)?;
    let secret = read("appsecret", 8_192)?;
    let nonce = read("nonce", 1_024)?;
    let signature = read("apisignature", 8_192)?;
    read("useraction", 8_192)?;
    let app = String::from_utf8_lossy(app?).into_owned();
    let (id, datetime) = nonce::expected(nonce?)?;
    let until = datetime.checked_add_signed(TimeDelta::seconds(300))?;
    if until < now || datetime > now + TimeDelta::seconds(60) {
        return None;
    }
    let proved = match &*app {
        CLIENT | POWERLESS => true,
        SERVER => {
            secret? == SECRET.as_bytes() && wire.body.len() <= MAX_BODY && signed(wire, signature?)
        }
        _ => false,
    };
    proved.then_some((app, id, until))
}

fn signed(wire: &Wire, signature: &[u8]) -> bool {
    let Some(signature) = nonce::from_base64(signature) else {
        return false;
    };
    let lines: Vec<_> = PUBLIC.lines().collect();
    let der = BASE64_STANDARD.decode(lines[1]).expect("DER");
    let key = UnparsedPublicKey::new(&ED25519, &der[der.len() - 32..]);
    TransportProfile::DEFAULT.iter().any(|profile| {
        let text = wire.expected(profile, "EdDSA");
        text.is_some_and(|text| key.verify(text.as_bytes(), &signature).is_ok())
    })
}

/// Those who send: what they know, and what they have sent.
struct Senders {
    key: SigningKey,
    sent: Vec<Wire>,
    nonces: u8,
}

impl Senders {
    fn honest(&mut self, app: &str, now: DateTime<Utc>) -> Wire {
        self.nonces += 1;
        let random = format!("530ea1ea-71c0-410d-ae19-206c17a2a4{:02x}", self.nonces);
        let nonce = nonce_of(&random, now);
        let mut headers = vec![
            ("host", AUTHORITY),
            ("content-type", "application/json"),
            ("x-dfns-appid", app),
            ("x-dfns-nonce", &nonce),
        ];
        if app == SERVER {
            headers.push(("x-dfns-appsecret", SECRET));
        }
        Wire {
            method: "PUT".to_owned(),
            scheme: "https".to_owned(),
            authority: AUTHORITY.to_owned(),
            path: registration::PATH.to_owned(),
            host: String::new(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: BODY.as_bytes().to_vec(),
        }
    }

    fn sign(&self, wire: &mut Wire, profile: &TransportProfile) {
        if let Some(text) = wire.text(profile, SigningAlgorithm::EdDsa) {
            let signature = self.key.sign(&text).expect("a signature").into_bytes();
            set(wire, "x-dfns-apisignature", signature);
        }
    }

    fn next(&mut self, source: &mut Source<'_>, now: DateTime<Utc>) -> Wire {
        let app = source.pick(&[SERVER, CLIENT, POWERLESS, INACTIVE, "unknown"]);
        let mut wire = match source.byte() % 4 {
            3 if !self.sent.is_empty() => self.sent[source.below(self.sent.len())].clone(),
            _ => self.honest(app, now),
        };
        for _ in 0..source.byte() % 3 {
            self.spoil(source, &mut wire, now);
        }
        let profile = source.pick(&TransportProfile::DEFAULT.each_ref());
        if source.byte() % 8 < 7 {
            self.sign(&mut wire, profile);
        }
        for _ in 0..source.byte() % 3 {
            self.spoil(source, &mut wire, now);
        }
        self.sent.push(wire.clone());
        wire
    }

    fn spoil(&self, source: &mut Source<'_>, wire: &mut Wire, now: DateTime<Utc>) {
        let at = source.below(wire.headers.len() + 1);
        match source.byte() % 12 {
            0 if at < wire.headers.len() => drop(wire.headers.remove(at)),
            1 if at < wire.headers.len() => wire.headers.push(wire.headers[at].clone()),
            2 if at < wire.headers.len() => {
                let bytes = &mut wire.headers[at].1;
                source.edit(bytes);
                bytes.retain(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 127);
            }
            3 if at < wire.headers.len() => {
                let other = source.below(wire.headers.len());
                let value = wire.headers[at].1.clone();
                wire.headers[at].1 = std::mem::replace(&mut wire.headers[other].1, value);
            }
            4 => set(wire, "x-dfns-nonce", Self::other_nonce(source, now)),
            5 => Self::respell(source, wire),
            6 => self.borrow(source, wire),
            7 => spoil_body(source, wire),
            8 => {
                let more = ["?", "?a=b", "/", "%2e", "//"];
                wire.path += source.pick(&more);
            }
            9 => wire.method = source.pick(&["POST", "put", "GET", "PUTT"]).to_owned(),
            10 => {
                let types = [
                    "application/json; charset=utf-8",
                    "Application/JSON",
                    "text/plain",
                ];
                let value = source.pick(&types).as_bytes().to_vec();
                set(wire, "content-type", value);
            }
            _ => {
                let names = [
                    "accept",
                    "accept-encoding",
                    "connection",
                    "user-agent",
                    "authorization",
                    "content-length",
                    "x-dfns-useraction",
                    "x-other",
                ];
                let name = source.pick(&names).to_owned();
                wire.headers.push((name, value(source)));
            }
        }
    }

    /// A nonce of another time, or one that was used.
    fn other_nonce(source: &mut Source<'_>, now: DateTime<Utc>) -> Vec<u8> {
        let used = format!(
            "530EA1EA-71C0-410d-ae19-206c17a2a4{:02X}",
            source.byte() % 8
        );
        let offsets = [0, -300_000, -300_001, 60_000, 60_001, -1, 86_400_000];
        let datetime = now + TimeDelta::milliseconds(source.pick(&offsets));
        nonce_of(&used, datetime).into_bytes()
    }

    /// One base64 text in another spelling.
    fn respell(source: &mut Source<'_>, wire: &mut Wire) {
        let name = source.pick(&["x-dfns-apisignature", "x-dfns-nonce"]);
        let values = wire.values(name).concat();
        if let Some(bytes) = nonce::from_base64(&values) {
            set(wire, name, BASE64_STANDARD.encode(bytes).into_bytes());
        }
    }

    /// What another request was sent with.
    fn borrow(&self, source: &mut Source<'_>, wire: &mut Wire) {
        let names = ["x-dfns-apisignature", "x-dfns-nonce", "x-dfns-appid"];
        let name = source.pick(&names);
        if let Some(other) = self.sent.get(source.below(8)) {
            set(wire, name, other.values(name).concat());
        }
    }
}

fn nonce_of(random: &str, datetime: DateTime<Utc>) -> String {
    let time = datetime.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    BASE64_URL_SAFE_NO_PAD.encode(format!(r#"{{"uuid":"{random}","date":"{time}"}}"#))
}

fn set(wire: &mut Wire, name: &str, value: Vec<u8>) {
    wire.headers.retain(|(own, _)| own != name);
    wire.headers.push((name.to_owned(), value));
}

fn spoil_body(source: &mut Source<'_>, wire: &mut Wire) {
    match source.byte() % 4 {
        0 => source.edit(&mut wire.body),
        1 => wire.body = source.bytes().to_vec(),
        2 => wire.body = b"{\"username\":\"john@example.co\",\"orgId\":\"o\"}".to_vec(),
        _ => {
            // White space up to the limit, or one byte over it.
            let length = MAX_BODY + usize::from(source.byte() % 2);
            wire.body.resize(length.max(wire.body.len()), b' ');
        }
    }
}

fn request(wire: &Wire) -> Option<Request<Full<Bytes>>> {
    let mut request = Request::new(Full::new(Bytes::copy_from_slice(&wire.body)));
    *request.method_mut() = Method::from_bytes(wire.method.as_bytes()).ok()?;
    *request.uri_mut() = wire.path.parse().ok()?;
    *request.headers_mut() = wire.header_map();
    Some(request)
}

fn run(
    source: &mut Source<'_>,
    key: &SigningKey,
    clock: &ManualClock,
    mut send: impl FnMut(&Wire) -> Option<u16>,
) {
    let mut senders = Senders {
        key: key.clone(),
        sent: Vec::new(),
        nonces: 0,
    };
    let (mut oracle, mut now) = (Oracle::default(), start());
    for _ in 0..=source.byte() % 6 {
        let wire = senders.next(source, now);
        let Some(status) = send(&wire) else { continue };
        let verdict = oracle.judge(&wire, now);
        match verdict {
            Verdict::Passes => assert_eq!(status, 200, "{wire:?}"),
            Verdict::MayPass => {}
            Verdict::Refused => assert_ne!(status, 200, "{wire:?}"),
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
        assert_eq!(send(&wire), Some(200), "{wire:?}");
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
        .for_each(|bytes: &[u8]| {
            let clock = ManualClock::at(start());
            let mut server = server(&clock);
            run(&mut Source::new(bytes), &key, &clock, |wire| {
                let request = request(wire)?;
                let answer: Result<_, Infallible> =
                    runtime.block_on(async { server.ready().await?.call(request).await });
                let Ok(status) = answer;
                Some(status.as_u16())
            });
        });
}
