//! Claiming nonces.
//!
//! Every function does one thing: enter a fresh nonce of an application beside those that are live,
//! and tell that it was not there. Ours has digested the application's id before, as it stands in its
//! record; peers hash its 31 bytes with each nonce. Sets are filled to the stated size first, and emptied and filled
//! anew, untimed, when they have grown by a quarter.
//!
//! What peers do less of: none bounds what one application may hold; `quick_cache` forgets live
//! entries when it is full, and so accepts a replay; `dashmap` and `nonce_auth` forget nothing by
//! themselves, and hold without bound. `moka` is given its own time to live, and no capacity, since
//! with one it would forget live entries too.
//!
//! After the groups come latencies over a rolling window, of ours and of `moka`: a nonce lives for
//! a second, a million a second are claimed, and two million expire while it is measured.

mod claims;

use std::{
    hint::black_box,
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, measurement::WallTime};
use hdrhistogram::Histogram;
use uuid::Uuid;

use crate::claims::{Claims, Dash, Moka, NonceAuth, Ours, QuickCache, app, nonces};

const MILLION: usize = 1_000_000;
/// Long enough that nothing expires while it is measured.
const WINDOW: Duration = Duration::from_mins(6);

/// A set of `live` nonces, and as many fresh ones as it is asked for before it is filled anew.
struct Filled<C> {
    set: C,
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
        Self { set, now, fresh }
    }

    /// The time that at most `most` claims take from `threads` threads, and how many there were.
    fn claim(&mut self, threads: usize, most: usize) -> (Duration, usize) {
        let claimed = self.fresh.split_off(self.fresh.len().saturating_sub(most));
        let claim_all = |nonces: &[Uuid]| {
            // Each thread has its own id: its count of references is not what is measured.
            let app = app();
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
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .measurement_time(Duration::from_secs(2));
    group.bench_function(name, |bencher| {
        // Before criterion looks how long a claim takes.
        filled.get_or_insert_with(|| Filled::<C>::new(live));
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
