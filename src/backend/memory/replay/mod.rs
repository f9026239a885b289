//! Used nonces in memory: exact, bounded, forgotten without being looked at.
//!
//! 1. A nonce is known by application and random value alone. Another datetime makes no other
//!    nonce.
//! 2. An entry is kept until its `fresh_until`, that instant included, and then, since entries are
//!    forgotten in buckets, for a twelfth to a sixth of the
//!    [window](MemoryReplayGuardBuilder::window) longer.
//! 3. What has been forgotten is remembered as one instant. A nonce that is fresh no later than
//!    that, and any nonce while the clock shows no later than that, is
//!    [`Unknowable`](ClaimOutcome::Unknowable): a clock that is set back reopens nothing. The
//!    instant comes from entries that were really held, so that a clock that leaps ahead by years
//!    and comes back costs no more than a window.
//! 4. Full is an error, for all ([`Full`](MemoryGuardError::Full)) and for each application
//!    ([`ShareFull`](MemoryGuardError::ShareFull)). A live entry never makes room.
//! 5. What was claimed before the guard was built can't be known: nonces dated before are
//!    [`Unknowable`](ClaimOutcome::Unknowable).
//!
//! Entries are 128-bit keyed digests (SipHash-2-4, a random key for each guard), so that nobody
//! outside can look for two nonces that collide. One takes 20 to 40 bytes.
//!
//! Deployment: one process. Two processes that each have a guard accept a nonce twice; give them
//! one guard over a database instead.
//!
//! ```
//! use chrono::{TimeDelta, Utc};
//! use tower_registration::{
//!     app::AppId,
//!     backend::memory::MemoryReplayGuard,
//!     nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
//! };
//!
//! let guard = MemoryReplayGuard::builder().build().unwrap();
//! let app = AppId::new("app").unwrap();
//! let nonce = NonceId::of("0d9b4a5e-6a3c-4d7f-9c58-2f1f6a0b7e11").unwrap();
//! let now = Utc::now();
//! let claim = Claim::new(&app, nonce, now, now + TimeDelta::seconds(300), now);
//!
//! assert_eq!(guard.claim(claim).into_inner(), Ok(ClaimOutcome::Claimed));
//! assert_eq!(guard.claim(claim).into_inner(), Ok(ClaimOutcome::Replayed));
//! ```

mod table;

use std::{
    fmt,
    future::{Ready, ready},
    hash::Hasher,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip128::{Hasher128, SipHasher24};

use self::table::{Entry, Limits, NoRoom, Table};
use crate::{
    app::AppId,
    clock::{Clock, SystemClock},
    nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
};

/// How many nonces a guard holds at most, unless set otherwise.
pub const DEFAULT_CAPACITY: usize = 1_000_000;
/// The window that a guard expects, unless set otherwise: the default age of a nonce and the
/// default lead together, 360 s.
pub const DEFAULT_WINDOW: Duration = Duration::from_secs(360);

/// Buckets that a window is cut into. A claim looks into each that is live.
const BUCKETS: u32 = 12;
/// From this capacity on, a guard has [`SHARDS`] shards; below, it has one and counts exactly.
const SHARDED_FROM: usize = 65_536;
/// A power of two, and enough that claims of a machine's cores seldom meet.
const SHARDS: usize = 16;

/// A [`ReplayGuard`] for one process. See the [rules](self) it keeps.
///
/// Clone-free by design: share it as `Arc<MemoryReplayGuard>`.
pub struct MemoryReplayGuard {
    key: [u8; 16],
    shards: Box<[Mutex<Table>]>,
    remembers_from: Option<DateTime<Utc>>,
}

/// Why a claim could not be made. The request is refused with 503.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryGuardError {
    /// As many nonces are live as the guard may hold.
    #[error("the replay guard is full: raise its capacity, or shorten the nonces' window")]
    Full,
    /// This application has as many live nonces as one application may.
    #[error("the application's share of the replay guard is full")]
    ShareFull,
    /// A thread panicked while it held a part of the guard, which is not trusted since.
    #[error("the replay guard is broken: a thread panicked inside of it")]
    Poisoned,
}

/// Why a guard could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryGuardConfigError {
    /// A guard that holds nothing would refuse everything.
    #[error("a replay guard's capacity is at least 1")]
    NoCapacity,
    /// An application without a share would always be refused.
    #[error("an application's share of a replay guard is at least 1")]
    NoShare,
    /// A window without length has no buckets.
    #[error("a replay guard's window is at least 1 ms")]
    NoWindow,
    /// The operating system gave no randomness.
    #[error("the operating system's random generator failed")]
    NoRandomness,
}

impl MemoryReplayGuard {
    /// Settings of a new guard.
    pub fn builder() -> MemoryReplayGuardBuilder {
        MemoryReplayGuardBuilder {
            capacity: DEFAULT_CAPACITY,
            share: None,
            window: DEFAULT_WINDOW,
            start: Start::Now,
            margin: Duration::ZERO,
        }
    }

