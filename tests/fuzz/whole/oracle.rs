//! The service by its protocol.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use ring::signature::{ED25519, UnparsedPublicKey};
use tower_registration::signature::TransportProfile;

use super::{CLIENT, MAX_BODY, POWERLESS, PUBLIC, SECRET, SERVER};
use crate::{bodies, canonical::Wire, headers, nonce};

/// What the oracle says of a request, from the better to the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Passes,
    /// A guard may have forgotten the nonce, or never had it; `content-length` is none that a client
    /// sends.
    MayPass,
    Refused,
}

/// The service, set to a name of its own or to none.
pub(super) struct Oracle {
    name: Option<&'static str>,
    used: HashMap<(String, Vec<u8>), Use>,
}

/// The use of a nonce by an application.
struct Use {
    /// Until when the nonce is fresh by its own time.
    until: DateTime<Utc>,
    /// Whether the nonce was certainly claimed, and not only perhaps.
    certain: bool,
}

impl Oracle {
    pub(super) fn new(name: Option<&'static str>) -> Self {
        let used = HashMap::new();
        Self { name, used }
    }

    pub(super) fn judge(&mut self, wire: &Wire, now: DateTime<Utc>) -> Verdict {
        let Some((app, id, until)) = self.verified(wire, now) else {
            return Verdict::Refused;
        };
        let sender = if app == SERVER {
            names(wire, self.name)
        } else {
            Verdict::Passes
        };
        let verdict = match self.used.get(&(app.clone(), id.clone())) {
            Some(before) if before.certain && before.until >= now => return Verdict::Refused,
            Some(_) => Verdict::MayPass,
            None => announced(wire).max(sender),
        };
        let certain = verdict == Verdict::Passes;
        self.used.insert((app.clone(), id), Use { until, certain });
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

    /// Application, identity of the nonce and its end, of a request that passes but for replays.
    fn verified(
        &self,
        wire: &Wire,
        now: DateTime<Utc>,
    ) -> Option<(String, Vec<u8>, DateTime<Utc>)> {
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
                secret? == SECRET.as_bytes()
                    && wire.body.len() <= MAX_BODY
                    && names(wire, self.name) != Verdict::Refused
                    && signed(&as_seen(wire, self.name), signature?)
            }
            _ => false,
        };
        proved.then_some((app, id, until))
    }
}

/// By what the request says of the length of its body.
fn announced(wire: &Wire) -> Verdict {
    match &wire.values("content-length")[..] {
        [] => Verdict::Passes,
        [one] if *one == wire.body.len().to_string().as_bytes() => Verdict::Passes,
        _ => Verdict::MayPass,
    }
}

/// By the services that a signed request names, in its `host` header and in its target.
fn names(wire: &Wire, own: Option<&str>) -> Verdict {
    let target = wire.authority.as_bytes();
    let host = wire.values("host").first().copied();
    let differ = host.is_some_and(|host| !target.is_empty() && service(host) != service(target));
    match own {
        None if differ || host.unwrap_or(target).is_empty() => Verdict::Refused,
        _ => Verdict::Passes,
    }
}

/// Host and port: no port, an empty one and the one of `https` are the same.
fn service(name: &[u8]) -> (Vec<u8>, &[u8]) {
    let colon = name.iter().rposition(|byte| *byte == b':');
    let (host, port) = name.split_at(colon.unwrap_or(name.len()));
    let port = if port == b":" || port == b":443" {
        b""
    } else {
        port
    };
    (host.to_ascii_lowercase(), port)
}

/// The request with the names that a service signs for which `own` is set, or none.
pub(super) fn as_seen(wire: &Wire, own: Option<&str>) -> Wire {
    let target = wire.authority.clone();
    let sent = wire.values("host").first().copied();
    let sent = sent.map(|host| String::from_utf8_lossy(host).into_owned());
    let authority = own.map(str::to_owned).or(sent);
    Wire {
        authority: authority.unwrap_or_else(|| target.clone()),
        host: target,
        ..wire.clone()
    }
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
