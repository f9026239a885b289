//! The check of application id and secret.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::Request;

use super::{AppKind, AppRegistry, Application};
use crate::{
    clock::{Clock, SharedClock, SystemClock},
    gate::{Check, GateLayer, Mount},
    headers::{Credential, HeaderNames},
    rejection::{Rejection, RejectionKind},
    verified::{Verified, VerifiedApp},
};

/// Requires the id of an active application and, for a server-side one, a secret of it. First of
/// all, requires every credential header to be within its bounds. Then marks those that are secret,
/// so that `Debug` of the headers does not show them.
pub struct AppCheck<R> {
    registry: Arc<R>,
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    names: HeaderNames,
    clock: SharedClock,
}

impl<R> AppCheck<R> {
    pub(crate) fn new(registry: R, names: HeaderNames, clock: SharedClock) -> Self {
        Self {
            registry: Arc::new(registry),
            settings: Arc::new(Settings { names, clock }),
        }
    }
}

impl<R: AppRegistry, B> Check<B> for AppCheck<R> {
    type Pending = R::Future;

    fn begin(&self, request: &mut Request<B>) -> Result<R::Future, Rejection> {
        let names = &self.settings.names;
        let values = names.read_all(request.headers())?;
        let answer = self.registry.find(names.app_id(values)?);
        let sent = values.map(|value| value.is_some());
        names.mark_secrets(request.headers_mut(), sent);
        Ok(answer)
    }

    fn poll(
        &self,
        answer: Pin<&mut R::Future>,
        request: &mut Request<B>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let app = ready!(answer.poll(cx))
            .map_err(|error| Rejection::unavailable("application registry failed", error))?
            .ok_or_else(|| Rejection::new(RejectionKind::AppInvalid, "application is unknown: ids are compared byte for byte with those of the registry"))?;
        let secret = self.settings.verdict(&app, request)?;
        // Nothing that was proved before is kept: all of it was about who is proved now.
        *Verified::of_mut(request.extensions_mut()) = Verified {
            app: Some(VerifiedApp {
                application: app,
                secret,
            }),
            ..Verified::default()
        };
        Poll::Ready(Ok(()))
    }
}

impl<R, B> Mount<B> for AppCheck<R> {
    type Body = B;

    fn mount(body: B) -> B {
        body
    }
}

impl Settings {
    /// Which of the application's secrets the request carries, if it needs one.
    fn verdict<B>(
        &self,
        app: &Application,
        request: &Request<B>,
    ) -> Result<Option<usize>, Rejection> {
        if !app.is_active() {
            return Err(Rejection::new(
                RejectionKind::AppInvalid,
                "application is inactive: its record says so",
            ));
        }
        if app.kind() == AppKind::ClientSideApplication {
            return Ok(None);
        }
        let secret = self
            .names
            .require(request.headers(), Credential::AppSecret)?;
        match app.secret_index(secret, self.clock.now()) {
            Some(index) => Ok(Some(index)),
            None => Err(Rejection::new(
                RejectionKind::AppSecretInvalid,
                "application secret is wrong or has expired",
            )),
        }
    }
}

impl<R> Clone for AppCheck<R> {
    fn clone(&self) -> Self {
        Self {
            registry: Arc::clone(&self.registry),
            settings: Arc::clone(&self.settings),
        }
    }
}

impl<R> fmt::Debug for AppCheck<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppCheck")
            .field("names", &self.settings.names)
            .finish_non_exhaustive()
    }
}

/// Mounts the check of application id and secret by itself, outside of all others: they require
/// the [`VerifiedApp`] that it leaves.
pub type AppLayer<R> = GateLayer<AppCheck<R>>;

impl<R: AppRegistry> GateLayer<AppCheck<R>> {
    /// Finds applications in `registry`; headers `x-dfns-appid` and `x-dfns-appsecret`.
    pub fn new(registry: R) -> Self {
        Self::from_check(AppCheck::new(
            registry,
            HeaderNames::default(),
            Arc::new(SystemClock),
        ))
    }

    /// Reads id and secret from other headers.
    pub fn header_names(mut self, names: HeaderNames) -> Self {
        Arc::make_mut(&mut self.check_mut().settings).names = names;
        self
    }

    /// Reads the time, for the expiry of secrets, from another clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        Arc::make_mut(&mut self.check_mut().settings).clock = Arc::new(clock);
        self
    }
}
