//! The router of `examples/compose`, all of it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Extension, Router, body::Body, extract::ConnectInfo};
use http::{Method, Request, StatusCode};
use ring::digest::{SHA256, digest};
use serde_json::json;
use tower::ServiceExt;
use tower_registration::{
    backend::memory::{MemoryMailer, MemoryRegistrations, MemoryReplayGuard},
    delivery::{Courier, Deliverer},
    registration::PATH,
    secret::SecretString,
};
use tower_sessions::{MemoryStore, SessionStore};

use super::{checks, honest, strangers};
use crate::{
    layers::through_router,
    support::{Answer, CLIENT_APP, Call, JANE, Log, SECRET, guard, signing_key, start},
    users,
};

#[path = "../../../examples/compose/site/mod.rs"]
mod site;

const PASSWORD: &str = "the-administrators-password";

pub(super) struct Site {
    router: Router,
    sessions: MemoryStore,
    courier: Courier<MemoryRegistrations, MemoryMailer>,
    mailer: MemoryMailer,
}

impl Site {
    fn new() -> Self {
        Self::over(&guard())
    }

    pub(super) fn over(guard: &Arc<MemoryReplayGuard>) -> Self {
        let registrations = users::registrations(users::store());
        let mailer = MemoryMailer::new();
        let courier = Courier::new(Deliverer::new(registrations.clone(), mailer.clone()));
        let password = SecretString::from(PASSWORD);
        let sessions = MemoryStore::default();
        let router = site::router(
            checks(guard),
            registrations,
            courier.clone(),
            password,
            sessions.clone(),
        );
        Self {
            router: router.unwrap(),
            sessions,
            courier,
            mailer,
        }
    }

    fn from(&self, address: impl Into<IpAddr>) -> Router {
        let address: IpAddr = address.into();
        let peer = ConnectInfo(SocketAddr::from((address, 1)));
        self.router.clone().layer(Extension(peer))
    }

