//! What is put to the test.

use std::{any::Any, fmt, sync::Arc};

/// An implementation that is put to the test, on a store of its own.
pub struct Subject<T> {
    pub(super) one: Arc<T>,
    pub(super) other: Arc<T>,
    kept: Vec<Box<dyn Any + Send + Sync>>,
}

impl<T> Subject<T> {
    /// One handle.
    #[must_use]
    pub fn new(one: T) -> Self {
        let one = Arc::new(one);
        Self {
            other: one.clone(),
            one,
            kept: Vec::new(),
        }
    }

    /// A second handle on the same store, as another process would open it: with connections of its
    /// own, and nothing shared but the store. Rules about several callers then use both.
    #[must_use]
    pub fn with_second_handle(self, other: T) -> Self {
        Self {
            other: Arc::new(other),
            ..self
        }
    }

    /// Keeps a value until the rule has been run: the directory that the store is in, for example.
    #[must_use]
    pub fn keeping(mut self, value: impl Any + Send + Sync) -> Self {
        self.kept.push(Box::new(value));
        self
    }

    /// The handle of the caller with this number.
    pub(super) fn handle(&self, caller: usize) -> &Arc<T> {
        if caller.is_multiple_of(2) {
            &self.one
        } else {
            &self.other
        }
    }
}

impl<T> fmt::Debug for Subject<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field(
                "handles",
                &(1 + u8::from(!Arc::ptr_eq(&self.one, &self.other))),
            )
            .field("keeps", &self.kept.len())
            .finish()
    }
}
