//! Making the tables, and bringing them up to date.

use std::{error::Error, time::Duration};

use sqlx::{
    Connection, PgConnection,
    migrate::{Migrate, MigrateError, Migration},
};
use tokio::time::timeout;

use super::{
    PostgresError, PostgresFault,
    fault::{Advice, Target},
    schema::Schema,
};

/// How long tables may take to be made or brought up to date, waiting for another process that is
/// at it included.
pub const MIGRATION_TIMEOUT: Duration = Duration::from_mins(1);

/// Of this crate alone, so that an embedder's own migrations are not taken for unknown ones.
const MIGRATIONS: &str = "{schema}.tower_registration_migration";
/// A snapshot for each statement, so that one that waited for the lock sees what it waited for.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// Two schemas share a lock where their names share a digest, and then wait for one another.
const LOCK: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('tower_registration migrates ' || $1, 0))";
const IS_SCHEMA: &str = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
const IS_TABLE: &str = "SELECT to_regclass($1) IS NOT NULL";

/// One transaction under one lock around all of it, so that of several processes that start at
/// once, one makes the tables and the rest find them made. Where all is there, nothing is asked of
/// the user but to read: a process may run with fewer rights than the one that migrates.
pub(super) async fn migrate(
    connection: &mut PgConnection,
    schema: &Schema,
    target: &Target,
) -> Result<(), PostgresError> {
    match timeout(MIGRATION_TIMEOUT, apply(connection, schema)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(MigrateError::VersionMissing(newer))) => Err(PostgresError::Newer(newer)),
        Ok(Err(error)) => Err(setup(fault_of(&error, target), target, error)),
        Err(_) => Err(PostgresError::TimedOut),
    }
}

pub(super) fn setup(
    fault: PostgresFault,
    target: &Target,
    source: impl Error + Send + Sync + 'static,
) -> PostgresError {
    PostgresError::Setup {
        fault,
        advice: Advice(fault, target).to_string(),
        source: source.into(),
    }
}

fn fault_of(error: &MigrateError, target: &Target) -> PostgresFault {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            PostgresFault::of(error, target)
        }
        _ => PostgresFault::Other,
    }
}

async fn apply(connection: &mut PgConnection, schema: &Schema) -> Result<(), MigrateError> {
    let mut transaction = connection.begin_with(BEGIN).await?;
    let milliseconds = MIGRATION_TIMEOUT.as_millis();
    let limit = format!("SET LOCAL statement_timeout = {milliseconds}");
    sqlx::query(schema.sql(&limit))
        .execute(&mut *transaction)
        .await?;
    sqlx::query(LOCK)
        .bind(schema.name())
        .execute(&mut *transaction)
        .await?;
    make_schema(&mut transaction, schema).await?;
    apply_missing(&mut transaction, schema).await?;
    transaction.commit().await?;
    Ok(())
}

/// `IF NOT EXISTS` would ask for the right to make it even where it exists.
async fn make_schema(connection: &mut PgConnection, schema: &Schema) -> Result<(), MigrateError> {
    let exists: bool = sqlx::query_scalar(IS_SCHEMA)
        .bind(schema.name())
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        let create = schema.sql("CREATE SCHEMA {schema}");
        sqlx::query(create).execute(connection).await?;
    }
    Ok(())
}

/// What sqlx's `Migrator::run` does, for a schema that only the embedder knows.
async fn apply_missing(connection: &mut PgConnection, schema: &Schema) -> Result<(), MigrateError> {
    let migrator = sqlx::migrate!("src/backend/migrations/postgres");
    let table = schema.sql(MIGRATIONS);
    let exists: bool = sqlx::query_scalar(IS_TABLE)
        .bind(table.as_str())
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        connection.ensure_migrations_table(table.as_str()).await?;
    }
    let mut applied = connection.list_applied_migrations(table.as_str()).await?;
    for migration in migrator.iter() {
        match applied
            .extract_if(.., |a| a.version == migration.version)
            .next()
        {
            None => {
                // The checksum stays that of the file, whatever the schema.
                let in_schema = Migration {
                    sql: schema.sql(migration.sql.as_str()),
                    ..migration.clone()
                };
                connection.apply(table.as_str(), &in_schema).await?;
            }
            Some(known) if known.checksum == migration.checksum => {}
            Some(_) => return Err(MigrateError::VersionMismatch(migration.version)),
        }
    }
    match applied.first() {
        Some(unknown) => Err(MigrateError::VersionMissing(unknown.version)),
        None => Ok(()),
    }
}
