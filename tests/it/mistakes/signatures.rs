//! Signatures over nothing, by another, by another algorithm, and over shifted bytes.

use std::collections::HashSet;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower::Layer;
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppSecretHash, Application, StaticApps},
    clock::ManualClock,
    headers::HeaderNames,
    signature::{CanonicalRequest, RequestParts, SigningKey, TransportProfile},
};

use crate::support::{
    AUTHORITY, Call, Calls, SECRET, guard, other_signing_key, send, signing_key, start, verify,
    verify_with,
};

/// Verifiers that take an empty list of what is signed, or an empty text, for a request.
#[tokio::test]
async fn a_signature_over_nothing_is_none_though_the_key_is_right() {
    let (calls, guard) = (Calls::default(), guard());
    let service = verify_with(&ManualClock::at(start()), &guard).layer(calls.echo());
    let base64 = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let header = base64(r#"{"alg":"EdDSA","typ":"JWT"}"#);
    for text in [
        String::new(),
        ".".into(),
        header.clone(),
        format!("{header}."),
        format!("{header}.{}", base64("{}")),
        format!(".{}", base64("{}")),
    ] {
        let signature = signing_key().sign(&text).unwrap();
        let call = Call::server_app(start()).sign(&signing_key());
        let call = call.with("x-dfns-apisignature", &signature);
        let answer = send(&service, call.build()).await;
        answer.assert_error(401, "ApiSignatureInvalid");
    }
    for empty in ["", "=", "====", ".", "..", " ", "\t", "null", "\"\"", "e30"] {
        let call = Call::server_app(start()).sign(&signing_key());
        let call = call.with("x-dfns-apisignature", empty);
        let answer = send(&service, call.build()).await;
        answer.assert_error(401, "ApiSignatureInvalid");
    }
    assert_eq!((calls.count(), guard.live()), (0, 0));
}

/// JWT libraries have let the token say how it is to be verified, `none` among the ways.
#[tokio::test]
async fn a_whole_token_in_the_place_of_the_signature_decides_nothing() {
    let calls = Calls::default();
    let service = verify(&ManualClock::at(start())).layer(calls.echo());
    let base64 = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signed = Call::server_app(start()).sign(&signing_key());
    let signature = signed.headers["x-dfns-apisignature"].to_str().unwrap();
    for algorithm in ["none", "None", "NONE", "HS256", "EdDSA", ""] {
        let header = base64(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#));
        for end in ["", signature] {
            let token = format!("{header}.{}.{end}", base64("{}"));
            let call = signed.clone().with("x-dfns-apisignature", &token);
            let answer = send(&service, call.build()).await;
            answer.assert_error(401, "ApiSignatureInvalid");
        }
    }
    assert_eq!(calls.count(), 0);
}

const OTHER_SECRET: &str = "secret-of-the-other-application";

/// Keys looked up by anything but the application that is named: whoever has one key is everybody.
#[tokio::test]
async fn the_key_of_one_application_signs_for_no_other() {
    let calls = Calls::default();
    let app = |id: &str, secret: &str, key: &SigningKey| {
        let secret = AppSecretHash::of(secret).unwrap();
        let keys = vec![key.verifying_key().clone()];
        Application::server_side(AppId::new(id).unwrap(), vec![secret], keys)
    };
    let apps = StaticApps::new([
        app("ap-a", SECRET, &signing_key()),
        app("ap-b", OTHER_SECRET, &other_signing_key()),
    ]);
    let service = VerifyRequest::builder()
        .apps(apps.unwrap())
        .replay_guard(guard())
        .authority(AUTHORITY)
        .clock(ManualClock::at(start()))
        .build()
        .unwrap()
        .layer(calls.echo());
    let call = |id: &str, secret: &str| Call::new(id, start()).with("x-dfns-appsecret", secret);
    let (a, b) = (call("ap-a", SECRET), call("ap-b", OTHER_SECRET));
    for forged in [
        a.clone().sign(&other_signing_key()),
        b.clone().sign(&signing_key()),
        // A's request, said to be B's.
        a.clone()
            .sign(&signing_key())
            .with("x-dfns-appid", "ap-b")
            .with("x-dfns-appsecret", OTHER_SECRET),
        // The same, but B's key signed it as A's.
        a.clone()
            .sign(&other_signing_key())
            .with("x-dfns-appid", "ap-b")
            .with("x-dfns-appsecret", OTHER_SECRET),
    ] {
        let answer = send(&service, forged.build()).await;
        answer.assert_error(401, "ApiSignatureInvalid");
    }
    for mixed in [call("ap-a", OTHER_SECRET), call("ap-b", SECRET)] {
        let answer = send(&service, mixed.sign(&signing_key()).build()).await;
        answer.assert_error(401, "AppSecretInvalid");
    }
    for (own, key) in [(a, signing_key()), (b, other_signing_key())] {
        send(&service, own.sign(&key).build())
            .await
            .assert_success();
    }
    assert_eq!(calls.count(), 2);
}

/// All that the text is made of, apart from method and scheme, in the text's order.
#[derive(Clone, Default)]
struct Fields {
    headers: [String; 12],
    authority: String,
    body: String,
    path: String,
}

/// By the protocol; the crate's own list is private, and what is tested.
const NAMES: [&str; 12] = [
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

impl Fields {
    fn all(&mut self) -> Vec<&mut String> {
        let rest = [&mut self.authority, &mut self.body, &mut self.path];
        self.headers.iter_mut().chain(rest).collect()
    }

    fn text(&self) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in NAMES.iter().zip(&self.headers) {
            let value = HeaderValue::from_str(value).unwrap();
            headers.insert(HeaderName::from_static(name), value);
        }
        let names = HeaderNames::default();
        let request = CanonicalRequest::of(RequestParts {
            method: &Method::PUT,
            scheme: "https",
            authority: &self.authority,
            path_and_query: &self.path,
            host: "",
            headers: &headers,
            names: &names,
            body: self.body.as_bytes(),
        });
        let algorithm = signing_key().algorithm();
        let input = request
            .unwrap()
            .signing_input(&TransportProfile::RECEIVED, algorithm);
        input.as_str().to_owned()
    }
}

/// Texts put together without lengths or escapes: what ends one field begins the next.
#[test]
fn bytes_moved_over_the_border_of_two_fields_make_another_text() {
    let (mut texts, mut made) = (HashSet::new(), 0);
    let count = Fields::default().all().len();
    // Whatever could look like a border: in the JSON, in a list, in a head, in a URL.
    for border in [
        "", ",", ", ", "\",\"", "\\", "\\\"", "\t", ".", "/", "?", "&", "=",
    ] {
        for at in 0..count {
            for other in (0..count).filter(|other| *other != at) {
                let mut fields = Fields::default();
                *fields.all()[at] = format!("{border}a{at}{other}");
                *fields.all()[other] = format!("b{border}");
                texts.insert(fields.text());
                let mut moved = Fields::default();
                *moved.all()[at] = format!("{border}a{at}{other}b{border}");
                texts.insert(moved.text());
                made += 2;
            }
        }
    }
    assert_eq!(texts.len(), made);
    // The text of one field that spells out the next.
    let mut spelt = Fields::default();
    spelt.headers[0] = r#"x","h-accept-encoding":"y"#.into();
    let mut split = Fields::default();
    split.headers[0] = "x".into();
    split.headers[1] = "y".into();
    assert_ne!(spelt.text(), split.text());
}

#[tokio::test]
async fn a_request_whose_bytes_moved_over_a_border_is_refused() {
    type Move = fn(Call) -> Call;
    let calls = Calls::default();
    let service = verify(&ManualClock::at(start())).layer(calls.echo());
    let moves: [(&str, Move, Move); 6] = [
        (
            "path to query",
            |call| call.uri("/auth/code?a=1"),
            |call| call.uri("/auth?/code&a=1"),
        ),
        (
            "query to body",
            |call| call.uri("/auth?a=1").body("b=2"),
            |call| call.uri("/auth").body("?a=1b=2"),
        ),
        (
            "header to header",
            |call| call.with("accept", "ab").with("user-agent", "c"),
            |call| call.with("accept", "a").with("user-agent", "bc"),
        ),
        (
            "value to another name",
            |call| call.with("authorization", "token"),
            |call| {
                call.without("authorization")
                    .with("x-dfns-useraction", "token")
            },
        ),
        (
            "header to body",
            |call| call.with("content-type", "text/plain").body("x"),
            |call| call.with("content-type", "text/").body("plainx"),
        ),
        (
            "method to path",
            |call| call.uri("/a"),
            |call| call.method(Method::from_bytes(b"PU").unwrap()).uri("/ta"),
        ),
    ];
    for (what, before, after) in moves {
        let signed = before(Call::server_app(start())).sign(&signing_key());
        let answer = send(&service, after(signed.clone()).build()).await;
        assert_eq!(answer.error_name(), "ApiSignatureInvalid", "{what}");
        send(&service, signed.build()).await.assert_success();
    }
    assert_eq!(calls.count(), moves.len());
}
