//! The check of the user action token.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;
use http_body::Body;
use pin_project::pin_project;

use super::{UserAction, UserActionOutcome, UserActionVerifier};
use crate::{
    gate::{Check, GateLayer, Mount, Then},
    headers::{Credential, HeaderNames},
    rejection::{Rejection, RejectionKind},
    signature::{BodyLimits, Buffering, CheckedBody, collect_unread},
    target::{original_uri, path_and_query},
    verified::{Verified, VerifiedUserAction},
};

/// Passes every request: no user action is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUserAction;

impl<B> Check<B> for NoUserAction {
    type Pending = ();

    fn begin(&self, _: &mut Request<B>) -> Result<(), Rejection> {
        Ok(())
    }

    fn poll(
        &self,
        _: Pin<&mut ()>,
        _: &mut Request<B>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        Poll::Ready(Ok(()))
    }
}

/// Requires a token, reads the body, and uses the token up.
pub type UserActionCheck<V> = Then<PresenceCheck, Then<BufferCheck, TokenCheck<V>>>;

/// Requires the token's header and a claimed nonce, before the body is read.
#[derive(Clone, Debug)]
pub struct PresenceCheck(Arc<HeaderNames>);

impl<B> Check<B> for PresenceCheck {
    type Pending = ();

    fn begin(&self, request: &mut Request<B>) -> Result<(), Rejection> {
        if Verified::of(request.extensions()).nonce().is_none() {
            return Err(Rejection::missing_layer("UserActionLayer", "NonceLayer"));
        }
        self.0
            .require(request.headers(), Credential::UserAction)
            .map(drop)
    }

    fn poll(
        &self,
        _: Pin<&mut ()>,
        _: &mut Request<B>,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        Poll::Ready(Ok(()))
    }
}

/// Has the body read whole, if the check of the signature has not.
#[derive(Clone, Debug)]
pub struct BufferCheck(BodyLimits);

/// What a [`BufferCheck`] waits for.
#[pin_project]
#[derive(Debug)]
pub struct BufferPending<B>(#[pin] Option<Buffering<B>>);

// As for `SignatureCheck`.
#[diagnostic::do_not_recommend]
impl<B> Check<CheckedBody<B>> for BufferCheck
where
    B: Body,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Pending = BufferPending<B>;

    fn begin(&self, request: &mut Request<CheckedBody<B>>) -> Result<BufferPending<B>, Rejection> {
        Ok(BufferPending(collect_unread(request, self.0)))
    }

    fn poll(
        &self,
        pending: Pin<&mut BufferPending<B>>,
        request: &mut Request<CheckedBody<B>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        if let Some(reading) = pending.project().0.as_pin_mut() {
            let body = ready!(reading.poll(cx))?;
            *request.body_mut() = CheckedBody::read(body);
        }
        Poll::Ready(Ok(()))
    }
}

/// Uses the token up.
pub struct TokenCheck<V> {
    verifier: Arc<V>,
    names: Arc<HeaderNames>,
}

impl<V: UserActionVerifier, B> Check<CheckedBody<B>> for TokenCheck<V> {
    type Pending = V::Future;

    fn begin(&self, request: &mut Request<CheckedBody<B>>) -> Result<V::Future, Rejection> {
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

    fn poll(
        &self,
        outcome: Pin<&mut V::Future>,
        request: &mut Request<CheckedBody<B>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let refuse = |kind, reason: &'static str| Err(Rejection::new(kind, reason));
        Poll::Ready(match ready!(outcome.poll(cx)) {
            Ok(UserActionOutcome::UsedUp) => {
                Verified::of_mut(request.extensions_mut()).user_action =
                    Some(VerifiedUserAction(()));
                Ok(())
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
        })
    }
}

impl<V, B> Mount<B> for TokenCheck<V> {
    type Body = CheckedBody<B>;

    fn mount(body: B) -> CheckedBody<B> {
        CheckedBody::unread(body)
    }
}

impl<V> Clone for TokenCheck<V> {
    fn clone(&self) -> Self {
        Self {
            verifier: Arc::clone(&self.verifier),
            names: Arc::clone(&self.names),
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
        let names = Arc::new(names);
        let token = TokenCheck {
            verifier: Arc::new(verifier),
            names: Arc::clone(&names),
        };
        Then::new(PresenceCheck(names), Then::new(BufferCheck(limits), token))
    }
}

impl<V: UserActionVerifier> GateLayer<UserActionCheck<V>> {
    /// Uses tokens up with `verifier`; header `x-dfns-useraction`, default body limits.
    pub fn new(verifier: V) -> Self {
        Self::from_check(UserActionCheck::with(
            verifier,
            HeaderNames::default(),
            BodyLimits::default(),
        ))
    }

    /// Reads the token from another header.
    pub fn header_names(mut self, names: HeaderNames) -> Self {
        let names = Arc::new(names);
        let check = self.check_mut();
        check.first_mut().0 = Arc::clone(&names);
        check.second_mut().second_mut().names = names;
        self
    }

    /// How long a body may be, and how long it may take to arrive; 16 KiB and 10 s by default.
    pub fn body_limits(mut self, limits: BodyLimits) -> Self {
        self.check_mut().second_mut().first_mut().0 = limits;
        self
    }
}
