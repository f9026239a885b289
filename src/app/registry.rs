//! Where applications are found.

use std::{
    collections::HashMap,
    convert::Infallible,
    error::Error,
    future::{Future, Ready, ready},
    sync::Arc,
};

use super::{AppId, Application};

/// Finds an application by its id.
///
/// # Contract
///
/// 1. `find` compares ids byte for byte.
/// 2. `None` means that no such application exists; an error, that nothing is known. The latter
///    refuses the request with 503.
/// 3. `id` comes from a stranger: at most 1,024 bytes of visible ASCII, nothing more is known.
///
/// The future is an associated type, so that a registry in memory answers without allocating. A
/// registry over a database sets `type Future = Pin<Box<dyn Future<…> + Send>>` and is best put
/// behind [`CachedApps`](super::CachedApps).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no application registry",
    note = "give one to `.apps(…)`: `tower_registration::app::StaticApps` from configuration, or your own `tower_registration::app::AppRegistry`"
)]
pub trait AppRegistry: Send + Sync + 'static {
    /// Why the registry could not answer.
    type Error: Into<Box<dyn Error + Send + Sync>>;
    /// The search under way.
    type Future: Future<Output = Result<Option<Arc<Application>>, Self::Error>> + Send + 'static;

    /// The application with this id, or `None`.
    fn find(&self, id: &str) -> Self::Future;
}

impl<R: AppRegistry> AppRegistry for Arc<R> {
    type Error = R::Error;
    type Future = R::Future;

    fn find(&self, id: &str) -> Self::Future {
        R::find(self, id)
    }
}

/// Applications that are known from the start, in memory. Clones share them.
///
/// ```
/// use tower_registration::app::{AppId, Application, StaticApps};
///
/// let app = || Application::client_side(AppId::new("ap-4s6se-e2t7n-89gfg50iaos73pm6").unwrap());
/// assert!(StaticApps::new([app()]).is_ok());
/// assert!(StaticApps::new([app(), app()]).is_err());
/// ```
#[derive(Clone, Debug, Default)]
pub struct StaticApps(Arc<HashMap<AppId, Arc<Application>>>);

/// Two applications with one id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("application id {0} is given twice: every application needs an id of its own")]
pub struct DuplicateApp(AppId);

impl DuplicateApp {
    /// The id that both have.
    #[must_use]
    pub fn id(&self) -> &AppId {
        &self.0
    }
}

impl StaticApps {
    /// A registry of these applications.
    ///
    /// # Errors
    ///
    /// If two of them have one id.
    pub fn new(apps: impl IntoIterator<Item = Application>) -> Result<Self, DuplicateApp> {
        let mut by_id = HashMap::new();
        for app in apps {
            if let Some(twin) = by_id.insert(app.id().clone(), Arc::new(app)) {
                return Err(DuplicateApp(twin.id().clone()));
            }
        }
        Ok(Self(Arc::new(by_id)))
    }
}

impl AppRegistry for StaticApps {
    type Error = Infallible;
    type Future = Ready<Result<Option<Arc<Application>>, Infallible>>;

    fn find(&self, id: &str) -> Self::Future {
        ready(Ok(self.0.get(id).cloned()))
    }
}
