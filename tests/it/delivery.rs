//! From an owed mail to a sent one, through crashes and failing mailers.

use std::{
    collections::HashSet,
    convert::Infallible,
    fmt,
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, advance, sleep, timeout},
};
use tower_registration::{
    backend::memory::{Behaviour, MemoryMailer, MemoryRegistrations},
    delivery::{
        Courier, CourierLimits, DEFAULT_LEASE, DEFAULT_SEND_TIMEOUT, Deliverer, Delivery,
        DeliveryEvent, Dispatcher, DispatcherLimits, Failure, GiveUp, Handover, NoRoom, Permit,
    },
    mail::{DefaultTemplate, MailError, Mailer, RegistrationEmail, Template},
    registration::{
        DueMail, Outbox, RedeemOutcome, Registration, RegistrationKey, RegistrationStatus,
        RegistrationStore, Registrations, ResendOutcome, UserId,
    },
};

use crate::users::{TokioClock, jane, key, pending, registrations, store, user};

const HOUR: Duration = Duration::from_hours(1);

async fn resend<S: RegistrationStore>(registrations: &Registrations<S>, user: &UserId) {
    let outcome = registrations.resend(user, |_| true).await.unwrap();
    assert!(
        matches!(outcome, ResendOutcome::Issued { .. }),
        "{outcome:?}"
    );
}

/// A store in which Jane is owed a mail, and a mailer.
async fn owed() -> (
    MemoryRegistrations,
    Registrations<MemoryRegistrations>,
    MemoryMailer,
) {
    let store = store();
    let registrations = registrations(store.clone());
    resend(&registrations, &jane()).await;
    (store, registrations, MemoryMailer::new())
}

fn is_owed(store: &MemoryRegistrations) -> bool {
    store.get(&jane()).unwrap().owed.is_some()
}

/// Waits in paused time, which jumps from timer to timer, until `done`.
#[track_caller]
fn until(done: impl Fn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < HOUR, "not within an hour: {caller}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_answer_of_a_mailer_is_settled_and_reported() {
    let rows = [
        (Behaviour::Deliver, None, None),
        (
            Behaviour::FailPermanently,
            Some(Failure::Permanent),
            Some(GiveUp::Permanent),
        ),
        (Behaviour::FailTransiently, Some(Failure::Transient), None),
        (Behaviour::Panic, Some(Failure::Panicked), None),
        (Behaviour::Stall, Some(Failure::TimedOut), None),
    ];
    for (behaviour, failure, gave_up) in rows {
        let (store, registrations, mailer) = owed().await;
        mailer.behave(behaviour);
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = events.clone();
        let observe = move |event: &DeliveryEvent| seen.lock().unwrap().push(event.clone());
        let deliverer = Deliverer::new(registrations, mailer).with_observer(observe);

        let start = Instant::now();
        let delivery = deliverer.deliver(&jane()).await.unwrap();
        let retried = failure.is_some() && gave_up.is_none();
        match delivery {
            Delivery::Delivered => assert_eq!(failure, None, "{behaviour:?}"),
            Delivery::GaveUp(reason) => assert_eq!(Some(reason), gave_up, "{behaviour:?}"),
            Delivery::Later(at) => {
                assert!(retried, "{behaviour:?}");
                let ended = DateTime::UNIX_EPOCH + start.elapsed();
                let waits = (at - ended).to_std().unwrap();
                assert!(
                    (5..=10).contains(&waits.as_secs()),
                    "{behaviour:?}: {waits:?}"
                );
                assert_eq!(store.get(&jane()).unwrap().owed.unwrap().next_at, at);
            }
            other => panic!("{other:?} for {behaviour:?}"),
        }
        assert_eq!(is_owed(&store), retried, "{behaviour:?}");
        assert_eq!(store.get(&jane()).unwrap().lease, None, "{behaviour:?}");
        if failure == Some(Failure::TimedOut) {
            assert_eq!(start.elapsed(), DEFAULT_SEND_TIMEOUT);
        }
        let events = events.lock().unwrap();
        let [event] = &events[..] else {
            panic!("not one event for {behaviour:?}");
        };
        assert_eq!((event.generation, event.attempt), (1, 1));
        assert_eq!((event.failure, event.outcome), (failure, delivery));
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_fails_is_given_up_after_five_tries_with_one_message_id() {
    /// Fails, and remembers ids and times.
    #[derive(Clone, Default)]
    struct Failing(Arc<Mutex<Vec<(String, Instant)>>>);
    impl Mailer for Failing {
        type Error = Busy;
        async fn send(&self, mail: &RegistrationEmail) -> Result<(), Busy> {
            let call = (mail.message_id.clone(), Instant::now());
            self.0.lock().unwrap().push(call);
            Err(Busy)
        }
    }
    let (store, registrations, _) = owed().await;
    let mailer = Failing::default();
    let courier = Courier::new(Deliverer::new(registrations, mailer.clone()));
    courier.reserve().unwrap().hand_over(jane());
    until(|| !is_owed(&store)).await;
    sleep(HOUR).await;
    let calls = mailer.0.lock().unwrap();
    assert_eq!(calls.len(), 5);
    assert_eq!(
        calls.iter().map(|(id, _)| id).collect::<HashSet<_>>().len(),
        1
    );
    for (pair, longest) in calls.windows(2).zip([10, 40, 160, 600]) {
        let waited = pair[1].1 - pair[0].1;
        let longest = Duration::from_secs(longest);
        assert!(
            longest / 2 <= waited && waited <= longest + Duration::from_secs(1),
            "{waited:?}"
        );
    }
}

/// Says that another try may succeed.
#[derive(Debug)]
struct Busy;

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("busy")
    }
}

