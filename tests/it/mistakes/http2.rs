//! HTTP/2 in frames written by hand: RFC 9113 section 8 says which requests are malformed.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tower_registration::registration::PATH;

use super::{Api, PATIENCE, Wire};
use crate::support::{AUTHORITY, JANE};

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RESET: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GO_AWAY: u8 = 0x7;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

const PROTOCOL_ERROR: u32 = 0x1;

/// What became of the one request of a connection.
#[derive(Debug, PartialEq)]
enum Outcome {
    Answered(String),
    /// The stream or the connection ended, with this code.
    Refused(u32),
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A string of RFC 7541 section 5.2, without Huffman's code.
fn string(bytes: &[u8]) -> Vec<u8> {
    let mut coded = Vec::new();
    let mut rest = bytes.len();
    if rest < 0x7f {
        coded.push(u8::try_from(rest).unwrap());
    } else {
        coded.push(0x7f);
        rest -= 0x7f;
        while rest >= 0x80 {
            coded.push(u8::try_from(rest % 0x80).unwrap() | 0x80);
            rest /= 0x80;
        }
        coded.push(u8::try_from(rest).unwrap());
    }
    [coded, bytes.to_vec()].concat()
}

/// The fields of a request, pseudo-headers first.
#[derive(Clone)]
struct Fields(Vec<(String, Vec<u8>)>, Vec<u8>);

impl Fields {
    /// Of a signed request, with `:authority` in the place of `host`.
    fn signed() -> Self {
        Self::of(&Wire::signed(), PATH)
    }

    fn of(wire: &Wire, path: &str) -> Self {
        let pseudo = [
            (":method", wire.method.as_str()),
            (":scheme", "https"),
            (":authority", AUTHORITY),
            (":path", path),
        ];
        let pseudo = pseudo.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let wire = wire.clone().without("host").without("connection");
        Self(pseudo.into_iter().chain(wire.headers).collect(), wire.body)
    }

    /// The same with one more field at this place.
    fn at(mut self, place: usize, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.0.insert(place, (name.into(), value.as_ref().to_vec()));
        self
    }

    fn and(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let end = self.0.len();
        self.at(end, name, value)
    }

    fn without(mut self, name: &str) -> Self {
        self.0.retain(|(own, _)| own != name);
        self
    }

    fn with(self, name: &str, value: &str) -> Self {
        let place = self.0.iter().position(|(own, _)| own == name).unwrap();
        self.without(name).at(place, name, value)
    }

    fn frames(&self) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in &self.0 {
            // A literal that enters no table (RFC 7541 section 6.2.2).
            block.extend([vec![0], string(name.as_bytes()), string(value)].concat());
        }
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(SETTINGS, 0, 0, &[]),
            frame(HEADERS, END_HEADERS, 1, &block),
            frame(DATA, END_STREAM, 1, &self.1),
        ]
        .concat()
    }
}

async fn ask(api: &Api, fields: &Fields) -> Outcome {
    let outcome = timeout(PATIENCE, exchange(api, fields)).await;
    outcome.expect("an outcome in time")
}

async fn exchange(api: &Api, fields: &Fields) -> Outcome {
    let mut stream = TcpStream::connect(api.address).await.unwrap();
    stream.write_all(&fields.frames()).await.unwrap();
    let mut body = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
        match head[3] {
            RESET => return Outcome::Refused(code(0)),
            GO_AWAY => return Outcome::Refused(code(4)),
            DATA => body.extend(&payload),
            _ => {}
        }
        if matches!(head[3], DATA | HEADERS) && head[4] & END_STREAM != 0 {
            return Outcome::Answered(String::from_utf8(body).unwrap());
        }
    }
}

async fn assert_passes(api: &Api, what: &str, fields: &Fields) {
    assert_eq!(
        ask(api, fields).await,
        Outcome::Answered(JANE.into()),
        "{what}"
    );
    assert_eq!(api.seen().len(), 1, "{what}");
}

async fn assert_error(api: &Api, what: &str, fields: &Fields, name: &str) {
    let Outcome::Answered(body) = ask(api, fields).await else {
        panic!("{what}: not answered");
    };
    assert!(body.contains(name), "{what}: {body}");
    assert_eq!(api.seen(), [""; 0], "{what}");
}

async fn assert_malformed(api: &Api, what: &str, fields: &Fields) {
    assert_eq!(
        ask(api, fields).await,
        Outcome::Refused(PROTOCOL_ERROR),
        "{what}"
    );
    assert_eq!(api.seen(), [""; 0], "{what}");
}

/// Versions that are verified by different texts, or counted apart, are two ways in.
#[tokio::test]
async fn both_versions_verify_one_text_and_know_one_nonce() {
    for api in [Api::named().await, Api::nameless().await] {
        let wire = Wire::signed();
        assert_passes(&api, "HTTP/2", &Fields::of(&wire, PATH)).await;
        api.refuses("replayed over HTTP/1.1", &wire.bytes(), 400)
            .await;
        let wire = Wire::signed();
        api.accepts("HTTP/1.1", &wire.bytes()).await;
        let again = Fields::of(&wire, PATH);
        assert_error(&api, "replayed over HTTP/2", &again, "NonceReplayed").await;
    }
}

const OTHER_AUTHORITIES: [&str; 4] = [
    "b.example.com",
    "api.example.com:444",
    "api.example.com:80",
    "a@api.example.com",
];

