//! The numbers on the pages are the defaults.

use tower_registration::{
    app::DEFAULT_TIME_TO_LIVE,
    delivery::DEFAULT_LEASE,
    nonce::{DEFAULT_MAX_AGE, DEFAULT_MAX_FUTURE},
    registration::{
        DEFAULT_ANSWER_GRID,
        policy::{DEFAULT_COOLDOWN, DEFAULT_GUESSES_PER_DAY, DEFAULT_PER_DAY, DEFAULT_PER_HOUR},
    },
    rejection::RETRY_AFTER_SECONDS,
    signature::{DEFAULT_BODY_TIMEOUT, DEFAULT_MAX_BODY_BYTES},
};

use super::CALLER;

const COMPOSE: &str = include_str!("../../../src/docs/guide/compose.md");
const MANY: &str = include_str!("../../../src/docs/guide/many.md");
const ROTATE: &str = include_str!("../../../src/docs/guide/rotate.md");
const README: &str = include_str!("../../../README.md");

/// What follows a number that is a limit.
const UNITS: [&str; 8] = ["s", "ms", "min", "h", "KiB", "bytes", "an", "a"];

/// A page's prose in one line.
fn prose(page: &str) -> String {
    let text = page.split("```").step_by(2).collect::<String>();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What the caller's page says of limits.
fn of_callers() -> [String; 6] {
    let seconds = |duration: std::time::Duration| duration.as_secs();
    [
        format!(
            "at most {} s back and {} s ahead",
            seconds(DEFAULT_MAX_AGE),
            seconds(DEFAULT_MAX_FUTURE)
        ),
        format!("in time | {} s by default", seconds(DEFAULT_BODY_TIMEOUT)),
        format!("over {} KiB by default", DEFAULT_MAX_BODY_BYTES / 1_024),
        format!(
            "less than {} s ago, or used up the caps of {DEFAULT_PER_HOUR} an hour and \
             {DEFAULT_PER_DAY} a day",
            seconds(DEFAULT_COOLDOWN)
        ),
        format!("a time grid of {} ms", DEFAULT_ANSWER_GRID.as_millis()),
        format!("`retry-after: {RETRY_AFTER_SECONDS}`"),
    ]
}

#[test]
fn callers_are_told_of_the_defaults_and_of_no_other_limit() {
    let mut page = prose(CALLER);
    for limit in of_callers() {
        assert!(page.contains(&limit), "{limit}");
        page = page.replace(&limit, "");
    }
    let words: Vec<_> = page.split(' ').collect();
    for pair in words.windows(2) {
        let is_number = pair[0].parse::<u64>().is_ok();
        let is_limit = is_number && UNITS.contains(&pair[1].trim_matches(['.', ',', ';', ')']));
        assert!(!is_limit, "nothing holds {pair:?}");
    }
}

#[test]
fn other_pages_tell_of_the_defaults_too() {
    let seconds = |duration: std::time::Duration| duration.as_secs();
    let grid = DEFAULT_ANSWER_GRID.as_millis();
    for (page, told) in [
        (
            COMPOSE,
            format!("the body's time ({} s)", seconds(DEFAULT_BODY_TIMEOUT)),
        ),
        (
            COMPOSE,
            format!("[grid](crate::registration::DEFAULT_ANSWER_GRID), {grid} ms"),
        ),
        (
            MANY,
            format!("the nonce's lead of {} s", seconds(DEFAULT_MAX_FUTURE)),
        ),
        (
            MANY,
            format!("leases to run out, after {} s", seconds(DEFAULT_LEASE)),
        ),
        (
            ROTATE,
            format!("{} s by default", seconds(DEFAULT_TIME_TO_LIVE)),
        ),
        (
            README,
            format!("{DEFAULT_GUESSES_PER_DAY} guesses a day across resends"),
        ),
    ] {
        assert!(prose(page).contains(&told), "{told}");
    }
}
