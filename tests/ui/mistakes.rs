//! What the compiler says of the likeliest mistakes. Layers in the wrong order compile; what they say
//! when a request comes is pinned in `tests/it/rejected.rs`.
//!
//! Run by itself, as `.ci/run` does: `cargo test --manifest-path tests/ui/Cargo.toml`. After a change
//! that is meant, `TRYBUILD=overwrite` writes the messages anew.

use std::process::Command;

/// The messages are those of this compiler; others word them otherwise.
const RECORDED: &str = "rustc 1.95.";

#[test]
fn likely_mistakes_say_what_to_write_instead() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .expect("rustc");
    let version = String::from_utf8(version.stdout).expect("text");
    if !version.starts_with(RECORDED) {
        eprintln!("SKIPPED: messages are recorded for {RECORDED}x, and this is {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("cases/*.rs");
}
