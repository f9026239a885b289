//! Models of what threads do to each other here, run over the code itself by a scheduler that
//! decides who goes next, instead of the operating system.
//!
//! `cfg(model)` puts the schedulers' locks, counters and tasks in place of std's and tokio's, in
//! [`sync`](crate::sync). Nothing else of the code that they run is another. A compiler wrapper
//! sets it for this crate alone, so that no dependency is built anew:
//!
//! ```text
//! RUSTC_WORKSPACE_WRAPPER="$PWD/.ci/rustc-model" cargo test --lib -- model::
//! ```
//!
//! 1. [`guard`]: the guard in memory, under loom. One mutex for each shard is all that its threads
//!    share, and loom goes through every order in which they can take it: two or three threads of one
//!    to five claims each, without a bound on preemptions. Other numbers are not gone through.
//! 2. [`courier`]: the courier, under shuttle, since loom knows no tasks and tokio uses loom's types
//!    in its own tests alone. Orders are drawn by chance: two mails, one stop or two at once, 2,000
//!    schedules drawn evenly and 2,000 that change threads at few places. `MODEL_SCHEDULES=100000`
//!    draws more. Time passes by chance, too: a wait may run out before what it waits for is there.
//!    Models fail if what they are about never came up. [`runtime`] says what is whose.

mod courier;
mod guard;
pub(crate) mod runtime;
