//! What the compiler says of the likeliest mistakes. Layers in the wrong order compile; what they say
//! when a request comes is pinned in `tests/it/rejected.rs`. That each trait's own words are shown here
//! is held by `tests/it/notes.rs`.
//!
//! Run by itself, as `.ci/run` does: `cargo test --manifest-path tests/ui/Cargo.toml`. After a change
//! that is meant, `TRYBUILD=overwrite` writes the messages anew.

use std::{env, process::Command};

/// The messages are those of this compiler; others word them otherwise. Where it has to be at hand,
/// `MESSAGES_REQUIRED=1` says so; `.github/workflows/ci.yml` installs it.
const RECORDED: &str = "1.95.";

#[test]
fn likely_mistakes_say_what_to_write_instead() {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("rustc");
    let version = String::from_utf8(version.stdout).expect("text");
    if !version.starts_with(&format!("rustc {RECORDED}")) {
        let other = format!("messages are recorded for rustc {RECORDED}x, and this is {version}");
        assert!(env::var_os("MESSAGES_REQUIRED").is_none(), "{other}");
        eprintln!("SKIPPED: {other}");
        return;
    }
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
