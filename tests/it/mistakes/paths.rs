//! Paths that routers, proxies and file systems read as others.

use axum::{Router, routing::put};
use tower_registration::{clock::ManualClock, registration::PATH};

use super::{Api, Wire, statuses};
use crate::{
    server::{listen, raw},
    support::{start, verify},
};

/// Each is some normalization's twin of another.
const TARGETS: [&str; 24] = [
    "/auth/code",
    "/auth/code/",
    "/auth//code",
    "//auth/code",
    "/auth/./code",
    "/auth/x/../code",
    "/auth/x/%2e%2e/code",
    "/auth/x/%2E%2E/code",
    "/auth/..;/code",
    "/auth/code;v=1",
    "/auth%2Fcode",
    "/auth%2fcode",
    "/auth%252Fcode",
    "/auth\\code",
    "/auth%5Ccode",
    "/auth/code%00",
    "/auth/c%6Fde",
    "/AUTH/code",
    "/auth/code?",
    "/auth/code?a=1&b=2",
    "/auth/code?b=2&a=1",
    "/auth/code?a=1%26b=2",
    "/auth/code?a=1;b=2",
    "//evil.example.com/auth/code",
];

fn signed_for(target: &str) -> Wire {
    Wire::signed_as(|call| call.uri(target))
}

/// Signatures over a normalized path: what is signed and what is served are then two things.
#[tokio::test]
async fn every_target_is_signed_and_served_as_it_was_sent() {
    let api = Api::named().await;
    for target in TARGETS {
        let wire = signed_for(target).target(target);
        let answer = api.say(&wire.bytes()).await;
        assert_eq!(statuses(&answer), [200], "{target}: {answer}");
        assert_eq!(api.seen(), [target]);
    }
}

#[tokio::test]
async fn no_target_verifies_as_its_normalized_twin() {
    let api = Api::named().await;
    for signed in TARGETS {
        let wire = signed_for(signed);
        for sent in TARGETS.into_iter().filter(|sent| *sent != signed) {
            let what = format!("{signed} sent as {sent}");
            api.refuses(&what, &wire.clone().target(sent).bytes(), 401)
                .await;
        }
    }
}

/// What follows `#` is for the client alone. hyper takes such a target, and the HTTP types drop it:
/// nobody behind sees it.
#[tokio::test]
async fn a_fragment_is_seen_by_nobody() {
    let api = Api::named().await;
    let wire = signed_for("/auth/code").target("/auth/code#/../admin");
    let answer = api.say(&wire.bytes()).await;
    assert_eq!(statuses(&answer), [200], "{answer}");
    assert_eq!(api.seen(), ["/auth/code"]);
}

/// A router that decodes or merges before it looks reaches a handler by a path that was not signed.
#[tokio::test]
async fn a_router_behind_the_checks_reads_the_path_that_was_signed() {
    let router = Router::new()
        .route(PATH, put(|body: String| async { body }))
        .layer(verify(&ManualClock::at(start())));
    let address = listen(tower::util::MapErr::new(router, |never| never)).await;
    for (target, status) in [
        (PATH.to_owned(), 200),
        (format!("{PATH}?a=1"), 200),
        (format!("/{PATH}"), 404),
        (PATH.replacen("/manage", "//manage", 1), 404),
        (PATH.replacen("/manage", "/./manage", 1), 404),
        (PATH.replacen("/manage", "/x/../manage", 1), 404),
        (PATH.replacen("/manage", "%2Fmanage", 1), 404),
        (format!("{PATH};v=1"), 404),
        (format!("{PATH}%00"), 404),
        (PATH.to_uppercase(), 404),
    ] {
        let answer = raw(address, &signed_for(&target).target(&target).bytes()).await;
        assert_eq!(statuses(&answer), [status], "{target}: {answer}");
    }
}
