//! Delivery of whatever is owed, from a store that can tell.

use std::{
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    task::{JoinError, JoinHandle, JoinSet},
    time::timeout,
};

use super::{DEFAULT_CONCURRENCY, Deliverer, Handover, NoRoom, Permit};
use crate::{
    mail::Mailer,
    registration::{DueMail, Outbox, UserId},
    trace,
};

/// How often a [`Dispatcher`] looks for mails that nobody told it of, unless set otherwise.
pub const DEFAULT_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How a [`Dispatcher`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DispatcherLimits {
    /// How often it looks for mails: [`DEFAULT_POLL_INTERVAL`] by default. Retries, and mails that
    /// other processes owe, wait up to this long; a millisecond is the least.
    pub poll_interval: Duration,
    /// Mails being sent at once: [`DEFAULT_CONCURRENCY`] by default.
    pub concurrency: NonZeroUsize,
}

impl DispatcherLimits {
    /// The same with another interval between two looks.
    #[must_use]
    pub fn with_poll_interval(self, poll_interval: Duration) -> Self {
        Self {
            poll_interval,
            ..self
        }
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

impl Default for DispatcherLimits {
    fn default() -> Self {
        Self {
            poll_interval: DEFAULT_POLL_INTERVAL,
            concurrency: NonZeroUsize::new(DEFAULT_CONCURRENCY).unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Delivers whatever mail is owed in an [`Outbox`]. Any number of them, in any number of
/// processes, may work on one store.
///
/// 1. It leases as many due mails as it can send at once, oldest first, and never more: none waits
///    here while its lease runs out.
/// 2. It looks again at each [`Wake`], and at each poll interval.
/// 3. A store that fails, or panics, is asked again at the next interval.
pub struct Dispatcher<S, M> {
    deliverer: Deliverer<S, M>,
    limits: DispatcherLimits,
    signals: Arc<Signals>,
}

#[derive(Default)]
struct Signals {
    wake: Notify,
    stopping: AtomicBool,
}

impl<S, M> Dispatcher<S, M> {
    /// A dispatcher of the default [`DispatcherLimits`].
    #[must_use]
    pub fn new(deliverer: Deliverer<S, M>) -> Self
    where
        S: Outbox,
    {
        Self::with_limits(deliverer, DispatcherLimits::default())
    }

    /// A dispatcher that works as `limits` say.
    #[must_use]
    pub fn with_limits(deliverer: Deliverer<S, M>, limits: DispatcherLimits) -> Self
    where
        S: Outbox,
    {
        Self {
            deliverer,
            limits,
            signals: Arc::default(),
        }
    }

    /// The endpoint's side: wakes this dispatcher after a code was made.
    #[must_use]
    pub fn wake(&self) -> Wake {
        Wake(self.signals.clone())
    }
}

impl<S: Outbox, M: Mailer> Dispatcher<S, M> {
    /// Starts to deliver, in a task of its own. It goes on until it is
    /// [stopped](DispatcherHandle::stop), though the handle be dropped.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use = "the handle stops the dispatcher cleanly"]
    pub fn start(self) -> DispatcherHandle {
        DispatcherHandle {
            signals: self.signals.clone(),
            task: tokio::spawn(self.run()),
        }
    }

    async fn run(self) {
        let mut sends = JoinSet::new();
        while !self.signals.stopping.load(Ordering::SeqCst) {
            while let Some(ended) = sends.try_join_next() {
                report(&ended);
            }
            let free = self.limits.concurrency.get().saturating_sub(sends.len());
            if free == 0 {
                if let Some(ended) = sends.join_next().await {
                    report(&ended);
                }
                continue;
            }
            let due = self.lease(free).await;
            let perhaps_more = due.len() >= free;
            for mail in due {
                sends.spawn(deliver(self.deliverer.clone(), mail));
            }
            if !perhaps_more {
                let interval = self.limits.poll_interval.max(Duration::from_millis(1));
                // Woken or not, it is time to look again.
                let _ = timeout(interval, self.signals.wake.notified()).await;
            }
        }
        while let Some(ended) = sends.join_next().await {
            report(&ended);
        }
    }

    /// Leases in a task of its own, so that a store that panics is not the end of all delivery.
    async fn lease(&self, limit: usize) -> Vec<DueMail> {
        let now = self.deliverer.now();
        let until = self.deliverer.lease_end(now);
        let store = self.deliverer.registrations.store().clone();
        let leasing = tokio::spawn(async move { store.lease_due(now, until, limit).await });
        let failure = match leasing.await {
            Ok(Ok(due)) => return due,
            Ok(Err(error)) => error.to_string(),
            Err(panic) => panic.to_string(),
        };
        trace::error!(target: trace::DELIVERY, error = %failure, "due mails could not be leased: will be tried again");
        Vec::new()
    }
}

/// A store or an observer may panic; the lease of the mail that was in hand runs out by itself.
fn report(ended: &Result<(), JoinError>) {
    if let Err(error) = ended {
        trace::error!(target: trace::DELIVERY, panicked = error.is_panic(), "a delivery ended early: will be tried again when its lease ends");
    }
}

async fn deliver<S: Outbox, M: Mailer>(deliverer: Deliverer<S, M>, mail: DueMail) {
    let org_id = mail.user.org_id.clone();
    if let Err(error) = deliverer.deliver_leased(mail).await {
        trace::error!(target: trace::DELIVERY, org = %org_id, error = %error, "mail not settled: will be tried again when its lease ends");
    }
}

/// A [`Dispatcher`] at work.
#[derive(Debug)]
pub struct DispatcherHandle {
    signals: Arc<Signals>,
    task: JoinHandle<()>,
}

impl DispatcherHandle {
    /// Leases nothing more, finishes what is being sent, and ends. What is owed stays owed, in the
    /// store.
    pub async fn stop(self) {
        self.signals.stopping.store(true, Ordering::SeqCst);
        self.signals.wake.notify_one();
        if self.task.await.is_err() {
            trace::error!(target: trace::DELIVERY, panicked = true, "the dispatcher had ended before it was stopped");
        }
    }

    /// The endpoint's side: wakes this dispatcher after a code was made.
    #[must_use]
    pub fn wake(&self) -> Wake {
        Wake(self.signals.clone())
    }
}

/// Wakes a [`Dispatcher`]. There is always room: the queue is the store.
#[derive(Clone, Debug)]
pub struct Wake(Arc<Signals>);

impl Wake {
    /// Has the dispatcher look for mails now, for whoever hears of one by other ways than the
    /// endpoint. Calls that come while it looks are one more look.
    pub fn wake(&self) {
        self.0.wake.notify_one();
    }
}

impl Handover for Wake {
    type Permit = WakePermit;

    fn reserve(&self) -> Result<WakePermit, NoRoom> {
        Ok(WakePermit(self.clone()))
    }
}

/// Room for one mail with a [`Dispatcher`].
#[derive(Debug)]
#[must_use]
pub struct WakePermit(Wake);

impl Permit for WakePermit {
    fn hand_over(self, _user: UserId) {
        self.0.wake();
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals")
            .field("stopping", &self.stopping)
            .finish_non_exhaustive()
    }
}

impl<S, M> fmt::Debug for Dispatcher<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("deliverer", &self.deliverer)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
