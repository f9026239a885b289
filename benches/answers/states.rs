//! The states that a user can be in, and users who are.

use std::{num::NonZeroUsize, time::Duration};

use tokio::task::JoinSet;
use tower_registration::{
    backend::{
        memory::{MemoryMailer, MemoryRegistrations},
        postgres::PostgresRegistrations,
        sqlite::SqliteRegistrations,
    },
    delivery::Deliverer,
    registration::{
        OrgId, Outbox, Policy, Registration, RegistrationKey, RegistrationStatus, Registrations,
        UserId, UserKind, Username,
    },
};

pub(crate) const ORG: &str = "example-org-id";
/// Longer than any measurement, so that who cools down does so to its end.
const COOLDOWN: Duration = Duration::from_hours(12);
/// Users entered at once.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// What the store knows of the user who is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Unknown,
    /// Unknown as well, under another label: what differs between the two is noise.
    Control,
    Completed,
    Cooling,
    /// Gets a code with the call.
    Pending,
}

impl State {
    pub(crate) const ALL: [Self; 5] = [
        Self::Unknown,
        Self::Control,
        Self::Completed,
        Self::Cooling,
        Self::Pending,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Control => "unknown again",
            Self::Completed => "completed",
            Self::Cooling => "cooling",
            Self::Pending => "pending",
        }
    }
}

/// Somebody to ask for, once.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) state: State,
    pub(crate) username: String,
}

/// So many targets in each state, shuffled. Names say nothing about the state, and no name occurs
/// in another such list with another `prefix`.
pub(crate) fn targets(prefix: &str, each: usize) -> Vec<Target> {
    let mut states = State::ALL.repeat(each);
    fastrand::shuffle(&mut states);
    let target = |(number, state)| Target {
        state,
        username: format!("{prefix}-{number:07}@example.co"),
    };
    states.into_iter().enumerate().map(target).collect()
}

/// A store that users can be entered into.
pub(crate) trait Store: Outbox + Clone {
    fn enter(
        &self,
        user: &UserId,
        registration: &Registration,
    ) -> impl Future<Output = bool> + Send;
}

impl Store for MemoryRegistrations {
    async fn enter(&self, user: &UserId, registration: &Registration) -> bool {
        self.insert_if_absent(user, registration.clone())
    }
}

impl Store for SqliteRegistrations {
    async fn enter(&self, user: &UserId, registration: &Registration) -> bool {
        let entered = self.insert_if_absent(user, registration).await;
        entered.expect("an answer")
    }
}

impl Store for PostgresRegistrations {
    async fn enter(&self, user: &UserId, registration: &Registration) -> bool {
        let entered = self.insert_if_absent(user, registration).await;
        entered.expect("an answer")
    }
}

/// Registrations in `store`, with all targets in their states.
pub(crate) async fn entered<S: Store>(store: S, targets: &[Target]) -> Registrations<S> {
    let key = RegistrationKey::generate().expect("randomness");
    let policy = Policy::builder().cooldown(COOLDOWN).build();
    let policy = policy.expect("a policy");
    let mut entering = JoinSet::new();
    for target in targets {
        let user = UserId {
            org_id: OrgId::new(ORG).expect("an id"),
            username: Username::new(&target.username).expect("a name"),
        };
        if let Some(registration) = registration(target.state, &user, &key, policy).await {
            let store = store.clone();
            entering.spawn(async move { assert!(store.enter(&user, &registration).await) });
        }
        if entering.len() >= AT_ONCE.get() {
            entering.join_next().await.expect("a task").expect("a user");
        }
    }
    entering.join_all().await;
    Registrations::new(store, key).with_policy(policy)
}

/// What a store has of such a user. Who cools down got a code and its mail just now.
async fn registration(
    state: State,
    user: &UserId,
    key: &RegistrationKey,
    policy: Policy,
) -> Option<Registration> {
    let pending = Registration::pending(UserKind::EndUser, user.username.as_str());
    match state {
        State::Unknown | State::Control => None,
        State::Completed => Some(pending.with_status(RegistrationStatus::Registered)),
        State::Pending => Some(pending),
        State::Cooling => {
            let store = MemoryRegistrations::new();
            assert!(store.insert_if_absent(user, pending));
            let registrations = Registrations::new(store.clone(), key.clone()).with_policy(policy);
            let issued = registrations.resend(user, |_| true).await;
            issued.expect("a code");
            let deliverer = Deliverer::new(registrations, MemoryMailer::new());
            deliverer.deliver(user).await.expect("a delivery");
            store.get(user)
        }
    }
}
