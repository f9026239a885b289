//! Mails that one process owes and another sends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use sqlx::{Connection, PgConnection, postgres::PgListener};
use tokio::sync::Barrier;
use tower_registration::{
    backend::{
        memory::MemoryMailer,
        postgres::{PostgresBackend, PostgresRegistrations},
    },
    clock::ManualClock,
    delivery::{Deliverer, Dispatcher, DispatcherLimits},
    registration::{Outbox, RegistrationKey, RegistrationStore, Registrations, ResendOutcome},
};

use super::{
    at, between::long_way, close, connect_at_once, enter, eventually, owing, pending, user,
};
use crate::services::{Place, in_schema};

fn registrations<S: RegistrationStore>(store: S, clock: &ManualClock) -> Registrations<S> {
    let key = RegistrationKey::from_bytes(*b"a key for tests, of 32 bytes, ok").unwrap();
    Registrations::new(store, key).with_clock(clock.clone())
}

/// A dispatcher that looks for mails only when it is woken.
fn dispatcher(
    backend: &PostgresBackend,
    clock: &ManualClock,
    mailer: &MemoryMailer,
) -> Dispatcher<PostgresRegistrations, MemoryMailer> {
    let deliverer = Deliverer::new(
        registrations(backend.registrations(), clock),
        mailer.clone(),
    );
    let limits = DispatcherLimits::default().with_poll_interval(Duration::from_hours(1));
    Dispatcher::with_limits(deliverer, limits)
}

/// Waits for a process that listens in this place, and is not `but`; its number.
async fn listens(place: &Place, but: Option<i32>) -> i32 {
    eventually(async || {
        let mut connection = PgConnection::connect(&place.url).await.unwrap();
        let listening = "SELECT pid FROM pg_stat_activity WHERE state = 'idle' \
                         AND query LIKE 'LISTEN%' || $1 || '%' AND pid IS DISTINCT FROM $2";
        sqlx::query_scalar(listening)
            .bind(&place.schema)
            .bind(but)
            .fetch_optional(&mut connection)
            .await
            .unwrap()
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_wakes_the_dispatcher_of_another_process_also_after_its_connection_was_lost() {
    in_schema(|place| async move {
        let (here, there) = (place.connect().await, place.connect().await);
        enter(&here, "jane", &pending()).await;
        let clock = ManualClock::at(at(0));
        let mailer = MemoryMailer::new();
        let dispatcher = dispatcher(&there, &clock, &mailer).start();
        let listener = there.listen(dispatcher.wake());
        let mut process = listens(&place, None).await;
        let endpoint = registrations(here.registrations(), &clock);
        for mails in 1..=4 {
            let outcome = endpoint.resend(&user("jane"), |_| true).await.unwrap();
            assert!(
                matches!(outcome, ResendOutcome::Issued { .. }),
                "{outcome:?}"
            );
            eventually(async || (mailer.sent().len() == mails).then_some(())).await;
            eventually(async || {
                let jane = endpoint.store().load(&user("jane")).await.unwrap()?;
                jane.owed.is_none().then_some(())
            })
            .await;
            clock.advance(TimeDelta::hours(1));
            if mails == 2 {
                place
                    .run(&format!("SELECT pg_terminate_backend({process})"))
                    .await;
                process = listens(&place, Some(process)).await;
            }
        }
        listener.stop().await;
        dispatcher.stop().await;
        close([here, there]).await;
    })
    .await;
}

/// The first `LISTEN` is never answered.
#[tokio::test]
async fn a_listener_that_is_not_answered_listens_again() {
    in_schema(|place| async move {
        let swallowed = Arc::new(AtomicUsize::new(0));
        let counted = swallowed.clone();
        let url = long_way(&place, Duration::ZERO, move |sent| {
            let listens = sent.windows(6).any(|word| word == b"LISTEN");
            !listens || counted.fetch_add(1, Ordering::Relaxed) > 0
        })
        .await;
        let backend = place.settings().connect(&url).await.unwrap();
        let dispatcher = dispatcher(&backend, &ManualClock::at(at(0)), &MemoryMailer::new());
        let dispatcher = dispatcher.start();
        let listener = backend.listen(dispatcher.wake());
        let _ = listens(&place, None).await;
        assert!(swallowed.load(Ordering::Relaxed) > 1);
        listener.stop().await;
        dispatcher.stop().await;
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn only_a_swap_that_owes_a_new_mail_tells_of_it_and_only_if_it_may() {
    in_schema(|place| async move {
        let backend = place.connect().await;
        let settings = place.settings().without_notifying();
        let silent = settings.connect(&place.url).await.unwrap();
        let mut heard = PgListener::connect(&place.url).await.unwrap();
        let channel = format!("tower_registration:{}", place.schema);
        heard.listen(&channel).await.unwrap();

        enter(&backend, "jane", &pending()).await;
        enter(&silent, "john", &owing(at(0))).await;
        let store = backend.registrations();
        let leased = store.lease_due(at(0), at(60), 1).await.unwrap().remove(0);
        let mut put_off = leased.registration;
        put_off.version += 1;
        put_off.lease = None;
        put_off.owed.as_mut().unwrap().attempts = 1;
        assert!(store.replace(&leased.user, 1, &put_off).await.unwrap());
        let lost = store.replace(&user("jane"), 7, &owing(at(0))).await;
        assert!(!lost.unwrap());
        place
            .run(&format!("NOTIFY \"{channel}\", 'until here'"))
            .await;
        assert_eq!(heard.recv().await.unwrap().payload(), "until here");

        let mut owing = owing(at(0));
        owing.version = 1;
        assert!(store.replace(&user("jane"), 0, &owing).await.unwrap());
        assert_eq!(heard.recv().await.unwrap().payload(), "");
        close([backend, silent]).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_resends_at_once_over_several_pools_give_one_code_and_one_mail() {
    in_schema(|place| async move {
        let backends = connect_at_once(&place, 4).await;
        enter(&backends[0], "jane", &pending()).await;
        let clock = ManualClock::at(at(0));
        let mailer = MemoryMailer::new();
        let dispatchers: Vec<_> = backends
            .iter()
            .map(|backend| {
                let dispatcher = dispatcher(backend, &clock, &mailer).start();
                let listener = backend.listen(dispatcher.wake());
                (dispatcher, listener)
            })
            .collect();
        let barrier = Arc::new(Barrier::new(1_000));
        let tasks: Vec<_> = (0..1_000)
            .map(|task| {
                let endpoint = registrations(backends[task % 4].registrations(), &clock);
                let barrier = barrier.clone();
                tokio::spawn(async move {
                    barrier.wait().await;
                    endpoint.resend(&user("jane"), |_| true).await.unwrap()
                })
            })
            .collect();
        let mut issued = 0;
        for task in tasks {
            let outcome = task.await.unwrap();
            issued += usize::from(matches!(outcome, ResendOutcome::Issued { .. }));
        }
        assert_eq!(issued, 1);
        eventually(async || (!mailer.sent().is_empty()).then_some(())).await;
        for (dispatcher, listener) in dispatchers {
            listener.stop().await;
            dispatcher.stop().await;
        }
        assert_eq!((mailer.sent().len(), mailer.calls()), (1, 1));
        let endpoint = registrations(backends[0].registrations(), &clock);
        let jane = endpoint.store().load(&user("jane")).await.unwrap().unwrap();
        assert_eq!((jane.generation, jane.owed), (1, None));
        close(backends).await;
    })
    .await;
}