/// RFC 9113 section 8.3.1: a server should treat a `host` that differs from `:authority` as
/// malformed. Who does not (golang/go#80065) lets one be checked and the other be served.
#[tokio::test]
async fn a_host_that_differs_from_the_authority_is_refused() {
    let api = Api::nameless().await;
    let both = |authority: &str, host: &str| {
        let fields = Fields::signed().with(":authority", authority);
        fields.and("host", host)
    };
    for other in OTHER_AUTHORITIES {
        let fields = both(other, AUTHORITY);
        assert_error(&api, other, &fields, "ApiSignatureInvalid").await;
    }
    for api in [api, Api::named().await] {
        for host in ["b.example.com", "api.example.com:80", ""] {
            let what = format!("{host:?} as host");
            let fields = both(AUTHORITY, host);
            assert_error(&api, &what, &fields, "ApiSignatureInvalid").await;
        }
        for same in [AUTHORITY, "API.example.com:443", "api.example.com:"] {
            assert_passes(&api, same, &both(same, AUTHORITY)).await;
        }
        let host_alone = Fields::signed()
            .without(":authority")
            .and("host", AUTHORITY);
        assert_passes(&api, "host alone", &host_alone).await;
        let neither = Fields::signed().without(":authority");
        assert_error(&api, "neither", &neither, "ApiSignatureInvalid").await;
        let other = Fields::signed().with(":authority", "b.example.com");
        assert_error(&api, "another", &other, "ApiSignatureInvalid").await;
        let twice = Fields::signed()
            .and("host", AUTHORITY)
            .and("host", AUTHORITY);
        assert_error(&api, "host twice", &twice, "ApiSignatureInvalid").await;
    }
}

/// A hop that speaks HTTP/2 puts the next server's name in `:authority`, and hands `host` on.
#[tokio::test]
async fn where_the_authority_is_set_a_proxy_may_write_another_beside_the_host() {
    let api = Api::named().await;
    for other in OTHER_AUTHORITIES {
        let fields = Fields::signed()
            .with(":authority", other)
            .and("host", AUTHORITY);
        assert_passes(&api, other, &fields).await;
    }
}

/// Pseudo-headers that come twice, late or unasked have become second requests behind gateways
/// that translate to HTTP/1.1.
#[tokio::test]
async fn malformed_pseudo_headers_reach_nothing() {
    let api = Api::named().await;
    let signed = Fields::signed;
    for (name, value) in [
        (":method", "PUT"),
        (":scheme", "https"),
        (":authority", AUTHORITY),
        (":path", PATH),
    ] {
        assert_malformed(&api, &format!("{name} twice"), &signed().at(0, name, value)).await;
        let late = signed().without(name).and(name, value);
        assert_malformed(&api, &format!("{name} late"), &late).await;
    }
    for (what, fields) in [
        ("no method", signed().without(":method")),
        ("no scheme", signed().without(":scheme")),
        ("empty path", signed().with(":path", "")),
        ("status", signed().at(0, ":status", "200")),
        ("protocol", signed().at(0, ":protocol", "websocket")),
        (
            "path with a line",
            signed().with(":path", "/ HTTP/1.1\r\nhost: a"),
        ),
        ("authority with a path", signed().with(":authority", "a/b")),
    ] {
        assert_malformed(&api, what, &fields).await;
    }
    for (what, fields) in [
        ("unknown", signed().at(0, ":unknown", "a")),
        ("method with a line", signed().with(":method", "PUT\r\n")),
        ("upper case", signed().and("X-Upper", "a")),
    ] {
        let outcome = ask(&api, &fields).await;
        assert!(
            matches!(outcome, Outcome::Refused(_)),
            "{what}: {outcome:?}"
        );
        assert_eq!(api.seen(), [""; 0], "{what}");
    }
}

/// HTTP/2 downgrades: fields that frame a message in HTTP/1.1, or hold a line's end.
#[tokio::test]
async fn fields_that_would_frame_another_message_reach_nothing() {
    let api = Api::named().await;
    for (name, value) in [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "a"),
        ("proxy-connection", "close"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
    ] {
        assert_malformed(&api, name, &Fields::signed().and(name, value)).await;
    }
    for (what, name, value) in [
        ("line in a value", "x-a", "a\r\ntransfer-encoding: chunked"),
        ("zero in a value", "x-a", "a\0"),
        ("line in a name", "x-a\r\nhost", "a"),
        ("colon in a name", "x-a: b", "c"),
    ] {
        let outcome = ask(&api, &Fields::signed().and(name, value)).await;
        assert!(
            matches!(outcome, Outcome::Refused(_)),
            "{what}: {outcome:?}"
        );
        assert_eq!(api.seen(), [""; 0], "{what}");
    }
    for other in ["0", "1", "56", "99999"] {
        let wire = Wire::signed_as(|call| call.with("content-length", other));
        let outcome = ask(&api, &Fields::of(&wire, PATH)).await;
        assert_ne!(
            outcome,
            Outcome::Answered(JANE.into()),
            "content-length {other}"
        );
        assert_eq!(api.seen(), [""; 0], "content-length {other}");
    }
}

#[tokio::test]
async fn paths_are_verified_as_over_http_1() {
    let api = Api::named().await;
    for target in [
        "//auth/code",
        "/auth/../code",
        "/auth%2Fcode",
        "/auth/code?",
    ] {
        let wire = || Wire::signed_as(|call| call.uri(target));
        let twin = Fields::of(&wire(), "/auth/code");
        assert_error(&api, target, &twin, "ApiSignatureInvalid").await;
        let outcome = ask(&api, &Fields::of(&wire(), target)).await;
        assert_eq!(outcome, Outcome::Answered(JANE.into()), "{target}");
        assert_eq!(api.seen(), [target]);
    }
}
