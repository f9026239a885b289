//! Resending and redeeming against a store.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::{JoinSet, yield_now},
    time::advance,
};
use tower_registration::{
    backend::memory::{MemoryMailer, MemoryRegistrations},
    delivery::{Deliverer, Delivery},
    registration::{
        Kept, RedeemOutcome, Refusal, Registration, RegistrationStatus, RegistrationStore,
        Registrations, ResendOutcome, SwapError, UserId,
    },
};

use crate::users::{ADDRESS, jane, pending, registrations, store, user};

/// A store whose callers all load before any of them swaps, and which counts lost swaps.
#[derive(Clone)]
struct Racing {
    store: MemoryRegistrations,
    lost: Arc<AtomicUsize>,
}

impl Racing {
    fn new() -> Self {
        Self {
            store: store(),
            lost: Arc::default(),
        }
    }

    #[track_caller]
    fn assert_raced(&self) {
        assert!(self.lost.load(Ordering::SeqCst) > 0, "no swap was lost");
    }
}

impl RegistrationStore for Racing {
    type Error = std::convert::Infallible;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, Self::Error> {
        let loaded = self.store.load(user).await;
        yield_now().await;
        loaded
    }

    async fn replace(
        &self,
        user: &UserId,
        expected: u64,
        new: &Registration,
    ) -> Result<bool, Self::Error> {
        let swapped = self.store.replace(user, expected, new).await?;
        self.lost.fetch_add(usize::from(!swapped), Ordering::SeqCst);
        Ok(swapped)
    }
}

/// What each of `count` calls at once came to.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    call: impl Fn(usize) -> F,
) -> Vec<T> {
    (0..count)
        .map(call)
        .collect::<JoinSet<_>>()
        .join_all()
        .await
}

