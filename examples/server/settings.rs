//! What the environment and the command line say.

use std::env;

use crate::Failure;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Answers requests, and delivers what is owed.
    ServeAndDeliver,
    /// Answers requests; others deliver.
    Serve,
    /// Delivers what others owe.
    Deliver,
}

impl Mode {
    fn of(arguments: &[String]) -> Result<Self, Failure> {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        match arguments[..] {
            [] => Ok(Self::ServeAndDeliver),
            ["--no-dispatcher"] => Ok(Self::Serve),
            ["--dispatcher"] => Ok(Self::Deliver),
            _ => Err(
                "use no argument to serve and deliver, `--no-dispatcher` to serve alone, or \
                      `--dispatcher` to deliver alone"
                    .into(),
            ),
        }
    }

    pub(crate) fn delivers(self) -> bool {
        self != Self::Serve
    }
}

/// The environment's variables, an empty one counting as absent, and the mode.
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    pub(crate) listen: String,
    pub(crate) config: String,
    pub(crate) database_url: String,
    pub(crate) redis_url: Option<String>,
    pub(crate) smtp_url: Option<String>,
    pub(crate) mailbox: String,
    pub(crate) secret_key: Option<String>,
    pub(crate) metrics_addr: Option<String>,
    pub(crate) log: String,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, Failure> {
        let arguments: Vec<_> = env::args().skip(1).collect();
        Ok(Self {
            mode: Mode::of(&arguments)?,
            listen: or("LISTEN", "127.0.0.1:3000"),
            config: or("CONFIG", "examples/server.json"),
            database_url: or("DATABASE_URL", "sqlite://target/server/registration.db"),
            redis_url: given("REDIS_URL"),
            smtp_url: given("SMTP_URL"),
            mailbox: or("MAILBOX", "target/server/mailbox"),
            secret_key: given("SECRET_KEY"),
            metrics_addr: given("METRICS_ADDR"),
            log: or("RUST_LOG", "info"),
        })
    }
}

fn given(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn or(name: &str, default: &str) -> String {
    given(name).unwrap_or_else(|| default.to_owned())
}
