//! The optional one-time token with which a user confirmed this very action.
//!
//! 1. The token is bound to the request's method, path and body; whoever issued it knows how.
//! 2. It is used up by looking at it: [`UserActionVerifier::use_up`] is one atomic step.
//! 3. It is looked at last, after the nonce was claimed, so that a stranger uses up none.
//! 4. Where no layer for it is mounted, the header is passed over.
//!
//! The token is bound to the body as it arrived: whatever changes bodies before this check breaks it.
//!
#![cfg_attr(feature = "client", doc = "```")]
#![cfg_attr(not(feature = "client"), doc = "```ignore")]
//! use std::{collections::HashSet, convert::Infallible, future::{Ready, ready}, sync::Mutex};
//! use bytes::Bytes;
//! use chrono::{DateTime, Utc};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_registration::{
//!     VerifyRequest,
//!     app::{AppId, Application, StaticApps},
//!     backend::memory::MemoryReplayGuard,
//!     client::encode_nonce,
//!     clock::ManualClock,
//!     signature::CheckedBody,
//!     user_action::{UserAction, UserActionOutcome, UserActionVerifier},
//! };
//!
//! /// Keeps what users have confirmed: token, method, path and body of each.
//! struct Confirmed(Mutex<HashSet<String>>);
//!
//! impl UserActionVerifier for Confirmed {
//!     type Error = Infallible;
//!     type Future = Ready<Result<UserActionOutcome, Infallible>>;
//!
//!     fn use_up(&self, action: UserAction<'_>) -> Self::Future {
//!         let UserAction { token, method, path, body, .. } = action;
//!         let confirmed = format!("{token} {method} {path} {body:?}");
//!         ready(Ok(match self.0.lock().unwrap().remove(&confirmed) {
//!             true => UserActionOutcome::UsedUp,
//!             false => UserActionOutcome::Invalid,
//!         }))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now: DateTime<Utc> = "2026-11-23T07:44:00Z".parse()?;
//! let confirmed = HashSet::from([r#"t0k3n POST /transfers b"100""#.to_owned()]);
//! let verify = VerifyRequest::builder()
//!     .apps(StaticApps::new([Application::client_side(AppId::new("ap-1")?)])?)
//!     .replay_guard(MemoryReplayGuard::builder().started_at(now).build()?)
//!     .user_action(Confirmed(Mutex::new(confirmed)))
//!     .clock(ManualClock::at(now))
//!     .build()?;
//! let inner = service_fn(async |_: Request<CheckedBody<Full<Bytes>>>| {
//!     Ok::<_, Infallible>(Response::new(()))
//! });
//! let service = verify.layer(inner);
//!
//! let request = |body: &'static str| {
//!     Request::post("/transfers")
//!         .header("x-dfns-appid", "ap-1")
//!         .header("x-dfns-nonce", encode_nonce(uuid::Uuid::new_v4(), now))
//!         .header("x-dfns-useraction", "t0k3n")
//!         .body(Full::<Bytes>::from(body))
//! };
//! assert_eq!(service.clone().oneshot(request("1000000")?).await?.status(), 403);
//! assert_eq!(service.clone().oneshot(request("100")?).await?.status(), 200);
//! assert_eq!(service.oneshot(request("100")?).await?.status(), 403);
//! # Ok(())
//! # }
//! ```

mod check;

pub use check::{
    BufferCheck, BufferPending, NoUserAction, PresenceCheck, TokenCheck, UserActionCheck,
    UserActionLayer,
};

use std::{error::Error, future::Future};

use bytes::Bytes;
use http::Method;

use crate::app::Application;

/// A token, and what it has to be good for.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct UserAction<'a> {
    /// The token, as the header carries it.
    pub token: &'a str,
    /// Who sends it; `None` only behind a `NonceLayer` that was mounted without applications.
    pub app: Option<&'a Application>,
    /// The request's method.
    pub method: &'a Method,
    /// The request's path and query, as on the wire.
    pub path: &'a str,
    /// The request's whole body.
    pub body: &'a Bytes,
}

impl<'a> UserAction<'a> {
    /// A token to be good for a request with this method, path and body, sent by `app`.
    #[must_use]
    pub fn new(
        token: &'a str,
        app: Option<&'a Application>,
        method: &'a Method,
        path: &'a str,
        body: &'a Bytes,
    ) -> Self {
        Self {
            token,
            app,
            method,
            path,
            body,
        }
    }
}

impl std::fmt::Debug for UserAction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserAction")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What became of a token. These three are the contract: another would be another contract, and so a new
/// major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserActionOutcome {
    /// It was good for this request, and is used up now.
    UsedUp,
    /// It was used up before.
    Replayed,
    /// It is not good for this request.
    Invalid,
}

/// Decides about user action tokens.
///
/// # Contract
///
/// 1. Of any number of calls with one token, at once or in a row, at most one is
///    [`UsedUp`](UserActionOutcome::UsedUp).
/// 2. A token that is not good for the given method, path and body is
///    [`Invalid`](UserActionOutcome::Invalid), and stays as it was.
/// 3. An error means that nothing is known; the request is refused with 503.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no user action verifier",
    note = "implement `tower_registration::user_action::UserActionVerifier`, or leave `.user_action(…)` away"
)]
pub trait UserActionVerifier: Send + Sync + 'static {
    /// Why no decision could be made.
    type Error: Into<Box<dyn Error + Send + Sync>>;
    /// The decision under way.
    type Future: Future<Output = Result<UserActionOutcome, Self::Error>> + Send + 'static;

    /// Uses the token up, if it is good for this request.
    fn use_up(&self, action: UserAction<'_>) -> Self::Future;
}
