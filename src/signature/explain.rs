//! Why a signature does not verify, for the developer of a client. Pure.
//!
//! Server and client build one text each; a signature fails if they differ in a byte. A client that
//! shows its own text in a header lets the server name the first member in which they do.
//! [`explain`] writes that down for a log, and nowhere else. What is secret in a member (bearer
//! token, app secret, user action, body) is shown by its length alone, the rest in excerpts.

use std::fmt::{self, Write as _};

use http::HeaderMap;
use ring::digest::{SHA256, digest};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{
    canonical::CanonicalRequest, key::SigningAlgorithm, profile::TransportProfile, verify::distinct,
};
use crate::{
    encoding,
    headers::{Credential, HeaderNames, MAX_EXPLANATION},
};

/// Most characters of a value that are shown, from a little before the first difference.
const EXCERPT: usize = 64;
/// How many characters of an excerpt come before the difference.
const BEFORE: usize = 16;

/// When a server may write down how the text of a client differs from its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Explain {
    /// In debug builds. A release build of the server is refused: see
    /// [`SignatureConfigError::ExplainInRelease`](super::SignatureConfigError::ExplainInRelease).
    InDevelopment,
    /// In every build. Whoever has the secret of an application can then write to the log at will,
    /// and paths, host names and nonces stand in it in clear.
    EvenInRelease,
}

/// What a client showed of its text: none, or the one value of the header.
pub(super) fn shown<'a>(headers: &'a HeaderMap, names: &HeaderNames) -> Option<&'a [u8]> {
    let mut values = headers.get_all(names.explanation()).iter();
    let first = values.next().filter(|_| values.next().is_none())?;
    Some(first.as_bytes()).filter(|bytes| !bytes.is_empty())
}

/// Compares the text that a client shows with those that this server makes of its request, and
/// describes the first difference to the nearest of them.
pub(super) fn explain(
    request: &CanonicalRequest<'_>,
    profiles: &[TransportProfile],
    algorithms: &[SigningAlgorithm],
    shown: Option<&[u8]>,
) -> String {
    let names = request.names();
    let Some(shown) = shown else {
        return without_text(request, profiles);
    };
    let theirs = match ClientText::read(shown) {
        Ok(text) => text,
        Err(fault) => return format!("{} {fault}", names.explanation()),
    };
    if let Some(fault) = theirs.header_fault(algorithms) {
        return fault;
    }
    distinct(profiles, request)
        .map(|profile| Difference::between(&theirs, &request.json(profile), profile.name()))
        .min_by_key(|difference| difference.members)
        .map_or_else(String::new, |difference| difference.describe(names))
}

/// The client showed nothing: what this server has, for the developer to compare by hand.
fn without_text(request: &CanonicalRequest<'_>, profiles: &[TransportProfile]) -> String {
    let names = request.names();
    let mut text = format!(
        "the client shows no text of its own, which it may do once in {}: this server has",
        names.explanation()
    );
    for (number, profile) in distinct(profiles, request).enumerate() {
        let json = request.json(profile);
        if number == 0 {
            for (name, value) in &members(json.as_bytes()).unwrap_or_default().0 {
                let _ = write!(text, " {name}={}", shown_value(name, value, 0, names));
            }
        }
        let hash = digest(&SHA256, json.as_bytes());
        let _ = write!(
            text,
            "; SHA-256 of the JSON, transport profile {}: ",
            profile.name()
        );
        for byte in hash.as_ref() {
            let _ = write!(text, "{byte:02x}");
        }
    }
    text
}

/// The text that a client says it signed: what stands before and after the dot.
struct ClientText {
    header: Option<String>,
    json: Vec<u8>,
    members: Members,
}

/// Why what a client shows is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum NoText {
    #[error("is over {MAX_EXPLANATION} bytes: show a request with a shorter body")]
    TooLong,
    #[error("is no base64url: show what was signed, or the part after its dot")]
    NotBase64,
    #[error("holds no JSON object of strings, each once: show what was signed")]
    NotAnObject,
}

impl ClientText {
    fn read(shown: &[u8]) -> Result<Self, NoText> {
        if shown.len() > MAX_EXPLANATION {
            return Err(NoText::TooLong);
        }
        let (header, payload) = match shown.iter().position(|byte| *byte == b'.') {
            None => (None, shown),
            Some(dot) => {
                let header = String::from_utf8_lossy(&shown[..dot]).into_owned();
                (Some(header), &shown[dot + 1..])
            }
        };
        let json = encoding::decode_to_vec(payload).ok_or(NoText::NotBase64)?;
        let members = members(&json).ok_or(NoText::NotAnObject)?;
        Ok(Self {
            header,
            json,
            members,
        })
    }

