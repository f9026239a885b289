//! Keeps a slow registry's answers for a while.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    num::NonZeroUsize,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use pin_project::pin_project;

use super::{AppRegistry, Application};
use crate::clock::{Clock, SharedClock, SystemClock};

/// How long an answer is kept, unless set otherwise: 60 s.
pub const DEFAULT_TIME_TO_LIVE: Duration = Duration::from_mins(1);
/// How many applications, and as many unknown ids, are kept, unless set otherwise.
pub const DEFAULT_CAPACITY: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// A registry's answers, kept for a while: applications, and that an id is unknown.
///
/// 1. An application that is switched off, or whose secret or key is withdrawn, is still accepted
///    until its time to live has passed.
/// 2. Known and unknown ids have room of their own: whoever makes up ids drives out no
///    application.
/// 3. Errors are not kept.
pub struct CachedApps<R> {
    registry: R,
    shared: Arc<Shared>,
}

struct Shared {
    clock: SharedClock,
    time_to_live: TimeDelta,
    capacity: NonZeroUsize,
    known: Mutex<Generations>,
    unknown: Mutex<Generations>,
}

impl<R: AppRegistry> CachedApps<R> {
    /// Keeps answers of `registry` for [`DEFAULT_TIME_TO_LIVE`], and [`DEFAULT_CAPACITY`] of them.
    pub fn new(registry: R) -> Self {
        Self::with_limits(registry, DEFAULT_TIME_TO_LIVE, DEFAULT_CAPACITY)
    }

    /// Keeps answers for `time_to_live`, and at most `capacity` applications and as many unknown
    /// ids. The time counts from the question; beyond the 292,000 years of the clock it is as good
    /// as endless.
    pub fn with_limits(registry: R, time_to_live: Duration, capacity: NonZeroUsize) -> Self {
        let time_to_live = TimeDelta::from_std(time_to_live).unwrap_or(TimeDelta::MAX);
        let shared = Shared::new(time_to_live, capacity, Arc::new(SystemClock));
        Self {
            registry,
            shared: Arc::new(shared),
        }
    }

    /// The same by another clock. It has no answers yet, and shares none with earlier clones.
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        let Shared {
            time_to_live,
            capacity,
            ..
        } = *self.shared;
        Self {
            shared: Arc::new(Shared::new(time_to_live, capacity, Arc::new(clock))),
            ..self
        }
    }
}

impl Shared {
    fn new(time_to_live: TimeDelta, capacity: NonZeroUsize, clock: SharedClock) -> Self {
        Self {
            clock,
            time_to_live,
            capacity,
            known: Mutex::new(Generations::new(capacity)),
            unknown: Mutex::new(Generations::new(capacity)),
        }
    }

    fn get(&self, id: &str, now: DateTime<Utc>) -> Option<Kept> {
        [&self.known, &self.unknown].into_iter().find_map(|half| {
            let mut half = half.lock().unwrap_or_else(PoisonError::into_inner);
            half.get(id, now, self.time_to_live)
        })
    }

    fn keep(&self, id: Box<str>, answer: Option<Arc<Application>>, asked_at: DateTime<Utc>) {
        let (keep, drop) = match answer {
            Some(_) => (&self.known, &self.unknown),
            None => (&self.unknown, &self.known),
        };
        drop.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
        keep.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, answer, asked_at);
    }
}

/// An answer, and when it was asked for.
type Kept = (Option<Arc<Application>>, DateTime<Utc>);

/// A bounded map that forgets what has not been asked for lately: two halves, of which the older
/// is thrown away when the younger is full.
struct Generations {
    capacity: usize,
    young: HashMap<Box<str>, Kept>,
    old: HashMap<Box<str>, Kept>,
}

