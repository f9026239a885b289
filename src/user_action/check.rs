//! The check of the user action token.

use std::{
    error::Error,
    fmt,
    future::{self, Future, Ready},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, request::Parts};
use http_body::Body;
use pin_project::pin_project;

use super::{UserAction, UserActionOutcome, UserActionVerifier};
use crate::{
    gate::{Ask, Check, Conclude, GateLayer, Then},
    headers::{Credential, HeaderNames},
    rejection::{Rejection, RejectionKind},
    signature::{BodyLimits, Buffering, CheckedBody, collect},
    target::{original_uri, path_and_query},
    verified::{Verified, VerifiedUserAction},
};

/// Passes every request: no user action is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUserAction;

impl<B> Check<B> for NoUserAction {
    type Body = B;
    type Future = Ready<Result<Request<B>, Rejection>>;

    fn check(&self, request: Request<B>) -> Self::Future {
        future::ready(Ok(request))
    }
}

/// Requires a token, reads the body, and uses the token up.
pub type UserActionCheck<V> = Then<PresenceCheck, Then<BufferCheck, TokenCheck<V>>>;

/// Requires the token's header and a claimed nonce, before the body is read.
#[derive(Clone, Debug)]
pub struct PresenceCheck(HeaderNames);

impl PresenceCheck {
    fn verdict<B>(&self, request: &Request<B>) -> Result<(), Rejection> {
        if Verified::of(request.extensions()).nonce().is_none() {
            return Err(Rejection::missing_layer("UserActionLayer", "NonceLayer"));
        }
        self.0
            .require(request.headers(), Credential::UserAction)
            .map(drop)
    }
}

impl<B> Check<B> for PresenceCheck {
    type Body = B;
    type Future = Ready<Result<Request<B>, Rejection>>;

    fn check(&self, request: Request<B>) -> Self::Future {
        future::ready(self.verdict(&request).map(|()| request))
    }
}

/// Reads the body whole.
#[derive(Clone, Debug)]
pub struct BufferCheck(BodyLimits);

impl<B> Check<B> for BufferCheck
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Body = CheckedBody<B>;
    type Future = BufferVerdict<B>;

    fn check(&self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        BufferVerdict {
            body: collect(body, &parts.headers, self.0),
            parts: Some(parts),
        }
    }
}

/// The verdict of a [`BufferCheck`].
#[pin_project]
#[derive(Debug)]
pub struct BufferVerdict<B> {
    #[pin]
    body: Buffering<B>,
    parts: Option<Parts>,
}

impl<B> Future for BufferVerdict<B>
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Output = Result<Request<CheckedBody<B>>, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let body = ready!(this.body.poll(cx))?;
        let parts = this.parts.take().expect("polled after completion");
        Poll::Ready(Ok(Request::from_parts(
            parts,
            CheckedBody::Whole(Some(body)),
        )))
    }
}

/// Uses the token up.
pub struct TokenCheck<V> {
    verifier: Arc<V>,
    names: HeaderNames,
}

impl<V: UserActionVerifier> TokenCheck<V> {
    fn begin<B>(&self, request: &Request<CheckedBody<B>>) -> Result<V::Future, Rejection> {
        let token = self
            .names
            .require(request.headers(), Credential::UserAction)?;
        let body = request
            .body()
            .whole()
            .ok_or_else(|| Rejection::missing_layer("UserActionLayer", "BufferCheck"))?;
        let app = Verified::of(request.extensions()).app();
        Ok(self.verifier.use_up(UserAction {
            token,
            app: app.map(|app| &**app.application()),
            method: request.method(),
            path: path_and_query(original_uri(request.uri(), request.extensions())),
            body,
        }))
    }
}

impl<V: UserActionVerifier, B> Check<CheckedBody<B>> for TokenCheck<V> {
    type Body = CheckedBody<B>;
    type Future = Ask<V::Future, UsedUp, CheckedBody<B>>;

    fn check(&self, request: Request<CheckedBody<B>>) -> Self::Future {
        match self.begin(&request) {
            Ok(outcome) => Ask::about(request, outcome, UsedUp),
            Err(rejection) => Ask::refused(rejection),
        }
    }
}

/// What a token's outcome means for its request.
#[derive(Clone, Copy, Debug)]
pub struct UsedUp;

impl<B, E> Conclude<Result<UserActionOutcome, E>, B> for UsedUp
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn conclude(
        self,
        outcome: Result<UserActionOutcome, E>,
        mut request: Request<B>,
    ) -> Result<Request<B>, Rejection> {
        let refuse = |kind, reason: &'static str| Err(Rejection::new(kind, reason));
        match outcome {
            Ok(UserActionOutcome::UsedUp) => {
                Verified::of_mut(request.extensions_mut()).user_action =
                    Some(VerifiedUserAction(()));
                Ok(request)
            }
            Ok(UserActionOutcome::Replayed) => refuse(
                RejectionKind::UserActionReplayed,
                "user action has been used before",
            ),
            Ok(UserActionOutcome::Invalid) => refuse(
                RejectionKind::UserActionInvalid,
                "user action is not good for this request",
            ),
            Err(error) => Err(Rejection::unavailable("user action verifier failed", error)),
        }
    }
}

impl<V> Clone for TokenCheck<V> {
    fn clone(&self) -> Self {
        Self {
            verifier: Arc::clone(&self.verifier),
            names: self.names.clone(),
        }
    }
}

impl<V> fmt::Debug for TokenCheck<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCheck")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// Mounts the check of the user action token by itself, inside of
/// [`NonceLayer`](crate::nonce::NonceLayer).
pub type UserActionLayer<V> = GateLayer<UserActionCheck<V>>;

impl<V: UserActionVerifier> UserActionCheck<V> {
    pub(crate) fn with(verifier: V, names: HeaderNames, limits: BodyLimits) -> Self {
        let token = TokenCheck {
            verifier: Arc::new(verifier),
            names: names.clone(),
        };
        Then::new(PresenceCheck(names), Then::new(BufferCheck(limits), token))
    }
}

impl<V: UserActionVerifier> GateLayer<UserActionCheck<V>> {
    /// Uses tokens up with `verifier`; header `x-dfns-useraction`, default body limits.
    pub fn new(verifier: V) -> Self {
        Self::with(verifier, HeaderNames::default(), BodyLimits::default())
    }

    /// The same, with the header's name and the body's limits.
    pub fn with(verifier: V, names: HeaderNames, limits: BodyLimits) -> Self {
        Self::from_check(UserActionCheck::with(verifier, names, limits))
    }
}
