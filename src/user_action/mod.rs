//! The optional one-time token with which a user confirmed this very action.
//!
//! 1. The token is bound to the request's method, path and body; whoever issued it knows how.
//! 2. It is used up by looking at it: [`UserActionVerifier::use_up`] is one atomic step.
//! 3. It is looked at last, after the nonce was claimed, so that a stranger uses up none.
//! 4. Where no layer for it is mounted, the header is passed over.

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

impl std::fmt::Debug for UserAction<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserAction")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// What became of a token.
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
    note = "implement `UserActionVerifier`, or leave `.user_action(…)` away"
)]
pub trait UserActionVerifier: Send + Sync + 'static {
    /// Why no decision could be made.
    type Error: Into<Box<dyn Error + Send + Sync>>;
    /// The decision under way.
    type Future: Future<Output = Result<UserActionOutcome, Self::Error>> + Send + 'static;

    /// Uses the token up, if it is good for this request.
    fn use_up(&self, action: UserAction<'_>) -> Self::Future;
}
