//! Tower layers that verify who calls an API, and the registration e-mail endpoint they guard.
//!
//! * [`VerifyRequest`] verifies application id, application secret, a signature over the whole
//!   request, and a one-time nonce, in the one [safe order](verify). Its checks are layers of
//!   their own, too: [`AppLayer`](app::AppLayer), [`ApiSignatureLayer`](signature::ApiSignatureLayer),
//!   [`NonceLayer`](nonce::NonceLayer), [`UserActionLayer`](user_action::UserActionLayer).
//! * [`ResendRegistration`](registration::ResendRegistration) serves
//!   `PUT /auth/manage/users/send-registration-email`: it sends a user a new registration code and
//!   makes the one before invalid.
//!
//! # Mount it
//!
//! ```
//! use axum::{Router, body::Body, http::Request};
//! use tower::{ServiceBuilder, ServiceExt};
//! use tower_registration::{
//!     VerifyRequest,
//!     app::{AppId, Application, StaticApps},
//!     backend::memory::{MemoryMailer, MemoryRegistrations, MemoryReplayGuard},
//!     delivery::{Courier, Deliverer},
//!     registration::{
//!         self, OrgId, Registration, RegistrationKey, Registrations, ResendRegistration, UserId,
//!         UserKind, Username,
//!     },
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let app = Application::client_side(AppId::new("312CE25E-A112-4D45-9965-6175E7C568DD")?)
//!     .with_permissions(["Auth:Users:Create", "Auth:Types:EndUser"]);
//! let verify = VerifyRequest::builder()
//!     .apps(StaticApps::new([app])?)                           // your `AppRegistry`
//!     .replay_guard(MemoryReplayGuard::builder().build()?)     // or `SqliteReplayGuard`
//!     .authority("api.example.com")
//!     .build()?;
//!
//! let store = MemoryRegistrations::new();                      // your `RegistrationStore`
//! let jane = UserId {
//!     org_id: OrgId::new("example-org-id")?,
//!     username: Username::new("jane@example.co")?,
//! };
//! store.insert_if_absent(&jane, Registration::pending(UserKind::EndUser, "jane@example.co"));
//! let mailer = MemoryMailer::new();                            // your `Mailer`
//! // With a store that survives a restart, a key that does too: `RegistrationKey::from_hex`.
//! let registrations = Registrations::new(store, RegistrationKey::generate()?);
//! let courier = Courier::new(Deliverer::new(registrations.clone(), mailer));
//! let resend = ResendRegistration::builder(registrations, courier).build()?;
//!
//! let service = ServiceBuilder::new().layer(verify).service(resend);
//! let router: Router = Router::new().route_service(registration::PATH, service);
//!
//! // A request without credentials gets no further than the checks.
//! let request = Request::put(registration::PATH).body(Body::empty())?;
//! let refused = router.oneshot(request).await?;
//! assert_eq!(refused.status(), 401);
//! # Ok(())
//! # }
//! ```
//!
//! # What to bring
//!
//! | port | says | comes with the crate |
//! | --- | --- | --- |
//! | [`AppRegistry`](app::AppRegistry) | which applications there are | [`StaticApps`](app::StaticApps), [`CachedApps`](app::CachedApps) over a slow one |
//! | [`ReplayGuard`](nonce::ReplayGuard) | which nonces have been used | `MemoryReplayGuard`, `SqliteReplayGuard`, `PostgresReplayGuard`, `RedisReplayGuard` in [`backend`] |
//! | [`RegistrationStore`](registration::RegistrationStore) | how far users have come | `MemoryRegistrations`, `SqliteRegistrations`, `PostgresRegistrations` in [`backend`] |
//! | [`Mailer`](mail::Mailer) | how mail is sent | `LettreMailer` in [`mail`] |
//! | [`UserActionVerifier`](user_action::UserActionVerifier) | whether a user confirmed an action | |
//!
//! Mails are delivered by a [`Courier`](delivery::Courier) in this process, or, where the store is
//! an [`Outbox`](registration::Outbox), by [`Dispatcher`](delivery::Dispatcher)s in any.
//!
//! # What the caller sees
//!
//! [`guide::caller`] has the table. What is wrong with a request is told in a word; what the store
//! knows is never told. What really happened goes to `tracing` (targets `tower_registration::verify`,
//! `::resend` and `::delivery`), to the observers of the builders, and to the
//! [`Rejection`](rejection::Rejection) in the response's extensions.
//!
//! # Features
//!
//! `tracing` is on by default. Opt-in and additive: `axum` (the original URI behind nested
//! routers), `client` (the layer that signs outgoing requests), `conformance` (the contracts of the
//! ports as tests, for your own), `metrics` (numbers to watch), `postgres`, `redis`, `sqlite`,
//! `smtp` (lettre: SMTP and `.eml` files).
//!
//! # Further
//!
//! The [`guide`] has a page for each task, such as composing it with other layers, or writing a store
//! of your own. The map of the code and the reasons behind it are in [`architecture`], the attacks and what
//! answers each in [`threats`], what it costs in [`performance`], and the reason for each crate that
//! it builds on in [`dependencies`].

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod app;
pub mod backend;
#[cfg(feature = "client")]
pub mod client;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod delivery;
mod encoding;
pub mod gate;
pub mod headers;
mod keyed;
pub mod mail;
mod measure;
mod members;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(all(test, model))]
mod model;
pub mod nonce;
pub mod registration;
pub mod rejection;
pub mod secret;
pub mod signature;
mod sync;
mod target;
mod trace;
pub mod user_action;
pub mod verified;
pub mod verify;

pub use verify::VerifyRequest;

#[cfg(doc)]
#[doc = include_str!("docs/architecture.md")]
pub mod architecture {}

#[cfg(doc)]
#[doc = include_str!("docs/dependencies.md")]
pub mod dependencies {}

#[cfg(doc)]
#[doc = include_str!("docs/threats.md")]
pub mod threats {}

#[cfg(doc)]
#[doc = include_str!("docs/performance.md")]
pub mod performance {}

// Its code is compiled where the features that it shows are on.
#[cfg(all(
    doc,
    any(
        not(doctest),
        all(
            feature = "axum",
            feature = "client",
            feature = "conformance",
            feature = "postgres",
            feature = "smtp",
            feature = "sqlite",
        ),
    ),
))]
pub mod guide;

/// Compiles the README's example.
#[cfg(all(doctest, feature = "smtp"))]
#[doc = include_str!("../README.md")]
struct Readme;
