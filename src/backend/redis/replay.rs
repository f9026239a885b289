//! Used nonces as keys.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use base64_simd::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use redis::{Pipeline, Value, aio::ConnectionLike};
use ring::digest::{Context, SHA256, digest};
use tokio::time::timeout;

use super::{
    RedisGuardError, RedisSettings,
    connection::{Servers, Single, ask},
};
use crate::{
    nonce::{Claim, ClaimOutcome, ReplayGuard},
    trace,
};

/// A [`ReplayGuard`] in Redis or Valkey. Clones share the connection. See the
/// [module](super) for what it holds to, and what it needs of the server.
#[derive(Clone)]
pub struct RedisReplayGuard(Arc<Inner>);

struct Inner {
    settings: RedisSettings,
    servers: Servers,
}

impl RedisReplayGuard {
    /// Settings of a guard to be connected.
    pub fn settings() -> RedisSettings {
        RedisSettings::default()
    }

    /// Connects to one server with the default [settings](RedisSettings::connect).
    ///
    /// # Errors
    ///
    /// Those of [`RedisSettings::connect`].
    pub async fn connect(url: &str) -> Result<Self, RedisGuardError> {
        Self::settings().connect(url).await
    }

    pub(super) fn new(settings: RedisSettings, servers: Servers) -> Self {
        Self(Arc::new(Inner { settings, servers }))
    }
}

impl Inner {
    async fn decide(&self, entry: Entry) -> Result<ClaimOutcome, RedisGuardError> {
        match &self.servers {
            Servers::One(single) => self.claim_at(single, &entry).await,
            Servers::Cluster(connection) => {
                let answers = self.answers(&entry, &mut connection.clone()).await?;
                self.read(&entry, &answers)
            }
        }
    }

    async fn claim_at(
        &self,
        single: &Arc<Single>,
        entry: &Entry,
    ) -> Result<ClaimOutcome, RedisGuardError> {
        let live = single.live().await?;
        if self
            .settings
            .is_from_before(entry.issued_at, live.started_by)
        {
            return Ok(ClaimOutcome::Unknowable);
        }
        let waiting = single.waiting(&live);
        let answers = self.answers(entry, &mut live.connection.clone()).await;
        match &answers {
            Ok(answers) => {
                waiting.answered();
                if was_demoted(answers) {
                    single.leave(&live);
                }
            }
            Err(RedisGuardError::TimedOut(_)) => drop(waiting),
            Err(_) => single.leave(&live),
        }
        self.read(entry, &answers?)
    }

    /// What is answered in time, the server's errors included.
    async fn answers(
        &self,
        entry: &Entry,
        connection: &mut impl ConnectionLike,
    ) -> Result<Vec<Value>, RedisGuardError> {
        let within = self.settings.answer_timeout();
        let asked = self.question(entry);
        match timeout(within, ask(&asked, connection)).await {
            Ok(Ok(answers)) => Ok(answers),
            Ok(Err(error)) if !error.is_timeout() => Err(RedisGuardError::failed(error)),
            Ok(Err(_)) | Err(_) => Err(RedisGuardError::TimedOut(within)),
        }
    }

    /// One round trip; in a cluster, all of it goes where the key is.
    fn question(&self, entry: &Entry) -> Pipeline {
        let mut asked = redis::pipe();
        asked
            .cmd("SET")
            .arg(&entry.key)
            .arg(1)
            .arg("NX")
            .arg("PXAT")
            .arg(entry.ends_at);
        asked.cmd("PTTL").arg(&entry.key);
        if let Some(replicas) = self.settings.replicas {
            let within = replicas.within.max(Duration::from_millis(1)).as_millis();
            let within = u64::try_from(within).unwrap_or(u64::MAX);
            asked.cmd("WAIT").arg(replicas.wanted.get()).arg(within);
        }
        asked.ignore_errors();
        asked
    }

    fn read(&self, entry: &Entry, answers: &[Value]) -> Result<ClaimOutcome, RedisGuardError> {
        for answer in answers {
            if let Value::ServerError(error) = answer {
                return Err(match (error.code(), answer.clone().extract_error()) {
                    ("OOM", _) => RedisGuardError::Full,
                    (_, Err(error)) => RedisGuardError::failed(error),
                    (_, Ok(_)) => RedisGuardError::Unexpected,
                });
            }
        }
        let outcome = match answers {
            [set, Value::Int(ttl), ..] => entry.outcome(set, *ttl)?,
            _ => return Err(RedisGuardError::Unexpected),
        };
        match (self.settings.replicas, answers.get(2), outcome) {
            (Some(replicas), Some(&Value::Int(acknowledged)), ClaimOutcome::Claimed)
                if usize::try_from(acknowledged).unwrap_or(0) < replicas.wanted.get() =>
            {
                let wanted = replicas.wanted.get();
                Err(RedisGuardError::Replicas {
                    acknowledged,
                    wanted,
                })
            }
            (Some(_), None, _) => Err(RedisGuardError::Unexpected),
            (_, _, outcome) => Ok(outcome),
        }
    }
}

