//! What the courier stands on, at shuttle's pace: each call may be the one before which another
//! thread or task gets its turn.
//!
//! Semaphores and channels are tokio's own, which need no runtime. Tasks and locks are shuttle's.
//! Time is chance: a [`timeout`] may end whenever what it waits for is not there yet.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use shuttle::{
    future::JoinHandle,
    rand::{Rng, thread_rng},
    sync::atomic::AtomicBool,
};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, SemaphorePermit, TryAcquireError};

pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic::AtomicUsize};

/// Anybody else may go on before this returns.
pub(super) fn anybody_may_go_on() {
    AtomicBool::new(false).load(Ordering::SeqCst);
}

/// A duration that is never over.
pub(super) const FOREVER: Duration = Duration::MAX;

/// Time is over.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// The future's output, unless it is not there at once and chance has time pass first.
pub(crate) async fn timeout<F: Future>(within: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        if within == FOREVER {
            return Poll::Pending;
        }
        if thread_rng().gen_ratio(1, 8) {
            return Poll::Ready(Err(Elapsed));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

pub(crate) struct Semaphore(Arc<tokio::sync::Semaphore>);

impl Semaphore {
    pub(crate) const MAX_PERMITS: usize = tokio::sync::Semaphore::MAX_PERMITS;

    pub(crate) fn new(permits: usize) -> Self {
        Self(Arc::new(tokio::sync::Semaphore::new(permits)))
    }

    pub(crate) async fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        anybody_may_go_on();
        self.0.acquire().await
    }

    pub(crate) async fn acquire_many(
        &self,
        permits: u32,
    ) -> Result<SemaphorePermit<'_>, AcquireError> {
        anybody_may_go_on();
        self.0.acquire_many(permits).await
    }

    pub(crate) fn try_acquire_owned(
        self: Arc<Self>,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        anybody_may_go_on();
        self.0.clone().try_acquire_owned()
    }

    pub(crate) fn close(&self) {
        anybody_may_go_on();
        self.0.close();
    }

    pub(crate) fn available_permits(&self) -> usize {
        self.0.available_permits()
    }
}

pub(crate) mod watch {
    use tokio::sync::watch::{Ref, error::RecvError};

    use super::anybody_may_go_on;

    pub(crate) struct Sender<T>(tokio::sync::watch::Sender<T>);

    impl<T> Sender<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(tokio::sync::watch::Sender::new(value))
        }

        pub(crate) fn send_replace(&self, value: T) -> T {
            anybody_may_go_on();
            self.0.send_replace(value)
        }

        pub(crate) fn borrow(&self) -> Ref<'_, T> {
            anybody_may_go_on();
            self.0.borrow()
        }

        pub(crate) fn subscribe(&self) -> Receiver<T> {
            anybody_may_go_on();
            Receiver(self.0.subscribe())
        }
    }

    pub(crate) struct Receiver<T>(tokio::sync::watch::Receiver<T>);

    impl<T> Receiver<T> {
        pub(crate) fn borrow_and_update(&mut self) -> Ref<'_, T> {
            anybody_may_go_on();
            self.0.borrow_and_update()
        }

        pub(crate) async fn wait_for(
            &mut self,
            is_it: impl FnMut(&T) -> bool,
        ) -> Result<Ref<'_, T>, RecvError> {
            anybody_may_go_on();
            self.0.wait_for(is_it).await
        }
    }
}

/// Tasks that are aborted when it is dropped. Who waits for one learns that it has ended, not how.
#[derive(Default)]
pub(crate) struct JoinSet<T>(Vec<JoinHandle<T>>);

impl<T: Send + 'static> JoinSet<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static) {
        self.0.push(shuttle::future::spawn(task));
    }

    pub(crate) fn try_join_next(&mut self) -> Option<()> {
        let ended = self.0.iter().position(JoinHandle::is_finished)?;
        drop(self.0.swap_remove(ended));
        Some(())
    }

    pub(crate) async fn join_next(&mut self) -> Option<()> {
        let task = self.0.pop()?;
        let _ = task.await;
        Some(())
    }

    pub(crate) fn abort_all(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}
