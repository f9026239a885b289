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
#[pin_project]
#[derive(Debug)]
pub struct GateBody<B>(#[pin] Whose<B>);

#[pin_project(project = WhoseProjection)]
#[derive(Debug)]
enum Whose<B> {
    /// The inner service's own body.
    Inner(#[pin] B),
    /// The JSON of a [`Rejection`](crate::rejection::Rejection).
    Rejection(#[pin] Full<Bytes>),
}

impl<B> GateBody<B> {
    pub(super) fn inner(body: B) -> Self {
        Self(Whose::Inner(body))
    }

    pub(super) fn rejection(json: Full<Bytes>) -> Self {
        Self(Whose::Rejection(json))
    }
}

impl<B: Default> Default for GateBody<B> {
    fn default() -> Self {
        Self::inner(B::default())
    }
}

impl<B: Body<Data = Bytes>> Body for GateBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.project().0.project() {
            WhoseProjection::Inner(body) => body.poll_frame(cx),
            WhoseProjection::Rejection(body) => body
                .poll_frame(cx)
                .map_err(|infallible| match infallible {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Whose::Inner(body) => body.is_end_stream(),
            Whose::Rejection(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Whose::Inner(body) => body.size_hint(),
            Whose::Rejection(body) => body.size_hint(),
        }
    }
}
