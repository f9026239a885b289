//! What Redis adds to the contract: its clock, its restarts, its faults. Against a real server, and
//! against servers of a test's own.

mod faults;
pub(crate) mod own;
mod proxy;

use std::{env, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use redis::{AsyncCommands, aio::MultiplexedConnection};
use tower_registration::{
    app::AppId,
    backend::redis::{RedisGuardError, RedisReplayGuard, RedisSettings},
    clock::{Clock, SystemClock},
    conformance::{
        Subject,
        replay_guard::{self, ReplayGuardHarness, Time},
    },
    nonce::{
        Claim,
        ClaimOutcome::{self, Claimed, Replayed, Unknowable},
        NonceId, ReplayGuard,
    },
};
use uuid::Uuid;

use self::own::OwnServer;
use crate::services::missing;

const TOLERANCE: Duration = Duration::from_secs(1);

/// A server, and keys of a test's own on it.
#[derive(Clone)]
struct Place {
    url: String,
    prefix: String,
}

impl Place {
    fn on(url: String) -> Self {
        let prefix = format!("test:{}:", Uuid::new_v4().simple());
        Self { url, prefix }
    }

    fn settings(&self) -> RedisSettings {
        RedisReplayGuard::settings()
            .prefix(&self.prefix)
            .clock_tolerance(TOLERANCE)
    }

    async fn guard(&self) -> RedisReplayGuard {
        let settings = self.settings().insecure_accept_before_start();
        settings.connect(&self.url).await.unwrap()
    }

    /// Removes its keys, of which some would stay for ages.
    async fn clear(&self) {
        let mut raw = self.raw().await;
        let keys: Vec<String> = raw.keys(format!("{}*", self.prefix)).await.unwrap();
        let () = raw.del(keys).await.unwrap();
    }

    async fn raw(&self) -> MultiplexedConnection {
        let client = redis::Client::open(&*self.url).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

/// Keys on the server that `TEST_REDIS_URL` names.
async fn place() -> Option<Place> {
    url_of_a_server().await.map(Place::on)
}

/// The server that `TEST_REDIS_URL` names, or a word about what is missing.
pub(crate) async fn url_of_a_server() -> Option<String> {
    let url = env::var("TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    match RedisReplayGuard::connect(&url).await {
        Ok(_) => Some(url),
        Err(why) => {
            missing("Redis (TEST_REDIS_URL)", why);
            None
        }
    }
}

async fn claim(
    guard: &RedisReplayGuard,
    number: usize,
    fresh_until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<ClaimOutcome, RedisGuardError> {
    let app = AppId::new("app").unwrap();
    let nonce = NonceId::of(&format!("nonce number {number}")).unwrap();
    let claim = Claim::new(&app, nonce, now, fresh_until, now);
    guard.claim(claim).await
}

/// A claim made now of a nonce dated now.
async fn claim_now(
    guard: &RedisReplayGuard,
    number: usize,
) -> Result<ClaimOutcome, RedisGuardError> {
    let now = SystemClock.now();
    claim(guard, number, now + TimeDelta::seconds(300), now).await
}

struct Harness(Place);

impl ReplayGuardHarness for Harness {
    type Guard = RedisReplayGuard;

    async fn fresh(&self) -> Subject<RedisReplayGuard> {
        let mut place = Place::on(self.0.url.clone());
        place.prefix.insert_str(0, &self.0.prefix);
        Subject::new(place.guard().await).with_second_handle(place.guard().await)
    }

    fn time(&self) -> Time {
        Time::OfAServer {
            forgets_within: TOLERANCE + Duration::from_millis(200),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contract_is_kept() {
    let Some(place) = place().await else { return };
    let kept = replay_guard::all(&Harness(place.clone())).await;
    place.clear().await;
    kept.unwrap();
}

#[tokio::test]
async fn an_entry_is_one_key_of_fixed_size_that_ends_after_the_nonce() {
    let Some(place) = place().await else { return };
    let guard = place.guard().await;
    let now = SystemClock.now();
    let fresh_until = DateTime::from_timestamp_micros(now.timestamp_micros() / 1_000 * 1_000 + 1)
        .unwrap()
        + TimeDelta::seconds(300);
    assert_eq!(claim(&guard, 1, fresh_until, now).await.unwrap(), Claimed);

    let mut raw = place.raw().await;
    let keys: Vec<String> = raw.keys(format!("{}*", place.prefix)).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].len(), place.prefix.len() + 43);
    let ends_at: i64 = redis::cmd("PEXPIRETIME")
        .arg(&keys[0])
        .query_async(&mut raw)
        .await
        .unwrap();
    // A microsecond past a millisecond is rounded up to the next.
    assert_eq!(ends_at, fresh_until.timestamp_millis() + 1 + 1_000);
}

#[tokio::test]
async fn a_server_whose_clock_is_apart_by_more_than_the_tolerance_can_not_know() {
    let Some(place) = place().await else { return };
    let settings = place.settings().insecure_accept_before_start();
    let settings = settings.clock_tolerance(Duration::from_secs(5));
    let guard = settings.connect(&place.url).await.unwrap();
    // Far from the tolerance on both sides: the test itself takes time.
    let now = SystemClock.now();
    let apart = TimeDelta::seconds(60);
    let end = now + TimeDelta::seconds(300);
    assert_eq!(claim(&guard, 1, end, now).await.unwrap(), Claimed);
    for (number, clock) in [(2, now - apart), (3, now + apart)] {
        assert_eq!(claim(&guard, number, end, clock).await.unwrap(), Unknowable);
    }
    // What was entered all the same is a replay, by whatever clock.
    assert_eq!(claim(&guard, 2, end, now).await.unwrap(), Replayed);
    // An entry that would have passed at once.
    let passed = now - apart;
    assert_eq!(claim(&guard, 4, passed, passed).await.unwrap(), Unknowable);
}

#[tokio::test]
async fn a_claim_is_one_round_trip() {
    let Some(own) = OwnServer::start(&[]).await else {
        return;
    };
    let place = Place::on(own.url());
    let (guard, mut raw) = (place.guard().await, place.raw().await);
    let mut reads = async || {
        let info: String = redis::cmd("INFO")
            .arg("stats")
            .query_async(&mut raw)
            .await
            .unwrap();
        let mut lines = info.lines();
        let reads = lines.find_map(|line| line.strip_prefix("total_reads_processed:"));
        reads.unwrap().trim().parse::<usize>().unwrap()
    };
    let before = reads().await;
    for number in 0..100 {
        assert_eq!(claim_now(&guard, number).await.unwrap(), Claimed);
    }
    // The question itself is one more.
    assert_eq!(reads().await - before, 101);
}

#[tokio::test]
async fn guards_with_two_prefixes_know_nothing_of_each_other() {
    let Some(place) = place().await else { return };
    let other = Place::on(place.url.clone());
    for guard in [place.guard().await, other.guard().await] {
        assert_eq!(claim_now(&guard, 1).await.unwrap(), Claimed);
        assert_eq!(claim_now(&guard, 1).await.unwrap(), Replayed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cluster_spreads_nonces_over_its_nodes_and_accepts_each_once() {
    let Some(nodes) = own::cluster().await else {
        return;
    };
    let urls: Vec<_> = nodes.iter().map(OwnServer::url).collect();
    let prefix = Place::on(String::new()).prefix;
    let settings = || {
        RedisReplayGuard::settings()
            .prefix(&prefix)
            .clock_tolerance(TOLERANCE)
    };
    let guard = settings().connect_cluster(&urls[..1]).await.unwrap();
    let other = settings().connect_cluster(&urls).await.unwrap();
    for number in 0..200 {
        assert_eq!(claim_now(&guard, number).await.unwrap(), Claimed);
        assert_eq!(claim_now(&other, number).await.unwrap(), Replayed);
    }
    for url in urls {
        let mut raw = Place::on(url).raw().await;
        let keys: usize = redis::cmd("DBSIZE").query_async(&mut raw).await.unwrap();
        assert!((20..180).contains(&keys), "{keys} keys are on one node");
    }
    let nobody = settings().connect_cluster([""; 0]).await.unwrap_err();
    assert!(matches!(nobody, RedisGuardError::NoNodes));
}

struct Cluster(Vec<String>);

impl ReplayGuardHarness for Cluster {
    type Guard = RedisReplayGuard;

    async fn fresh(&self) -> Subject<RedisReplayGuard> {
        let settings = Place::on(String::new()).settings();
        let one = settings.clone().connect_cluster(&self.0).await.unwrap();
        let other = settings.connect_cluster(&self.0).await.unwrap();
        Subject::new(one).with_second_handle(other)
    }

    fn time(&self) -> Time {
        Time::OfAServer {
            forgets_within: TOLERANCE + Duration::from_millis(200),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contract_is_kept_by_a_cluster() {
    let Some(nodes) = own::cluster().await else {
        return;
    };
    let urls = nodes.iter().map(OwnServer::url).collect();
    replay_guard::all(&Cluster(urls)).await.unwrap();
}
