//! Servers that a test starts for itself, to stop, fill or set as it likes.

use std::{net::TcpListener, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::services::missing;

const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);

/// A server without persistence on this machine; it ends with this value.
pub(crate) struct OwnServer {
    port: u16,
    options: Vec<String>,
    directory: TempDir,
    child: Child,
}

impl OwnServer {
    /// Starts a server with these options, or says that there is none to start.
    pub(crate) async fn start(options: &[&str]) -> Option<Self> {
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        match spawn(port, &options, &directory) {
            Ok(child) => {
                let own = Self {
                    port,
                    options,
                    directory,
                    child,
                };
                own.is_up().await;
                Some(own)
            }
            Err(why) => {
                missing("redis-server (on the PATH)", why);
                None
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it without a word to its clients.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Starts it anew at the same address.
    pub(crate) async fn restart(&mut self) {
        self.child = spawn(self.port, &self.options, &self.directory).unwrap();
        self.is_up().await;
    }

    async fn is_up(&self) {
        let since = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port))
            .await
            .is_err()
        {
            assert!(since.elapsed() < PATIENCE, "redis-server does not start");
            sleep(LOOK).await;
        }
    }
}

fn spawn(port: u16, options: &[String], directory: &TempDir) -> std::io::Result<Child> {
    Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args(options)
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

/// A port below those of a cluster's own talk, which is at 10,000 more.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// Three primaries, or a word about what is missing.
pub(crate) async fn cluster() -> Option<Vec<OwnServer>> {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
        nodes.push(OwnServer::start(&options).await?);
    }
    let created = Command::new("redis-cli")
        .args(["--cluster", "create", "--cluster-yes"])
        .args(
            nodes
                .iter()
                .map(|node| format!("127.0.0.1:{}", node.port())),
        )
        .output()
        .await;
    match created {
        Ok(created) => assert!(created.status.success(), "{created:?}"),
        Err(why) => {
            missing("redis-cli (on the PATH)", why);
            return None;
        }
    }
    for node in &nodes {
        is_formed(&node.url()).await;
    }
    Some(nodes)
}

async fn is_formed(url: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut raw = client.get_multiplexed_async_connection().await.unwrap();
    let since = Instant::now();
    loop {
        let info: String = redis::cmd("CLUSTER")
            .arg("INFO")
            .query_async(&mut raw)
            .await
            .unwrap();
        if info.contains("cluster_state:ok") {
            return;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "the cluster does not form: {info}"
        );
        sleep(LOOK).await;
    }
}
