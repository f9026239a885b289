//! One nonce sent to four processes at once.

use chrono::Utc;
use futures_util::future::join_all;
use serde_json::json;

use super::{
    catcher::Catcher,
    fleet::{Common, database, drop_database},
};
use crate::{redis::url_of_a_server, services::in_schema, support::nonce_at};

const ROUNDS: usize = 50;
/// How often a nonce is sent to each process.
const TIMES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_nonce_sent_to_four_processes_at_once_is_accepted_once_by_postgresql() {
    in_schema(|place| async move {
        let url = database(&place).await;
        let catcher = Catcher::obliging().await;
        accepts_each_nonce_once(Common::new(&url, &catcher, &json!({}))).await;
        drop_database(&place).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_nonce_sent_to_four_processes_at_once_is_accepted_once_by_redis() {
    let Some(redis) = url_of_a_server().await else {
        return;
    };
    in_schema(|place| async move {
        let url = database(&place).await;
        let catcher = Catcher::obliging().await;
        let common = Common::new(&url, &catcher, &json!({}));
        accepts_each_nonce_once(common.with_redis(&redis)).await;
        drop_database(&place).await;
    })
    .await;
}

async fn accepts_each_nonce_once(common: Common) {
    let servers = common.servers(4);
    for round in 0..ROUNDS {
        let nonce = nonce_at(Utc::now());
        let requests = (0..TIMES * servers.len()).map(|number| {
            let (peer, nonce) = (servers[number % servers.len()].peer(), &nonce);
            async move { peer.resend("jane@example.co", nonce).await.unwrap() }
        });
        let answers = join_all(requests).await;
        let accepted = answers.iter().filter(|answer| answer.status == 200);
        assert_eq!(accepted.count(), 1, "round {round}: {answers:?}");
        for answer in answers.iter().filter(|answer| answer.status != 200) {
            answer.assert_error(400, "NonceReplayed");
        }
    }
    for server in servers {
        assert!(server.stop().success());
    }
}
