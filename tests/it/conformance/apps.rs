//! Registries with a fault.

use std::{
    collections::HashSet,
    future::{Ready, ready},
    sync::{Arc, Mutex},
};

use tower_registration::{
    app::{AppId, AppRegistry, Application},
    conformance::{Subject, app_registry, app_registry::AppRegistryHarness},
};

use super::breaks;

/// What is wrong with a registry.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    IgnoresCase,
    TrimsIds,
    Forgets,
    TakesUnknownForErrors,
    ForgetsThatItIsInactive,
}

struct Faulty {
    fault: Fault,
    asked: Mutex<HashSet<String>>,
}

const ID: &str = "ap-Known";

impl AppRegistry for Faulty {
    type Error = &'static str;
    type Future = Ready<Result<Option<Arc<Application>>, &'static str>>;

    fn find(&self, id: &str) -> Self::Future {
        let mut asked = self.asked.lock().unwrap();
        asked.insert(id.to_owned());
        let known = match self.fault {
            Fault::IgnoresCase => id.eq_ignore_ascii_case(ID),
            Fault::TrimsIds => id.trim() == ID,
            Fault::Forgets => id == ID && asked.len() < 1_000,
            _ => id == ID,
        };
        let app = Application::client_side(AppId::new(ID).unwrap());
        let app = match self.fault {
            Fault::ForgetsThatItIsInactive => app,
            _ => app.inactive(),
        };
        ready(match (known, self.fault) {
            (true, _) => Ok(Some(Arc::new(app))),
            (false, Fault::TakesUnknownForErrors) => Err("no such application"),
            (false, _) => Ok(None),
        })
    }
}

impl AppRegistryHarness for Fault {
    type Registry = Faulty;

    async fn fresh(&self) -> Subject<Faulty> {
        Subject::new(Faulty {
            fault: *self,
            asked: Mutex::default(),
        })
    }

    fn applications(&self) -> Vec<Application> {
        vec![Application::client_side(AppId::new(ID).unwrap()).inactive()]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn registries_with_a_fault_are_found_and_others_pass() {
    app_registry::all(&Fault::None).await.unwrap();
    for (fault, rule) in [
        (Fault::IgnoresCase, "ids_are_compared_byte_for_byte"),
        (Fault::TrimsIds, "ids_are_compared_byte_for_byte"),
        (Fault::Forgets, "made_up_ids_drive_out_no_application"),
        (
            Fault::TakesUnknownForErrors,
            "whatever_a_stranger_asks_for_is_unknown",
        ),
        (
            Fault::ForgetsThatItIsInactive,
            "every_application_is_found_as_it_is",
        ),
    ] {
        breaks(app_registry::all(&fault).await, &[rule]);
    }
}
