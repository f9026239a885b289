//! The suites find what is wrong: each with one fault, and the rule that says so.

mod apps;
mod guards;
mod mailers;
mod stores;

use std::collections::BTreeSet;

use tower_registration::conformance::{Breach, Breaches};

/// The rules that are broken are at least these.
#[track_caller]
fn breaks(result: Result<(), Breaches>, rules: &[&str]) {
    let breaches = result.expect_err("the fault was not found");
    let broken: BTreeSet<_> = breaches.iter().filter_map(Breach::rule).collect();
    for rule in rules {
        assert!(broken.contains(rule), "{rule} is not among {broken:#?}");
    }
    let named = breaches.iter().all(|breach| breach.sentence() > Some(0));
    assert!(named, "every rule cites its sentence: {breaches}");
}
