//! The layer, its service, and its future.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Check, GateBody, Mount};
use crate::{
    measure,
    rejection::{Rejection, RejectionKind},
    trace,
};

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
    C: Mount<B> + Check<<C as Mount<B>>::Body> + Clone,
    S: Service<Request<<C as Mount<B>>::Body>, Response = Response<ResBody>> + Clone,
{
    type Response = Response<GateBody<ResBody>>;
    type Error = S::Error;
    type Future = GateFuture<C, C::Pending, <C as Mount<B>>::Body, S, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The service that was polled ready goes with the request; its clone stays behind.
        let clone = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, clone);
        let mut request = request.map(C::mount);
        let stage = match guarded(|| self.check.begin(&mut request)) {
            Ok(pending) => Stage::Checking {
                check: self.check.clone(),
                pending,
                asked: Some((request, ready)),
            },
            Err(rejection) => Stage::Refused(Some(rejection)),
        };
        GateFuture { stage }
    }
}

/// The answer of a [`Gate`].
#[pin_project]
pub struct GateFuture<C, P, B, S, F> {
    #[pin]
    stage: Stage<C, P, B, S, F>,
}

#[pin_project(project = StageProjection)]
enum Stage<C, P, B, S, F> {
    /// The check is under way.
    Checking {
        check: C,
        #[pin]
        pending: P,
        /// The request, and the readied service that it is for.
        asked: Option<(Request<B>, S)>,
    },
    /// The check has passed.
    Calling(#[pin] F),
    /// The check refused at once.
    Refused(Option<Rejection>),
}

impl<C, P, B, S, F> fmt::Debug for GateFuture<C, P, B, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Checking { .. } => "GateFuture::Checking",
            Stage::Calling(_) => "GateFuture::Calling",
            Stage::Refused(_) => "GateFuture::Refused",
        })
    }
}

impl<C, B, S, ResBody> Future for GateFuture<C, C::Pending, B, S, S::Future>
where
    C: Check<B>,
    S: Service<Request<B>, Response = Response<ResBody>>,
{
    type Output = Result<Response<GateBody<ResBody>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut stage = self.project().stage;
        loop {
            let next = match stage.as_mut().project() {
                StageProjection::Checking {
                    check,
                    pending,
                    asked,
                } => {
                    let (request, _) = asked.as_mut().expect("polled after completion");
                    let verdict = match guarded(|| Ok(check.poll(pending, request, cx))) {
                        Ok(verdict) => ready!(verdict),
                        Err(panicked) => Err(panicked),
                    };
                    // Taken whatever the verdict: there is no second one.
                    let (request, mut inner) = asked.take().expect("it was there just now");
                    match verdict {
                        Ok(()) => Stage::Calling(inner.call(request)),
                        Err(rejection) => return Poll::Ready(Ok(refuse(rejection))),
                    }
                }
                StageProjection::Calling(response) => {
                    return response
                        .poll(cx)
                        .map_ok(|answer| answer.map(GateBody::inner));
                }
                StageProjection::Refused(rejection) => {
                    let rejection = rejection.take().expect("polled after completion");
                    return Poll::Ready(Ok(refuse(rejection)));
                }
            };
            stage.set(next);
        }
    }
}

/// Asks a check; a panic in it is a check that could not be made.
fn guarded<T>(ask: impl FnOnce() -> Result<T, Rejection>) -> Result<T, Rejection> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| Err(panicked()))
}

/// The panic's own text is not taken over: nobody knows what stands in it. The panic hook has
/// shown it already.
fn panicked() -> Rejection {
    Rejection::unavailable("a check failed", "it panicked")
}

fn refuse<B>(rejection: Rejection) -> Response<GateBody<B>> {
    report(&rejection);
    rejection.into_response().map(GateBody::rejection)
}

/// Counts a rejection, and logs what a caller did at `debug`, what the operator has to mend at `error`.
pub(crate) fn report(rejection: &Rejection) {
    measure::rejected(rejection.kind());
    let name = rejection.kind().name();
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
