//! Past the checks, users get what the page says, and callers one answer.

use std::time::Duration;

use chrono::TimeDelta;
use tower::Layer;
use tower_registration::{
    backend::memory::{MemoryMailer, MemoryRegistrations},
    clock::{Clock, ManualClock},
    delivery::{Courier, Deliverer, Delivery},
    registration::{
        RedeemOutcome, Registration, RegistrationStatus, RegistrationStore, Registrations,
        ResendOutcome, ResendRegistration, UserKind,
        policy::{self, DEFAULT_COOLDOWN, DEFAULT_PER_DAY, DEFAULT_PER_HOUR},
    },
};

use super::CALLER;
use crate::{
    resend::seen,
    support::{Answer, Call, send, start, verify},
    users::{ADDRESS, jane, key, pending},
};

/// The states that each row of the page is about.
fn rows() -> [(String, &'static [State]); 6] {
    use State::{
        CoolingDown, DailyCap, Deactivated, Employee, HourlyCap, MailInFlight, New, Registered,
        Unknown, UnknownOrganisation, WithCode,
    };
    [
        ("may have a code".to_owned(), &[New, WithCode]),
        (
            "unknown, or of an unknown organisation".to_owned(),
            &[Unknown, UnknownOrganisation],
        ),
        (
            "registered, or deactivated".to_owned(),
            &[Registered, Deactivated],
        ),
        (
            "of a kind that the application has no permission for".to_owned(),
            &[Employee],
        ),
        (
            format!(
                "got a code less than {} s ago, or used up the caps of {DEFAULT_PER_HOUR} an hour \
                 and {DEFAULT_PER_DAY} a day",
                DEFAULT_COOLDOWN.as_secs()
            ),
            &[CoolingDown, HourlyCap, DailyCap],
        ),
        (
            "has a mail on its way this moment".to_owned(),
            &[MailInFlight],
        ),
    ]
}

/// How things stand with Jane when a code is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    New,
    WithCode,
    Unknown,
    UnknownOrganisation,
    Registered,
    Deactivated,
    Employee,
    CoolingDown,
    HourlyCap,
    DailyCap,
    MailInFlight,
}

impl State {
    fn registration(self) -> Option<Registration> {
        Some(match self {
            Self::Unknown => return None,
            Self::Registered => pending().with_status(RegistrationStatus::Registered),
            Self::Deactivated => pending().with_status(RegistrationStatus::Deactivated),
            Self::Employee => Registration::pending(UserKind::CustomerEmployee, ADDRESS),
            _ => pending(),
        })
    }

    /// So many codes were made before, each so long before the next, or before the request.
    fn codes(self) -> (u32, TimeDelta) {
        let cooldown = TimeDelta::from_std(DEFAULT_COOLDOWN).unwrap();
        match self {
            Self::WithCode => (1, cooldown),
            Self::CoolingDown => (1, cooldown - TimeDelta::microseconds(1)),
            Self::HourlyCap => (DEFAULT_PER_HOUR, cooldown),
            // As fast as the hourly cap allows.
            Self::DailyCap => (
                DEFAULT_PER_DAY,
                TimeDelta::hours(1) / i32::try_from(DEFAULT_PER_HOUR).unwrap(),
            ),
            _ => (0, TimeDelta::zero()),
        }
    }
}

struct Scene {
    clock: ManualClock,
    store: MemoryRegistrations,
    registrations: Registrations<MemoryRegistrations>,
    mailer: MemoryMailer,
    deliverer: Deliverer<MemoryRegistrations, MemoryMailer>,
}

impl Scene {
    fn new() -> Self {
        let clock = ManualClock::at(start());
        let store = MemoryRegistrations::new();
        let registrations = Registrations::new(store.clone(), key()).with_clock(clock.clone());
        let mailer = MemoryMailer::new();
        Self {
            deliverer: Deliverer::new(registrations.clone(), mailer.clone()),
            clock,
            store,
            registrations,
            mailer,
        }
    }

