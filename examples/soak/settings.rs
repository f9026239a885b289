//! What the command line says.

use std::{env, time::Duration};

use crate::Failure;

/// How much is asked of the server, and for how long.
pub(crate) struct Settings {
    pub(crate) time: Duration,
    /// Connections that are kept open and seldom used.
    pub(crate) connections: usize,
    /// Callers who ask without pause.
    pub(crate) busy: usize,
    /// Callers who send slowly, or never finish.
    pub(crate) slow: usize,
    pub(crate) users: usize,
}

impl Settings {
    pub(crate) fn read() -> Result<Self, Failure> {
        let mut settings = Self {
            time: Duration::from_secs(20),
            connections: 500,
            busy: 64,
            slow: 32,
            users: 200,
        };
        let mut arguments = env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().and_then(|value| value.parse().ok());
            let number: usize = value.ok_or_else(|| format!("{name} takes a number"))?;
            match name.as_str() {
                "--seconds" => settings.time = Duration::from_secs(number.max(1) as u64),
                "--connections" => settings.connections = number,
                "--busy" => settings.busy = number,
                "--slow" => settings.slow = number,
                "--users" => settings.users = number.max(1),
                _ => return Err(format!("{name} is unknown: see `examples/soak/main.rs`").into()),
            }
        }
        Ok(settings)
    }
}