impl Generations {
    fn new(capacity: NonZeroUsize) -> Self {
        Self {
            capacity: capacity.get(),
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    fn get(&mut self, id: &str, now: DateTime<Utc>, time_to_live: TimeDelta) -> Option<Kept> {
        if let Some((id, (answer, asked_at))) = self.old.remove_entry(id) {
            self.insert(id, answer, asked_at);
        }
        let kept = self.young.get(id)?;
        let age = now.signed_duration_since(kept.1);
        // A negative age is a clock that stepped back: how old the answer is, nobody knows.
        (TimeDelta::zero()..time_to_live)
            .contains(&age)
            .then(|| kept.clone())
    }

    fn insert(&mut self, id: Box<str>, answer: Option<Arc<Application>>, asked_at: DateTime<Utc>) {
        let half = (self.capacity / 2).max(1);
        if self.young.len() >= half && !self.young.contains_key(&id) {
            self.old = std::mem::take(&mut self.young);
        }
        // While this answer was awaited, an older one may have come to the other half.
        self.old.remove(&id);
        self.young.insert(id, (answer, asked_at));
        // A capacity of one has no room for a second half.
        if self.young.len() + self.old.len() > self.capacity {
            self.old.clear();
        }
    }

    fn remove(&mut self, id: &str) {
        self.young.remove(id);
        self.old.remove(id);
    }
}

impl<R: AppRegistry> AppRegistry for CachedApps<R> {
    type Error = R::Error;
    type Future = CachedAppsFuture<R::Future>;

    fn find(&self, id: &str) -> Self::Future {
        let now = self.shared.clock.now();
        match self.shared.get(id, now) {
            Some((answer, _)) => CachedAppsFuture(Answer::Kept(answer)),
            None => CachedAppsFuture(Answer::Asking {
                answer: self.registry.find(id),
                id: id.into(),
                asked_at: now,
                shared: Arc::clone(&self.shared),
            }),
        }
    }
}

/// The answer of [`CachedApps`].
#[pin_project]
pub struct CachedAppsFuture<F>(#[pin] Answer<F>);

#[pin_project(project = AnswerProjection)]
enum Answer<F> {
    Kept(Option<Arc<Application>>),
    Asking {
        #[pin]
        answer: F,
        id: Box<str>,
        asked_at: DateTime<Utc>,
        shared: Arc<Shared>,
    },
}

impl<F, E> Future for CachedAppsFuture<F>
where
    F: Future<Output = Result<Option<Arc<Application>>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().0.project() {
            AnswerProjection::Kept(answer) => Poll::Ready(Ok(answer.take())),
            AnswerProjection::Asking {
                answer,
                id,
                asked_at,
                shared,
            } => {
                let answer = ready!(answer.poll(cx))?;
                shared.keep(std::mem::take(id), answer.clone(), *asked_at);
                Poll::Ready(Ok(answer))
            }
        }
    }
}

impl<F> fmt::Debug for CachedAppsFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CachedAppsFuture")
    }
}

