//! The layers among those of others: for each order that the guide recommends, what it does, and
//! what the other order would do. Stacks are written from the outside in.

mod browsers;
mod clients;
mod connections;
mod example;
mod limits;
mod program;
mod rates;
mod signed;
mod timeouts;
mod watching;

use std::{sync::Arc, time::Duration};

use axum::{Router, routing::put};
use tower_registration::{
    backend::memory::{MemoryMailer, MemoryRegistrations, MemoryReplayGuard},
    clock::ManualClock,
    delivery::{Courier, Deliverer},
    registration::{PATH, Registration, RegistrationStatus, ResendRegistration, UserKind},
};

use crate::{
    layers::through_router,
    support::{Call, Verify, guard, start, verify_with},
    users,
};

type Guard = Arc<MemoryReplayGuard>;

/// All checks, over a guard that a test may share among routers.
fn checks(guard: &Guard) -> Verify {
    verify_with(&ManualClock::at(start()), guard)
}

/// The checks over a guard of their own.
fn new_checks() -> Verify {
    checks(&guard())
}

/// A route that says that it was reached.
fn route() -> Router {
    Router::new().route(PATH, put(|| async { "reached" }))
}

/// The route with nothing but the checks around it.
fn checked(guard: &Guard) -> Router {
    route().layer(checks(guard))
}

fn honest() -> Call {
    Call::client_app(start())
}

/// A call that no check lets pass.
fn strangers() -> Call {
    honest().with("x-dfns-appid", "unknown")
}

/// Asserts that this very call has not used its nonce up, by using it up.
async fn assert_still_good(guard: &Guard, call: Call) {
    through_router(&checked(guard), call).await.assert_success();
}

async fn assert_used_up(guard: &Guard, call: Call) {
    through_router(&checked(guard), call)
        .await
        .assert_error(400, "NonceReplayed");
}

/// The endpoint in memory, without its checks, and where its mails go.
struct Endpoint {
    resend: ResendRegistration<MemoryRegistrations, Couriers>,
    courier: Couriers,
    mailer: MemoryMailer,
}

type Couriers = Courier<MemoryRegistrations, MemoryMailer>;

/// One user of each sort that an answer must not tell apart.
const USERS: [&str; 3] = ["jane@example.co", "done@example.co", "nobody@example.co"];

impl Endpoint {
    fn new() -> Self {
        let store = users::store();
        let done = Registration::pending(UserKind::EndUser, "done@example.co");
        store.insert_if_absent(
            &users::user("done"),
            done.with_status(RegistrationStatus::Registered),
        );
        let mailer = MemoryMailer::new();
        let registrations = users::registrations(store);
        let courier = Courier::new(Deliverer::new(registrations.clone(), mailer.clone()));
        let resend = ResendRegistration::builder(registrations, courier.clone());
        Self {
            resend: resend.build().unwrap(),
            courier,
            mailer,
        }
    }

    fn route(&self) -> Router {
        Router::new().route_service(PATH, self.resend.clone())
    }

    /// How many mails went out, once all that are in hand have.
    async fn mails(&self) -> usize {
        self.courier.shutdown(Duration::from_mins(1)).await;
        self.mailer.sent().len()
    }
}
