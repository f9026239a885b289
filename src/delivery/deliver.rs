//! One owed mail: lease, send, settle.

use std::{fmt, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Backoff, Delivery, DeliveryEvent, Failure, GiveUp, Timing, send::send};
use crate::{
    mail::{Mailer, RegistrationEmail},
    measure::{self, Stopwatch},
    registration::{
        DueMail, Lease, OwedMail, Registration, RegistrationStore, Registrations, SwapError,
        UserId,
        key::fill,
        policy::{self, Settlement, When},
        swap::{Step, swap},
    },
    trace,
};

type Observer = Arc<dyn Fn(&DeliveryEvent) + Send + Sync>;

/// Delivers the mail that a user is owed. Clones share store and mailer.
///
/// [`Courier`](super::Courier) and [`Dispatcher`](super::Dispatcher) decide when; this is what they
/// do, and all that touches the mailer.
pub struct Deliverer<S, M> {
    pub(super) registrations: Registrations<S>,
    mailer: Arc<M>,
    timing: Timing,
    backoff: Backoff,
    observer: Option<Observer>,
}

impl<S, M> Deliverer<S, M> {
    /// Delivers what is owed in `registrations` through `mailer`, in the default [`Timing`].
    #[must_use]
    pub fn new(registrations: Registrations<S>, mailer: M) -> Self
    where
        M: Mailer,
    {
        Self {
            registrations,
            mailer: Arc::new(mailer),
            timing: Timing::default(),
            backoff: Backoff::default(),
            observer: None,
        }
    }

    /// The same in another timing.
    #[must_use]
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// The same with other waits after failed tries.
    #[must_use]
    pub fn with_backoff(self, backoff: Backoff) -> Self {
        Self { backoff, ..self }
    }