    pub(super) async fn send(&self, call: Call) -> Answer {
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
        self.courier.shutdown(Duration::from_mins(1)).await;
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

/// Asks what the checks prove to a handler.
pub(super) fn who() -> Call {
    honest().method(Method::GET).uri("/api/whoami").body("")
}

#[tokio::test(start_paused = true)]
async fn a_verified_application_is_served_and_a_handler_reads_what_was_proved() {
    let site = Site::new();
    let answer = site.send(Call::client_app(start())).await;
    answer.assert_success();
    assert_eq!(site.mails().await, 1);
    let answer = site.send(who()).await;
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
    assert_eq!(
        answer.headers["access-control-allow-headers"], "content-type,x-dfns-appid,x-dfns-nonce",
        "no secret and no signature: a browser keeps none"
    );
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
    assert_eq!(signed_in.headers["location"], "/admin");
    let cookie = cookie(&signed_in);
    let answer = site.send(by_cookie(resend, &cookie).body(JANE)).await;
    answer.assert_success();
    // Nor is a session worth anything to the API.
    let refused = site.send(by_cookie(PATH, &cookie)).await;
    refused.assert_error(401, "AppInvalid");
    assert_eq!(site.mails().await, 1);
}

#[tokio::test]
async fn the_sessions_store_gets_a_digest_of_the_password_and_not_the_password() {
    let site = Site::new();
    let signed_in = cookie(&site.login(PASSWORD).await);
    let (_, id) = signed_in.split_once('=').unwrap();
    let session = site.sessions.load(&id.parse().unwrap()).await.unwrap();
    let kept = serde_json::to_string(&session.unwrap().data).unwrap();
    let as_kept = |bytes: &[u8]| serde_json::to_string(bytes).unwrap();
    let digest = digest(&SHA256, PASSWORD.as_bytes());
    assert!(kept.contains(&as_kept(digest.as_ref())), "{kept}");
    assert!(!kept.contains(&as_kept(PASSWORD.as_bytes())), "{kept}");
    assert!(!kept.contains(PASSWORD), "{kept}");
}

#[tokio::test]
async fn every_answers_id_is_in_the_log_and_no_secret_is() {
    let log = Log::default();
    let _guard = log.capture();
    let site = Site::new();
    let shown = "eyJoLXgtZGZucy1hcHBzZWNyZXQiOiIifQ";
    let signed = Call::server_app(start())
        .with("authorization", "Bearer token-41c")
        .with("x-dfns-useraction", "action-5d1")
        .sign(&signing_key());
    let signature = signed.headers["x-dfns-apisignature"].clone();
    let signed = signed.with("x-dfns-explain-signature", shown);
    let signed_in = site.login(PASSWORD).await;
    let answers = [
        site.send(signed).await,
        site.send(strangers()).await,
        site.send(by_cookie(site::ADMIN_RESEND_PATH, &cookie(&signed_in)))
            .await,
        signed_in,
    ];
    let log = log.text();
    for (answer, status) in answers.iter().zip([200, 401, 200, 303]) {
        assert_eq!(answer.status, status);
        let id = answer.headers["x-request-id"].to_str().unwrap();
        let is_it = |line: &str| {
            line.contains(id)
                && line.contains(&format!("status={status}"))
                && line.contains(" INFO ")
        };
        assert!(log.lines().any(is_it), "{id} with {status} is not in {log}");
    }
    assert!(
        log.contains(r#""x-dfns-appid": "#),
        "headers are shown: {log}"
    );
    for secret in [
        SECRET,
        signature.to_str().unwrap(),
        "token-41c",
        "action-5d1",
        shown,
        PASSWORD,
    ] {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[tokio::test]
async fn who_is_not_signed_in_is_led_to_the_login() {
    for (path, status, leads_to) in [
        ("/", 303, "/admin"),
        ("/admin", 307, "/login?next=%2Fadmin"),
    ] {
        let page = by_cookie(path, "").method(Method::GET).body("");
        let answer = Site::new().send(page).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.headers["location"], leads_to);
    }
}

/// Sends what a stranger would until the address is told to wait, or gives up after this many.
async fn flood(router: &Router, most: usize) -> Answer {
    let stranger = || strangers().with("origin", site::ORIGIN);
    let mut answer = through_router(router, stranger()).await;
    for _ in 1..most {
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        answer.assert_error(401, "AppInvalid");
        answer = through_router(router, stranger()).await;
    }
    answer
}

#[tokio::test]
async fn an_address_that_floods_is_told_to_wait_and_another_is_served() {
    let site = Site::new();
    let answer = flood(&site.from([192, 0, 2, 1]), 1_000).await;
    answer.assert_error(429, "TooManyRequests");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(answer.headers.contains_key("x-request-id"));
    assert_eq!(answer.headers["access-control-allow-origin"], site::ORIGIN);
    let elsewhere = flood(&site.from([192, 0, 2, 2]), 1).await;
    elsewhere.assert_error(401, "AppInvalid");
}

/// An address of IPv6 in the documentation's network.
fn v6(network: u16, host: u16) -> IpAddr {
    IpAddr::from([0x2001, 0xdb8, 0, network, 0, 0, 0, host])
}

#[tokio::test]
async fn all_addresses_of_an_ipv6_network_have_one_rate_and_ipv4_ones_each_their_own() {
    let site = Site::new();
    let mut host = 0;
    let refused = loop {
        host += 1;
        let answer = flood(&site.from(v6(1, host)), 1).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS || host == 1_000 {
            break answer;
        }
    };
    refused.assert_error(429, "TooManyRequests");
    let elsewhere = flood(&site.from(v6(2, host)), 5).await;
    elsewhere.assert_error(401, "AppInvalid");

    // As a socket for both has them.
    let mapped = |last: u8| IpAddr::from(std::net::Ipv4Addr::new(192, 0, 2, last).to_ipv6_mapped());
    let answer = flood(&site.from(mapped(1)), 1_000).await;
    answer.assert_error(429, "TooManyRequests");
    // A few, since a request is given back each second.
    let same = flood(&site.from([192, 0, 2, 1]), 5).await;
    same.assert_error(429, "TooManyRequests");
    let another = flood(&site.from(mapped(2)), 5).await;
    another.assert_error(401, "AppInvalid");
}

#[tokio::test]
async fn without_an_address_to_count_by_nobody_is_served_and_nothing_is_told() {
    let answer = through_router(&Site::new().router, honest()).await;
    answer.assert_error(500, "InternalError");
}

#[tokio::test(start_paused = true)]
async fn addresses_that_have_all_of_their_rate_again_are_forgotten() {
    let log = Log::default();
    let _guard = log.capture();
    let site = Site::new();
    for last in [1, 2, 3] {
        flood(&site.from([192, 0, 2, last]), 1).await;
    }
    // Sweeps are by the paused clock, but rates by the machine's.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !log.text().contains("addresses=0") {
        assert!(Instant::now() < deadline, "{}", log.text());
        tokio::time::sleep(Duration::from_mins(1)).await;
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(site);
    let seen = log.text().matches("rates swept").count();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(log.text().matches("rates swept").count(), seen);
}
