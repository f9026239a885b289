//! How to: one page for each task.
//!
//! | page | task |
//! | --- | --- |
//! | [`axum`] | mount it on axum |
//! | [`hyper`] | mount it on hyper, without a framework |
//! | [`compose`] | put it among other layers: which order, why, and what it costs |
//! | [`store`] | write your own store, over a users table that is there already |
//! | [`mailer`] | write your own mailer |
//! | [`rotate`] | rotate keys and secrets |
//! | [`many`] | run it on many machines |
//! | [`caller`] | what the caller sees when |
//!
//! The code on these pages is compiled and run by `cargo test`. It uses what the crate's tests use
//! too: all features, axum, hyper-util and tokio.

#[doc = include_str!("docs/guide/axum.md")]
pub mod axum {}

#[doc = include_str!("docs/guide/hyper.md")]
pub mod hyper {}

#[doc = include_str!("docs/guide/compose.md")]
pub mod compose {}

#[doc = include_str!("docs/guide/store.md")]
pub mod store {}

#[doc = include_str!("docs/guide/mailer.md")]
pub mod mailer {}

#[doc = include_str!("docs/guide/rotate.md")]
pub mod rotate {}

#[doc = include_str!("docs/guide/many.md")]
pub mod many {}

#[doc = include_str!("docs/guide/caller.md")]
pub mod caller {}
