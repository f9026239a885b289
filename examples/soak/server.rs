//! The example server as a process, and what the system says of it.

use std::{
    env, fs, io,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{Instant, timeout},
};

use crate::{Failure, place::Place};

/// The server gives its connections half a minute to end.
const STOPS_WITHIN: Duration = Duration::from_secs(45);
const STARTS_WITHIN: Duration = Duration::from_mins(1);
/// Nothing that happens in a run warrants a warning, but a busy machine one of sqlx about a slow database.
const LOGGED: &str = "warn,sqlx=error";
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// `USER_HZ`, which Linux shows times in, on every processor of today.
const TICKS_A_SECOND: f64 = 100.0;

/// Killed when dropped.
pub(crate) struct Server {
    child: Child,
    process: u32,
    pub(crate) address: SocketAddr,
}

/// What a process holds at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) resident_kib: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: u64,
    /// Seconds of the processor's time that it has had.
    pub(crate) cpu: f64,
}

impl Server {
    /// Starts it on a port that is free.
    pub(crate) async fn start(place: &Place) -> Result<Self, Failure> {
        let program = env::current_exe()?.with_file_name("server");
        let mut command = command(&program, place)?;
        let program = program.display();
        let mut child = command.spawn().map_err(|error| {
            format!("{program}: {error}: `cargo build --release --example server` makes it")
        })?;
        let process = child.id().ok_or("the server has ended")?;
        let stdout = child.stdout.take().ok_or("the server prints nothing")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = timeout(STARTS_WITHIN, lines.next_line()).await??;
        let address = line
            .as_deref()
            .and_then(|line| line.split_once("http://")?.1.split_once(','))
            .ok_or_else(|| fs::read_to_string(place.log()).unwrap_or_default())?;
        let address = address.0.parse()?;
        // What else it prints is read, so that it never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            child,
            process,
            address,
        })
    }

    pub(crate) fn sample(&self) -> io::Result<Sample> {
        let folder = format!("/proc/{}", self.process);
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let word = line.and_then(|rest| rest.split_whitespace().next());
            word.and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        let stat = fs::read_to_string(format!("{folder}/stat"))?;
        // The name, in parentheses, may hold spaces; what follows begins with the third field.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        Ok(Sample {
            resident_kib: number("VmRSS:"),
            descriptors: fs::read_dir(format!("{folder}/fd"))?.count(),
            threads: number("Threads:"),
            cpu: ticks
                .filter_map(|ticks| ticks.parse::<f64>().ok())
                .sum::<f64>()
                / TICKS_A_SECOND,
        })
    }

    /// Tells it to stop, as a service manager does.
    pub(crate) fn terminate(&self) -> Result<(), Failure> {
        let told = std::process::Command::new("kill")
            .args(["-TERM", &self.process.to_string()])
            .status()?;
        told.success()
            .then_some(())
            .ok_or_else(|| "the server has ended by itself".into())
    }

    /// Waits for its end, and says how long that took.
    pub(crate) async fn ends(mut self) -> Result<(ExitStatus, Duration), Failure> {
        let begun = Instant::now();
        let ended = timeout(STOPS_WITHIN, self.child.wait()).await;
        let status = ended.map_err(|_| "the server does not stop")??;
        Ok((status, begun.elapsed()))
    }
}

fn command(program: &Path, place: &Place) -> io::Result<Command> {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(place.log())?;
    let mut command = Command::new(program);
    command
        .current_dir(place.path())
        .env("LISTEN", "127.0.0.1:0")
        .env("CONFIG", "server.json")
        .env("MAILBOX", place.mailbox())
        .env("SECRET_KEY", KEY)
        .env("RUST_LOG", LOGGED)
        .env_remove("SMTP_URL")
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true);
    if env::var_os("DATABASE_URL").is_none() {
        command.env("DATABASE_URL", "sqlite://registration.db");
    }
    Ok(command)
}
