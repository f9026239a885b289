//! The one [`Layer`](tower_layer::Layer), [`Service`](tower_service::Service) and [`Future`] that every
//! check of this crate is mounted by.
//!
//! A [`Check`] gives a verdict on a request: the request, with a proof in its extensions, or a
//! [`Rejection`]. A [`Gate`] asks the check, and calls the inner service only on a pass. It holds
//! these rules for all of them, in one place:
//!
//! 1. The inner service that is called is the one that was polled ready.
//! 2. A check that panics refuses with 503; the inner service is not called.
//! 3. A rejection leaves as its JSON answer, with the [`Rejection`] in the response's extensions.
//! 4. The inner service's errors are its own and pass through.

mod ask;
mod body;
mod service;
mod then;

pub use ask::{Ask, Conclude};
pub use body::GateBody;
pub use service::{Gate, GateFuture, GateLayer};
pub use then::{Then, ThenFuture};

pub(crate) use service::log;

use http::Request;

use crate::rejection::Rejection;

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
