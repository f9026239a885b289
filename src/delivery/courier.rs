//! Delivery in this process, for any store.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};

use super::{
    Backoff, DEFAULT_CONCURRENCY, Deliverer, Delivery, Handover, NoRoom, Permit, deliver::jitter,
};
use crate::{
    mail::Mailer,
    measure::MailInHand,
    registration::{RegistrationStore, UserId, policy::When},
    sync::delivery::{AtomicUsize, JoinSet, Mutex, MutexGuard, Semaphore, timeout, watch},
    trace,
};

/// Mails that a [`Courier`] has in hand, unless set otherwise.
const DEFAULT_CAPACITY: usize = 1_024;
/// How often in a row the store may fail before a mail is left: for half an hour to an hour.
const MAX_STORE_FAILURES: u32 = 10;

/// How much a [`Courier`] takes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CourierLimits {
    /// Mails in hand, those reserved, being sent and waiting to be tried again: 1,024 by default.
    pub capacity: NonZeroUsize,
    /// Mails being sent at once: [`DEFAULT_CONCURRENCY`] by default.
    pub concurrency: NonZeroUsize,
}

impl CourierLimits {
    /// The same with another capacity.
    #[must_use]
    pub fn with_capacity(self, capacity: NonZeroUsize) -> Self {
        Self { capacity, ..self }
    }

    /// The same with so many mails being sent at once.
    #[must_use]
    pub fn with_concurrency(self, concurrency: NonZeroUsize) -> Self {
        Self {
            concurrency,
            ..self
        }
    }
}

impl Default for CourierLimits {
    fn default() -> Self {
        let at_least_one = |number| NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN);
        Self {
            capacity: at_least_one(DEFAULT_CAPACITY),
            concurrency: at_least_one(DEFAULT_CONCURRENCY),
        }
    }
}

/// Delivers mails in this process, with any store. Clones share the queue.
///
/// 1. Room is reserved before a code is made, so that the queue is bounded and no mail is turned
///    away. A mail keeps its room until it is delivered or given up.
/// 2. What fails is tried again here, in this process.
/// 3. [`shutdown`](Self::shutdown) drains the queue. Without it, what is in hand goes on as long as
///    the runtime does, though every clone be dropped.
///
/// Handing over starts a task: it needs a tokio runtime with time, and panics without.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use std::{num::NonZeroUsize, time::Duration};
/// use tower_registration::{
///     backend::memory::{MemoryMailer, MemoryRegistrations},
///     delivery::{Courier, CourierLimits, Deliverer, Handover, NoRoom, Permit},
///     registration::{
///         OrgId, Registration, RegistrationKey, Registrations, UserId, UserKind, Username,
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
/// let mailer = MemoryMailer::new();
/// let small = CourierLimits::default().with_capacity(NonZeroUsize::MIN);
/// let courier = Courier::with_limits(Deliverer::new(registrations.clone(), mailer.clone()), small);
///
/// let permit = courier.reserve().unwrap();
/// assert_eq!(courier.reserve().unwrap_err(), NoRoom::Full);
/// registrations.resend(&jane, |_| true).await.unwrap();
/// permit.hand_over(jane);
/// assert_eq!(courier.shutdown(Duration::from_secs(30)).await.left, 0);
/// assert_eq!(mailer.sent().len(), 1);
/// # });
/// ```
pub struct Courier<S, M>(Arc<Inner<S, M>>);

struct Inner<S, M> {
    deliverer: Deliverer<S, M>,
    capacity: u32,
    room: Arc<Semaphore>,
    sends: Semaphore,
    stopping: watch::Sender<bool>,
    tasks: Mutex<JoinSet<()>>,
    /// Mails that were handed over and not delivered, whether their tasks go on, have given up, or
    /// were aborted or panicked.
    undelivered: AtomicUsize,
}

/// What [`Courier::shutdown`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drained {
    /// Mails that this courier has not delivered: they are owed in the store, and their users have
    /// to ask again. Those that were left earlier, since the store failed, are among them.
    pub left: usize,
}

impl<S, M> Courier<S, M> {
    /// A courier of the default [`CourierLimits`].
    #[must_use]
    pub fn new(deliverer: Deliverer<S, M>) -> Self {
        Self::with_limits(deliverer, CourierLimits::default())
    }

    /// A courier that takes on as much as `limits` say.
    #[must_use]
    pub fn with_limits(deliverer: Deliverer<S, M>, limits: CourierLimits) -> Self {
        let permits = |number: NonZeroUsize| number.get().min(Semaphore::MAX_PERMITS);
        let capacity = u32::try_from(permits(limits.capacity)).unwrap_or(u32::MAX);
        Self(Arc::new(Inner {
            deliverer,
            capacity,
            room: Arc::new(Semaphore::new(capacity as usize)),
            sends: Semaphore::new(permits(limits.concurrency)),
            stopping: watch::Sender::new(false),
            tasks: Mutex::new(JoinSet::new()),
            undelivered: AtomicUsize::new(0),
        }))
    }

