//! Stores and outboxes with a fault.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, SubsecRound, Utc};
use tokio::task::yield_now;
use tower_registration::{
    conformance::{
        Breaches, Subject, outbox, registration_store, registration_store::StoreHarness,
    },
    registration::{
        Backlog, DueMail, OrgId, Outbox, Registration, RegistrationStore, UserId, policy::leased,
    },
};

use super::breaks;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    IgnoresTheVersion,
    LooksThenWrites,
    MakesUsers,
    KeepsMilliseconds,
    ForgetsTheLocale,
    IgnoresCase,
    WritesInHalves,
    ReadsOldValues,
    LeasesWithoutASwap,
    LeasesInAnyOrder,
    IgnoresTheLimit,
    LeasesBeforeTheTime,
    LeasesWithAnotherToken,
    LosesWhatItLeases,
    CountsWhatIsNotLeased,
}

#[derive(Clone)]
struct Faulty {
    fault: Fault,
    users: Arc<Mutex<HashMap<UserId, Registration>>>,
    read: Arc<Mutex<HashMap<UserId, Registration>>>,
}

impl Faulty {
    fn key(&self, user: &UserId) -> UserId {
        let org_id = match self.fault {
            Fault::IgnoresCase => OrgId::new(&user.org_id.as_str().to_lowercase()).unwrap(),
            _ => user.org_id.clone(),
        };
        let username = user.username.clone();
        UserId { org_id, username }
    }

    fn get(&self, user: &UserId) -> Option<Registration> {
        self.users.lock().unwrap().get(&self.key(user)).cloned()
    }

    fn put(&self, user: &UserId, mut new: Registration) {
        match self.fault {
            Fault::KeepsMilliseconds => {
                if let Some(code) = &mut new.code {
                    code.issued_at = code.issued_at.trunc_subsecs(3);
                }
            }
            Fault::ForgetsTheLocale => new.locale = None,
            _ => {}
        }
        self.users.lock().unwrap().insert(self.key(user), new);
    }

    /// One atomic swap.
    fn swap(&self, user: &UserId, expected: u64, new: Registration) -> bool {
        let mut users = self.users.lock().unwrap();
        let current = users.get_mut(&self.key(user));
        let Some(current) = current.filter(|current| current.version == expected) else {
            return false;
        };
        *current = new;
        true
    }

    fn due(&self, now: DateTime<Utc>) -> Vec<(UserId, Registration)> {
        let users = self.users.lock().unwrap();
        let due = users.iter().filter(|(_, user)| {
            let due = user.due_at();
            due.is_some_and(|at| at <= now || self.fault == Fault::LeasesBeforeTheTime)
        });
        let mut due: Vec<_> = due
            .map(|(user, current)| (user.clone(), current.clone()))
            .collect();
        due.sort_by_key(|(_, current)| current.due_at());
        if self.fault == Fault::LeasesInAnyOrder {
            due.reverse();
        }
        due
    }
}

impl RegistrationStore for Faulty {
    type Error = Infallible;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, Infallible> {
        let current = self.get(user);
        if self.fault == Fault::ReadsOldValues {
            let mut read = self.read.lock().unwrap();
            if let Some(old) = read.get(user) {
                return Ok(Some(old.clone()));
            }
            read.extend(current.clone().map(|current| (user.clone(), current)));
        }
        Ok(current)
    }

    async fn replace(
        &self,
        user: &UserId,
        expected_version: u64,
        new: &Registration,
    ) -> Result<bool, Infallible> {
        let current = self.get(user);
        let version = current.as_ref().map(|current| current.version);
        let matches = match self.fault {
            Fault::IgnoresTheVersion => current.is_some(),
            Fault::MakesUsers => version.is_none_or(|version| version == expected_version),
            _ => version == Some(expected_version),
        };
        match self.fault {
            Fault::LooksThenWrites => yield_now().await,
            Fault::WritesInHalves if matches => {
                let address = new.address.clone();
                let mut half = current.unwrap();
                half.address = address;
                if !self.swap(user, expected_version, half) {
                    return Ok(false);
                }
                yield_now().await;
                return Ok(self.swap(user, expected_version, new.clone()));
            }
            Fault::IgnoresTheVersion
            | Fault::MakesUsers
            | Fault::KeepsMilliseconds
            | Fault::ForgetsTheLocale => {}
            _ => return Ok(self.swap(user, expected_version, new.clone())),
        }
        if matches {
            self.put(user, new.clone());
        }
        Ok(matches)
    }
}

