//! A PostgreSQL server of a test's own, on a port and a folder of its own, to be killed.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::{process::PATIENCE, services::missing};

/// Ends with this value.
pub(super) struct OwnPostgres {
    programs: PathBuf,
    folder: TempDir,
    port: u16,
}

impl OwnPostgres {
    /// Starts a server, or says that there is none to start.
    pub(super) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            missing(
                "PostgreSQL's server",
                "`initdb` is neither on the PATH nor where distributions put it",
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let own = Self {
            programs,
            folder,
            port,
        };
        own.prepare();
        own.control(&["start", "-w"]);
        own.answers().await;
        Some(own)
    }

    pub(super) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it at once, as a crash does, and starts it again after `pause`.
    pub(super) async fn crash(&self, pause: Duration) {
        self.control(&["stop", "-m", "immediate"]);
        sleep(pause).await;
        self.control(&["start", "-w"]);
        self.answers().await;
    }

    fn prepare(&self) {
        let data = self.data();
        if is_root() {
            // It refuses to run as root.
            let given = Command::new("chown")
                .arg("postgres")
                .arg(self.folder.path())
                .status();
            assert!(given.unwrap().success());
        }
        let made = self.run(
            "initdb",
            &["-D", &data, "-U", "postgres", "-A", "trust", "-N"],
        );
        assert!(made.status.success(), "{made:?}");
        let settings = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\n",
            self.port
        );
        let file = Path::new(&data).join("postgresql.conf");
        let old = fs::read_to_string(&file).unwrap();
        fs::write(&file, old + &settings).unwrap();
    }

    fn control(&self, arguments: &[&str]) {
        let (data, log) = (self.data(), format!("{}.log", self.data()));
        let told = self.run("pg_ctl", &[&["-D", &data, "-l", &log], arguments].concat());
        assert!(told.status.success(), "pg_ctl {arguments:?}: {told:?}");
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            // A server keeps what it is given: no pipe, which would never end.
            .stdout(Stdio::null())
            .output()
            .unwrap()
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    async fn answers(&self) {
        let since = Instant::now();
        while let Err(why) = PgConnection::connect(&self.url()).await {
            assert!(since.elapsed() < PATIENCE, "{why}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        let data = self.data();
        self.run("pg_ctl", &["-D", &data, "stop", "-m", "immediate"]);
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// Where `initdb` and `pg_ctl` are.
fn programs() -> Option<PathBuf> {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    for versions in [
        "/usr/lib/postgresql",
        "/usr/local/pgsql",
        "/opt/homebrew/opt",
    ] {
        let entries = fs::read_dir(versions).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path().join("bin")));
    }
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").exists())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
