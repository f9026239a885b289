//! The example server as processes of a test's own, and requests to them.

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
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower_registration::registration::PATH;

use crate::support::{Answer, CLIENT_APP, SECRET, SERVER_APP, nonce_at};

pub(crate) const ORG: &str = "example-org-id";
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
const REDEEM_PATH: &str = "/auth/registration";

/// `cargo test` builds the examples beside the tests.
pub(crate) fn program(name: &str) -> PathBuf {
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

/// The example server on a folder's files, but for what a test sets otherwise.
pub(crate) fn command(folder: &Path) -> Command {
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
        .env("SECRET_KEY", KEY)
        .env("RUST_LOG", "warn")
        .env_remove("METRICS_ADDR")
        .env_remove("REDIS_URL")
        .env_remove("SMTP_URL");
    command
}

/// A folder with a configuration of one application of each sort, and these further members.
pub(crate) fn folder(members: &Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut config = json!({
        "authority": "api.example.com",
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
    for (name, value) in members.as_object().unwrap() {
        config[name] = value.clone();
    }
    fs::write(folder.path().join("server.json"), config.to_string()).unwrap();
    folder
}

/// A process that has started. Dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    address: String,
    pub(crate) printed: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Process {
    /// A process that serves, once it has printed all that it prints.
    pub(crate) fn serving(command: &mut Command) -> Self {
        let mut process = Self::start(command, "\n  -d ");
        let rest = process.printed.split_once("http://").unwrap().1;
        process.address = rest.split_once(',').unwrap().0.to_owned();
        process
    }

    /// A process that delivers alone.
    pub(crate) fn delivering(command: &mut Command) -> Self {
        Self::start(command.arg("--dispatcher"), "delivering, ")
    }

    /// A process that has printed its last line.
    pub(crate) fn start(command: &mut Command, last: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).for_each(|line| {
                // The test may be gone.
                let _ = sender.send(line);
            });
        });
        let mut printed = String::new();
        while !printed.contains(last) {
            printed += &lines.recv_timeout(PATIENCE).expect("a line of the server");
            printed += "\n";
        }
        Self {
            child,
            address: String::new(),
            printed,
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// As a service manager stops it.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.terminate();
        self.child.wait().unwrap()
    }

    /// Asks it to stop, and does not wait.
    pub(crate) fn terminate(&self) {
        let killed = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
    }

    /// Without a word, as `kill -9` or a machine that goes.
    pub(crate) fn kill(&mut self) {
        // Already ended, where the test stopped it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn peer(&self) -> Peer {
        Peer {
            address: self.address.clone(),
            client: self.client.clone(),
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn put(&self, path: &str, username: &str) -> Answer {
        let nonce = nonce_at(Utc::now());
        self.send(Method::PUT, path, &body(username), &nonce).await
    }

    pub(crate) async fn redeem(&self, username: &str, code: &str) -> Answer {
        self.peer().redeem(username, code).await
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: &str, nonce: &str) -> Answer {
        self.peer().send(method, path, body, nonce).await.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a process answers; it may be dead.
#[derive(Clone)]
pub(crate) struct Peer {
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Peer {
    /// Asks for a new code, with this nonce. The error says that no answer came.
    pub(crate) async fn resend(&self, username: &str, nonce: &str) -> Result<Answer, String> {
        self.send(Method::PUT, PATH, &body(username), nonce).await
    }

    pub(crate) async fn redeem(&self, username: &str, code: &str) -> Answer {
        let body = json!({"username": username, "orgId": ORG, "registrationCode": code});
        let nonce = nonce_at(Utc::now());
        self.send(Method::POST, REDEEM_PATH, &body.to_string(), &nonce)
            .await
            .unwrap()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &str,
        nonce: &str,
    ) -> Result<Answer, String> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.address))
            .header("content-type", "application/json")
            .header("x-dfns-appid", CLIENT_APP)
            .header("x-dfns-nonce", nonce)
            .body(Full::<Bytes>::from(body.to_owned()))
            .unwrap();
        let answer = self.client.request(request).await;
        Answer::try_of(answer.map_err(|error| error.to_string())?).await
    }
}

fn body(username: &str) -> String {
    json!({"username": username, "orgId": ORG}).to_string()
}

/// The mails in the folder once there are `count`, oldest first.
pub(crate) async fn mails(folder: &Path, count: usize) -> Vec<String> {
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
pub(crate) fn code(mail: &str) -> String {
    let group = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let words = mail.split_whitespace();
    words
        .filter(|word| word.len() == 19 && word.split('-').all(group))
        .map(str::to_owned)
        .next()
        .expect("a code")
}
