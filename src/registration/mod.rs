//! Registration codes: who may get a new one, what it is, and what happens to the one before.
//!
//! The decisions are pure functions of a [`Registration`], the time and a [`Policy`]
//! ([`policy`]). [`Registrations`] loads, decides, and swaps the result into a
//! [`RegistrationStore`]; it knows nothing of HTTP. [`ResendRegistration`] is the service in
//! front of it, and says itself what it answers: [`ResendRegistration::openapi`].

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
