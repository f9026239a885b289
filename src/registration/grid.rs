//! The time grid that answers leave on.
//!
//! 1. An answer leaves on a step of the grid, counted from the arrival of its request: the first
//!    that has not passed when the work is done.
//! 2. The timer runs from the beginning of the work on, and not from its end. A runtime wakes those
//!    whose timers end in the same millisecond in the order in which they were set; set at the end
//!    of the work, they would show whose work was done first.
//! 3. While a body is read, no timer runs: one that stalls costs no wake-ups.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// The next step of one request's grid.
#[pin_project]
pub(super) struct Grid {
    step: Duration,
    next: Instant,
    #[pin]
    timer: Sleep,
}

impl Grid {
    /// Of a request that arrived then, and whose work begins now.
    pub(super) fn of(arrived: Instant, step: Duration) -> Self {
        let next = step_after(arrived, step, Instant::now());
        Self {
            step,
            next,
            timer: sleep_until(next),
        }
    }

    /// While the work goes on: sets the timer, anew for each step that passes.
    pub(super) fn keep(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        while self.as_mut().poll_step(cx).is_ready() {
            let mut this = self.as_mut().project();
            *this.next = step_after(*this.next, *this.step, Instant::now());
            this.timer.as_mut().reset(*this.next);
        }
    }

    /// Ready at the step that [`keep`](Self::keep) has set the timer to.
    pub(super) fn poll_step(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().timer.poll(cx)
    }
}

/// The first step after `now` of the grid that `passed` is a step or the beginning of.
fn step_after(passed: Instant, step: Duration, now: Instant) -> Instant {
    let since = now.saturating_duration_since(passed).as_nanos() % step.as_nanos();
    // Shorter than a step, which is seconds at most.
    now + step - Duration::from_nanos(u64::try_from(since).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_is_the_first_that_has_not_passed() {
        let (first, step) = (Instant::now(), Duration::from_millis(100));
        let rows = [
            (0, 100),
            (1, 100),
            (99, 100),
            (100, 200),
            (101, 200),
            (999, 1_000),
        ];
        for (passed, next) in rows {
            let at = |millis| first + Duration::from_millis(millis);
            assert_eq!(step_after(first, step, at(passed)), at(next), "{passed} ms");
        }
    }
}
