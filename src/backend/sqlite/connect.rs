//! Opening the file, and bringing its tables up to date.

use std::{error::Error, fs, path::Path, str::FromStr, time::Duration};

use sqlx::{
    SqliteConnection, SqlitePool,
    migrate::{Migrate, MigrateError},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::time::{Instant, sleep};

use super::{SqliteError, SqliteRegistrations, SqliteReplayGuard};

/// How long a statement waits for a write of another process, and for its own turn.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read at once, unless set otherwise.
pub const DEFAULT_READERS: u32 = 4;

/// Of this crate alone, so that an embedder's own migrations are not taken for unknown ones.
const MIGRATIONS: &str = "tower_registration_migration";
const EXPECTED_URL: &str = "`sqlite:` and a file's name are expected";
/// Pause before the next try to open a file that another process is opening at the same time.
const OPEN_AGAIN: Duration = Duration::from_millis(20);

/// What survives a loss of power. What a process acknowledged survives its death either way, since
/// the operating system has it by then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// After a loss of power, the last writes may be gone, and with them claims of nonces that are
    /// fresh still, and resends. The file stays whole. SQLite's `synchronous = NORMAL`: no write
    /// waits for the disk. The default, since nonces outlast few reboots.
    #[default]
    ProcessDeath,
    /// Every acknowledged write is on the disk. SQLite's `synchronous = FULL`: each one waits for
    /// the disk, a millisecond or more.
    PowerLoss,
}

/// How a file is opened.
#[derive(Clone, Debug)]
#[must_use]
pub struct SqliteSettings {
    durability: Durability,
    readers: u32,
}

impl SqliteSettings {
    /// What survives a loss of power; [`Durability::ProcessDeath`] by default.
    pub fn durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    /// Connections that read at once; at least 1, [`DEFAULT_READERS`] by default.
    pub fn readers(self, connections: u32) -> Self {
        Self {
            readers: connections.max(1),
            ..self
        }
    }

    /// Opens the database, making what is missing: the file, its directory, the tables.
    ///
    /// `url` is as in `sqlite://data/registration.db` or `sqlite:///var/lib/registration.db`.
    /// `sqlite::memory:` is a database that ends with the backend, for tests.
    ///
    /// # Errors
    ///
    /// If `url` is none, the directory can't be made, the file can't be opened for writing within
    /// [`BUSY_TIMEOUT`], or its tables are not those of this version of the crate.
    pub async fn connect(self, url: &str) -> Result<SqliteBackend, SqliteError> {
        let in_memory = is_in_memory(url)?;
        let options = SqliteConnectOptions::from_str(url)
            .map_err(|error| SqliteError::Url(error.into()))?
            .create_if_missing(!in_memory)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(match self.durability {
                Durability::ProcessDeath => SqliteSynchronous::Normal,
                Durability::PowerLoss => SqliteSynchronous::Full,
            })
            .busy_timeout(BUSY_TIMEOUT);
        if !in_memory {
            make_directory_of(options.get_filename())?;
        }
        let write = open(pool(1), &options).await?;
        migrate(&write).await.map_err(|error| match error {
            SqliteError::Statement(source) => unopened(&options, source),
            other => other,
        })?;
        let read = if in_memory {
            write.clone()
        } else {
            pool(self.readers).connect_lazy_with(options)
        };
        Ok(SqliteBackend { write, read })
    }
}

impl Default for SqliteSettings {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            readers: DEFAULT_READERS,
        }
    }
}

/// An open database, from which the parts are taken. Clones share its connections.
#[derive(Clone, Debug)]
pub struct SqliteBackend {
    write: SqlitePool,
    read: SqlitePool,
}

impl SqliteBackend {
    /// Settings of a database to be opened.
    pub fn settings() -> SqliteSettings {
        SqliteSettings::default()
    }

    /// Opens the database with the default [settings](SqliteSettings::connect).
    ///
    /// # Errors
    ///
    /// Those of [`SqliteSettings::connect`].
    pub async fn connect(url: &str) -> Result<Self, SqliteError> {
        Self::settings().connect(url).await
    }

    /// Uses the embedder's own pool for reading and writing, and makes the tables in it. It is a pool
    /// of sqlx 0.9, whose version is part of this crate's API.
    ///
    /// The pool's settings are kept. Set `journal_mode` to WAL and a busy timeout; several
    /// connections that write wait for one another by polling, which is slower than the one that
    /// [`connect`](Self::connect) queues on.
    ///
    /// # Errors
    ///
    /// If the tables can't be made or brought up to date.
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, SqliteError> {
        migrate(&pool).await?;
        Ok(Self {
            read: pool.clone(),
            write: pool,
        })
    }

