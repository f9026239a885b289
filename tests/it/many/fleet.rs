//! Processes on one database.

use std::{env, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;
use tower_registration::backend::postgres::DEFAULT_SCHEMA;

use super::catcher::Catcher;
use crate::{
    process::{ORG, Process, command, folder},
    services::Place,
};

/// What the processes of a test have in common.
pub(super) struct Common {
    folder: TempDir,
    variables: Vec<(&'static str, String)>,
}

impl Common {
    /// A database, a mail server, and a configuration with these members.
    pub(super) fn new(database_url: &str, catcher: &Catcher, members: &Value) -> Self {
        Self {
            folder: folder(members),
            variables: vec![
                ("DATABASE_URL", database_url.to_owned()),
                ("SMTP_URL", catcher.url()),
                // What dies all around them would fill pages.
                (
                    "RUST_LOG",
                    env::var("RUST_LOG").unwrap_or_else(|_| "off".to_owned()),
                ),
            ],
        }
    }

    pub(super) fn with_redis(mut self, url: &str) -> Self {
        self.variables.push(("REDIS_URL", url.to_owned()));
        self
    }

    pub(super) fn command(&self) -> Command {
        let mut command = command(self.folder.path());
        command.envs(self.variables.iter().cloned());
        command
    }

    pub(super) fn server(&self) -> Process {
        Process::serving(&mut self.command())
    }

    pub(super) fn server_alone(&self) -> Process {
        Process::serving(self.command().arg("--no-dispatcher"))
    }

    pub(super) fn dispatcher(&self) -> Process {
        Process::delivering(&mut self.command())
    }

    /// So many servers, which start at once: on a new database, all want to make the tables.
    pub(super) fn servers(&self, count: usize) -> Vec<Process> {
        std::thread::scope(|scope| {
            let runtime = tokio::runtime::Handle::current();
            let starts: Vec<_> = (0..count)
                .map(|_| {
                    let runtime = runtime.clone();
                    scope.spawn(move || {
                        let _entered = runtime.enter();
                        self.server()
                    })
                })
                .collect();
            starts
                .into_iter()
                .map(|start| start.join().unwrap())
                .collect()
        })
    }
}

/// The URL of a database of the place's own, since the example server's schema is fixed.
pub(super) async fn database(place: &Place) -> String {
    let name = &place.schema;
    place.run(&format!("CREATE DATABASE {name}")).await;
    let (server, _) = place.url.rsplit_once('/').unwrap();
    format!("{server}/{name}")
}

pub(super) async fn drop_database(place: &Place) {
    let name = &place.schema;
    place
        .run(&format!("DROP DATABASE {name} WITH (FORCE)"))
        .await;
}

/// So many pending users, as members of a configuration.
pub(super) fn users(count: usize) -> Value {
    let users = (0..count)
        .map(|number| json!({"orgId": ORG, "username": username(number), "kind": "EndUser"}));
    users.collect()
}

pub(super) fn username(number: usize) -> String {
    format!("user{number}@example.co")
}

/// Where the example server keeps registrations.
pub(super) const SCHEMA: &str = DEFAULT_SCHEMA;
