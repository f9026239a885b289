//! The checks are made in the order of the page.

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use chrono::TimeDelta;
use http::Method;
use tower::Layer;
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppSecretHash, Application, Permissions, StaticApps},
    backend::memory::MemoryMailer,
    clock::ManualClock,
    delivery::{Courier, Deliverer},
    nonce::DEFAULT_MAX_AGE,
    registration::ResendRegistration,
    signature::DEFAULT_MAX_BODY_BYTES,
    user_action::{UserAction, UserActionOutcome, UserActionVerifier},
};

use super::CALLER;
use crate::{
    support::{
        AUTHORITY, Call, SECRET, SERVER_APP, guard, nonce_at, nonce_of, other_signing_key, send,
        start, verifying_key,
    },
    users,
};

/// As powerful as [`SERVER_APP`] is not.
const POWERLESS: &str = "ap-powerless";
const USED: &str = "a nonce that was used before";

/// One way to fail the check of this title, all others being passed.
type Failure = (&'static str, fn(Call) -> Call, u16, &'static str);

const FAILURES: [Failure; 12] = [
    (
        "Bounds.",
        |call| call.and("x-dfns-useraction", "another"),
        403,
        "UserActionInvalid",
    ),
    (
        "Application id, then secret.",
        |call| call.with("x-dfns-appid", "unknown"),
        401,
        "AppInvalid",
    ),
    (
        "Application id, then secret.",
        |call| call.with("x-dfns-appsecret", "wrong"),
        401,
        "AppSecretInvalid",
    ),
    (
        "Nonce, read and fresh.",
        |call| {
            let age = TimeDelta::from_std(DEFAULT_MAX_AGE).unwrap() + TimeDelta::seconds(1);
            call.with("x-dfns-nonce", &nonce_at(start() - age))
        },
        400,
        "NonceInvalid",
    ),
    (
        "Body and signature,",
        |call| call.body(vec![b'a'; DEFAULT_MAX_BODY_BYTES + 1]),
        413,
        "BodyTooLarge",
    ),
    (
        "Body and signature,",
        |call| call.sign(&other_signing_key()),
        401,
        "ApiSignatureInvalid",
    ),
    (
        "Nonce, claimed.",
        |call| call.with("x-dfns-nonce", &nonce_of(USED, start())),
        400,
        "NonceReplayed",
    ),
    (
        "User action,",
        |call| call.with("x-dfns-useraction", "not confirmed"),
        403,
        "UserActionInvalid",
    ),
    (
        "Method, permission, content type, body,",
        |call| call.method(Method::POST),
        405,
        "MethodNotAllowed",
    ),
    (
        "Method, permission, content type, body,",
        |call| call.with("x-dfns-appid", POWERLESS),
        403,
        "PermissionDenied",
    ),
    (
        "Method, permission, content type, body,",
        |call| call.with("content-type", "text/plain"),
        415,
        "ContentTypeInvalid",
    ),
    (
        "Method, permission, content type, body,",
        |call| call.body("{}"),
        400,
        "BodyInvalid",
    ),
];

fn honest() -> Call {
    Call::server_app(start()).with("x-dfns-useraction", "confirmed")
}

struct Confirmed;

impl UserActionVerifier for Confirmed {
    type Error = Infallible;
    type Future = Ready<Result<UserActionOutcome, Infallible>>;

    fn use_up(&self, action: UserAction<'_>) -> Self::Future {
        ready(Ok(match action.token {
            "confirmed" => UserActionOutcome::UsedUp,
            _ => UserActionOutcome::Invalid,
        }))
    }
}

fn apps() -> StaticApps {
    let app = |id: &str| {
        let secret = AppSecretHash::of(SECRET).unwrap();
        Application::server_side(AppId::new(id).unwrap(), vec![secret], vec![verifying_key()])
    };
    let powers = [Permissions::USERS_CREATE, Permissions::TYPES_END_USER];
    StaticApps::new([app(SERVER_APP).with_permissions(powers), app(POWERLESS)]).unwrap()
}

/// The numbered steps of the page.
fn titles() -> Vec<&'static str> {
    (1..)
        .map_while(|number| {
            let (_, from) = CALLER.split_once(&format!("\n{number}. **"))?;
            from.split("**").next()
        })
        .collect()
}

#[test]
fn every_step_of_the_page_has_a_failure_here() {
    let mut steps: Vec<_> = FAILURES.iter().map(|(title, ..)| *title).collect();
    steps.dedup();
    assert_eq!(titles(), steps);
}

#[tokio::test(start_paused = true)]
async fn the_first_check_that_fails_decides() {
    let registrations = users::registrations(users::store());
    let deliverer = Deliverer::new(registrations.clone(), MemoryMailer::new());
    let resend = ResendRegistration::builder(registrations, Courier::new(deliverer));
    let endpoint = VerifyRequest::builder()
        .apps(apps())
        .replay_guard(guard())
        .authority(AUTHORITY)
        .user_action(Confirmed)
        .clock(ManualClock::at(start()))
        .build()
        .unwrap()
        .layer(resend.build().unwrap());
    send(&endpoint, honest().build()).await.assert_success();
    // The nonce is used, by either application.
    for app in [SERVER_APP, POWERLESS] {
        let call = honest().with("x-dfns-nonce", &nonce_of(USED, start()));
        send(&endpoint, call.with("x-dfns-appid", app).build()).await;
    }
    for (first, (title, _, status, name)) in FAILURES.iter().enumerate() {
        // The later first, so that where two spoil one thing, it is as the earlier leaves it.
        let failures = FAILURES[first..].iter().rev();
        let call = failures.fold(honest(), |call, (_, fail, ..)| fail(call));
        let answer = send(&endpoint, call.build()).await;
        assert_eq!(
            (answer.status.as_u16(), &*answer.error_name()),
            (*status, *name),
            "{title}"
        );
    }
}
