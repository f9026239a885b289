//! In this process's memory: for one process, and for tests.

mod mailer;
mod registrations;

pub use mailer::{Behaviour, MemoryMailer, MemoryMailerError};
pub use registrations::MemoryRegistrations;
