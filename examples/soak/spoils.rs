//! Requests that must be refused, each spoiled in one place, and what each must be told.

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use http::{HeaderValue, Method, Request, Uri};
use tower_registration::{client::encode_nonce, rejection::RejectionKind};

use crate::{
    request::{By, wire},
    tally::{Expected, Sort},
};

pub(crate) struct Spoil {
    pub(crate) sort: Sort,
    pub(crate) name: &'static str,
    pub(crate) by: By,
    pub(crate) expected: Expected,
    /// Makes of a valid request what is sent.
    pub(crate) make: fn(Request<Bytes>) -> Bytes,
}

const NONCE: &str = "x-dfns-nonce";
const APP_ID: &str = "x-dfns-appid";
const APP_SECRET: &str = "x-dfns-appsecret";
const SIGNATURE: &str = "x-dfns-apisignature";
/// More than a body may have.
const OVER: usize = 20_000;

const NO_NONCE: Expected = Expected::Refused(&[RejectionKind::NonceInvalid]);
const NO_APP: Expected = Expected::Refused(&[RejectionKind::AppInvalid]);
const NO_SECRET: Expected = Expected::Refused(&[RejectionKind::AppSecretInvalid]);
const NO_SIGNATURE: Expected = Expected::Refused(&[RejectionKind::ApiSignatureInvalid]);
const NO_BODY: Expected = Expected::Refused(&[RejectionKind::BodyInvalid]);
const TOO_LARGE: Expected = Expected::Refused(&[RejectionKind::BodyTooLarge]);

/// All of them, of which one is as likely as another.
pub(crate) const FORGED: &[Spoil] = &[
    forged("signed with another key", By::Forger, NO_SIGNATURE, |r| {
        wire(&r)
    }),
    forged("another body", By::ServerSide, NO_SIGNATURE, |mut r| {
        let other = String::from_utf8_lossy(r.body()).replace("user", "usor");
        *r.body_mut() = other.into();
        wire(&r)
    }),
    forged("another path", By::ServerSide, NO_SIGNATURE, |mut r| {
        *r.uri_mut() = Uri::try_from(format!("{}?a=1", r.uri())).expect("a URI");
        wire(&r)
    }),
    forged("another host", By::ServerSide, NO_SIGNATURE, |r| {
        with(r, "host", "other.example.com")
    }),
    forged("another nonce", By::ServerSide, NO_SIGNATURE, |r| {
        let nonce = nonce_at(TimeDelta::zero());
        with(r, NONCE, &nonce)
    }),
    forged("another secret", By::ServerSide, NO_SECRET, |r| {
        with(r, APP_SECRET, "a-guess-at-the-secret")
    }),
    forged("no secret", By::ServerSide, NO_SECRET, |r| {
        without(r, APP_SECRET)
    }),
    forged("no signature", By::ServerSide, NO_SIGNATURE, |r| {
        without(r, SIGNATURE)
    }),
    forged("another's signature", By::ServerSide, NO_SIGNATURE, |r| {
        with(r, SIGNATURE, &"A".repeat(86))
    }),
    forged("an unknown application", By::ServerSide, NO_APP, |r| {
        with(r, APP_ID, "ap-4s6se-e2t7n-89gfg50iaos73pm6")
    }),
];

