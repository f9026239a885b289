//! The example server as a program: what it prints, what it answers, and what a restart keeps.

use std::{fs, process::Command};

use bytes::Bytes;
use chrono::Utc;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;
use tempfile::TempDir;
use tower::{Layer, ServiceExt};
use tower_registration::{
    app::AppId,
    client::{ClientApp, SignRequestLayer},
    registration::{LATER_PATH, PATH},
    secret::SecretString,
    signature::SigningKey,
};

use crate::{
    process::{ORG, Process, code, command, folder, mails},
    support::{Answer, SECRET, SERVER_APP, nonce_at},
};

/// A server of its own folder.
fn started(folder: &TempDir) -> Process {
    Process::serving(&mut command(folder.path()))
}

#[tokio::test]
async fn a_resend_kills_the_code_before_and_the_new_one_completes_the_registration() {
    let folder = folder(&json!({"policy": {"cooldownSeconds": 0}}));
    let server = started(&folder);
    let health = server.send(Method::GET, "/health", "", "").await;
    health.assert_success();

    let answer = server.put(PATH, "jane@example.co").await;
    answer.assert_success();
    assert_eq!(answer.body, r#"{"message":"success"}"#);
    let first = code(&mails(folder.path(), 1).await[0]);
    server
        .put(LATER_PATH, "Jane@Example.co")
        .await
        .assert_success();
    let second = code(&mails(folder.path(), 2).await[1]);

    server
        .redeem("jane@example.co", &first)
        .await
        .assert_error(401, "RegistrationCodeInvalid");
    server
        .redeem("jane@example.co", &second.replace('-', ""))
        .await
        .assert_success();
    server
        .redeem("jane@example.co", &second)
        .await
        .assert_error(401, "RegistrationCodeInvalid");
    for username in [
        "jane@example.co",
        "john@example.co",
        "nobody@example.co",
        "kim@example.co",
    ] {
        let again = server.put(PATH, username).await;
        assert_eq!(again.body, answer.body);
    }
    let missing = server
        .send(
            Method::POST,
            "/auth/registration",
            "{}",
            &nonce_at(Utc::now()),
        )
        .await;
    missing.assert_error(400, "BodyInvalid");
    assert!(server.stop().success());
    mails(folder.path(), 2).await;
}

#[tokio::test]
async fn a_restart_keeps_codes_and_used_nonces() {
    let folder = folder(&json!({}));
    let server = started(&folder);
    let body = json!({"username": "jane@example.co", "orgId": ORG}).to_string();
    let nonce = nonce_at(Utc::now());
    let first = server.send(Method::PUT, PATH, &body, &nonce).await;
    first.assert_success();
    assert!(server.stop().success());

    // What was owed when it stopped goes out now, if it had not before.
    let server = started(&folder);
    let replayed = server.send(Method::PUT, PATH, &body, &nonce).await;
    replayed.assert_error(400, "NonceReplayed");
    server.put(PATH, "jane@example.co").await.assert_success();
    let code = code(&mails(folder.path(), 1).await[0]);
    server
        .redeem("jane@example.co", &code)
        .await
        .assert_success();
    assert!(server.stop().success());
}

#[tokio::test]
async fn a_server_side_application_signs_and_is_told_apart_by_its_permissions() {
    let folder = folder(&json!({}));
    let server = started(&folder);
    let key = SigningKey::from_pem(include_str!("../keys/test-only-rsa-2048.pem")).unwrap();
    let app = ClientApp::server_side(
        &AppId::new(SERVER_APP).unwrap(),
        &SecretString::from(SECRET),
        key,
    )
    .unwrap();
    for (authority, status) in [("api.example.com", 200), ("other.example.com", 401)] {
        let transport: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        let client = SignRequestLayer::new(app.clone())
            .authority(authority)
            .unwrap()
            .layer(transport);
        let body = json!({"username": "kim@example.co", "orgId": ORG});
        let request = Request::put(format!("http://{}{PATH}", server.address()))
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(body.to_string()))
            .unwrap();
        let response = client.oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{authority}");
    }
    let sent = mails(folder.path(), 1).await;
    assert!(sent[0].contains("To: kim@example.co"), "{}", sent[0]);
}

