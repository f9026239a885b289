//! Settings of a guard in memory.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ring::rand::{SecureRandom, SystemRandom};

use super::{
    MemoryReplayGuard, Shard,
    table::{Limits, Table},
};
use crate::{
    clock::{Clock, SystemClock},
    sync::guard::Mutex,
};

/// How many nonces a guard holds at most, unless set otherwise.
pub const DEFAULT_CAPACITY: usize = 1_000_000;
/// The window that a guard expects, unless set otherwise: the default age of a nonce and the
/// default lead together, 360 s.
pub const DEFAULT_WINDOW: Duration = Duration::from_mins(6);

/// Buckets that a window is cut into: how finely entries are forgotten.
const BUCKETS: u32 = 12;
/// A guard whose capacity and share are at least this is cut into shards; others have one, and
/// count exactly.
const SHARDED_FROM: usize = 262_144;
/// Entries that a shard has room for, at least: 10 % of them are 6.4 standard deviations of what
/// chance makes it hold.
const SHARD_ROOM: usize = 4_096;
/// Most shards: enough that two threads seldom meet, since one that has to wait is put to sleep,
/// which costs as much as a hundred claims.
const MAX_SHARDS: usize = 64;

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

impl Default for MemoryReplayGuardBuilder {
    fn default() -> Self {
        Self {
            capacity: DEFAULT_CAPACITY,
            share: None,
            window: DEFAULT_WINDOW,
            start: Start::Now,
            margin: Duration::ZERO,
        }
    }
}

impl MemoryReplayGuardBuilder {
    /// How many nonces the guard holds at most; at least 1, [`DEFAULT_CAPACITY`] by default.
    ///
    /// It is exact where it or the [share](Self::share_per_app) is below 262,144. Otherwise each of
    /// up to 64 shards holds its part; nonces spread over them by chance, so that the first claim
    /// may be refused at 90 % of the capacity. The guard never holds more than it.
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

    /// When the guard's memory begins: nonces dated before it are
    /// [`Unknowable`](crate::nonce::ClaimOutcome::Unknowable). By default the system's time when the
    /// guard is built.
    pub fn started_at(self, start: DateTime<Utc>) -> Self {
        Self {
            start: Start::At(start),
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
        let random = || {
            let mut bytes = [0; 8];
            let filled = SystemRandom::new().fill(&mut bytes);
            filled.map_err(|_| MemoryGuardConfigError::NoRandomness)?;
            Ok(u64::from_ne_bytes(bytes))
        };
        let key = (random()?, random()?);
        let shards = match self.capacity.min(share) {
            ..SHARDED_FROM => 1,
            // A power of two.
            room => (1 << (room / SHARD_ROOM).ilog2()).min(MAX_SHARDS),
        };
        let limits = Limits {
            capacity: self.capacity / shards,
            share: share / shards,
            width: i64::try_from((self.window / BUCKETS).as_micros()).unwrap_or(i64::MAX),
        };
        Ok(MemoryReplayGuard {
            key,
            shards: (0..shards)
                .map(|_| Shard(Mutex::new(Table::new(limits))))
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

/// From when on the guard answers for what has been claimed.
#[derive(Clone, Copy, Debug)]
enum Start {
    Now,
    At(DateTime<Utc>),
    Ever,
}

/// Why a guard could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryGuardConfigError {
    /// A guard that holds nothing would refuse everything.
    #[error("a replay guard without capacity would refuse every request: set it to at least 1")]
    NoCapacity,
    /// An application without a share would always be refused.
    #[error(
        "an application without a share of the replay guard would always be refused: set it to at least 1"
    )]
    NoShare,
    /// A window without length has no buckets.
    #[error("a replay guard's window is too short: set it to that of the nonces, 1 ms at least")]
    NoWindow,
    /// The operating system gave no randomness.
    #[error("the operating system's random generator failed")]
    NoRandomness,
}
