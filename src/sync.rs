//! The locks, counters, tasks and timers in place of which the models of concurrency put their
//! own. Everywhere else they are those of std and tokio, by another path.

/// What the guard in memory stands on. Its models are loom's.
pub(crate) mod guard {
    #[cfg(all(test, model))]
    pub(crate) use loom::sync::Mutex;
    #[cfg(not(all(test, model)))]
    pub(crate) use std::sync::Mutex;
}

/// What the courier stands on, and a send. Their models are shuttle's.
pub(crate) mod delivery {
    #[cfg(all(test, model))]
    pub(crate) use crate::model::runtime::{
        AtomicUsize, JoinSet, Mutex, MutexGuard, Semaphore, timeout, watch,
    };
    #[cfg(not(all(test, model)))]
    pub(crate) use {
        std::sync::{Mutex, MutexGuard, atomic::AtomicUsize},
        tokio::{
            sync::{Semaphore, watch},
            task::JoinSet,
            time::timeout,
        },
    };
}