/// The page of numbers at this address.
async fn page(place: &str) -> String {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.get(format!("http://{place}").parse().unwrap()).await;
    let answer = Answer::of(answer.unwrap()).await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn numbers_are_served_where_the_environment_says_and_callers_get_none() {
    let folder = folder(&json!({}));
    let server = Process::serving(command(folder.path()).env("METRICS_ADDR", "127.0.0.1:0"));
    server.put(PATH, "jane@example.co").await.assert_success();
    server.put(PATH, "nobody@example.co").await.assert_success();
    mails(folder.path(), 1).await;
    let place = server.printed.split_once("numbers at ").unwrap().1;
    let page = page(place.lines().next().unwrap()).await;
    for line in [
        r#"tower_registration_resends_total{outcome="Issued"} 1"#,
        r#"tower_registration_resends_total{outcome="UnknownUser"} 1"#,
        r#"tower_registration_nonce_claim_duration_seconds_bucket{outcome="Claimed",le="+Inf"} 2"#,
        "tower_registration_nonces_live 2",
        "tower_registration_nonces_capacity 10000000",
        r#"tower_registration_mail_send_duration_seconds_count{outcome="Accepted"} 1"#,
    ] {
        assert!(
            page.lines().any(|of_page| of_page == line),
            "{line}: {page}"
        );
    }
    let nonce = nonce_at(Utc::now());
    let here = server.send(Method::GET, "/metrics", "", &nonce).await;
    assert_eq!(here.status, 404);
    assert!(server.stop().success());
}

#[tokio::test]
async fn the_printed_command_works_when_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("NOT RUN: there is no curl on this machine to paste the printed command for");
        return;
    }
    let folder = folder(&json!({}));
    let server = started(&folder);
    let printed = server.printed.clone();
    let command = &printed[printed.find("curl ").unwrap()..];
    let pasted = tokio::task::spawn_blocking({
        let command = command.to_owned();
        move || Command::new("sh").arg("-c").arg(command).output().unwrap()
    });
    let answer = String::from_utf8(pasted.await.unwrap().stdout).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with(r#"{"message":"success"}"#), "{answer}");
    mails(folder.path(), 1).await;
}

#[test]
fn bad_configuration_ends_the_start_with_one_line_that_says_what_to_change() {
    let good = folder(&json!({}));
    let weak_key = json!({"apps": [{
        "id": "a", "kind": "ServerSideApplication", "secrets": ["s3cr3t"],
        "publicKeys": [weak_public_key()],
    }]});
    let empty_secret = json!({"apps": [{
        "id": "a", "kind": "ServerSideApplication", "secrets": [""],
    }]});
    let rows = [
        ("CONFIG", "/nowhere.json".to_owned(), "CONFIG=/nowhere.json"),
        ("CONFIG", written(&good, "no.json", "{"), "CONFIG="),
        (
            "CONFIG",
            written(&good, "typo.json", r#"{"app": []}"#),
            "unknown field `app`",
        ),
        (
            "CONFIG",
            written(&good, "weak.json", &weak_key.to_string()),
            "2048",
        ),
        (
            "CONFIG",
            written(&good, "empty.json", &empty_secret.to_string()),
            "secret is empty",
        ),
        (
            "CONFIG",
            written(
                &good,
                "policy.json",
                r#"{"policy": {"perDay": 0}, "apps": []}"#,
            ),
            "codes a day",
        ),
        (
            "DATABASE_URL",
            "mysql://user:s3cr3t@localhost/x".to_owned(),
            "postgres://",
        ),
        (
            "DATABASE_URL",
            "sqlite:///dev/null/r.db".to_owned(),
            "/dev/null",
        ),
        (
            "DATABASE_URL",
            "postgres://user:s3cr3t@127.0.0.1:1/x".to_owned(),
            "127.0.0.1:1: start it",
        ),
        (
            "REDIS_URL",
            "http://:s3cr3t@localhost".to_owned(),
            "redis://",
        ),
        (
            "REDIS_URL",
            "redis://:s3cr3t@127.0.0.1:1".to_owned(),
            "REDIS_URL: the Redis server at 127.0.0.1:1",
        ),
        (
            "SMTP_URL",
            "http://user:s3cr3t@localhost".to_owned(),
            "smtps://",
        ),
        (
            "CONFIG",
            written(
                &good,
                "lease.json",
                r#"{"delivery": {"leaseSeconds": 1}, "apps": []}"#,
            ),
            "shorter than the lease",
        ),
        ("SECRET_KEY", "s3cr3t".to_owned(), "64 hex digits"),
        ("LISTEN", "nowhere".to_owned(), "LISTEN=nowhere"),
        ("MAILBOX", "/dev/null/mailbox".to_owned(), "/dev/null"),
        ("METRICS_ADDR", "nowhere".to_owned(), "METRICS_ADDR=nowhere"),
    ];
    for (variable, value, says) in rows {
        let output = command(good.path()).env(variable, &value).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{variable}={value}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(says), "{variable}={value}: {error}");
        assert_eq!(error.lines().count(), 1, "{variable}={value}: {error}");
        assert!(!error.contains("s3cr3t"), "{variable}={value}: {error}");
    }
}

fn written(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Of 1,024 bits, from the vectors.
fn weak_public_key() -> String {
    let vectors: Vec<serde_json::Value> = crate::vectors::load("signatures.json");
    let weak = vectors.iter().find(|vector| vector["name"] == "weak-key");
    weak.unwrap()["public_key_pem"].as_str().unwrap().to_owned()
}