    /// Takes nothing more on, and drains: what is being sent is finished, what waits to be tried
    /// again is tried once more at once, and what then is not delivered, or not within `within`,
    /// is left. A mail that is handed over even later, into room that was reserved before, is tried
    /// once. Of two stops at once, the second may count as left what the first has just broken off or
    /// still sees delivered.
    pub async fn shutdown(&self, within: Duration) -> Drained {
        self.0.stopping.send_replace(true);
        // All room is free when no mail is in hand, and none reserved either.
        let drained = timeout(within, self.0.room.acquire_many(self.0.capacity)).await;
        // Who had looked at `stopping` before it was set finds the room closed.
        self.0.room.close();
        let mut tasks = std::mem::take(&mut *self.0.tasks());
        if drained.is_err() {
            tasks.abort_all();
        }
        while tasks.join_next().await.is_some() {}
        let left = self.0.undelivered.load(Ordering::SeqCst);
        if left > 0 {
            trace::error!(target: trace::DELIVERY, left = left, "mails are left undelivered at shutdown");
        }
        Drained { left }
    }
}

impl<S: RegistrationStore, M: Mailer> Handover for Courier<S, M> {
    type Permit = CourierPermit<S, M>;

    fn reserve(&self) -> Result<Self::Permit, NoRoom> {
        if *self.0.stopping.borrow() {
            return Err(NoRoom::Closed);
        }
        match self.0.room.clone().try_acquire_owned() {
            Ok(room) => Ok(CourierPermit {
                courier: self.clone(),
                room,
            }),
            Err(TryAcquireError::NoPermits) => Err(NoRoom::Full),
            Err(TryAcquireError::Closed) => Err(NoRoom::Closed),
        }
    }
}

/// Room for one mail with a [`Courier`].
#[must_use]
pub struct CourierPermit<S, M> {
    courier: Courier<S, M>,
    room: OwnedSemaphorePermit,
}

impl<S: RegistrationStore, M: Mailer> Permit for CourierPermit<S, M> {
    fn hand_over(self, user: UserId) {
        let Self { courier, room } = self;
        let inner = courier.0.clone();
        let counted = MailInHand::taken();
        let mut tasks = courier.0.tasks();
        while tasks.try_join_next().is_some() {}
        inner.undelivered.fetch_add(1, Ordering::SeqCst);
        tasks.spawn(async move {
            if inner.carry(&user).await {
                inner.undelivered.fetch_sub(1, Ordering::SeqCst);
            }
            // Who waits for the room finds the mail counted.
            drop((counted, room));
        });
    }
}

impl<S: RegistrationStore, M: Mailer> Inner<S, M> {
    /// Delivers the user's mail, however many tries it takes. `false` if it is left.
    async fn carry(&self, user: &UserId) -> bool {
        let mut stopping = self.stopping.subscribe();
        let mut failures = 0;
        loop {
            // Read before the try: who is stopped during one gets another.
            let last = *stopping.borrow_and_update();
            let wait = match self.deliver(user, last).await {
                Some(Delivery::Later(at) | Delivery::Unopened(at)) => {
                    failures = 0;
                    let wait = at - self.deliverer.now();
                    wait.to_std().unwrap_or(Duration::ZERO)
                }
                Some(_) => return true,
                None => {
                    failures += 1;
                    Backoff::default().wait(failures, jitter())
                }
            };
            if last || failures >= MAX_STORE_FAILURES {
                return false;
            }
            // Either way it is time for another try. The sender is in `self`, and can't be gone.
            let _ = timeout(wait, stopping.wait_for(|stopping| *stopping)).await;
        }
    }

    /// One try, or `None` if the store failed.
    async fn deliver(&self, user: &UserId, last: bool) -> Option<Delivery> {
        let when = if last { When::Early } else { When::Due };
        let _slot = self.sends.acquire().await.ok()?;
        match self.deliverer.deliver_when(user, when).await {
            Ok(delivery) => Some(delivery),
            Err(error) => {
                trace::error!(target: trace::DELIVERY, org = %user.org_id, error = %error, "mail not delivered: will be tried again");
                None
            }
        }
    }
}

impl<S, M> Inner<S, M> {
    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, M> Clone for Courier<S, M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, M> fmt::Debug for Courier<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Courier")
            .field("capacity", &self.0.capacity)
            .field("free", &self.0.room.available_permits())
            .finish_non_exhaustive()
    }
}

impl<S, M> fmt::Debug for CourierPermit<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CourierPermit").field(&self.courier).finish()
    }
}