    /// What is wrong with the signed header, where the client shows it.
    fn header_fault(&self, algorithms: &[SigningAlgorithm]) -> Option<String> {
        let header = self.header.as_deref()?;
        if algorithms.iter().any(|own| own.encoded_header() == header) {
            return None;
        }
        let own: Vec<_> = algorithms
            .iter()
            .map(|own| format!("{} of {}", own.encoded_header(), own.name()))
            .collect();
        Some(format!(
            "the signed header differs: the client has {}, this server {}",
            excerpt(header, 0),
            own.join(" or ")
        ))
    }
}

/// Name and value.
type Member = (String, String);

/// The members of an object of strings, in the order in which they are written.
#[derive(Default)]
struct Members(Vec<Member>);

fn members(json: &[u8]) -> Option<Members> {
    serde_json::from_slice(json).ok()
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        json.deserialize_map(Reader)
    }
}

/// Where the texts of client and server part.
struct Difference {
    profile: &'static str,
    /// In how many places the members differ; the nearest profile has the fewest.
    members: usize,
    kind: Kind,
}

enum Kind {
    /// A member that only one of them has in this place.
    Name {
        place: usize,
        client: Option<String>,
        server: Option<String>,
    },
    Value {
        name: String,
        client: String,
        server: String,
    },
    /// The same members, written otherwise: from this byte on.
    Spelling(usize),
    None,
}

impl Kind {
    fn of_member(place: usize, client: Option<&Member>, server: Option<&Member>) -> Self {
        match (client, server) {
            (Some((name, client)), Some((own, server))) if name == own => Self::Value {
                name: own.clone(),
                client: client.clone(),
                server: server.clone(),
            },
            _ => Self::Name {
                place,
                client: client.map(|(name, _)| name.clone()),
                server: server.map(|(name, _)| name.clone()),
            },
        }
    }
}

impl Difference {
    fn between(client: &ClientText, json: &str, profile: &'static str) -> Self {
        let server = members(json.as_bytes()).unwrap_or_default().0;
        let theirs = &client.members.0;
        let differs = |place: &usize| theirs.get(*place) != server.get(*place);
        let places = 0..theirs.len().max(server.len());
        let places: Vec<_> = places.filter(differs).collect();
        let kind = match places.first() {
            Some(&place) => Kind::of_member(place, theirs.get(place), server.get(place)),
            None => match first_difference(&client.json, json.as_bytes()) {
                Some(byte) => Kind::Spelling(byte),
                None => Kind::None,
            },
        };
        Self {
            profile,
            members: places.len(),
            kind,
        }
    }

    fn describe(&self, names: &HeaderNames) -> String {
        let what = match &self.kind {
            Kind::Name {
                place,
                client,
                server,
            } => format!(
                "member {} differs: the client has {}, this server {}",
                place + 1,
                or_none(client.as_deref()),
                or_none(server.as_deref())
            ),
            Kind::Value {
                name,
                client,
                server,
            } => {
                let at = first_difference(client.as_bytes(), server.as_bytes()).unwrap_or(0);
                format!(
                    "{name} differs from byte {at} on: the client has {}, this server {}",
                    shown_value(name, client, at, names),
                    shown_value(name, server, at, names)
                )
            }
            Kind::Spelling(byte) => format!(
                "all members are the same, and the JSON is written otherwise from byte {byte} on: \
                 no white space, and the escapes of JSON.stringify"
            ),
            Kind::None => "the texts are the same: the signature was made over something else, or \
                           by a key that is not registered"
                .to_owned(),
        };
        format!("{what} (transport profile {})", self.profile)
    }
}

fn or_none(name: Option<&str>) -> String {
    name.map_or_else(|| "none".to_owned(), |name| excerpt(name, 0))
}

/// Where two values part; `None` where they are the same.
fn first_difference(left: &[u8], right: &[u8]) -> Option<usize> {
    let same = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    (same < left.len().max(right.len())).then_some(same)
}

/// A value as it may stand in a log: its length alone, where it is secret.
fn shown_value(member: &str, value: &str, around: usize, names: &HeaderNames) -> String {
    let is_secret = match member.strip_prefix("h-") {
        Some("authorization") => true,
        Some(header) => [Credential::AppSecret, Credential::UserAction]
            .into_iter()
            .any(|credential| names.get(credential) == header),
        None => member == "r-body",
    };
    if is_secret {
        format!("<{} bytes>", value.len())
    } else {
        excerpt(value, around)
    }
}

