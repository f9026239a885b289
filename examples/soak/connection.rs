//! A connection that sends bytes as they are, whole or not, and reads what is answered.

use std::{fmt, io, net::SocketAddr, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take before it counts as none.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came back for a request.
pub(crate) enum Heard {
    Answer(Answer),
    /// Not a byte: no connection, one that was closed, or none in time.
    Nothing(&'static str),
    /// A part of an answer, then the end.
    Cut,
}

/// An answer, as far as it matters here.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// `error.name`, where there is one.
    pub(crate) name: String,
    /// Whether the server ends the connection after it.
    closes: bool,
}

impl Heard {
    pub(crate) fn is_success(&self) -> bool {
        matches!(self, Self::Answer(answer) if answer.status == 200)
    }

    /// A body that is refused before it has come in ends the connection, and hyper does not say so.
    fn leaves_open(&self) -> bool {
        matches!(self, Self::Answer(answer) if !answer.closes && answer.status != 413)
    }
}

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(answer) => write!(f, "{} {}", answer.status, answer.name),
            Self::Nothing(why) => write!(f, "no answer: {why}"),
            Self::Cut => f.write_str("a part of an answer"),
        }
    }
}

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::new(),
        })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Whether the server has sent a byte that was not read yet.
    pub(crate) fn has_heard(&mut self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Ok(1))
    }

    /// Whether the server has sent something, or ended the connection.
    pub(crate) async fn stirs(&self) {
        // An error is an end.
        let _ = self.stream.readable().await;
    }

    pub(crate) async fn ask(&mut self, bytes: &[u8]) -> Heard {
        // Who refuses a request early may close before all of it is written, but has answered.
        let _ = self.send(bytes).await;
        self.hear().await
    }

    pub(crate) async fn hear(&mut self) -> Heard {
        self.read.clear();
        let heard = timeout(PATIENCE, self.answer()).await;
        match heard {
            Ok(Some(answer)) => Heard::Answer(answer),
            _ if !self.read.is_empty() => Heard::Cut,
            Ok(None) => Heard::Nothing("closed"),
            Err(_) => Heard::Nothing("late"),
        }
    }

    /// `None` where the connection ends before the answer does.
    async fn answer(&mut self) -> Option<Answer> {
        let end = loop {
            let end = self.read.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8_lossy(&self.read[..end]).to_ascii_lowercase();
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name));
            line.map(|value| value.trim().to_owned())
        };
        let length: usize = header("content-length:")?.parse().ok()?;
        while self.read.len() < end + length {
            self.more().await?;
        }
        let body: Value = serde_json::from_slice(&self.read[end..]).unwrap_or_default();
        Some(Answer {
            status: head.get(9..12)?.parse().ok()?,
            name: body["error"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            closes: header("connection:").is_some_and(|value| value == "close"),
        })
    }

    async fn more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.read).await.ok()?;
        (read > 0).then_some(())
    }
}

/// A connection that is opened again where the last answer or none ended it.
pub(crate) struct Line {
    address: SocketAddr,
    open: Option<Connection>,
}

impl Line {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            open: None,
        }
    }

    pub(crate) async fn ask(&mut self, bytes: &[u8]) -> Heard {
        let mut connection = match self.open.take() {
            Some(connection) => connection,
            None => match Connection::open(self.address).await {
                Ok(connection) => connection,
                Err(_) => return Heard::Nothing("no connection"),
            },
        };
        let heard = connection.ask(bytes).await;
        self.open = heard.leaves_open().then_some(connection);
        heard
    }
}
