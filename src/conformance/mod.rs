//! The contracts of the ports as tests: run them over your own [`ReplayGuard`], [`RegistrationStore`],
//! [`Outbox`], [`AppRegistry`] and [`Mailer`].
//!
//! 1. A suite is a set of rules, each of which cites the sentence of the contract, in the trait's
//!    documentation, that it holds an implementation to. The backends of this crate pass the same.
//! 2. A harness opens what is put to the test, fresh for each rule: a [`Subject`], with a second
//!    handle on the same store where there can be one.
//! 3. [`conformance_tests!`](crate::conformance_tests) makes a test of each rule; each suite's `all`
//!    runs them in one call, and names all that are broken.
//! 4. A rule about calls at once holds only if calls were seen to meet: one that proved nothing is
//!    broken. So suites need a multi-threaded runtime.
//! 5. No rule waits for time to pass, but where a guard [keeps time itself](replay_guard::Time).
//!
//! For tests: enable the feature for the dev-dependency alone.
//!
//! [`ReplayGuard`]: crate::nonce::ReplayGuard
//! [`RegistrationStore`]: crate::registration::RegistrationStore
//! [`Outbox`]: crate::registration::Outbox
//! [`AppRegistry`]: crate::app::AppRegistry
//! [`Mailer`]: crate::mail::Mailer
//!
//! # A guard of your own
//!
//! ```
//! use std::{
//!     collections::HashMap,
//!     convert::Infallible,
//!     future::{Ready, ready},
//!     sync::Mutex,
//! };
//! use chrono::{DateTime, Utc};
//! use tower_registration::{
//!     app::AppId,
//!     conformance::{self, Subject},
//!     nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
//! };
//!
//! /// Keeps every nonce for ever.
//! #[derive(Default)]
//! struct Everything(Mutex<HashMap<(AppId, NonceId), DateTime<Utc>>>);
//!
//! impl ReplayGuard for Everything {
//!     type Error = Infallible;
//!     type Future = Ready<Result<ClaimOutcome, Infallible>>;
//!
//!     fn claim(&self, claim: Claim<'_>) -> Self::Future {
//!         let key = (claim.app.clone(), claim.nonce);
//!         let earlier = self.0.lock().unwrap().insert(key, claim.fresh_until);
//!         ready(Ok(match earlier {
//!             None => ClaimOutcome::Claimed,
//!             Some(_) => ClaimOutcome::Replayed,
//!         }))
//!     }
//! }
//!
//! // One test for each rule, as it would stand in your `tests/`:
//! tower_registration::conformance_tests!(
//!     replay_guard,
//!     || async { Subject::new(Everything::default()) }
//! );
//!
//! // Or all of them at once:
//! # #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
//! # async fn main() {
//! let harness = || async { Subject::new(Everything::default()) };
//! conformance::replay_guard::all(&harness).await.unwrap();
//!
//! // A guard that accepts everything, and what the suite says of it:
//! struct Nothing;
//! # impl ReplayGuard for Nothing {
//! #     type Error = Infallible;
//! #     type Future = Ready<Result<ClaimOutcome, Infallible>>;
//! #     fn claim(&self, _: Claim<'_>) -> Self::Future {
//! #         ready(Ok(ClaimOutcome::Claimed))
//! #     }
//! # }
//! let breaches = conformance::replay_guard::all(&|| async { Subject::new(Nothing) })
//!     .await
//!     .unwrap_err();
//! assert!(breaches.iter().any(|breach| breach.rule() == Some("a_nonce_is_claimed_once")));
//! # }
//! ```

pub mod app_registry;
mod breach;
pub mod mailer;
pub mod outbox;
mod race;
pub mod registration_store;
pub mod replay_guard;
mod rules;
mod subject;

pub use breach::{Breach, Breaches, Kept};
pub use subject::Subject;
