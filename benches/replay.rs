//! Claiming nonces.
//!
//! Every function does one thing: enter a fresh nonce of an application beside those that are live,
//! and tell that it was not there. Sets are filled to the stated size first, and emptied and filled
//! anew, untimed, when they have grown by a quarter.
//!
//! What peers do less of: none bounds what one application may hold; `quick_cache` forgets live
//! entries when it is full, and so accepts a replay; `dashmap` and `nonce_auth` forget nothing by
//! themselves, and hold without bound. `moka` is given its own time to live, and no capacity, since
//! with one it would forget live entries too.
//!
//! After the groups come latencies over a rolling window, of ours and of `moka`: a nonce lives for
//! a second, a million a second are claimed, and two million expire while it is measured.

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, measurement::WallTime};
use dashmap::{DashMap, Entry};
use futures_util::FutureExt;
use hdrhistogram::Histogram;
use nonce_auth::{
    NonceError,
    storage::{MemoryStorage, NonceStorage},
};
use quick_cache::sync::{EntryAction, EntryResult};
use tower_registration::{
    app::AppId,
    backend::memory::MemoryReplayGuard,
    nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
};
use uuid::Uuid;

const MILLION: usize = 1_000_000;
/// Long enough that nothing expires while it is measured.
const WINDOW: Duration = Duration::from_mins(6);

/// What every peer is keyed by: the application and the nonce, as they are.
type Key = (AppId, Uuid);

/// Something that accepts a nonce once.
trait Claims: Sync {
    /// Room for `live` nonces and a quarter more, each fresh for `window`.
    fn new(live: usize, window: Duration) -> Self;
    /// Whether the nonce is a new one.
    fn claim(&self, app: &AppId, nonce: Uuid, now: DateTime<Utc>) -> bool;
}

struct Ours {
    guard: MemoryReplayGuard,
    window: TimeDelta,
}

impl Claims for Ours {
    fn new(live: usize, window: Duration) -> Self {
        let guard = MemoryReplayGuard::builder()
            .capacity(live * 2)
            .share_per_app(live * 2)
            .window(window)
            .insecure_accept_before_start();
        Self {
            guard: guard.build().expect("a guard"),
            window: TimeDelta::from_std(window).expect("a window"),
        }
    }

    fn claim(&self, app: &AppId, nonce: Uuid, now: DateTime<Utc>) -> bool {
        let claim = Claim::new(app, NonceId::Uuid(nonce), now, now + self.window, now);
        self.guard.claim(claim).into_inner() == Ok(ClaimOutcome::Claimed)
    }
}

struct Moka(moka::sync::Cache<Key, ()>);

impl Claims for Moka {
    fn new(_live: usize, window: Duration) -> Self {
        Self(moka::sync::Cache::builder().time_to_live(window).build())
    }

    fn claim(&self, app: &AppId, nonce: Uuid, _now: DateTime<Utc>) -> bool {
        self.0.entry((app.clone(), nonce)).or_insert(()).is_fresh()
    }
}

struct QuickCache {
    cache: quick_cache::sync::Cache<Key, DateTime<Utc>>,
    window: Duration,
}

impl Claims for QuickCache {
    fn new(live: usize, window: Duration) -> Self {
        let cache = quick_cache::sync::Cache::new(live * 2);
        Self { cache, window }
    }

    fn claim(&self, app: &AppId, nonce: Uuid, now: DateTime<Utc>) -> bool {
        let until = now + self.window;
        let entry = self.cache.entry(&(app.clone(), nonce), None, |_, held| {
            if *held >= now {
                EntryAction::Retain(false)
            } else {
                *held = until;
                EntryAction::Retain(true)
            }
        });
        match entry {
            EntryResult::Vacant(place) => place.insert(until).is_ok(),
            EntryResult::Retained(is_new) => is_new,
            _ => false,
        }
    }
}

struct Dash {
    map: DashMap<Key, DateTime<Utc>>,
    window: Duration,
}

impl Claims for Dash {
    fn new(_live: usize, window: Duration) -> Self {
        let map = DashMap::new();
        Self { map, window }
    }

    fn claim(&self, app: &AppId, nonce: Uuid, now: DateTime<Utc>) -> bool {
        match self.map.entry((app.clone(), nonce)) {
            Entry::Occupied(held) if *held.get() >= now => false,
            entry => {
                entry.insert(now + self.window);
                true
            }
        }
    }
}

/// It takes text, so that each nonce's is made here too.
struct NonceAuth {
    storage: MemoryStorage,
    window: Duration,
}

impl Claims for NonceAuth {
    fn new(_live: usize, window: Duration) -> Self {
        let storage = MemoryStorage::new();
        Self { storage, window }
    }

    fn claim(&self, app: &AppId, nonce: Uuid, _now: DateTime<Utc>) -> bool {
        let mut text = [0; 36];
        let text = nonce.hyphenated().encode_lower(&mut text);
        let set = self.storage.set(text, Some(app.as_str()), self.window);
        match set.now_or_never() {
            Some(Ok(())) => true,
            Some(Err(NonceError::DuplicateNonce)) => false,
            _ => panic!("a storage in memory that nobody else uses answers at once"),
        }
    }
}

fn app() -> AppId {
    AppId::new("ap-4s6se-e2t7n-89gfg50iaos73pm6").expect("an id")
}

