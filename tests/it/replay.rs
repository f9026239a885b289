//! The contract suite of a replay guard over memory and SQLite, and what these add to it.

use std::{collections::HashMap, fmt::Debug, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use tower_registration::{
    app::AppId,
    backend::{
        memory::{MemoryGuardConfigError, MemoryGuardError, MemoryReplayGuard},
        sqlite::{SqliteBackend, SqliteError, SqliteReplayGuard},
    },
    conformance::{Subject, replay_guard::ReplayGuardHarness},
    nonce::{
        Claim,
        ClaimOutcome::{self, Claimed, Replayed, Unknowable},
        NonceId, ReplayGuard,
    },
};

/// A day of 2027; every time of these tests is counted from it, in seconds.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

fn nonce(number: usize) -> NonceId {
    NonceId::of(&format!("nonce number {number}")).unwrap()
}

/// A claim of `nonce`, dated 300 s before `fresh_until`, made at `now`.
fn claim(app: &AppId, nonce: NonceId, fresh_until: DateTime<Utc>, now: DateTime<Utc>) -> Claim<'_> {
    let age = TimeDelta::seconds(300);
    let issued_at = fresh_until.checked_sub_signed(age).unwrap_or(fresh_until);
    Claim::new(app, nonce, issued_at, fresh_until, now)
}

trait Guard: ReplayGuard<Error: Debug> {}
impl<G: ReplayGuard<Error: Debug>> Guard for G {}

/// The outcome of a claim by application `app`, times in seconds.
async fn claimed(guard: &impl Guard, number: usize, fresh_until: i64, now: i64) -> ClaimOutcome {
    let app = app("app");
    let claim = claim(&app, nonce(number), at(fresh_until), at(now));
    guard.claim(claim).await.unwrap()
}

/// Claims enough other nonces at `now` for a guard that forgets from time to time to have done so.
async fn pass_time(guard: &impl Guard, now: i64) {
    for number in 0..1_000 {
        let number = 1_000_000 * usize::try_from(now).unwrap() + number;
        assert_eq!(claimed(guard, number, now + 300, now).await, Claimed);
    }
}

async fn a_passed_nonce_may_be_used_anew_in_the_end(guard: Arc<impl Guard>) {
    assert_eq!(claimed(&*guard, 1, 300, 0).await, Claimed);
    pass_time(&*guard, 400).await;
    assert_eq!(claimed(&*guard, 1, 300, 400).await, Unknowable);
    assert_eq!(claimed(&*guard, 1, 700, 400).await, Claimed);
    assert_eq!(claimed(&*guard, 1, 700, 400).await, Replayed);
}

async fn what_is_forgotten_is_unknowable(guard: Arc<impl Guard>) {
    assert_eq!(claimed(&*guard, 1, 300, 0).await, Claimed);
    pass_time(&*guard, 1_000).await;
    for (fresh_until, now) in [(300, 0), (300, 299), (300, 300), (310, 10), (600, 300)] {
        let outcome = claimed(&*guard, 1, fresh_until, now).await;
        assert_eq!(outcome, Unknowable, "until {fresh_until} at {now}");
    }
}

mod in_memory {
    use super::{Subject, bounded, memory};

    struct Memory;

    impl super::ReplayGuardHarness for Memory {
        type Guard = super::MemoryReplayGuard;

        async fn fresh(&self) -> Subject<Self::Guard> {
            Subject::new(memory())
        }

        async fn bounded(&self) -> Option<Subject<Self::Guard>> {
            Some(Subject::new(bounded(1_000, 1_000)))
        }
    }

    tower_registration::conformance_tests!(replay_guard, Memory);
}

mod in_sqlite {
    use super::{SqliteBackend, SqliteReplayGuard, Subject};

    struct Sqlite;

    impl super::ReplayGuardHarness for Sqlite {
        type Guard = SqliteReplayGuard;

        async fn fresh(&self) -> Subject<Self::Guard> {
            let (one, other, directory) = crate::sqlite::two_processes().await;
            Subject::new(one.replay_guard())
                .with_second_handle(other.replay_guard())
                .keeping(directory)
        }

        async fn bounded(&self) -> Option<Subject<Self::Guard>> {
            let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
            Some(Subject::new(backend.replay_guard().with_capacity(1_000)))
        }
    }

    tower_registration::conformance_tests!(replay_guard, Sqlite);
}

