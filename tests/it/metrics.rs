//! Each number for its event, and no others: what is counted, timed and sampled.

mod dashboard;
mod series;

use std::{
    convert::Infallible,
    future::{Pending, Ready, ready},
    io::Error,
    num::NonZeroUsize,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{Method, Request, Response};
use http_body_util::Full;
use tokio::{task::yield_now, time::timeout};
use tower::{Layer, Service};
use tower_registration::{
    VerifyRequest,
    app::{AppRegistry, Application},
    backend::memory::{Behaviour, MemoryMailer, MemoryRegistrations, MemoryReplayGuard},
    clock::ManualClock,
    delivery::{Courier, CourierLimits, Deliverer, Delivery, Handover, Permit},
    metrics::{describe, sample_mails, sample_nonces},
    nonce::{Claim, ClaimOutcome, Occupancy, ReplayGuard},
    registration::{
        Backlog, DueMail, Outbox, Registration, RegistrationKey, RegistrationStatus,
        RegistrationStore, Registrations, ResendRegistration, UserId,
    },
};

use self::series::{Told, Watch};
use crate::{
    support::{
        Call, EMPLOYEE_APP, KEYLESS_APP, POWERLESS_APP, apps, guard, nonce_at, send, start, verify,
        verify_with,
    },
    users::{TokioClock, jane, key, pending, registrations, store, user},
};

const RESENDS: &str = "tower_registration_resends_total";
const REDEEMS: &str = "tower_registration_redeems_total";
const REJECTIONS: &str = "tower_registration_rejections_total";
const CLAIMS: &str = "tower_registration_nonce_claim_duration_seconds";
const ATTEMPTS: &str = "tower_registration_mail_attempts_total";
const SENDS: &str = "tower_registration_mail_send_duration_seconds";
const DELAY: &str = "tower_registration_mail_delivery_delay_seconds";
const IN_HAND: &str = "tower_registration_courier_mails";

type Endpoint = tower::util::BoxCloneSyncService<
    Request<Full<Bytes>>,
    Response<tower_registration::gate::GateBody<Full<Bytes>>>,
    Infallible,
>;

/// All checks at [`start`], and the endpoint with a courier of this much room.
fn endpoint<S: RegistrationStore>(store: S, room: usize) -> Endpoint {
    let clock = ManualClock::at(start());
    let registrations = Registrations::new(store, key()).with_clock(clock.clone());
    let deliverer = Deliverer::new(registrations.clone(), MemoryMailer::new());
    let courier = Courier::with_limits(deliverer, room_for(room));
    let resend = ResendRegistration::builder(registrations, courier);
    Endpoint::new(verify(&clock).layer(resend.build().unwrap()))
}

fn room_for(capacity: usize) -> CourierLimits {
    CourierLimits::default().with_capacity(NonZeroUsize::new(capacity).unwrap())
}

async fn ask(endpoint: &Endpoint, username: &str) -> u16 {
    let call = Call::client_app(start()).user(username);
    send(endpoint, call.build()).await.status.as_u16()
}

/// A store that fails at whatever it is asked.
#[derive(Clone, Copy)]
struct Down;

impl RegistrationStore for Down {
    type Error = Error;

    async fn load(&self, _: &UserId) -> Result<Option<Registration>, Error> {
        Err(Error::other("down"))
    }

    async fn replace(&self, _: &UserId, _: u64, _: &Registration) -> Result<bool, Error> {
        Err(Error::other("down"))
    }
}

impl Outbox for Down {
    async fn lease_due(
        &self,
        _: DateTime<Utc>,
        _: DateTime<Utc>,
        _: usize,
    ) -> Result<Vec<DueMail>, Error> {
        Err(Error::other("down"))
    }

    async fn backlog(&self) -> Result<Option<Backlog>, Error> {
        Err(Error::other("down"))
    }
}

#[test]
fn all_that_is_not_sampled_is_there_from_the_start() {
    let watch = Watch::begin();
    describe();
    let told = watch.end();
    let expected = series::there_from_the_start();
    assert!(expected.len() > 40, "{expected:?}");
    told.all_at_nothing(&expected);
}

#[tokio::test(start_paused = true)]
async fn each_request_is_counted_by_what_was_done_about_it() {
    let watch = Watch::begin();
    let store = store();
    let registered = pending().with_status(RegistrationStatus::Registered);
    assert!(store.insert_if_absent(&user("john"), registered));
    let endpoint_of_all = endpoint(store, 9);
    for username in ["jane", "jane", "john", "nobody", "noone"] {
        let username = format!("{username}@example.co");
        assert_eq!(ask(&endpoint_of_all, &username).await, 200);
    }
    let call = Call::new(EMPLOYEE_APP, start());
    assert_eq!(send(&endpoint_of_all, call.build()).await.status, 200);
    assert_eq!(ask(&endpoint(Down, 9), "jane@example.co").await, 503);

    let told = watch.end();
    let outcomes = [
        ("Issued", 1),
        // The mail of the first is out, since all of this is one thread.
        ("CoolingDown", 1),
        ("Registered", 1),
        ("UnknownUser", 2),
        ("KindNotPermitted", 1),
        ("Failed", 1),
    ];
    told.counted(RESENDS, "outcome", &outcomes);
    told.counted(REJECTIONS, "kind", &[("Unavailable", 1)]);
    told.timed(CLAIMS, &[("Claimed", 7)]);
}

#[tokio::test(start_paused = true)]
async fn a_full_courier_is_counted_as_no_room() {
    let watch = Watch::begin();
    let registrations = registrations(store());
    let mailer = MemoryMailer::new();
    let courier = Courier::with_limits(Deliverer::new(registrations.clone(), mailer), room_for(1));
    let resend = ResendRegistration::builder(registrations, courier.clone());
    let endpoint = Endpoint::new(verify(&ManualClock::at(start())).layer(resend.build().unwrap()));
    let _taken = courier.reserve().unwrap();
    assert_eq!(ask(&endpoint, "jane@example.co").await, 503);

    let told = watch.end();
    told.counted(RESENDS, "outcome", &[("NoRoom", 1)]);
    told.counted(REJECTIONS, "kind", &[("Unavailable", 1)]);
    told.nothing_of(IN_HAND);
}

#[tokio::test(start_paused = true)]
async fn each_refusal_is_counted_by_what_the_caller_is_told() {
    let watch = Watch::begin();
    let endpoint = endpoint(store(), 9);
    let good = || Call::client_app(start());
    let nonce = nonce_at(start());
    let replayed = good().without("x-dfns-nonce").with("x-dfns-nonce", &nonce);
    for call in [
        replayed.clone(),
        replayed,
        good().without("x-dfns-nonce"),
        good().without("x-dfns-appid"),
        Call::new(KEYLESS_APP, start()),
        Call::new(POWERLESS_APP, start()),
        good().method(Method::POST),
        good().body("{}"),
        good().body(vec![b' '; 17 * 1024]),
        good().without("content-type"),
    ] {
        send(&endpoint, call.build()).await;
    }
    let kinds = [
        ("NonceReplayed", 1),
        ("NonceInvalid", 1),
        ("AppInvalid", 1),
        ("AppSecretInvalid", 1),
        ("PermissionDenied", 1),
        ("MethodNotAllowed", 1),
        ("BodyInvalid", 1),
        ("BodyTooLarge", 1),
        ("ContentTypeInvalid", 1),
    ];
    let told = watch.end();
    told.counted(REJECTIONS, "kind", &kinds);
    told.timed(CLAIMS, &[("Claimed", 6), ("Replayed", 1)]);
}

#[tokio::test]
async fn a_registry_that_is_down_is_counted_as_unavailable_and_claims_nothing() {
    struct Gone;
    impl AppRegistry for Gone {
        type Error = Error;
        type Future = Ready<Result<Option<Arc<Application>>, Error>>;

        fn find(&self, _: &str) -> Self::Future {
            ready(Err(Error::other("down")))
        }
    }
    let watch = Watch::begin();
    let verify = VerifyRequest::builder()
        .apps(Gone)
        .replay_guard(guard())
        .clock(ManualClock::at(start()));
    let resend = ResendRegistration::builder(registrations(store()), wake());
    let endpoint = Endpoint::new(verify.build().unwrap().layer(resend.build().unwrap()));
    assert_eq!(ask(&endpoint, "jane@example.co").await, 503);

    let told = watch.end();
    told.counted(REJECTIONS, "kind", &[("Unavailable", 1)]);
    told.nothing_of(CLAIMS);
    told.nothing_of(RESENDS);
}

/// A dispatcher's, which nobody has started.
fn wake() -> impl Handover {
    let deliverer = Deliverer::new(registrations(store()), MemoryMailer::new());
    tower_registration::delivery::Dispatcher::new(deliverer).wake()
}

#[tokio::test(start_paused = true)]
async fn a_full_guard_is_a_claim_that_failed() {
    let watch = Watch::begin();
    let before = start() - TimeDelta::days(1);
    let small = MemoryReplayGuard::builder().capacity(1).started_at(before);
    let guard = Arc::new(small.build().unwrap());
    let resend = ResendRegistration::builder(registrations(store()), wake());
    let verify = verify_with(&ManualClock::at(start()), &guard);
    let endpoint = Endpoint::new(verify.layer(resend.build().unwrap()));
    assert_eq!(ask(&endpoint, "nobody@example.co").await, 200);
    assert_eq!(ask(&endpoint, "nobody@example.co").await, 503);
    sample_nonces(&guard).await.unwrap();

    let told = watch.end();
    told.timed(CLAIMS, &[("Claimed", 1), ("Failed", 1)]);
    told.counted(REJECTIONS, "kind", &[("Unavailable", 1)]);
    told.gauge_is("tower_registration_nonces_live", 1.0);
    told.gauge_is("tower_registration_nonces_capacity", 1.0);
}

/// A guard that answers nobody, and can't tell how full it is.
struct Silent;

impl ReplayGuard for Silent {
    type Error = Error;
    type Future = Pending<Result<ClaimOutcome, Error>>;

    fn claim(&self, _: Claim<'_>) -> Self::Future {
        std::future::pending()
    }

    async fn occupancy(&self) -> Result<Option<Occupancy>, Error> {
        Err(Error::other("down"))
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_during_the_claim_is_one_claim_abandoned() {
    let watch = Watch::begin();
    let verify = VerifyRequest::builder()
        .apps(apps())
        .replay_guard(Silent)
        .clock(ManualClock::at(start()));
    let resend = ResendRegistration::builder(registrations(store()), wake());
    let mut endpoint = Endpoint::new(verify.build().unwrap().layer(resend.build().unwrap()));
    let asking = endpoint.call(Call::client_app(start()).build());
    assert!(timeout(Duration::from_millis(10), asking).await.is_err());

    let told = watch.end();
    told.timed(CLAIMS, &[("Abandoned", 1)]);
    told.nothing_of(REJECTIONS);
    told.nothing_of(RESENDS);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_after_that_is_counted_like_any_other() {
    let watch = Watch::begin();
    let mut endpoint = endpoint(store(), 9);
    let mut asking = endpoint.call(Call::client_app(start()).build());
    // Up to where the work goes on as a task.
    assert!(futures_util::poll!(&mut asking).is_pending());
    drop(asking);
    for _ in 0..99 {
        yield_now().await;
    }

    let told = watch.end();
    told.timed(CLAIMS, &[("Claimed", 1)]);
    told.counted(RESENDS, "outcome", &[("Issued", 1)]);
    told.counted(ATTEMPTS, "outcome", &[("Delivered", 1)]);
    told.gauge_is(IN_HAND, 0.0);
}

#[tokio::test]
async fn each_code_shown_is_counted_by_what_became_of_it() {
    let watch = Watch::begin();
    let (store, mailer) = (store(), MemoryMailer::new());
    let registrations = registrations(store);
    let show = async |name, code: &str| registrations.redeem(&user(name), code).await.unwrap();
    show("jane", "1234").await;
    show("nobody", "1234").await;
    registrations.resend(&jane(), |_| true).await.unwrap();
    let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
    deliverer.deliver(&jane()).await.unwrap();
    show("jane", "1234-1234-1234-1234").await;
    show("jane", mailer.sent()[0].code.expose()).await;
    show("jane", mailer.sent()[0].code.expose()).await;
    let down = Registrations::new(Down, key())
        .redeem(&jane(), "1234")
        .await;
    assert!(down.is_err());

    let outcomes = [
        ("NoCode", 1),
        ("UnknownUser", 1),
        ("WrongGuess", 1),
        ("Redeemed", 1),
        ("Registered", 1),
        ("Failed", 1),
    ];
    watch.end().counted(REDEEMS, "outcome", &outcomes);
}

/// What is told of one try with a mailer that behaves so, five seconds after the code was made.
async fn tried(behaviour: Behaviour) -> Told {
    let registrations = registrations(store());
    registrations.resend(&jane(), |_| true).await.unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    let mailer = MemoryMailer::new();
    mailer.behave(behaviour);
    let watch = Watch::begin();
    let deliverer = Deliverer::new(registrations, mailer);
    deliverer.deliver(&jane()).await.unwrap();
    watch.end()
}

#[tokio::test(start_paused = true)]
async fn each_try_at_a_mail_is_counted_by_what_the_mailer_said_and_what_became_of_it() {
    for (behaviour, said, became) in [
        (Behaviour::Deliver, "Accepted", "Delivered"),
        (Behaviour::FailTransiently, "Transient", "Later"),
        (Behaviour::FailPermanently, "Permanent", "Permanent"),
        (Behaviour::Panic, "Panicked", "Later"),
        (Behaviour::Stall, "TimedOut", "Later"),
    ] {
        let told = tried(behaviour).await;
        told.counted(ATTEMPTS, "outcome", &[(became, 1)]);
        told.timed(SENDS, &[(said, 1)]);
        match behaviour {
            Behaviour::Deliver => assert_eq!(told.observed(DELAY), [5.0]),
            _ => told.nothing_of(DELAY),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_under_another_key_is_counted_at_once_at_each_look_and_when_it_is_given_up() {
    let store = store();
    let ours = registrations(store.clone());
    ours.resend(&jane(), |_| true).await.unwrap();
    let other_key = RegistrationKey::from_bytes([8; 32]).unwrap();
    let theirs = Registrations::new(store, other_key).with_clock(TokioClock::start());
    let deliverer = Deliverer::new(theirs, MemoryMailer::new());
    let watch = Watch::begin();
    for _ in 0..7 {
        deliverer.deliver(&jane()).await.unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
    }
    // Its code lives for 4 hours, and no other look is before that.
    let last = Duration::from_secs(4 * 3600 - 70 - 1);
    tokio::time::advance(last).await;
    deliverer.deliver(&jane()).await.unwrap();

    let told = watch.end();
    told.counted(ATTEMPTS, "outcome", &[("Unopened", 7), ("SealBroken", 1)]);
    told.nothing_of(SENDS);
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_could_not_be_settled_is_unsettled() {
    let store = store();
    let registrations = registrations(store.clone());
    registrations.resend(&jane(), |_| true).await.unwrap();
    let until = DateTime::UNIX_EPOCH + TimeDelta::hours(1);
    let mut due = store.lease_due(until, until, 1).await.unwrap();
    let watch = Watch::begin();
    let broken = Registrations::new(Down, key()).with_clock(ManualClock::at(DateTime::UNIX_EPOCH));
    let deliverer = Deliverer::new(broken, MemoryMailer::new());
    assert!(deliverer.deliver_leased(due.remove(0)).await.is_err());

    let told = watch.end();
    told.counted(ATTEMPTS, "outcome", &[("Unsettled", 1)]);
    told.timed(SENDS, &[("Accepted", 1)]);
}

/// A courier with a mail whose mailer does not answer.
async fn stalled_courier() -> Courier<MemoryRegistrations, MemoryMailer> {
    let registrations = registrations(store());
    registrations.resend(&jane(), |_| true).await.unwrap();
    let mailer = MemoryMailer::new();
    mailer.behave(Behaviour::Stall);
    let courier = Courier::new(Deliverer::new(registrations, mailer));
    courier.reserve().unwrap().hand_over(jane());
    yield_now().await;
    courier
}

#[tokio::test(start_paused = true)]
async fn a_courier_counts_what_it_has_in_hand_until_it_is_left() {
    let watch = Watch::begin();
    let _courier = stalled_courier().await;
    watch.end().gauge_is(IN_HAND, 1.0);

    let watch = Watch::begin();
    let courier = stalled_courier().await;
    assert_eq!(courier.shutdown(Duration::from_secs(1)).await.left, 1);
    watch.end().gauge_is(IN_HAND, 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_is_sampled_with_its_age() {
    let store = store();
    assert!(store.insert_if_absent(&user("john"), pending()));
    let registrations = registrations(store.clone());
    registrations.resend(&jane(), |_| true).await.unwrap();
    tokio::time::advance(Duration::from_secs(40)).await;
    registrations.resend(&user("john"), |_| true).await.unwrap();
    let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(100);
    let mailer = MemoryMailer::new();
    let deliverer = Deliverer::new(registrations, mailer);
    let mut sampled = Vec::new();
    for name in ["nobody", "jane", "john"] {
        let delivery = deliverer.deliver(&user(name)).await.unwrap();
        assert_eq!(delivery == Delivery::NothingOwed, name == "nobody");
        let watch = Watch::begin();
        sample_mails(&store, now).await.unwrap();
        sampled.push(owed(&watch.end()));
    }
    assert_eq!(sampled, [(2.0, 100.0), (1.0, 60.0), (0.0, 0.0)]);
}

fn owed(told: &Told) -> (f64, f64) {
    (
        told.gauge("tower_registration_mails_owed"),
        told.gauge("tower_registration_mails_owed_oldest_age_seconds"),
    )
}

/// A guard that knows nothing of being asked.
struct Plain;
impl ReplayGuard for Plain {
    type Error = Infallible;
    type Future = Ready<Result<ClaimOutcome, Infallible>>;

    fn claim(&self, _: Claim<'_>) -> Self::Future {
        ready(Ok(ClaimOutcome::Claimed))
    }
}

#[tokio::test]
async fn what_a_store_does_not_tell_is_nan_and_what_none_can_tell_is_not_there() {
    let watch = Watch::begin();
    assert!(sample_mails(&Down, start()).await.is_err());
    assert!(sample_nonces(&Silent).await.is_err());
    let told = watch.end();
    let (mails, age) = owed(&told);
    assert!(mails.is_nan() && age.is_nan());
    assert!(told.gauge("tower_registration_nonces_live").is_nan());
    assert!(told.gauge("tower_registration_nonces_capacity").is_nan());

    let watch = Watch::begin();
    sample_nonces(&Plain).await.unwrap();
    watch.end().nothing_of("tower_registration");
}

#[tokio::test(start_paused = true)]
async fn no_caller_makes_a_series() {
    let watch = Watch::begin();
    let endpoint = endpoint(store(), 9);
    for number in 0..200 {
        let hostile = format!("x{number}\"}}{{evil=\"1");
        let call = match number % 5 {
            0 => Call::new(&hostile, start()),
            1 => Call::client_app(start()).user(&format!("u{number}@example.co")),
            2 => Call::client_app(start()).body(hostile),
            3 => Call::client_app(start()).with("x-dfns-nonce", &hostile),
            _ => Call::client_app(start()).method(hostile_method(number)),
        };
        send(&endpoint, call.build()).await;
    }
    let told = watch.end();
    assert!(told.series().len() > 4, "{:?}", told.series());
    let documented = series::documented();
    for series in told.series() {
        assert!(documented.contains(series), "{series} is not documented");
    }
}

fn hostile_method(number: usize) -> Method {
    Method::from_bytes(format!("METHOD{number}").as_bytes()).unwrap()
}
