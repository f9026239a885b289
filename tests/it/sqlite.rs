//! What SQLite adds to the contracts: restarts, several processes, settings, faults.

use std::{fs, path::Path, sync::Arc};

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{Connection, Row, SqliteConnection, SqlitePool};
use tempfile::TempDir;
use tokio::sync::Barrier;
use tower_registration::{
    app::AppId,
    backend::sqlite::{BUSY_TIMEOUT, Durability, SqliteBackend, SqliteError},
    nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
    registration::{
        OrgId, Outbox, OwedMail, Registration, RegistrationStatus, RegistrationStore, UserId,
        UserKind, Username,
    },
};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn url(directory: &Path) -> String {
    format!("sqlite://{}/data/registration.db", directory.display())
}

fn user(name: &str) -> UserId {
    UserId {
        org_id: OrgId::new("org").unwrap(),
        username: Username::new(&format!("{name}@example.co")).unwrap(),
    }
}

fn pending() -> Registration {
    Registration::pending(UserKind::EndUser, "jane@example.co")
}

/// A user whose mail is due at `next_at`.
fn owing(next_at: DateTime<Utc>) -> Registration {
    let sealed = serde_json::from_value(json!("c2VhbGVk")).unwrap();
    let mut registration = pending();
    registration.owed = Some(OwedMail {
        sealed,
        attempts: 0,
        next_at,
    });
    registration
}

/// Two connections to one new file, as two processes have them, and its directory.
pub(crate) async fn two_processes() -> (SqliteBackend, SqliteBackend, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = url(directory.path());
    let one = SqliteBackend::connect(&url).await.unwrap();
    let other = SqliteBackend::connect(&url).await.unwrap();
    (one, other, directory)
}

async fn claim(backend: &SqliteBackend, now: i64) -> ClaimOutcome {
    let app = AppId::new("app").unwrap();
    let nonce = NonceId::of("thirteen chars").unwrap();
    let claim = Claim::new(&app, nonce, at(0), at(300), at(now));
    backend.replay_guard().claim(claim).await.unwrap()
}

/// Opens one file as `processes` processes would that start at the same instant.
async fn open_at_once(directory: &Path, processes: usize) -> Vec<SqliteBackend> {
    let barrier = Arc::new(Barrier::new(processes));
    let tasks: Vec<_> = (0..processes)
        .map(|_| {
            let (url, barrier) = (url(directory), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                SqliteBackend::connect(&url).await
            })
        })
        .collect();
    let mut backends = Vec::new();
    for task in tasks {
        backends.push(task.await.unwrap().unwrap());
    }
    backends
}

#[tokio::test]
async fn what_was_claimed_and_stored_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let before = SqliteBackend::connect(&url(directory.path()))
        .await
        .unwrap();
    assert_eq!(claim(&before, 0).await, ClaimOutcome::Claimed);
    let store = before.registrations();
    assert!(
        store
            .insert_if_absent(&user("jane"), &owing(at(1)))
            .await
            .unwrap()
    );
    before.close().await;

    let after = SqliteBackend::connect(&url(directory.path()))
        .await
        .unwrap();
    assert_eq!(claim(&after, 300).await, ClaimOutcome::Replayed);
    let loaded = after.registrations().load(&user("jane")).await.unwrap();
    assert_eq!(loaded, Some(owing(at(1))));
}

#[tokio::test]
async fn what_was_forgotten_stays_unknowable_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let before = SqliteBackend::connect(&url(directory.path()))
        .await
        .unwrap();
    assert_eq!(claim(&before, 0).await, ClaimOutcome::Claimed);
    sqlx::query("DELETE FROM tower_registration_nonce")
        .execute(before.pool())
        .await
        .unwrap();
    before.close().await;

    let after = SqliteBackend::connect(&url(directory.path()))
        .await
        .unwrap();
    assert_eq!(claim(&after, 0).await, ClaimOutcome::Unknowable);
}

