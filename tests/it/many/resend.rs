//! A thousand resends at once, through four processes.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use chrono::Utc;
use futures_util::future::join_all;
use serde_json::json;
use tower_registration::registration::PATH;

use super::{
    catcher::Catcher,
    fleet::{Common, database, drop_database},
};
use crate::{process::PATIENCE, services::in_schema, support::nonce_at};

const JANE: &str = "jane@example.co";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_thousand_resends_at_once_come_one_code_one_mail_and_a_thousand_equal_answers() {
    in_schema(|place| async move {
        let url = database(&place).await;
        a_thousand_resends(&url).await;
        drop_database(&place).await;
    })
    .await;
}

async fn a_thousand_resends(url: &str) {
    let catcher = Catcher::obliging().await;
    let common = Common::new(url, &catcher, &json!({}));
    let servers = common.servers(4);
    let requests = (0..1_000).map(|number| {
        let peer = servers[number % servers.len()].peer();
        async move { peer.resend(JANE, &nonce_at(Utc::now())).await.unwrap() }
    });
    let answers: HashSet<_> = join_all(requests)
        .await
        .into_iter()
        .map(|mut answer| {
            answer.headers.remove("date");
            format!("{:?} {:?} {:?}", answer.status, answer.headers, answer.body)
        })
        .collect();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.starts_with("200")));

    let since = Instant::now();
    while catcher.taken().is_empty() {
        assert!(since.elapsed() < PATIENCE, "no mail has come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A second mail, if there were one, would not wait for long.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mails = catcher.received();
    assert_eq!(mails.len(), 1, "{mails:?}");
    servers[3]
        .redeem(JANE, &mails[0].code)
        .await
        .assert_success();
    servers[0]
        .redeem(JANE, &mails[0].code)
        .await
        .assert_error(401, "RegistrationCodeInvalid");
    for server in servers {
        assert!(server.stop().success());
    }
}

/// A mail that one process owes is sent by another as soon as it is owed, not at its next look.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_does_not_deliver_wakes_a_dispatcher_that_does_not_serve() {
    in_schema(|place| async move {
        let url = database(&place).await;
        the_dispatcher_is_woken(&url).await;
        drop_database(&place).await;
    })
    .await;
}

async fn the_dispatcher_is_woken(url: &str) {
    const MAILS: usize = 8;
    let catcher = Catcher::obliging().await;
    let members = json!({"policy": {"cooldownSeconds": 0, "perHour": 100, "perDay": 100}});
    let common = Common::new(url, &catcher, &members);
    let server = common.server_alone();
    server.put(PATH, JANE).await.assert_success();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(catcher.received().len(), 0, "nobody delivers yet");

    let dispatcher = common.dispatcher();
    let started = Instant::now();
    while catcher.taken().is_empty() {
        assert!(started.elapsed() < PATIENCE, "no mail has come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut waited = Vec::new();
    for _ in 0..MAILS {
        // Until the mail before is settled, there is no new one.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (before, since) = (catcher.taken().len(), Instant::now());
        server.put(PATH, JANE).await.assert_success();
        while catcher.taken().len() == before && since.elapsed() < Duration::from_secs(2) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        waited.push(since.elapsed());
    }
    waited.sort();
    // By looking once a second alone, it would be near a second.
    assert!(waited[MAILS / 2] < Duration::from_millis(500), "{waited:?}");
    assert!(catcher.connections() <= 2, "{}", catcher.connections());
    assert!(dispatcher.stop().success());
    assert!(server.stop().success());
}
