//! A caller with a stopwatch: threads that block on sockets, so that no runtime's timers or queues
//! are in what they measure.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{SecondsFormat, Utc};
use tower_registration::registration::PATH;

use super::{
    server::APP,
    states::{ORG, State, Target},
};

/// Ends of bodies.
const SUCCESS: &[u8] = br#"{"message":"success"}"#;
const REFUSED: &[u8] = b"}}";
const JSON: &str = "application/json";

/// One call that was answered.
pub(crate) struct Call {
    pub(crate) state: State,
    /// Whom the call before it on the same connection was about.
    pub(crate) before: Option<State>,
    pub(crate) took: Duration,
}

/// How long it took to refuse a request that was sent just after a call.
pub(crate) struct Beside {
    pub(crate) state: State,
    pub(crate) took: Duration,
}

/// Two calls that were sent at once.
pub(crate) struct Pair {
    pub(crate) state: State,
    /// Whether the answer about that state came before the one about a user who is unknown.
    pub(crate) first: bool,
}

/// Asks for all of `targets`, in their order, on so many connections.
pub(crate) fn call(address: SocketAddr, targets: &[Target], connections: usize) -> Vec<Call> {
    let (next, calls) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| {
                let (mut stream, mut mine, mut before) = (connect(address), Vec::new(), None);
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request = request(&target.username, JSON);
                    let sent = Instant::now();
                    stream.write_all(&request).expect("a server");
                    let took = answered(&mut stream, SUCCESS).expect("an answer") - sent;
                    let state = target.state;
                    mine.push(Call {
                        state,
                        before,
                        took,
                    });
                    before = Some(state);
                }
                calls.lock().expect("no panic").extend(mine);
            });
        }
    });
    calls.into_inner().expect("no panic")
}

/// Asks for each of `targets` and for somebody unknown at once, on two connections, one after the
/// other in random order, by so many callers.
pub(crate) fn call_pairs(address: SocketAddr, targets: &[Target], callers: usize) -> Vec<Pair> {
    let (next, pairs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                let mut two = [Listened::to(address), Listened::to(address)];
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(target) = targets.get(number) else {
                        return;
                    };
                    let other = request(&format!("none-{number:07}@example.co"), JSON);
                    let mut requests = [request(&target.username, JSON), other];
                    let swapped = fastrand::bool();
                    if swapped {
                        requests.swap(0, 1);
                    }
                    // Which of the two connections goes first is drawn apart.
                    if fastrand::bool() {
                        two.swap(0, 1);
                    }
                    two[0].stream.write_all(&requests[0]).expect("a server");
                    two[1].stream.write_all(&requests[1]).expect("a server");
                    let [one, another] = [0, 1].map(|at| two[at].answers.recv().expect("a reader"));
                    let pair = Pair {
                        state: target.state,
                        first: (one < another) != swapped,
                    };
                    pairs.lock().expect("no panic").push(pair);
                }
            });
        }
    });
    pairs.into_inner().expect("no panic")
}

/// Asks for each of `targets` and, right after that on another connection, for what is refused at
/// once, its nonce having been claimed: it waits for no grid, but perhaps for the call's work.
pub(crate) fn call_beside(address: SocketAddr, targets: &[Target], callers: usize) -> Vec<Beside> {
    let (next, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                let (mut asked, mut beside) = (connect(address), connect(address));
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let request = request(&target.username, JSON);
                    let refused = self::request(&target.username, "text/plain");
                    asked.write_all(&request).expect("a server");
                    let sent = Instant::now();
                    beside.write_all(&refused).expect("a server");
                    let took = answered(&mut beside, REFUSED).expect("an answer") - sent;
                    answered(&mut asked, SUCCESS).expect("an answer");
                    let state = target.state;
                    all.lock().expect("no panic").push(Beside { state, took });
                }
            });
        }
    });
    all.into_inner().expect("no panic")
}

/// A connection with a thread that notes when its answers arrive.
struct Listened {
    stream: TcpStream,
    answers: mpsc::Receiver<Instant>,
}

impl Listened {
    fn to(address: SocketAddr) -> Self {
        let stream = connect(address);
        let mut read = stream.try_clone().expect("a socket");
        let (send, answers) = mpsc::channel();
        thread::spawn(move || {
            while let Some(time) = answered(&mut read, SUCCESS) {
                if send.send(time).is_err() {
                    return;
                }
            }
        });
        Self { stream, answers }
    }
}

impl Drop for Listened {
    fn drop(&mut self) {
        // The thread ends. A connection that has ended already is as good.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a server");
    stream.set_nodelay(true).expect("a socket");
    stream
}

fn request(username: &str, content_type: &str) -> Vec<u8> {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let uuid = uuid::Uuid::new_v4();
    let nonce = format!(r#"{{"uuid":"{uuid}","datetime":"{time}"}}"#);
    let nonce = BASE64_URL_SAFE_NO_PAD.encode(nonce);
    let body = format!(r#"{{"username":"{username}","orgId":"{ORG}"}}"#);
    format!(
        "PUT {PATH} HTTP/1.1\r\nhost: api.example.com\r\ncontent-type: {content_type}\r\n\
         x-dfns-appid: {APP}\r\nx-dfns-nonce: {nonce}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Waits for the answer that ends like this, and says when it was there; `None` if the connection
/// has ended.
fn answered(stream: &mut TcpStream, end: &[u8]) -> Option<Instant> {
    let (mut buffer, mut filled) = ([0; 1_024], 0);
    loop {
        let read = stream.read(&mut buffer[filled..]).expect("an answer");
        let now = Instant::now();
        filled += read;
        let text = &buffer[..filled];
        if text.ends_with(end) {
            return Some(now);
        }
        if filled == 0 {
            return None;
        }
        let other = read == 0 || text.ends_with(REFUSED);
        assert!(!other, "{}", String::from_utf8_lossy(text));
    }
}
