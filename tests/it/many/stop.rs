//! SIGTERM in the middle of work.

use std::time::Duration;

use chrono::Utc;
use futures_util::future::join_all;
use serde_json::json;

use super::{
    catcher::{Catcher, Moment},
    fleet::{Common, database, drop_database, username, users},
};
use crate::{process::PATIENCE, services::in_schema, support::nonce_at};

const USERS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_stops_answers_what_it_accepted_and_keeps_what_is_owed() {
    in_schema(|place| async move {
        let url = database(&place).await;
        stops_cleanly(&url).await;
        drop_database(&place).await;
    })
    .await;
}

async fn stops_cleanly(url: &str) {
    let catcher = Catcher::obliging().await;
    // All answers leave a second after their requests came.
    let members = json!({"users": users(USERS), "policy": {"answerGridMillis": 1_000}});
    let common = Common::new(url, &catcher, &members);
    let server = common.server();
    let (peer, within) = (server.peer(), server.peer());
    let requests = (0..USERS).map(|number| {
        let peer = peer.clone();
        async move { peer.resend(&username(number), &nonce_at(Utc::now())).await }
    });
    // The signal comes in the middle of a hand-over, with requests waiting for their answers.
    let stop = catcher.at(Moment::During, async {
        server.terminate();
        let since = std::time::Instant::now();
        let late = async || {
            within
                .resend("jane@example.co", &nonce_at(Utc::now()))
                .await
        };
        while late().await.is_ok() {
            assert!(since.elapsed() < PATIENCE, "new connections are accepted");
        }
    });
    let (answers, trapped) = tokio::join!(join_all(requests), stop);
    assert!(trapped);
    for answer in answers {
        answer.expect("an answer").assert_success();
    }
    assert!(server.stop().success());

    // Whoever comes next sends the rest.
    let at_the_stop = catcher.taken().len();
    let dispatcher = common.dispatcher();
    let since = std::time::Instant::now();
    while catcher.taken().len() < USERS {
        assert!(since.elapsed() < PATIENCE, "{at_the_stop} + …");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(dispatcher.stop().success());
    let mut to: Vec<_> = catcher.received().into_iter().map(|mail| mail.to).collect();
    to.sort();
    to.dedup();
    assert_eq!((to.len(), catcher.received().len()), (USERS, USERS));
}
