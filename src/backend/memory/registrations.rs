//! Registrations in a map.

use std::{
    collections::{BTreeSet, HashMap},
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};

use crate::registration::{
    Backlog, DueMail, Outbox, Registration, RegistrationStore, UserId, policy,
};

/// A [`RegistrationStore`] and [`Outbox`] in this process's memory. Clones share it; it ends with
/// the last of them, and with the process.
///
/// ```
/// use tower_registration::{
///     backend::memory::MemoryRegistrations,
///     registration::{OrgId, Registration, UserId, UserKind, Username},
/// };
///
/// let jane = UserId {
///     org_id: OrgId::new("example-org-id").unwrap(),
///     username: Username::new("jane@example.co").unwrap(),
/// };
/// let store = MemoryRegistrations::new();
/// let pending = Registration::pending(UserKind::EndUser, "jane@example.co");
/// assert!(store.insert_if_absent(&jane, pending.clone()));
/// assert!(!store.insert_if_absent(&jane, pending));
/// ```
#[derive(Clone, Default)]
pub struct MemoryRegistrations(Arc<Mutex<Table>>);

/// The users, and an index of who has a mail due when: a user stands in it once, or not at all.
#[derive(Default)]
struct Table {
    users: HashMap<UserId, Registration>,
    due: BTreeSet<(DateTime<Utc>, UserId)>,
}

impl Table {
    fn put(&mut self, user: &UserId, new: Registration) {
        if let Some(at) = new.due_at() {
            self.due.insert((at, user.clone()));
        }
        let (new_due, old) = (new.due_at(), self.users.insert(user.clone(), new));
        if let Some(at) = old
            .and_then(|old| old.due_at())
            .filter(|at| Some(*at) != new_due)
        {
            self.due.remove(&(at, user.clone()));
        }
    }
}

impl MemoryRegistrations {
    /// A store without users.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a user unless there is one of that name, and tells whether it did.
    #[expect(
        clippy::must_use_candidate,
        reason = "whoever fills a store need not mind what was there"
    )]
    pub fn insert_if_absent(&self, user: &UserId, registration: Registration) -> bool {
        let mut table = self.table();
        let absent = !table.users.contains_key(user);
        if absent {
            table.put(user, registration);
        }
        absent
    }

    /// The user's registration.
    #[must_use]
    pub fn get(&self, user: &UserId) -> Option<Registration> {
        self.table().users.get(user).cloned()
    }

    /// Nothing panics while the lock is held, so that a poisoned one guards a sound table.
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RegistrationStore for MemoryRegistrations {
    type Error = Infallible;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, Infallible> {
        Ok(self.get(user))
    }

    async fn replace(
        &self,
        user: &UserId,
        expected_version: u64,
        new: &Registration,
    ) -> Result<bool, Infallible> {
        let mut table = self.table();
        let current = table.users.get(user).map(|current| current.version);
        let swapped = current == Some(expected_version);
        if swapped {
            table.put(user, new.clone());
        }
        Ok(swapped)
    }
}

impl Outbox for MemoryRegistrations {
    async fn lease_due(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueMail>, Infallible> {
        let mut table = self.table();
        let due = table.due.iter().take_while(|(at, _)| *at <= now);
        let users: Vec<_> = due.take(limit).map(|(_, user)| user.clone()).collect();
        let mut mails = Vec::with_capacity(users.len());
        for user in users {
            if let Some(current) = table.users.get(&user) {
                let registration = policy::leased(current, until);
                table.put(&user, registration.clone());
                mails.push(DueMail { user, registration });
            }
        }
        Ok(mails)
    }

    async fn backlog(&self) -> Result<Option<Backlog>, Infallible> {
        let table = self.table();
        let owed = table
            .due
            .iter()
            .filter_map(|(_, user)| table.users.get(user));
        let made = owed.filter_map(|owing| owing.code.as_ref());
        Ok(Some(Backlog {
            owed: table.due.len() as u64,
            oldest: made.map(|code| code.issued_at).min(),
        }))
    }
}

impl fmt::Debug for MemoryRegistrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        f.debug_struct("MemoryRegistrations")
            .field("users", &table.users.len())
            .field("due", &table.due.len())
            .finish()
    }
}
