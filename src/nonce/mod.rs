//! One-time use: reading a nonce, deciding whether it is fresh, and claiming it.
//!
//! 1. A nonce is base64 of a JSON object with a random value and a time ([`Nonce::decode`]).
//! 2. It is fresh while `now - max_age <= datetime <= now + max_future` ([`Freshness`]).
//! 3. It is claimed once per application, last of all checks and in one atomic step
//!    ([`ReplayGuard::claim`]); the claim is kept until the nonce stops being fresh by its own
//!    datetime.

mod check;
mod codec;
mod freshness;
mod replay;
mod scan;

pub use check::{ClaimCheck, ClaimPending, FreshCheck, NonceCheck, NonceLayer};
pub use codec::{MAX_RANDOM_CHARS, MIN_RANDOM_CHARS, Nonce, NonceError, NonceId};
pub use freshness::{
    DEFAULT_MAX_AGE, DEFAULT_MAX_FUTURE, FreshNonce, Freshness, FreshnessError, MAX_WINDOW,
    NotFresh,
};
pub use replay::{Claim, ClaimOutcome, Occupancy, ReplayGuard};
