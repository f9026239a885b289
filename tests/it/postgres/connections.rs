//! Connections that are lost, cut off or silent, and how often one statement crosses them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tower_registration::{
    backend::postgres::ANSWER_TIMEOUT, nonce::ClaimOutcome, registration::RegistrationStore,
};

use super::{
    between::{long_way, passage},
    claim, enter, eventually, pending, try_claim, user,
};
use crate::services::in_schema;

/// The empty round trip by which sqlx takes a connection back: a Sync alone.
const EMPTY_TRIP: &[u8] = b"S\0\0\0\x04";

#[tokio::test]
async fn a_lost_connection_costs_one_refusal_at_most_and_is_made_anew() {
    const CONNECTIONS: u32 = 4;
    in_schema(|place| async move {
        let url = format!("{}?application_name={}", place.url, place.schema);
        let settings = place.settings().connections(CONNECTIONS);
        let backend = settings.connect(&url).await.unwrap();
        let store = backend.registrations();
        enter(&backend, "jane", &pending()).await;
        for round in 0..3 {
            let jane = user("jane");
            let at_once = (0..CONNECTIONS).map(|_| store.load(&jane));
            for loaded in futures_util::future::join_all(at_once).await {
                let _ = loaded.unwrap();
            }
            place
                .run(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE application_name = '{}'",
                    place.schema
                ))
                .await;
            let mut refused = 0;
            for _ in 0..20 {
                refused += u32::from(store.load(&jane).await.is_err());
            }
            assert!(refused <= CONNECTIONS, "{refused} in round {round}");
            let _ = store.load(&jane).await.unwrap();
        }
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_cut_off_is_an_error_in_time_and_comes_back() {
    in_schema(|place| async move {
        let (url, cut) = passage(&place).await;
        let backend = place.settings().connections(2).connect(&url).await.unwrap();
        assert_eq!(claim(&backend, 0).await, ClaimOutcome::Claimed);
        cut.send(true).unwrap();
        let guard = backend.replay_guard();
        let began = Instant::now();
        let claims =
            futures_util::future::join_all((1..5).map(|number| try_claim(&guard, number, 0)));
        for refused in claims.await {
            assert!(refused.is_err(), "{refused:?}");
        }
        let margin = Duration::from_secs(1);
        assert!(
            began.elapsed() < ANSWER_TIMEOUT + margin,
            "{:?}",
            began.elapsed()
        );
        cut.send(false).unwrap();
        // The silent connections are given up, and their places in the pool with them.
        let known = eventually(async || try_claim(&guard, 0, 0).await.ok()).await;
        assert_eq!(known, ClaimOutcome::Replayed);
        backend.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_falls_silent_after_its_answer_frees_its_place_in_time() {
    in_schema(|place| async move {
        let swallowed = Arc::new(AtomicUsize::new(0));
        let counted = swallowed.clone();
        let url = long_way(&place, Duration::ZERO, move |sent| {
            let passes = sent != EMPTY_TRIP;
            counted.fetch_add(usize::from(!passes), Ordering::Relaxed);
            passes
        })
        .await;
        let backend = place.settings().connections(2).connect(&url).await.unwrap();
        let (store, jane) = (backend.registrations(), user("jane"));
        for _ in 0..2 {
            assert_eq!(store.load(&jane).await.unwrap(), None);
        }
        let began = Instant::now();
        eventually(async || (swallowed.load(Ordering::Relaxed) == 2).then_some(())).await;
        let again = eventually(async || store.load(&jane).await.ok()).await;
        assert_eq!(again, None);
        let margin = Duration::from_secs(1);
        assert!(
            began.elapsed() < ANSWER_TIMEOUT + margin,
            "{:?}",
            began.elapsed()
        );
        backend.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_costs_one_round_trip_and_a_load_with_its_swap_two() {
    const TRIP: Duration = Duration::from_millis(100);
    in_schema(|place| async move {
        let url = long_way(&place, TRIP, |_| true).await;
        let settings = place.settings().connections(2);
        let backend = settings.connect(&url).await.unwrap();
        enter(&backend, "jane", &pending()).await;
        let (store, guard) = (backend.registrations(), backend.replay_guard());
        // Connections come back after an empty round trip of their own, which nobody waits for.
        let rested = async || {
            let pool = backend.pool();
            eventually(async || (pool.num_idle() == pool.size() as usize).then_some(())).await;
        };
        let trips = |began: Instant| began.elapsed().as_millis() / TRIP.as_millis();
        let jane = user("jane");
        // The least, since a busy machine adds to what a trip takes.
        let (mut resend, mut claim) = (u128::MAX, u128::MAX);
        // The first times, each connection prepares its statements.
        for round in 0..6 {
            rested().await;
            let began = Instant::now();
            let mut registration = store.load(&jane).await.unwrap().unwrap();
            registration.version += 1;
            let swapped = store.replace(&jane, round, &registration).await;
            assert!(swapped.unwrap());
            resend = resend.min(trips(began));
            for number in [0, 1] {
                rested().await;
                let number = usize::try_from(round).unwrap() * 2 + number;
                let began = Instant::now();
                let claimed = try_claim(&guard, number, 0).await.unwrap();
                assert_eq!(claimed, ClaimOutcome::Claimed);
                claim = claim.min(trips(began));
            }
        }
        assert_eq!((resend, claim), (2, 1));
        backend.close().await;
    })
    .await;
}
