//! Registration codes: who may get a new one, what it is, and what happens to the one before.
//!
//! The decisions are pure functions of a [`Registration`], the time and a [`Policy`]
//! ([`policy`]). [`Registrations`] loads, decides, and swaps the result into a
//! [`RegistrationStore`]; it knows nothing of HTTP. [`ResendRegistration`] is the service in
//! front of it, and says itself what it answers: [`ResendRegistration::openapi`].
//!
//! 1. A user has one live code. A new one makes the one before invalid in the same swap that owes its
//!    mail; one that was used, has expired, or was guessed at too often is no code.
//! 2. Whoever asks is told one thing, whatever user was named ([`ResendRegistration`]).
//! 3. A code is kept as a keyed digest, and sealed until its mail is delivered ([`key`]).
//! 4. The key is the same in all processes of a store, and in all times: codes made under another are dead.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use tower_registration::{
//!     backend::memory::{MemoryMailer, MemoryRegistrations},
//!     delivery::Deliverer,
//!     registration::{
//!         OrgId, Policy, RedeemOutcome, Registration, RegistrationKey, Registrations, UserId,
//!         UserKind, Username,
//!     },
//! };
//!
//! let jane = UserId {
//!     org_id: OrgId::new("example-org-id")?,
//!     username: Username::new("jane@example.co")?,
//! };
//! let store = MemoryRegistrations::new();
//! store.insert_if_absent(&jane, Registration::pending(UserKind::EndUser, "jane@example.co"));
//! let policy = Policy::builder().cooldown(Duration::ZERO).build()?;
//! let registrations = Registrations::new(store, RegistrationKey::generate()?).with_policy(policy);
//! let mailer = MemoryMailer::new();
//! let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
//! for _ in 0..2 {
//!     registrations.resend(&jane, |_| true).await?;
//!     deliverer.deliver(&jane).await?;
//! }
//!
//! let [first, second] = &mailer.sent()[..] else { panic!("two mails") };
//! let refused = registrations.redeem(&jane, first.code.expose()).await?;
//! assert_eq!(refused, RedeemOutcome::WrongGuess);
//! let accepted = registrations.redeem(&jane, second.code.expose()).await?;
//! assert_eq!(accepted, RedeemOutcome::Redeemed);
//! # Ok(())
//! # }
//! ```

mod answer;
mod builder;
pub mod code;
mod grid;
pub mod key;
mod openapi;
pub mod policy;
mod record;
mod redeem;
mod request;
mod resend;
mod service;
mod store;
pub(crate) mod swap;
mod user;

pub use answer::ResendFuture;
pub use builder::{
    DEFAULT_ANSWER_GRID, MAX_ANSWER_GRID, MIN_ANSWER_GRID, ResendBuilder, ResendError,
};
pub use code::{CodeDigest, InvalidCode, InvalidEncoding, NewCode, RegistrationCode, SealedCode};
pub use key::{GeneratorFailed, InvalidKey, KEY_BYTES, RegistrationKey, SealBroken};
pub use policy::{Kept, Policy, PolicyBuilder, PolicyError, Redeem, Refusal, Reissue};
pub use record::{
    Budgets, CurrentCode, Lease, OwedMail, Registration, RegistrationStatus, UserKind,
};
pub use redeem::RedeemOutcome;
pub use request::{BodyError, RedeemRequest, ResendRequest};
pub use resend::{Registrations, ResendOutcome};
pub use service::{ResendEvent, ResendRegistration};
pub use store::{Backlog, DueMail, Outbox, RegistrationStore};
pub use swap::{MAX_SWAPS, SwapError};
pub use user::{
    InvalidOrgId, InvalidUsername, MAX_ORG_ID, MAX_USERNAME, MIN_USERNAME, OrgId, UserId, Username,
};

/// The path under which the reference publishes the endpoint.
pub const PATH: &str = "/auth/manage/users/send-registration-email";
/// The path under which later revisions of the reference publish it.
pub const LATER_PATH: &str = "/auth/registration/code";
