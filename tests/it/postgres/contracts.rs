//! The contract suites, on PostgreSQL.

use std::sync::Mutex;

use tower_registration::{
    backend::postgres::{
        PostgresBackend, PostgresError, PostgresRegistrations, PostgresReplayGuard,
    },
    conformance::{
        Subject, outbox,
        registration_store::{self, StoreHarness},
        replay_guard::{self, ReplayGuardHarness},
    },
    registration::{Registration, UserId},
};

use crate::services::{Place, in_schema};

/// A schema for each rule of a suite.
struct Harness {
    place: Place,
    schemas: Mutex<Vec<Place>>,
}

impl Harness {
    fn on(place: Place) -> Self {
        let schemas = Mutex::default();
        Self { place, schemas }
    }

    async fn two_processes(&self) -> [PostgresBackend; 2] {
        let schema = format!("test_{}", uuid::Uuid::new_v4().simple());
        let place = Place {
            schema,
            ..self.place.clone()
        };
        self.schemas.lock().unwrap().push(place.clone());
        let settings = place.settings().connections(4);
        let url = place.not_durable();
        let one = settings.clone().connect(&url).await.unwrap();
        [one, settings.connect(&url).await.unwrap()]
    }

    async fn clear(self) {
        for place in self.schemas.into_inner().unwrap() {
            place.run("DROP SCHEMA {schema} CASCADE").await;
        }
    }
}

impl ReplayGuardHarness for Harness {
    type Guard = PostgresReplayGuard;

    async fn fresh(&self) -> Subject<PostgresReplayGuard> {
        let [one, other] = self.two_processes().await;
        Subject::new(one.replay_guard()).with_second_handle(other.replay_guard())
    }

    async fn bounded(&self) -> Option<Subject<PostgresReplayGuard>> {
        let [one, _] = self.two_processes().await;
        Some(Subject::new(one.replay_guard().with_capacity(1_000)))
    }
}

impl StoreHarness for Harness {
    type Store = PostgresRegistrations;
    type Error = PostgresError;

    async fn fresh(&self) -> Subject<PostgresRegistrations> {
        let [one, other] = self.two_processes().await;
        Subject::new(one.registrations()).with_second_handle(other.registrations())
    }

    async fn enter(
        &self,
        store: &PostgresRegistrations,
        user: &UserId,
        registration: &Registration,
    ) -> Result<(), PostgresError> {
        store.insert_if_absent(user, registration).await.map(drop)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contract_of_a_guard_is_kept() {
    in_schema(|place| async move {
        let harness = Harness::on(place);
        let kept = replay_guard::all(&harness).await;
        harness.clear().await;
        kept.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contracts_of_a_store_and_an_outbox_are_kept() {
    in_schema(|place| async move {
        let harness = Harness::on(place);
        let as_store = Box::pin(registration_store::all(&harness)).await;
        let as_outbox = Box::pin(outbox::all(&harness)).await;
        harness.clear().await;
        as_store.unwrap();
        as_outbox.unwrap();
    })
    .await;
}
