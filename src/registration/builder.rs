//! Putting the endpoint together.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    Registrations,
    service::{Authority, Observer, ResendEvent, ResendRegistration, Shared},
};
use crate::{app::Permissions, delivery::Handover, signature::BodyLimits};

/// Step of the time grid that answers leave on, unless set otherwise.
pub const DEFAULT_ANSWER_GRID: Duration = Duration::from_millis(100);
/// Shortest step: what timers resolve.
pub const MIN_ANSWER_GRID: Duration = Duration::from_millis(1);
/// Longest step.
pub const MAX_ANSWER_GRID: Duration = Duration::from_secs(10);

/// Puts [`ResendRegistration`] together.
#[must_use]
pub struct ResendBuilder<S, H> {
    registrations: Registrations<S>,
    handover: H,
    authority: Authority,
    limits: BodyLimits,
    grid: Option<Duration>,
    observer: Option<Observer>,
}

/// Why [`ResendBuilder::build`] refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResendError {
    /// The grid's step is no step, or longer than a caller waits.
    #[error(
        "an answer grid of {0:?} can't be kept: set its step to 1 ms to {MAX_ANSWER_GRID:?}; to do \
         without one, say so by `insecure_without_answer_grid`"
    )]
    AnswerGrid(Duration),
}

impl<S, H> ResendRegistration<S, H> {
    /// Begins with the defaults: `registrations` says who there is, `handover` takes the mails (a
    /// [`Courier`](crate::delivery::Courier), or a dispatcher's
    /// [`Wake`](crate::delivery::Wake)).
    pub fn builder(registrations: Registrations<S>, handover: H) -> ResendBuilder<S, H>
    where
        H: Handover,
    {
        ResendBuilder {
            registrations,
            handover,
            authority: Authority::VerifiedApp,
            limits: BodyLimits::default(),
            grid: Some(DEFAULT_ANSWER_GRID),
            observer: None,
        }
    }
}

impl<S, H> ResendBuilder<S, H> {
    /// The step of the time grid that answers leave on, 1 ms to [`MAX_ANSWER_GRID`];
    /// [`DEFAULT_ANSWER_GRID`] by default. Choose it well above what the store takes.
    pub fn answer_grid(self, step: Duration) -> Self {
        Self {
            grid: Some(step),
            ..self
        }
    }

    /// Answers as soon as the work is done. How long that took tells whether a user got a code.
    /// Safe only where no caller may be kept from knowing who has an account.
    pub fn insecure_without_answer_grid(self) -> Self {
        Self { grid: None, ..self }
    }

    /// Serves requests that other means have authenticated, all with these permissions, without
    /// looking for a verified application. Safe only where nothing else can reach the service.
    pub fn insecure_behind_other_authentication(self, permissions: Permissions) -> Self {
        Self {
            authority: Authority::Fixed(permissions),
            ..self
        }
    }

    /// How long a body may be, and how long it may take to arrive; 16 KiB and 10 s by default.
    pub fn body_limits(self, limits: BodyLimits) -> Self {
        Self { limits, ..self }
    }

    /// Tells `observer` what became of each request that the store was asked about. It runs before
    /// the answer leaves: keep it short. A panic in it is a 503.
    pub fn observer(self, observer: impl Fn(&ResendEvent<'_>) + Send + Sync + 'static) -> Self {
        Self {
            observer: Some(Arc::new(observer)),
            ..self
        }
    }

    /// The service.
    ///
    /// # Errors
    ///
    /// If a setting can't be served; the error says which, and what it takes.
    pub fn build(self) -> Result<ResendRegistration<S, H>, ResendError> {
        if let Some(step) = self.grid
            && !(MIN_ANSWER_GRID..=MAX_ANSWER_GRID).contains(&step)
        {
            return Err(ResendError::AnswerGrid(step));
        }
        Ok(ResendRegistration {
            shared: Arc::new(Shared {
                registrations: self.registrations,
                handover: self.handover,
                authority: self.authority,
                limits: self.limits,
                grid: self.grid,
                observer: self.observer,
            }),
        })
    }
}

impl<S, H> fmt::Debug for ResendBuilder<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResendBuilder")
            .field("limits", &self.limits)
            .field("grid", &self.grid)
            .finish_non_exhaustive()
    }
}
