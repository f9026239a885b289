//! The port that remembers which nonces have been used.

use std::{error::Error, future::Future};

use chrono::{DateTime, Utc};

use super::NonceId;
use crate::app::AppId;

/// A nonce to be used up.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Claim<'a> {
    /// The application that sent it. Equal nonces of two applications are two nonces.
    pub app: &'a AppId,
    /// What makes the nonce one: its random value.
    pub nonce: NonceId,
    /// The datetime that the nonce itself states.
    pub issued_at: DateTime<Utc>,
    /// Last instant at which the nonce is fresh, that instant included.
    pub fresh_until: DateTime<Utc>,
    /// The time of the claim, by the caller's clock.
    pub now: DateTime<Utc>,
}

impl<'a> Claim<'a> {
    /// A claim made at `now`.
    #[must_use]
    pub fn new(
        app: &'a AppId,
        nonce: NonceId,
        issued_at: DateTime<Utc>,
        fresh_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            app,
            nonce,
            issued_at,
            fresh_until,
            now,
        }
    }
}

/// What became of a [`Claim`]. These three are the contract: another would be another contract, and so a
/// new major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClaimOutcome {
    /// First use: the nonce is the caller's, and nobody else's until it stops being fresh.
    Claimed,
    /// The nonce has been used before.
    Replayed,
    /// The guard can't know whether the nonce has been used: it dates from before the guard's own
    /// memory, or from a time that the guard has already forgotten. The caller needs a new nonce.
    Unknowable,
}

/// How full a guard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Occupancy {
    /// Entries that take up room, those included that are no longer fresh but not yet forgotten.
    pub live: u64,
    /// How many there may be.
    pub capacity: u64,
}

impl Occupancy {
    /// `live` entries where there may be `capacity`.
    #[must_use]
    pub fn new(live: u64, capacity: u64) -> Self {
        Self { live, capacity }
    }
}

/// Remembers used nonces.
///
/// # Contract
///
/// 1. **One atomic step.** Of any number of claims of one `(app, nonce)`, at once or in a row,
///    exactly one is [`Claimed`](ClaimOutcome::Claimed) while the first one's `fresh_until` has
///    not passed, whatever times the others state.
/// 2. **Kept until `fresh_until`**, that instant included, whenever the claim arrived.
/// 3. **Never evicts a live entry** to make room: full is an error.
/// 4. **Never reopens.** Once an entry is forgotten, a claim that it would have refused is
///    [`Unknowable`](ClaimOutcome::Unknowable), though the clock step back.
/// 5. An error means that nothing is known; the request is refused with 503. So does a dropped
///    future: the claim may have taken place.
/// 6. **Refuses no first use** of a fresh nonce for what other claims' clocks showed: not where one
///    is 2 s ahead, and not, a window later, where one had leaped ahead and come back.
/// 7. [`occupancy`](Self::occupancy), where it is told, counts every live entry once.
///
/// The future is an associated type, so that a guard in memory answers without allocating. A guard
/// over a database sets `type Future = Pin<Box<dyn Future<…> + Send>>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no replay guard",
    note = "give one to `.replay_guard(…)`: `tower_registration::backend::memory::MemoryReplayGuard` for one process, or your own `tower_registration::nonce::ReplayGuard`",
    note = "for what outlives the process or is shared by many: `tower_registration::backend::sqlite::SqliteReplayGuard`, `tower_registration::backend::postgres::PostgresReplayGuard` and `tower_registration::backend::redis::RedisReplayGuard`, each behind the feature of its module's name"
)]
pub trait ReplayGuard: Send + Sync + 'static {
    /// Why a claim could not be made.
    type Error: Into<Box<dyn Error + Send + Sync>>;
    /// The claim under way.
    type Future: Future<Output = Result<ClaimOutcome, Self::Error>> + Send + 'static;

    /// Uses the nonce up, or tells that it has been.
    fn claim(&self, claim: Claim<'_>) -> Self::Future;

    /// How full the guard is, if it has a bound and can tell without counting: to be watched, and
    /// asked for every few seconds, never by a request. By default it can't.
    fn occupancy(&self) -> impl Future<Output = Result<Option<Occupancy>, Self::Error>> + Send
    where
        Self: Sized,
    {
        async { Ok(None) }
    }
}

impl<G: ReplayGuard> ReplayGuard for std::sync::Arc<G> {
    type Error = G::Error;
    type Future = G::Future;

    fn claim(&self, claim: Claim<'_>) -> Self::Future {
        G::claim(self, claim)
    }

    fn occupancy(&self) -> impl Future<Output = Result<Option<Occupancy>, Self::Error>> + Send {
        G::occupancy(self)
    }
}
