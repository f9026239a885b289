//! The answer: read the body, have the work done by a task, wait for the grid.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{CACHE_CONTROL, CONTENT_TYPE},
};
use http_body::Body;
use http_body_util::Full;
use pin_project::pin_project;
use tokio::{task::JoinHandle, time::Instant};

use super::{
    RegistrationStore, ResendRequest, UserId,
    grid::Grid,
    service::{Asker, BoxError, Shared},
};
use crate::{
    delivery::Handover,
    gate,
    rejection::Rejection,
    signature::{Buffering, collect},
    trace::Instrument,
};

pub(super) const SUCCESS: &[u8] = br#"{"message":"success"}"#;

/// Whether the uniform answer leaves, or a rejection.
pub(super) type Verdict = Result<(), Rejection>;

/// The answer of [`ResendRegistration`](super::ResendRegistration).
#[pin_project]
pub struct ResendFuture<S, H, B> {
    #[pin]
    stage: Stage<B>,
    arrived: Instant,
    /// From the beginning of the work on.
    #[pin]
    grid: Option<Grid>,
    shared: Arc<Shared<S, H>>,
}

#[pin_project(project = StageProjection)]
#[expect(
    clippy::large_enum_variant,
    reason = "each future begins with the largest"
)]
enum Stage<B> {
    Reading {
        #[pin]
        body: Buffering<B>,
        asker: Option<Asker>,
    },
    /// The store is asked, by a task that goes on though nobody waits for it.
    Working(#[pin] JoinHandle<Verdict>),
    /// The verdict waits for the grid.
    Waiting(Option<Verdict>),
    Decided(Option<Verdict>),
}

impl<S, H, B: Body> ResendFuture<S, H, B> {
    /// Arrives now: the grid counts from here. No runtime is needed before the first poll.
    pub(super) fn new(
        shared: Arc<Shared<S, H>>,
        request: Request<B>,
        admitted: Result<Asker, Rejection>,
    ) -> Self {
        let stage = match admitted {
            Err(rejection) => Stage::Decided(Some(Err(rejection))),
            Ok(asker) => {
                let (parts, body) = request.into_parts();
                Stage::Reading {
                    body: collect(body, &parts.headers, shared.limits),
                    asker: Some(asker),
                }
            }
        };
        Self {
            stage,
            arrived: Instant::now(),
            grid: None,
            shared,
        }
    }
}

impl<S, H, B> Future for ResendFuture<S, H, B>
where
    S: RegistrationStore,
    H: Handover,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Output = Result<Response<Full<Bytes>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.stage.as_mut().project() {
                StageProjection::Reading { body, asker } => {
                    let body = ready!(body.poll(cx));
                    let asker = asker.take().expect("polled after completion");
                    match body.and_then(|body| read(&body)) {
                        Err(rejection) => Stage::Decided(Some(Err(rejection))),
                        Ok(user) => {
                            let grid = |step| Grid::of(*this.arrived, step);
                            this.grid.set(this.shared.grid.map(grid));
                            let work = Arc::clone(this.shared).work(asker, user);
                            Stage::Working(tokio::spawn(work.in_current_span()))
                        }
                    }
                }
                StageProjection::Working(task) => {
                    if let Some(grid) = this.grid.as_mut().as_pin_mut() {
                        grid.keep(cx);
                    }
                    let verdict = ready!(task.poll(cx)).unwrap_or_else(|error| {
                        // A panic's own text is not taken over: nobody knows what stands in it.
                        let cause = if error.is_panic() {
                            "it panicked"
                        } else {
                            "it was cancelled"
                        };
                        Err(Rejection::unavailable("the work was not done", cause))
                    });
                    Stage::Waiting(Some(verdict))
                }
                StageProjection::Waiting(verdict) => {
                    if let Some(grid) = this.grid.as_mut().as_pin_mut() {
                        ready!(grid.poll_step(cx));
                    }
                    Stage::Decided(verdict.take())
                }
                StageProjection::Decided(verdict) => {
                    let verdict = verdict.take().expect("polled after completion");
                    return Poll::Ready(Ok(answer(verdict)));
                }
            };
            this.stage.set(next);
        }
    }
}

/// What is wrong with the body is told.
fn read(body: &[u8]) -> Result<UserId, Rejection> {
    match ResendRequest::parse(body) {
        Ok(request) => Ok(request.user),
        Err(error) => Err(Rejection::body_invalid(error.to_string())),
    }
}

fn answer(verdict: Verdict) -> Response<Full<Bytes>> {
    if let Err(rejection) = verdict {
        gate::report(&rejection);
        return rejection.into_response();
    }
    success()
}

/// The one answer, whatever user was named.
pub(super) fn success() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(SUCCESS)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl<S, H, B> fmt::Debug for ResendFuture<S, H, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResendFuture").finish_non_exhaustive()
    }
}
