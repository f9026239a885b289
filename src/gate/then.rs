//! Two checks in a row, as one.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;
use pin_project::pin_project;

use super::Check;
use crate::rejection::Rejection;

/// Two checks in a row: the second sees what the first let pass.
///
/// The second is shared, so that it costs one count of references to wait for its turn, whatever
/// it is made of.
#[derive(Debug)]
pub struct Then<A, B> {
    first: A,
    second: Arc<B>,
}

impl<A: Clone, B> Clone for Then<A, B> {
    fn clone(&self) -> Self {
        Self {
            first: self.first.clone(),
            second: Arc::clone(&self.second),
        }
    }
}

impl<A, B> Then<A, B> {
    /// `first`, and on a pass, `second`.
    pub fn new(first: A, second: B) -> Self {
        Self {
            first,
            second: Arc::new(second),
        }
    }

    pub(crate) fn first_mut(&mut self) -> &mut A {
        &mut self.first
    }

    pub(crate) fn second_mut(&mut self) -> &mut B
    where
        B: Clone,
    {
        Arc::make_mut(&mut self.second)
    }
}

impl<In, A, B> Check<In> for Then<A, B>
where
    A: Check<In>,
    B: Check<A::Body>,
{
    type Body = B::Body;
    type Future = ThenFuture<A::Future, B, B::Future>;

    fn check(&self, request: Request<In>) -> Self::Future {
        ThenFuture::First {
            verdict: self.first.check(request),
            second: Arc::clone(&self.second),
        }
    }
}

/// The verdict of [`Then`].
#[pin_project(project = ThenProjection)]
#[derive(Debug)]
pub enum ThenFuture<F, C, G> {
    /// The first check is under way.
    First {
        /// Its verdict.
        #[pin]
        verdict: F,
        /// Who is asked next.
        second: Arc<C>,
    },
    /// The second check is under way.
    Second(#[pin] G),
}

impl<F, Mid, C> Future for ThenFuture<F, C, C::Future>
where
    F: Future<Output = Result<Request<Mid>, Rejection>>,
    C: Check<Mid>,
{
    type Output = Result<Request<C::Body>, Rejection>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                ThenProjection::First { verdict, second } => {
                    second.check(ready!(verdict.poll(cx))?)
                }
                ThenProjection::Second(verdict) => return verdict.poll(cx),
            };
            self.set(Self::Second(next));
        }
    }
}
