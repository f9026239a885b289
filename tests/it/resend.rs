//! The endpoint behind all checks: one answer, whatever is asked and whatever fails.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::TimeDelta;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tower::{Layer, Service};
use tower_registration::{
    app::Permissions,
    backend::{
        memory::{Behaviour, MemoryMailer, MemoryRegistrations},
        sqlite::{SqliteBackend, SqliteRegistrations},
    },
    clock::ManualClock,
    delivery::{Courier, CourierLimits, Deliverer, Dispatcher, Handover},
    registration::{
        OrgId, Outbox, RedeemOutcome, Registration, RegistrationKey, RegistrationStatus,
        RegistrationStore, Registrations, ResendOutcome, ResendRegistration, UserId, UserKind,
        Username,
    },
};

use crate::support::{
    Answer, CLIENT_APP, Call, EMPLOYEE_APP, JANE, Log, POWERLESS_APP, SECRET, nonce_at, send,
    start, verify,
};

const GRID: Duration = Duration::from_millis(100);
const KEY: [u8; 32] = *b"a key for tests, of 32 bytes, ok";

fn user(username: &str) -> UserId {
    UserId {
        org_id: OrgId::new("example-org-id").unwrap(),
        username: Username::new(username).unwrap(),
    }
}

fn pending(username: &str) -> Registration {
    Registration::pending(UserKind::EndUser, username)
}

/// A store that tests can enter users into.
trait Enter: Outbox + Clone {
    async fn enter(&self, username: &str, registration: Registration);
}

impl Enter for MemoryRegistrations {
    async fn enter(&self, username: &str, registration: Registration) {
        assert!(self.insert_if_absent(&user(username), registration));
    }
}

impl Enter for SqliteRegistrations {
    async fn enter(&self, username: &str, registration: Registration) {
        let entered = self.insert_if_absent(&user(username), &registration).await;
        assert!(entered.unwrap());
    }
}

fn registrations<S: RegistrationStore>(store: S, clock: &ManualClock) -> Registrations<S> {
    Registrations::new(store, RegistrationKey::from_bytes(KEY).unwrap()).with_clock(clock.clone())
}

/// A service behind all checks, which tests can name.
type Endpoint = tower::util::BoxCloneSyncService<
    Request<Full<Bytes>>,
    Response<tower_registration::gate::GateBody<Full<Bytes>>>,
    Infallible,
>;

fn endpoint<S, H>(clock: &ManualClock, registrations: &Registrations<S>, handover: H) -> Endpoint
where
    S: RegistrationStore,
    H: Handover,
{
    let resend = ResendRegistration::builder(registrations.clone(), handover)
        .build()
        .unwrap();
    Endpoint::new(verify(clock).layer(resend))
}

/// The parts of a running endpoint in memory, with jane pending.
struct Fixture {
    clock: ManualClock,
    store: MemoryRegistrations,
    registrations: Registrations<MemoryRegistrations>,
    mailer: MemoryMailer,
    courier: Courier<MemoryRegistrations, MemoryMailer>,
    endpoint: Endpoint,
}

async fn fixture() -> Fixture {
    let clock = ManualClock::at(start());
    let store = MemoryRegistrations::new();
    store
        .enter("jane@example.co", pending("jane@example.co"))
        .await;
    let registrations = registrations(store.clone(), &clock);
    let mailer = MemoryMailer::new();
    let courier = Courier::new(Deliverer::new(registrations.clone(), mailer.clone()));
    let endpoint = endpoint(&clock, &registrations, courier.clone());
    Fixture {
        clock,
        store,
        registrations,
        mailer,
        courier,
        endpoint,
    }
}

impl Fixture {
    async fn ask(&self) -> Answer {
        send(&self.endpoint, Call::client_app(self.now()).build()).await
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        tower_registration::clock::Clock::now(&self.clock)
    }

    /// The code of the latest mail, once all that are in hand have gone out.
    async fn code(&self) -> String {
        self.settled().await;
        let sent = self.mailer.sent();
        sent.last().expect("a mail").code.expose().to_string()
    }

