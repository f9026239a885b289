//! What PostgreSQL adds to the contracts: several processes, restarts, settings, faults.

use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::{
    AssertSqlSafe, Connection, PgConnection,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::{Barrier, watch},
    time::timeout,
};
use tower_registration::{
    app::AppId,
    backend::{
        memory::MemoryMailer,
        postgres::{
            ACQUIRE_TIMEOUT, ANSWER_TIMEOUT, PostgresBackend, PostgresError, PostgresFault,
            PostgresRegistrations, PostgresReplayGuard,
        },
    },
    clock::ManualClock,
    conformance::{
        Subject, outbox,
        registration_store::{self, StoreHarness},
        replay_guard::{self, ReplayGuardHarness},
    },
    delivery::{Deliverer, Dispatcher, DispatcherLimits},
    nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
    registration::{
        Lease, OrgId, Outbox, OwedMail, Registration, RegistrationKey, RegistrationStatus,
        RegistrationStore, Registrations, ResendOutcome, UserId, UserKind, Username,
    },
};

use crate::services::{Place, in_schema};

/// A schema for each rule of a suite.
struct Harness {
    place: Place,
    schemas: Mutex<Vec<Place>>,
}

impl Harness {
    fn on(place: Place) -> Self {
        let schemas = Mutex::default();
        Self { place, schemas }
    }

    async fn two_processes(&self) -> [PostgresBackend; 2] {
        let schema = format!("test_{}", uuid::Uuid::new_v4().simple());
        let place = Place {
            schema,
            ..self.place.clone()
        };
        self.schemas.lock().unwrap().push(place.clone());
        let settings = place.settings().connections(4);
        let url = place.not_durable();
        let one = settings.clone().connect(&url).await.unwrap();
        [one, settings.connect(&url).await.unwrap()]
    }

    async fn clear(self) {
        for place in self.schemas.into_inner().unwrap() {
            place.run("DROP SCHEMA {schema} CASCADE").await;
        }
    }
}

impl ReplayGuardHarness for Harness {
    type Guard = PostgresReplayGuard;

    async fn fresh(&self) -> Subject<PostgresReplayGuard> {
        let [one, other] = self.two_processes().await;
        Subject::new(one.replay_guard()).with_second_handle(other.replay_guard())
    }

    async fn bounded(&self) -> Option<Subject<PostgresReplayGuard>> {
        let [one, _] = self.two_processes().await;
        Some(Subject::new(one.replay_guard().with_capacity(1_000)))
    }
}

impl StoreHarness for Harness {
    type Store = PostgresRegistrations;
    type Error = PostgresError;

    async fn fresh(&self) -> Subject<PostgresRegistrations> {
        let [one, other] = self.two_processes().await;
        Subject::new(one.registrations()).with_second_handle(other.registrations())
    }

