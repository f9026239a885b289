//! Timeouts around the checks, the grid and the work.

use std::{convert::Infallible, future, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::StatusCode;
use tokio::time::{Instant, timeout};
use tower::ServiceExt;
use tower_http::timeout::TimeoutLayer;
use tower_registration::{
    VerifyRequest,
    app::{AppRegistry, Application},
    backend::memory::{MemoryMailer, MemoryRegistrations},
    clock::ManualClock,
    delivery::{Courier, Deliverer},
    registration::{
        PATH, Registration, RegistrationStore, Registrations, ResendRegistration, UserId,
    },
};

use super::{Endpoint, USERS, assert_used_up, checks, honest, new_checks, route};
use crate::{
    layers::through_router,
    resend::seen,
    support::{Answer, Call, guard, start},
    users,
};

/// The step of the grid that answers leave on.
const STEP: Duration = Duration::from_millis(100);

fn after(duration: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, duration)
}

#[tokio::test(start_paused = true)]
async fn a_timeout_longer_than_the_grids_step_changes_no_answer() {
    let endpoint = Endpoint::new();
    let router = endpoint.route().layer(new_checks());
    let within_time = router.clone().layer(after(STEP * 10));
    for username in USERS {
        let bare = through_router(&router, honest().user(username)).await;
        let began = Instant::now();
        let timed = through_router(&within_time, honest().user(username)).await;
        assert_eq!((seen(&timed), began.elapsed()), (seen(&bare), STEP));
        timed.assert_success();
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_shorter_than_a_step_refuses_all_users_alike_and_the_mail_still_goes_out() {
    let (endpoint, guard) = (Endpoint::new(), guard());
    let router = endpoint
        .route()
        .layer(checks(&guard))
        .layer(after(STEP / 2));
    let mut answers = Vec::new();
    for username in USERS {
        let began = Instant::now();
        let call = honest().user(username);
        let answer = through_router(&router, call.clone()).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(began.elapsed(), STEP / 2, "{username}");
        answers.push(seen(&answer));
        // The work has been done, so the call can't be made again.
        assert_used_up(&guard, call).await;
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(endpoint.mails().await, 1);
}

/// A store on which a swap takes this long: it happens for users who get a code, and no others.
#[derive(Clone)]
struct Slow(MemoryRegistrations, Duration);

impl RegistrationStore for Slow {
    type Error = Infallible;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, Infallible> {
        self.0.load(user).await
    }

    async fn replace(
        &self,
        user: &UserId,
        expected: u64,
        new: &Registration,
    ) -> Result<bool, Infallible> {
        tokio::time::sleep(self.1).await;
        self.0.replace(user, expected, new).await
    }
}

/// On which side of the checks a timeout is.
#[derive(Clone, Copy)]
enum Side {
    Outside,
    Within,
}

/// The endpoint's statuses for a user who gets a code and for one who is not there.
async fn statuses(work: Duration, step: Duration, limit: Duration, side: Side) -> [u16; 2] {
    let registrations: Registrations<Slow> = users::registrations(Slow(users::store(), work));
    let deliverer = Deliverer::new(registrations.clone(), MemoryMailer::new());
    let resend = ResendRegistration::builder(registrations, Courier::new(deliverer))
        .answer_grid(step)
        .build()
        .unwrap();
    let route = Router::new().route_service(PATH, resend);
    let router = match side {
        Side::Outside => route.layer(new_checks()).layer(after(limit)),
        Side::Within => route.layer(after(limit)).layer(new_checks()),
    };
    let pending = through_router(&router, honest().user("jane@example.co")).await;
    let unknown = through_router(&router, honest().user("nobody@example.co")).await;
    [pending, unknown].map(|answer| answer.status.as_u16())
}

#[tokio::test(start_paused = true)]
async fn a_timeout_between_the_step_and_the_work_tells_who_has_an_account() {
    let (work, between) = (STEP * 2, STEP * 3 / 2);
    for side in [Side::Outside, Side::Within] {
        assert_eq!(statuses(work, STEP, between, side).await, [503, 200]);
        // Longer than the work and the step in which it ends, it says nothing.
        assert_eq!(statuses(work, STEP, STEP * 4, side).await, [200, 200]);
        // Nor with a step above the work, be it longer or shorter than the step.
        assert_eq!(statuses(work, STEP * 4, between, side).await, [503, 503]);
        assert_eq!(statuses(work, STEP * 4, STEP * 5, side).await, [200, 200]);
    }
}

/// A registry that never answers.
struct Hangs;

impl AppRegistry for Hangs {
    type Error = Infallible;
    type Future = future::Pending<Result<Option<Arc<Application>>, Infallible>>;

    fn find(&self, _: &str) -> Self::Future {
        future::pending()
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_of_the_checks_bounds_them_and_one_within_does_not() {
    let hanging = || {
        VerifyRequest::builder()
            .apps(Hangs)
            .replay_guard(guard())
            .clock(ManualClock::at(start()))
            .build()
            .unwrap()
    };
    let limit = Duration::from_secs(30);
    let outside = route().layer(hanging()).layer(after(limit));
    let began = Instant::now();
    let answer = through_router(&outside, honest()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(began.elapsed(), limit);

    let within = route().layer(after(limit)).layer(hanging());
    let answer = timeout(limit * 100, through_router(&within, honest())).await;
    assert!(answer.is_err(), "nothing ends it");
}

/// Sends a signed call whose body never comes.
async fn without_body(router: Router) -> (Answer, Duration) {
    let (parts, _) = Call::server_app(start()).build().into_parts();
    let never = futures_util::stream::pending::<Result<&str, Infallible>>();
    let request = http::Request::from_parts(parts, Body::from_stream(never));
    let began = Instant::now();
    let answer = router.oneshot(request).await.unwrap();
    (Answer::of(answer).await, began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_timeout_longer_than_the_bodys_leaves_its_408_and_a_shorter_one_hides_it() {
    let around = |limit| route().layer(new_checks()).layer(after(limit));
    let (answer, took) = without_body(around(Duration::from_secs(30))).await;
    answer.assert_error(408, "BodyTimeout");
    assert_eq!(took, Duration::from_secs(10));

    let (answer, took) = without_body(around(Duration::from_secs(5))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((answer.body.len(), took), (0, Duration::from_secs(5)));
}
