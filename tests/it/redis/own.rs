//! Servers that a test starts for itself, to stop, fill or set as it likes.

use std::{env, ffi::OsString, net::TcpListener, process::Stdio, time::Duration};

use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::services::missing;

const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(20);
/// How long a server may take to find that its port is not free.
const SETTLES: Duration = Duration::from_millis(100);
const TRIES: usize = 5;

/// A server without persistence on this machine; it ends with this value.
pub(crate) struct OwnServer {
    port: u16,
    options: Vec<String>,
    directory: TempDir,
    child: Child,
}

impl OwnServer {
    /// Starts a server with these options, or says that there is none to start.
    ///
    /// A port that was free a moment ago may be somebody else's by now: then there is another try.
    pub(crate) async fn start(options: &[&str]) -> Option<Self> {
        let options: Vec<_> = options.iter().map(ToString::to_string).collect();
        for _ in 0..TRIES {
            let directory = tempfile::tempdir().unwrap();
            let port = free_port();
            let child = match spawn(port, &options, &directory) {
                Ok(child) => child,
                Err(why) => {
                    missing(&format!("{} (REDIS_SERVER)", program().display()), why);
                    return None;
                }
            };
            let mut own = Self {
                port,
                options: options.clone(),
                directory,
                child,
            };
            if own.is_up().await {
                return Some(own);
            }
        }
        panic!("{} does not start", program().display());
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
        assert!(self.is_up().await, "the server does not start anew");
    }

    /// Waits until it takes connections; `false` if it ended instead.
    async fn is_up(&mut self) -> bool {
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(since.elapsed() < PATIENCE, "the server takes its time");
            sleep(LOOK).await;
        }
        // Where it was somebody else who answered, this server is about to end.
        sleep(SETTLES).await;
        self.child.try_wait().unwrap().is_none()
    }
}

/// What is started: `redis-server`, or what `REDIS_SERVER` names (`valkey-server`).
fn program() -> OsString {
    env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into())
}

fn spawn(port: u16, options: &[String], directory: &TempDir) -> std::io::Result<Child> {
    Command::new(program())
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
        .args(options)
        .current_dir(directory.path())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

/// A port that nobody has at the moment, below those of a cluster's own talk, which is at 10,000 more.
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