/// Asks for a code, and delivers and returns it.
async fn new_code<S: RegistrationStore>(registrations: &Registrations<S>) -> String {
    let outcome = registrations.resend(&jane(), |_| true).await.unwrap();
    assert!(
        matches!(outcome, ResendOutcome::Issued { .. }),
        "{outcome:?}"
    );
    let mailer = MemoryMailer::new();
    let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
    assert_eq!(
        deliverer.deliver(&jane()).await.unwrap(),
        Delivery::Delivered
    );
    let [mail] = &mailer.sent()[..] else {
        panic!("not one mail");
    };
    assert_eq!(mail.to, ADDRESS);
    mail.code.expose().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_parallel_resends_give_one_live_code_and_one_mail() {
    let store = Racing::new();
    let registrations = registrations(store.clone());
    let outcomes = at_once(1_000, |_| {
        let registrations = registrations.clone();
        async move { registrations.resend(&jane(), |_| true).await.unwrap() }
    })
    .await;
    store.assert_raced();
    let issued = |it: &&ResendOutcome| matches!(it, ResendOutcome::Issued { generation: 1 });
    assert_eq!(outcomes.iter().filter(issued).count(), 1);
    let kept = |it: &&ResendOutcome| **it == ResendOutcome::Kept(Kept::CoolingDown);
    assert_eq!(outcomes.iter().filter(kept).count(), 999);

    let mailer = MemoryMailer::new();
    let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
    at_once(1_000, |_| {
        let deliverer = deliverer.clone();
        async move { deliverer.deliver(&jane()).await.unwrap() }
    })
    .await;
    let [mail] = &mailer.sent()[..] else {
        panic!("not one mail");
    };
    let redeemed = registrations.redeem(&jane(), mail.code.expose()).await;
    assert_eq!(redeemed.unwrap(), RedeemOutcome::Redeemed);
}

#[tokio::test(start_paused = true)]
async fn the_code_before_is_refused_and_the_new_one_accepted_once() {
    let registrations = registrations(store());
    let old = new_code(&registrations).await;
    advance(Duration::from_mins(1)).await;
    let new = new_code(&registrations).await;
    let redeem = |code: String| {
        let registrations = registrations.clone();
        async move { registrations.redeem(&jane(), &code).await.unwrap() }
    };
    assert_eq!(redeem(old).await, RedeemOutcome::WrongGuess);
    assert_eq!(redeem("no code".into()).await, RedeemOutcome::WrongGuess);
    assert_eq!(redeem(new.replace('-', " ")).await, RedeemOutcome::Redeemed);
    let again = RedeemOutcome::Refused(Refusal::Registered);
    assert_eq!(redeem(new).await, again);
}

#[tokio::test(start_paused = true)]
async fn a_code_of_one_user_is_no_other_users() {
    let store = store();
    store.insert_if_absent(&user("john"), pending());
    let registrations = registrations(store);
    let code = new_code(&registrations).await;
    registrations.resend(&user("john"), |_| true).await.unwrap();
    let redeemed = registrations.redeem(&user("john"), &code).await.unwrap();
    assert_eq!(redeemed, RedeemOutcome::WrongGuess);
}

#[tokio::test(start_paused = true)]
async fn of_a_hundred_parallel_redeems_one_uses_the_code_up() {
    let store = Racing::new();
    let registrations = registrations(store.clone());
    let code = new_code(&registrations).await;
    let outcomes = at_once(100, |_| {
        let (registrations, code) = (registrations.clone(), code.clone());
        async move { registrations.redeem(&jane(), &code).await.unwrap() }
    })
    .await;
    store.assert_raced();
    let redeemed = |it: &&RedeemOutcome| **it == RedeemOutcome::Redeemed;
    assert_eq!(outcomes.iter().filter(redeemed).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn parallel_guesses_are_all_charged() {
    let store = Racing::new();
    let registrations = registrations(store.clone());
    let code = new_code(&registrations).await;
    let outcomes = at_once(200, |guess| {
        let registrations = registrations.clone();
        async move {
            let guess = format!("{guess:016}");
            registrations.redeem(&jane(), &guess).await.unwrap()
        }
    })
    .await;
    store.assert_raced();
    let wrong = |it: &&RedeemOutcome| **it == RedeemOutcome::WrongGuess;
    assert_eq!(outcomes.iter().filter(wrong).count(), 20);
    let spent = RedeemOutcome::Refused(Refusal::GuessesSpent);
    assert_eq!(registrations.redeem(&jane(), &code).await.unwrap(), spent);
}

#[tokio::test(start_paused = true)]
async fn who_gets_no_code_is_not_changed_and_gets_no_mail() {
    let with = |status| pending().with_status(status);
    let rows = [
        (
            "registered",
            Some(with(RegistrationStatus::Registered)),
            true,
            Some(Kept::Registered),
        ),
        (
            "deactivated",
            Some(with(RegistrationStatus::Deactivated)),
            true,
            Some(Kept::Deactivated),
        ),
        (
            "not permitted",
            Some(pending()),
            false,
            Some(Kept::KindNotPermitted),
        ),
        ("unknown", None, true, None),
    ];
    for (name, registration, may, kept) in rows {
        let store = MemoryRegistrations::new();
        if let Some(registration) = registration.clone() {
            store.insert_if_absent(&jane(), registration);
        }
        let registrations = registrations(store.clone());
        let expected = kept.map_or(ResendOutcome::UnknownUser, ResendOutcome::Kept);
        let outcome = registrations.resend(&jane(), |_| may).await.unwrap();
        assert_eq!(outcome, expected, "{name}");
        assert_eq!(store.get(&jane()), registration, "{name}");
        let deliverer = Deliverer::new(registrations, MemoryMailer::new());
        let delivery = deliverer.deliver(&jane()).await.unwrap();
        assert_eq!(delivery, Delivery::NothingOwed, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asks_too_soon_or_too_often_is_not_changed_and_gets_no_mail() {
    let store = store();
    let registrations = registrations(store.clone());
    let asks_in_vain = async |expected| {
        let before = store.get(&jane());
        let outcome = registrations.resend(&jane(), |_| true).await.unwrap();
        assert_eq!(outcome, ResendOutcome::Kept(expected));
        assert_eq!(store.get(&jane()), before);
        let deliverer = Deliverer::new(registrations.clone(), MemoryMailer::new());
        let delivery = deliverer.deliver(&jane()).await.unwrap();
        assert_eq!(delivery, Delivery::NothingOwed);
    };
    for _ in 0..5 {
        new_code(&registrations).await;
        asks_in_vain(Kept::CoolingDown).await;
        advance(Duration::from_mins(1)).await;
    }
    asks_in_vain(Kept::HourlyCap).await;
    for _ in 0..5 {
        advance(Duration::from_mins(12)).await;
        new_code(&registrations).await;
    }
    advance(Duration::from_mins(12)).await;
    asks_in_vain(Kept::DailyCap).await;
}

#[tokio::test(start_paused = true)]
async fn no_code_is_in_what_the_store_holds_or_debug_shows() {
    let store = store();
    let registrations = registrations(store.clone());
    registrations.resend(&jane(), |_| true).await.unwrap();
    let owed = store.get(&jane()).unwrap();
    let mailer = MemoryMailer::new();
    let deliverer = Deliverer::new(registrations.clone(), mailer.clone());
    deliverer.deliver(&jane()).await.unwrap();
    let settled = store.get(&jane()).unwrap();
    assert!(owed.owed.is_some() && settled.owed.is_none());

    let mail = &mailer.sent()[0];
    let dump = format!(
        "{}{}{owed:?}{settled:?}{store:?}{registrations:?}{deliverer:?}{mail:?}{mailer:?}",
        serde_json::to_string(&owed).unwrap(),
        serde_json::to_string(&settled).unwrap(),
    );
    let code = mail.code.expose();
    assert!(!dump.contains(code), "the code is in {dump}");
    assert!(
        !dump.contains(&code.replace('-', "")),
        "the digits are in {dump}"
    );
}

#[tokio::test]
async fn a_registration_survives_serde() {
    let store = store();
    registrations(store.clone())
        .resend(&jane(), |_| true)
        .await
        .unwrap();
    let registration = store.get(&jane()).unwrap();
    let json = serde_json::to_string(&registration).unwrap();
    assert_eq!(
        serde_json::from_str::<Registration>(&json).unwrap(),
        registration
    );
}

/// A store that fails, or that loses every swap.
struct Broken {
    answers: bool,
    swaps: AtomicUsize,
}

impl RegistrationStore for Broken {
    type Error = io::Error;

    async fn load(&self, _: &UserId) -> Result<Option<Registration>, io::Error> {
        if self.answers {
            Ok(Some(pending()))
        } else {
            Err(io::Error::other("down"))
        }
    }

    async fn replace(&self, _: &UserId, _: u64, _: &Registration) -> Result<bool, io::Error> {
        self.swaps.fetch_add(1, Ordering::SeqCst);
        Ok(false)
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_or_never_swaps_is_an_error() {
    let broken = |answers| {
        registrations(Broken {
            answers,
            swaps: AtomicUsize::new(0),
        })
    };
    let down = broken(false).resend(&jane(), |_| true).await;
    assert!(matches!(down, Err(SwapError::Store(_))), "{down:?}");
    let unfair = broken(true);
    let contended = unfair.resend(&jane(), |_| true).await;
    assert!(
        matches!(contended, Err(SwapError::Contended)),
        "{contended:?}"
    );
    assert_eq!(unfair.store().swaps.load(Ordering::SeqCst), 100);
}
