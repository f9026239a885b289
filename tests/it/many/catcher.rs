//! An SMTP server in the test's process that takes mails, notes them, and fails as it is told.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
    time::timeout,
};

use crate::process::{PATIENCE, code};

/// What happens to a mail instead of being taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not now.
    Busy,
    /// Never.
    Refused,
    /// The content is read, and no answer comes for so long.
    Stall(Duration),
    /// The connection ends within the content.
    CutWithin,
    /// The connection ends after the content, before the answer.
    CutBeforeAnswer,
}

/// A moment of a hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// A sender has begun, and nothing of the content has been read.
    Before,
    /// The content has been read, and not been answered to.
    During,
    /// It has been answered to.
    After,
}

/// What became of a mail whose content has come in whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// `250` was written.
    Taken,
    /// `4xx` was written.
    Busy,
    /// `5xx` was written.
    Refused,
    /// Nobody knows: the connection ended, or there was no answer in time.
    Unknown,
}

/// A mail whose content has come in whole.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) to: String,
    pub(super) message_id: String,
    pub(super) code: String,
    pub(super) at: Instant,
    pub(super) end: End,
}

/// Looks at each mail at the moment of its hand-over, before it is answered to.
pub(super) type Look =
    Arc<dyn Fn(Received) -> futures_util::future::BoxFuture<'static, ()> + Send + Sync>;

/// A server that is told how to fail. It ends with the test's runtime.
#[derive(Clone)]
pub(super) struct Catcher(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    look: Look,
    state: Mutex<State>,
    trapped: Notify,
    sprung: Notify,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    connections: usize,
    faults: VecDeque<Fault>,
    trap: Option<Moment>,
    listening: Option<JoinHandle<()>>,
}

impl Catcher {
    pub(super) async fn start(look: Look) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let catcher = Self(Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            look,
            state: Mutex::default(),
            trapped: Notify::new(),
            sprung: Notify::new(),
        }));
        catcher.listen(listener);
        catcher
    }

    /// One that takes every mail.
    pub(super) async fn obliging() -> Self {
        Self::start(Arc::new(|_| Box::pin(async {}))).await
    }

    pub(super) fn url(&self) -> String {
        format!("smtp://{}", self.0.address)
    }

    /// All mails whose content has come in whole, in that order.
    pub(super) fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    pub(super) fn taken(&self) -> Vec<Received> {
        let received = self.received().into_iter();
        received.filter(|mail| mail.end == End::Taken).collect()
    }

    pub(super) fn connections(&self) -> usize {
        self.state().connections
    }

    /// The next mails fare so, one each.
    pub(super) fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state().faults.extend(faults);
    }

    pub(super) fn stop_failing(&self) {
        self.state().faults.clear();
    }

    /// Waits until a mail has come to this moment, holds its sender there, and lets it go once
    /// `meanwhile` is over. `false` if none comes.
    pub(super) async fn at(&self, moment: Moment, meanwhile: impl Future<Output = ()>) -> bool {
        self.state().trap = Some(moment);
        let came = timeout(PATIENCE, self.0.trapped.notified()).await;
        self.state().trap = None;
        if came.is_ok() {
            meanwhile.await;
            self.0.sprung.notify_one();
        }
        came.is_ok()
    }

    /// Nobody listens for so long.
    pub(super) async fn be_down(&self, time: Duration) {
        if let Some(listening) = self.state().listening.take() {
            listening.abort();
        }
        tokio::time::sleep(time).await;
        let listener = loop {
            // The system may still be closing the old one.
            if let Ok(listener) = TcpListener::bind(self.0.address).await {
                break listener;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        self.listen(listener);
    }

    fn listen(&self, listener: TcpListener) {
        let catcher = self.clone();
        let listening = tokio::spawn(async move {
            // Who talks ends with who listens.
            let mut talks = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                catcher.state().connections += 1;
                let catcher = catcher.clone();
                talks.spawn(async move {
                    // An error is a client that has left.
                    let _ = catcher.talk(stream).await;
                });
            }
        });
        self.state().listening = Some(listening);
    }

    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 ready\r\n").await?;
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 {
            let answer = match line.get(..4).unwrap_or_default() {
                "QUIT" => return stream.write_all(b"221 bye\r\n").await,
                "DATA" => {
                    if !self.take(&mut stream).await? {
                        return Ok(());
                    }
                    ""
                }
                _ => "250 ok\r\n",
            };
            stream.write_all(answer.as_bytes()).await?;
            line.clear();
        }
        Ok(())
    }

    /// Takes a mail's content, or fails to. `false` if the connection is to end.
    async fn take(&self, stream: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
        self.hold(Moment::Before).await;
        stream.write_all(b"354 go on\r\n").await?;
        let fault = self.state().faults.pop_front();
        let mut content = String::new();
        while !content.ends_with("\r\n.\r\n") {
            if stream.read_line(&mut content).await? == 0 || fault == Some(Fault::CutWithin) {
                return Ok(false);
            }
        }
        let number = self.note(&content);
        let mail = self.state().received[number].clone();
        (self.0.look)(mail).await;
        self.hold(Moment::During).await;
        let (answer, end) = match fault {
            None => ("250 taken\r\n", End::Taken),
            Some(Fault::Busy) => ("450 busy\r\n", End::Busy),
            Some(Fault::Refused) => ("550 refused\r\n", End::Refused),
            Some(Fault::Stall(time)) => {
                tokio::time::sleep(time).await;
                return Ok(false);
            }
            Some(Fault::CutWithin | Fault::CutBeforeAnswer) => return Ok(false),
        };
        // Known before it is written: whoever reads it may be looked at at once.
        self.state().received[number].end = end;
        if let Err(error) = stream.write_all(answer.as_bytes()).await {
            self.state().received[number].end = End::Unknown;
            return Err(error);
        }
        if end == End::Taken {
            self.hold(Moment::After).await;
        }
        Ok(true)
    }

    fn note(&self, content: &str) -> usize {
        let header = |name: &str| {
            let line = content.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let mut state = self.state();
        state.received.push(Received {
            to: header("To:"),
            message_id: header("Message-ID:"),
            code: code(content),
            at: Instant::now(),
            end: End::Unknown,
        });
        state.received.len() - 1
    }

    /// Waits where the trap is set for this moment.
    async fn hold(&self, moment: Moment) {
        let trapped = self.state().trap.take_if(|set| *set == moment).is_some();
        if trapped {
            self.0.trapped.notify_one();
            // Whoever set the trap may have given up just now.
            let _ = timeout(PATIENCE, self.0.sprung.notified()).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}