/// The copy of an unclosed file is what a killed process leaves to the next.
#[tokio::test]
async fn what_was_acknowledged_survives_the_death_of_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let alive = SqliteBackend::connect(&url(directory.path()))
        .await
        .unwrap();
    assert_eq!(claim(&alive, 0).await, ClaimOutcome::Claimed);

    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("data")).unwrap();
    for name in ["registration.db", "registration.db-wal"] {
        let from = directory.path().join("data").join(name);
        fs::copy(from, copy.path().join("data").join(name)).unwrap();
    }
    let heir = SqliteBackend::connect(&url(copy.path())).await.unwrap();
    assert_eq!(claim(&heir, 0).await, ClaimOutcome::Replayed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_processes_on_one_file_one_claims() {
    let directory = tempfile::tempdir().unwrap();
    let backends = open_at_once(directory.path(), 4).await;
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let backend = backends[task % 4].clone();
            tokio::spawn(async move { claim(&backend, 0).await })
        })
        .collect();
    let mut claimed = 0;
    for task in tasks {
        claimed += usize::from(task.await.unwrap() == ClaimOutcome::Claimed);
    }
    assert_eq!(claimed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_that_start_at_once_make_the_tables_once() {
    for _ in 0..5 {
        let directory = tempfile::tempdir().unwrap();
        for backend in open_at_once(directory.path(), 8).await {
            let migrations: i64 =
                sqlx::query_scalar("SELECT count(*) FROM tower_registration_migration")
                    .fetch_one(backend.pool())
                    .await
                    .unwrap();
            assert_eq!(migrations, 1);
            backend.close().await;
        }
    }
}

#[tokio::test]
async fn the_file_is_opened_with_a_log_a_timeout_and_the_durability_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let durabilities = [(Durability::ProcessDeath, 1), (Durability::PowerLoss, 2)];
    for (durability, synchronous) in durabilities {
        let settings = SqliteBackend::settings().durability(durability);
        let backend = settings.connect(&url(directory.path())).await.unwrap();
        let pragma = async |sql: &'static str| sqlx::query(sql).fetch_one(backend.pool()).await;
        let journal: String = pragma("PRAGMA journal_mode").await.unwrap().get(0);
        let timeout: i64 = pragma("PRAGMA busy_timeout").await.unwrap().get(0);
        let asked_for: i64 = pragma("PRAGMA synchronous").await.unwrap().get(0);
        assert_eq!(journal, "wal");
        assert_eq!(u128::try_from(timeout), Ok(BUSY_TIMEOUT.as_millis()));
        assert_eq!(asked_for, synchronous, "{durability:?}");
        backend.close().await;
    }
}

#[tokio::test]
async fn a_path_that_can_not_be_opened_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let in_the_way = directory.path().join("data");
    fs::write(&in_the_way, "a file where the directory should be").unwrap();
    let error = SqliteBackend::connect(&url(directory.path()))
        .await
        .unwrap_err();
    assert!(matches!(&error, SqliteError::Directory { path, .. } if *path == in_the_way));
    assert!(error.to_string().contains(in_the_way.to_str().unwrap()));

    let itself = format!("sqlite://{}", directory.path().display());
    let error = SqliteBackend::connect(&itself).await.unwrap_err();
    assert!(matches!(&error, SqliteError::Open { path, .. } if path == directory.path()));

    let error = SqliteBackend::connect(&format!("sqlite://{}", in_the_way.display()))
        .await
        .unwrap_err();
    assert!(matches!(error, SqliteError::Open { .. }), "{error:?}");

    for wrong in [
        "postgres://localhost/db",
        "registration.db",
        "sqlite://",
        "sqlite:?mode=rwc",
    ] {
        let error = SqliteBackend::connect(wrong).await.unwrap_err();
        assert!(matches!(error, SqliteError::Url(_)), "{wrong}: {error:?}");
    }

    let file = directory.path().join("read-only.db");
    fs::write(&file, "").unwrap();
    let read_only = format!("sqlite://{}?mode=ro", file.display());
    let error = SqliteBackend::connect(&read_only).await.unwrap_err();
    assert!(
        matches!(&error, SqliteError::Open { path, .. } if *path == file),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_tables_stand_beside_an_embedders_own_migrations() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("own.db");
    let pool = SqlitePool::connect(&format!("sqlite://{}?mode=rwc", path.display()))
        .await
        .unwrap();
    for sql in [
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL, \
         checksum BLOB NOT NULL, execution_time BIGINT NOT NULL)",
        "INSERT INTO _sqlx_migrations VALUES (7, 'own', '', true, x'00', 0)",
    ] {
        sqlx::query(sql).execute(&pool).await.unwrap();
    }
    for _ in 0..2 {
        let backend = SqliteBackend::from_pool(pool.clone()).await.unwrap();
        let _ = backend.registrations().load(&user("nobody")).await.unwrap();
    }
}

