//! What is wrong with a configuration that names real servers.

use serde_json::json;

use super::{
    catcher::Catcher,
    fleet::{Common, database, drop_database},
};
use crate::services::in_schema;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_server_refuses_is_told_in_one_line_that_says_what_to_change() {
    in_schema(|place| async move {
        database(&place).await;
        let role = format!("poor_{}", place.schema);
        place
            .run(&format!("CREATE ROLE {role} LOGIN PASSWORD 's3cr3t'"))
            .await;
        let (server, _) = place.url.rsplit_once('/').unwrap();
        let (_, host) = server.rsplit_once('@').unwrap();
        let name = &place.schema;
        let rows = [
            (format!("{server}/nowhere"), "create it"),
            (
                format!("postgres://nobody:s3cr3t@{host}/{name}"),
                "user `nobody`",
            ),
            (
                format!("postgres://{role}:s3cr3t@{host}/{name}"),
                "AUTHORIZATION",
            ),
        ];
        for (wrong, says) in rows {
            refuses_to_start(&wrong, says).await;
        }
        drop_database(&place).await;
        place.run(&format!("DROP ROLE {role}")).await;
    })
    .await;
}

async fn refuses_to_start(url: &str, says: &str) {
    let catcher = Catcher::obliging().await;
    let output = Common::new(url, &catcher, &json!({}))
        .command()
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("DATABASE_URL") && error.contains(says),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(!error.contains("s3cr3t"), "{error}");
}
