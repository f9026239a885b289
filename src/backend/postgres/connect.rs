//! Reaching the server, and the pool of connections to it.

use std::{str::FromStr, time::Duration};

use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{
    DEFAULT_SCHEMA, PostgresError, PostgresFault, PostgresRegistrations, PostgresReplayGuard,
    ask::Ask,
    fault::Target,
    migrate::{migrate, setup},
    schema::Schema,
};

/// Longest wait for an answer, whatever has happened to the server: for a connection, and then for
/// the statement. Past it the request is refused.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for a connection: to come free, or to be made.
pub const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest that the server works at one statement (`statement_timeout`).
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(4);
/// Connections of one backend, unless set otherwise.
pub const DEFAULT_CONNECTIONS: u32 = 10;

/// A connection that has not been used for so long is asked whether it lives before it is used:
/// one more round trip where there is little to do, none where there is much, and after a restart
/// of a server no request is refused for a connection that has idled since.
const TESTED_AFTER: Duration = Duration::from_secs(1);

/// How a database is reached.
#[derive(Clone, Debug)]
#[must_use]
pub struct PostgresSettings {
    schema: String,
    connections: u32,
    notifying: bool,
}

impl PostgresSettings {
    /// The schema that the tables stand in, [`DEFAULT_SCHEMA`] by default; made where it is
    /// missing, if the user may. Tables carry the prefix `tower_registration_` in any case, so that
    /// it may be the embedder's own.
    pub fn schema(self, name: impl Into<String>) -> Self {
        Self {
            schema: name.into(),
            ..self
        }
    }

    /// Connections at most; at least 1, [`DEFAULT_CONNECTIONS`] by default.
    ///
    /// After each statement sqlx has the connection make one more, empty round trip before it
    /// serves the next. No request waits for that unless all are in use; so have twice as many as
    /// are to be busy at once.
    pub fn connections(self, connections: u32) -> Self {
        Self {
            connections: connections.max(1),
            ..self
        }
    }

    /// Tells nobody of mails, so that dispatchers of other processes find them by looking from time
    /// to time alone.
    ///
    /// All transactions of a database server that notify are committed one after the other, each
    /// with its own write to the disk. That bounds the codes made in a second to what the disk can
    /// do in a row, a few hundred on a slow one; without, PostgreSQL writes many at once.
    pub fn without_notifying(self) -> Self {
        Self {
            notifying: false,
            ..self
        }
    }

    /// Connects, and makes the tables where they are missing.
    ///
    /// `url` is as in `postgres://user:password@db.example.com:5432/registration`. TLS is used
    /// where the server has it; `?sslmode=verify-full` insists on it and on the server's name.
    /// What the URL leaves out is taken from PostgreSQL's own environment variables (`PGHOST`, …).
    ///
    /// # Errors
    ///
    /// If `url` or the schema's name is none; if the server is not reached within
    /// [`ACQUIRE_TIMEOUT`], or refuses; if the tables are not there, can't be made, or are those of
    /// a newer version. [`PostgresError::Setup`] says in one line what to change.
    pub async fn connect(self, url: &str) -> Result<PostgresBackend, PostgresError> {
        let schema = Schema::new(&self.schema)?;
        let options = options(url)?;
        let target = Target::of(&options, schema.name());
        let mut connection = reach(&options, &target).await?;
        migrate(&mut connection, &schema, &target).await?;
        // The tables are made: how this one connection ends is of no consequence.
        let _ = timeout(ACQUIRE_TIMEOUT, connection.close()).await;
        let pool = pool(self.connections).connect_lazy_with(options);
        Ok(PostgresBackend {
            pool,
            schema,
            notifying: self.notifying,
        })
    }

    /// Uses the embedder's own pool, and makes the tables where they are missing. It is a pool of
    /// sqlx 0.9, whose version is part of this crate's API.
    ///
    /// The pool's settings are kept, the number of connections among them. Its connections must
    /// be at isolation level READ COMMITTED, which is PostgreSQL's default: a replay guard refuses
    /// to work at another. Set `test_before_acquire(false)`, or each statement costs two round
    /// trips, and a `statement_timeout` of no more than [`STATEMENT_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect) that can still occur.
    pub async fn from_pool(self, pool: PgPool) -> Result<PostgresBackend, PostgresError> {
        let schema = Schema::new(&self.schema)?;
        let target = Target::of(&pool.connect_options(), schema.name());
        let mut held = match timeout(ANSWER_TIMEOUT, Ask(pool.clone()).hold()).await {
            Ok(Ok(held)) => held,
            Ok(Err(error)) => {
                return Err(setup(PostgresFault::of(&error, &target), &target, error));
            }
            Err(_) => return Err(PostgresError::TimedOut),
        };
        migrate(&mut held.0, &schema, &target).await?;
        drop(held);
        Ok(PostgresBackend {
            pool,
            schema,
            notifying: self.notifying,
        })
    }
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            schema: DEFAULT_SCHEMA.to_owned(),
            connections: DEFAULT_CONNECTIONS,
            notifying: true,
        }
    }
}