impl std::error::Error for Busy {}

impl MailError for Busy {
    fn is_transient(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn a_superseded_mail_is_never_sent() {
    let (_, registrations, mailer) = owed().await;
    mailer.behave_next([Behaviour::FailTransiently]);
    let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
    let failed = deliverer.deliver(&jane()).await.unwrap();
    assert!(matches!(failed, Delivery::Later(_)), "{failed:?}");
    advance(Duration::from_mins(1)).await;
    resend(&registrations, &jane()).await;
    for expected in [Delivery::Delivered, Delivery::NothingOwed] {
        assert_eq!(deliverer.deliver(&jane()).await.unwrap(), expected);
    }
    let [mail] = &mailer.sent()[..] else {
        panic!("not one mail");
    };
    let redeemed = registrations.redeem(&jane(), mail.code.expose()).await;
    assert_eq!(redeemed.unwrap(), RedeemOutcome::Redeemed);
}

#[tokio::test(start_paused = true)]
async fn a_mail_of_no_use_is_buried_unsent_and_one_under_another_key_is_kept() {
    let other_key = RegistrationKey::from_bytes([8; 32]).unwrap();
    let (store, registrations, mailer) = owed().await;
    let stranger = Registrations::new(store.clone(), other_key);
    let delivery = Deliverer::new(stranger, mailer.clone())
        .deliver(&jane())
        .await;
    // The system's clock is decades past this code.
    assert_eq!(delivery.unwrap(), Delivery::GaveUp(GiveUp::Moot));
    assert!(!is_owed(&store));

    advance(Duration::from_mins(1)).await;
    resend(&registrations, &jane()).await;
    let deactivated = store.get(&jane()).unwrap();
    let mut deactivated = deactivated.with_status(RegistrationStatus::Deactivated);
    deactivated.version += 1;
    assert!(
        store
            .replace(&jane(), deactivated.version - 1, &deactivated)
            .await
            .unwrap()
    );
    let delivery = Deliverer::new(registrations, mailer.clone())
        .deliver(&jane())
        .await;
    assert_eq!(delivery.unwrap(), Delivery::GaveUp(GiveUp::Moot));

    let store = crate::users::store();
    let sealed_now = Registrations::new(store.clone(), crate::users::key());
    resend(&sealed_now, &jane()).await;
    let other_key = RegistrationKey::from_bytes([8; 32]).unwrap();
    let stranger = Deliverer::new(Registrations::new(store.clone(), other_key), mailer.clone());
    let delivery = stranger.deliver(&jane()).await.unwrap();
    assert!(matches!(delivery, Delivery::Unopened(_)), "{delivery:?}");
    assert!(is_owed(&store), "somebody else has the right key");
    assert_eq!(mailer.calls(), 0);
}

/// Delivers from the same store, and can't open what is sealed there.
fn stranger(
    store: &MemoryRegistrations,
    mailer: &MemoryMailer,
) -> Deliverer<MemoryRegistrations, MemoryMailer> {
    let other_key = RegistrationKey::from_bytes([8; 32]).unwrap();
    let registrations = Registrations::new(store.clone(), other_key);
    Deliverer::new(
        registrations.with_clock(TokioClock::start()),
        mailer.clone(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_nobody_can_open_is_looked_at_until_its_code_would_expire() {
    let (store, _, mailer) = owed().await;
    let (unopened, last) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(None)));
    let (count, keep) = (unopened.clone(), last.clone());
    let stranger = stranger(&store, &mailer).with_observer(move |event: &DeliveryEvent| {
        assert_eq!((event.attempt, event.failure), (1, None));
        if let Delivery::Unopened(_) = event.outcome {
            count.fetch_add(1, Ordering::SeqCst);
        } else {
            *keep.lock().unwrap() = Some(event.outcome);
        }
    });
    let courier = Courier::new(stranger);
    courier.reserve().unwrap().hand_over(jane());
    sleep(HOUR).await;
    // Each 5 to 10 seconds.
    let within_an_hour = unopened.load(Ordering::SeqCst);
    assert!((360..=720).contains(&within_an_hour), "{within_an_hour}");
    assert!(is_owed(&store));
    sleep(3 * HOUR).await;
    let gave_up = Delivery::GaveUp(GiveUp::SealBroken);
    assert_eq!(*last.lock().unwrap(), Some(gave_up));
    assert!(!is_owed(&store));
    assert_eq!(mailer.calls(), 0);
    assert_eq!(courier.shutdown(HOUR).await.left, 0);
}

#[tokio::test(start_paused = true)]
async fn a_mail_says_how_long_its_code_is_valid_when_it_is_sent() {
    /// Fails, and remembers what it would have said.
    #[derive(Clone, Default)]
    struct Reading(Arc<Mutex<Vec<String>>>);
    impl Mailer for Reading {
        type Error = Busy;
        async fn send(&self, mail: &RegistrationEmail) -> Result<(), Busy> {
            let text = DefaultTemplate::new().render(mail).text;
            let (_, lasting) = text.split_once("valid for ").unwrap();
            let (lasting, _) = lasting.split_once(',').unwrap();
            self.0.lock().unwrap().push(lasting.to_owned());
            Err(Busy)
        }
    }
    let (_, registrations, _) = owed().await;
    let mailer = Reading::default();
    let deliverer = Deliverer::new(registrations, mailer.clone());
    for wait in [Duration::from_millis(20), HOUR, HOUR, HOUR] {
        advance(wait).await;
        deliverer.deliver(&jane()).await.unwrap();
    }
    let told = mailer.0.lock().unwrap();
    assert_eq!(*told, ["4 hours", "3 hours", "2 hours", "60 minutes"]);
}

#[tokio::test(start_paused = true)]
async fn a_sender_with_another_key_leaves_the_mail_to_one_with_the_right_key() {
    let (store, registrations, mailer) = owed().await;
    let stranger = stranger(&store, &mailer);
    // More often than the policy has tries.
    for _ in 0..20 {
        let delivery = stranger.deliver(&jane()).await.unwrap();
        let owed = store.get(&jane()).unwrap().owed.unwrap();
        assert_eq!(delivery, Delivery::Unopened(owed.next_at));
        assert_eq!(owed.attempts, 0);
        advance(Duration::from_secs(10)).await;
    }
    let delivery = Deliverer::new(registrations, mailer.clone())
        .deliver(&jane())
        .await;
    assert_eq!(delivery.unwrap(), Delivery::Delivered);
    assert_eq!(mailer.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_with_too_little_time_left_is_not_sent_under() {
    let (store, registrations, mailer) = owed().await;
    let now = DateTime::UNIX_EPOCH;
    let due = store.lease_due(now, now + DEFAULT_LEASE, 1).await.unwrap();
    let spare = DEFAULT_LEASE.checked_sub(DEFAULT_SEND_TIMEOUT).unwrap();
    advance(spare + Duration::from_millis(1)).await;
    let deliverer = Deliverer::new(registrations, mailer.clone());
    let delivery = deliverer.deliver_leased(due[0].clone()).await.unwrap();
    assert_eq!(delivery, Delivery::Later(now + DEFAULT_LEASE));
    assert_eq!(mailer.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sender_whose_lease_was_taken_over_settles_nothing() {
    let (store, registrations, mailer) = owed().await;
    let now = DateTime::UNIX_EPOCH;
    let due = store.lease_due(now, now + DEFAULT_LEASE, 1).await.unwrap();
    let later = now + DEFAULT_LEASE;
    let taken_over = store
        .lease_due(later, later + DEFAULT_LEASE, 1)
        .await
        .unwrap();
    let deliverer = Deliverer::new(registrations, mailer);
    let delivery = deliverer.deliver_leased(due[0].clone()).await.unwrap();
    assert_eq!(delivery, Delivery::Superseded);
    assert_eq!(
        store.get(&jane()).as_ref(),
        Some(&taken_over[0].registration)
    );
}

/// Takes its time for each mail, and tells if one of a user begins before another ends.
#[derive(Clone, Default)]
struct Watchful {
    in_flight: Arc<Mutex<HashSet<String>>>,
    overlaps: Arc<AtomicUsize>,
    sent: Arc<AtomicUsize>,
}

/// Takes a user's mail out of those in flight when dropped.
struct Landing<'a>(&'a Mutex<HashSet<String>>, String);

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().remove(&self.1);
    }
}

impl Mailer for Watchful {
    type Error = Busy;

    async fn send(&self, mail: &RegistrationEmail) -> Result<(), Busy> {
        let name = mail.username.as_str().to_owned();
        if !self.in_flight.lock().unwrap().insert(name.clone()) {
            self.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        // A send that is dropped is in flight no more either.
        let _landed = Landing(&self.in_flight, name);
        sleep(Duration::from_secs(20)).await;
        let nth = self.sent.fetch_add(1, Ordering::SeqCst);
        if nth.is_multiple_of(3) {
            Err(Busy)
        } else {
            Ok(())
        }
    }
}

/// An outbox that counts how often it was asked while a mail was in flight.
#[derive(Clone)]
struct Asked {
    store: MemoryRegistrations,
    mailer: Watchful,
    collisions: Arc<AtomicUsize>,
}

impl RegistrationStore for Asked {
    type Error = Infallible;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, Infallible> {
        self.store.load(user).await
    }

    async fn replace(
        &self,
        user: &UserId,
        expected: u64,
        new: &Registration,
    ) -> Result<bool, Infallible> {
        self.store.replace(user, expected, new).await
    }
}

impl Outbox for Asked {
    async fn lease_due(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueMail>, Infallible> {
        if !self.mailer.in_flight.lock().unwrap().is_empty() {
            self.collisions.fetch_add(1, Ordering::SeqCst);
        }
        self.store.lease_due(now, until, limit).await
    }
}

#[tokio::test(start_paused = true)]
async fn two_dispatchers_never_have_one_users_mail_in_flight_twice() {
    let users: Vec<_> = (0..20).map(|n| user(&format!("user{n}"))).collect();
    let mailer = Watchful::default();
    let store = Asked {
        store: MemoryRegistrations::new(),
        mailer: mailer.clone(),
        collisions: Arc::default(),
    };
    let registrations = registrations(store.clone());
    for user in &users {
        store.store.insert_if_absent(user, pending());
        resend(&registrations, user).await;
    }
    let deliverer = Deliverer::new(registrations, mailer.clone());
    let first = Dispatcher::new(deliverer.clone()).start();
    let second = Dispatcher::new(deliverer.clone()).start();
    until(|| !mailer.in_flight.lock().unwrap().is_empty()).await;
    // A third party that goes for the very mails in flight.
    let mut refused = 0;
    for user in &users {
        let delivery = deliverer.deliver(user);
        let delivery = timeout(Duration::from_millis(1), delivery).await;
        refused += usize::from(matches!(delivery, Ok(Ok(Delivery::Later(_)))));
    }
    assert!(refused >= 16, "{refused} mails were in flight");
    until(|| {
        users
            .iter()
            .all(|user| store.store.get(user).unwrap().owed.is_none())
    })
    .await;
    first.stop().await;
    second.stop().await;
    assert!(
        mailer.sent.load(Ordering::SeqCst) > 20,
        "none failed and came again"
    );
    assert!(
        store.collisions.load(Ordering::SeqCst) > 0,
        "nobody asked meanwhile"
    );
    assert_eq!(mailer.overlaps.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_the_commit_and_the_mail_loses_nothing() {
    let (store, registrations, mailer) = owed().await;
    drop(registrations);
    let dispatcher = Dispatcher::new(Deliverer::new(
        crate::users::registrations(store.clone()),
        mailer.clone(),
    ));
    let dispatcher = dispatcher.start();
    until(|| !mailer.sent().is_empty()).await;
    dispatcher.stop().await;
    assert_eq!(mailer.sent().len(), 1);
    assert!(!is_owed(&store));
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_dies_with_a_mail_is_replaced_when_its_lease_ends() {
    let (store, registrations, mailer) = owed().await;
    let start = Instant::now();
    let now = DateTime::UNIX_EPOCH;
    let lost = store.lease_due(now, now + DEFAULT_LEASE, 1).await.unwrap();
    assert_eq!(lost.len(), 1);
    let dispatcher = Dispatcher::new(Deliverer::new(registrations, mailer.clone())).start();
    until(|| !mailer.sent().is_empty()).await;
    assert!(start.elapsed() >= DEFAULT_LEASE);
    dispatcher.stop().await;
    assert!(!is_owed(&store));
}

#[tokio::test(start_paused = true)]
async fn a_woken_dispatcher_sends_at_once_and_a_stopped_one_finishes() {
    let store = store();
    let registrations = registrations(store.clone());
    let mailer = Watchful::default();
    let dispatcher = Dispatcher::new(Deliverer::new(registrations.clone(), mailer.clone()));
    let wake = dispatcher.wake();
    let dispatcher = dispatcher.start();
    tokio::task::yield_now().await;
    let permit = wake.reserve().unwrap();
    resend(&registrations, &jane()).await;
    let start = Instant::now();
    permit.hand_over(jane());
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(mailer.in_flight.lock().unwrap().len(), 1);
    assert_eq!(start.elapsed(), Duration::ZERO);
    dispatcher.stop().await;
    assert_eq!(mailer.sent.load(Ordering::SeqCst), 1);
    assert!(mailer.in_flight.lock().unwrap().is_empty());
    assert_eq!(store.get(&jane()).unwrap().lease, None);
}

fn limits(capacity: usize, concurrency: usize) -> CourierLimits {
    CourierLimits::default()
        .with_capacity(NonZeroUsize::new(capacity).unwrap())
        .with_concurrency(NonZeroUsize::new(concurrency).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_courier_takes_on_no_more_than_it_has_room_for() {
    let (store, registrations, mailer) = owed().await;
    mailer.behave_next([Behaviour::FailTransiently]);
    let deliverer = Deliverer::new(registrations, mailer.clone());
    let courier = Courier::with_limits(deliverer, limits(2, 1));
    let first = courier.reserve().unwrap();
    let second = courier.reserve().unwrap();
    assert_eq!(courier.reserve().unwrap_err(), NoRoom::Full);
    drop(second);
    first.hand_over(jane());
    until(|| mailer.calls() == 1).await;
    let other = courier.reserve().unwrap();
    assert_eq!(
        courier.reserve().unwrap_err(),
        NoRoom::Full,
        "a mail to be retried keeps its room"
    );
    drop(other);
    until(|| !is_owed(&store)).await;
    tokio::task::yield_now().await;
    assert!(
        [courier.reserve(), courier.reserve()]
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(mailer.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_courier_sends_so_many_at_once_and_no_more() {
    /// Counts the mails in flight.
    #[derive(Clone, Default)]
    struct Counting(Arc<Mutex<(usize, usize)>>);
    impl Mailer for Counting {
        type Error = Busy;
        async fn send(&self, _: &RegistrationEmail) -> Result<(), Busy> {
            let enter = || {
                let mut counts = self.0.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.1.max(counts.0);
            };
            enter();
            sleep(Duration::from_secs(10)).await;
            self.0.lock().unwrap().0 -= 1;
            Ok(())
        }
    }
    let store = MemoryRegistrations::new();
    let registrations = registrations(store.clone());
    let mailer = Counting::default();
    let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
    let courier = Courier::with_limits(deliverer, limits(100, 3));
    for name in 0..30 {
        let user = user(&format!("user{name}"));
        store.insert_if_absent(&user, pending());
        resend(&registrations, &user).await;
        courier.reserve().unwrap().hand_over(user);
    }
    assert_eq!(courier.shutdown(HOUR).await.left, 0);
    assert_eq!(*mailer.0.lock().unwrap(), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_sends_so_many_at_once_and_leases_no_more() {
    let store = MemoryRegistrations::new();
    let registrations = registrations(store.clone());
    let users: Vec<_> = (0..10).map(|n| user(&format!("user{n}"))).collect();
    for user in &users {
        store.insert_if_absent(user, pending());
        resend(&registrations, user).await;
    }
    let mailer = Watchful::default();
    let limits = DispatcherLimits::default().with_concurrency(NonZeroUsize::new(3).unwrap());
    let deliverer = Deliverer::new(registrations, mailer.clone());
    let dispatcher = Dispatcher::with_limits(deliverer, limits).start();
    until(|| !mailer.in_flight.lock().unwrap().is_empty()).await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(mailer.in_flight.lock().unwrap().len(), 3);
    let leased = |user: &&UserId| store.get(user).unwrap().lease.is_some();
    assert_eq!(users.iter().filter(leased).count(), 3);
    dispatcher.stop().await;
    assert_eq!(mailer.sent.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_courier_leaves_a_mail_whose_store_fails_ten_times_in_a_row() {
    /// Loads what it can't replace.
    #[derive(Clone)]
    struct Down(MemoryRegistrations, Arc<AtomicUsize>);
    impl RegistrationStore for Down {
        type Error = std::io::Error;
        async fn load(&self, user: &UserId) -> Result<Option<Registration>, std::io::Error> {
            Ok(self.0.get(user))
        }
        async fn replace(
            &self,
            _: &UserId,
            _: u64,
            _: &Registration,
        ) -> Result<bool, std::io::Error> {
            self.1.fetch_add(1, Ordering::SeqCst);
            Err(std::io::Error::other("down"))
        }
    }
    let (store, _, mailer) = owed().await;
    let down = Down(store, Arc::default());
    let deliverer = Deliverer::new(registrations(down.clone()), mailer);
    let courier = Courier::with_limits(deliverer, limits(1, 1));
    courier.reserve().unwrap().hand_over(jane());
    for _ in 0..24 {
        sleep(HOUR).await;
    }
    assert_eq!(down.1.load(Ordering::SeqCst), 10);
    assert!(courier.reserve().is_ok(), "its room is free");
    assert_eq!(courier.shutdown(HOUR).await.left, 1);
}

#[tokio::test(start_paused = true)]
async fn a_courier_that_stops_tries_what_waits_once_more() {
    let (store, registrations, mailer) = owed().await;
    mailer.behave_next([Behaviour::FailTransiently]);
    let courier = Courier::new(Deliverer::new(registrations, mailer.clone()));
    courier.reserve().unwrap().hand_over(jane());
    until(|| mailer.calls() == 1).await;
    let start = Instant::now();
    assert_eq!(courier.shutdown(HOUR).await.left, 0);
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(mailer.sent().len(), 1);
    assert!(!is_owed(&store));
    assert_eq!(courier.reserve().unwrap_err(), NoRoom::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_courier_that_stops_leaves_what_fails_again_or_takes_too_long() {
    for (behaviour, patience) in [
        (Behaviour::FailTransiently, HOUR),
        (Behaviour::Stall, Duration::from_secs(5)),
    ] {
        let (store, registrations, mailer) = owed().await;
        mailer.behave(behaviour);
        let courier = Courier::new(Deliverer::new(registrations, mailer.clone()));
        courier.reserve().unwrap().hand_over(jane());
        until(|| mailer.calls() == 1).await;
        let start = Instant::now();
        assert_eq!(courier.shutdown(patience).await.left, 1, "{behaviour:?}");
        assert!(start.elapsed() <= Duration::from_secs(5), "{behaviour:?}");
        assert!(is_owed(&store), "{behaviour:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_reserved_before_a_stop_is_still_delivered() {
    let (store, registrations, mailer) = owed().await;
    let courier = Courier::new(Deliverer::new(registrations, mailer.clone()));
    let permit = courier.reserve().unwrap();
    let stopping = courier.clone();
    let stopped = tokio::spawn(async move { stopping.shutdown(HOUR).await });
    sleep(Duration::from_secs(1)).await;
    assert!(!stopped.is_finished());
    permit.hand_over(jane());
    assert_eq!(stopped.await.unwrap().left, 0);
    assert_eq!(mailer.sent().len(), 1);
    assert!(!is_owed(&store));
}

/// Threads hand mails over while it stops, in real time: what the models in `src/model` draw orders of.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_what_threads_hand_over_while_a_courier_stops_each_mail_is_sent_once() {
    const USERS: usize = 64;
    for _ in 0..20 {
        let store = MemoryRegistrations::new();
        let registrations = Registrations::new(store.clone(), key());
        let mailer = MemoryMailer::new();
        let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
        let courier = Courier::with_limits(deliverer, limits(USERS, 4));
        let mut threads = JoinSet::new();
        for number in 0..USERS {
            let (registrations, courier) = (registrations.clone(), courier.clone());
            let user = user(&format!("user{number}"));
            assert!(store.insert_if_absent(&user, pending()));
            threads.spawn(async move {
                let Ok(permit) = courier.reserve() else {
                    return false;
                };
                resend(&registrations, &user).await;
                permit.hand_over(user);
                true
            });
        }
        let left = courier.shutdown(HOUR).await.left;
        let taken = threads.join_all().await;
        let taken = taken.into_iter().filter(|taken| *taken).count();
        let sent: Vec<_> = mailer.sent();
        let users: HashSet<_> = sent.iter().map(|mail| mail.username.as_str()).collect();
        assert_eq!((users.len(), sent.len(), left), (taken, taken, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_courier_dropped_without_a_stop_still_delivers() {
    let (_, registrations, mailer) = owed().await;
    mailer.behave_next([Behaviour::FailTransiently]);
    let courier = Courier::new(Deliverer::new(registrations, mailer.clone()));
    courier.reserve().unwrap().hand_over(jane());
    drop(courier);
    until(|| mailer.sent().len() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn of_a_hundred_senders_of_one_mail_one_sends() {
    /// Holds every mail until told to go on.
    #[derive(Clone, Default)]
    struct Holding(Arc<Notify>, Arc<AtomicUsize>);
    impl Mailer for Holding {
        type Error = Busy;
        async fn send(&self, _: &RegistrationEmail) -> Result<(), Busy> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.notified().await;
            Ok(())
        }
    }
    let (_, registrations, _) = owed().await;
    let mailer = Holding::default();
    let deliverer = Deliverer::new(registrations, mailer.clone());
    let mut senders = JoinSet::new();
    for _ in 0..100 {
        let deliverer = deliverer.clone();
        senders.spawn(async move { deliverer.deliver(&jane()).await.unwrap() });
    }
    for _ in 0..99 {
        let delivery = senders.join_next().await.unwrap().unwrap();
        assert!(matches!(delivery, Delivery::Later(_)), "{delivery:?}");
    }
    mailer.0.notify_one();
    let delivery = senders.join_next().await.unwrap().unwrap();
    assert_eq!(delivery, Delivery::Delivered);
    assert_eq!(mailer.1.load(Ordering::SeqCst), 1);
}

/// An outbox that fails, panics and then works.
#[derive(Clone)]
struct Flaky {
    store: MemoryRegistrations,
    calls: Arc<AtomicUsize>,
}

impl Flaky {
    fn call(&self) -> Result<(), std::io::Error> {
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0 => Err(std::io::Error::other("down")),
            1 => panic!("a bug in the store"),
            _ => Ok(()),
        }
    }
}

impl RegistrationStore for Flaky {
    type Error = std::io::Error;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, std::io::Error> {
        Ok(self.store.get(user))
    }

    async fn replace(
        &self,
        user: &UserId,
        expected: u64,
        new: &Registration,
    ) -> Result<bool, std::io::Error> {
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(std::io::Error::other("down"));
        }
        Ok(self.store.replace(user, expected, new).await.unwrap())
    }
}

impl Outbox for Flaky {
    async fn lease_due(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueMail>, std::io::Error> {
        self.call()?;
        Ok(self.store.lease_due(now, until, limit).await.unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_costs_no_mail() {
    for with_courier in [true, false] {
        let (store, _, mailer) = owed().await;
        let flaky = Flaky {
            store: store.clone(),
            calls: Arc::default(),
        };
        let deliverer = Deliverer::new(registrations(flaky.clone()), mailer.clone());
        if with_courier {
            let courier = Courier::new(deliverer);
            courier.reserve().unwrap().hand_over(jane());
            until(|| !is_owed(&store)).await;
        } else {
            let dispatcher = Dispatcher::new(deliverer).start();
            until(|| !is_owed(&store)).await;
            dispatcher.stop().await;
        }
        assert!(
            flaky.calls.load(Ordering::SeqCst) > 1,
            "the store did not fail"
        );
        assert_eq!(mailer.sent().len(), 1);
    }
}