/// Whether the server has become a replica: then another has taken over at its address, or will.
fn was_demoted(answers: &[Value]) -> bool {
    let readonly =
        |answer: &Value| matches!(answer, Value::ServerError(error) if error.code() == "READONLY");
    answers.iter().any(readonly)
}

/// A claim as it is sent. Times are whole milliseconds since 1970, as Redis counts.
struct Entry {
    key: String,
    issued_at: DateTime<Utc>,
    ends_at: i64,
    now: i64,
    margin: i64,
}

impl Entry {
    fn of(claim: &Claim<'_>, settings: &RedisSettings) -> Self {
        let margin = settings.margin().num_milliseconds();
        // Rounded up, so that the last instant of the nonce is in the entry's life.
        let fresh_until = claim.fresh_until.timestamp_micros();
        let millis = fresh_until.div_euclid(1_000) + i64::from(fresh_until.rem_euclid(1_000) > 0);
        Self {
            key: key(&settings.prefix, claim),
            issued_at: claim.issued_at,
            // Redis takes no time before 1971 for one. An entry that ends then is not kept, and
            // `outcome` says so.
            ends_at: millis.saturating_add(margin).max(1),
            now: claim.now.timestamp_millis(),
            margin,
        }
    }

    /// What the answers to `SET` and `PTTL` mean.
    ///
    /// An entry that is met is a replay. Where none was, there may have been one that is forgotten.
    /// Redis forgets an entry when its own time is past `fresh_until + margin` (of the claim that
    /// made the entry, rounded up). A claim is accepted only if Redis's time, as told by what is
    /// left of the entry just made, is at most `margin` ahead of the claim's `now`. So of whatever
    /// has been forgotten,
    ///
    /// `now >= redis_now - margin > fresh_until`
    ///
    /// by the claim's own clock: it would not have refused the claim any more. This holds as long
    /// as Redis's clock does not itself step back by more than its entries have been gone. What is
    /// left is told after `SET` was carried out, so that Redis's time is never taken for too early;
    /// `now` is rounded down.
    ///
    /// The other way around, a claim whose clock is ahead by more than `margin` is not accepted
    /// either: what was claimed before the server's start is told by the nonce's datetime, and
    /// that has to be on the server's clock, give or take the margin.
    fn outcome(&self, set: &Value, ttl: i64) -> Result<ClaimOutcome, RedisGuardError> {
        match (set, ttl) {
            (Value::Nil, _) => Ok(ClaimOutcome::Replayed),
            // Made, and gone at once: Redis's time is past its end.
            (Value::Okay, -2) => Ok(ClaimOutcome::Unknowable),
            (Value::Okay, 0..) => {
                let redis_now = self.ends_at.saturating_sub(ttl);
                let ahead = redis_now.saturating_sub(self.now);
                if (-self.margin..=self.margin).contains(&ahead) {
                    return Ok(ClaimOutcome::Claimed);
                }
                trace::warn!(target: trace::VERIFY, ahead_millis = ahead, "the Redis server's clock and this one are apart: claims are refused");
                Ok(ClaimOutcome::Unknowable)
            }
            _ => Err(RedisGuardError::Unexpected),
        }
    }
}

/// Of fixed size, whatever an application sends. The application's id is hashed by itself, so that
/// its end is not taken for the nonce's beginning.
fn key(prefix: &str, claim: &Claim<'_>) -> String {
    let mut hash = Context::new(&SHA256);
    hash.update(digest(&SHA256, claim.app.as_str().as_bytes()).as_ref());
    hash.update(claim.nonce.as_bytes());
    let mut key = prefix.to_owned();
    URL_SAFE_NO_PAD.encode_append(hash.finish(), &mut key);
    key
}

impl ReplayGuard for RedisReplayGuard {
    type Error = RedisGuardError;
    type Future = Pin<Box<dyn Future<Output = Result<ClaimOutcome, RedisGuardError>> + Send>>;

    fn claim(&self, claim: Claim<'_>) -> Self::Future {
        let entry = Entry::of(&claim, &self.0.settings);
        let inner = self.0.clone();
        Box::pin(async move { inner.decide(entry).await })
    }
}

impl fmt::Debug for RedisReplayGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisReplayGuard")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
