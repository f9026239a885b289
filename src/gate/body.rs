//! The body of an answer.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use pin_project::pin_project;

/// The body of a [`Gate`](super::Gate)'s answer: the inner service's, or a rejection's JSON.
#[pin_project(project = GateBodyProjection)]
#[derive(Debug)]
pub enum GateBody<B> {
    /// The inner service's own body.
    Inner(#[pin] B),
    /// The JSON of a [`Rejection`](crate::rejection::Rejection).
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
