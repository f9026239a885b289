//! The parts that no database is asked for.

use std::io::IsTerminal;

use tower_registration::{
    backend::redis::RedisReplayGuard,
    mail::{DefaultTemplate, LettreMailer},
};

use crate::{Failure, settings::Settings};

const SENDER: &str = "Example <no-reply@example.com>";

pub(crate) type Mailer = LettreMailer<DefaultTemplate>;

/// Over SMTP, or into files.
pub(crate) fn mailer(settings: &Settings) -> Result<Mailer, Failure> {
    let template = DefaultTemplate::for_product("Example")?;
    match &settings.smtp_url {
        Some(url) => LettreMailer::smtp(url, SENDER, template)
            .map_err(|error| Named::boxed("SMTP_URL", error)),
        None => LettreMailer::file(&settings.mailbox, SENDER, template)
            .map_err(|error| Named::boxed("MAILBOX", error)),
    }
}

/// The guard in Redis.
pub(crate) async fn redis_guard(url: &str) -> Result<RedisReplayGuard, Failure> {
    RedisReplayGuard::connect(url)
        .await
        .map_err(|error| Named::boxed("REDIS_URL", error))
}

/// Once nothing is wrong with the configuration, so that what is wrong with it is one line.
pub(crate) fn start_log(settings: &Settings) {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(&settings.log)
        .init();
}

/// An error with the name of the variable whose value it is about.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {error}")]
pub(crate) struct Named<E: std::error::Error + 'static> {
    name: &'static str,
    #[source]
    error: E,
}

impl<E: std::error::Error + 'static> Named<E> {
    pub(crate) fn boxed(name: &'static str, error: E) -> Failure {
        Box::new(Self { name, error })
    }
}