#[tokio::test]
async fn a_user_is_entered_once_and_nobody_else_is_found() {
    let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
    let store = backend.registrations();
    assert_eq!(store.load(&user("jane")).await.unwrap(), None);
    assert!(!store.replace(&user("jane"), 0, &pending()).await.unwrap());
    assert!(
        store
            .insert_if_absent(&user("jane"), &pending())
            .await
            .unwrap()
    );
    let other = pending().with_status(RegistrationStatus::Registered);
    assert!(!store.insert_if_absent(&user("jane"), &other).await.unwrap());
    assert_eq!(store.load(&user("jane")).await.unwrap(), Some(pending()));
    assert_eq!(store.load(&user("john")).await.unwrap(), None);
}

#[tokio::test]
async fn a_row_that_can_not_be_read_keeps_no_other_mail_from_going_out() {
    let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
    let store = backend.registrations();
    for (name, due) in [("broken", 0), ("skewed", 1), ("last", 2), ("jane", 3)] {
        store
            .insert_if_absent(&user(name), &owing(at(due)))
            .await
            .unwrap();
    }
    for sql in [
        "UPDATE tower_registration_user SET registration = '{' WHERE username LIKE 'broken%'",
        "UPDATE tower_registration_user SET version = 9 WHERE username LIKE 'skewed%'",
        "UPDATE tower_registration_user SET version = 9223372036854775807, \
         registration = json_set(registration, '$.version', 9223372036854775807) \
         WHERE username LIKE 'last%'",
    ] {
        sqlx::query(sql).execute(backend.pool()).await.unwrap();
    }
    assert!(store.lease_due(at(9), at(60), 3).await.unwrap().is_empty());
    let leased = store.lease_due(at(9), at(60), 3).await.unwrap();
    assert_eq!(leased.len(), 1);
    assert_eq!(leased[0].user, user("jane"));
    let broken = store.load(&user("broken")).await;
    assert!(
        matches!(broken, Err(SqliteError::Unreadable(_))),
        "{broken:?}"
    );
}

#[tokio::test]
async fn a_row_that_can_not_be_read_counts_as_owed_and_hides_no_age() {
    let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
    let store = backend.registrations();
    for (name, code) in [
        ("broken", "'{'"),
        (
            "odd",
            r#"json_set(registration, '$.code', json('{"issuedAt":"0 is none"}'))"#,
        ),
        (
            "number",
            r#"json_set(registration, '$.code', json('{"issuedAt":7}'))"#,
        ),
        (
            "jane",
            r#"json_set(registration, '$.code', json('{"issuedAt":"2027-01-15T08:00:01Z"}'))"#,
        ),
    ] {
        let entered = store.insert_if_absent(&user(name), &owing(at(0))).await;
        assert!(entered.unwrap());
        let set = format!("UPDATE tower_registration_user SET registration = {code}");
        let one = format!("{set} WHERE username LIKE '{name}%'");
        sqlx::query(sqlx::AssertSqlSafe(one))
            .execute(backend.pool())
            .await
            .unwrap();
    }
    let backlog = store.backlog().await.unwrap().unwrap();
    assert_eq!((backlog.owed, backlog.oldest), (4, Some(at(1))));
}

#[tokio::test]
async fn a_write_waits_for_the_write_of_another_process() {
    let directory = tempfile::tempdir().unwrap();
    let backend = SqliteBackend::connect(&url(directory.path()))
        .await
        .unwrap();
    let mut other = SqliteConnection::connect(&url(directory.path()))
        .await
        .unwrap();
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let waiting = tokio::spawn({
        let backend = backend.clone();
        async move { claim(&backend, 0).await }
    });
    // The claim has reached SQLite once its connection is taken from the pool.
    while backend.pool().num_idle() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    lock.commit().await.unwrap();
    assert_eq!(waiting.await.unwrap(), ClaimOutcome::Claimed);
}

#[tokio::test]
async fn a_closed_database_refuses() {
    let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
    let store = backend.registrations();
    backend.close().await;
    let loaded = store.load(&user("jane")).await;
    assert!(
        matches!(loaded, Err(SqliteError::Statement(_))),
        "{loaded:?}"
    );
    let app = AppId::new("app").unwrap();
    let nonce = NonceId::of("thirteen chars").unwrap();
    let claim = Claim::new(&app, nonce, at(0), at(300), at(0));
    let claimed = backend.replay_guard().claim(claim).await;
    assert!(
        matches!(claimed, Err(SqliteError::Statement(_))),
        "{claimed:?}"
    );
}
