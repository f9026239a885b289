//! The one [`Layer`], [`Service`] and [`Future`] that every check of this crate is mounted by.
//!
//! A [`Check`] gives a verdict on a request: the request, with a proof in its extensions, or a
//! [`Rejection`]. A [`Gate`] asks the check, and calls the inner service only on a pass. It holds
//! these rules for all of them, in one place:
//!
//! 1. The inner service that is called is the one that was polled ready.
//! 2. A check that panics refuses with 503; the inner service is not called.
//! 3. A rejection leaves as its JSON answer, with the [`Rejection`] in the response's extensions.
//! 4. The inner service's errors are its own and pass through.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::{
    rejection::{Rejection, RejectionKind},
    trace,
};

/// A verdict on a request.
///
/// A check that passes returns the request, with what it proved in the extensions. Checks are
/// cloned for each request and should be cheap to clone.
pub trait Check<B> {
    /// The body that the next check or service gets.
    type Body;
    /// The verdict.
    type Future: Future<Output = Result<Request<Self::Body>, Rejection>>;

    /// Decides about `request`.
    fn check(&self, request: Request<B>) -> Self::Future;
}

/// Two checks in a row: the second sees what the first let pass.
#[derive(Clone, Debug)]
pub struct Then<A, B> {
    first: A,
    second: B,
}

impl<A, B> Then<A, B> {
    /// `first`, and on a pass, `second`.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }

    pub(crate) fn first_mut(&mut self) -> &mut A {
        &mut self.first
    }

    pub(crate) fn second_mut(&mut self) -> &mut B {
        &mut self.second
    }
}

impl<In, A, B> Check<In> for Then<A, B>
where
    A: Check<In>,
    B: Check<A::Body> + Clone,
{
    type Body = B::Body;
    type Future = ThenFuture<A::Future, B, B::Future>;

    fn check(&self, request: Request<In>) -> Self::Future {
        ThenFuture::First {
            verdict: self.first.check(request),
            second: self.second.clone(),
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
        second: C,
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

/// Mounts a [`Check`] in front of a service.
#[derive(Clone, Debug)]
#[must_use]
pub struct GateLayer<C> {
    check: C,
}

impl<C> GateLayer<C> {
    /// A layer that lets pass what `check` lets pass.
    pub fn from_check(check: C) -> Self {
        Self { check }
    }

    pub(crate) fn check_mut(&mut self) -> &mut C {
        &mut self.check
    }
}

impl<S, C: Clone> Layer<S> for GateLayer<C> {
    type Service = Gate<C, S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gate {
            check: self.check.clone(),
            inner,
        }
    }
}

/// A service behind a [`Check`].
#[derive(Clone, Debug)]
pub struct Gate<C, S> {
    check: C,
    inner: S,
}

impl<C, S, B, ResBody> Service<Request<B>> for Gate<C, S>
where
    C: Check<B>,
    S: Service<Request<C::Body>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<GateBody<ResBody>>;
    type Error = S::Error;
    type Future = GateFuture<C::Future, S, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready goes with the request; its clone stays behind.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        match catch_unwind(AssertUnwindSafe(|| self.check.check(request))) {
            Ok(verdict) => GateFuture::Checking {
                verdict,
                inner: ready,
            },
            Err(_) => GateFuture::Refused(Some(panicked())),
        }
    }
}

/// The answer of a [`Gate`].
#[pin_project(project = GateProjection)]
pub enum GateFuture<V, S, F> {
    /// The check is under way.
    Checking {
        /// Its verdict.
        #[pin]
        verdict: V,
        /// The readied service.
        inner: S,
    },
    /// The check has passed.
    Calling(#[pin] F),
    /// The check could not even begin.
    Refused(Option<Rejection>),
}

impl<V, S, F> fmt::Debug for GateFuture<V, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Checking { .. } => "GateFuture::Checking",
            Self::Calling(_) => "GateFuture::Calling",
            Self::Refused(_) => "GateFuture::Refused",
        })
    }
}

impl<V, S, B, ResBody> Future for GateFuture<V, S, S::Future>
where
    V: Future<Output = Result<Request<B>, Rejection>>,
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Output = Result<Response<GateBody<ResBody>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project() {
                GateProjection::Checking { verdict, inner } => {
                    match ready!(poll_verdict(verdict, cx)) {
                        Ok(request) => Self::Calling(inner.call(request)),
                        Err(rejection) => return Poll::Ready(Ok(refuse(rejection))),
                    }
                }
                GateProjection::Calling(response) => {
                    return response
                        .poll(cx)
                        .map_ok(|answer| answer.map(GateBody::Inner));
                }
                GateProjection::Refused(rejection) => {
                    let rejection = rejection.take().expect("polled after completion");
                    return Poll::Ready(Ok(refuse(rejection)));
                }
            };
            self.set(next);
        }
    }
}

/// Polls a verdict; a panic in it is a check that could not be made.
fn poll_verdict<V, B>(verdict: Pin<&mut V>, cx: &mut Context<'_>) -> Poll<V::Output>
where
    V: Future<Output = Result<Request<B>, Rejection>>,
{
    catch_unwind(AssertUnwindSafe(|| verdict.poll(cx)))
        .unwrap_or_else(|_| Poll::Ready(Err(panicked())))
}

/// The panic's own text is not taken over: nobody knows what stands in it. The panic hook has
/// shown it already.
fn panicked() -> Rejection {
    Rejection::unavailable("a check failed", "it panicked")
}

fn refuse<B>(rejection: Rejection) -> Response<GateBody<B>> {
    log(&rejection);
    rejection.into_response().map(GateBody::Rejection)
}

/// Logs what a caller did at `debug`, what the operator has to mend at `error`.
pub(crate) fn log(rejection: &Rejection) {
    let name = rejection.kind().row().name;
    let reason = rejection.reason();
    let source = std::error::Error::source(rejection);
    match rejection.kind() {
        RejectionKind::InternalError | RejectionKind::Unavailable => {
            trace::error!(target: trace::VERIFY, outcome = name, reason = reason, source = ?source, "request refused");
        }
        _ => {
            trace::debug!(target: trace::VERIFY, outcome = name, reason = reason, source = ?source, "request refused");
        }
    }
}

/// The body of a [`Gate`]'s answer: the inner service's, or a rejection's JSON.
#[pin_project(project = GateBodyProjection)]
#[derive(Debug)]
pub enum GateBody<B> {
    /// The inner service's own body.
    Inner(#[pin] B),
    /// The JSON of a [`Rejection`].
    Rejection(#[pin] Full<Bytes>),
}

impl<B: Default> Default for GateBody<B> {
    fn default() -> Self {
        Self::Inner(B::default())
    }
}

impl<B: Body<Data = Bytes>> Body for GateBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project() {
            GateBodyProjection::Inner(body) => body.poll_frame(cx),
            GateBodyProjection::Rejection(body) => body
                .poll_frame(cx)
                .map_err(|infallible| match infallible {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Inner(body) => body.is_end_stream(),
            Self::Rejection(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Inner(body) => body.size_hint(),
            Self::Rejection(body) => body.size_hint(),
        }
    }
}
