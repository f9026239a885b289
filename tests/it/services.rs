//! Servers that tests need beside this repository: where they are, and what is done without them.
//!
//! A test that has no server says so on standard error and passes; with `REQUIRE_SERVICES=1`, as in
//! continuous integration, it fails.

use std::{
    env,
    fmt::Display,
    io::{Write, stderr},
};

/// To be called in the place of a test whose server is missing.
#[track_caller]
pub(crate) fn missing(service: &str, why: impl Display) {
    assert!(
        env::var("REQUIRE_SERVICES").as_deref() != Ok("1"),
        "{service} is required: {why}"
    );
    // Not `eprintln`, which the test's harness would keep to itself.
    let _ = writeln!(stderr(), "NOT RUN for lack of {service}: {why}");
}
