//! Making the tables, and what is told where that can't be.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, postgres::PgPoolOptions};
use tokio::net::TcpListener;
use tower_registration::{
    backend::postgres::{ACQUIRE_TIMEOUT, PostgresBackend, PostgresError, PostgresFault},
    nonce::ClaimOutcome,
    registration::RegistrationStore,
};

use super::{claim, close, connect_at_once, enter, pending, user};
use crate::services::{Place, in_schema};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_processes_that_start_at_once_make_the_tables_once() {
    in_schema(|place| async move {
        // The second time, they are there.
        for _ in 0..2 {
            let backends = connect_at_once(&place, 10).await;
            let count = format!(
                "SELECT count(*) FROM {}.tower_registration_migration",
                place.schema
            );
            let migrations: i64 = sqlx::query_scalar(AssertSqlSafe(count))
                .fetch_one(backends[0].pool())
                .await
                .unwrap();
            assert_eq!(migrations, 1);
            close(backends).await;
        }
    })
    .await;
}

#[tokio::test]
async fn tables_of_a_newer_version_are_told() {
    in_schema(|place| async move {
        place.connect().await.close().await;
        place
            .run(
                "INSERT INTO {schema}.tower_registration_migration \
                 VALUES (9001, 'newer', now(), true, '', 0)",
            )
            .await;
        let refused = place.try_connect().await.unwrap_err();
        assert!(matches!(refused, PostgresError::Newer(9001)), "{refused:?}");
        assert!(refused.to_string().contains("9001"));
    })
    .await;
}

#[tokio::test]
async fn the_tables_stand_beside_an_embedders_own_migrations() {
    in_schema(|place| async move {
        place
            .run(
                "CREATE SCHEMA {schema}; CREATE TABLE {schema}._sqlx_migrations \
                 (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
                 installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, \
                 checksum BYTEA NOT NULL, execution_time BIGINT NOT NULL); \
                 INSERT INTO {schema}._sqlx_migrations VALUES (7, 'own', now(), true, '', 0)",
            )
            .await;
        let pool = PgPoolOptions::new().connect(&place.url).await.unwrap();
        for _ in 0..2 {
            let backend = place.settings().from_pool(pool.clone()).await.unwrap();
            let _ = backend.registrations().load(&user("nobody")).await.unwrap();
        }
        pool.close().await;
    })
    .await;
}

/// The fault that connecting fails with, and its one line.
async fn fault(place: &Place, url: &str) -> (PostgresFault, String) {
    let refused = place.settings().connect(url).await.unwrap_err();
    let line = refused.to_string();
    assert!(!line.contains('\n'), "{line}");
    let mut source: Option<&dyn std::error::Error> = Some(&refused);
    while let Some(error) = source {
        let told = format!("{error} {error:?}");
        assert!(!told.contains("s3cr3t"), "{told}");
        source = error.source();
    }
    match refused {
        PostgresError::Setup { fault, .. } => (fault, line),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_configuration_that_can_not_work_says_what_to_change() {
    in_schema(|place| async move {
        let role = place.schema.replace("test_", "role_");
        let base = place.url.split_once('@').unwrap().1.to_owned();
        place
            .run(&format!("CREATE ROLE {role} LOGIN PASSWORD 's3cr3t'"))
            .await;
        let without_rights = fault(&place, &format!("postgres://{role}:s3cr3t@{base}")).await;
        place.connect().await.close().await;
        let without_use = fault(&place, &format!("postgres://{role}:s3cr3t@{base}")).await;

        // Rights to use what is there are enough where all of it is.
        place
            .run(&format!(
                "GRANT USAGE ON SCHEMA {{schema}} TO {role}; \
                 GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {{schema}} TO {role}; \
                 GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {{schema}} TO {role}"
            ))
            .await;
        let url = format!("postgres://{role}:s3cr3t@{base}");
        let backend = place.settings().connect(&url).await.unwrap();
        assert_eq!(claim(&backend, 0).await, ClaimOutcome::Claimed);
        assert_eq!(claim(&backend, 0).await, ClaimOutcome::Replayed);
        enter(&backend, "jane", &pending()).await;
        backend.close().await;
        place.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;

        for (_, line) in [&without_rights, &without_use] {
            assert!(line.contains(&role) && line.contains(&place.schema), "{line}");
        }
        assert_eq!(without_rights.0, PostgresFault::NoRights);
        assert_eq!(without_use.0, PostgresFault::NoRights);

        let host = base.split('/').next().unwrap();
        let no_role = format!("postgres://nobody_{role}:s3cr3t@{base}");
        let no_database = format!("postgres://postgres:s3cr3t@{host}/no_such_database");
        let no_file = format!("{}?sslmode=verify-ca&sslrootcert=/no/such/file", place.url);
        let unreachable = "postgres://postgres:s3cr3t@127.0.0.1:1/test";
        for (url, expected, part) in [
            (no_role.as_str(), PostgresFault::UserRefused, "nobody_"),
            (&no_database, PostgresFault::NoDatabase, "no_such_database"),
            (unreachable, PostgresFault::Unreachable, "127.0.0.1:1"),
            (&no_file, PostgresFault::Tls, "sslrootcert"),
        ] {
            let (fault, line) = fault(&place, url).await;
            assert_eq!(fault, expected, "{line}");
            assert!(line.contains(part), "{line}");
        }
        let schema = PostgresBackend::settings().schema("pg_own");
        let refused = schema.connect(&place.url).await.unwrap_err();
        assert!(matches!(refused, PostgresError::Schema(_)), "{refused:?}");
    })
    .await;
}

/// Needs no PostgreSQL, being about there being none.
#[tokio::test]
async fn a_server_that_never_answers_is_told_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://user:s3cr3t@{}/db", silent.local_addr().unwrap());
    let place = Place {
        url: url.clone(),
        schema: "own".to_owned(),
    };
    let began = Instant::now();
    assert_eq!(fault(&place, &url).await.0, PostgresFault::Unreachable);
    let margin = Duration::from_secs(1);
    assert!(began.elapsed() < ACQUIRE_TIMEOUT + margin);
}
