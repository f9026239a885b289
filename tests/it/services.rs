//! Servers that tests need beside this repository: where they are, and what is done without them.
//!
//! A test that has no server says so on standard error and passes; with `REQUIRE_SERVICES=1`, as in
//! continuous integration, it fails.

use std::{
    env,
    fmt::Display,
    future::Future,
    io::{Write, stderr},
    panic::resume_unwind,
};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tower_registration::backend::postgres::{PostgresBackend, PostgresError, PostgresSettings};

/// To be called in the place of a test whose server is missing.
#[track_caller]
pub(crate) fn missing(service: &str, why: impl Display) {
    assert!(
        env::var("REQUIRE_SERVICES").as_deref() != Ok("1"),
        "{service} is required: {why}"
    );
    // Not `eprintln`, which the test's harness would keep to itself.
    let _ = writeln!(stderr(), "NOT RUN for lack of {service}: {why}");
}

/// A schema of one test's own.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) url: String,
    pub(crate) schema: String,
}

impl Place {
    pub(crate) fn settings(&self) -> PostgresSettings {
        PostgresBackend::settings().schema(&self.schema)
    }

    pub(crate) async fn connect(&self) -> PostgresBackend {
        self.try_connect().await.unwrap()
    }

    pub(crate) async fn try_connect(&self) -> Result<PostgresBackend, PostgresError> {
        self.settings().connect(&self.url).await
    }

    /// The URL for statements whose loss with the server is of no concern.
    pub(crate) fn not_durable(&self) -> String {
        let joint = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{joint}options=-c%20synchronous_commit%3Doff", self.url)
    }

    /// Runs statements, in which `{schema}` stands for the schema, apart from all backends.
    pub(crate) async fn run(&self, sql: &str) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let sql = sql.replace("{schema}", &format!("\"{}\"", self.schema));
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
        connection.close().await.unwrap();
    }
}

/// Runs a test that needs a PostgreSQL server, in a schema that does not exist yet and is dropped
/// afterwards. `TEST_POSTGRES_URL` says where, as a user who may do anything.
pub(crate) async fn in_schema<F>(test: impl FnOnce(Place) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let url = env::var("TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/test".to_owned());
    if let Err(why) = PgConnection::connect(&url).await {
        return missing("PostgreSQL (TEST_POSTGRES_URL)", why);
    }
    let schema = format!("test_{}", uuid::Uuid::new_v4().simple());
    let place = Place { url, schema };
    let ended = tokio::spawn(test(place.clone())).await;
    place.run("DROP SCHEMA IF EXISTS {schema} CASCADE").await;
    if let Err(panic) = ended {
        resume_unwind(panic.into_panic());
    }
}
