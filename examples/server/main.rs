//! The endpoint, end to end: axum, and by default SQLite in a file and mails as `.eml` files.
//!
//! `cargo run --example server` prints its address and a `curl` line to paste. `examples/server.json`
//! says which applications and users there are; the environment says what it runs on, so that one
//! machine and many differ by configuration alone:
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `LISTEN` | `127.0.0.1:3000` | address to listen on |
//! | `CONFIG` | `examples/server.json` | applications and users |
//! | `DATABASE_URL` | `sqlite://target/server/registration.db` | `sqlite:` or `postgres:`; tables are made and brought up to date |
//! | `REDIS_URL` | none: used nonces are in the database | `redis://user:password@host:6379/0` |
//! | `SMTP_URL` | none: mails are `.eml` files in `MAILBOX` | `smtp://…` or `smtps://user:password@host:465` |
//! | `MAILBOX` | `target/server/mailbox` | folder of the `.eml` files |
//! | `SECRET_KEY` | made once, kept in `target/server/secret.key` | 32 bytes in hex; the same for all processes on one database |
//! | `METRICS_ADDR` | none: nothing is measured | address of a page for Prometheus, `/metrics`, such as `127.0.0.1:9464`; for operators alone |
//! | `RUST_LOG` | `info` | filter of the log on standard error |
//!
//! A process serves, and delivers the mails that it and others owe. With `--no-dispatcher` it only
//! serves, with `--dispatcher` it only delivers. Any number of each may run on one `PostgreSQL`.
//!
//! What is wrong with the configuration ends the start, with one line on standard error. SIGTERM
//! and SIGINT end a process cleanly: what was accepted is answered, what is owed stays owed.

mod config;
mod database;
mod key;
mod metrics;
mod parts;
mod routes;
mod settings;
mod work;

use std::{error::Error, process::ExitCode};

use settings::Settings;

type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("server: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let settings = Settings::read()?;
    let config = config::Config::read(&settings.config)?;
    database::run(settings, config).await
}

/// An error and what is behind it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Some repeat what is behind them.
        if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line.replace('\n', " ")
}
