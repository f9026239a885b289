//! Used nonces in a table.

use std::{
    error::Error,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use sqlx::{SqlStr, query_as};

use super::{
    PostgresError,
    ask::{Ask, in_time},
    schema::Schema,
};
use crate::{
    backend::nonce_key::NonceEntry,
    nonce::{Claim, ClaimOutcome, Occupancy, ReplayGuard},
    trace,
};

/// How many nonces the table holds at most, unless set otherwise: about 2 GB with its indexes.
pub const DEFAULT_CAPACITY: u64 = 10_000_000;

/// Every so many claims of this process, entries that have passed are deleted…
const FORGET_EVERY: u64 = 128;
/// …so many at most: more than come in between, few enough that the deletion is short.
const FORGET_AT_MOST: i64 = 512;

/// Entries are kept so long after they have passed, in microseconds: longer than a claim waits for
/// its answer, so that one whose time was read long before meets nothing forgotten.
const KEPT_PASSED: i64 = 15_000_000;

/// The function, in the migrations, says why it is safe.
const CLAIM: &str = "SELECT {schema}.tower_registration_claim($1, $2, $3, $4)";
/// The state of its error where a deletion overtook it.
const OVERTAKEN: &str = "TR001";
/// What another process is deleting is left to it.
const FORGET: &str = "\
    WITH passed AS ( \
        SELECT key FROM {schema}.tower_registration_nonce \
        WHERE fresh_until < $1 ORDER BY fresh_until LIMIT $2 FOR UPDATE SKIP LOCKED \
    ), gone AS ( \
        DELETE FROM {schema}.tower_registration_nonce AS entry USING passed \
        WHERE entry.key = passed.key RETURNING 1 \
    ) \
    SELECT count(*) FROM gone";
const LIVE: &str = "\
    SELECT last_value - forgotten FROM {schema}.tower_registration_nonces, \
    {schema}.tower_registration_nonce_entered WHERE id = 1";

/// A [`ReplayGuard`] in PostgreSQL, which any number of processes on any number of machines share.
///
/// 1. A nonce is known by application and random value alone.
/// 2. A claim is one statement and one round trip, whatever its outcome; at a full table, where
///    room is looked for, three. [`ANSWER_TIMEOUT`](super::ANSWER_TIMEOUT) bounds them together.
/// 3. An entry is kept until 15 s after its `fresh_until`, and then until a process that claims
///    deletes it, a bounded batch at a time and beside its claims; a nonce that meets it is
///    [`Replayed`](ClaimOutcome::Replayed) still.
/// 4. The latest `fresh_until` of all deleted entries is kept, raised in the transaction that
///    deletes. A nonce that is fresh no later, and any nonce while the caller's clock shows no later
///    than that, is [`Unknowable`](ClaimOutcome::Unknowable).
/// 5. What was claimed survives restarts of the process and of the server, since each claim is on
///    the disk (unless the server's `synchronous_commit` or `fsync` is off). A standby that takes
///    over must be a synchronous one, or claims of the last moments may be lost with the primary.
/// 6. Full is an error. Entries are counted by a sequence and by what was deleted, without a row
///    for claims to queue at: claims under way at the same time may pass the bound by their number,
///    and each crash of the server may count up to 32 entries that are none.
/// 7. There is no share for each application: the bound saves the disk, and one application's flood
///    can use up the room of the rest.
///
/// Don't truncate the table, or put an older copy in place, within a nonce's window: both forget
/// without a mark.
#[derive(Clone, Debug)]
pub struct PostgresReplayGuard {
    ask: Ask,
    claim: SqlStr,
    forget: SqlStr,
    live: SqlStr,
    capacity: i64,
    claims: Arc<AtomicU64>,
    forgetting: Arc<AtomicBool>,
}

impl PostgresReplayGuard {
    pub(super) fn new(ask: Ask, schema: &Schema) -> Self {
        Self {
            ask,
            claim: schema.sql(CLAIM),
            forget: schema.sql(FORGET),
            live: schema.sql(LIVE),
            capacity: 0,
            claims: Arc::default(),
            forgetting: Arc::default(),
        }
        .with_capacity(DEFAULT_CAPACITY)
    }

    /// The same guard with another bound on the nonces in the table; at least 1,
    /// [`DEFAULT_CAPACITY`] by default. Processes on one table should agree on it.
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
    pub async fn live(&self) -> Result<u64, PostgresError> {
        let live: Option<(i64,)> = self.ask.for_one(query_as(self.live.clone())).await?;
        Ok(live.map_or(0, |(live,)| u64::try_from(live).unwrap_or(0)))
    }

    async fn decide(self, entry: NonceEntry, now: i64) -> Result<ClaimOutcome, PostgresError> {
        let mut outcome = self.enter(&entry, now).await?;
        if outcome.is_none() && self.forget(now).await? {
            outcome = self.enter(&entry, now).await?;
        } else if self
            .claims
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(FORGET_EVERY)
        {
            self.forget_meanwhile(now);
        }
        outcome.ok_or(PostgresError::Full)
    }

    /// `None` is full.
    async fn enter(
        &self,
        entry: &NonceEntry,
        now: i64,
    ) -> Result<Option<ClaimOutcome>, PostgresError> {
        let statement = query_as(self.claim.clone())
            .bind(&entry.key[..])
            .bind(entry.fresh_until)
            .bind(now)
            .bind(self.capacity);
        let told: Option<(i32,)> = match self.ask.for_one(statement).await {
            Err(PostgresError::Statement(error)) if is_overtaken(&*error) => {
                return Ok(Some(ClaimOutcome::Unknowable));
            }
            told => told?,
        };
        Ok(match told {
            Some((1,)) => Some(ClaimOutcome::Claimed),
            Some((2,)) => Some(ClaimOutcome::Replayed),
            Some((3,)) => Some(ClaimOutcome::Unknowable),
            _ => None,
        })
    }

    /// Deletes a batch of what has passed, unless this process is at it, and tells whether it did.
    async fn forget(&self, now: i64) -> Result<bool, PostgresError> {
        let Some(_turn) = Turn::take(&self.forgetting) else {
            return Ok(false);
        };
        let statement = query_as(self.forget.clone())
            .bind(now.saturating_sub(KEPT_PASSED))
            .bind(FORGET_AT_MOST);
        let gone: Option<(i64,)> = self.ask.for_one(statement).await?;
        Ok(gone.is_some_and(|(entries,)| entries > 0))
    }

    /// In a task of its own: no claim waits for it.
    fn forget_meanwhile(&self, now: i64) {
        let guard = self.clone();
        tokio::spawn(async move {
            if let Err(error) = guard.forget(now).await {
                trace::warn!(target: trace::VERIFY, error = %error, "passed nonces were not deleted: will be tried again");
            }
        });
    }
}

impl ReplayGuard for PostgresReplayGuard {
    type Error = PostgresError;
    type Future = Pin<Box<dyn Future<Output = Result<ClaimOutcome, PostgresError>> + Send>>;

    fn claim(&self, claim: Claim<'_>) -> Self::Future {
        let now = claim.now.timestamp_micros();
        Box::pin(in_time(self.clone().decide(NonceEntry::of(&claim), now)))
    }

    async fn occupancy(&self) -> Result<Option<Occupancy>, PostgresError> {
        Ok(Some(Occupancy {
            live: self.live().await?,
            capacity: self.capacity.unsigned_abs(),
        }))
    }
}

fn is_overtaken(error: &(dyn Error + 'static)) -> bool {
    let error = error
        .downcast_ref()
        .and_then(sqlx::Error::as_database_error);
    error.is_some_and(|error| error.code().is_some_and(|code| code == OVERTAKEN))
}

/// The one turn that a process has at forgetting, given back however it ends.
struct Turn<'a>(&'a AtomicBool);

impl<'a> Turn<'a> {
    fn take(taken: &'a AtomicBool) -> Option<Self> {
        (!taken.swap(true, Ordering::Acquire)).then_some(Self(taken))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}