    /// The used nonces.
    #[must_use]
    pub fn replay_guard(&self) -> SqliteReplayGuard {
        SqliteReplayGuard::new(self.write.clone())
    }

    /// The registrations.
    #[must_use]
    pub fn registrations(&self) -> SqliteRegistrations {
        SqliteRegistrations::new(self.write.clone(), self.read.clone())
    }

    /// The pool that writes, for the embedder's own statements; of sqlx 0.9, as in
    /// [`from_pool`](Self::from_pool).
    #[must_use]
    pub fn pool(&self) -> &SqlitePool {
        &self.write
    }

    /// Waits for what is under way, then closes all connections. What uses them afterwards gets
    /// errors.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// Connections stay open, so that their prepared statements stay prepared (and a database in
/// memory stays at all), and are not tested before use: there is no server that could have gone.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(BUSY_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// sqlx takes whatever does not begin with `sqlite:` for a file's name, and an empty name for a
/// file that ends with its connection; both are mistakes here.
fn is_in_memory(url: &str) -> Result<bool, SqliteError> {
    let database = url
        .strip_prefix("sqlite:")
        .map(|rest| rest.trim_start_matches("//"))
        .filter(|database| !database.is_empty() && !database.starts_with('?'))
        .ok_or_else(|| SqliteError::Url(EXPECTED_URL.into()))?;
    let (name, parameters) = database.split_once('?').unwrap_or((database, ""));
    Ok(name == ":memory:" || parameters.split('&').any(|set| set == "mode=memory"))
}

fn make_directory_of(file: &Path) -> Result<(), SqliteError> {
    match file.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => fs::create_dir_all(directory)
            .map_err(|source| SqliteError::Directory {
                path: directory.to_owned(),
                source,
            }),
        _ => Ok(()),
    }
}

/// Switching a new file to its write-ahead log needs it alone, and SQLite does not wait for that
/// by itself. So whoever meets another process there comes again.
async fn open(
    pool: SqlitePoolOptions,
    options: &SqliteConnectOptions,
) -> Result<SqlitePool, SqliteError> {
    let give_up = Instant::now() + BUSY_TIMEOUT;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && Instant::now() < give_up => sleep(OPEN_AGAIN).await,
            opened => return opened.map_err(|source| unopened(options, source)),
        }
    }
}

fn unopened(
    options: &SqliteConnectOptions,
    source: impl Into<Box<dyn Error + Send + Sync>>,
) -> SqliteError {
    SqliteError::Open {
        path: options.get_filename().to_owned(),
        source: source.into(),
    }
}

/// `SQLITE_BUSY` or one of its extended codes, which keep it in the low byte.
fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: u32 = 5;
    error
        .as_database_error()
        .and_then(|error| error.code()?.parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == SQLITE_BUSY)
}

/// One write transaction around all of it: sqlx's own lock is empty for SQLite, and two processes
/// that start at once would both make the tables.
async fn migrate(pool: &SqlitePool) -> Result<(), SqliteError> {
    let begun = pool.begin_with("BEGIN IMMEDIATE").await;
    let mut transaction = begun.map_err(SqliteError::statement)?;
    apply_missing(&mut transaction)
        .await
        .map_err(|error| SqliteError::Migrate(error.into()))?;
    transaction.commit().await.map_err(SqliteError::statement)
}

/// What sqlx's `Migrator::run` does, whose future the compiler can't tell to be `Send` when it is
/// given a connection.
async fn apply_missing(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let migrator = sqlx::migrate!("src/backend/migrations/sqlite");
    connection.ensure_migrations_table(MIGRATIONS).await?;
    let mut applied = connection.list_applied_migrations(MIGRATIONS).await?;
    for migration in migrator.iter() {
        match applied
            .extract_if(.., |a| a.version == migration.version)
            .next()
        {
            None => drop(connection.apply(MIGRATIONS, migration).await?),
            Some(known) if known.checksum == migration.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(migration.version)),
        }
    }
    match applied.first() {
        Some(unknown) => Err(MigrateError::VersionMissing(unknown.version)),
        None => Ok(()),
    }
}
