//! Stores and replay guards that come with the crate. They know the traits alone: nothing else of
//! the crate imports them, and an embedder may put another in the place of each.

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
