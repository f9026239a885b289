//! Our guard and its peers behind one trait, and nonces to claim.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use dashmap::{DashMap, Entry};
use futures_util::FutureExt;
use nonce_auth::{
    NonceError,
    storage::{MemoryStorage, NonceStorage},
};
use quick_cache::sync::{EntryAction, EntryResult};
use tower_registration::{
    app::AppId,
    backend::memory::MemoryReplayGuard,
    nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
};
use uuid::Uuid;

/// What every peer is keyed by: the application and the nonce, as they are.
type Key = (Arc<str>, Uuid);

/// Something that accepts a nonce once.
pub(crate) trait Claims: Sync {
    /// Room for `live` nonces and a quarter more, each fresh for `window`.
    fn new(live: usize, window: Duration) -> Self;
    /// Whether the nonce is a new one.
    fn claim(&self, app: &App, nonce: Uuid, now: DateTime<Utc>) -> bool;
}

pub(crate) struct Ours {
    guard: MemoryReplayGuard,
    window: TimeDelta,
}

impl Claims for Ours {
    fn new(live: usize, window: Duration) -> Self {
        let guard = MemoryReplayGuard::builder()
            .capacity(live * 2)
            .share_per_app(live * 2)
            .window(window)
            .insecure_accept_before_start();
        Self {
            guard: guard.build().expect("a guard"),
            window: TimeDelta::from_std(window).expect("a window"),
        }
    }

    fn claim(&self, app: &App, nonce: Uuid, now: DateTime<Utc>) -> bool {
        let claim = Claim::new(&app.id, NonceId::Uuid(nonce), now, now + self.window, now);
        self.guard.claim(claim).into_inner() == Ok(ClaimOutcome::Claimed)
    }
}

pub(crate) struct Moka(moka::sync::Cache<Key, ()>);

impl Claims for Moka {
    fn new(_live: usize, window: Duration) -> Self {
        Self(moka::sync::Cache::builder().time_to_live(window).build())
    }

    fn claim(&self, app: &App, nonce: Uuid, _now: DateTime<Utc>) -> bool {
        self.0
            .entry((Arc::clone(&app.text), nonce))
            .or_insert(())
            .is_fresh()
    }
}

pub(crate) struct QuickCache {
    cache: quick_cache::sync::Cache<Key, DateTime<Utc>>,
    window: Duration,
}

impl Claims for QuickCache {
    fn new(live: usize, window: Duration) -> Self {
        let cache = quick_cache::sync::Cache::new(live * 2);
        Self { cache, window }
    }

    fn claim(&self, app: &App, nonce: Uuid, now: DateTime<Utc>) -> bool {
        let until = now + self.window;
        let entry = self
            .cache
            .entry(&(Arc::clone(&app.text), nonce), None, |_, held| {
                if *held >= now {
                    EntryAction::Retain(false)
                } else {
                    *held = until;
                    EntryAction::Retain(true)
                }
            });
        match entry {
            EntryResult::Vacant(place) => place.insert(until).is_ok(),
            EntryResult::Retained(is_new) => is_new,
            _ => false,
        }
    }
}

pub(crate) struct Dash {
    map: DashMap<Key, DateTime<Utc>>,
    window: Duration,
}

impl Claims for Dash {
    fn new(_live: usize, window: Duration) -> Self {
        let map = DashMap::new();
        Self { map, window }
    }

    fn claim(&self, app: &App, nonce: Uuid, now: DateTime<Utc>) -> bool {
        match self.map.entry((Arc::clone(&app.text), nonce)) {
            Entry::Occupied(held) if *held.get() >= now => false,
            entry => {
                entry.insert(now + self.window);
                true
            }
        }
    }
}

/// It takes text, so that each nonce's is made here too.
pub(crate) struct NonceAuth {
    storage: MemoryStorage,
    window: Duration,
}

impl Claims for NonceAuth {
    fn new(_live: usize, window: Duration) -> Self {
        let storage = MemoryStorage::new();
        Self { storage, window }
    }

    fn claim(&self, app: &App, nonce: Uuid, _now: DateTime<Utc>) -> bool {
        let mut text = [0; 36];
        let text = nonce.hyphenated().encode_lower(&mut text);
        let set = self.storage.set(text, Some(&*app.text), self.window);
        match set.now_or_never() {
            Some(Ok(())) => true,
            Some(Err(NonceError::DuplicateNonce)) => false,
            _ => panic!("a storage in memory that nobody else uses answers at once"),
        }
    }
}

/// An application, as ours knows it and as the peers do.
pub(crate) struct App {
    id: AppId,
    text: Arc<str>,
}

pub(crate) fn app() -> App {
    let text = "ap-4s6se-e2t7n-89gfg50iaos73pm6";
    App {
        id: AppId::new(text).expect("an id"),
        text: text.into(),
    }
}

/// Random nonces, without a call of the operating system for each.
pub(crate) fn nonces(count: usize) -> Vec<Uuid> {
    let mut state = Uuid::new_v4().as_u128() | 1;
    let next = || {
        // The constant of a 128-bit linear congruential generator: L'Ecuyer, Mathematics of
        // Computation 68 (1999), table 4.
        state = state
            .wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645)
            .wrapping_add(1);
        uuid::Builder::from_u128(state ^ state >> 64).into_uuid()
    };
    std::iter::repeat_with(next).take(count).collect()
}
