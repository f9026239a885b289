//! `examples/soak`, for a few seconds: everything at once, a stop within it, and no code lost. Whether
//! the memory stays is not judged here: that takes a longer run.

use std::process::Command;

use crate::process::program;

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it reads /proc")]
fn mixed_traffic_and_a_stop_within_it_lose_nothing_and_let_nothing_pass() {
    let size = ["--connections", "200", "--busy", "16", "--slow", "16"];
    let output = Command::new(program("soak"))
        .args(["--seconds", "3", "--users", "40"])
        .args(size)
        .env_remove("DATABASE_URL")
        .env_remove("REDIS_URL")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (table, broken) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{broken}\n{table}");
}