/// A database, from which the parts are taken. Clones share its connections.
#[derive(Clone, Debug)]
pub struct PostgresBackend {
    pub(super) pool: PgPool,
    pub(super) schema: Schema,
    notifying: bool,
}

impl PostgresBackend {
    /// Settings of a database to be reached.
    pub fn settings() -> PostgresSettings {
        PostgresSettings::default()
    }

    /// Connects with the default [settings](PostgresSettings::connect).
    ///
    /// # Errors
    ///
    /// Those of [`PostgresSettings::connect`].
    pub async fn connect(url: &str) -> Result<Self, PostgresError> {
        Self::settings().connect(url).await
    }

    /// Uses the embedder's own pool with the default [settings](PostgresSettings::from_pool).
    ///
    /// # Errors
    ///
    /// Those of [`PostgresSettings::from_pool`].
    pub async fn from_pool(pool: PgPool) -> Result<Self, PostgresError> {
        Self::settings().from_pool(pool).await
    }

    /// The used nonces.
    #[must_use]
    pub fn replay_guard(&self) -> PostgresReplayGuard {
        PostgresReplayGuard::new(Ask(self.pool.clone()), &self.schema)
    }

    /// The registrations.
    #[must_use]
    pub fn registrations(&self) -> PostgresRegistrations {
        PostgresRegistrations::new(Ask(self.pool.clone()), &self.schema, self.notifying)
    }

    /// The connections, for the embedder's own statements; of sqlx 0.9, as in
    /// [`from_pool`](Self::from_pool).
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Waits for what is under way, up to [`ANSWER_TIMEOUT`], and closes all connections. What uses
    /// them afterwards gets errors; what [listens](Self::listen) ends.
    pub async fn close(&self) {
        // Closed it is from the first instant; a server that is cut off can't say farewell.
        let _ = timeout(ANSWER_TIMEOUT, self.pool.close()).await;
    }
}

/// sqlx takes any scheme. And where a password's `/`, `?` or `#` is not encoded, it takes what
/// comes before for the host, and the rest for a name that errors would tell.
fn options(url: &str) -> Result<PgConnectOptions, PostgresError> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or(PostgresError::Url)?;
    let (_, after_host) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if after_host.contains('@') {
        return Err(PostgresError::Url);
    }
    let options = PgConnectOptions::from_str(url).map_err(|_| PostgresError::Url)?;
    let milliseconds = STATEMENT_TIMEOUT.as_millis().to_string();
    Ok(options.options([
        ("statement_timeout", milliseconds.as_str()),
        ("default_transaction_isolation", "read committed"),
    ]))
}

/// A connection outside of the pool, which keeps to itself why there is none.
async fn reach(options: &PgConnectOptions, target: &Target) -> Result<PgConnection, PostgresError> {
    let reached = timeout(ACQUIRE_TIMEOUT, options.connect()).await;
    reached
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map_err(|error| setup(PostgresFault::of(&error, target), target, error))
}

fn pool(connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for >= TESTED_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_url_that_sqlx_would_misread_is_refused() {
        for url in [
            "",
            "registration",
            "mysql://user@host/db",
            "postgres:",
            "postgres://user:a/b@host/db",
            "postgres://user:a?b@host/db",
            "postgres://user:a#b@host/db",
            "postgres://user@host:port/db",
            "postgres://user@host/db?sslmode=perhaps",
        ] {
            let refused = options(url).map(|options| options.get_host().to_owned());
            assert!(matches!(refused, Err(PostgresError::Url)), "{url}");
        }
        for url in [
            "postgres://user@host/db",
            "postgresql://user:a%2Fb%40@host:5433/db?sslmode=disable",
        ] {
            assert_eq!(options(url).unwrap().get_host(), "host", "{url}");
        }
    }
}
