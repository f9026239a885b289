//! A [`Courier`] that is stopped while mails are handed to it.

use std::{
    collections::HashMap,
    convert::Infallible,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::DateTime;
use shuttle::{future::block_on, thread};

use super::runtime::{FOREVER, anybody_may_go_on};
use crate::{
    backend::memory::MemoryRegistrations,
    clock::ManualClock,
    delivery::{Backoff, Courier, CourierLimits, Deliverer, Drained, Handover, NoRoom, Permit},
    mail::{MailError, Mailer, RegistrationEmail},
    registration::{
        OrgId, Registration, RegistrationKey, RegistrationStore, Registrations, UserId, UserKind,
        Username,
    },
};

/// Schedules of each model, unless the environment says otherwise.
const SCHEDULES: usize = 2_000;
/// The variable that says otherwise.
const SCHEDULES_VARIABLE: &str = "MODEL_SCHEDULES";

/// Runs `model` under so many schedules that are drawn evenly, and again under as many that change
/// threads at few places, by which some rare orders are found sooner.
fn explore(model: impl Fn() + Clone + Send + Sync + 'static) {
    let schedules = std::env::var(SCHEDULES_VARIABLE).ok();
    let schedules = schedules.map_or(SCHEDULES, |number| number.parse().unwrap());
    shuttle::check_random(model.clone(), schedules);
    shuttle::check_pct(model, schedules, 3);
}

/// A store in memory that lets others go on before each call.
struct Steps(MemoryRegistrations);

impl RegistrationStore for Steps {
    type Error = Infallible;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, Infallible> {
        anybody_may_go_on();
        self.0.load(user).await
    }

    async fn replace(
        &self,
        user: &UserId,
        expected_version: u64,
        new: &Registration,
    ) -> Result<bool, Infallible> {
        anybody_may_go_on();
        self.0.replace(user, expected_version, new).await
    }
}

/// How a mail fares the first time that it is sent.
#[derive(Clone, Copy, PartialEq)]
enum First {
    Sent,
    /// The mailer fails.
    Failed,
    /// The mailer takes its time, in which the courier may lose its patience.
    Slow,
}

/// Counts how often each mail was asked to be sent, and how often it was.
#[derive(Clone)]
struct Counting {
    first: First,
    mails: Arc<Mutex<HashMap<String, Mail>>>,
}

#[derive(Clone, Copy, Default)]
struct Mail {
    calls: usize,
    sent: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("busy")]
struct Busy;

impl MailError for Busy {
    fn is_transient(&self) -> bool {
        true
    }
}

impl Mailer for Counting {
    type Error = Busy;

    async fn send(&self, mail: &RegistrationEmail) -> Result<(), Busy> {
        let username = mail.username.as_str().to_owned();
        let is_first = {
            let mut mails = self.mails.lock().unwrap();
            let mail = mails.entry(username.clone()).or_default();
            mail.calls += 1;
            mail.calls == 1
        };
        anybody_may_go_on();
        match self.first {
            First::Failed if is_first => return Err(Busy),
            First::Slow if is_first => shuttle::future::yield_now().await,
            _ => {}
        }
        self.mails.lock().unwrap().entry(username).or_default().sent += 1;
        Ok(())
    }
}

/// A courier, and what is on either side of it.
#[derive(Clone)]
struct Office {
    store: MemoryRegistrations,
    registrations: Registrations<Steps>,
    mailer: Counting,
    courier: Courier<Steps, Counting>,
}

impl Office {
    /// With room for so many mails, of which one is sent at a time.
    fn new(capacity: usize, first: First) -> Self {
        let store = MemoryRegistrations::new();
        let key = RegistrationKey::from_bytes([7; 32]).unwrap();
        let registrations = Registrations::new(Steps(store.clone()), key)
            .with_clock(ManualClock::at(DateTime::UNIX_EPOCH));
        let mailer = Counting {
            first,
            mails: Arc::default(),
        };
        let at_once = Backoff {
            base: Duration::ZERO,
            cap: Duration::ZERO,
        };
        let deliverer = Deliverer::new(registrations.clone(), mailer.clone()).with_backoff(at_once);
        let limits = CourierLimits {
            capacity: NonZeroUsize::new(capacity).unwrap(),
            concurrency: NonZeroUsize::MIN,
        };
        Self {
            store,
            registrations,
            mailer,
            courier: Courier::with_limits(deliverer, limits),
        }
    }

    /// Does what the handler does for a user, and tells whether there was room.
    fn take_on(&self, user: &UserId) -> Result<(), NoRoom> {
        let pending = Registration::pending(UserKind::EndUser, "jane@example.co");
        assert!(self.store.insert_if_absent(user, pending));
        let permit = self.courier.reserve()?;
        block_on(self.registrations.resend(user, |_| true)).unwrap();
        permit.hand_over(user.clone());
        Ok(())
    }

    fn stop(&self, within: Duration) -> Drained {
        block_on(self.courier.shutdown(within))
    }

    /// Whether the user's mail was sent. It never was twice.
    fn is_sent(&self, user: &UserId) -> bool {
        let mails = self.mailer.mails.lock().unwrap();
        let sent = mails
            .get(user.username.as_str())
            .map_or(0, |mail| mail.sent);
        assert!(sent <= 1, "{user:?} has {sent} mails");
        sent == 1
    }

    fn is_owed(&self, user: &UserId) -> bool {
        self.store.get(user).unwrap().owed.is_some()
    }

    /// Nothing happened to the user.
    fn is_untouched(&self, user: &UserId) -> bool {
        !self.is_sent(user) && self.store.get(user).unwrap().code.is_none()
    }

    /// How many of the users were not sent their mails, which therefore are owed: what was taken
    /// on is sent or owed, what was not is neither.
    fn left(&self, users: &[(UserId, Result<(), NoRoom>)]) -> usize {
        let mut left = 0;
        for (user, taken) in users {
            if taken.is_ok() {
                assert_eq!(self.is_owed(user), !self.is_sent(user), "{user:?}");
                left += usize::from(!self.is_sent(user));
            } else {
                assert!(self.is_untouched(user), "{user:?}");
            }
        }
        left
    }
}

fn user(name: &str) -> UserId {
    UserId {
        org_id: OrgId::new("example-org-id").unwrap(),
        username: Username::new(&format!("{name}@example.co")).unwrap(),
    }
}

/// A thread that takes a mail on.
fn taking_on(office: &Office, name: &str) -> thread::JoinHandle<(UserId, Result<(), NoRoom>)> {
    let (office, user) = (office.clone(), user(name));
    thread::spawn(move || {
        let taken = office.take_on(&user);
        (user, taken)
    })
}

/// Of the schedules so far, how many came to what.
#[derive(Clone, Default)]
struct Seen(Arc<[AtomicUsize; 3]>);

impl Seen {
    fn note(&self, what: usize) {
        self.0[what].fetch_add(1, Ordering::Relaxed);
    }

    /// The model could tell nothing of what never came about.
    fn assert_all(&self, names: [&str; 3]) {
        for (name, count) in names.iter().zip(self.0.iter()) {
            let count = count.load(Ordering::Relaxed);
            assert!(count > 0, "no schedule in which {name}");
        }
    }
}

#[test]
fn whatever_the_order_a_stop_without_end_delivers_all_that_was_taken_on() {
    let seen = Seen::default();
    let notes = seen.clone();
    explore(move || {
        let office = Office::new(2, First::Sent);
        let threads = [taking_on(&office, "jane"), taking_on(&office, "joe")];
        assert_eq!(office.stop(FOREVER), Drained { left: 0 });
        assert_eq!(office.courier.reserve().unwrap_err(), NoRoom::Closed);
        let users = threads.map(|thread| thread.join().unwrap());
        assert_eq!(office.left(&users), 0);
        notes.note(users.iter().filter(|(_, taken)| taken.is_ok()).count());
    });
    seen.assert_all(["none is taken on", "one is", "both are"]);
}

#[test]
fn whatever_the_order_a_mail_that_fails_is_tried_again_or_told_of() {
    let seen = Seen::default();
    let notes = seen.clone();
    explore(move || {
        let office = Office::new(2, First::Failed);
        let threads = [taking_on(&office, "jane"), taking_on(&office, "joe")];
        let Drained { left } = office.stop(FOREVER);
        let users = threads.map(|thread| thread.join().unwrap());
        assert_eq!(office.left(&users), left);
        notes.note(left);
    });
    seen.assert_all(["none is left", "one is", "both are"]);
}

#[test]
fn whatever_the_order_a_stop_that_runs_out_of_time_ends_and_loses_and_doubles_nothing() {
    let seen = Seen::default();
    let notes = seen.clone();
    explore(move || {
        let office = Office::new(2, First::Slow);
        let jane = user("jane");
        office.take_on(&jane).unwrap();
        let thread = taking_on(&office, "joe");
        let Drained { left } = office.stop(Duration::from_secs(10));
        let jane_is_left = !office.is_sent(&jane);
        assert!(left >= usize::from(jane_is_left), "{left} are left");
        let joe = thread.join().unwrap();
        // Joe's mail may have been handed over after the end, and is tried then.
        let Drained { left: in_the_end } = office.stop(FOREVER);
        assert_eq!(office.left(&[(jane, Ok(())), joe]), in_the_end);
        notes.note(left);
    });
    seen.assert_all(["none is left", "one is", "both are"]);
}

#[test]
fn whatever_the_order_two_stops_at_once_tell_the_same_and_both_end() {
    let seen = Seen::default();
    let notes = seen.clone();
    explore(move || {
        let office = Office::new(2, First::Failed);
        let users = ["jane", "joe"].map(user);
        let users = users.map(|user| {
            office.take_on(&user).unwrap();
            (user, Ok(()))
        });
        let other = {
            let office = office.clone();
            thread::spawn(move || office.stop(FOREVER))
        };
        let one = office.stop(FOREVER);
        assert_eq!(other.join().unwrap(), one);
        assert_eq!(office.left(&users), one.left);
        notes.note(one.left);
    });
    seen.assert_all(["none is left", "one is", "both are"]);
}
