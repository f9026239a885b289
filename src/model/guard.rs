//! Every order in which threads can claim from one [`MemoryReplayGuard`].

use chrono::{DateTime, Utc};
use loom::{sync::Arc, thread};

use crate::{
    app::AppId,
    backend::memory::{MemoryGuardError, MemoryReplayGuard, MemoryReplayGuardBuilder},
    nonce::{
        Claim,
        ClaimOutcome::{self, Claimed, Replayed, Unknowable},
        NonceId, ReplayGuard,
    },
};

type Answer = Result<ClaimOutcome, MemoryGuardError>;

/// A claim, times in seconds.
#[derive(Clone, Copy)]
struct Try {
    app: &'static str,
    nonce: u32,
    fresh_until: i64,
    now: i64,
}

/// One at 0 s, of a nonce that is fresh until [`END`].
fn early(app: &'static str, nonce: u32) -> Try {
    Try {
        app,
        nonce,
        fresh_until: END,
        now: 0,
    }
}

/// One at a time at which nothing is left of what was claimed early.
fn late(app: &'static str, nonce: u32) -> Try {
    Try {
        app,
        nonce,
        fresh_until: LONG_PAST + END,
        now: LONG_PAST,
    }
}

/// The last second at which an early nonce is fresh.
const END: i64 = 300;
/// By then the early ones are forgotten: with a window of 360 s, 60 s after their end at the latest.
const LONG_PAST: i64 = END + 61;

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn claim(guard: &MemoryReplayGuard, it: Try) -> Answer {
    let app = AppId::new(it.app).unwrap();
    let nonce = NonceId::of(&format!("nonce number {}", it.nonce)).unwrap();
    let fresh_until = at(it.fresh_until);
    let claim = Claim::new(&app, nonce, fresh_until, fresh_until, at(it.now));
    guard.claim(claim).into_inner()
}

/// Room for so many, and for so many of an application.
fn bounded(capacity: usize, share: usize) -> MemoryReplayGuardBuilder {
    MemoryReplayGuard::builder()
        .insecure_accept_before_start()
        .capacity(capacity)
        .share_per_app(share)
}

fn built(settings: MemoryReplayGuardBuilder) -> Arc<MemoryReplayGuard> {
    Arc::new(settings.build().unwrap())
}

/// What each thread is told when all claim at once, one after another of its own.
fn at_once<const THREADS: usize>(
    guard: &Arc<MemoryReplayGuard>,
    tries: [Vec<Try>; THREADS],
) -> [Vec<Answer>; THREADS] {
    let threads = tries.map(|tries| {
        let guard = guard.clone();
        thread::spawn(move || tries.into_iter().map(|it| claim(&guard, it)).collect())
    });
    threads.map(|thread| thread.join().unwrap())
}

fn count(answers: &[Vec<Answer>], answer: Answer) -> usize {
    answers.iter().flatten().filter(|it| **it == answer).count()
}

#[test]
fn in_every_order_one_of_three_claims_is_accepted() {
    loom::model(|| {
        let guard = built(bounded(10, 10));
        let answers = at_once(&guard, [(); 3].map(|()| vec![early("app", 1)]));
        assert_eq!(count(&answers, Ok(Claimed)), 1);
        assert_eq!(count(&answers, Ok(Replayed)), 2);
        assert_eq!(guard.live(), 1);
    });
}

#[test]
fn in_every_order_one_of_two_claims_is_accepted_by_a_guard_in_shards() {
    loom::model(|| {
        let guard = built(bounded(524_288, 262_144));
        assert!(format!("{guard:?}").contains("shards: 64"), "{guard:?}");
        let tries = [(); 2].map(|()| vec![early("app", 1), early("app", 2)]);
        let [first, second] = at_once(&guard, tries);
        for (one, other) in first.into_iter().zip(second) {
            assert!(
                [(Ok(Claimed), Ok(Replayed)), (Ok(Replayed), Ok(Claimed))].contains(&(one, other)),
                "{one:?}, {other:?}"
            );
        }
        assert_eq!(guard.live(), 2);
    });
}

/// A thread's late claim has the guard forget the early nonce while a second claims it in its last
/// second, and a third claims it with another datetime.
#[test]
fn in_every_order_a_nonce_that_is_being_forgotten_is_not_accepted_again() {
    loom::model(|| {
        let guard = built(bounded(10, 10));
        assert_eq!(claim(&guard, early("app", 1)), Ok(Claimed));
        let last_second = Try {
            now: END,
            ..early("app", 1)
        };
        let answers = at_once(
            &guard,
            [
                vec![late("app", 2)],
                vec![last_second, last_second],
                vec![late("app", 1), late("app", 1)],
            ],
        );
        let [others, in_its_last_second, anew] = &answers;
        assert_eq!(others[..], [Ok(Claimed)]);
        for answer in in_its_last_second {
            assert!(
                [Ok(Replayed), Ok(Unknowable)].contains(answer),
                "{answer:?}"
            );
        }
        assert_eq!(anew[..], [Ok(Claimed), Ok(Replayed)]);
        assert_eq!(guard.live(), 2);
    });
}