    /// How many entries are held, those included that are no longer fresh but not yet forgotten.
    #[must_use]
    pub fn live(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).live())
            .sum()
    }

    fn decide(&self, claim: &Claim<'_>) -> Result<ClaimOutcome, MemoryGuardError> {
        if self
            .remembers_from
            .is_some_and(|start| claim.issued_at < start)
        {
            return Ok(ClaimOutcome::Unknowable);
        }
        let entry = Entry {
            key: self.digest(claim.app, Some(&claim.nonce)),
            app: self.digest(claim.app, None),
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

    /// The length in front keeps an id's end from being taken for a nonce's beginning.
    fn digest(&self, app: &AppId, nonce: Option<&NonceId>) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(app.as_str().len() as u64);
        hasher.write(app.as_str().as_bytes());
        if let Some(nonce) = nonce {
            hasher.write(nonce.as_bytes());
        }
        hasher.finish128().as_u128()
    }

    /// The shard is chosen by the digest's high bits; the tables in it hash by the low ones.
    fn shard(&self, key: u128) -> &Mutex<Table> {
        let high = (key >> 64) as usize;
        &self.shards[high & (self.shards.len() - 1)]
    }
}

impl ReplayGuard for MemoryReplayGuard {
    type Error = MemoryGuardError;
    type Future = Ready<Result<ClaimOutcome, MemoryGuardError>>;

    fn claim(&self, claim: Claim<'_>) -> Self::Future {
        ready(self.decide(&claim))
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

/// From when on the guard answers for what has been claimed.
#[derive(Clone, Copy, Debug)]
enum Start {
    Now,
    At(DateTime<Utc>),
    Ever,
}

/// Settings of a [`MemoryReplayGuard`].
#[derive(Clone, Debug)]
#[must_use]
pub struct MemoryReplayGuardBuilder {
    capacity: usize,
    share: Option<usize>,
    window: Duration,
    start: Start,
    margin: Duration,
}

impl MemoryReplayGuardBuilder {
    /// How many nonces the guard holds at most; at least 1, [`DEFAULT_CAPACITY`] by default.
    ///
    /// Below 65,536 this is exact. From there on each of 16 shards holds a sixteenth. Nonces
    /// spread evenly by chance, so that the first shard is full, and the first claim refused, at
    /// 97 % or more of the capacity; the guard never holds more than it.
    pub fn capacity(self, nonces: usize) -> Self {
        Self {
            capacity: nonces,
            ..self
        }
    }

    /// How many of them one application holds at most, so that its flood leaves room for others;
    /// at least 1, half of the capacity by default. As exact as the capacity.
    pub fn share_per_app(self, nonces: usize) -> Self {
        Self {
            share: Some(nonces),
            ..self
        }
    }

    /// How long a nonce may be fresh in all: `max_age` and `max_future` of the
    /// [`Freshness`](crate::nonce::Freshness) in front of the guard, added up. At least 1 ms,
    /// [`DEFAULT_WINDOW`] by default.
    ///
    /// It decides how finely entries are forgotten, and nothing else: a wrong value costs memory
    /// or time, but accepts nothing twice.
    pub fn window(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// Takes the guard's start from `clock`, which is read once, here. By default it is the
    /// system's time when the guard is built.
    pub fn clock(self, clock: &(impl Clock + ?Sized)) -> Self {
        Self {
            start: Start::At(clock.now()),
            ..self
        }
    }

    /// How far past its start the guard goes on to refuse; 0 by default.
    ///
    /// A nonce that was dated ahead, by a client whose clock is fast, and claimed before a restart
    /// is dated after the start, and could be used a second time. A margin as long as
    /// `max_future` closes that gap; the price is that nobody with a right clock gets in for that
    /// long after a start.
    pub fn start_margin(self, margin: Duration) -> Self {
        Self { margin, ..self }
    }

    /// Accepts nonces dated before the guard's start.
    ///
    /// Whoever kept a request from before a restart can then send it once more, as long as its
    /// nonce is fresh. Use it where that can't be: no request was served before this process, or
    /// a second one does no harm.
    pub fn insecure_accept_before_start(self) -> Self {
        Self {
            start: Start::Ever,
            ..self
        }
    }

    /// Builds the guard.
    ///
    /// # Errors
    ///
    /// If a setting is out of its bounds, or the operating system gives no randomness.
    pub fn build(self) -> Result<MemoryReplayGuard, MemoryGuardConfigError> {
        let share = self.share.unwrap_or((self.capacity / 2).max(1));
        if self.capacity == 0 {
            return Err(MemoryGuardConfigError::NoCapacity);
        }
        if share == 0 {
            return Err(MemoryGuardConfigError::NoShare);
        }
        if self.window < Duration::from_millis(1) {
            return Err(MemoryGuardConfigError::NoWindow);
        }
        let mut key = [0; 16];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| MemoryGuardConfigError::NoRandomness)?;
        let shards = if self.capacity < SHARDED_FROM {
            1
        } else {
            SHARDS
        };
        let limits = Limits {
            capacity: self.capacity / shards,
            share: share.div_ceil(shards),
            width: i64::try_from((self.window / BUCKETS).as_micros()).unwrap_or(i64::MAX),
        };
        Ok(MemoryReplayGuard {
            key,
            shards: (0..shards)
                .map(|_| Mutex::new(Table::new(limits)))
                .collect(),
            remembers_from: self.remembers_from(),
        })
    }

    fn remembers_from(&self) -> Option<DateTime<Utc>> {
        let start = match self.start {
            Start::Now => SystemClock.now(),
            Start::At(time) => time,
            Start::Ever => return None,
        };
        let margin = TimeDelta::from_std(self.margin).unwrap_or(TimeDelta::MAX);
        let end = start.checked_add_signed(margin);
        Some(end.unwrap_or(DateTime::<Utc>::MAX_UTC))
    }
}
