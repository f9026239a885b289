//! The endpoint: a request in, the uniform answer out.
//!
//! 1. Method, permission, content type, body: what is wrong with these is told, since it depends
//!    on nothing that the store knows.
//! 2. From then on there is one answer, `200 {"message":"success"}`: whatever user was named, in
//!    whatever state. Its bytes and headers are the same, and it leaves on a time grid counted
//!    from the request's arrival.
//! 3. The mail is handed over, not sent: no answer waits for a mail server. Room for it is
//!    reserved before a code is made; no room is a 503, whatever user was named.
//! 4. The work runs as a task of its own: a caller who hangs up does not stop it half-way, and a
//!    panic in it is a 503.
//!
//! What still shows: a store that fails on writing alone (a full disk) answers 503 for users who
//! would have got a code and 200 for others; and work that takes longer than the grid's step, as
//! on an overloaded machine, leaves a step later. Choose the step well above what your store
//! takes.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::Full;
use tower_service::Service;

use super::{
    RegistrationStore, Registrations, ResendOutcome, UserId, UserKind,
    answer::{ResendFuture, Verdict},
};
use crate::{
    app::{AppId, Permissions},
    delivery::{Handover, Permit},
    measure::{self, Requested},
    rejection::{Rejection, RejectionKind},
    signature::BodyLimits,
    trace,
    verified::Verified,
};

/// What became of a request for a new code: for metrics and audit, never for the caller.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResendEvent<'a> {
    /// The application that asked; `None` behind other authentication.
    pub app: Option<&'a AppId>,
    /// The user it asked for. Personal data: keep it out of logs and metrics.
    pub user: &'a UserId,
    /// What was done.
    pub outcome: &'a ResendOutcome,
}

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
pub(super) type Observer = Arc<dyn Fn(&ResendEvent<'_>) + Send + Sync>;

/// Whose permissions count.
#[derive(Clone)]
pub(super) enum Authority {
    VerifiedApp,
    Fixed(Permissions),
}

/// Serves the endpoint. Clones share everything; the path is whoever mounts it's choice.
///
/// See the crate's front page for how to mount it.
pub struct ResendRegistration<S, H> {
    pub(super) shared: Arc<Shared<S, H>>,
}

pub(super) struct Shared<S, H> {
    pub(super) registrations: Registrations<S>,
    pub(super) handover: H,
    pub(super) authority: Authority,
    pub(super) limits: BodyLimits,
    pub(super) grid: Option<Duration>,
    pub(super) observer: Option<Observer>,
}

/// Who asks, and what they may do.
pub(super) struct Asker {
    app: Option<AppId>,
    permissions: Permissions,
}

impl<S, H> Shared<S, H> {
    /// All that can be said without the body.
    fn admit<B>(&self, request: &Request<B>) -> Result<Asker, Rejection> {
        if request.method() != Method::PUT {
            let reason = format!("method is {}", request.method());
            return Err(Rejection::new(RejectionKind::MethodNotAllowed, reason));
        }
        let asker = match &self.authority {
            Authority::Fixed(permissions) => Asker {
                app: None,
                permissions: permissions.clone(),
            },
            Authority::VerifiedApp => {
                let app = Verified::of(request.extensions()).app().ok_or_else(|| {
                    Rejection::missing_layer("ResendRegistration", "VerifyRequest")
                })?;
                let app = app.application();
                Asker {
                    app: Some(app.id().clone()),
                    permissions: app.permissions().clone(),
                }
            }
        };
        if !asker.permissions.allow(Permissions::USERS_CREATE) {
            return Err(Rejection::new(
                RejectionKind::PermissionDenied,
                "application lacks Auth:Users:Create",
            ));
        }
        require_json(request.headers())?;
        Ok(asker)
    }
}

/// Requires one `content-type` of `application/json`; parameters are passed over.
fn require_json(headers: &HeaderMap) -> Result<(), Rejection> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let json = |value: &HeaderValue| {
        let essence = value.as_bytes().split(|byte| *byte == b';').next();
        essence.is_some_and(|essence| {
            essence
                .trim_ascii()
                .eq_ignore_ascii_case(b"application/json")
        })
    };
    match (values.next(), values.next()) {
        (Some(value), None) if json(value) => Ok(()),
        _ => Err(Rejection::new(
            RejectionKind::ContentTypeInvalid,
            "content-type is not application/json",
        )),
    }
}

impl<S: RegistrationStore, H: Handover> Shared<S, H> {
    /// All that depends on the store.
    pub(super) async fn work(self: Arc<Self>, asker: Asker, user: UserId) -> Verdict {
        let permit = self.handover.reserve().map_err(|full| {
            measure::requested(Requested::NoRoom);
            Rejection::unavailable("no room for another mail", full)
        })?;
        let may = |kind: UserKind| asker.permissions.allow(kind.permission());
        let outcome = self
            .registrations
            .resend(&user, may)
            .await
            .map_err(|error| {
                measure::requested(Requested::Failed);
                Rejection::unavailable("no decision about a new code", error)
            })?;
        measure::requested(Requested::Decided(outcome));
        if matches!(outcome, ResendOutcome::Issued { .. }) {
            permit.hand_over(user.clone());
        }
        self.tell(&asker, &user, &outcome);
        Ok(())
    }

    fn tell(&self, asker: &Asker, user: &UserId, outcome: &ResendOutcome) {
        let app = asker.app.as_ref();
        trace::info!(target: trace::RESEND, app = app.map_or("", AppId::as_str), org = %user.org_id, outcome = ?outcome, "asked for a registration code");
        if let Some(observer) = &self.observer {
            observer(&ResendEvent { app, user, outcome });
        }
    }
}

impl<S, H, B> Service<Request<B>> for ResendRegistration<S, H>
where
    S: RegistrationStore,
    H: Handover,
    B: Body,
    B::Error: Into<BoxError>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = ResendFuture<S, H, B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let admitted = self.shared.admit(&request);
        ResendFuture::new(Arc::clone(&self.shared), request, admitted)
    }
}

impl<S, H> Clone for ResendRegistration<S, H> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<S, H> fmt::Debug for ResendRegistration<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResendRegistration")
            .field("limits", &self.shared.limits)
            .field("grid", &self.shared.grid)
            .finish_non_exhaustive()
    }
}
