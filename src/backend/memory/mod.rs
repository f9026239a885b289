//! In this process's memory: for one process, and for tests.
//!
//! 1. What is kept here is gone with the process: codes, and the mails that are owed. Their users ask
//!    again.
//! 2. A [guard](MemoryReplayGuard) that has just started knows nothing of the time before, and refuses
//!    what dates from it. Behind a load balancer, each process would accept a nonce once: use another.
//! 3. A guard's memory is bounded, for all and for each application; full is an error, which refuses.
//!
//! ```
//! use chrono::{TimeDelta, Utc};
//! use tower_registration::{
//!     app::AppId,
//!     backend::memory::MemoryReplayGuard,
//!     nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let guard = MemoryReplayGuard::builder().build()?;
//! let app = AppId::new("ap-1")?;
//! let nonce = |random: &str| NonceId::of(random);
//! let now = Utc::now();
//! let until = now + TimeDelta::seconds(300);
//!
//! let claim = Claim::new(&app, nonce("0d9b4a5e-6a3c-4d7f-9c58-2f1f6a0b7e11")?, now, until, now);
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Claimed);
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Replayed);
//!
//! let before = now - TimeDelta::seconds(10);
//! let claim = Claim::new(&app, nonce("3b1c7f0a-52d4-4a5e-8f0e-6d1f7b9a2c44")?, before, until, now);
//! assert_eq!(guard.claim(claim).await?, ClaimOutcome::Unknowable);
//! # Ok(())
//! # }
//! ```

mod mailer;
mod registrations;
mod replay;

pub use mailer::{Behaviour, MemoryMailer, MemoryMailerError};
pub use registrations::MemoryRegistrations;
pub use replay::{
    DEFAULT_CAPACITY, DEFAULT_WINDOW, MemoryGuardConfigError, MemoryGuardError, MemoryReplayGuard,
    MemoryReplayGuardBuilder,
};
