//! The check of application id and secret.

use std::{error::Error, fmt, sync::Arc};

use http::Request;

use super::{AppKind, AppRegistry, Application};
use crate::{
    clock::{SharedClock, SystemClock},
    gate::{Ask, Check, Conclude, GateLayer},
    headers::{Credential, HeaderNames},
    rejection::{Rejection, RejectionKind},
    verified::{Verified, VerifiedApp},
};

/// Requires the id of an active application and, for a server-side one, a secret of it. First of
/// all, requires every credential header to be within its bounds. Then marks those that are secret,
/// so that `Debug` of the headers does not show them.
pub struct AppCheck<R> {
    registry: Arc<R>,
    settings: AppSettings,
}

/// What the check needs once the registry has answered.
#[derive(Clone)]
pub struct AppSettings(Arc<Settings>);

#[derive(Clone)]
struct Settings {
    names: HeaderNames,
    clock: SharedClock,
}

impl<R> AppCheck<R> {
    pub(crate) fn new(registry: R, names: HeaderNames, clock: SharedClock) -> Self {
        Self {
            registry: Arc::new(registry),
            settings: AppSettings(Arc::new(Settings { names, clock })),
        }
    }
}

impl<R: AppRegistry, B> Check<B> for AppCheck<R> {
    type Body = B;
    type Future = Ask<R::Future, AppSettings, B>;

    fn check(&self, mut request: Request<B>) -> Self::Future {
        let names = &self.settings.0.names;
        let search = names.read_all(request.headers()).and_then(|values| {
            let id = names.present(Credential::AppId, values[Credential::AppId as usize])?;
            Ok((self.registry.find(id), values.map(|value| value.is_some())))
        });
        match search {
            Ok((answer, sent)) => {
                names.mark_secrets(request.headers_mut(), sent);
                Ask::about(request, answer, self.settings.clone())
            }
            Err(rejection) => Ask::refused(rejection),
        }
    }
}

impl AppSettings {
    fn verdict<B>(&self, app: &Application, request: &Request<B>) -> Result<(), Rejection> {
        if !app.is_active() {
            return Err(Rejection::new(
                RejectionKind::AppInvalid,
                "application is inactive",
            ));
        }
        if app.kind() == AppKind::ClientSideApplication {
            return Ok(());
        }
        let Settings { names, clock } = &*self.0;
        let secret = names.require(request.headers(), Credential::AppSecret)?;
        if app.has_secret(secret, clock.now()) {
            Ok(())
        } else {
            Err(Rejection::new(
                RejectionKind::AppSecretInvalid,
                "application secret is wrong or has expired",
            ))
        }
    }
}

impl<B, E> Conclude<Result<Option<Arc<Application>>, E>, B> for AppSettings
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    fn conclude(
        self,
        found: Result<Option<Arc<Application>>, E>,
        mut request: Request<B>,
    ) -> Result<Request<B>, Rejection> {
        let app = found
            .map_err(|error| Rejection::unavailable("application registry failed", error))?
            .ok_or_else(|| Rejection::new(RejectionKind::AppInvalid, "application is unknown"))?;
        self.verdict(&app, &request)?;
        // Nothing that was proved before is kept: all of it was about who is proved now.
        *Verified::of_mut(request.extensions_mut()) = Verified {
            app: Some(VerifiedApp(app)),
            ..Verified::default()
        };
        Ok(request)
    }
}

impl<R> Clone for AppCheck<R> {
    fn clone(&self) -> Self {
        Self {
            registry: Arc::clone(&self.registry),
            settings: self.settings.clone(),
        }
    }
}

impl<R> fmt::Debug for AppCheck<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppCheck")
            .field("names", &self.settings.0.names)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AppSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSettings")
            .field("names", &self.0.names)
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
        Arc::make_mut(&mut self.check_mut().settings.0).names = names;
        self
    }

    /// Reads the time, for the expiry of secrets, from another clock.
    pub fn clock(mut self, clock: SharedClock) -> Self {
        Arc::make_mut(&mut self.check_mut().settings.0).clock = clock;
        self
    }
}
