//! The one [`Layer`](tower_layer::Layer), [`Service`](tower_service::Service) and [`Future`] that every
//! check of this crate is mounted by.
//!
//! A [`Check`] lets a request pass, leaving a proof in its extensions, or says why not: a
//! [`Rejection`]. A [`Gate`] asks the check, and calls the inner service only on a pass. It holds
//! these rules for all of them, in one place:
//!
//! 1. The inner service that is called is the one that was polled ready.
//! 2. A check that panics refuses with 503; the inner service is not called.
//! 3. A rejection leaves as its JSON answer, with the [`Rejection`] in the response's extensions.
//! 4. The inner service's errors are its own and pass through.
//! 5. The request lies still: checks are lent it, whether they wait or not.
//!
//! A check of your own is mounted in the same way:
//!
//! ```
//! use std::{
//!     convert::Infallible,
//!     pin::Pin,
//!     sync::{Arc, atomic::{AtomicBool, Ordering}},
//!     task::{Context, Poll},
//! };
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_registration::{
//!     gate::{Check, GateLayer, Mount},
//!     rejection::Rejection,
//! };
//!
//! /// Lets requests pass while the switch is on.
//! #[derive(Clone)]
//! struct Switch(Arc<AtomicBool>);
//!
//! impl<B> Check<B> for Switch {
//!     type Pending = ();
//!
//!     fn begin(&self, _: &mut Request<B>) -> Result<(), Rejection> {
//!         match self.0.load(Ordering::Relaxed) {
//!             true => Ok(()),
//!             false => Err(Rejection::unavailable("maintenance", "it was switched off")),
//!         }
//!     }
//!
//!     fn poll(
//!         &self,
//!         _: Pin<&mut ()>,
//!         _: &mut Request<B>,
//!         _: &mut Context<'_>,
//!     ) -> Poll<Result<(), Rejection>> {
//!         Poll::Ready(Ok(()))
//!     }
//! }
//!
//! impl<B> Mount<B> for Switch {
//!     type Body = B;
//!
//!     fn mount(body: B) -> B {
//!         body
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Infallible> {
//! let switch = Switch(Arc::new(AtomicBool::new(true)));
//! let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
//! let service = GateLayer::from_check(switch.clone()).layer(inner);
//! assert_eq!(service.clone().oneshot(Request::new(())).await?.status(), 200);
//! switch.0.store(false, Ordering::Relaxed);
//! assert_eq!(service.oneshot(Request::new(())).await?.status(), 503);
//! # Ok(())
//! # }
//! ```

mod body;
mod service;
mod then;

pub use body::GateBody;
pub use service::{Gate, GateFuture, GateLayer};
pub use then::{Then, ThenPending};

pub(crate) use service::report;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use http::Request;

use crate::rejection::Rejection;

/// Decides about a request that it is lent, whose body is a `B`.
///
/// It is asked as a future is, but is lent the request each time anew instead of owning it, so
/// that a request is not moved from check to check. Checks are cloned for each request and should
/// be cheap to clone.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't check a request whose body is a `{B}`",
    note = "checks of signatures and user actions read the body: its errors have to be `Into<Box<dyn Error + Send + Sync>>`, and it has to be an `http_body::Body`",
    note = "a check of your own implements `tower_registration::gate::Check`"
)]
pub trait Check<B> {
    /// What is waited for; `()` where nothing is.
    type Pending;

    /// Begins the check.
    ///
    /// # Errors
    ///
    /// The rejection of a request that does not pass, where that is certain already.
    fn begin(&self, request: &mut Request<B>) -> Result<Self::Pending, Rejection>;

    /// The verdict, once there is one. To be called with what [`begin`](Self::begin) returned for
    /// this request, and not again after it was ready.
    fn poll(
        &self,
        pending: Pin<&mut Self::Pending>,
        request: &mut Request<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>>;
}

/// What the inner service gets of a body of type `B` behind a check that is mounted by itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be mounted by itself in front of a service",
    note = "implement `tower_registration::gate::Mount`, which says what becomes of the body"
)]
pub trait Mount<B> {
    /// The inner service's body.
    type Body;

    /// Before the check begins.
    fn mount(body: B) -> Self::Body;
}