#[tokio::test]
async fn both_guards_forget_and_know_that_they_have() {
    let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
    a_passed_nonce_may_be_used_anew_in_the_end(Arc::new(memory())).await;
    a_passed_nonce_may_be_used_anew_in_the_end(Arc::new(backend.replay_guard())).await;
    let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
    what_is_forgotten_is_unknowable(Arc::new(memory())).await;
    what_is_forgotten_is_unknowable(Arc::new(backend.replay_guard())).await;
}

fn memory() -> MemoryReplayGuard {
    let builder = MemoryReplayGuard::builder().insecure_accept_before_start();
    builder.build().unwrap()
}

/// What a guard must and must not say, by a table that remembers everything.
#[derive(Default)]
struct Model {
    kept: HashMap<(usize, usize), Vec<i64>>,
    latest: i64,
}

impl Model {
    fn judge(&mut self, key: (usize, usize), fresh_until: i64, now: i64, outcome: ClaimOutcome) {
        let before = self.kept.entry(key).or_default();
        let live = before.iter().any(|until| now <= *until);
        assert!(!(live && outcome == Claimed), "accepted twice");
        if before.is_empty() && now >= self.latest && fresh_until >= now {
            assert_eq!(outcome, Claimed, "a first use was refused");
        }
        if outcome == Claimed {
            before.push(fresh_until);
        }
        self.latest = self.latest.max(now);
    }
}

#[derive(Clone, Copy, Debug)]
struct Step {
    app: usize,
    nonce: usize,
    /// From the claim to the nonce's end, in seconds.
    life: i64,
    /// How far the clock goes before the claim, in seconds.
    clock: i64,
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let clock = prop_oneof![6 => 0..20_i64, 2 => -40..0_i64, 1 => -400..400_i64];
    let life = prop_oneof![8 => 0..360_i64, 1 => -10..5_000_i64];
    let step = (0..2_usize, 0..20_usize, life, clock).prop_map(|(app, nonce, life, clock)| Step {
        app,
        nonce,
        life,
        clock,
    });
    prop::collection::vec(step, 1..most)
}

