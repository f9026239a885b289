//! Everything that can die dies under load, and a mail server does all that mail servers do.
//!
//! What holds afterwards, for each user who was told `success`:
//!
//! 1. A mail with the live code has come, and the code completes the registration.
//! 2. No mail had a dead code when it was handed over.
//! 3. One mail has come for each code, but where nobody could know whether one had: a sender or the
//!    database died between the mail server's answer and the note of it. Both have one message id.
//! 4. No nonce was accepted twice.
//!
//! `CHAOS_ROUNDS` says how many things happen, each guard for itself, and `CHAOS_SEED` which.

mod faults;
mod load;
mod verdict;

use std::{env, sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::timeout;

use self::{faults::Chaos, load::Load, verdict::Witness};
use super::{
    catcher::Catcher,
    fleet::{Common, users},
    own::OwnPostgres,
};
use crate::redis::own::OwnServer;

const USERS: usize = 24;
/// How many ask at once.
const CALLERS: usize = 6;
/// All faults once.
const DEFAULT_ROUNDS: usize = faults::KINDS;
const LEASE: u64 = 4;
const SEND_TIMEOUT: u64 = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_dies_with_the_guard_in_postgresql_every_user_gets_one_mail_with_the_live_code() {
    let Some(postgres) = OwnPostgres::start().await else {
        return;
    };
    survives(postgres, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whatever_dies_with_the_guard_in_redis_every_user_gets_one_mail_with_the_live_code() {
    let Some(postgres) = OwnPostgres::start().await else {
        return;
    };
    let Some(redis) = OwnServer::start(&[]).await else {
        return;
    };
    survives(postgres, Some(redis)).await;
}

async fn survives(postgres: OwnPostgres, redis: Option<OwnServer>) {
    let rounds = number("CHAOS_ROUNDS").unwrap_or(DEFAULT_ROUNDS);
    let seed = number("CHAOS_SEED").unwrap_or_else(|| {
        let nanoseconds = chrono::Utc::now().timestamp_subsec_nanos();
        usize::try_from(nanoseconds).unwrap()
    });
    let guard = redis.as_ref().map_or("PostgreSQL", |_| "Redis");
    say(&format!(
        "guard in {guard}: CHAOS_ROUNDS={rounds} CHAOS_SEED={seed}"
    ));

    let witness = Witness::new(&postgres.url());
    let looking = witness.clone();
    let catcher = Catcher::start(Arc::new(move |mail| {
        let witness = looking.clone();
        Box::pin(async move { witness.look(&mail).await })
    }))
    .await;
    let members = json!({
        "users": users(USERS),
        "policy": {"cooldownSeconds": 0, "perHour": 1_000_000, "perDay": 1_000_000,
                   "answerGridMillis": 0},
        "delivery": {"sendTimeoutSeconds": SEND_TIMEOUT, "leaseSeconds": LEASE,
                     "firstRetrySeconds": 1, "longestRetrySeconds": 1, "tries": 100},
    });
    let mut common = Common::new(&postgres.url(), &catcher, &members);
    if let Some(redis) = &redis {
        common = common.with_redis(&redis.url());
    }
    let mut chaos = Chaos::new(
        common,
        catcher.clone(),
        postgres,
        redis,
        witness.clone(),
        seed,
    );
    let load = Load::start(chaos.peers(), CALLERS, USERS, seed);
    for _ in 0..rounds {
        chaos.strike().await;
    }
    let told = load.stop().await;
    catcher.stop_failing();

    let drained = timeout(Duration::from_mins(1), witness.all_is_settled()).await;
    assert!(drained.is_ok(), "mails are owed still");
    let counts = witness.judge(&catcher, &told, chaos.server().peer()).await;
    say(&format!(
        "guard in {guard}: {told:?}, {counts:?}, {:?}",
        chaos.done()
    ));
    assert!(told.users.len() * 2 > USERS, "the load seldom got through");
    assert!(told.replays > 0, "no nonce was tried again");
    chaos.end();
}

fn number(variable: &str) -> Option<usize> {
    env::var(variable).ok()?.parse().ok()
}

/// Not `println`, which the test's harness would keep to itself.
fn say(line: &str) {
    use std::io::{Write, stderr};
    let _ = writeln!(stderr(), "chaos, {line}");
}

/// A sequence of numbers that a seed makes (`SplitMix64`).
struct Numbers(u64);

impl Numbers {
    fn new(seed: usize) -> Self {
        Self(seed as u64)
    }

    /// The next one, below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = mixed ^ (mixed >> 31);
        usize::try_from(mixed % bound as u64).unwrap()
    }

    fn milliseconds(&mut self, bound: usize) -> Duration {
        Duration::from_millis(self.below(bound) as u64)
    }
}