pub(crate) const MALFORMED: &[Spoil] = &[
    malformed("no nonce", NO_NONCE, |r| without(r, NONCE)),
    malformed("a nonce that is none", NO_NONCE, |r| with(r, NONCE, "%%%")),
    malformed("two nonces", NO_NONCE, |r| {
        twice(r, NONCE, &nonce_at(TimeDelta::zero()))
    }),
    malformed("a nonce that is too long", NO_NONCE, |r| {
        with(r, NONCE, &"A".repeat(1_025))
    }),
    malformed("a stale nonce", NO_NONCE, |r| {
        with(r, NONCE, &nonce_at(TimeDelta::minutes(-10)))
    }),
    malformed("a nonce from the future", NO_NONCE, |r| {
        with(r, NONCE, &nonce_at(TimeDelta::minutes(10)))
    }),
    malformed("no application", NO_APP, |r| without(r, APP_ID)),
    malformed("two applications", NO_APP, |r| twice(r, APP_ID, "other")),
    malformed("a body without members", NO_BODY, |r| with_body(r, "{}")),
    malformed("a body that is cut", NO_BODY, |r| {
        let half = String::from_utf8_lossy(&r.body()[..r.body().len() / 2]).into_owned();
        with_body(r, &half)
    }),
    malformed("no JSON", NO_BODY, |r| with_body(r, "username=jane")),
    malformed("a member twice", NO_BODY, |r| {
        let body = String::from_utf8_lossy(r.body()).replace('}', r#","orgId":"a"}"#);
        with_body(r, &body)
    }),
    malformed(
        "another content type",
        Expected::Refused(&[RejectionKind::ContentTypeInvalid]),
        |r| with(r, "content-type", "text/plain"),
    ),
    malformed(
        "another method",
        Expected::Refused(&[RejectionKind::MethodNotAllowed]),
        |mut r| {
            *r.method_mut() = Method::POST;
            wire(&r)
        },
    ),
];

pub(crate) const BROKEN: &[Spoil] = &[
    broken("no HTTP", Expected::Status(400), |_| {
        Bytes::from_static(b"\x16\x03\x01 hello\r\n\r\n")
    }),
    broken(
        "a header with a control character",
        Expected::Status(400),
        |r| {
            let text = String::from_utf8_lossy(&wire(&r)).replacen(
                "x-dfns-nonce: ",
                "x-dfns-nonce: a\x01",
                1,
            );
            text.into()
        },
    ),
    broken("two lengths", Expected::Status(400), |r| {
        twice(r, "content-length", "1")
    }),
    broken("a length over the limit", TOO_LARGE, |r| {
        with_body(r, &" ".repeat(OVER))
    }),
    broken("chunks over the limit", TOO_LARGE, |mut r| {
        r.headers_mut().remove("content-length");
        r.headers_mut()
            .insert("transfer-encoding", HeaderValue::from_static("chunked"));
        *r.body_mut() = format!("{OVER:x}\r\n{}\r\n0\r\n\r\n", " ".repeat(OVER)).into();
        wire(&r)
    }),
];

type Make = fn(Request<Bytes>) -> Bytes;

const fn forged(name: &'static str, by: By, expected: Expected, make: Make) -> Spoil {
    let sort = Sort::Forged;
    Spoil {
        sort,
        name,
        by,
        expected,
        make,
    }
}

const fn malformed(name: &'static str, expected: Expected, make: Make) -> Spoil {
    Spoil {
        sort: Sort::Malformed,
        ..forged(name, By::ClientSide, expected, make)
    }
}

const fn broken(name: &'static str, expected: Expected, make: Make) -> Spoil {
    Spoil {
        sort: Sort::Broken,
        ..malformed(name, expected, make)
    }
}

fn nonce_at(offset: TimeDelta) -> String {
    encode_nonce(uuid::Uuid::new_v4(), Utc::now() + offset)
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("a header value")
}

fn with(mut request: Request<Bytes>, name: &'static str, text: &str) -> Bytes {
    request.headers_mut().insert(name, value(text));
    wire(&request)
}

fn twice(mut request: Request<Bytes>, name: &'static str, text: &str) -> Bytes {
    request.headers_mut().append(name, value(text));
    wire(&request)
}

fn without(mut request: Request<Bytes>, name: &'static str) -> Bytes {
    request.headers_mut().remove(name);
    wire(&request)
}

fn with_body(mut request: Request<Bytes>, body: &str) -> Bytes {
    *request.body_mut() = body.to_owned().into();
    let length = HeaderValue::from(body.len());
    request.headers_mut().insert("content-length", length);
    wire(&request)
}
