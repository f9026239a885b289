//! Tower layers that verify who calls an API, and the registration e-mail endpoint they guard.

pub mod app;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
pub mod gate;
pub mod headers;
pub mod mail;
pub mod nonce;
pub mod registration;
pub mod rejection;
pub mod secret;
pub mod signature;
mod trace;
pub mod verified;