    async fn set(&self, state: State) {
        if let Some(registration) = state.registration() {
            assert!(self.store.insert_if_absent(&jane(), registration));
        }
        let (codes, apart) = state.codes();
        for _ in 0..codes {
            self.make_code().await;
            self.deliver().await;
            self.clock.advance(apart);
        }
        if state == State::MailInFlight {
            self.make_code().await;
            let owing = self.store.get(&jane()).unwrap();
            let until = self.clock.now() + TimeDelta::minutes(5);
            let leased = policy::leased(&owing, until);
            let swapped = self.store.replace(&jane(), owing.version, &leased).await;
            assert!(swapped.unwrap());
            self.clock.advance(TimeDelta::minutes(4));
        }
    }

    async fn make_code(&self) {
        let outcome = self.registrations.resend(&jane(), |_| true).await.unwrap();
        assert!(
            matches!(outcome, ResendOutcome::Issued { .. }),
            "{outcome:?}"
        );
    }

    async fn deliver(&self) {
        let delivery = self.deliverer.deliver(&jane()).await.unwrap();
        assert_eq!(delivery, Delivery::Delivered);
    }

    /// The code of the latest mail.
    fn code(&self) -> Option<String> {
        let sent = self.mailer.sent();
        sent.last().map(|mail| mail.code.expose().to_string())
    }

    async fn is_live(&self, code: &str) -> bool {
        let outcome = self.registrations.redeem(&jane(), code).await.unwrap();
        outcome == RedeemOutcome::Redeemed
    }

    async fn ask(&self, state: State) -> Answer {
        let courier = Courier::new(self.deliverer.clone());
        let resend = ResendRegistration::builder(self.registrations.clone(), courier.clone());
        let endpoint = verify(&self.clock).layer(resend.build().unwrap());
        let org = match state {
            State::UnknownOrganisation => "another-org",
            _ => "example-org-id",
        };
        let body = serde_json::json!({"username": "jane@example.co", "orgId": org});
        let call = Call::client_app(self.clock.now()).body(body.to_string());
        let answer = send(&endpoint, call.build()).await;
        courier.shutdown(Duration::from_secs(30)).await;
        answer
    }

    /// In the words of the page.
    async fn outcome(&self, before: Option<String>, mails: usize) -> &'static str {
        match (self.mailer.sent().len() - mails, before) {
            (1, before) => {
                if let Some(before) = before {
                    assert!(!self.is_live(&before).await);
                }
                assert!(self.is_live(&self.code().unwrap()).await);
                "a new one by mail; the one before is dead"
            }
            (0, Some(before)) => {
                assert!(self.is_live(&before).await);
                "nothing; the code before lives on"
            }
            (0, None) => {
                // Whoever held the lease may be gone: then another sends the mail.
                self.clock.advance(TimeDelta::minutes(1));
                match self.deliverer.deliver(&jane()).await.unwrap() {
                    Delivery::Delivered => "that mail",
                    Delivery::NothingOwed => "nothing",
                    other => panic!("{other:?}"),
                }
            }
            (mails, _) => panic!("{mails} mails"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn users_get_what_the_page_says_and_callers_one_answer() {
    let (_, table) = CALLER
        .split_once("| the user | gets |\n| --- | --- |\n")
        .unwrap();
    let mut told = table.lines().map_while(|line| line.strip_prefix("| "));
    let mut answers = Vec::new();
    for (who, states) in rows() {
        let row = told.next().unwrap_or_default();
        let gets = row.strip_prefix(&format!("{who} | "));
        let gets = gets.and_then(|gets| gets.strip_suffix(" |"));
        let gets = gets.unwrap_or_else(|| panic!("{who} is not {row}"));
        for state in states {
            let scene = Scene::new();
            scene.set(*state).await;
            let (before, mails) = (scene.code(), scene.mailer.sent().len());
            answers.push(seen(&scene.ask(*state).await));
            assert_eq!(scene.outcome(before, mails).await, gets, "{state:?}");
        }
    }
    assert_eq!(told.next(), None);
    assert_eq!(answers[0].2, r#"{"message":"success"}"#);
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}
