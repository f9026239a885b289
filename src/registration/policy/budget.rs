//! One limit: the generic cell rate algorithm (ITU-T I.371) with one timestamp.

use chrono::{DateTime, TimeDelta, Utc};

use super::later;

/// So many in a window: all at once, and then one more for each `window / limit` that passes. Any
/// window of any place in time therefore sees fewer than twice the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget {
    window: TimeDelta,
    interval: TimeDelta,
}

impl Budget {
    /// `limit` is 1 to [`MAX_CAP`](super::MAX_CAP), by the policy's builder.
    pub(super) fn hourly(limit: u32) -> Self {
        Self::new(3_600, limit)
    }

    /// `limit` is 1 to [`MAX_CAP`](super::MAX_CAP), by the policy's builder.
    pub(super) fn daily(limit: u32) -> Self {
        Self::new(86_400, limit)
    }

    fn new(seconds: i64, limit: u32) -> Self {
        Self {
            window: TimeDelta::seconds(seconds),
            interval: TimeDelta::microseconds(seconds * 1_000_000 / i64::from(limit.max(1))),
        }
    }

    /// Draws one at `now`: the new theoretical arrival time, or `None` if nothing is left.
    ///
    /// Whoever is refused waits at most one window. An arrival time from which the wait would be
    /// longer was written under a clock that has since stepped back: one is let through, and the
    /// budget counts as used up from there.
    pub(super) fn draw(
        self,
        arrival: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let ahead = arrival.map_or(TimeDelta::zero(), |arrival| arrival - now);
        let room = self.window - self.interval;
        let used = if ahead > room + self.window {
            room
        } else {
            ahead.max(TimeDelta::zero())
        };
        (used <= room).then(|| later(now, used + self.interval))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::registration::policy::MAX_CAP;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn drawn(budget: Budget, times: impl IntoIterator<Item = i64>) -> usize {
        let mut arrival = None;
        let mut draws = 0;
        for time in times {
            if let Some(next) = budget.draw(arrival, at(time)) {
                arrival = Some(next);
                draws += 1;
            }
        }
        draws
    }

    #[test]
    fn the_whole_limit_can_be_drawn_at_once_and_no_more() {
        for limit in [1, 5, 7, 10, MAX_CAP - 1, MAX_CAP] {
            let tries = std::iter::repeat_n(0, limit as usize + 1);
            assert_eq!(drawn(Budget::hourly(limit), tries), limit as usize);
        }
    }

    #[test]
    fn after_the_limit_one_more_comes_with_each_interval() {
        let budget = Budget::hourly(5);
        assert_eq!(drawn(budget, [0, 0, 0, 0, 0, 719]), 5);
        assert_eq!(drawn(budget, [0, 0, 0, 0, 0, 720, 1_439]), 6);
        assert_eq!(drawn(budget, [0, 0, 0, 0, 0, 720, 1_440]), 7);
    }

    #[test]
    fn a_clock_that_steps_back_blocks_for_one_window_at_most() {
        let budget = Budget::hourly(5);
        for step in [0, 1, 3_599, 3_600, 3_601, 7_000, 7_200, 1_000_000_000] {
            let mut arrival = None;
            for _ in 0..5 {
                arrival = budget.draw(arrival, at(step));
            }
            let freed = (0..=3_600).find(|&time| budget.draw(arrival, at(time)).is_some());
            assert!(freed.is_some(), "step of {step} s");
        }
    }

    #[test]
    fn a_clock_that_steps_back_does_not_give_a_budget_anew() {
        let budget = Budget::hourly(5);
        assert_eq!(drawn(budget, [90, 90, 90, 90, 90, 0, 0, 0]), 5);
        let far = 1_000_000_000;
        assert_eq!(drawn(budget, [far, far, far, far, far, 0, 0, 0]), 6);
    }

    #[test]
    fn the_ends_of_time_are_no_obstacle() {
        let budget = Budget::daily(10);
        let end = DateTime::<Utc>::MAX_UTC;
        assert_eq!(budget.draw(None, end), Some(end));
        assert!(budget.draw(Some(end), DateTime::<Utc>::MIN_UTC).is_some());
        assert!(budget.draw(Some(DateTime::<Utc>::MIN_UTC), end).is_some());
    }

    proptest! {
        #[test]
        fn no_interval_sees_more_than_the_limit_and_its_refill(
            steps in prop::collection::vec(0_i64..2_000, 1..60),
            limit in 1_u32..12,
        ) {
            let budget = Budget::hourly(limit);
            let (mut now, mut arrival, mut passed) = (0, None, vec![]);
            for step in steps {
                now += step;
                if let Some(next) = budget.draw(arrival, at(now)) {
                    arrival = Some(next);
                    passed.push(now);
                }
            }
            for (first, start) in passed.iter().enumerate() {
                for (count, end) in passed[first..].iter().enumerate() {
                    let refill = (end - start) * i64::from(limit) / 3_600;
                    prop_assert!(i64::try_from(count).unwrap() < i64::from(limit) + refill + 1);
                }
            }
        }
    }
}
