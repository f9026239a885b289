//! Registrations in a store: a new code for a user, without a word about HTTP.

use std::{fmt, sync::Arc};

use super::{
    Kept, Policy, RegistrationKey, RegistrationStore, Reissue, UserId, UserKind, policy,
    swap::{Step, SwapError, swap},
};
use crate::{
    clock::{Clock, SharedClock, SystemClock},
    trace,
};

/// The registrations in a store, under one key, policy and clock.
///
/// 1. [`resend`](Self::resend) draws, digests and seals a code for whoever is asked for, known or
///    not, so that this work tells nobody apart; the code takes effect where the [`Policy`] says.
/// 2. [`redeem`](Self::redeem) swaps in the use of the code, or the wrong guess, before its
///    verdict leaves.
/// 3. A change that meets another starts over.
///
/// Clones share the store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use tower_registration::{
///     backend::memory::MemoryRegistrations,
///     registration::{
///         Kept, OrgId, Registration, RegistrationKey, Registrations, ResendOutcome, UserId,
///         UserKind, Username,
///     },
/// };
///
/// let jane = UserId {
///     org_id: OrgId::new("example-org-id").unwrap(),
///     username: Username::new("jane@example.co").unwrap(),
/// };
/// let store = MemoryRegistrations::new();
/// store.insert_if_absent(&jane, Registration::pending(UserKind::EndUser, "jane@example.co"));
/// let registrations = Registrations::new(store, RegistrationKey::generate().unwrap());
///
/// let first = registrations.resend(&jane, |_| true).await.unwrap();
/// assert_eq!(first, ResendOutcome::Issued { generation: 1 });
/// let again = registrations.resend(&jane, |_| true).await.unwrap();
/// assert_eq!(again, ResendOutcome::Kept(Kept::CoolingDown));
/// # });
/// ```
pub struct Registrations<S> {
    pub(crate) store: Arc<S>,
    pub(crate) key: Arc<RegistrationKey>,
    pub(crate) policy: Policy,
    pub(crate) clock: SharedClock,
}

/// What became of a request for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResendOutcome {
    /// The user has a new code, and its mail is owed.
    Issued {
        /// How many codes the user has had, this one included.
        generation: u64,
    },
    /// Nothing changed.
    Kept(Kept),
    /// There is no such user.
    UnknownUser,
}

impl<S> Registrations<S> {
    /// Registrations in `store` under the default [`Policy`] and the system's clock.
    #[must_use]
    pub fn new(store: S, key: RegistrationKey) -> Self
    where
        S: RegistrationStore,
    {
        Self {
            store: Arc::new(store),
            key: Arc::new(key),
            policy: Policy::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The same registrations under another policy.
    #[must_use]
    pub fn with_policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }

    /// The same registrations by another clock.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<S> {
        &self.store
    }
}

impl<S: RegistrationStore> Registrations<S> {
    /// Gives the user a new code, where the policy allows it and `may` says that the caller deals
    /// with users of this kind.
    ///
    /// # Errors
    ///
    /// If the store or the random generator fails, or the registration keeps changing.
    pub async fn resend(
        &self,
        user: &UserId,
        may: impl Fn(UserKind) -> bool + Send + Sync,
    ) -> Result<ResendOutcome, SwapError<S::Error>> {
        let outcome = swap(&*self.store, user, |current| {
            let generation = current.map_or(0, |current| current.generation);
            let new = self.key.new_code(user, generation + 1)?;
            let Some(current) = current else {
                return Ok(Step::Keep(ResendOutcome::UnknownUser));
            };
            if !may(current.kind) {
                return Ok(Step::Keep(ResendOutcome::Kept(Kept::KindNotPermitted)));
            }
            Ok(
                match policy::reissue(current, self.clock.now(), &self.policy, new) {
                    Reissue::Kept(kept) => Step::Keep(ResendOutcome::Kept(kept)),
                    Reissue::Issued(issued) => {
                        let generation = issued.generation;
                        Step::Swap(issued, ResendOutcome::Issued { generation })
                    }
                },
            )
        })
        .await?;
        trace::debug!(target: trace::RESEND, org = %user.org_id, outcome = ?outcome, "decided about a new code");
        Ok(outcome)
    }
}

impl<S> Clone for Registrations<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            key: self.key.clone(),
            policy: self.policy,
            clock: self.clock.clone(),
        }
    }
}

impl<S> fmt::Debug for Registrations<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrations")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
