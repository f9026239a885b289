//! Used nonces in Redis or Valkey: for any number of processes on any number of machines.
//!
//! 1. A claim is one round trip: `SET key value NX PXAT end` and `PTTL key`, in one pipeline. The key
//!    is a hash of fixed size under a [prefix](RedisSettings::prefix); every nonce is a key of its
//!    own, so that a cluster spreads them.
//! 2. An entry ends by the *server's* clock, a [tolerance](RedisSettings::clock_tolerance) after the
//!    nonce stops being fresh. Where the server's clock and the claim's are apart by more than that,
//!    the answer is [`Unknowable`](crate::nonce::ClaimOutcome::Unknowable): keep clocks in step (NTP,
//!    slewing).
//! 3. A server that does not answer within its time is an error, which refuses. The guard connects
//!    again by itself, with a later claim: one connection at a time, whatever becomes of the claims
//!    that wait for it. One late answer does not end a connection; silence does.
//! 4. A server that evicts forgets nonces that are fresh still: with any `maxmemory-policy` but
//!    `noeviction`, connecting is an error. Full is then an error, too.
//!
//! # What can be lost
//!
//! | event | one server | cluster |
//! | --- | --- | --- |
//! | restart without persistence, or from an older snapshot | nothing is reopened: nonces dated before the start are `Unknowable` | claims of the node are lost |
//! | failover | claims that the replica had not got are lost | the same |
//! | a primary without persistence restarts, and a replica is promoted later | all claims are lost | claims of the node are lost |
//! | `FLUSHALL`, `DEL` by hand | claims are lost | the same |
//!
//! A lost claim can be made again while its nonce is fresh. A server's start is asked for on every
//! new connection, before a claim goes through it, and a restart ends all connections, so that no
//! claim meets a restarted server unknowingly. The connections of a cluster are the driver's, which
//! makes them anew without a word: there is no such place. Let a cluster's nodes persist
//! (`appendonly yes`, `appendfsync always`), or not restart by themselves within a nonce's window.
//!
//! A primary that restarts empty is the worst of these, if it has replicas: they copy its emptiness.
//! When one of them is promoted, it has forgotten everything, and its own start, which is what the
//! guard asks for, is long ago: nothing seems amiss. So let a server that has replicas persist, or not
//! restart by itself; Redis's own manual asks for the same.
//!
//! Replication is asynchronous. [`wait_for_replicas`](RedisSettings::wait_for_replicas) makes a
//! claim wait until replicas have it; that narrows what a failover loses, but Redis does not promise
//! that it promotes one of them.
//!
//! A proxy that keeps connections of its own to the server hides a restart. Connect to the server
//! itself, or through what forwards connections one to one. In a cluster, a nonce may be refused as
//! a replay while its slot moves from node to node.
//!
//! # Sentinel
//!
//! Sentinel is not supported: the guard does not ask it who the primary is. Give the guard the
//! current primary's address, or that of a proxy which forwards each connection to the current
//! primary and ends it when that changes. A server that has become a replica answers `READONLY`; the
//! guard then connects anew, to whoever is at the same address.
//!
//! # Versions, and what was tested
//!
//! Redis 6.2 or Valkey 7.2, and later: `SET` with `PXAT`. Valkey speaks the same commands.
//!
//! Tested are Redis 7.0 and Valkey 9.1: one server and its restarts, one with a replica, and a
//! cluster of three primaries. Not tested are other versions, failovers, proxies that speak Redis,
//! TLS, and [`wait_for_replicas`](RedisSettings::wait_for_replicas) in a cluster.
//!
//! To run the tests on Valkey, name its program, which they start, and a running server:
//!
//! ```text
//! REDIS_SERVER=valkey-server TEST_REDIS_URL=redis://127.0.0.1:6379 cargo test --test it redis
//! ```
//!
//! # TLS
//!
//! `rediss://` needs a feature of the `redis` crate: depend on it with `tokio-rustls-comp`, and
//! install a provider of rustls (`ring` is in use here already).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use chrono::{TimeDelta, Utc};
//! use tower_registration::{
//!     app::AppId,
//!     backend::redis::RedisReplayGuard,
//!     nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
//! };
//!
//! let guard = RedisReplayGuard::connect("redis://127.0.0.1:6379").await?;
//! let app = AppId::new("app")?;
//! let nonce = NonceId::of(&uuid::Uuid::new_v4().to_string())?;
//! let now = Utc::now();
//! let claim = Claim::new(&app, nonce, now, now + TimeDelta::seconds(300), now);
//!
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Claimed);
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Replayed);
//! # Ok(())
//! # }
//! ```

mod connection;
mod error;
mod handshake;
mod replay;
mod settings;

pub use error::RedisGuardError;
pub use replay::RedisReplayGuard;
pub use settings::{
    CONNECT_TIMEOUT, DEFAULT_CLOCK_TOLERANCE, DEFAULT_PREFIX, MAX_CLOCK_TOLERANCE,
    RESPONSE_TIMEOUT, RedisSettings,
};
