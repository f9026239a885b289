//! The OpenAPI document: what it allows is accepted, what it forbids is refused, and every answer
//! is one that it has.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use chrono::TimeDelta;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::{Layer, util::BoxCloneSyncService};
use tower_registration::{
    app::Permissions,
    backend::memory::{MemoryMailer, MemoryRegistrations},
    clock::ManualClock,
    delivery::{Courier, Deliverer},
    gate::GateBody,
    headers::{Credential, HeaderNames},
    registration::{PATH, RegistrationKey, Registrations, ResendRegistration, ResendRequest},
    rejection::{Rejection, RejectionKind},
    signature::BodyLimits,
};

use crate::{
    process::{Process, command, folder},
    support::{
        Answer, Call, POWERLESS_APP, SERVER_APP, Verify, nonce_at, send, signing_key, start, verify,
    },
};

type Resend = ResendRegistration<MemoryRegistrations, Courier<MemoryRegistrations, MemoryMailer>>;

fn parts() -> (
    Registrations<MemoryRegistrations>,
    Courier<MemoryRegistrations, MemoryMailer>,
) {
    let key = RegistrationKey::from_bytes([7; 32]).unwrap();
    let registrations = Registrations::new(MemoryRegistrations::new(), key);
    let courier = Courier::new(Deliverer::new(registrations.clone(), MemoryMailer::new()));
    (registrations, courier)
}

fn resend() -> Resend {
    let (registrations, courier) = parts();
    ResendRegistration::builder(registrations, courier)
        .insecure_without_answer_grid()
        .build()
        .unwrap()
}

fn document() -> Document {
    Document::of(&resend().openapi(&HeaderNames::default()))
}

/// A document, and its schemas as the judge of values.
struct Document(Value);

