//! Two checks in a row, as one.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Request;
use pin_project::pin_project;

use super::{Check, Mount};
use crate::rejection::Rejection;

/// Two checks in a row: the second sees what the first let pass.
#[derive(Clone, Debug)]
pub struct Then<A, C> {
    first: A,
    second: C,
}

impl<A, C> Then<A, C> {
    /// `first`, and on a pass, `second`.
    pub fn new(first: A, second: C) -> Self {
        Self { first, second }
    }

    pub(crate) fn first_mut(&mut self) -> &mut A {
        &mut self.first
    }

    pub(crate) fn second_mut(&mut self) -> &mut C {
        &mut self.second
    }
}

/// What the check that is under way waits for.
#[pin_project]
#[derive(Debug)]
pub struct ThenPending<P, Q>(#[pin] Which<P, Q>);

#[pin_project(project = WhichProjection)]
#[derive(Debug)]
enum Which<P, Q> {
    First(#[pin] P),
    Second(#[pin] Q),
}

impl<B, A: Check<B>, C: Check<B>> Check<B> for Then<A, C> {
    type Pending = ThenPending<A::Pending, C::Pending>;

    fn begin(&self, request: &mut Request<B>) -> Result<Self::Pending, Rejection> {
        let pending = self.first.begin(request)?;
        Ok(ThenPending(Which::First(pending)))
    }

    fn poll(
        &self,
        pending: Pin<&mut Self::Pending>,
        request: &mut Request<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let mut which = pending.project().0;
        if let WhichProjection::First(first) = which.as_mut().project() {
            ready!(self.first.poll(first, request, cx))?;
            let second = self.second.begin(request)?;
            which.set(Which::Second(second));
        }
        match which.project() {
            WhichProjection::Second(second) => self.second.poll(second, request, cx),
            WhichProjection::First(_) => unreachable!("it has just been passed"),
        }
    }
}

/// As the second check is mounted.
impl<B, A, C: Mount<B>> Mount<B> for Then<A, C> {
    type Body = C::Body;

    fn mount(body: B) -> Self::Body {
        C::mount(body)
    }
}