    async fn enter(
        &self,
        store: &PostgresRegistrations,
        user: &UserId,
        registration: &Registration,
    ) -> Result<(), PostgresError> {
        store.insert_if_absent(user, registration).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contract_of_a_guard_is_kept() {
    in_schema(|place| async move {
        let harness = Harness::on(place);
        let kept = replay_guard::all(&harness).await;
        harness.clear().await;
        kept.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contracts_of_a_store_and_an_outbox_are_kept() {
    in_schema(|place| async move {
        let harness = Harness::on(place);
        let as_store = Box::pin(registration_store::all(&harness)).await;
        let as_outbox = Box::pin(outbox::all(&harness)).await;
        harness.clear().await;
        as_store.unwrap();
        as_outbox.unwrap();
    })
    .await;
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
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

async fn enter(backend: &PostgresBackend, name: &str, registration: &Registration) {
    let store = backend.registrations();
    let entered = store.insert_if_absent(&user(name), registration).await;
    assert!(entered.unwrap());
}

async fn try_claim(
    guard: &impl ReplayGuard<Error = PostgresError>,
    number: usize,
    now: i64,
) -> Result<ClaimOutcome, PostgresError> {
    let app = AppId::new("app").unwrap();
    let nonce = NonceId::of(&format!("nonce number {number}")).unwrap();
    guard
        .claim(Claim::new(&app, nonce, at(0), at(300), at(now)))
        .await
}

async fn claim(backend: &PostgresBackend, now: i64) -> ClaimOutcome {
    try_claim(&backend.replay_guard(), 0, now).await.unwrap()
}

/// Connects as `processes` processes would that start at the same instant.
async fn connect_at_once(place: &Place, processes: usize) -> Vec<PostgresBackend> {
    let barrier = Arc::new(Barrier::new(processes));
    let tasks: Vec<_> = (0..processes)
        .map(|_| {
            let (place, barrier) = (place.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                place.connect().await
            })
        })
        .collect();
    let mut backends = Vec::new();
    for task in tasks {
        backends.push(task.await.unwrap());
    }
    backends
}

async fn close(backends: impl IntoIterator<Item = PostgresBackend>) {
    for backend in backends {
        backend.close().await;
    }
}

/// Asks again and again until there is something, for twenty seconds at most.
async fn eventually<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), looking).await.unwrap()
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_several_processes_one_claims() {
    in_schema(|place| async move {
        let backends = connect_at_once(&place, 4).await;
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
        close(backends).await;
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

#[tokio::test]
async fn a_user_is_entered_once_and_nobody_else_is_found() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let store = backend.registrations();
        assert_eq!(store.load(&user("jane")).await.unwrap(), None);
        assert!(!store.replace(&user("jane"), 0, &pending()).await.unwrap());
        enter(&backend, "jane", &pending()).await;
        let other = pending().with_status(RegistrationStatus::Registered);
        assert!(!store.insert_if_absent(&user("jane"), &other).await.unwrap());
        assert_eq!(store.load(&user("jane")).await.unwrap(), Some(pending()));
        assert_eq!(store.load(&user("john")).await.unwrap(), None);
        backend.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_swaps_at_once_have_one_winner_for_each_version() {
    const TASKS: u64 = 100;
    in_schema(|place| async move {
        let backends = connect_at_once(&place, 2).await;
        enter(&backends[0], "jane", &pending()).await;
        let barrier = Arc::new(Barrier::new(usize::try_from(TASKS).unwrap()));
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| {
                let backend = &backends[usize::from(task % 2 == 0)];
                tokio::spawn(swap_until_won(backend.registrations(), barrier.clone()))
            })
            .collect();
        let (mut won, mut lost) = (HashSet::new(), 0);
        for task in tasks {
            let (version, losses) = task.await.unwrap();
            assert!(won.insert(version), "version {version} was won twice");
            lost += losses;
        }
        assert_eq!(won, (0..TASKS).collect());
        assert!(lost > 0, "the swaps never met: this test proved nothing");
        let stored = backends[0].registrations().load(&user("jane")).await;
        assert_eq!(stored.unwrap().unwrap().version, TASKS);
        close(backends).await;
    })
    .await;
}

/// The version that was won, and how many swaps were lost before.
async fn swap_until_won(store: PostgresRegistrations, barrier: Arc<Barrier>) -> (u64, u64) {
    let jane = user("jane");
    barrier.wait().await;
    let mut lost = 0;
    loop {
        let mut registration = store.load(&jane).await.unwrap().unwrap();
        let expected = registration.version;
        registration.version += 1;
        let swapped = store.replace(&jane, expected, &registration).await;
        if swapped.unwrap() {
            return (expected, lost);
        }
        lost += 1;
    }
}

#[tokio::test]
async fn mails_are_leased_oldest_first_up_to_the_limit_and_not_before_they_are_due() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let store = backend.registrations();
        for (name, due) in [("third", 30), ("first", 10), ("late", 41), ("second", 20)] {
            enter(&backend, name, &owing(at(due))).await;
        }
        enter(&backend, "idle", &pending()).await;

        let until = at(100);
        let names = async |now, limit| -> Vec<String> {
            let due = store.lease_due(now, until, limit).await.unwrap();
            due.iter()
                .map(|mail| mail.user.username.as_str().to_owned())
                .collect()
        };
        assert_eq!(names(at(9), 9).await, [""; 0]);
        let oldest = names(at(40), 2).await;
        assert_eq!(oldest, ["first@example.co", "second@example.co"]);
        assert_eq!(names(at(40), 2).await, ["third@example.co"]);
        assert_eq!(names(at(41) - TimeDelta::microseconds(1), 9).await, [""; 0]);
        assert_eq!(names(at(41), 9).await, ["late@example.co"]);
        let ended = names(until, 9).await.len();
        assert_eq!(ended, 4, "when leases end, mails are due again");
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_swapped_in_with_the_next_version_as_its_token() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let store = backend.registrations();
        let jane = user("jane");
        enter(&backend, "jane", &owing(at(0))).await;
        let until = at(60) + TimeDelta::microseconds(1);
        let leased = store.lease_due(at(0), until, 1).await.unwrap().remove(0);
        let token = 1;
        assert_eq!(leased.registration.lease, Some(Lease { token, until }));
        assert_eq!(leased.registration.version, token);
        let stored = store.load(&jane).await.unwrap();
        assert_eq!(stored, Some(leased.registration.clone()));
        assert!(!store.replace(&jane, 0, &pending()).await.unwrap());

        let mut settled = leased.registration;
        settled.owed = None;
        settled.lease = None;
        settled.version = 2;
        assert!(store.replace(&jane, 1, &settled).await.unwrap());
        let due = store.lease_due(at(1_000), at(2_000), 9).await.unwrap();
        assert!(due.is_empty());
        backend.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dispatchers_at_once_never_lease_one_user_twice() {
    const USERS: usize = 60;
    in_schema(|place| async move {
        let backends = connect_at_once(&place, 3).await;
        for number in 0..USERS {
            enter(&backends[0], &format!("user{number}"), &owing(at(0))).await;
        }
        let barrier = Arc::new(Barrier::new(12));
        let tasks: Vec<_> = (0..12)
            .map(|task| {
                let (store, barrier) = (backends[task % 3].registrations(), barrier.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    store.lease_due(at(0), at(60), 10).await.unwrap()
                })
            })
            .collect();
        let mut leased = HashSet::new();
        for task in tasks {
            for mail in task.await.unwrap() {
                assert!(leased.insert(mail.user), "a user was leased twice");
            }
        }
        // What one has in hand is passed over, so that one look may find less than its limit.
        let rest = backends[0].registrations();
        for mail in rest.lease_due(at(0), at(60), USERS).await.unwrap() {
            assert!(leased.insert(mail.user), "a user was leased twice");
        }
        assert_eq!(leased.len(), USERS);
        close(backends).await;
    })
    .await;
}

#[tokio::test]
async fn a_row_that_can_not_be_read_keeps_no_other_mail_from_going_out() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let store = backend.registrations();
        let names = ["text", "list", "empty", "skewed", "last", "status", "jane"];
        for (due, name) in (0..).zip(names) {
            enter(&backend, name, &owing(at(due))).await;
        }
        for set in [
            "registration = '\"text\"' WHERE username LIKE 'text%'",
            "registration = '[1]' WHERE username LIKE 'list%'",
            "registration = '{}' WHERE username LIKE 'empty%'",
            "version = 9 WHERE username LIKE 'skewed%'",
            "version = 9223372036854775807, registration = \
             jsonb_set(registration, '{version}', '9223372036854775807') \
             WHERE username LIKE 'last%'",
            "registration = jsonb_set(registration, '{status}', '\"odd\"') \
             WHERE username LIKE 'status%'",
        ] {
            let update = format!("UPDATE {{schema}}.tower_registration_user SET {set}");
            place.run(&update).await;
        }
        let unreadable = names.len() - 1;
        let none = store.lease_due(at(9), at(60), unreadable).await.unwrap();
        assert!(none.is_empty(), "{none:?}");
        let leased = store.lease_due(at(9), at(60), 3).await.unwrap();
        assert_eq!(leased.len(), 1);
        assert_eq!(leased[0].user, user("jane"));
        let broken = store.load(&user("text")).await;
        let unreadable = matches!(broken, Err(PostgresError::Unreadable(_)));
        assert!(unreadable, "{broken:?}");
        backend.close().await;
    })
    .await;
}

fn registrations<S>(store: S, clock: &ManualClock) -> Registrations<S> {
    let key = RegistrationKey::from_bytes(*b"a key for tests, of 32 bytes, ok").unwrap();
    Registrations::new(store, key).with_clock(clock.clone())
}

/// A dispatcher that looks for mails only when it is woken.
fn dispatcher(
    backend: &PostgresBackend,
    clock: &ManualClock,
    mailer: &MemoryMailer,
) -> Dispatcher<PostgresRegistrations, MemoryMailer> {
    let deliverer = Deliverer::new(
        registrations(backend.registrations(), clock),
        mailer.clone(),
    );
    let limits = DispatcherLimits {
        poll_interval: Duration::from_hours(1),
        ..DispatcherLimits::default()
    };
    Dispatcher::with_limits(deliverer, limits)
}

/// Waits for a process that listens in this place, and is not `but`; its number.
async fn listens(place: &Place, but: Option<i32>) -> i32 {
    eventually(async || {
        let mut connection = PgConnection::connect(&place.url).await.unwrap();
        let listening = "SELECT pid FROM pg_stat_activity WHERE state = 'idle' \
                         AND query LIKE 'LISTEN%' || $1 || '%' AND pid IS DISTINCT FROM $2";
        sqlx::query_scalar(listening)
            .bind(&place.schema)
            .bind(but)
            .fetch_optional(&mut connection)
            .await
            .unwrap()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_wakes_the_dispatcher_of_another_process_also_after_its_connection_was_lost() {
    in_schema(|place| async move {
        let (here, there) = (place.connect().await, place.connect().await);
        enter(&here, "jane", &pending()).await;
        let clock = ManualClock::at(at(0));
        let mailer = MemoryMailer::new();
        let dispatcher = dispatcher(&there, &clock, &mailer).start();
        let listener = there.listen(dispatcher.wake());
        let mut process = listens(&place, None).await;
        let endpoint = registrations(here.registrations(), &clock);
        for mails in 1..=4 {
            let outcome = endpoint.resend(&user("jane"), |_| true).await.unwrap();
            assert!(
                matches!(outcome, ResendOutcome::Issued { .. }),
                "{outcome:?}"
            );
            eventually(async || (mailer.sent().len() == mails).then_some(())).await;
            eventually(async || {
                let jane = endpoint.store().load(&user("jane")).await.unwrap()?;
                jane.owed.is_none().then_some(())
            })
            .await;
            clock.advance(TimeDelta::hours(1));
            if mails == 2 {
                place
                    .run(&format!("SELECT pg_terminate_backend({process})"))
                    .await;
                process = listens(&place, Some(process)).await;
            }
        }
        listener.stop().await;
        dispatcher.stop().await;
        close([here, there]).await;
    })
    .await;
}

/// The first `LISTEN` is never answered.
#[tokio::test]
async fn a_listener_that_is_not_answered_listens_again() {
    in_schema(|place| async move {
        let swallowed = Arc::new(AtomicUsize::new(0));
        let counted = swallowed.clone();
        let url = long_way(&place, Duration::ZERO, move |sent| {
            let listens = sent.windows(6).any(|word| word == b"LISTEN");
            !listens || counted.fetch_add(1, Ordering::Relaxed) > 0
        })
        .await;
        let backend = place.settings().connect(&url).await.unwrap();
        let dispatcher = dispatcher(&backend, &ManualClock::at(at(0)), &MemoryMailer::new());
        let dispatcher = dispatcher.start();
        let listener = backend.listen(dispatcher.wake());
        let _ = listens(&place, None).await;
        assert!(swallowed.load(Ordering::Relaxed) > 1);
        listener.stop().await;
        dispatcher.stop().await;
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn only_a_swap_that_owes_a_new_mail_tells_of_it_and_only_if_it_may() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let settings = place.settings().without_notifying();
        let silent = settings.connect(&place.url).await.unwrap();
        let mut heard = PgListener::connect(&place.url).await.unwrap();
        let channel = format!("tower_registration:{}", place.schema);
        heard.listen(&channel).await.unwrap();

        enter(&backend, "jane", &pending()).await;
        enter(&silent, "john", &owing(at(0))).await;
        let store = backend.registrations();
        let leased = store.lease_due(at(0), at(60), 1).await.unwrap().remove(0);
        let mut put_off = leased.registration;
        put_off.version += 1;
        put_off.lease = None;
        put_off.owed.as_mut().unwrap().attempts = 1;
        assert!(store.replace(&leased.user, 1, &put_off).await.unwrap());
        let lost = store.replace(&user("jane"), 7, &owing(at(0))).await;
        assert!(!lost.unwrap());
        place
            .run(&format!("NOTIFY \"{channel}\", 'until here'"))
            .await;
        assert_eq!(heard.recv().await.unwrap().payload(), "until here");

        let mut owing = owing(at(0));
        owing.version = 1;
        assert!(store.replace(&user("jane"), 0, &owing).await.unwrap());
        assert_eq!(heard.recv().await.unwrap().payload(), "");
        close([backend, silent]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_resends_at_once_over_several_pools_give_one_code_and_one_mail() {
    in_schema(|place| async move {
        let backends = connect_at_once(&place, 4).await;
        enter(&backends[0], "jane", &pending()).await;
        let clock = ManualClock::at(at(0));
        let mailer = MemoryMailer::new();
        let dispatchers: Vec<_> = backends
            .iter()
            .map(|backend| {
                let dispatcher = dispatcher(backend, &clock, &mailer).start();
                let listener = backend.listen(dispatcher.wake());
                (dispatcher, listener)
            })
            .collect();
        let barrier = Arc::new(Barrier::new(1_000));
        let tasks: Vec<_> = (0..1_000)
            .map(|task| {
                let endpoint = registrations(backends[task % 4].registrations(), &clock);
                let barrier = barrier.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    endpoint.resend(&user("jane"), |_| true).await.unwrap()
                })
            })
            .collect();
        let mut issued = 0;
        for task in tasks {
            let outcome = task.await.unwrap();
            issued += usize::from(matches!(outcome, ResendOutcome::Issued { .. }));
        }
        assert_eq!(issued, 1);
        eventually(async || (!mailer.sent().is_empty()).then_some(())).await;
        for (dispatcher, listener) in dispatchers {
            listener.stop().await;
            dispatcher.stop().await;
        }
        assert_eq!((mailer.sent().len(), mailer.calls()), (1, 1));
        let endpoint = registrations(backends[0].registrations(), &clock);
        let jane = endpoint.store().load(&user("jane")).await.unwrap().unwrap();
        assert_eq!((jane.generation, jane.owed), (1, None));
        close(backends).await;
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_costs_one_refusal_at_most_and_is_made_anew() {
    const CONNECTIONS: u32 = 4;
    in_schema(|place| async move {
        let url = format!("{}?application_name={}", place.url, place.schema);
        let settings = place.settings().connections(CONNECTIONS);
        let backend = settings.connect(&url).await.unwrap();
        let store = backend.registrations();
        enter(&backend, "jane", &pending()).await;
        for round in 0..3 {
            let jane = user("jane");
            let at_once = (0..CONNECTIONS).map(|_| store.load(&jane));
            for loaded in futures_util::future::join_all(at_once).await {
                let _ = loaded.unwrap();
            }
            place
                .run(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE application_name = '{}'",
                    place.schema
                ))
                .await;
            let mut refused = 0;
            for _ in 0..20 {
                refused += u32::from(store.load(&jane).await.is_err());
            }
            assert!(refused <= CONNECTIONS, "{refused} in round {round}");
            let _ = store.load(&jane).await.unwrap();
        }
        backend.close().await;
    })
    .await;
}

/// The address of the server of `place`, one in front of it, and the URL that leads there.
async fn between(place: &Place) -> (String, TcpListener, String) {
    let url = place.url.parse::<http::Uri>().unwrap();
    let server = format!("{}:{}", url.host().unwrap(), url.port_u16().unwrap_or(5432));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let authority = url.authority().unwrap().as_str();
    let user = authority
        .rsplit_once('@')
        .map_or("postgres", |(user, _)| user);
    // What passes is to be read.
    let through = format!("postgres://{user}@{here}{}?sslmode=disable", url.path());
    (server, listener, through)
}

/// Passes on between a client and the server of `place`, until told to pass on nothing more.
async fn passage(place: &Place) -> (String, watch::Sender<bool>) {
    let (server, listener, through) = between(place).await;
    let (cut, is_cut) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let (server, mut is_cut) = (server.clone(), is_cut.clone());
            tokio::spawn(async move {
                let _ = is_cut.wait_for(|cut| !cut).await;
                let mut server = TcpStream::connect(server).await.unwrap();
                // What was open when the passage was cut stays open, and silent.
                let passing = copy_bidirectional(&mut client, &mut server);
                if is_cut_before(&mut is_cut, passing).await {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (through, cut)
}

/// Whether the passage was cut before it ended by itself.
async fn is_cut_before<T>(
    is_cut: &mut watch::Receiver<bool>,
    passing: impl Future<Output = T>,
) -> bool {
    let (passing, cut) = (
        std::pin::pin!(passing),
        std::pin::pin!(is_cut.wait_for(|cut| *cut)),
    );
    matches!(
        futures_util::future::select(passing, cut).await,
        futures_util::future::Either::Right(_)
    )
}

#[tokio::test]
async fn a_server_that_is_cut_off_is_an_error_in_time_and_comes_back() {
    in_schema(|place| async move {
        let (url, cut) = passage(&place).await;
        let backend = place.settings().connections(2).connect(&url).await.unwrap();
        assert_eq!(claim(&backend, 0).await, ClaimOutcome::Claimed);
        cut.send(true).unwrap();
        let guard = backend.replay_guard();
        let began = Instant::now();
        let claims =
            futures_util::future::join_all((1..5).map(|number| try_claim(&guard, number, 0)));
        for refused in claims.await {
            assert!(refused.is_err(), "{refused:?}");
        }
        let margin = Duration::from_secs(1);
        assert!(
            began.elapsed() < ANSWER_TIMEOUT + margin,
            "{:?}",
            began.elapsed()
        );
        cut.send(false).unwrap();
        // The silent connections are given up, and their places in the pool with them.
        let known = eventually(async || try_claim(&guard, 0, 0).await.ok()).await;
        assert_eq!(known, ClaimOutcome::Replayed);
        backend.close().await;
    })
    .await;
}

/// Passes on to the server of `place`: of what a client sends, what `passes`, and that later by
/// `delay`.
async fn long_way(
    place: &Place,
    delay: Duration,
    passes: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
) -> String {
    let (server, listener, through) = between(place).await;
    let passes = Arc::new(passes);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&server).await.unwrap();
            client.set_nodelay(true).unwrap();
            let (mut asked, mut told) = client.into_split();
            let (mut answers, mut questions) = server.into_split();
            tokio::spawn(async move { copy(&mut answers, &mut told).await });
            let passes = passes.clone();
            tokio::spawn(async move {
                let mut sent = vec![0; 65_536];
                while let Ok(length @ 1..) = asked.read(&mut sent).await {
                    tokio::time::sleep(delay).await;
                    if passes(&sent[..length]) {
                        questions.write_all(&sent[..length]).await.unwrap();
                    }
                }
            });
        }
    });
    through
}

/// The empty round trip by which sqlx takes a connection back: a Sync alone.
const EMPTY_TRIP: &[u8] = b"S\0\0\0\x04";

#[tokio::test]
async fn a_connection_that_falls_silent_after_its_answer_frees_its_place_in_time() {
    in_schema(|place| async move {
        let swallowed = Arc::new(AtomicUsize::new(0));
        let counted = swallowed.clone();
        let url = long_way(&place, Duration::ZERO, move |sent| {
            let passes = sent != EMPTY_TRIP;
            counted.fetch_add(usize::from(!passes), Ordering::Relaxed);
            passes
        })
        .await;
        let backend = place.settings().connections(2).connect(&url).await.unwrap();
        let (store, jane) = (backend.registrations(), user("jane"));
        for _ in 0..2 {
            assert_eq!(store.load(&jane).await.unwrap(), None);
        }
        let began = Instant::now();
        eventually(async || (swallowed.load(Ordering::Relaxed) == 2).then_some(())).await;
        let again = eventually(async || store.load(&jane).await.ok()).await;
        assert_eq!(again, None);
        let margin = Duration::from_secs(1);
        assert!(
            began.elapsed() < ANSWER_TIMEOUT + margin,
            "{:?}",
            began.elapsed()
        );
        backend.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_costs_one_round_trip_and_a_load_with_its_swap_two() {
    const TRIP: Duration = Duration::from_millis(100);
    in_schema(|place| async move {
        let url = long_way(&place, TRIP, |_| true).await;
        let settings = place.settings().connections(2);
        let backend = settings.connect(&url).await.unwrap();
        enter(&backend, "jane", &pending()).await;
        let (store, guard) = (backend.registrations(), backend.replay_guard());
        // Connections come back after an empty round trip of their own, which nobody waits for.
        let rested = async || {
            let pool = backend.pool();
            eventually(async || (pool.num_idle() == pool.size() as usize).then_some(())).await;
        };
        let trips = |began: Instant| began.elapsed().as_millis() / TRIP.as_millis();
        let jane = user("jane");
        let (mut resend, mut claim) = (0, 0);
        // The first times, each connection prepares its statements.
        for round in 0..6 {
            rested().await;
            let began = Instant::now();
            let mut registration = store.load(&jane).await.unwrap().unwrap();
            registration.version += 1;
            let swapped = store.replace(&jane, round, &registration).await;
            assert!(swapped.unwrap());
            resend = trips(began);
            for number in [0, 1] {
                rested().await;
                let number = usize::try_from(round).unwrap() * 2 + number;
                let began = Instant::now();
                let claimed = try_claim(&guard, number, 0).await.unwrap();
                assert_eq!(claimed, ClaimOutcome::Claimed);
                claim = trips(began);
            }
        }
        assert_eq!((resend, claim), (2, 1));
        backend.close().await;
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
