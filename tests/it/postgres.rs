//! What PostgreSQL adds to the contracts: several processes, restarts, settings, faults.

mod between;
mod claims;
mod connections;
mod contracts;
mod mails;
mod setup;
mod users;

use std::{future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio::{sync::Barrier, time::timeout};
use tower_registration::{
    app::AppId,
    backend::postgres::{PostgresBackend, PostgresError},
    nonce::{Claim, ClaimOutcome, NonceId, ReplayGuard},
    registration::{OrgId, OwedMail, Registration, UserId, UserKind, Username},
};

use crate::services::Place;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn user(name: &str) -> UserId {
    UserId {
        org_id: OrgId::new("org").unwrap(),
        username: Username::new(&format!("{name}@example.co")).unwrap(),
    }
}

fn pending() -> Registration {
    Registration::pending(UserKind::EndUser, "jane@example.co")
}

/// A user whose mail is due at `next_at`.
fn owing(next_at: DateTime<Utc>) -> Registration {
    let sealed = serde_json::from_value(json!("c2VhbGVk")).unwrap();
    let mut registration = pending();
    registration.owed = Some(OwedMail {
        sealed,
        attempts: 0,
        next_at,
    });
    registration
}

async fn enter(backend: &PostgresBackend, name: &str, registration: &Registration) {
    let store = backend.registrations();
    let entered = store.insert_if_absent(&user(name), registration).await;
    assert!(entered.unwrap());
}

async fn try_claim(
    guard: &impl ReplayGuard<Error = PostgresError>,
    number: usize,
    now: i64,
) -> Result<ClaimOutcome, PostgresError> {
    let app = AppId::new("app").unwrap();
    let nonce = NonceId::of(&format!("nonce number {number}")).unwrap();
    guard
        .claim(Claim::new(&app, nonce, at(0), at(300), at(now)))
        .await
}

async fn claim(backend: &PostgresBackend, now: i64) -> ClaimOutcome {
    try_claim(&backend.replay_guard(), 0, now).await.unwrap()
}

/// Connects as `processes` processes would that start at the same instant.
async fn connect_at_once(place: &Place, processes: usize) -> Vec<PostgresBackend> {
    let barrier = Arc::new(Barrier::new(processes));
    let tasks: Vec<_> = (0..processes)
        .map(|_| {
            let (place, barrier) = (place.clone(), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                place.connect().await
            })
        })
        .collect();
    let mut backends = Vec::new();
    for task in tasks {
        backends.push(task.await.unwrap());
    }
    backends
}

async fn close(backends: impl IntoIterator<Item = PostgresBackend>) {
    for backend in backends {
        backend.close().await;
    }
}

/// Asks again and again until there is something, for twenty seconds at most.
async fn eventually<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), looking).await.unwrap()
}
