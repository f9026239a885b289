//! Calls that meet, and calls that are dropped on their way.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use tokio::{sync::Barrier, task::yield_now};

use super::breach::{Breach, Kept, ensure};

/// Callers that ask at once.
pub(super) const CALLERS: usize = 64;
/// How often a race is run until its calls were seen to meet.
pub(super) const ROUNDS: usize = 10_000;
/// How often it is run in any case: the gap between a look and a write is small.
pub(super) const LEAST: usize = 100;
/// After how many polls a call is dropped, at most: more than any call takes.
pub(super) const POLLS: usize = 24;

/// A call's answer, and when it was under way.
pub(super) struct Answer<T> {
    from: Instant,
    until: Instant,
    pub(super) value: T,
}

impl<T> Answer<T> {
    fn met(&self, other: &Self) -> bool {
        self.from < other.until && other.from < self.until
    }
}

/// Starts `CALLERS` calls at one instant, numbered from 0, each in a task of its own.
pub(super) async fn race<T, F>(call: impl Fn(usize) -> F) -> Kept<Vec<Answer<T>>>
where
    T: Send + 'static,
    F: Future<Output = Kept<T>> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(CALLERS));
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (barrier, call) = (barrier.clone(), call(caller));
            tokio::spawn(async move {
                barrier.wait().await;
                let from = Instant::now();
                let value = call.await;
                (from, Instant::now(), value)
            })
        })
        .collect();
    let mut answers = Vec::with_capacity(CALLERS);
    for task in tasks {
        let ended = task.await;
        let (from, until, value) =
            ended.map_err(|panic| Breach::new(format!("a call panicked: {panic}")))?;
        let value = value?;
        answers.push(Answer { from, until, value });
    }
    Ok(answers)
}

/// The one winner of a race, and whether a loser's call was under way while its own was: without
/// that, the race proved nothing.
pub(super) fn one_winner<T>(
    answers: Vec<Answer<T>>,
    won: impl Fn(&T) -> bool,
) -> Kept<(Answer<T>, bool)> {
    let (mut winners, losers): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| won(&answer.value));
    ensure!(
        winners.len() == 1,
        "{} of {CALLERS} calls at once won",
        winners.len()
    );
    let winner = winners.remove(0);
    let met = losers.iter().any(|loser| loser.met(&winner));
    Ok((winner, met))
}

/// Whether any two of these calls were under way at once.
pub(super) fn any_met<T>(answers: &[Answer<T>]) -> bool {
    let mut pairs = answers.iter().enumerate();
    pairs.any(|(index, one)| answers[index + 1..].iter().any(|other| one.met(other)))
}

/// What a race that proved nothing comes to.
pub(super) fn never_met<T>() -> Kept<T> {
    Err(Breach::new(
        "no two calls met, so that nothing is proved: run the suite on a multi-threaded runtime",
    ))
}

/// Polls a call so often at most, with time for its store in between, and drops it. Tells whether
/// it was done by then.
pub(super) async fn dropped_after<T>(polls: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    for _ in 0..polls {
        let polled = poll_fn(|context| Poll::Ready(call.as_mut().poll(context))).await;
        if let Poll::Ready(value) = polled {
            return Some(value);
        }
        // The more polls, the longer: so that calls are dropped early and late.
        for _ in 0..polls {
            yield_now().await;
        }
    }
    None
}
