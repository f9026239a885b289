//! A mailer that sends nothing.

use std::{
    collections::VecDeque,
    fmt,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::mail::{MailError, Mailer, RegistrationEmail};

/// What a [`MemoryMailer`] does with a mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Behaviour {
    /// Keeps it.
    #[default]
    Deliver,
    /// Fails, and says that another try may succeed.
    FailTransiently,
    /// Fails, and says that no try can succeed.
    FailPermanently,
    /// Never answers.
    Stall,
    /// Panics.
    Panic,
}

/// Why a [`MemoryMailer`] failed: it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("told to fail: {0:?}")]
pub struct MemoryMailerError(Behaviour);

impl MailError for MemoryMailerError {
    fn is_transient(&self) -> bool {
        self.0 != Behaviour::FailPermanently
    }
}

/// Keeps mails in memory, codes included, and fails when told to: for tests, yours and ours.
/// Clones share the mails.
#[derive(Clone, Default)]
pub struct MemoryMailer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    sent: Vec<RegistrationEmail>,
    calls: usize,
    next: VecDeque<Behaviour>,
    otherwise: Behaviour,
}

impl MemoryMailer {
    /// A mailer that delivers everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on does this with each mail.
    pub fn behave(&self, behaviour: Behaviour) {
        self.state().otherwise = behaviour;
    }

    /// Does these with the next mails, one after the other, before it goes on as ever.
    pub fn behave_next(&self, behaviours: impl IntoIterator<Item = Behaviour>) {
        self.state().next.extend(behaviours);
    }

    /// The mails that were delivered.
    #[must_use]
    pub fn sent(&self) -> Vec<RegistrationEmail> {
        self.state().sent.clone()
    }

    /// How often `send` was called, whatever came of it.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.state().calls
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the call and, where it is to be delivered, the mail.
    fn take(&self, mail: &RegistrationEmail) -> Behaviour {
        let mut state = self.state();
        state.calls += 1;
        let behaviour = state.next.pop_front().unwrap_or(state.otherwise);
        if behaviour == Behaviour::Deliver {
            state.sent.push(mail.clone());
        }
        behaviour
    }
}

impl Mailer for MemoryMailer {
    type Error = MemoryMailerError;

    async fn send(&self, mail: &RegistrationEmail) -> Result<(), MemoryMailerError> {
        match self.take(mail) {
            Behaviour::Deliver => Ok(()),
            Behaviour::Stall => pending().await,
            Behaviour::Panic => panic!("told to panic"),
            failure @ (Behaviour::FailTransiently | Behaviour::FailPermanently) => {
                Err(MemoryMailerError(failure))
            }
        }
    }
}

impl fmt::Debug for MemoryMailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryMailer")
            .field("sent", &state.sent.len())
            .field("calls", &state.calls)
            .finish_non_exhaustive()
    }
}