    /// Waits until nothing is owed. The courier needs a few turns of the runtime for it.
    async fn settled(&self) {
        for _ in 0..1_000 {
            let jane = self.store.get(&user("jane@example.co")).unwrap();
            if jane.owed.is_none() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("a mail is still owed");
    }
}

/// What a caller sees of an answer, the time apart.
pub(crate) fn seen(answer: &Answer) -> (u16, BTreeSet<(String, Vec<u8>)>, Bytes) {
    let headers = answer.headers.iter();
    (
        answer.status.as_u16(),
        headers
            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect(),
        answer.body.clone(),
    )
}

#[tokio::test(start_paused = true)]
async fn a_user_gets_a_code_that_replaces_the_one_before() {
    let fixture = fixture().await;
    let answer = fixture.ask().await;
    answer.assert_success();
    assert_eq!(answer.body, r#"{"message":"success"}"#);
    let first = fixture.code().await;
    fixture.clock.advance(TimeDelta::seconds(60));
    fixture.ask().await.assert_success();
    let second = fixture.code().await;
    assert_ne!(first, second);
    assert_eq!(fixture.mailer.sent().len(), 2);

    let jane = user("jane@example.co");
    let redeem = |code: String| {
        let registrations = fixture.registrations.clone();
        let jane = jane.clone();
        async move { registrations.redeem(&jane, &code).await.unwrap() }
    };
    assert_eq!(redeem(first).await, RedeemOutcome::WrongGuess);
    assert_eq!(
        redeem(second.replace('-', " ")).await,
        RedeemOutcome::Redeemed
    );
    assert_ne!(redeem(second).await, RedeemOutcome::Redeemed);
}

/// Every state in which a request changes nothing, and one in which it does.
async fn states(
    store: &impl Enter,
    registrations: &Registrations<impl RegistrationStore>,
) -> Vec<(&'static str, Call)> {
    let call = |username: &str| Call::client_app(start()).user(username);
    let cooling = "cooling@example.co";
    store.enter(cooling, pending(cooling)).await;
    registrations
        .resend(&user(cooling), |_| true)
        .await
        .unwrap();
    let capped = "capped@example.co";
    let mut spent = pending(capped);
    spent.budgets.hour = Some(start() + TimeDelta::hours(1));
    store.enter(capped, spent).await;
    for (username, status) in [
        ("registered@example.co", RegistrationStatus::Registered),
        ("deactivated@example.co", RegistrationStatus::Deactivated),
    ] {
        store
            .enter(username, pending(username).with_status(status))
            .await;
    }
    let employee = Registration::pending(UserKind::CustomerEmployee, "employee@example.co");
    store.enter("employee@example.co", employee).await;
    let elsewhere = r#"{"username":"jane@example.co","orgId":"another-org"}"#;
    vec![
        ("unknown user", call("nobody@example.co")),
        (
            "unknown organisation",
            call("jane@example.co").body(elsewhere),
        ),
        ("registered", call("registered@example.co")),
        ("deactivated", call("deactivated@example.co")),
        ("cooling down", call(cooling)),
        ("capped", call(capped)),
        (
            "kind not permitted to a client side app",
            call("employee@example.co"),
        ),
        ("pending", call("jane@example.co")),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_state_gets_the_same_bytes_and_headers_at_the_same_time_and_no_mail() {
    let fixture = fixture().await;
    let states = states(&fixture.store, &fixture.registrations).await;
    let mut answers = Vec::new();
    for (state, call) in states {
        let name = call.body.clone();
        let asked: serde_json::Value = serde_json::from_slice(&name).unwrap();
        let asked = user(asked["username"].as_str().unwrap());
        let before = fixture.store.get(&asked);
        let began = Instant::now();
        let answer = send(&fixture.endpoint, call.build()).await;
        assert_eq!(began.elapsed(), GRID, "{state}");
        answers.push((state, seen(&answer)));
        if state != "pending" {
            assert_eq!(fixture.store.get(&asked), before, "{state}");
            assert_eq!(fixture.mailer.calls(), 0, "{state}");
        }
    }
    for (state, answer) in &answers {
        assert_eq!(answer, &answers[0].1, "{state}");
    }
    fixture.settled().await;
    assert_eq!(fixture.mailer.sent().len(), 1);
}

#[tokio::test]
async fn every_state_gets_the_same_answer_on_sqlite() {
    let clock = ManualClock::at(start());
    let backend = SqliteBackend::connect("sqlite::memory:").await.unwrap();
    let store = backend.registrations();
    store
        .enter("jane@example.co", pending("jane@example.co"))
        .await;
    let registrations = registrations(store.clone(), &clock);
    let mailer = MemoryMailer::new();
    let courier = Courier::new(Deliverer::new(registrations.clone(), mailer.clone()));
    let endpoint = endpoint(&clock, &registrations, courier.clone());
    let mut answers = BTreeSet::new();
    for (_, call) in states(&store, &registrations).await {
        answers.insert(seen(&send(&endpoint, call.build()).await));
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    courier.shutdown(Duration::from_secs(10)).await;
    let sent: Vec<_> = mailer.sent().iter().map(|mail| mail.to.clone()).collect();
    assert_eq!(sent, ["jane@example.co"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_request_itself_is_told() {
    let fixture = fixture().await;
    let call = || Call::client_app(start());
    let rows = [
        (
            "method",
            call().method(Method::POST),
            405,
            "MethodNotAllowed",
        ),
        (
            "method",
            call().method(Method::GET),
            405,
            "MethodNotAllowed",
        ),
        (
            "permission",
            Call::new(POWERLESS_APP, start()),
            403,
            "PermissionDenied",
        ),
        (
            "no type",
            call().without("content-type"),
            415,
            "ContentTypeInvalid",
        ),
        (
            "type",
            call().with("content-type", "text/plain"),
            415,
            "ContentTypeInvalid",
        ),
        (
            "type",
            call().with("content-type", "application/jsonp"),
            415,
            "ContentTypeInvalid",
        ),
        (
            "two types",
            call().and("content-type", "application/json"),
            415,
            "ContentTypeInvalid",
        ),
        ("no body", call().body(""), 400, "BodyInvalid"),
        ("no JSON", call().body("username=jane"), 400, "BodyInvalid"),
        (
            "no member",
            call().body(r#"{"username":"jane@example.co"}"#),
            400,
            "BodyInvalid",
        ),
        ("no address", call().user("jane"), 400, "BodyInvalid"),
        (
            "member twice",
            call().body(r#"{"username":"a@b.co","orgId":"o","orgId":"o"}"#),
            400,
            "BodyInvalid",
        ),
        (
            "length",
            call().with("content-length", "16385"),
            413,
            "BodyTooLarge",
        ),
        (
            "too long",
            call().body(vec![b' '; 16 * 1024 + 1]),
            413,
            "BodyTooLarge",
        ),
    ];
    for (what, call, status, name) in rows {
        let answer = send(&fixture.endpoint, call.build()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_name().as_str()),
            (status, name),
            "{what}: {answer:?}"
        );
        answer.assert_error(status, name);
        if status == 405 {
            assert_eq!(answer.headers["allow"], "PUT");
        }
    }
    let missing = send(&fixture.endpoint, call().body("{}").build()).await;
    assert_eq!(missing.json()["error"]["message"], "username is missing");
    let padded = call()
        .with("content-type", "Application/JSON; charset=utf-8")
        .body(format!("{JANE}{}", " ".repeat(16 * 1024 - JANE.len())));
    send(&fixture.endpoint, padded.build())
        .await
        .assert_success();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_refused_in_its_time() {
    let fixture = fixture().await;
    let resend =
        ResendRegistration::builder(fixture.registrations.clone(), fixture.courier.clone())
            .build()
            .unwrap();
    let service = verify(&fixture.clock).layer(resend);
    let (parts, _) = Call::client_app(start()).build().into_parts();
    let never = StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, Infallible>,
    >());
    let began = Instant::now();
    let answer = send(&service, Request::from_parts(parts, never)).await;
    answer.assert_error(408, "BodyTimeout");
    assert_eq!(began.elapsed(), Duration::from_secs(10));
}

fn behind_other_authentication(
    registrations: Registrations<MemoryRegistrations>,
    step: Duration,
) -> ResendRegistration<MemoryRegistrations, Courier<MemoryRegistrations, MemoryMailer>> {
    let courier = Courier::new(Deliverer::new(registrations.clone(), MemoryMailer::new()));
    let names = [Permissions::USERS_CREATE, Permissions::TYPES_END_USER];
    ResendRegistration::builder(registrations, courier)
        .insecure_behind_other_authentication(names.into_iter().collect())
        .answer_grid(step)
        .build()
        .unwrap()
}

/// However fine the grid: else stalling bodies keep the server busy.
#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_wakes_nobody_until_its_time_is_up() {
    let fixture = fixture().await;
    let step = Duration::from_millis(1);
    let mut resend = behind_other_authentication(fixture.registrations, step);
    let (parts, _) = Call::client_app(start()).build().into_parts();
    let never = StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, Infallible>,
    >());
    let mut asking = pin!(resend.call(Request::from_parts(parts, never)));
    let mut polls = 0;
    let counted = poll_fn(|cx| {
        polls += 1;
        asking.as_mut().poll(cx)
    });
    let Ok(answer) = counted.await;
    assert_eq!((answer.status().as_u16(), polls), (408, 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_of_more_than_a_step_leaves_on_the_grid_of_its_arrival() {
    let fixture = fixture().await;
    let mut resend = behind_other_authentication(fixture.registrations, GRID);
    let (parts, whole) = Call::client_app(start()).build().into_parts();
    let late = StreamBody::new(futures_util::stream::once(async {
        tokio::time::sleep(GRID + GRID / 2).await;
        Ok::<_, Infallible>(Frame::data(whole.collect().await.unwrap().to_bytes()))
    }));
    let began = Instant::now();
    let Ok(answer) = resend.call(Request::from_parts(parts, late)).await;
    assert_eq!((answer.status().as_u16(), began.elapsed()), (200, GRID * 2));
}

#[test]
fn a_call_needs_no_runtime_before_it_is_polled() {
    let clock = ManualClock::at(start());
    let registrations = registrations(MemoryRegistrations::new(), &clock);
    let mut resend = behind_other_authentication(registrations, Duration::from_millis(1));
    let asking = resend.call(Call::client_app(start()).build());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let Ok(answer) = runtime.block_on(asking);
    assert_eq!(answer.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_handler_alone_refuses_unless_other_authentication_is_named() {
    let fixture = fixture().await;
    let builder =
        || ResendRegistration::builder(fixture.registrations.clone(), fixture.courier.clone());
    let call = || Call::client_app(start()).build();
    let alone = builder().build().unwrap();
    send(&alone, call())
        .await
        .assert_error(500, "InternalError");

    let permissions = |names: &[&str]| names.iter().copied().collect::<Permissions>();
    let powerless = builder()
        .insecure_behind_other_authentication(permissions(&[Permissions::TYPES_END_USER]))
        .build()
        .unwrap();
    send(&powerless, call())
        .await
        .assert_error(403, "PermissionDenied");
    let both = [Permissions::USERS_CREATE, Permissions::TYPES_END_USER];
    let named = builder()
        .insecure_behind_other_authentication(permissions(&both))
        .build()
        .unwrap();
    send(&named, call()).await.assert_success();
    fixture.settled().await;
    assert_eq!(fixture.mailer.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_app_that_deals_with_employees_reaches_employees_alone() {
    let fixture = fixture().await;
    let employee = Registration::pending(UserKind::CustomerEmployee, "kim@example.co");
    fixture.store.enter("kim@example.co", employee).await;
    for (username, generation) in [("jane@example.co", 0), ("kim@example.co", 1)] {
        let call = Call::new(EMPLOYEE_APP, start()).user(username);
        send(&fixture.endpoint, call.build()).await.assert_success();
        let registration = fixture.store.get(&user(username)).unwrap();
        assert_eq!(registration.generation, generation, "{username}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_mail_goes_to_the_address_that_the_store_holds() {
    let fixture = fixture().await;
    let elsewhere = pending("Kim.Elsewhere@Example.co");
    fixture.store.enter("kim@example.co", elsewhere).await;
    let call = Call::client_app(start()).user(" KIM@example.CO ");
    send(&fixture.endpoint, call.build()).await.assert_success();
    fixture.courier.shutdown(Duration::from_secs(10)).await;
    assert_eq!(fixture.mailer.sent()[0].to, "Kim.Elsewhere@Example.co");
}

#[tokio::test(start_paused = true)]
async fn no_failure_of_the_mailer_shows_in_the_answer() {
    for behaviour in [
        Behaviour::FailTransiently,
        Behaviour::FailPermanently,
        Behaviour::Stall,
        Behaviour::Panic,
    ] {
        let fixture = fixture().await;
        fixture.mailer.behave(behaviour);
        let began = Instant::now();
        let answer = fixture.ask().await;
        assert_eq!(began.elapsed(), GRID, "{behaviour:?}");
        assert_eq!(answer.body, r#"{"message":"success"}"#);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_every_user_alike_and_changes_nothing() {
    let fixture = fixture().await;
    let limits = CourierLimits::default().with_capacity(1.try_into().unwrap());
    let deliverer = Deliverer::new(fixture.registrations.clone(), fixture.mailer.clone());
    let courier = Courier::with_limits(deliverer, limits);
    let endpoint = endpoint(&fixture.clock, &fixture.registrations, courier.clone());
    let room = courier.reserve().unwrap();
    let mut answers = BTreeSet::new();
    for username in ["jane@example.co", "nobody@example.co"] {
        let call = Call::client_app(start()).user(username);
        let answer = send(&endpoint, call.build()).await;
        answer.assert_error(503, "Unavailable");
        answers.insert(seen(&answer));
    }
    assert_eq!(answers.len(), 1);
    let jane = fixture.store.get(&user("jane@example.co")).unwrap();
    assert_eq!(jane, pending("jane@example.co"));
    drop(room);
    send(&endpoint, Call::client_app(start()).build())
        .await
        .assert_success();
}

/// A store that fails, panics or stalls where it is told to.
#[derive(Clone)]
struct Faulty {
    inner: MemoryRegistrations,
    fault: Fault,
    go_on: Arc<Notify>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Load,
    Replace,
    PanicOnLoad,
    PanicOnReplace,
    StallOnReplace,
}

impl RegistrationStore for Faulty {
    type Error = std::io::Error;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, std::io::Error> {
        match self.fault {
            Fault::Load => Err(std::io::Error::other("s3cr3t detail")),
            Fault::PanicOnLoad => panic!("s3cr3t detail"),
            _ => Ok(self.inner.get(user)),
        }
    }

    async fn replace(
        &self,
        user: &UserId,
        expected: u64,
        new: &Registration,
    ) -> Result<bool, std::io::Error> {
        match self.fault {
            Fault::Replace => return Err(std::io::Error::other("s3cr3t detail")),
            Fault::PanicOnReplace => panic!("s3cr3t detail"),
            Fault::StallOnReplace => self.go_on.notified().await,
            _ => {}
        }
        Ok(self.inner.replace(user, expected, new).await.unwrap())
    }
}

async fn faulty(fault: Fault) -> (Fixture, Faulty, Endpoint) {
    let fixture = fixture().await;
    let store = Faulty {
        inner: fixture.store.clone(),
        fault,
        go_on: Arc::default(),
    };
    let endpoint = endpoint(
        &fixture.clock,
        &registrations(store.clone(), &fixture.clock),
        fixture.courier.clone(),
    );
    (fixture, store, endpoint)
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_panics_is_a_503_on_the_grid_and_no_mail() {
    for fault in [
        Fault::Load,
        Fault::Replace,
        Fault::PanicOnLoad,
        Fault::PanicOnReplace,
    ] {
        let (fixture, _, endpoint) = faulty(fault).await;
        let began = Instant::now();
        let answer = send(&endpoint, Call::client_app(start()).build()).await;
        answer.assert_error(503, "Unavailable");
        assert_eq!(answer.headers["retry-after"], "1", "{fault:?}");
        assert_eq!(began.elapsed(), GRID, "{fault:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("s3cr3t"));
        if matches!(fault, Fault::PanicOnLoad | Fault::PanicOnReplace) {
            let rejection = answer.rejection.unwrap();
            let cause = std::error::Error::source(&rejection).unwrap();
            assert_eq!(cause.to_string(), "it panicked", "{fault:?}");
            assert!(!format!("{rejection:?} {cause:?}").contains("s3cr3t"));
        }
        assert_eq!(fixture.mailer.calls(), 0, "{fault:?}");
        let jane = fixture.store.get(&user("jane@example.co")).unwrap();
        assert_eq!(jane.generation, 0, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_loses_no_mail() {
    let (fixture, store, mut endpoint) = faulty(Fault::StallOnReplace).await;
    let asking = endpoint.call(Call::client_app(start()).build());
    let gone = tokio::time::timeout(Duration::from_millis(10), asking).await;
    assert!(gone.is_err(), "the store is still at it");
    assert_eq!(fixture.mailer.calls(), 0);
    store.go_on.notify_one();
    let code = loop {
        tokio::task::yield_now().await;
        if let Some(mail) = fixture.mailer.sent().pop() {
            break mail.code;
        }
    };
    fixture.settled().await;
    let jane = user("jane@example.co");
    let redeemed = fixture.registrations.redeem(&jane, code.expose()).await;
    assert_eq!(redeemed.unwrap(), RedeemOutcome::Redeemed);
}

#[tokio::test(start_paused = true)]
async fn work_longer_than_a_step_leaves_on_a_later_one() {
    let (_, store, mut endpoint) = faulty(Fault::StallOnReplace).await;
    let began = Instant::now();
    let asking = tokio::spawn(endpoint.call(Call::client_app(start()).build()));
    tokio::time::sleep(GRID * 2 + GRID / 2).await;
    store.go_on.notify_one();
    asking.await.unwrap().unwrap();
    assert_eq!(began.elapsed(), GRID * 3);
}

#[tokio::test(start_paused = true)]
async fn answers_of_one_step_leave_in_the_order_of_arrival_whoever_was_asked_for() {
    let (known, unknown) = ("jane@example.co", "nobody@example.co");
    for usernames in [[known, unknown], [unknown, known]] {
        let (_, store, endpoint) = faulty(Fault::StallOnReplace).await;
        let answered = Arc::new(Mutex::new(Vec::new()));
        let mut asking = JoinSet::new();
        for username in usernames {
            let (mut endpoint, answered) = (endpoint.clone(), Arc::clone(&answered));
            asking.spawn(async move {
                let call = Call::client_app(start()).user(username);
                endpoint.call(call.build()).await.unwrap();
                answered.lock().unwrap().push(username);
            });
        }
        tokio::time::sleep(GRID / 2).await;
        store.go_on.notify_one();
        asking.join_all().await;
        assert_eq!(*answered.lock().unwrap(), usernames);
    }
}

#[tokio::test(start_paused = true)]
async fn the_observer_learns_what_the_caller_does_not() {
    let fixture = fixture().await;
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&outcomes);
    let resend =
        ResendRegistration::builder(fixture.registrations.clone(), fixture.courier.clone())
            .observer(move |event| {
                assert_eq!(event.app.unwrap().as_str(), CLIENT_APP);
                log.lock().unwrap().push(*event.outcome);
            })
            .build()
            .unwrap();
    let service = verify(&fixture.clock).layer(resend);
    for username in ["jane@example.co", "nobody@example.co"] {
        let call = Call::client_app(start()).user(username);
        send(&service, call.build()).await.assert_success();
    }
    assert_eq!(
        *outcomes.lock().unwrap(),
        [
            ResendOutcome::Issued { generation: 1 },
            ResendOutcome::UnknownUser
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn settings_that_can_not_be_kept_are_refused_and_the_grid_can_be_turned_off_by_name() {
    let fixture = fixture().await;
    let builder =
        || ResendRegistration::builder(fixture.registrations.clone(), fixture.courier.clone());
    for refused in [
        builder().answer_grid(Duration::ZERO).build(),
        builder().answer_grid(Duration::from_micros(999)).build(),
        builder().answer_grid(Duration::from_millis(10_001)).build(),
    ] {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("insecure_without_answer_grid"), "{error}");
    }
    assert!(
        builder()
            .answer_grid(Duration::from_millis(1))
            .build()
            .is_ok()
    );
    assert!(
        builder()
            .answer_grid(Duration::from_secs(10))
            .build()
            .is_ok()
    );
    let off = builder().insecure_without_answer_grid().build().unwrap();
    let service = verify(&fixture.clock).layer(off);
    let began = Instant::now();
    send(&service, Call::client_app(start()).build())
        .await
        .assert_success();
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn what_the_handler_logs_stands_in_the_embedders_span() {
    use tracing::Instrument;

    let log = Log::default();
    let _capturing = log.capture();
    let fixture = fixture().await;
    let span = tracing::info_span!("embedder", request = 7);
    fixture.ask().instrument(span).await.assert_success();
    let log = log.text();
    let line = log.lines().find(|line| line.contains("asked for")).unwrap();
    assert!(line.contains("embedder{request=7}"), "{line}");
    assert!(line.contains("Issued { generation: 1 }"), "{line}");
}

#[tokio::test]
async fn no_code_secret_or_key_stands_in_store_queue_logs_debug_or_errors() {
    let log = Log::default();
    let _capturing = log.capture();

    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/registration.db", folder.path().display());
    let backend = SqliteBackend::connect(&url).await.unwrap();
    let clock = ManualClock::at(start());
    let store = backend.registrations();
    store
        .enter("jane@example.co", pending("jane@example.co"))
        .await;
    let registrations = registrations(store.clone(), &clock);
    let mailer = MemoryMailer::new();
    mailer.behave_next([Behaviour::FailTransiently]);
    let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
    let dispatcher = Dispatcher::new(deliverer.clone());
    let endpoint = endpoint(&clock, &registrations, dispatcher.wake());
    let call = Call::server_app(start());
    send(&endpoint, call.clone().build()).await.assert_success();
    let wrong = call.with("x-dfns-appsecret", "wrong-secret-7d1");
    let refused = send(
        &endpoint,
        wrong.with("x-dfns-nonce", &nonce_at(start())).build(),
    )
    .await;

    // The code is sealed in the store now, and its mail has failed once.
    let jane = user("jane@example.co");
    deliverer.deliver(&jane).await.unwrap();
    let owed = store.load(&jane).await.unwrap().unwrap();
    assert!(owed.owed.is_some());
    let mut haystack = dump(folder.path());
    clock.advance(TimeDelta::minutes(1));
    deliverer.deliver(&jane).await.unwrap();
    let settled = store.load(&jane).await.unwrap().unwrap();
    assert_eq!(settled.owed, None);
    let code = mailer.sent()[0].code.clone();
    assert!(
        registrations
            .redeem(&jane, "1234-1234-1234-1234")
            .await
            .is_ok()
    );
    assert!(registrations.redeem(&jane, code.expose()).await.is_ok());
    backend.close().await;

    haystack.extend(dump(folder.path()));
    haystack.extend(log.text().as_bytes());
    let things = format!(
        "{refused:?} {owed:?} {settled:?} {} {registrations:?} {deliverer:?} {:?} {:?} {endpoint:?}",
        serde_json::to_string(&owed).unwrap(),
        mailer.sent(),
        code,
    );
    haystack.extend(things.as_bytes());
    let key = RegistrationKey::from_bytes(KEY).unwrap();
    let needles = [
        code.expose().to_string(),
        code.expose().replace('-', ""),
        SECRET.to_owned(),
        "wrong-secret-7d1".to_owned(),
        String::from_utf8(KEY.to_vec()).unwrap(),
        key.to_hex().expose().to_owned(),
    ];
    for needle in needles {
        let found = haystack
            .windows(needle.len())
            .any(|window| window == needle.as_bytes());
        assert!(
            !found,
            "a secret of {} characters stands in clear",
            needle.len()
        );
    }
    let log = log.text();
    assert!(
        log.contains("AppSecretInvalid"),
        "the log was caught: {log}"
    );
    assert!(!log.contains("jane"), "a username is logged: {log}");
}

/// All bytes of all files in a folder: the database and its log.
fn dump(folder: &std::path::Path) -> Vec<u8> {
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert!(!files.is_empty());
    let read = |file: std::io::Result<std::fs::DirEntry>| std::fs::read(file.unwrap().path());
    files
        .into_iter()
        .flat_map(|file| read(file).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guess_is_charged_before_its_verdict_however_many_come_at_once() {
    let clock = ManualClock::at(start());
    let store = MemoryRegistrations::new();
    store
        .enter("jane@example.co", pending("jane@example.co"))
        .await;
    let registrations = registrations(store, &clock);
    let jane = user("jane@example.co");
    registrations.resend(&jane, |_| true).await.unwrap();
    let charged = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..200)
        .map(|guess| {
            let (registrations, jane) = (registrations.clone(), jane.clone());
            let charged = Arc::clone(&charged);
            tokio::spawn(async move {
                let code = format!("{guess:016}");
                match registrations.redeem(&jane, &code).await.unwrap() {
                    RedeemOutcome::WrongGuess => drop(charged.fetch_add(1, Ordering::SeqCst)),
                    RedeemOutcome::Refused(_) => {}
                    other => panic!("{other:?}"),
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(charged.load(Ordering::SeqCst), 20);
}
