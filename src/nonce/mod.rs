//! One-time use: reading a nonce, deciding whether it is fresh, and claiming it.
//!
//! 1. A nonce is base64 of a JSON object with a random value and a time ([`Nonce::decode`]).
//! 2. It is fresh while `now - max_age <= datetime <= now + max_future` ([`Freshness`]).
//! 3. It is claimed once per application, last of all checks and in one atomic step
//!    ([`ReplayGuard::claim`]); the claim is kept until the nonce stops being fresh by its own
//!    datetime.
//!
//! # Clocks and restarts
//!
//! A caller's clock has to be within these bounds of ours. A guard that has lost its memory, as one in
//! memory has at a start, refuses what dates from before; one for each machine accepts a nonce on each.
//!
//! ```
//! use chrono::{DateTime, TimeDelta, Utc};
//! use tower_registration::{
//!     app::AppId,
//!     backend::memory::MemoryReplayGuard,
//!     nonce::{Claim, ClaimOutcome, Freshness, Nonce, NotFresh, ReplayGuard},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now: DateTime<Utc> = "2026-11-23T07:44:00Z".parse()?;
//! let guard = MemoryReplayGuard::builder().started_at(now).build()?;
//! // {"uuid":"0d9b4a5e-6a3c-4d7f-9c58-2f1f6a0b7e11","datetime":"2026-11-23T07:44:00Z"}
//! let header = "eyJ1dWlkIjoiMGQ5YjRhNWUtNmEzYy00ZDdmLTljNTgtMmYxZjZhMGI3ZTExIiwiZGF0ZXRpbWUiOiIyMDI2LTExLTIzVDA3OjQ0OjAwWiJ9";
//!
//! let nonce = Nonce::decode(header)?;
//! let fresh = Freshness::default().check(nonce, now + TimeDelta::seconds(300))?;
//! let app = AppId::new("ap-4s6se-e2t7n-89gfg50iaos73pm6")?;
//! let claim = Claim::new(&app, fresh.id(), fresh.nonce().datetime(), fresh.fresh_until(), now);
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Claimed);
//!
//! // Once more, too late, or cut short:
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Replayed);
//! let nonce = Nonce::decode(header)?;
//! let stale = Freshness::default().check(nonce, now + TimeDelta::seconds(301));
//! assert_eq!(stale.unwrap_err(), NotFresh::Stale);
//! assert!(Nonce::decode(&header[1..]).is_err());
//! # Ok(())
//! # }
//! ```

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
