//! Users, their registrations, and a clock for tests.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;
use tower_registration::{
    backend::memory::MemoryRegistrations,
    clock::Clock,
    registration::{
        OrgId, Registration, RegistrationKey, RegistrationStore, Registrations, UserId, UserKind,
        Username,
    },
};

pub(crate) const ADDRESS: &str = "jane.doe@example.co";

pub(crate) fn user(name: &str) -> UserId {
    UserId {
        org_id: OrgId::new("example-org-id").unwrap(),
        username: Username::new(&format!("{name}@example.co")).unwrap(),
    }
}

pub(crate) fn jane() -> UserId {
    user("jane")
}

pub(crate) fn pending() -> Registration {
    Registration::pending(UserKind::EndUser, ADDRESS)
}

/// A store in which Jane has yet to register.
pub(crate) fn store() -> MemoryRegistrations {
    let store = MemoryRegistrations::new();
    assert!(store.insert_if_absent(&jane(), pending()));
    store
}

pub(crate) fn key() -> RegistrationKey {
    RegistrationKey::from_bytes([7; 32]).unwrap()
}

/// Registrations by tokio's clock.
pub(crate) fn registrations<S: RegistrationStore>(store: S) -> Registrations<S> {
    Registrations::new(store, key()).with_clock(TokioClock::start())
}

/// Goes with tokio's time, which tests pause and advance.
pub(crate) struct TokioClock(Instant);

impl TokioClock {
    /// A clock that shows 1970's first instant now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for TokioClock {
    fn now(&self) -> DateTime<Utc> {
        let passed = TimeDelta::from_std(self.0.elapsed()).unwrap();
        DateTime::UNIX_EPOCH + TimeDelta::microseconds(passed.num_microseconds().unwrap())
    }
}
