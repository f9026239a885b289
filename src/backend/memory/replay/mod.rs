//! Used nonces in memory: the guard, its settings ([`builder`]), one shard of it ([`table`]), and
//! the set that a shard keeps its digests in ([`keys`]).

mod builder;
mod keys;
mod table;

pub use builder::{
    DEFAULT_CAPACITY, DEFAULT_WINDOW, MemoryGuardConfigError, MemoryReplayGuardBuilder,
};

use std::{
    fmt,
    future::{Ready, ready},
    sync::PoisonError,
};

use chrono::{DateTime, Utc};

use self::table::{Entry, NoRoom, Table};
use crate::{
    keyed::sip128,
    nonce::{Claim, ClaimOutcome, Occupancy, ReplayGuard},
    sync::guard::Mutex,
};

/// A [`ReplayGuard`] for one process: bounded, forgetting without a look at what it forgets.
///
/// 1. A nonce is known by application and random value alone. Another datetime makes no other
///    nonce.
/// 2. An entry is kept until its `fresh_until`, that instant included, and then, since entries are
///    forgotten in buckets, for a twelfth to a sixth of the
///    [window](MemoryReplayGuardBuilder::window) longer.
/// 3. What has been forgotten is remembered as one instant. A nonce that is fresh no later than
///    that, and any nonce while the clock shows no later than that, is
///    [`Unknowable`](ClaimOutcome::Unknowable): a clock that is set back reopens nothing. The
///    instant comes from entries that were really held, so that a clock that leaps ahead by years
///    and comes back costs no more than a window.
/// 4. Full is an error, for all ([`Full`](MemoryGuardError::Full)) and for each application
///    ([`ShareFull`](MemoryGuardError::ShareFull)). A live entry never makes room.
/// 5. What was claimed before the guard was built can't be known: nonces dated before are
///    [`Unknowable`](ClaimOutcome::Unknowable).
///
/// Entries are keyed digests (SipHash-1-3, a random key for each guard), so that nobody outside can
/// look for two nonces that collide. By chance one new nonce in 3 x 10^16 is taken for a used one,
/// and its client makes another; a used one is never taken for new. An entry takes 10 to 16 bytes.
///
/// Deployment: one process. Two processes that each have a guard accept a nonce twice; give them
/// one guard over a database instead.
///
/// ```
/// use chrono::{TimeDelta, Utc};
/// use tower_registration::{
///     app::AppId,
///     backend::memory::MemoryReplayGuard,
///     nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
/// };
///
/// let guard = MemoryReplayGuard::builder().build().unwrap();
/// let app = AppId::new("app").unwrap();
/// let nonce = NonceId::of("0d9b4a5e-6a3c-4d7f-9c58-2f1f6a0b7e11").unwrap();
/// let now = Utc::now();
/// let claim = Claim::new(&app, nonce, now, now + TimeDelta::seconds(300), now);
///
/// assert_eq!(guard.claim(claim).into_inner(), Ok(ClaimOutcome::Claimed));
/// assert_eq!(guard.claim(claim).into_inner(), Ok(ClaimOutcome::Replayed));
/// ```
pub struct MemoryReplayGuard {
    key: (u64, u64),
    shards: Box<[Shard]>,
    remembers_from: Option<DateTime<Utc>>,
}

/// A part of the guard. It shares no line of the processor's cache with the next, nor the line that
/// is fetched along with its own.
#[repr(align(128))]
struct Shard(Mutex<Table>);

/// Why a claim could not be made. The request is refused with 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryGuardError {
    /// As many nonces are live as the guard may hold, or live for so much longer than the
    /// [window](MemoryReplayGuardBuilder::window) that was set that it can't tell their ends apart.
    #[error(
        "the replay guard is full: raise its capacity, or set its window to that of the nonces"
    )]
    Full,
    /// This application has as many live nonces as one application may.
    #[error("the application's share of the replay guard is full")]
    ShareFull,
    /// A thread panicked while it held a part of the guard, which is not trusted since.
    #[error("the replay guard is broken: a thread panicked inside of it")]
    Poisoned,
}

impl MemoryReplayGuard {
    /// Settings of a new guard.
    pub fn builder() -> MemoryReplayGuardBuilder {
        MemoryReplayGuardBuilder::default()
    }

    /// How many entries are held, those included that are no longer fresh but not yet forgotten.
    #[must_use]
    pub fn live(&self) -> usize {
        self.sum(Table::live)
    }

    fn sum(&self, of_one: impl Fn(&Table) -> usize) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| of_one(&shard.0.lock().unwrap_or_else(PoisonError::into_inner)))
            .sum()
    }

    fn decide(&self, claim: &Claim<'_>) -> Result<ClaimOutcome, MemoryGuardError> {
        if self
            .remembers_from
            .is_some_and(|start| claim.issued_at < start)
        {
            return Ok(ClaimOutcome::Unknowable);
        }
        let (low, high) = claim.app.digest();
        // What an application's nonces are keyed by is its own, and as random as either part.
        let key = (self.key.0 ^ low, self.key.1 ^ high);
        let entry = Entry {
            key: joined(sip128(key, claim.nonce.as_bytes())),
            app: joined((low, high)),
            fresh_until: claim.fresh_until.timestamp_micros(),
        };
        self.shard(entry.key)
            .lock()
            .map_err(|_| MemoryGuardError::Poisoned)?
            .claim(entry, claim.now.timestamp_micros())
            .map_err(|no_room| match no_room {
                NoRoom::Table => MemoryGuardError::Full,
                NoRoom::Share => MemoryGuardError::ShareFull,
            })
    }

    /// The shard is chosen by the low bits of the digest's high half, which a [`KeySet`](keys::KeySet)
    /// has no use for.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as many bits are left as number the shards"
    )]
    fn shard(&self, key: u128) -> &Mutex<Table> {
        let high = (key >> 64) as usize;
        &self.shards[high & (self.shards.len() - 1)].0
    }
}

fn joined((low, high): (u64, u64)) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

impl ReplayGuard for MemoryReplayGuard {
    type Error = MemoryGuardError;
    type Future = Ready<Result<ClaimOutcome, MemoryGuardError>>;

    fn claim(&self, claim: Claim<'_>) -> Self::Future {
        ready(self.decide(&claim))
    }

    /// The capacity is what the shards hold together, which may be less than what was set by their
    /// number.
    async fn occupancy(&self) -> Result<Option<Occupancy>, MemoryGuardError> {
        Ok(Some(Occupancy {
            live: self.live() as u64,
            capacity: self.sum(Table::capacity) as u64,
        }))
    }
}

impl fmt::Debug for MemoryReplayGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryReplayGuard")
            .field("shards", &self.shards.len())
            .field("remembers_from", &self.remembers_from)
            .finish_non_exhaustive()
    }
}
