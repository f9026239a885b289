//! Those who send: what they know, and what they have sent.

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tower_registration::{
    registration,
    signature::{SigningAlgorithm, SigningKey, TransportProfile},
};

use super::{
    AUTHORITY, BODY, CLIENT, INACTIVE, MAX_BODY, POWERLESS, SECRET, SERVER, oracle::as_seen,
};
use crate::{
    canonical::{Wire, value},
    nonce,
    source::Source,
};

/// What the targets name; the path alone where that is nothing.
const TARGETS: [&str; 6] = [
    AUTHORITY,
    "API.Example.COM",
    "api.example.com:443",
    "api.example.com:8443",
    "other.example.com",
    "",
];

const TYPES: [&str; 3] = [
    "application/json; charset=utf-8",
    "Application/JSON",
    "text/plain",
];

/// Headers that honest requests come without.
const MORE: [&str; 8] = [
    "accept",
    "accept-encoding",
    "connection",
    "user-agent",
    "authorization",
    "content-length",
    "x-dfns-useraction",
    "x-other",
];

pub(super) struct Senders {
    pub(super) key: SigningKey,
    /// What the service is set to.
    pub(super) name: Option<&'static str>,
    pub(super) sent: Vec<Wire>,
    pub(super) nonces: u8,
}

impl Senders {
    /// Its target is the path alone: a `Wire` has the target's authority here, or an empty one.
    pub(super) fn honest(&mut self, app: &str, now: DateTime<Utc>) -> Wire {
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
            authority: String::new(),
            path: registration::PATH.to_owned(),
            host: String::new(),
            headers: headers
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
                .collect(),
            body: BODY.as_bytes().to_vec(),
        }
    }

    pub(super) fn sign(&self, wire: &mut Wire, profile: &TransportProfile) {
        let seen = as_seen(wire, self.name);
        if let Some(text) = seen.text(profile, SigningAlgorithm::EdDsa) {
            let signature = self.key.sign(&text).expect("a signature").into_bytes();
            set(wire, "x-dfns-apisignature", signature);
        }
    }

    pub(super) fn next(&mut self, source: &mut Source<'_>, now: DateTime<Utc>) -> Wire {
        let app = source.pick(&[SERVER, CLIENT, POWERLESS, INACTIVE, "unknown"]);
        let mut wire = match source.byte() % 4 {
            3 if !self.sent.is_empty() => self.sent[source.below(self.sent.len())].clone(),
            _ => self.honest(app, now),
        };
        for _ in 0..source.byte() % 3 {
            self.spoil(source, &mut wire, now);
        }
        let profile = &source.pick(TransportProfile::DEFAULT);
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
        match source.byte() % 13 {
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
            10 => wire.authority = source.pick(&TARGETS).to_owned(),
            11 => {
                let value = source.pick(&TYPES).as_bytes().to_vec();
                set(wire, "content-type", value);
            }
            _ => {
                let name = source.pick(&MORE).to_owned();
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