/// Random nonces, without a call of the operating system for each.
fn nonces(count: usize) -> Vec<Uuid> {
    let mut state = Uuid::new_v4().as_u128() | 1;
    let next = || {
        // The constant of a 128-bit linear congruential generator: L'Ecuyer, Mathematics of
        // Computation 68 (1999), table 4.
        state = state
            .wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645)
            .wrapping_add(1);
        uuid::Builder::from_u128(state ^ state >> 64).into_uuid()
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A set of `live` nonces, and as many fresh ones as it is asked for before it is filled anew.
struct Filled<C> {
    set: C,
    app: AppId,
    now: DateTime<Utc>,
    fresh: Vec<Uuid>,
}

impl<C: Claims> Filled<C> {
    fn new(live: usize) -> Self {
        let set = C::new(live, WINDOW);
        let (app, now) = (app(), Utc::now());
        let mut fresh = nonces(live + live / 4);
        for nonce in fresh.drain(live / 4..) {
            assert!(set.claim(&app, nonce, now));
            assert!(live > MILLION || !set.claim(&app, nonce, now));
        }
        Self {
            set,
            app,
            now,
            fresh,
        }
    }

    /// The time that at most `most` claims take from `threads` threads, and how many there were.
    fn claim(&mut self, threads: usize, most: usize) -> (Duration, usize) {
        let claimed = self.fresh.split_off(self.fresh.len().saturating_sub(most));
        let claim_all = |nonces: &[Uuid]| {
            // Each thread has its own id: its count of references is not what is measured.
            let app = AppId::new(self.app.as_str()).expect("an id");
            for nonce in nonces {
                black_box(self.set.claim(&app, *nonce, self.now));
            }
        };
        let start = Instant::now();
        if threads == 1 {
            claim_all(&claimed);
        } else {
            thread::scope(|scope| {
                for part in claimed.chunks(claimed.len().div_ceil(threads)) {
                    scope.spawn(|| claim_all(part));
                }
            });
        }
        (start.elapsed(), claimed.len())
    }
}

fn bench<C: Claims>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    live: usize,
    threads: usize,
) {
    let mut filled = None;
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let mut left = usize::try_from(iterations).expect("as many fit");
            let mut total = Duration::ZERO;
            while left > 0 {
                let set = filled.get_or_insert_with(|| Filled::<C>::new(live));
                let (time, count) = set.claim(threads, left);
                left -= count;
                total += time;
                if set.fresh.is_empty() {
                    filled = None;
                }
            }
            total
        });
    });
}

fn replay_claim(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay_claim");
    bench::<Ours>(&mut group, "ours", MILLION, 1);
    bench::<Moka>(&mut group, "moka", MILLION, 1);
    bench::<QuickCache>(&mut group, "quick_cache", MILLION, 1);
    bench::<Dash>(&mut group, "dashmap", MILLION, 1);
    bench::<NonceAuth>(&mut group, "nonce_auth", MILLION, 1);
    group.finish();
}

/// The time is that of one claim: with two threads, the wall's time through all claims of both.
fn replay_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay_threads");
    bench::<Ours>(&mut group, "ours_1", MILLION, 1);
    bench::<Ours>(&mut group, "ours_2", MILLION, 2);
    group.finish();
}

fn replay_size(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("replay_size");
    for (name, live) in [
        ("live_10k", 10_000),
        ("live_1m", MILLION),
        ("live_10m", 10 * MILLION),
    ] {
        bench::<Ours>(&mut group, name, live, 1);
    }
    group.finish();
}

/// Three seconds of a million claims a second, each nonce alive for one; measured from the first
/// expiry on.
fn latencies<C: Claims>() -> Histogram<u64> {
    let set = C::new(2 * MILLION, Duration::from_secs(1));
    let app = app();
    let mut histogram = Histogram::new(3).expect("three digits");
    let begin = Instant::now();
    for (number, nonce) in nonces(3 * MILLION).into_iter().enumerate() {
        let due = Duration::from_micros(number as u64);
        while begin.elapsed() < due {}
        let now = Utc::now();
        let start = Instant::now();
        assert!(set.claim(&app, nonce, now));
        let taken = start.elapsed();
        if number >= MILLION {
            histogram
                .record(u64::try_from(taken.as_nanos()).expect("below 500 years"))
                .expect("it resizes");
        }
    }
    histogram
}

fn print_latencies(name: &str, histogram: &Histogram<u64>) {
    let quantiles = [0.5, 0.99, 0.999, 0.9999].map(|q| histogram.value_at_quantile(q));
    let [p50, p99, p999, p9999] = quantiles;
    let max = histogram.max();
    println!(
        "replay_latency/{name}: p50 {p50} ns, p99 {p99} ns, p99.9 {p999} ns, p99.99 {p9999} ns, max {max} ns"
    );
}

criterion_group!(benches, replay_claim, replay_threads, replay_size);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    // A filter, a profile or a mere test asks for less.
    let asks_for_less = |argument: &String| !argument.starts_with("--") || argument == "--test";
    if !std::env::args()
        .skip(1)
        .any(|argument| asks_for_less(&argument))
    {
        print_latencies("ours", &latencies::<Ours>());
        print_latencies("moka", &latencies::<Moka>());
    }
}
