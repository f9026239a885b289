//! The folder that the server runs in: its configuration, and the mails that it sent.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde_json::json;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

pub(crate) const AUTHORITY: &str = "api.example.com";
pub(crate) const CLIENT_SIDE: &str = "312CE25E-A112-4D45-9965-6175E7C568DD";
pub(crate) const SERVER_SIDE: &str = "495C1CF8-673A-499C-A1F7-CFD32B60E726";
pub(crate) const SECRET: &str = "soak-only-86a2d1c4-1f0e-4f53-9c0b-6b7f8a3d5e21";
pub(crate) const ORG: &str = "example-org-id";
/// How old a nonce may be: short enough that ten minutes see the whole window pass several times,
/// long enough to outlast a stop and a start.
pub(crate) const NONCE_AGE: Duration = Duration::from_mins(2);
/// A user gets no second code within it.
pub(crate) const COOLDOWN: Duration = Duration::from_secs(20);
/// No mail for so long, and none is on its way.
const QUIET: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn username(number: usize) -> String {
    format!("user{number}@example.co")
}

pub(crate) struct Place(TempDir);

/// A mail that was sent.
pub(crate) struct Mail {
    at: SystemTime,
    /// The same for every sending of one code.
    pub(crate) id: String,
    pub(crate) code: String,
}

impl Place {
    pub(crate) fn new(users: usize) -> io::Result<Self> {
        let place = Self(tempfile::tempdir()?);
        let users = (0..users)
            .map(|user| json!({"orgId": ORG, "username": username(user), "kind": "EndUser"}));
        let permissions = ["Auth:Users:Create", "Auth:Types:EndUser"];
        let config = json!({
            "authority": AUTHORITY,
            "policy": {
                "cooldownSeconds": COOLDOWN.as_secs(), "perHour": 1_000, "perDay": 10_000,
            },
            "nonce": {"maxAgeSeconds": NONCE_AGE.as_secs()},
            "apps": [
                {"id": CLIENT_SIDE, "kind": "ClientSideApplication", "permissions": permissions},
                {"id": SERVER_SIDE, "kind": "ServerSideApplication", "permissions": permissions,
                 "secrets": [SECRET],
                 "publicKeys": [
                    include_str!("../../tests/keys/test-only-ed25519.pub.pem"),
                    include_str!("../../tests/keys/test-only-p256.pub.pem"),
                    include_str!("../../tests/keys/test-only-rsa-2048.pub.pem"),
                 ]},
            ],
            "users": users.collect::<Vec<_>>(),
        });
        fs::write(place.path().join("server.json"), config.to_string())?;
        Ok(place)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn mailbox(&self) -> PathBuf {
        self.path().join("mailbox")
    }

    /// Where the servers log to.
    pub(crate) fn log(&self) -> PathBuf {
        self.path().join("log")
    }

    /// Waits until no more mails come.
    pub(crate) async fn falls_quiet(&self) -> io::Result<()> {
        let begun = Instant::now();
        let (mut count, mut since) = (usize::MAX, begun);
        while since.elapsed() < QUIET && begun.elapsed() < PATIENCE {
            let now = fs::read_dir(self.mailbox()).map_or(0, Iterator::count);
            if now != count {
                (count, since) = (now, Instant::now());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// The mails by receiver, the oldest first.
    pub(crate) fn mails(&self) -> io::Result<BTreeMap<String, Vec<Mail>>> {
        let mut mails: BTreeMap<String, Vec<Mail>> = BTreeMap::new();
        for entry in fs::read_dir(self.mailbox())? {
            let entry = entry?;
            let text = fs::read_to_string(entry.path())?;
            let header = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_default().trim().to_owned()
            };
            mails.entry(header("To:")).or_default().push(Mail {
                at: entry.metadata()?.modified()?,
                id: header("Message-ID:"),
                code: code(&text).unwrap_or_default(),
            });
        }
        for mails in mails.values_mut() {
            mails.sort_by_key(|mail| mail.at);
        }
        Ok(mails)
    }
}

fn code(mail: &str) -> Option<String> {
    let group = |text: &str| text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    let mut words = mail.split_whitespace();
    words
        .find(|word| word.len() == 19 && word.split('-').all(group))
        .map(str::to_owned)
}
