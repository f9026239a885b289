//! Registrations and used nonces in one SQLite file: for one machine, surviving restarts.
//!
//! 1. What was acknowledged survives the death of the process, at once and always. Whether it
//!    survives a loss of power is a setting: see [`Durability`].
//! 2. Any number of processes of one machine may open the file. SQLite has one writer at a time;
//!    each process queues its own writes on one connection, and waits up to [`BUSY_TIMEOUT`] for
//!    those of others. Past that, it is an error, which refuses.
//! 3. File, parent directory and tables are made where they are missing, also by several processes
//!    that start at once. Tables carry the prefix `tower_registration_`.
//! 4. The file must be on a local disk: SQLite's locks and its write-ahead log do not work over
//!    network file systems.
//!
//! Putting an older copy of the file in place forgets the nonces claimed since: do so only after
//! the window of a nonce has passed.
//!
//! ```
//! use chrono::{TimeDelta, Utc};
//! use tower_registration::{
//!     app::AppId,
//!     backend::sqlite::SqliteBackend,
//!     nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
//! };
//!
//! # block_on(async {
//! let backend = SqliteBackend::connect("sqlite::memory:").await?;
//! let guard = backend.replay_guard();
//! let app = AppId::new("app")?;
//! let nonce = NonceId::of("0d9b4a5e-6a3c-4d7f-9c58-2f1f6a0b7e11")?;
//! let now = Utc::now();
//! let claim = Claim::new(&app, nonce, now, now + TimeDelta::seconds(300), now);
//!
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Claimed);
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Replayed);
//! # Ok(())
//! # });
//! # fn block_on(
//! #     example: impl Future<Output = Result<(), Box<dyn std::error::Error>>>,
//! # ) {
//! #     tokio::runtime::Builder::new_current_thread()
//! #         .enable_all()
//! #         .build()
//! #         .unwrap()
//! #         .block_on(example)
//! #         .unwrap();
//! # }
//! ```

mod connect;
mod error;
mod registrations;
mod replay;

pub use connect::{BUSY_TIMEOUT, DEFAULT_READERS, Durability, SqliteBackend, SqliteSettings};
pub use error::SqliteError;
pub use registrations::SqliteRegistrations;
pub use replay::{DEFAULT_CAPACITY, SqliteReplayGuard};
