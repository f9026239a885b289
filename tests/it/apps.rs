//! The contract suite of a registry, over those of the crate.

use tower_registration::{
    app::{AppId, AppSecretHash, Application, CachedApps, Permissions, StaticApps},
    conformance::{Subject, app_registry::AppRegistryHarness},
};

use crate::support::{CLIENT_APP, INACTIVE_APP, SECRET, SERVER_APP, verifying_key};

fn applications() -> Vec<Application> {
    let id = |id: &str| AppId::new(id).unwrap();
    let secret = AppSecretHash::of(SECRET).unwrap();
    vec![
        Application::client_side(id(CLIENT_APP)).with_permissions([Permissions::USERS_CREATE]),
        Application::server_side(id(SERVER_APP), vec![secret], vec![verifying_key()]),
        Application::client_side(id(INACTIVE_APP)).inactive(),
    ]
}

struct Static;

impl AppRegistryHarness for Static {
    type Registry = StaticApps;

    async fn fresh(&self) -> Subject<StaticApps> {
        Subject::new(StaticApps::new(applications()).unwrap())
    }

    fn applications(&self) -> Vec<Application> {
        applications()
    }
}

struct Cached;

impl AppRegistryHarness for Cached {
    type Registry = CachedApps<StaticApps>;

    async fn fresh(&self) -> Subject<CachedApps<StaticApps>> {
        Subject::new(CachedApps::new(StaticApps::new(applications()).unwrap()))
    }

    fn applications(&self) -> Vec<Application> {
        applications()
    }
}

mod in_configuration {
    tower_registration::conformance_tests!(app_registry, super::Static);
}
mod behind_a_cache {
    tower_registration::conformance_tests!(app_registry, super::Cached);
}
