//! New registration codes.
//!
//! A resend reads the user's registration, decides, draws, digests and seals a code, and swaps the
//! registration in. Users take turns, and the clock moves by a second for each, so that every
//! resend is allowed by the default policy and every one writes.
//!
//! `sqlite_floor` is what of this is SQLite's and sqlx's: the same two statements, each by itself,
//! with the same pools and pragmas, on a file of the same users. It does less: it draws no code,
//! and writes a registration that is ready as text.

use std::cell::Cell;

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{Criterion, criterion_group, criterion_main};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower_registration::{
    backend::{
        memory::MemoryRegistrations,
        sqlite::{BUSY_TIMEOUT, DEFAULT_READERS, SqliteBackend, SqliteRegistrations},
    },
    clock::ManualClock,
    registration::{
        OrgId, Registration, RegistrationKey, RegistrationStore, Registrations, ResendOutcome,
        UserId, UserKind, Username,
    },
};

/// Enough for the default policy, under which a user gets one code in 2.4 hours for ever.
const USERS: usize = 10_000;
const SECOND: TimeDelta = TimeDelta::seconds(1);

const LOAD: &str = "\
    SELECT registration FROM tower_registration_user WHERE org_id = ?1 AND username = ?2";
const REPLACE: &str = "\
    UPDATE tower_registration_user SET version = ?4, due_at = ?5, registration = ?6 \
    WHERE org_id = ?1 AND username = ?2 AND version = ?3";

fn start() -> DateTime<Utc> {
    "2026-11-23T07:44:00Z".parse().expect("a time")
}

fn pending(user: &UserId) -> Registration {
    Registration::pending(UserKind::EndUser, user.username.as_str())
}

fn users() -> Vec<UserId> {
    let user = |number: usize| UserId {
        org_id: OrgId::new("example-org-id").expect("an id"),
        username: Username::new(&format!("user-{number:05}@example.co")).expect("a name"),
    };
    (0..USERS).map(user).collect()
}

/// Users who take turns, each a second after the one before.
struct Turns {
    users: Vec<UserId>,
    next: Cell<usize>,
}

impl Turns {
    fn new() -> Self {
        Self {
            users: users(),
            next: Cell::new(0),
        }
    }

    fn next(&self) -> (usize, &UserId) {
        let position = self.next.get();
        self.next.set((position + 1) % USERS);
        (position, &self.users[position])
    }
}

struct Ours<S> {
    registrations: Registrations<S>,
    clock: ManualClock,
    turns: Turns,
}

impl<S: RegistrationStore> Ours<S> {
    fn new(store: S, turns: Turns) -> Self {
        let clock = ManualClock::at(start());
        let key = RegistrationKey::generate().expect("randomness");
        Self {
            registrations: Registrations::new(store, key).with_clock(clock.clone()),
            clock,
            turns,
        }
    }

    async fn resend(&self) {
        let (_, user) = self.turns.next();
        self.clock.advance(SECOND);
        let outcome = self.registrations.resend(user, |_| true).await;
        let outcome = outcome.expect("an answer");
        assert!(
            matches!(outcome, ResendOutcome::Issued { .. }),
            "{outcome:?}"
        );
    }
}

fn in_memory() -> Ours<MemoryRegistrations> {
    let (store, turns) = (MemoryRegistrations::new(), Turns::new());
    for user in &turns.users {
        assert!(store.insert_if_absent(user, pending(user)));
    }
    Ours::new(store, turns)
}

/// A new file with all users in it.
async fn file(users: &[UserId]) -> (TempDir, SqliteBackend) {
    let directory = tempfile::tempdir().expect("a directory");
    let backend = SqliteBackend::connect(&url(&directory))
        .await
        .expect("a file");
    let store = backend.registrations();
    for user in users {
        let entered = store.insert_if_absent(user, &pending(user)).await;
        assert!(entered.expect("an answer"));
    }
    (directory, backend)
}

fn url(directory: &TempDir) -> String {
    format!("sqlite://{}/registration.db", directory.path().display())
}

async fn in_sqlite() -> (TempDir, Ours<SqliteRegistrations>) {
    let turns = Turns::new();
    let (directory, backend) = file(&turns.users).await;
    (directory, Ours::new(backend.registrations(), turns))
}

/// The statements of a resend, without its decisions.
struct Floor {
    read: SqlitePool,
    write: SqlitePool,
    turns: Turns,
    versions: Vec<Cell<i64>>,
    /// What a resend has written, as text.
    registration: String,
    now: Cell<DateTime<Utc>>,
    _directory: TempDir,
}

impl Floor {
    async fn new() -> Self {
        let turns = Turns::new();
        let (directory, backend) = file(&turns.users).await;
        let ours = Ours::new(backend.registrations(), Turns::new());
        ours.resend().await;
        let issued = ours.registrations.store().load(&turns.users[0]).await;
        let issued = issued.expect("an answer").expect("a user");
        backend.close().await;
        let signed = |version| i64::try_from(version).expect("a small version");
        let mut versions = vec![Cell::new(signed(pending(&turns.users[0]).version)); USERS];
        versions[0] = Cell::new(signed(issued.version));

        let options: SqliteConnectOptions = url(&directory).parse().expect("a URL");
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(BUSY_TIMEOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
                .connect_lazy_with(options.clone())
        };
        Self {
            read: pool(DEFAULT_READERS),
            write: pool(1),
            turns,
            versions,
            registration: serde_json::to_string(&issued).expect("JSON"),
            now: Cell::new(start()),
            _directory: directory,
        }
    }

    async fn resend(&self) {
        let (position, user) = self.turns.next();
        let version = &self.versions[position];
        self.now.set(self.now.get() + SECOND);
        let loaded: Option<String> = sqlx::query_scalar(LOAD)
            .bind(user.org_id.as_str())
            .bind(user.username.as_str())
            .fetch_optional(&self.read)
            .await
            .expect("an answer");
        assert!(loaded.is_some());
        let replaced = sqlx::query(REPLACE)
            .bind(user.org_id.as_str())
            .bind(user.username.as_str())
            .bind(version.get())
            .bind(version.get() + 1)
            .bind(self.now.get().timestamp_micros())
            .bind(self.registration.as_str())
            .execute(&self.write)
            .await
            .expect("an answer");
        assert_eq!(replaced.rows_affected(), 1);
        version.set(version.get() + 1);
    }
}

fn resend(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let memory = in_memory();
    let (_directory, sqlite) = runtime.block_on(in_sqlite());
    let floor = runtime.block_on(Floor::new());

    let mut group = criterion.benchmark_group("resend");
    group.bench_function("memory", |bencher| {
        bencher.iter(|| runtime.block_on(memory.resend()));
    });
    group.bench_function("sqlite", |bencher| {
        bencher.iter(|| runtime.block_on(sqlite.resend()));
    });
    group.bench_function("sqlite_floor", |bencher| {
        bencher.iter(|| runtime.block_on(floor.resend()));
    });
    group.finish();
}

criterion_group!(benches, resend);
criterion_main!(benches);