async fn agrees_with_the_model(guard: &impl Guard, steps: &[Step]) {
    let apps = [app("one"), app("two")];
    let mut model = Model::default();
    let mut now = 0;
    for step in steps {
        now += step.clock;
        let fresh_until = now + step.life;
        let claim = claim(&apps[step.app], nonce(step.nonce), at(fresh_until), at(now));
        let outcome = guard.claim(claim).await.unwrap();
        model.judge((step.app, step.nonce), fresh_until, now, outcome);
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #[test]
    fn memory_agrees_with_a_table_that_forgets_nothing(steps in steps(400)) {
        runtime().block_on(agrees_with_the_model(&memory(), &steps));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn sqlite_agrees_with_a_table_that_forgets_nothing(steps in steps(400)) {
        runtime().block_on(async {
            let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
            agrees_with_the_model(&backend.replay_guard(), &steps).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn postgres_agrees_with_a_table_that_forgets_nothing(steps in steps(400)) {
        runtime().block_on(crate::services::in_schema(|place| async move {
            let settings = place.settings();
            let backend = settings.connect(&place.not_durable()).await.unwrap();
            agrees_with_the_model(&backend.replay_guard(), &steps).await;
            backend.close().await;
        }));
    }
}

/// The outcome in memory of application `name`'s claim at second 0.
fn now_by(
    guard: &MemoryReplayGuard,
    name: &str,
    number: usize,
) -> Result<ClaimOutcome, MemoryGuardError> {
    let app = app(name);
    guard
        .claim(claim(&app, nonce(number), at(300), at(0)))
        .into_inner()
}

fn bounded(capacity: usize, share: usize) -> MemoryReplayGuard {
    MemoryReplayGuard::builder()
        .insecure_accept_before_start()
        .capacity(capacity)
        .share_per_app(share)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_full_guard_refuses_new_nonces_until_old_ones_pass() {
    let guard = bounded(10, 10);
    for number in 0..10 {
        assert_eq!(now_by(&guard, "app", number), Ok(Claimed));
    }
    assert_eq!(now_by(&guard, "app", 10), Err(MemoryGuardError::Full));
    assert_eq!(now_by(&guard, "other", 0), Err(MemoryGuardError::Full));
    assert_eq!(
        now_by(&guard, "app", 9),
        Ok(Replayed),
        "nothing was evicted"
    );
    assert_eq!(guard.live(), 10);

    assert_eq!(claimed(&guard, 10, 700, 400).await, Claimed);
    assert_eq!(guard.live(), 1);
}

#[tokio::test]
async fn one_apps_flood_leaves_room_for_another() {
    let guard = bounded(10, 6);
    for number in 0..6 {
        assert_eq!(now_by(&guard, "app", number), Ok(Claimed));
    }
    assert_eq!(now_by(&guard, "app", 6), Err(MemoryGuardError::ShareFull));
    for number in 0..4 {
        assert_eq!(now_by(&guard, "other", number), Ok(Claimed));
    }
    assert_eq!(now_by(&guard, "other", 4), Err(MemoryGuardError::Full));

    // The share comes back with what passes.
    for number in 0..6 {
        assert_eq!(claimed(&guard, number, 700, 400).await, Claimed);
    }
}

#[test]
fn a_guard_of_one_holds_one() {
    let guard = MemoryReplayGuard::builder()
        .insecure_accept_before_start()
        .capacity(1)
        .build()
        .unwrap();
    assert_eq!(now_by(&guard, "app", 0), Ok(Claimed));
    assert_eq!(now_by(&guard, "app", 1), Err(MemoryGuardError::Full));
}

#[test]
fn a_guard_that_could_hold_nothing_is_not_built() {
    let builder = MemoryReplayGuard::builder;
    assert_eq!(
        builder().capacity(0).build().unwrap_err(),
        MemoryGuardConfigError::NoCapacity
    );
    assert_eq!(
        builder().share_per_app(0).build().unwrap_err(),
        MemoryGuardConfigError::NoShare
    );
    let window = Duration::from_micros(999);
    assert_eq!(
        builder().window(window).build().unwrap_err(),
        MemoryGuardConfigError::NoWindow
    );
    assert!(builder().window(Duration::from_millis(1)).build().is_ok());
    assert!(builder().window(Duration::MAX).build().is_ok());
}

#[test]
fn a_small_guard_is_exact_and_a_sharded_one_is_full_at_90_percent_or_more() {
    for (capacity, least) in [(262_143, 262_143), (262_144, 235_930)] {
        let guard = bounded(capacity, capacity);
        let refused = (0..=capacity).find(|number| now_by(&guard, "app", *number).is_err());
        let held = refused.expect("the guard is never full");
        assert!(held >= least, "full at {held} of {capacity}");
        for number in capacity..capacity * 5 / 4 {
            let _ = now_by(&guard, "app", number);
        }
        assert!(guard.live() <= capacity);
    }
}

#[tokio::test]
async fn nonces_dated_before_the_start_are_unknowable() {
    let start = at(0) + TimeDelta::milliseconds(500);
    let outcome = |guard: MemoryReplayGuard, issued_at| {
        let app = app("app");
        let claim = Claim::new(&app, nonce(1), issued_at, at(300), at(1));
        guard.claim(claim).into_inner().unwrap()
    };
    let guard = || MemoryReplayGuard::builder().started_at(start);
    let before = start - TimeDelta::microseconds(1);
    assert_eq!(outcome(guard().build().unwrap(), before), Unknowable);
    assert_eq!(outcome(guard().build().unwrap(), start), Claimed);

    let margin = Duration::from_mins(1);
    let with_margin = || guard().start_margin(margin).build().unwrap();
    assert_eq!(outcome(with_margin(), at(60)), Unknowable);
    assert_eq!(outcome(with_margin(), at(61)), Claimed);
    let endless = guard().start_margin(Duration::MAX).build().unwrap();
    assert_eq!(outcome(endless, at(61)), Unknowable);

    let open = guard().insecure_accept_before_start().build().unwrap();
    assert_eq!(outcome(open, before), Claimed);
}

#[tokio::test]
async fn a_full_file_refuses_new_nonces_until_old_ones_pass() {
    let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
    let guard = backend.replay_guard().with_capacity(10);
    for number in 0..10 {
        assert_eq!(claimed(&guard, number, 300, 0).await, Claimed);
    }
    let app = app("app");
    let one_more = guard.claim(claim(&app, nonce(10), at(300), at(0))).await;
    assert!(matches!(one_more, Err(SqliteError::Full)), "{one_more:?}");
    assert_eq!(claimed(&guard, 9, 300, 0).await, Replayed);
    assert_eq!(guard.live().await.unwrap(), 10);

    assert_eq!(claimed(&guard, 10, 700, 400).await, Claimed);
    assert_eq!(guard.live().await.unwrap(), 1);
}
