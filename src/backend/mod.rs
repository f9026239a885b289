//! Stores and replay guards that come with the crate. They know the traits alone: nothing else of
//! the crate imports them, and an embedder may put another in the place of each.
//!
//! | where | replay guard | registrations | for |
//! | --- | --- | --- | --- |
//! | [`memory`] | yes | yes, an outbox | one process, and tests |
//! | `sqlite` | yes | yes, an outbox | one machine, restarts |
//! | `postgres` | yes | yes, an outbox | many machines |
//! | `redis` | yes | | many machines |
//!
//! Each passes the suites of `conformance`. What each loses when power, a server or a replica fails stands
//! in its own documentation; the pages of the guide are [`store`](crate::guide::store) and
//! [`many`](crate::guide::many).

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod backlog;
pub mod memory;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod nonce_key;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;
