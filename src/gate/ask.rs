//! A check that asks a port one question.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Request;
use pin_project::pin_project;

use crate::rejection::Rejection;

/// What a check makes of the answer that it waited for.
pub trait Conclude<A, B> {
    /// The verdict on `request`, given `answer`.
    ///
    /// # Errors
    ///
    /// The rejection of a request that does not pass.
    fn conclude(self, answer: A, request: Request<B>) -> Result<Request<B>, Rejection>;
}

/// The verdict of a check that asks one question of a port (a registry, a guard, a verifier), and
/// then concludes; or that refuses before asking.
#[pin_project(project = AskProjection)]
#[derive(Debug)]
pub enum Ask<F, C, B> {
    /// The answer is awaited.
    Asking {
        /// The question under way.
        #[pin]
        answer: F,
        /// What is made of it, and the request it is about.
        then: Option<(C, Request<B>)>,
    },
    /// There was nothing to ask.
    Refused(Option<Rejection>),
}

impl<F, C, B> Ask<F, C, B> {
    /// Awaits `answer`, then concludes about `request`.
    pub fn about(request: Request<B>, answer: F, conclude: C) -> Self {
        Self::Asking {
            answer,
            then: Some((conclude, request)),
        }
    }

    /// Refuses without asking.
    #[must_use]
    pub fn refused(rejection: Rejection) -> Self {
        Self::Refused(Some(rejection))
    }
}

impl<F, C, B> Future for Ask<F, C, B>
where
    F: Future,
    C: Conclude<F::Output, B>,
{
    type Output = Result<Request<B>, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AskProjection::Asking { answer, then } => {
                let answer = ready!(answer.poll(cx));
                let (conclude, request) = then.take().expect("polled after completion");
                Poll::Ready(conclude.conclude(answer, request))
            }
            AskProjection::Refused(rejection) => {
                Poll::Ready(Err(rejection.take().expect("polled after completion")))
            }
        }
    }
}
