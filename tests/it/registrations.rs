//! The contract suites of a store and an outbox, over memory and SQLite.

use std::convert::Infallible;

use tower_registration::{
    backend::{
        memory::MemoryRegistrations,
        sqlite::{SqliteError, SqliteRegistrations},
    },
    conformance::{Subject, registration_store::StoreHarness},
    registration::{Registration, UserId},
};

struct Memory;

impl StoreHarness for Memory {
    type Store = MemoryRegistrations;
    type Error = Infallible;

    async fn fresh(&self) -> Subject<Self::Store> {
        let store = MemoryRegistrations::new();
        Subject::new(store.clone()).with_second_handle(store)
    }

    async fn enter(
        &self,
        store: &Self::Store,
        user: &UserId,
        registration: &Registration,
    ) -> Result<(), Infallible> {
        store.insert_if_absent(user, registration.clone());
        Ok(())
    }
}

struct Sqlite;

impl StoreHarness for Sqlite {
    type Store = SqliteRegistrations;
    type Error = SqliteError;

    async fn fresh(&self) -> Subject<Self::Store> {
        let (one, other, directory) = crate::sqlite::two_processes().await;
        Subject::new(one.registrations())
            .with_second_handle(other.registrations())
            .keeping(directory)
    }

    async fn enter(
        &self,
        store: &Self::Store,
        user: &UserId,
        registration: &Registration,
    ) -> Result<(), SqliteError> {
        store.insert_if_absent(user, registration).await.map(drop)
    }
}

mod memory_store {
    tower_registration::conformance_tests!(registration_store, super::Memory);
}
mod memory_outbox {
    tower_registration::conformance_tests!(outbox, super::Memory);
}
mod sqlite_store {
    tower_registration::conformance_tests!(registration_store, super::Sqlite);
}
mod sqlite_outbox {
    tower_registration::conformance_tests!(outbox, super::Sqlite);
}
