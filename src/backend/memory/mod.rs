//! In this process's memory: for one process, and for tests.

mod mailer;
mod registrations;
mod replay;

pub use mailer::{Behaviour, MemoryMailer, MemoryMailerError};
pub use registrations::MemoryRegistrations;
pub use replay::{
    DEFAULT_CAPACITY, DEFAULT_WINDOW, MemoryGuardConfigError, MemoryGuardError, MemoryReplayGuard,
    MemoryReplayGuardBuilder,
};