/// What is fresh at a time that other threads' claims have moved past it stays.
#[test]
fn in_every_order_a_live_nonce_outlasts_what_is_forgotten_around_it() {
    loom::model(|| {
        let guard = built(bounded(10, 10));
        let live = Try {
            fresh_until: LONG_PAST,
            ..early("app", 1)
        };
        for it in [live, early("app", 2), early("other", 1)] {
            assert_eq!(claim(&guard, it), Ok(Claimed));
        }
        let at_its_end = Try {
            now: LONG_PAST,
            ..live
        };
        let answers = at_once(
            &guard,
            [
                vec![late("app", 3)],
                vec![late("other", 1)],
                vec![live, at_its_end],
            ],
        );
        assert_eq!(answers[0][..], [Ok(Claimed)]);
        assert_eq!(answers[1][..], [Ok(Claimed)]);
        assert_eq!(answers[2][..], [Ok(Replayed), Ok(Replayed)]);
        assert_eq!(guard.live(), 3);
    });
}

/// The first segment has seven places and is built anew with the seventh entry; this goes over it
/// twice.
#[test]
fn in_every_order_a_set_that_grows_loses_no_nonce_and_doubles_none() {
    loom::model(|| {
        let guard = built(bounded(100, 100));
        for number in 0..5 {
            assert_eq!(claim(&guard, early("app", number)), Ok(Claimed));
        }
        let mine = |first: u32| {
            let numbers = [first, 0, first + 1, 99, first + 2];
            numbers.map(|number| early("app", number)).to_vec()
        };
        let answers = at_once(&guard, [mine(10), mine(20)]);
        for thread in &answers {
            assert_eq!(thread[0], Ok(Claimed));
            assert_eq!(thread[1], Ok(Replayed));
            assert_eq!(thread[2], Ok(Claimed));
            assert_eq!(thread[4], Ok(Claimed));
        }
        assert_eq!(count(&answers, Ok(Claimed)), 7, "the shared one once");
        assert_eq!(guard.live(), 12);
        for number in (0..5).chain(10..13).chain(20..23).chain([99]) {
            assert_eq!(claim(&guard, early("app", number)), Ok(Replayed));
        }
    });
}

/// Two threads ask for three places for one application, whose share is two of three, and a third
/// looks how many are held.
#[test]
fn in_every_order_no_more_are_held_than_capacity_and_share_and_all_room_comes_back() {
    loom::model(|| {
        let guard = built(bounded(3, 2));
        let watcher = {
            let guard = guard.clone();
            thread::spawn(move || assert!(guard.live() <= 3))
        };
        let answers = at_once(
            &guard,
            [
                vec![early("app", 1), early("app", 2)],
                vec![early("app", 3), early("other", 1)],
            ],
        );
        watcher.join().unwrap();
        assert_eq!(count(&answers, Ok(Claimed)), 3);
        let full = [MemoryGuardError::Full, MemoryGuardError::ShareFull];
        assert_eq!(
            full.map(|why| count(&answers, Err(why)))
                .iter()
                .sum::<usize>(),
            1
        );
        assert_eq!(answers[1][1], Ok(Claimed), "the share leaves room");
        assert_eq!(guard.live(), 3);
        assert_eq!(
            claim(&guard, early("third", 1)),
            Err(MemoryGuardError::Full)
        );

        for it in [late("app", 4), late("app", 5), late("third", 1)] {
            assert_eq!(claim(&guard, it), Ok(Claimed));
        }
        assert_eq!(guard.live(), 3);
    });
}

/// Two threads of different applications race for one last place.
#[test]
fn in_every_order_one_of_two_gets_the_last_place() {
    loom::model(|| {
        let guard = built(bounded(2, 2));
        assert_eq!(claim(&guard, early("third", 1)), Ok(Claimed));
        let answers = at_once(&guard, [vec![early("app", 1)], vec![early("other", 1)]]);
        assert_eq!(count(&answers, Ok(Claimed)), 1);
        assert_eq!(count(&answers, Err(MemoryGuardError::Full)), 1);
        assert_eq!(guard.live(), 2);
    });
}