impl Document {
    fn of(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    fn operation(&self) -> &Value {
        &self.0["paths"][PATH]["put"]
    }

    fn parameter(&self, name: &str) -> Option<&Value> {
        let mut all = self.operation()["parameters"].as_array()?.iter();
        all.find(|parameter| parameter["name"] == name)
    }

    /// References in a schema are to the components beside it.
    fn judge(&self, schema: &Value) -> Validator {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        options.build(&schema).unwrap()
    }

    fn body(&self) -> Validator {
        self.judge(&self.operation()["requestBody"]["content"]["application/json"]["schema"])
    }

    #[track_caller]
    fn assert_has(&self, answer: &Answer) {
        let response = &self.operation()["responses"][answer.status.as_str()];
        let media_type = answer.headers["content-type"].to_str().unwrap();
        let schema = &response["content"][media_type]["schema"];
        assert!(schema.is_object(), "{answer:?}");
        assert!(self.judge(schema).is_valid(&answer.json()), "{answer:?}");
        for (name, header) in response["headers"].as_object().unwrap() {
            let value = answer.headers[name].to_str().unwrap();
            assert!(self.judge(&header["schema"]).is_valid(&json!(value)));
        }
        for name in answer.headers.keys().map(http::HeaderName::as_str) {
            // The last two are the HTTP server's own.
            let is_documented = ["content-type", "content-length", "date"].contains(&name)
                || response["headers"].get(name).is_some();
            assert!(is_documented, "{answer:?}");
        }
    }
}

fn is_read(body: &Value) -> bool {
    ResendRequest::parse(body.to_string().as_bytes()).is_ok()
}

fn address_of(length: usize) -> String {
    let labels = ["d".repeat(63), "d".repeat(63), "d".repeat(63)].join(".");
    let address = format!("{}@{labels}", "a".repeat(length - labels.len() - 1));
    assert_eq!(address.len(), length);
    address
}

#[test]
fn bodies_at_the_bounds_are_judged_as_by_the_service() {
    let schema = document().body();
    let named = |username: &str| json!({"username": username, "orgId": "o"});
    let in_org = |org_id: &str| json!({"username": "a@b.co", "orgId": org_id});
    for (body, is_good) in [
        (named("a@b"), true),
        (named("@b"), false),
        (named(&address_of(254)), true),
        (named(&address_of(255)), false),
        (named("jane"), false),
        (in_org(""), false),
        (in_org(" "), true),
        (in_org("~"), true),
        (in_org("\u{7f}"), false),
        (in_org("o\t"), false),
        (in_org("ö"), false),
        (in_org(&"o".repeat(128)), true),
        (in_org(&"o".repeat(129)), false),
        (json!({"username": "a@b.co"}), false),
        (json!({"orgId": "o"}), false),
        (json!({"username": 1, "orgId": "o"}), false),
        (json!({"username": "a@b.co", "orgId": null}), false),
        (
            json!({"username": "a@b.co", "orgId": "o", "more": {}}),
            true,
        ),
        (json!([]), false),
    ] {
        assert_eq!(is_read(&body), is_good, "{body}");
        assert_eq!(schema.is_valid(&body), is_good, "{body}");
    }
}

proptest! {
    #[test]
    fn bodies_are_judged_as_by_the_service(
        username in prop_oneof!["[a-z.+]{0,4}@[a-z.-]{0,6}", "[ -~]{0,6}"],
        org_id in prop_oneof!["[ -~]{0,3}", "\\PC{0,3}"],
        more in any::<bool>(),
    ) {
        // The one leniency that the document leaves to words.
        prop_assume!(username.trim() == username);
        // `jsonschema` takes the third and fourth letter `--` of a label for an encoded one, and
        // refuses what does not decode. We read no domain names, and hand them on to mail servers.
        prop_assume!(!username.contains("--"));
        let mut body = json!({"username": username, "orgId": org_id});
        if more {
            body["more"] = json!([{}]);
        }
        prop_assert_eq!(document().body().is_valid(&body), is_read(&body));
    }
}

#[test]
fn every_credential_is_there_with_its_bound_under_the_prefix_in_use() {
    let names = HeaderNames::with_prefix("x-acme-").unwrap();
    let document = Document::of(&resend().openapi(&names));
    let schemes = document.0["components"]["securitySchemes"].as_object();
    for credential in Credential::ALL {
        let (name, bound) = (names.get(credential).as_str(), credential.max_length());
        if let Some(parameter) = document.parameter(name) {
            let is_required = credential == Credential::Nonce;
            assert_eq!(parameter["required"], is_required, "{name}");
            let schema = document.judge(&parameter["schema"]);
            assert!(schema.is_valid(&json!("a".repeat(bound))), "{name}");
            assert!(!schema.is_valid(&json!("a".repeat(bound + 1))), "{name}");
            assert!(!schema.is_valid(&json!("ä")), "{name}");
        } else {
            let mut schemes = schemes.unwrap().values();
            let scheme = schemes.find(|scheme| scheme["name"] == name).unwrap();
            assert_eq!(
                (&scheme["type"], &scheme["in"]),
                (&json!("apiKey"), &json!("header"))
            );
            let text = scheme["description"].as_str().unwrap();
            assert!(text.contains(&format!("{bound} bytes")), "{text}");
        }
    }
    let nonce = document.judge(&document.parameter("x-acme-nonce").unwrap()["schema"]);
    assert!(nonce.is_valid(&json!(nonce_at(start()))));
    assert!(!nonce.is_valid(&json!("")));
    let empty = document.parameter("x-acme-useraction").unwrap()["schema"].clone();
    assert!(
        document.judge(&empty).is_valid(&json!("")),
        "empty counts as absent"
    );
}

#[test]
fn the_limits_of_the_body_are_those_of_the_service() {
    let (registrations, courier) = parts();
    let resend = ResendRegistration::builder(registrations, courier)
        .body_limits(BodyLimits::new(1_234, Duration::from_secs(56)).unwrap())
        .build()
        .unwrap();
    let document = Document::of(&resend.openapi(&HeaderNames::default()));
    assert_eq!(
        document.operation()["requestBody"]["description"],
        "At most 1234 bytes, all of them there within 56s."
    );
}

/// A service behind all checks.
type Endpoint =
    BoxCloneSyncService<Request<Full<Bytes>>, Response<GateBody<Full<Bytes>>>, Infallible>;

#[tokio::test]
async fn every_answer_behind_the_checks_is_in_the_document() {
    let clock = ManualClock::at(start());
    let checks: Verify = verify(&clock);
    let endpoint = Endpoint::new(checks.layer(resend()));
    let client = || Call::client_app(start());
    let used = client();
    send(&endpoint, used.clone().build()).await.assert_success();
    let late = nonce_at(start() - TimeDelta::seconds(301));
    let document = document();
    for (call, status, name) in [
        (client(), 200, ""),
        (Call::server_app(start()), 200, ""),
        (client().without("x-dfns-nonce"), 400, "NonceInvalid"),
        (client().with("x-dfns-nonce", &late), 400, "NonceInvalid"),
        (used, 400, "NonceReplayed"),
        (client().body("{"), 400, "BodyInvalid"),
        (client().body(r#"{"orgId":"o"}"#), 400, "BodyInvalid"),
        (client().user("jane"), 400, "BodyInvalid"),
        (Call::new("nobody", start()), 401, "AppInvalid"),
        (Call::new(SERVER_APP, start()), 401, "AppSecretInvalid"),
        (
            Call::server_app(start()).sign(&signing_key()).body("{}"),
            401,
            "ApiSignatureInvalid",
        ),
        (Call::new(POWERLESS_APP, start()), 403, "PermissionDenied"),
        (client().method(Method::DELETE), 405, "MethodNotAllowed"),
        (client().body(vec![b' '; 16_385]), 413, "BodyTooLarge"),
        (
            client().with("content-type", "text/plain"),
            415,
            "ContentTypeInvalid",
        ),
    ] {
        let answer = send(&endpoint, call.build()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_name().as_str()),
            (status, name)
        );
        document.assert_has(&answer);
    }
}

/// Without its layer the service is put together wrongly; without room for a mail it can't serve.
#[tokio::test]
async fn a_service_that_can_not_serve_answers_by_the_document() {
    let bare = send(&resend(), Call::client_app(start()).build()).await;
    bare.assert_error(500, "InternalError");
    document().assert_has(&bare);

    let (registrations, courier) = parts();
    courier.shutdown(Duration::ZERO).await;
    let closed = ResendRegistration::builder(registrations, courier)
        .build()
        .unwrap();
    let endpoint = Endpoint::new(verify(&ManualClock::at(start())).layer(closed));
    let unavailable = send(&endpoint, Call::client_app(start()).build()).await;
    unavailable.assert_error(503, "Unavailable");
    document().assert_has(&unavailable);
}

/// Made by hand, what no call here brings about.
#[tokio::test]
async fn the_answers_of_the_table_are_in_the_document() {
    for kind in [
        RejectionKind::UserActionReplayed,
        RejectionKind::UserActionInvalid,
        RejectionKind::BodyTimeout,
    ] {
        let rejection = Rejection::new(kind, "for operators alone");
        document().assert_has(&Answer::of(rejection.into_response()).await);
    }
}

#[test]
fn a_service_behind_other_authentication_says_nothing_about_credentials() {
    let (registrations, courier) = parts();
    let resend = ResendRegistration::builder(registrations, courier)
        .insecure_behind_other_authentication(Permissions::from_iter([Permissions::USERS_CREATE]))
        .build()
        .unwrap();
    let document = Document::of(&resend.openapi(&HeaderNames::default()));
    let operation = document.operation();
    assert!(operation.get("security").is_none());
    assert!(operation.get("parameters").is_none());
    assert!(document.0["components"].get("securitySchemes").is_none());
    let statuses: Vec<_> = operation["responses"].as_object().unwrap().keys().collect();
    assert_eq!(
        statuses,
        ["200", "400", "403", "405", "408", "413", "415", "503"]
    );
    assert!(!document.0.to_string().contains("NonceInvalid"));
}

#[tokio::test]
async fn the_example_server_serves_the_document() {
    let folder = folder(&json!({}));
    let server = Process::serving(&mut command(folder.path()));
    let answer = server.send(Method::GET, "/openapi.json", "", "").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.json(), document().0);
    document().assert_has(&server.put(PATH, "jane@example.co").await);
}
