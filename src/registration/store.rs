//! The port to where registrations are kept.

use std::{error::Error, future::Future, sync::Arc};

use chrono::{DateTime, Utc};

use super::{Registration, UserId};

/// Keeps one [`Registration`] for each user. A store decides nothing.
///
/// # Contract
///
/// 1. [`load`](Self::load) returns what the last completed `replace` wrote (read your writes,
///    across all processes that share the store).
/// 2. [`replace`](Self::replace) is one atomic compare-and-swap: of any number of calls with one
///    `expected_version`, at once or in a row, exactly one returns `true`.
/// 3. What `true` was returned for survives what the store promises to survive.
/// 4. An error means that nothing is known. A `replace` that failed may have happened.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no registration store",
    note = "use a store of `tower_registration::backend`, or implement `tower_registration::registration::RegistrationStore`: `load` and `replace`, whose futures are `Send`"
)]
pub trait RegistrationStore: Send + Sync + 'static {
    /// Why the store could not answer.
    type Error: Error + Send + Sync + 'static;

    /// The user's registration, or `None` if there is no such user.
    // rustc shows the line of `Send`, and what stands behind it, to whose future is not.
    fn load(
        &self,
        user: &UserId,
    ) -> impl Future<Output = Result<Option<Registration>, Self::Error>> + Send; // moves between threads

    /// Replaces the user's registration by `new` if its version is still `expected_version`, and
    /// tells whether it was. `new.version` is `expected_version + 1`.
    fn replace(
        &self,
        user: &UserId,
        expected_version: u64,
        new: &Registration,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send; // moves between threads
}

/// A mail that [`Outbox::lease_due`] has leased to the caller.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DueMail {
    /// Whose mail.
    pub user: UserId,
    /// The registration as the lease left it: `lease` is the caller's.
    pub registration: Registration,
}

impl DueMail {
    /// The mail of `user`, whose registration is now this one.
    #[must_use]
    pub fn new(user: UserId, registration: Registration) -> Self {
        Self { user, registration }
    }
}

/// How much a store owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backlog {
    /// Users who are owed a mail, those included that is being sent or waits to be tried again.
    pub owed: u64,
    /// When the oldest code among theirs was made; `None` where nothing is owed.
    pub oldest: Option<DateTime<Utc>>,
}

impl Backlog {
    /// Mails owed to so many users, the oldest with a code made at `oldest`.
    #[must_use]
    pub fn new(owed: u64, oldest: Option<DateTime<Utc>>) -> Self {
        Self { owed, oldest }
    }
}

/// A store that can tell which mails are owed, so that a
/// [`Dispatcher`](crate::delivery::Dispatcher) delivers them, in this process or another, and a
/// crash loses none.
///
/// # Contract
///
/// 1. `lease_due` finds users whose [`due_at`](Registration::due_at) is at or before `now`, oldest
///    first, at most `limit`.
/// 2. For each it swaps in, atomically, the registration with `version + 1` and the lease
///    `{ token: version + 1, until }`. Of two calls at once, no user is leased by both.
/// 3. [`backlog`](Self::backlog), where it is told, counts users with an
///    [owed](Registration::owed) mail, due or not, and finds the oldest of their codes.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no outbox",
    note = "implement `tower_registration::registration::Outbox` for the store, or deliver by a `tower_registration::delivery::Courier`, which any store will do for"
)]
pub trait Outbox: RegistrationStore {
    /// Leases mails that are due at `now` to the caller until `until`.
    fn lease_due(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DueMail>, Self::Error>> + Send;

    /// How much is owed, in all processes together, if the store can tell: to be watched, and asked
    /// for every few seconds, never by a request. By default it can't.
    fn backlog(&self) -> impl Future<Output = Result<Option<Backlog>, Self::Error>> + Send {
        async { Ok(None) }
    }
}

impl<S: RegistrationStore> RegistrationStore for Arc<S> {
    type Error = S::Error;

    fn load(
        &self,
        user: &UserId,
    ) -> impl Future<Output = Result<Option<Registration>, Self::Error>> + Send {
        S::load(self, user)
    }

    fn replace(
        &self,
        user: &UserId,
        expected_version: u64,
        new: &Registration,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        S::replace(self, user, expected_version, new)
    }
}

impl<S: Outbox> Outbox for Arc<S> {
    fn lease_due(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DueMail>, Self::Error>> + Send {
        S::lease_due(self, now, until, limit)
    }

    fn backlog(&self) -> impl Future<Output = Result<Option<Backlog>, Self::Error>> + Send {
        S::backlog(self)
    }
}
