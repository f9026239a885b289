//! What can go wrong with a database server.

use std::error::Error;

use super::PostgresFault;

type BoxError = Box<dyn Error + Send + Sync>;

/// Why the database could not be used, or gave no answer. No text of it, nor of its sources, holds
/// a password.
///
/// A boxed source is the driver's own error. Its type is no part of this crate's API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// The URL names no PostgreSQL database. It is not told which, since it may hold a password.
    #[error(
        "no URL of a PostgreSQL database: write `postgres://user:password@host:5432/database`; in a password, percent-encode `/`, `?`, `#` and `@`"
    )]
    Url,
    /// The name can't be a schema's.
    #[error(
        "`{0}` can't name a schema: use up to 40 ASCII letters, digits, `_` and `-`, the first no digit, and not `pg_…`"
    )]
    Schema(String),
    /// The server, the database or the rights in it are not as the configuration has them.
    #[error("{advice}")]
    Setup {
        /// What is wrong.
        fault: PostgresFault,
        /// One line: what is wrong, and what to change.
        advice: String,
        /// What PostgreSQL or sqlx says.
        source: BoxError,
    },
    /// The tables are those of a newer version of this crate.
    #[error(
        "the tables are at version {0}, which this version of the crate does not know: run the newer one"
    )]
    Newer(i64),
    /// A statement failed, or no connection came free in time.
    #[error("the PostgreSQL database gave no answer")]
    Statement(#[source] BoxError),
    /// No answer within [`ANSWER_TIMEOUT`](super::ANSWER_TIMEOUT).
    #[error("the PostgreSQL database gave no answer in time")]
    TimedOut,
    /// A row holds what is no registration.
    #[error("the PostgreSQL database holds a registration that can't be read")]
    Unreadable(#[source] BoxError),
    /// A version that PostgreSQL's integers can't hold.
    #[error("a registration's version is past PostgreSQL's integers")]
    Version,
    /// As many nonces are live as the guard may hold.
    #[error("the replay guard is full: raise its capacity, or shorten the nonces' window")]
    Full,
}

impl PostgresError {
    pub(super) fn statement(error: sqlx::Error) -> Self {
        Self::Statement(error.into())
    }

    pub(super) fn unreadable(error: serde_json::Error) -> Self {
        Self::Unreadable(error.into())
    }
}