impl Outbox for Faulty {
    async fn lease_due(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueMail>, Infallible> {
        let limit = match self.fault {
            Fault::IgnoresTheLimit => usize::MAX,
            _ => limit,
        };
        let mut mails = Vec::new();
        for (user, current) in self.due(now) {
            if mails.len() >= limit {
                break;
            }
            let mut registration = leased(&current, until);
            match self.fault {
                Fault::LeasesWithoutASwap => {
                    for _ in 0..8 {
                        yield_now().await;
                    }
                    self.put(&user, registration.clone());
                    mails.push(DueMail::new(user, registration));
                    continue;
                }
                Fault::LosesWhatItLeases => {
                    let mut taken = current.clone();
                    taken.owed = None;
                    if !self.swap(&user, current.version, taken) {
                        continue;
                    }
                    yield_now().await;
                }
                Fault::LeasesWithAnotherToken => {
                    registration.lease.as_mut().unwrap().token = current.version;
                }
                _ => {}
            }
            if self.swap(&user, current.version, registration.clone()) {
                mails.push(DueMail::new(user, registration));
            }
        }
        Ok(mails)
    }

    async fn backlog(&self) -> Result<Option<Backlog>, Infallible> {
        let users = self.users.lock().unwrap();
        let owing = users.values().filter(|user| {
            let counted = self.fault != Fault::CountsWhatIsNotLeased || user.lease.is_none();
            user.owed.is_some() && counted
        });
        let owing: Vec<_> = owing.collect();
        let made = owing.iter().filter_map(|owing| owing.code.as_ref());
        let oldest = made.map(|code| code.issued_at).min();
        Ok(Some(Backlog::new(owing.len() as u64, oldest)))
    }
}

impl StoreHarness for Fault {
    type Store = Faulty;
    type Error = Infallible;

    async fn fresh(&self) -> Subject<Faulty> {
        let one = Faulty {
            fault: *self,
            users: Arc::default(),
            read: Arc::default(),
        };
        let other = Faulty {
            read: Arc::default(),
            ..one.clone()
        };
        Subject::new(one).with_second_handle(other)
    }

    async fn enter(
        &self,
        store: &Faulty,
        user: &UserId,
        registration: &Registration,
    ) -> Result<(), Infallible> {
        store.put(user, registration.clone());
        Ok(())
    }
}

async fn store(fault: Fault) -> Result<(), Breaches> {
    registration_store::all(&fault).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_without_a_fault_passes() {
    store(Fault::None).await.unwrap();
    outbox::all(&Fault::None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stores_that_do_not_compare_and_swap_are_found() {
    let stale = "a_swap_under_another_version_changes_nothing";
    breaks(
        store(Fault::IgnoresTheVersion).await,
        &[stale, "of_many_swaps_at_once_one_wins"],
    );
    let at_once = [
        "of_many_swaps_at_once_one_wins",
        "swaps_at_once_lose_no_change",
    ];
    breaks(store(Fault::LooksThenWrites).await, &at_once);
    let made = "an_unknown_user_is_none_and_stays_so";
    breaks(store(Fault::MakesUsers).await, &[made]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stores_that_change_what_they_keep_are_found() {
    breaks(
        store(Fault::KeepsMilliseconds).await,
        &["every_field_comes_back"],
    );
    breaks(
        store(Fault::ForgetsTheLocale).await,
        &["every_field_comes_back"],
    );
    let apart = "users_are_told_apart_byte_for_byte";
    breaks(store(Fault::IgnoresCase).await, &[apart]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_writes_in_halves_is_found() {
    let rules = [
        "a_load_sees_no_half_of_a_swap",
        "a_dropped_swap_happened_or_not",
    ];
    breaks(store(Fault::WritesInHalves).await, &rules);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_that_reads_old_values_is_found() {
    // The rules that try until they win would try for ever.
    let read = registration_store::what_one_handle_wrote_another_reads(&Fault::ReadsOldValues);
    assert!(read.await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn outboxes_with_a_fault_are_found() {
    let order = "mails_are_leased_oldest_first_up_to_the_limit_and_not_before_they_are_due";
    for (fault, rule) in [
        (
            Fault::LeasesWithoutASwap,
            "of_leases_at_once_no_user_is_in_two",
        ),
        (
            Fault::LeasesWithoutASwap,
            "a_lease_and_a_swap_at_once_have_one_winner",
        ),
        (Fault::LeasesInAnyOrder, order),
        (Fault::IgnoresTheLimit, order),
        (Fault::LeasesBeforeTheTime, order),
        (
            Fault::LeasesWithAnotherToken,
            "a_lease_is_swapped_in_with_the_next_version_as_its_token",
        ),
        (Fault::LosesWhatItLeases, "a_dropped_lease_loses_no_mail"),
        (
            Fault::CountsWhatIsNotLeased,
            "the_backlog_is_all_that_is_owed_and_as_old_as_its_oldest_code",
        ),
    ] {
        breaks(outbox::all(&fault).await, &[rule]);
    }
}
