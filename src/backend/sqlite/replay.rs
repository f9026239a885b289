//! Used nonces in a table.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::SqlitePool;

use super::SqliteError;
use crate::{
    backend::nonce_key::NonceEntry,
    nonce::{Claim, ClaimOutcome, Occupancy, ReplayGuard},
    trace,
};

/// How many nonces the table holds at most, unless set otherwise: about 1 GB of file.
pub const DEFAULT_CAPACITY: u64 = 10_000_000;

/// Every so many claims of this process, entries that have passed are deleted…
const FORGET_EVERY: u64 = 64;
/// …so many at most: more than come in between, few enough that no claim waits long.
const FORGET_AT_MOST: i64 = 256;

/// Entries are kept so long after they have passed, in microseconds: longer than a claim waits for
/// its turn, so that one whose time was read long before meets nothing forgotten.
const KEPT_PASSED: i64 = 15_000_000;

/// The insert takes effect only if nothing that the claim would have met has been forgotten and
/// there is room. One statement, so that nothing comes in between.
const ENTER: &str = "\
    INSERT INTO tower_registration_nonce (key, fresh_until) \
    SELECT ?1, ?2 FROM tower_registration_nonces \
    WHERE id = 1 AND forgotten_until < ?3 AND live < ?4 \
    ON CONFLICT DO NOTHING";
const WHY_NOT: &str = "\
    SELECT EXISTS (SELECT 1 FROM tower_registration_nonce WHERE key = ?1), forgotten_until >= ?2 \
    FROM tower_registration_nonces WHERE id = 1";
/// Triggers count, and raise the mark, in the same statement.
const FORGET: &str = "\
    DELETE FROM tower_registration_nonce WHERE key IN \
    (SELECT key FROM tower_registration_nonce WHERE fresh_until < ?1 ORDER BY fresh_until LIMIT ?2)";

/// A [`ReplayGuard`] in a SQLite file, which several processes of one machine may share.
///
/// 1. A nonce is known by application and random value alone.
/// 2. An entry is kept until 15 s after its `fresh_until`, and then until some claim deletes it, a
///    bounded batch at a time; a nonce that meets it is [`Replayed`](ClaimOutcome::Replayed) still.
/// 3. The latest `fresh_until` of all deleted entries is kept in the file, raised in the statement
///    that deletes. A nonce that is fresh no later, and any nonce while the clock shows no later
///    than that, is [`Unknowable`](ClaimOutcome::Unknowable).
/// 4. What was claimed survives restarts, so that there is no need to refuse nonces dated before
///    one. A new file has no history that could be missing, and refuses none either: don't delete
///    the file of a running service within a nonce's window.
/// 5. Full is an error. There is no share for each application here, unlike in memory: the bound
///    saves the disk, and how fast one machine's disk takes claims keeps it far away.
#[derive(Clone, Debug)]
pub struct SqliteReplayGuard {
    pool: SqlitePool,
    capacity: i64,
    claims: Arc<AtomicU64>,
}

impl SqliteReplayGuard {
    pub(super) fn new(pool: SqlitePool) -> Self {
        Self {
            pool,
            capacity: 0,
            claims: Arc::default(),
        }
        .with_capacity(DEFAULT_CAPACITY)
    }

    /// The same guard with another bound on the nonces in the file; at least 1,
    /// [`DEFAULT_CAPACITY`] by default.
    #[must_use]
    pub fn with_capacity(self, nonces: u64) -> Self {
        Self {
            capacity: i64::try_from(nonces.max(1)).unwrap_or(i64::MAX),
            ..self
        }
    }

    /// How many entries are held, those included that are no longer fresh but not yet deleted.
    ///
    /// # Errors
    ///
    /// If the database gives no answer.
    pub async fn live(&self) -> Result<u64, SqliteError> {
        let live: i64 =
            sqlx::query_scalar("SELECT live FROM tower_registration_nonces WHERE id = 1")
                .fetch_one(&self.pool)
                .await
                .map_err(SqliteError::statement)?;
        Ok(u64::try_from(live).unwrap_or(0))
    }

    async fn decide(self, entry: NonceEntry, now: i64) -> Result<ClaimOutcome, SqliteError> {
        let mut outcome = self.enter(&entry, now).await?;
        if outcome.is_none() {
            self.forget(now).await?;
            outcome = self.enter(&entry, now).await?;
        } else if self
            .claims
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(FORGET_EVERY)
            && let Err(error) = self.forget(now).await
        {
            // The claim stands: what could not be deleted now will be later.
            trace::warn!(target: trace::VERIFY, error = %error, "passed nonces were not deleted");
        }
        outcome.ok_or(SqliteError::Full)
    }

    /// `None` is full.
    async fn enter(
        &self,
        entry: &NonceEntry,
        now: i64,
    ) -> Result<Option<ClaimOutcome>, SqliteError> {
        let entered = sqlx::query(ENTER)
            .bind(&entry.key[..])
            .bind(entry.fresh_until)
            .bind(entry.fresh_until.min(now))
            .bind(self.capacity)
            .execute(&self.pool)
            .await
            .map_err(SqliteError::statement)?
            .rows_affected();
        if entered == 1 {
            return Ok(Some(ClaimOutcome::Claimed));
        }
        let (known, forgotten): (bool, bool) = sqlx::query_as(WHY_NOT)
            .bind(&entry.key[..])
            .bind(entry.fresh_until.min(now))
            .fetch_one(&self.pool)
            .await
            .map_err(SqliteError::statement)?;
        Ok(if known {
            Some(ClaimOutcome::Replayed)
        } else {
            forgotten.then_some(ClaimOutcome::Unknowable)
        })
    }

    async fn forget(&self, now: i64) -> Result<(), SqliteError> {
        sqlx::query(FORGET)
            .bind(now.saturating_sub(KEPT_PASSED))
            .bind(FORGET_AT_MOST)
            .execute(&self.pool)
            .await
            .map_err(SqliteError::statement)?;
        Ok(())
    }
}

impl ReplayGuard for SqliteReplayGuard {
    type Error = SqliteError;
    type Future = Pin<Box<dyn Future<Output = Result<ClaimOutcome, SqliteError>> + Send>>;

    fn claim(&self, claim: Claim<'_>) -> Self::Future {
        let now = claim.now.timestamp_micros();
        Box::pin(self.clone().decide(NonceEntry::of(&claim), now))
    }

    async fn occupancy(&self) -> Result<Option<Occupancy>, SqliteError> {
        Ok(Some(Occupancy {
            live: self.live().await?,
            capacity: self.capacity.unsigned_abs(),
        }))
    }
}
