//! Tower layers that verify who calls an API, and the registration e-mail endpoint they guard.

pub mod app;
pub mod backend;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
pub mod delivery;
pub mod gate;
pub mod headers;
pub mod mail;
mod members;
pub mod nonce;
pub mod registration;
pub mod rejection;
pub mod secret;
pub mod signature;
mod target;
mod trace;
pub mod user_action;
pub mod verified;
pub mod verify;

pub use verify::VerifyRequest;
