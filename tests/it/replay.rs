//! The contract of a replay guard, over every guard, and what each guard adds to it.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use tokio::sync::Barrier;
use tower_registration::{
    app::AppId,
    backend::{
        memory::{MemoryGuardConfigError, MemoryGuardError, MemoryReplayGuard},
        sqlite::{SqliteBackend, SqliteError},
    },
    clock::ManualClock,
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

/// When each of 64 tasks asked, was answered, and what.
async fn race(guard: &Arc<impl Guard>, number: usize) -> Vec<(Instant, Instant, ClaimOutcome)> {
    const TASKS: usize = 64;
    let barrier = Arc::new(Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (guard, barrier) = (guard.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                let asked = Instant::now();
                let outcome = claimed(&guard, number, 300, 0).await;
                (asked, Instant::now(), outcome)
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.unwrap());
    }
    answers
}

async fn of_many_claims_at_once_one_wins(guard: Arc<impl Guard>) {
    // Until a claim was seen that was under way while the winner's was.
    for round in 0..10_000 {
        let answers = race(&guard, round).await;
        let (winners, losers): (Vec<_>, Vec<_>) = answers
            .into_iter()
            .partition(|(.., outcome)| *outcome == Claimed);
        assert_eq!(winners.len(), 1, "in round {round}");
        assert!(losers.iter().all(|(.., outcome)| *outcome == Replayed));
        let (won_from, won_until, _) = winners[0];
        let mut others = losers.iter();
        if others.any(|(from, until, _)| *from < won_until && won_from < *until) {
            return;
        }
    }
    panic!("the claims never met: this test proved nothing");
}

async fn equal_nonces_of_two_apps_do_not_collide(guard: Arc<impl Guard>) {
    let (one, two) = (app("one"), app("two"));
    for app in [&one, &two] {
        let claim = claim(app, nonce(1), at(300), at(0));
        assert_eq!(guard.claim(claim).await.unwrap(), Claimed);
        assert_eq!(guard.claim(claim).await.unwrap(), Replayed);
    }
}

async fn an_ids_end_is_not_taken_for_a_nonces_beginning(guard: Arc<impl Guard>) {
    let (short, long) = (app("app"), app(&format!("app{}", "x".repeat(16))));
    let digest = claim(&short, NonceId::Digest([b'x'; 32]), at(300), at(0));
    assert_eq!(guard.claim(digest).await.unwrap(), Claimed);
    let uuid = NonceId::Uuid(uuid::Uuid::from_bytes([b'x'; 16]));
    let uuid = claim(&long, uuid, at(300), at(0));
    assert_eq!(guard.claim(uuid).await.unwrap(), Claimed);
}

async fn another_datetime_makes_no_other_nonce(guard: Arc<impl Guard>) {
    assert_eq!(claimed(&*guard, 1, 100, 0).await, Claimed);
    for fresh_until in [99, 101, 150, 360] {
        assert_eq!(claimed(&*guard, 1, fresh_until, 50).await, Replayed);
    }
    assert_eq!(claimed(&*guard, 1, 400, 100).await, Replayed);
}

async fn a_nonce_from_the_future_is_kept_until_it_is_stale(guard: Arc<impl Guard>) {
    assert_eq!(claimed(&*guard, 1, 360, 0).await, Claimed);
    for now in [1, 60, 299, 300, 301, 359] {
        pass_time(&*guard, now).await;
        assert_eq!(claimed(&*guard, 1, 360, now).await, Replayed, "at {now}");
    }
}

async fn an_entry_lives_through_its_last_instant(guard: Arc<impl Guard>) {
    let app = app("app");
    let last = at(300);
    let early = claim(&app, nonce(1), last, at(0));
    assert_eq!(guard.claim(early).await.unwrap(), Claimed);
    pass_time(&*guard, 300).await;
    for now in [last, last + TimeDelta::microseconds(1)] {
        let late = claim(&app, nonce(1), last, now);
        assert_eq!(guard.claim(late).await.unwrap(), Replayed);
    }
}

async fn a_passed_nonce_may_be_used_anew_in_the_end(guard: Arc<impl Guard>) {
    assert_eq!(claimed(&*guard, 1, 300, 0).await, Claimed);
    pass_time(&*guard, 400).await;
    assert_eq!(claimed(&*guard, 1, 300, 400).await, Unknowable);
    assert_eq!(claimed(&*guard, 1, 700, 400).await, Claimed);
    assert_eq!(claimed(&*guard, 1, 700, 400).await, Replayed);
}

async fn a_clock_stepping_back_reopens_nothing(guard: Arc<impl Guard>) {
    assert_eq!(claimed(&*guard, 1, 300, 0).await, Claimed);
    pass_time(&*guard, 1_000).await;
    // The entry is forgotten by now, and would have refused all of these.
    for (fresh_until, now) in [(300, 0), (300, 299), (300, 300), (310, 10), (600, 300)] {
        let outcome = claimed(&*guard, 1, fresh_until, now).await;
        assert_eq!(outcome, Unknowable, "until {fresh_until} at {now}");
    }
}

async fn a_small_step_back_refuses_nobody(guard: Arc<impl Guard>) {
    for now in 0..1_000 {
        let number = usize::try_from(now).unwrap() * 2;
        assert_eq!(claimed(&*guard, number, now + 20, now).await, Claimed);
        let behind = now - 2;
        let outcome = claimed(&*guard, number + 1, behind + 20, behind).await;
        assert_eq!(outcome, Claimed, "2 s behind {now}");
    }
}

async fn a_clock_that_leaps_ahead_and_back_costs_a_window(guard: Arc<impl Guard>) {
    const YEARS: i64 = 73 * 365 * 86_400;
    for now in 0..10 {
        pass_time(&*guard, now).await;
    }
    pass_time(&*guard, YEARS).await;
    assert_eq!(claimed(&*guard, 1, 309, 9).await, Unknowable);
    assert_eq!(claimed(&*guard, 1, 650, 350).await, Claimed);
    assert_eq!(claimed(&*guard, 1, 650, 350).await, Replayed);
}

async fn far_off_times_neither_panic_nor_reopen(guard: Arc<impl Guard>) {
    let app = app("app");
    let (first, last) = (DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC);
    let times = [first, DateTime::UNIX_EPOCH, at(0), at(300), last];
    for (number, fresh_until) in times.into_iter().enumerate() {
        let mut wins = 0;
        for now in times.into_iter().chain(times.into_iter().rev()) {
            let claim = claim(&app, nonce(number), fresh_until, now);
            let live = now <= fresh_until;
            let outcome = guard.claim(claim).await.unwrap();
            wins += usize::from(live && outcome == Claimed);
        }
        assert!(wins <= 1, "{fresh_until} was accepted {wins} times");
    }
}

macro_rules! contract {
    ($($name:ident)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(super::memory()).await;
            })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                let directory = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}/db", directory.path().display());
                let backend = super::SqliteBackend::connect(&url).await.unwrap();
                super::$name(backend.replay_guard().into()).await;
                backend.close().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                crate::services::in_schema(|place| async move {
                    let settings = place.settings();
                    let backend = settings.connect(&place.not_durable()).await.unwrap();
                    super::$name(backend.replay_guard().into()).await;
                    backend.close().await;
                })
                .await;
            })*
        }
    };
}