impl<R: fmt::Debug> fmt::Debug for CachedApps<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedApps")
            .field("registry", &self.registry)
            .field("time_to_live", &self.shared.time_to_live)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::{Ready, ready},
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::{app::AppId, clock::ManualClock};

    /// Knows ids that begin with `ap-`, and counts how often it is asked.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl AppRegistry for Counting {
        type Error = Infallible;
        type Future = Ready<Result<Option<Arc<Application>>, Infallible>>;

        fn find(&self, id: &str) -> Self::Future {
            self.0.fetch_add(1, Ordering::SeqCst);
            let app = || Arc::new(Application::client_side(AppId::new(id).unwrap()));
            ready(Ok(id.starts_with("ap-").then(app)))
        }
    }

    struct Fixture {
        apps: CachedApps<Arc<Counting>>,
        asked: Arc<Counting>,
        clock: ManualClock,
    }

    fn fixture(capacity: usize) -> Fixture {
        let clock = ManualClock::at(DateTime::UNIX_EPOCH);
        let asked = Arc::new(Counting::default());
        let capacity = NonZeroUsize::new(capacity).unwrap();
        let apps = CachedApps::with_limits(Arc::clone(&asked), Duration::from_mins(1), capacity)
            .with_clock(clock.clone());
        Fixture { apps, asked, clock }
    }

    impl Fixture {
        /// Whether `id` is known, and how many questions the registry had to answer for it.
        async fn find(&self, id: &str) -> (bool, usize) {
            let before = self.asked.0.load(Ordering::SeqCst);
            let known = self.apps.find(id).await.unwrap().is_some();
            (known, self.asked.0.load(Ordering::SeqCst) - before)
        }
    }

    #[tokio::test]
    async fn an_answer_is_kept_for_its_time_to_live_and_no_longer() {
        let fixture = fixture(8);
        for id in ["ap-1", "unknown"] {
            let known = id == "ap-1";
            assert_eq!(fixture.find(id).await, (known, 1));
            fixture.clock.advance(TimeDelta::milliseconds(59_999));
            assert_eq!(fixture.find(id).await, (known, 0));
            fixture.clock.advance(TimeDelta::milliseconds(1));
            assert_eq!(fixture.find(id).await, (known, 1));
        }
    }

    #[tokio::test]
    async fn a_clock_that_steps_back_makes_no_answer_older_than_its_time() {
        let fixture = fixture(8);
        fixture.find("ap-1").await;
        fixture.clock.advance(TimeDelta::seconds(-1));
        assert_eq!(fixture.find("ap-1").await, (true, 1));
    }

    #[tokio::test]
    async fn made_up_ids_drive_out_no_application() {
        let fixture = fixture(8);
        fixture.find("ap-1").await;
        for made_up in 0..1_000 {
            fixture.find(&made_up.to_string()).await;
        }
        assert_eq!(fixture.find("ap-1").await, (true, 0));
        let shared = &fixture.apps.shared;
        let kept = |half: &Mutex<Generations>| {
            let half = half.lock().unwrap();
            half.young.len() + half.old.len()
        };
        assert!(kept(&shared.unknown) <= 8);
        assert_eq!(kept(&shared.known), 1);
    }

    #[tokio::test]
    async fn what_is_asked_for_stays_and_what_is_not_goes() {
        let fixture = fixture(4);
        fixture.find("ap-often").await;
        for other in 0..100 {
            fixture.find(&format!("ap-{other}")).await;
            assert_eq!(fixture.find("ap-often").await, (true, 0));
        }
        assert_eq!(fixture.find("ap-0").await, (true, 1));
    }

    #[tokio::test]
    async fn no_more_is_kept_than_the_capacity() {
        for capacity in 1..=9 {
            let fixture = fixture(capacity);
            for number in 0..100 {
                fixture.find(&format!("ap-{number}")).await;
                fixture.find(&format!("ap-{}", number / 2)).await;
                let known = fixture.apps.shared.known.lock().unwrap();
                let kept = known.young.len() + known.old.len();
                assert!(kept <= capacity, "{kept} of {capacity}");
            }
            assert_eq!(fixture.find("ap-49").await, (true, 0), "{capacity}");
        }
    }

    #[test]
    fn an_answer_replaces_an_older_one_wherever_that_is_kept() {
        let mut kept = Generations::new(NonZeroUsize::new(4).unwrap());
        let app = || Application::client_side(AppId::new("app").unwrap());
        let (old, new) = (
            DateTime::UNIX_EPOCH,
            DateTime::UNIX_EPOCH + TimeDelta::seconds(1),
        );
        kept.insert("app".into(), Some(Arc::new(app())), old);
        kept.insert("other".into(), None, old);
        kept.insert("third".into(), None, old);
        kept.insert("app".into(), Some(Arc::new(app().inactive())), new);
        let (answer, _) = kept.get("app", new, TimeDelta::seconds(60)).unwrap();
        assert!(!answer.unwrap().is_active());
    }
}
