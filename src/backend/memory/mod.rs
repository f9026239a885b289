//! In this process's memory: for one process, and for tests.

mod replay;

pub use replay::{
    DEFAULT_CAPACITY, DEFAULT_WINDOW, MemoryGuardConfigError, MemoryGuardError, MemoryReplayGuard,
    MemoryReplayGuardBuilder,
};