contract! {
    of_many_claims_at_once_one_wins
    equal_nonces_of_two_apps_do_not_collide
    an_ids_end_is_not_taken_for_a_nonces_beginning
    another_datetime_makes_no_other_nonce
    a_nonce_from_the_future_is_kept_until_it_is_stale
    an_entry_lives_through_its_last_instant
    a_passed_nonce_may_be_used_anew_in_the_end
    a_clock_stepping_back_reopens_nothing
    a_small_step_back_refuses_nobody
    a_clock_that_leaps_ahead_and_back_costs_a_window
    far_off_times_neither_panic_nor_reopen
}

fn memory() -> Arc<MemoryReplayGuard> {
    let builder = MemoryReplayGuard::builder().insecure_accept_before_start();
    Arc::new(builder.build().unwrap())
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
        runtime().block_on(agrees_with_the_model(&*memory(), &steps));
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

fn small(capacity: usize, share: usize) -> MemoryReplayGuard {
    MemoryReplayGuard::builder()
        .insecure_accept_before_start()
        .capacity(capacity)
        .share_per_app(share)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_full_guard_refuses_new_nonces_until_old_ones_pass() {
    let guard = small(10, 10);
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
    let guard = small(10, 6);
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
        let guard = small(capacity, capacity);
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
    let clock = ManualClock::at(start);
    let outcome = |guard: MemoryReplayGuard, issued_at| {
        let app = app("app");
        let claim = Claim::new(&app, nonce(1), issued_at, at(300), at(1));
        guard.claim(claim).into_inner().unwrap()
    };
    let guard = || MemoryReplayGuard::builder().clock(&clock);
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
