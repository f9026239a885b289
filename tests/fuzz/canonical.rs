//! The canonical text, against one written with `serde_json`, and whether two requests share one.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower_registration::{
    headers::HeaderNames,
    signature::{CanonicalRequest, RequestParts, SigningAlgorithm, TransportProfile},
};

use crate::source::Source;

/// All that a signature can cover, as it came.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wire {
    pub(crate) method: String,
    pub(crate) scheme: String,
    pub(crate) authority: String,
    pub(crate) path: String,
    /// What stands for an absent `host`.
    pub(crate) host: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// By the protocol; the crate's own list is private, and what is tested.
const COVERED: [&str; 12] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-dfns-appid",
    "x-dfns-appsecret",
    "x-dfns-nonce",
    "x-dfns-useraction",
];
const JOINED: [&str; 4] = ["accept", "accept-encoding", "connection", "user-agent"];

impl Wire {
    pub(crate) fn header_map(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: HeaderName = name.parse().expect("a header name");
            headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
        }
        headers
    }

    pub(crate) fn values<'a>(&'a self, name: &str) -> Vec<&'a [u8]> {
        let values = self.headers.iter().filter(|(own, _)| own == name);
        values.map(|(_, value)| &value[..]).collect()
    }

    /// The values that the text has, in its order, by the protocol: two requests with the same ones
    /// are the same, and none else.
    fn meaning(&self, profile: &TransportProfile) -> Option<Vec<String>> {
        if self.method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let mut all = Vec::new();
        for name in COVERED {
            let values = self.values(name);
            let seen = |value: &&[u8]| value.iter().all(|b| *b == b'\t' || (32..127).contains(b));
            if !values.iter().all(seen) || values.len() > 1 && !JOINED.contains(&name) {
                return None;
            }
            let texts: Vec<_> = values
                .iter()
                .map(|value| String::from_utf8_lossy(value))
                .collect();
            let received = match name {
                "host" if texts.is_empty() => self.host.clone(),
                _ => texts.join(", "),
            };
            all.push(match (profile.name(), name) {
                ("shell", "accept") => "application/json".to_owned(),
                ("shell", "accept-encoding" | "connection" | "user-agent")
                | ("node", "connection") => String::new(),
                _ => received,
            });
        }
        all.push(self.authority.clone());
        all.push(BASE64.encode(&self.body));
        all.push(self.method.to_ascii_lowercase());
        all.push(self.path.clone());
        all.push(self.scheme.clone());
        Some(all)
    }

    /// The text to sign, by the protocol.
    pub(crate) fn expected(&self, profile: &TransportProfile, algorithm: &str) -> Option<String> {
        let headers = COVERED.iter().map(|name| format!("h-{name}"));
        let parts = ["authority", "body", "method", "path", "scheme"].map(|it| format!("r-{it}"));
        let members: Vec<_> = headers
            .chain(parts)
            .zip(self.meaning(profile)?)
            .map(|(name, value)| {
                format!(
                    "\"{name}\":{}",
                    serde_json::to_string(&value).expect("JSON")
                )
            })
            .collect();
        let header = BASE64.encode(format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#));
        let json = BASE64.encode(format!("{{{}}}", members.join(",")));
        Some(format!("{header}.{json}"))
    }

    pub(crate) fn text(
        &self,
        profile: &TransportProfile,
        algorithm: SigningAlgorithm,
    ) -> Option<String> {
        let method = Method::from_bytes(self.method.as_bytes()).expect("a method");
        let (headers, names) = (self.header_map(), HeaderNames::default());
        let request = CanonicalRequest::of(RequestParts {
            method: &method,
            scheme: &self.scheme,
            authority: &self.authority,
            path_and_query: &self.path,
            host: &self.host,
            headers: &headers,
            names: &names,
            body: &self.body,
        });
        let input = request.ok()?.signing_input(profile, algorithm);
        Some(input.as_str().to_owned())
    }
}

/// A header value: what can't be one is left out.
pub(crate) fn value(source: &mut Source<'_>) -> Vec<u8> {
    const VALUES: [&str; 8] = ["", "a", "a, b", "b", "\"\\\t", ", ", " ", "ä"];
    let mut value = match source.byte() % 4 {
        0 => source.bytes().to_vec(),
        _ => source.pick(&VALUES).as_bytes().to_vec(),
    };
    value.retain(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 127);
    value
}

fn wire(source: &mut Source<'_>) -> Wire {
    let mut wire = Wire {
        method: "PUT".to_owned(),
        scheme: "https".to_owned(),
        authority: "api.example.com".to_owned(),
        path: "/auth".to_owned(),
        host: "api.example.com".to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
    };
    for _ in 0..source.byte() % 16 {
        change(source, &mut wire);
    }
    wire
}

fn change(source: &mut Source<'_>, wire: &mut Wire) {
    match source.byte() % 10 {
        0..=3 => {
            let name = source.pick(&COVERED).to_owned();
            wire.headers.push((name, value(source)));
        }
        4 => wire.headers.push(("x-other".to_owned(), value(source))),
        5 => wire.body = source.bytes().to_vec(),
        6 => wire.method = String::from(source.pick(&["PUT", "put", "PUT!", "P", "GeT"])),
        7 => wire.path = source.text(),
        8 => match source.byte() % 3 {
            0 => wire.authority = source.text(),
            1 => wire.scheme = source.text(),
            _ => wire.host = source.text(),
        },
        _ if wire.headers.is_empty() => {}
        _ => {
            let at = source.below(wire.headers.len());
            let (name, value) = wire.headers.remove(at);
            // One value and several that join to it are one and the same, in some headers.
            if let (true, Some(comma)) = (
                source.byte().is_multiple_of(2),
                value.windows(2).position(|pair| pair == b", "),
            ) {
                wire.headers.push((name.clone(), value[..comma].to_vec()));
                wire.headers.push((name, value[comma + 2..].to_vec()));
            }
        }
    }
}

#[test]
fn canonical_texts_are_those_of_an_independent_writer_and_never_shared() {
    bolero::check!()
        .with_iterations(1_500)
        .for_each(|bytes: &[u8]| {
            let mut source = Source::new(bytes);
            let one = wire(&mut source);
            let mut other = one.clone();
            for _ in 0..source.byte() % 3 {
                change(&mut source, &mut other);
            }
            for profile in TransportProfile::DEFAULT {
                for (algorithm, name) in [
                    (SigningAlgorithm::Rs256, "RS256"),
                    (SigningAlgorithm::Es256, "ES256"),
                    (SigningAlgorithm::EdDsa, "EdDSA"),
                ] {
                    let text = one.text(profile, algorithm);
                    assert_eq!(text, one.expected(profile, name), "{one:?}");
                }
                let texts = [&one, &other].map(|it| it.text(profile, SigningAlgorithm::EdDsa));
                let same = one.meaning(profile) == other.meaning(profile);
                assert_eq!(texts[0] == texts[1], same, "{one:?} and {other:?}");
            }
        });
}
