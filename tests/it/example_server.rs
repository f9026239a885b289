//! The example server as a program: what it prints, what it answers, and what a restart keeps.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

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

use crate::support::{Answer, CLIENT_APP, SECRET, SERVER_APP, nonce_at};

const ORG: &str = "example-org-id";
const PATIENCE: Duration = Duration::from_secs(30);

/// `cargo test` builds the examples beside the tests.
fn program(name: &str) -> PathBuf {
    let tests = env::current_exe().unwrap();
    let built = tests.parent().unwrap().parent().unwrap();
    let program = built.join("examples").join(name);
    let path = program.display();
    assert!(
        program.exists(),
        "{path} is missing: `cargo build --examples` makes it"
    );
    program
}

/// A server of its own folder.
struct Server {
    child: Child,
    address: String,
    printed: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let mut child = command(folder).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|line| {
                // The test may be gone.
                let _ = sender.send(line);
            });
        });
        let mut printed = String::new();
        while !printed.contains("\n  -d ") {
            printed += &lines.recv_timeout(PATIENCE).expect("a line of the server");
            printed += "\n";
        }
        let rest = printed.split_once("http://").unwrap().1;
        let address = rest.split_once(',').unwrap().0.to_owned();
        Self {
            child,
            address,
            printed,
        }
    }

    /// As a service manager stops it.
    fn stop(mut self) -> ExitStatus {
        let killed = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        self.child.wait().unwrap()
    }

    async fn put(&self, path: &str, username: &str) -> Answer {
        let body = json!({"username": username, "orgId": ORG});
        self.send(Method::PUT, path, &body.to_string(), &nonce_at(Utc::now()))
            .await
    }

    async fn redeem(&self, username: &str, code: &str) -> Answer {
        let body = json!({"username": username, "orgId": ORG, "registrationCode": code});
        let nonce = nonce_at(Utc::now());
        self.send(
            Method::POST,
            "/auth/registration",
            &body.to_string(),
            &nonce,
        )
        .await
    }

    async fn send(&self, method: Method, path: &str, body: &str, nonce: &str) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("x-dfns-appid", CLIENT_APP)
            .header("x-dfns-nonce", nonce)
            .body(Full::<Bytes>::from(body.to_owned()))
            .unwrap();
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        Answer::of(client.request(request).await.unwrap()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended, where the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(program("server"));
    command
        .current_dir(folder)
        .env("LISTEN", "127.0.0.1:0")
        .env("CONFIG", folder.join("server.json"))
        .env("MAILBOX", folder.join("mailbox"))
        .env(
            "DATABASE_URL",
            format!("sqlite://{}/r.db", folder.display()),
        )
        .env("SECRET_KEY", "0123456789abcdef".repeat(4))
        .env("RUST_LOG", "warn");
    command
}

fn folder(policy: &serde_json::Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "authority": "api.example.com",
        "policy": policy,
        "apps": [
            {"id": CLIENT_APP, "kind": "ClientSideApplication",
             "permissions": ["Auth:Users:Create", "Auth:Types:EndUser"]},
            {"id": SERVER_APP, "kind": "ServerSideApplication",
             "permissions": ["Auth:Users:Create", "Auth:Types:Employee"],
             "secrets": [SECRET],
             "publicKeys": [include_str!("../keys/test-only-rsa-2048.pub.pem")]},
        ],
        "users": [
            {"orgId": ORG, "username": "jane@example.co", "kind": "EndUser", "registered": false},
            {"orgId": ORG, "username": "kim@example.co", "kind": "CustomerEmployee"},
            {"orgId": ORG, "username": "john@example.co", "kind": "EndUser", "registered": true},
        ],
    });
    fs::write(folder.path().join("server.json"), config.to_string()).unwrap();
    folder
}

/// The mails in the folder once there are `count`, oldest first.
async fn mails(folder: &Path, count: usize) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut mails: Vec<_> = fs::read_dir(folder.join("mailbox"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.metadata().unwrap().modified().unwrap(), entry.path()))
            .collect();
        mails.sort();
        let texts: Vec<_> = mails
            .iter()
            .map(|(_, path)| fs::read_to_string(path).unwrap())
            .filter(|text| text.trim_end().ends_with("--"))
            .collect();
        if texts.len() >= count {
            assert_eq!(texts.len(), count, "{texts:?}");
            return texts;
        }
        assert!(Instant::now() < deadline, "{count} mails are still awaited");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The code in a mail's text.
fn code(mail: &str) -> String {
    let group = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let words = mail.split_whitespace();
    words
        .filter(|word| word.len() == 19 && word.split('-').all(group))
        .map(str::to_owned)
        .next()
        .expect("a code")
}

#[tokio::test]
async fn a_resend_kills_the_code_before_and_the_new_one_completes_the_registration() {
    let folder = folder(&json!({"cooldownSeconds": 0}));
    let server = Server::start(folder.path());
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
    let server = Server::start(folder.path());
    let body = json!({"username": "jane@example.co", "orgId": ORG}).to_string();
    let nonce = nonce_at(Utc::now());
    let first = server.send(Method::PUT, PATH, &body, &nonce).await;
    first.assert_success();
    assert!(server.stop().success());

    // What was owed when it stopped goes out now, if it had not before.
    let server = Server::start(folder.path());
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
    let server = Server::start(folder.path());
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
            .authority(authority.parse().unwrap())
            .layer(transport);
        let body = json!({"username": "kim@example.co", "orgId": ORG});
        let request = Request::put(format!("http://{}{PATH}", server.address))
            .header("content-type", "application/json")
            .body(Full::<Bytes>::from(body.to_string()))
            .unwrap();
        let response = client.oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{authority}");
    }
    let sent = mails(folder.path(), 1).await;
    assert!(sent[0].contains("To: kim@example.co"), "{}", sent[0]);
}

#[tokio::test]
async fn the_printed_command_works_when_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
        eprintln!("NOT RUN: there is no curl on this machine to paste the printed command for");
        return;
    }
    let folder = folder(&json!({}));
    let server = Server::start(folder.path());
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
            "postgres://user:s3cr3t@localhost/x".to_owned(),
            "sqlite://",
        ),
        (
            "DATABASE_URL",
            "sqlite:///dev/null/r.db".to_owned(),
            "/dev/null",
        ),
        ("SECRET_KEY", "s3cr3t".to_owned(), "64 hex digits"),
        ("LISTEN", "nowhere".to_owned(), "LISTEN=nowhere"),
        ("MAILBOX", "/dev/null/mailbox".to_owned(), "/dev/null"),
    ];
    for (variable, value, says) in rows {
        let output = command(good.path()).env(variable, &value).output().unwrap();
        assert!(!output.status.success(), "{variable}={value}");
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