    /// The same, and tells `observer` of each try at a mail, after it was settled. It should
    /// return at once and not panic.
    #[must_use]
    pub fn with_observer(self, observer: impl Fn(&DeliveryEvent) + Send + Sync + 'static) -> Self {
        Self {
            observer: Some(Arc::new(observer)),
            ..self
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.registrations.clock.now()
    }

    /// When a lease ends that is taken at `now`.
    pub(super) fn lease_end(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        later(now, self.timing.lease)
    }

    fn report(&self, event: &DeliveryEvent) {
        measure::tried(Some(event.outcome));
        let DeliveryEvent {
            org_id,
            generation,
            attempt,
            failure,
            outcome,
        } = event;
        match outcome {
            Delivery::GaveUp(GiveUp::Moot) | Delivery::Delivered | Delivery::NothingOwed => {
                trace::info!(target: trace::DELIVERY, org = %org_id, generation = generation, attempt = attempt, outcome = ?outcome, "mail settled");
            }
            Delivery::Later(_) | Delivery::Unopened(_) | Delivery::Superseded => {
                trace::warn!(target: trace::DELIVERY, org = %org_id, generation = generation, attempt = attempt, failure = ?failure, outcome = ?outcome, "mail not settled yet");
            }
            Delivery::GaveUp(_) => {
                trace::error!(target: trace::DELIVERY, org = %org_id, generation = generation, attempt = attempt, failure = ?failure, outcome = ?outcome, "mail given up");
            }
        }
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

impl<S: RegistrationStore, M: Mailer> Deliverer<S, M> {
    /// Delivers the user's mail, if one is due.
    ///
    /// # Errors
    ///
    /// If the store fails, or the registration keeps changing. The mail may have been sent; it is
    /// still owed.
    pub async fn deliver(&self, user: &UserId) -> Result<Delivery, SwapError<S::Error>> {
        self.deliver_when(user, When::Due).await
    }

    /// Delivers a mail that has been leased to the caller.
    ///
    /// # Errors
    ///
    /// Those of [`deliver`](Self::deliver).
    pub async fn deliver_leased(&self, due: DueMail) -> Result<Delivery, SwapError<S::Error>> {
        let DueMail { user, registration } = due;
        let (Some(lease), Some(owed)) = (registration.lease, &registration.owed) else {
            return Ok(Delivery::NothingOwed);
        };
        // What has lain too long has no time left in which nobody else may send.
        let ready_by = TimeDelta::from_std(self.timing.send_timeout).unwrap_or(TimeDelta::MAX);
        if later(self.now(), ready_by) > lease.until {
            return Ok(Delivery::Later(lease.until));
        }
        let (settlement, verdict) = self.attempt(&user, &registration, owed).await;
        let outcome = self
            .settle(&user, lease, settlement, verdict)
            .await
            .inspect_err(|_| measure::tried(None))?;
        self.report(&DeliveryEvent {
            org_id: user.org_id,
            generation: registration.generation,
            attempt: owed.attempts.saturating_add(1),
            failure: match verdict {
                Verdict::Failed(failure) => Some(failure),
                _ => None,
            },
            outcome,
        });
        Ok(outcome)
    }

    pub(super) async fn deliver_when(
        &self,
        user: &UserId,
        when: When,
    ) -> Result<Delivery, SwapError<S::Error>> {
        let leased = swap(&*self.registrations.store, user, |current| {
            let Some((current, due_at)) = current.and_then(|it| Some((it, it.due_at()?))) else {
                return Ok(Step::Keep(Err(Delivery::NothingOwed)));
            };
            let now = self.now();
            Ok(
                match policy::lease(current, now, self.lease_end(now), when) {
                    Some(leased) => Step::Swap(leased.clone(), Ok(leased)),
                    None => Step::Keep(Err(Delivery::Later(due_at))),
                },
            )
        })
        .await?;
        match leased {
            Ok(registration) => {
                let user = user.clone();
                self.deliver_leased(DueMail { user, registration }).await
            }
            Err(delivery) => Ok(delivery),
        }
    }

    /// Sends the mail, where it is of use and its code can be read.
    async fn attempt(
        &self,
        user: &UserId,
        registration: &Registration,
        owed: &OwedMail,
    ) -> (Settlement, Verdict) {
        let now = self.now();
        let Some(code) = &registration.code else {
            return (Settlement::Moot, Verdict::Unsent(GiveUp::Moot));
        };
        if !policy::is_sendable(registration, now) {
            return (Settlement::Moot, Verdict::Unsent(GiveUp::Moot));
        }
        let (key, generation) = (&self.registrations.key, registration.generation);
        let Ok(opened) = key.open(user, generation, &owed.sealed) else {
            trace::error!(target: trace::DELIVERY, org = %user.org_id, generation = generation, "a mail's code was sealed with another key: give all processes on one store the same");
            let retry_at = self.retry_after(1);
            return (
                Settlement::Unopened { retry_at },
                Verdict::Unsent(GiveUp::SealBroken),
            );
        };
        let mail = RegistrationEmail {
            to: registration.address.clone(),
            username: user.username.clone(),
            org_id: user.org_id.clone(),
            code: opened,
            locale: registration.locale.clone(),
            issued_at: code.issued_at,
            expires_at: code.expires_at,
            sent_at: now,
            message_id: key.message_id(user, generation),
        };
        let stopwatch = Stopwatch::start();
        let sent = send(&*self.mailer, &mail, self.timing.send_timeout).await;
        measure::sent(stopwatch, sent.err());
        match sent {
            Ok(()) => {
                measure::delivered(self.now() - mail.issued_at);
                (Settlement::Delivered, Verdict::Sent)
            }
            Err(failure @ Failure::Permanent) => (Settlement::Permanent, Verdict::Failed(failure)),
            Err(failure) => {
                let retry_at = self.retry_after(owed.attempts.saturating_add(1));
                (Settlement::Transient { retry_at }, Verdict::Failed(failure))
            }
        }
    }

    /// When to look at a mail again that has failed so many times.
    fn retry_after(&self, failures: u32) -> DateTime<Utc> {
        let wait = self.backoff.wait(failures, jitter());
        later(
            self.now(),
            TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX),
        )
    }

    async fn settle(
        &self,
        user: &UserId,
        lease: Lease,
        settlement: Settlement,
        verdict: Verdict,
    ) -> Result<Delivery, SwapError<S::Error>> {
        let policy = &self.registrations.policy;
        swap(&*self.registrations.store, user, |current| {
            let settled = current
                .and_then(|current| policy::settle(current, lease.token, policy, settlement));
            Ok(match settled {
                Some(settled) => {
                    let next_at = settled.owed.as_ref().map(|owed| owed.next_at);
                    Step::Swap(settled, verdict.delivery(next_at))
                }
                None => Step::Keep(Delivery::Superseded),
            })
        })
        .await
    }
}

/// What a try came to.
#[derive(Clone, Copy)]
enum Verdict {
    Sent,
    Failed(Failure),
    Unsent(GiveUp),
}

impl Verdict {
    /// What became of the mail, which is still owed if there is a next time.
    fn delivery(self, next_at: Option<DateTime<Utc>>) -> Delivery {
        match (self, next_at) {
            (Self::Sent, _) => Delivery::Delivered,
            (Self::Unsent(GiveUp::SealBroken), Some(at)) => Delivery::Unopened(at),
            (Self::Failed(_) | Self::Unsent(_), Some(at)) => Delivery::Later(at),
            (Self::Unsent(reason), None) => Delivery::GaveUp(reason),
            (Self::Failed(Failure::Permanent), None) => Delivery::GaveUp(GiveUp::Permanent),
            (Self::Failed(_), None) => Delivery::GaveUp(GiveUp::TriesSpent),
        }
    }
}

impl<S, M> Clone for Deliverer<S, M> {
    fn clone(&self) -> Self {
        Self {
            registrations: self.registrations.clone(),
            mailer: self.mailer.clone(),
            timing: self.timing,
            backoff: self.backoff,
            observer: self.observer.clone(),
        }
    }
}

impl<S, M> fmt::Debug for Deliverer<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deliverer")
            .field("registrations", &self.registrations)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

/// Random, or none where the generator fails: then mails come back together.
pub(super) fn jitter() -> u32 {
    let mut bytes = [0; size_of::<u32>()];
    match fill(&mut bytes) {
        Ok(()) => u32::from_le_bytes(bytes),
        Err(_) => 0,
    }
}

/// In whole microseconds, as registrations keep their times; or the end of time.
fn later(time: DateTime<Utc>, delta: TimeDelta) -> DateTime<Utc> {
    let whole = delta
        .num_microseconds()
        .map_or(delta, TimeDelta::microseconds);
    time.checked_add_signed(whole)
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}
