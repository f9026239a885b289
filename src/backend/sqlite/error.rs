//! What can go wrong with a database file.

use std::{error::Error, io, path::PathBuf};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why the database could not be opened, or gave no answer.
///
/// A boxed source is the driver's own error. Its type is no part of this crate's API.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// The URL names no SQLite database.
    #[error("no URL of a SQLite database: write `sqlite://data/registration.db`")]
    Url(#[source] BoxError),
    /// The directory for the file is missing and could not be made.
    #[error("the directory {} for the SQLite database could not be made: make it, or name one that this user may write to", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file could not be opened or made, or is no SQLite database.
    #[error("the SQLite database {} could not be opened for writing: give this user the right to write to it and its directory, or name another", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: BoxError,
    },
    /// The tables could not be made or brought up to date.
    #[error(
        "the tables of the SQLite database could not be made or brought up to date: name a file that is \
         this crate's own, and not of a newer version of it"
    )]
    Migrate(#[source] BoxError),
    /// A statement failed, or its connection did not come free in time.
    #[error("the SQLite database gave no answer")]
    Statement(#[source] BoxError),
    /// A row holds what is no registration.
    #[error("the SQLite database holds a registration that can't be read")]
    Unreadable(#[source] BoxError),
    /// A version that SQLite's integers can't hold.
    #[error("a registration's version is past SQLite's integers")]
    Version,
    /// As many nonces are live as the guard may hold.
    #[error("the replay guard is full: raise its capacity, or shorten the nonces' window")]
    Full,
}

impl SqliteError {
    pub(super) fn statement(error: sqlx::Error) -> Self {
        Self::Statement(error.into())
    }

    pub(super) fn unreadable(error: serde_json::Error) -> Self {
        Self::Unreadable(error.into())
    }
}
