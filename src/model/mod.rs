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
//! 1. [`guard`]: the guard in memory under loom. One mutex for each shard is all that its threads
//!    share, and loom goes through every order in which they can take it: up to three threads, six
//!    claims among them and one reader, no bound on preemptions. What is not gone through is other
//!    numbers of threads or claims.
//! 2. [`courier`]: the courier under shuttle, since loom knows no tasks and tokio's types do not
//!    build on loom's outside of tokio's own tests. Orders are drawn by chance: two mails, one or
//!    two stops at once, 2,000 schedules evenly and as many with up to three changes of thread
//!    where the others leave off. `MODEL_SCHEDULES=100000` draws more. Time passes by chance, too:
//!    every wait may run out before what it waits for. [`runtime`] says what is whose.

mod courier;
mod guard;
pub(crate) mod runtime;
