//! The two databases, and what runs on them.

use std::error::Error;

use tower_registration::{
    backend::{postgres::PostgresBackend, sqlite::SqliteBackend},
    nonce::ReplayGuard,
    registration::{Outbox, Registration, UserId},
};

use crate::{
    Failure,
    config::Config,
    parts::{Named, redis_guard},
    settings::{Mode, Settings},
    work::Work,
};

/// Runs the process to its end on the database that `DATABASE_URL` names.
pub(crate) async fn run(settings: Settings, config: Config) -> Result<(), Failure> {
    match settings.database_url.split_once(':') {
        Some(("sqlite", _)) => on_sqlite(settings, config).await,
        Some(("postgres" | "postgresql", _)) => on_postgres(settings, config).await,
        // It may hold a password, and is not repeated.
        _ => Err("DATABASE_URL: use `sqlite://path/to/file` or `postgres://user:password@host:5432/database`".into()),
    }
}

async fn on_sqlite(settings: Settings, config: Config) -> Result<(), Failure> {
    let backend = SqliteBackend::connect(&settings.database_url)
        .await
        .map_err(|error| Named::boxed("DATABASE_URL", error))?;
    let store = backend.registrations();
    enter_users(&config, async |user, registration| {
        store.insert_if_absent(user, registration).await
    })
    .await?;
    let guard = backend.replay_guard();
    work(settings, config, store, guard, None).await?;
    backend.close().await;
    Ok(())
}

async fn on_postgres(settings: Settings, config: Config) -> Result<(), Failure> {
    let backend = PostgresBackend::connect(&settings.database_url)
        .await
        .map_err(|error| Named::boxed("DATABASE_URL", error))?;
    let store = backend.registrations();
    enter_users(&config, async |user, registration| {
        store.insert_if_absent(user, registration).await
    })
    .await?;
    let guard = backend.replay_guard();
    work(settings, config, store, guard, Some(backend.clone())).await?;
    backend.close().await;
    Ok(())
}

/// Does what the mode says; `guard` is for whoever names no Redis.
async fn work<S: Outbox, G: ReplayGuard>(
    settings: Settings,
    config: Config,
    store: S,
    guard: G,
    heard_of_by: Option<PostgresBackend>,
) -> Result<(), Failure> {
    let mode = settings.mode;
    let redis_url = settings.redis_url.clone();
    let work = Work::new(settings, config, store, heard_of_by)?;
    match (mode, redis_url) {
        (Mode::Deliver, _) => work.deliver().await,
        (_, Some(url)) => work.serve(redis_guard(&url).await?).await,
        (_, None) => work.serve(guard).await,
    }
}

/// Enters the users who are not there yet. Who is there stays as is: the database knows better
/// than the file how far a user has come.
async fn enter_users<E: Error + 'static>(
    config: &Config,
    enter: impl AsyncFn(&UserId, &Registration) -> Result<bool, E>,
) -> Result<(), Failure> {
    for (user, registration) in config.users()? {
        enter(&user, &registration).await?;
    }
    Ok(())
}
