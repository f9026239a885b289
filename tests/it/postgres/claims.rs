//! Nonces: what is deleted, full, slow, or kept for the next process.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgPoolOptions};
use tower_registration::{
    app::AppId,
    backend::postgres::{ANSWER_TIMEOUT, PostgresError},
    nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
    registration::RegistrationStore,
};

use super::{at, claim, enter, owing, try_claim, user};
use crate::services::in_schema;

#[tokio::test]
async fn what_was_claimed_and_stored_is_there_for_the_next_process() {
    in_schema(|place| async move {
        let before = place.connect().await;
        assert_eq!(claim(&before, 0).await, ClaimOutcome::Claimed);
        enter(&before, "jane", &owing(at(1))).await;
        before.close().await;

        let after = place.connect().await;
        assert_eq!(claim(&after, 300).await, ClaimOutcome::Replayed);
        let loaded = after.registrations().load(&user("jane")).await.unwrap();
        assert_eq!(loaded, Some(owing(at(1))));
        after.close().await;
    })
    .await;
}

#[tokio::test]
async fn what_was_deleted_by_whomever_is_unknowable() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        assert_eq!(claim(&backend, 0).await, ClaimOutcome::Claimed);
        let guard = backend.replay_guard();
        assert_eq!(guard.live().await.unwrap(), 1);
        place
            .run("DELETE FROM {schema}.tower_registration_nonce")
            .await;
        assert_eq!(claim(&backend, 0).await, ClaimOutcome::Unknowable);
        assert_eq!(guard.live().await.unwrap(), 0);
        backend.close().await;
    })
    .await;
}

/// The claim's statement begins while the entry is there, and inserts when it is gone.
#[tokio::test]
async fn a_claim_that_a_deletion_overtakes_reopens_nothing() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        assert_eq!(claim(&backend, 0).await, ClaimOutcome::Claimed);
        let mut other = PgConnection::connect(&place.url).await.unwrap();
        let mut deletion = other.begin().await.unwrap();
        let delete = format!("DELETE FROM {}.tower_registration_nonce", place.schema);
        sqlx::query(AssertSqlSafe(delete))
            .execute(&mut *deletion)
            .await
            .unwrap();
        let waiting = tokio::spawn({
            let backend = backend.clone();
            async move { claim(&backend, 0).await }
        });
        let mut watcher = PgConnection::connect(&place.url).await.unwrap();
        let waits = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                     AND query LIKE '%' || $1 || '%tower_registration_claim%')";
        loop {
            let met: bool = sqlx::query_scalar(waits)
                .bind(&place.schema)
                .fetch_one(&mut watcher)
                .await
                .unwrap();
            if met {
                break;
            }
            assert!(!waiting.is_finished(), "the claim never met the deletion");
        }
        deletion.commit().await.unwrap();
        assert_eq!(waiting.await.unwrap(), ClaimOutcome::Unknowable);
        assert_eq!(backend.replay_guard().live().await.unwrap(), 0);
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_guard_refuses_to_work_on_snapshots_that_hide_a_deletion() {
    in_schema(|place| async move {
        let url = format!(
            "{}?options=-c%20default_transaction_isolation%3Drepeatable%5C%20read",
            place.url
        );
        let pool = PgPoolOptions::new().connect(&url).await.unwrap();
        let backend = place.settings().from_pool(pool).await.unwrap();
        let refused = try_claim(&backend.replay_guard(), 0, 0).await;
        let Err(PostgresError::Statement(error)) = refused else {
            panic!("{refused:?}");
        };
        assert!(error.to_string().contains("READ COMMITTED"), "{error}");
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_table_refuses_new_nonces_until_old_ones_pass() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let guard = backend.replay_guard().with_capacity(10);
        for number in 0..10 {
            let outcome = try_claim(&guard, number, 0).await.unwrap();
            assert_eq!(outcome, ClaimOutcome::Claimed);
        }
        let one_more = try_claim(&guard, 10, 0).await;
        assert!(matches!(one_more, Err(PostgresError::Full)), "{one_more:?}");
        let known = try_claim(&guard, 9, 0).await.unwrap();
        assert_eq!(known, ClaimOutcome::Replayed, "nothing was evicted");
        assert_eq!(guard.live().await.unwrap(), 10);

        let app = AppId::new("app").unwrap();
        let nonce = NonceId::of("thirteen chars").unwrap();
        let later = Claim::new(&app, nonce, at(400), at(700), at(400));
        assert_eq!(guard.claim(later).await.unwrap(), ClaimOutcome::Claimed);
        assert_eq!(guard.live().await.unwrap(), 1);
        backend.close().await;
    })
    .await;
}

/// Each look at the table takes three seconds and finds it full; in between, room is made.
#[tokio::test]
async fn a_slow_claim_on_a_full_table_ends_in_time() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        assert_eq!(claim(&backend, 0).await, ClaimOutcome::Claimed);
        place
            .run(
                "CREATE OR REPLACE FUNCTION {schema}.tower_registration_claim( \
                 this_key BYTEA, this_end BIGINT, this_now BIGINT, capacity BIGINT \
                 ) RETURNS INTEGER LANGUAGE plpgsql VOLATILE AS \
                 $$ BEGIN PERFORM pg_sleep(3); RETURN 4; END $$",
            )
            .await;
        let began = Instant::now();
        let late = try_claim(&backend.replay_guard(), 1, 400).await;
        assert!(matches!(late, Err(PostgresError::TimedOut)), "{late:?}");
        let margin = Duration::from_millis(900);
        assert!(began.elapsed() < ANSWER_TIMEOUT + margin);
        assert_eq!(backend.replay_guard().live().await.unwrap(), 0);
        backend.close().await;
    })
    .await;
}
