//! The router of `examples/compose`, all of it.

use std::net::SocketAddr;

use axum::{Extension, Router, body::Body, extract::ConnectInfo};
use http::{Method, Request, StatusCode};
use serde_json::json;
use tower::ServiceExt;
use tower_registration::{
    backend::memory::{MemoryMailer, MemoryRegistrations},
    delivery::{Courier, Deliverer},
    registration::PATH,
    secret::SecretString,
};

use super::new_checks;
use crate::{
    layers::through_router,
    support::{Answer, CLIENT_APP, Call, JANE, start},
    users,
};

#[path = "../../../examples/compose/site/mod.rs"]
mod site;

const PASSWORD: &str = "the-administrators-password";

struct Site {
    router: Router,
    courier: Courier<MemoryRegistrations, MemoryMailer>,
    mailer: MemoryMailer,
}

impl Site {
    fn new() -> Self {
        let registrations = users::registrations(users::store());
        let mailer = MemoryMailer::new();
        let courier = Courier::new(Deliverer::new(registrations.clone(), mailer.clone()));
        let password = SecretString::from(PASSWORD);
        let router = site::router(new_checks(), registrations, courier.clone(), password);
        Self {
            router: router.unwrap(),
            courier,
            mailer,
        }
    }

    fn from(&self, address: [u8; 4]) -> Router {
        let peer = ConnectInfo(SocketAddr::from((address, 1)));
        self.router.clone().layer(Extension(peer))
    }

    async fn send(&self, call: Call) -> Answer {
        through_router(&self.from([192, 0, 2, 1]), call).await
    }

    /// Submits the login's form.
    async fn login(&self, password: &str) -> Answer {
        let request = Request::post("/login")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("name=admin&password={password}")));
        let router = self.from([192, 0, 2, 1]);
        Answer::of(router.oneshot(request.unwrap()).await.unwrap()).await
    }

    async fn mails(&self) -> usize {
        self.courier
            .shutdown(std::time::Duration::from_mins(1))
            .await;
        self.mailer.sent().len()
    }
}

/// The name and value of the cookie that an answer sets.
fn cookie(answer: &Answer) -> String {
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

/// What a signed-in browser sends: a cookie, and no credentials of an application.
fn by_cookie(path: &str, cookie: &str) -> Call {
    Call::client_app(start())
        .without("x-dfns-appid")
        .without("x-dfns-nonce")
        .uri(path)
        .with("cookie", cookie)
}

#[tokio::test(start_paused = true)]
async fn a_verified_application_is_served_and_a_handler_reads_what_was_proved() {
    let site = Site::new();
    let answer = site.send(Call::client_app(start())).await;
    answer.assert_success();
    assert_eq!(site.mails().await, 1);
    let who = Call::client_app(start())
        .method(Method::GET)
        .uri("/api/whoami")
        .body("");
    let answer = site.send(who).await;
    answer.assert_success();
    assert_eq!(answer.json(), json!({"app": CLIENT_APP, "signed": false}));
}

#[tokio::test]
async fn a_browser_on_the_right_page_may_ask_and_may_read_a_rejection() {
    let site = Site::new();
    let preflight = Call::client_app(start())
        .without("x-dfns-appid")
        .without("x-dfns-nonce")
        .method(Method::OPTIONS)
        .with("origin", site::ORIGIN)
        .with("access-control-request-method", "PUT")
        .with("access-control-request-headers", "x-dfns-appid");
    let answer = site.send(preflight.clone()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.headers["access-control-allow-origin"], site::ORIGIN);
    let allowed = answer.headers["access-control-allow-headers"].to_str();
    assert!(allowed.unwrap().contains("x-dfns-appid"));
    assert!(
        !answer
            .headers
            .contains_key("access-control-allow-credentials")
    );
    let elsewhere = preflight.with("origin", "https://elsewhere.example.com");
    let answer = site.send(elsewhere).await;
    assert!(!answer.headers.contains_key("access-control-allow-origin"));

    let refused = Call::client_app(start())
        .with("x-dfns-appid", "unknown")
        .with("origin", site::ORIGIN);
    let answer = site.send(refused).await;
    answer.assert_error(401, "AppInvalid");
    assert_eq!(answer.headers["access-control-allow-origin"], site::ORIGIN);
    assert_eq!(answer.headers["x-request-id"].len(), 36);
}

#[tokio::test(start_paused = true)]
async fn an_administrator_who_signed_in_needs_no_application_and_nobody_else_gets_in() {
    let site = Site::new();
    let resend = site::ADMIN_RESEND_PATH;
    let wrong = site.login("another-password").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(!wrong.headers.contains_key("set-cookie"));
    for call in [
        by_cookie(resend, "id=AAAAAAAAAAAAAAAAAAAAAA"),
        // An application's credentials are none here.
        Call::client_app(start()).uri(resend),
    ] {
        let refused = site.send(call).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(site.mailer.calls(), 0);

    let signed_in = site.login(PASSWORD).await;
    assert_eq!(signed_in.status, StatusCode::SEE_OTHER);
    let cookie = cookie(&signed_in);
    let answer = site.send(by_cookie(resend, &cookie).body(JANE)).await;
    answer.assert_success();
    // Nor is a session worth anything to the API.
    let refused = site.send(by_cookie(PATH, &cookie)).await;
    refused.assert_error(401, "AppInvalid");
    assert_eq!(site.mails().await, 1);
}

#[tokio::test]
async fn who_is_not_signed_in_is_led_to_the_login() {
    let page = by_cookie("/admin", "").method(Method::GET).body("");
    let answer = Site::new().send(page).await;
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers["location"], "/login?next=%2Fadmin");
}

#[tokio::test]
async fn an_address_that_floods_is_told_to_wait_and_another_is_served() {
    let site = Site::new();
    let stranger = || {
        Call::client_app(start())
            .with("x-dfns-appid", "unknown")
            .with("origin", site::ORIGIN)
    };
    let mut answer = site.send(stranger()).await;
    for _ in 0..1_000 {
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        answer.assert_error(401, "AppInvalid");
        answer = site.send(stranger()).await;
    }
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.error_name(), "TooManyRequests");
    assert!(answer.headers.contains_key("retry-after"));
    assert!(answer.headers.contains_key("x-request-id"));
    assert_eq!(answer.headers["access-control-allow-origin"], site::ORIGIN);
    let elsewhere = through_router(&site.from([192, 0, 2, 2]), stranger()).await;
    elsewhere.assert_error(401, "AppInvalid");
}