/// At most [`EXCERPT`] characters around a byte, quoted and with its control characters escaped.
fn excerpt(value: &str, around: usize) -> String {
    let mut from = around.saturating_sub(BEFORE).min(value.len());
    while !value.is_char_boundary(from) {
        from -= 1;
    }
    let part: String = value[from..].chars().take(EXCERPT).collect();
    let before = if from > 0 { "…" } else { "" };
    let after = if from + part.len() < value.len() {
        "…"
    } else {
        ""
    };
    format!("{before}{part:?}{after}")
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use http::{HeaderValue, Method};

    use super::*;
    use crate::signature::RequestParts;

    const SECRETS: [&str; 4] = ["bearer-token", "app-secret", "user-action", "the body"];

    /// What server and client may have differently.
    #[derive(Clone)]
    struct Sample {
        headers: HeaderMap,
        method: Method,
        authority: &'static str,
        path: String,
        body: &'static str,
    }

    fn sample() -> Sample {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "*/*"),
            ("authorization", "Bearer bearer-token"),
            ("host", "api.example.com"),
            ("connection", "keep-alive"),
            ("x-dfns-appsecret", "app-secret"),
            ("x-dfns-useraction", "user-action"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Sample {
            headers,
            method: Method::PUT,
            authority: "api.example.com",
            path: "/path".to_owned(),
            body: "the body",
        }
    }

    impl Sample {
        fn with<T>(&self, then: impl FnOnce(&CanonicalRequest<'_>) -> T) -> T {
            let names = HeaderNames::default();
            let request = CanonicalRequest::of(RequestParts {
                method: &self.method,
                scheme: "https",
                authority: self.authority,
                path_and_query: &self.path,
                host: "",
                headers: &self.headers,
                names: &names,
                body: self.body.as_bytes(),
            });
            then(&request.unwrap())
        }

        fn header(mut self, name: &'static str, value: &'static str) -> Self {
            self.headers.insert(name, HeaderValue::from_static(value));
            self
        }

        fn json(&self) -> String {
            self.with(|request| request.json(&TransportProfile::RECEIVED))
        }
    }

    /// What this server says of a request of [`sample`] and a client that shows this.
    fn says_of(shown: Option<&[u8]>) -> String {
        let text = sample().with(|request| {
            let profiles = TransportProfile::DEFAULT;
            explain(request, profiles, &[SigningAlgorithm::EdDsa], shown)
        });
        for secret in SECRETS {
            let encoded = BASE64_URL_SAFE_NO_PAD.encode(secret);
            assert!(!text.contains(secret) && !text.contains(&encoded), "{text}");
        }
        text
    }

    fn says_of_json(json: &str) -> String {
        says_of(Some(BASE64_URL_SAFE_NO_PAD.encode(json).as_bytes()))
    }

    #[test]
    fn the_first_member_that_differs_is_named_with_both_values() {
        let cases: [(&str, Sample, &str); 8] = [
            (
                "host",
                sample().header("host", "api.example.org"),
                r#"h-host differs from byte 12 on: the client has "api.example.org", this server "api.example.com" (transport profile received)"#,
            ),
            (
                "the first of two",
                sample()
                    .header("accept", "text/html")
                    .header("host", "other"),
                r#"h-accept differs from byte 0 on: the client has "text/html", this server "*/*""#,
            ),
            (
                "the nearest profile",
                sample().header("connection", "").header("host", "other"),
                r#"h-host differs from byte 0 on: the client has "other", this server "api.example.com" (transport profile node)"#,
            ),
            (
                "app secret",
                sample().header("x-dfns-appsecret", "app-secreT."),
                "h-x-dfns-appsecret differs from byte 9 on: the client has <11 bytes>, this server <10 bytes>",
            ),
            (
                "bearer token",
                sample().header("authorization", "bearer-token"),
                "h-authorization differs from byte 0 on: the client has <12 bytes>, this server <19 bytes>",
            ),
            (
                "user action",
                sample().header("x-dfns-useraction", ""),
                "h-x-dfns-useraction differs from byte 0 on: the client has <0 bytes>",
            ),
            (
                "body",
                Sample {
                    body: "the body\n",
                    ..sample()
                },
                "r-body differs from byte 11 on: the client has <12 bytes>, this server <11 bytes>",
            ),
            (
                "method",
                Sample {
                    method: Method::POST,
                    ..sample()
                },
                r#"r-method differs from byte 1 on: the client has "post", this server "put""#,
            ),
        ];
        for (name, client, says) in cases {
            let text = says_of_json(&client.json());
            assert!(text.starts_with(says), "{name}: {text}");
        }
    }

    #[test]
    fn members_that_are_named_ordered_or_spelled_otherwise_are_told() {
        let own = sample().json();
        let cases = [
            (
                own.replace("h-accept-encoding", "h-acceptEncoding"),
                r#"member 2 differs: the client has "h-acceptEncoding", this server "h-accept-encoding""#,
            ),
            (
                own.replace(r#""h-accept-encoding":"","#, ""),
                r#"member 2 differs: the client has "h-authorization", this server "h-accept-encoding""#,
            ),
            (
                own.replace(r#","r-scheme":"https""#, ""),
                r#"member 17 differs: the client has none, this server "r-scheme""#,
            ),
            (
                own.replace(r#""r-scheme":"https""#, r#""r-scheme":"https","r-more":"""#),
                r#"member 18 differs: the client has "r-more", this server none"#,
            ),
            (
                own.replace("\":\"", "\": \""),
                "all members are the same, and the JSON is written otherwise from byte 12 on",
            ),
            (own.clone(), "the texts are the same"),
        ];
        for (json, says) in cases {
            let text = says_of_json(&json);
            assert!(text.starts_with(says), "{text}");
        }
        let text = says_of_json(&own);
        assert!(text.ends_with("(transport profile received)"), "{text}");
    }

    #[test]
    fn the_signed_header_counts_where_it_is_shown() {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(sample().json());
        let shown = |algorithm: SigningAlgorithm| {
            let text = format!("{}.{payload}", algorithm.encoded_header());
            says_of(Some(text.as_bytes()))
        };
        let text = shown(SigningAlgorithm::EdDsa);
        assert!(text.starts_with("the texts are the same"), "{text}");
        let text = shown(SigningAlgorithm::Rs256);
        assert!(text.starts_with("the signed header differs"), "{text}");
        assert!(text.ends_with("of EdDSA"), "{text}");
    }

    #[test]
    fn what_is_no_text_is_told_as_such() {
        let long = |length| "A".repeat(length).into_bytes();
        let object = BASE64_URL_SAFE_NO_PAD.encode(r#"{"a":1}"#);
        for (shown, says) in [
            (&b"a text"[..], "is no base64url"),
            (object.as_bytes(), "holds no JSON object"),
            (&long(MAX_EXPLANATION), "holds no JSON object"),
            (&long(MAX_EXPLANATION + 1), "is over 16384 bytes"),
        ] {
            let text = says_of(Some(shown));
            assert!(text.contains(says), "{text}");
            assert!(text.starts_with("x-dfns-explain-signature "), "{text}");
        }
    }

    #[test]
    fn a_client_that_shows_nothing_is_told_how_and_the_servers_text_is_written_down() {
        let text = says_of(None);
        // As made by `sha256sum` of the JSON.
        let hash = "28f48fe6dc7da724a3c83c85d37c3531d804a45b95ee5dbb775322546df1be29";
        for says in [
            "in x-dfns-explain-signature",
            r#" h-host="api.example.com""#,
            " h-authorization=<19 bytes>",
            " r-body=<11 bytes>",
            &format!("transport profile received: {hash}"),
            "transport profile shell: ",
        ] {
            assert!(text.contains(says), "{says}: {text}");
        }
    }

    #[test]
    fn only_one_value_of_the_header_is_taken() {
        let names = HeaderNames::with_prefix("x-acme-").unwrap();
        let mut headers = HeaderMap::new();
        let mut values = ["text", "again"].map(HeaderValue::from_static).into_iter();
        assert_eq!(shown(&headers, &names), None);
        headers.append("x-acme-explain-signature", values.next().unwrap());
        assert_eq!(shown(&headers, &names), Some(&b"text"[..]));
        headers.append("x-acme-explain-signature", values.next().unwrap());
        assert_eq!(shown(&headers, &names), None);
        headers.insert("x-acme-explain-signature", HeaderValue::from_static(""));
        assert_eq!(shown(&headers, &names), None);
    }

    #[test]
    fn excerpts_are_short_and_hold_no_line_break() {
        assert_eq!(excerpt("short", 4), r#""short""#);
        assert_eq!(excerpt("a\nb\u{202e}", 0), r#""a\nb\u{202e}""#);
        for (length, cut) in [(EXCERPT, false), (EXCERPT + 1, true)] {
            assert_eq!(excerpt(&"a".repeat(length), 0).ends_with('…'), cut);
        }
        // The difference is in what is shown, wherever it is, and no character is cut in two.
        let value = format!("{}!{}", "ä".repeat(100), "ö".repeat(100));
        for around in 200..=201 {
            let shown = excerpt(&value, around);
            assert!(shown.starts_with('…') && shown.contains('!'), "{shown}");
            assert!(shown.chars().count() <= EXCERPT + 4, "{shown}");
        }
    }
}
