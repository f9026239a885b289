//! The loop of `examples/hyper`, and the program.

use std::{
    convert::Infallible,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep, timeout},
};
use tower::service_fn;

use crate::{
    process::{PATIENCE, program},
    serve::{self, HEAD, LIFETIME},
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: api.example.com\r\n\r\n";

/// A server in this process whose answers take so long.
async fn server(connections: usize, answer: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = service_fn(move |_: Request<Incoming>| async move {
        sleep(answer).await;
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("served")))
    });
    tokio::spawn(serve::serve(listener, connections, service));
    address
}

/// Sends this, and nothing more. What comes back until the server ends the connection, and when it
/// does.
async fn sent(address: SocketAddr, bytes: &[u8]) -> (String, Duration) {
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset ends it as well.
    let _ = stream.read_to_end(&mut answer).await;
    (
        String::from_utf8_lossy(&answer).into_owned(),
        began.elapsed(),
    )
}

#[test]
fn the_page_of_the_guide_has_the_loop_as_it_is_here() {
    let program = include_str!("../../examples/hyper/serve.rs");
    let page = include_str!("../../src/docs/guide/hyper.md");
    let from = program.find("\n/// ").unwrap();
    let code = program[from..].replace("pub(crate) ", "");
    assert!(code.len() > 1_000 && page.contains(&code), "{code}");
}

#[tokio::test(start_paused = true)]
async fn who_sends_no_request_is_let_go_in_time() {
    let address = server(9, Duration::ZERO).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let http2 = [&preface[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    for (name, bytes, least, most) in [
        ("nothing", &b""[..], LIFETIME, LIFETIME),
        (
            "the beginning of a preface",
            &preface[..9],
            LIFETIME,
            LIFETIME,
        ),
        ("HTTP/2 and no request", &http2, LIFETIME, 2 * LIFETIME),
        ("half a head", &REQUEST[..20], HEAD, HEAD),
        ("one request and no other", REQUEST, HEAD, HEAD),
    ] {
        let (answer, after) = sent(address, bytes).await;
        let most = most + Duration::from_secs(1);
        assert!((least..most).contains(&after), "{name}: {after:?}");
        assert_eq!(answer.ends_with("served"), bytes == REQUEST, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_in_hand_is_finished_after_the_connection_takes_no_others() {
    let address = server(9, LIFETIME + LIFETIME / 2).await;
    let (answer, after) = sent(address, REQUEST).await;
    assert!(answer.ends_with("served"), "{answer}");
    assert!(after < 2 * LIFETIME, "{after:?}");

    let address = server(9, 3 * LIFETIME).await;
    let (answer, after) = sent(address, REQUEST).await;
    assert_eq!(answer, "");
    assert!(after < 2 * LIFETIME + Duration::from_secs(1), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_beyond_the_limit_wait_for_one_to_end() {
    for (connections, waits) in [(3, false), (2, true)] {
        let address = server(connections, Duration::ZERO).await;
        let _one = TcpStream::connect(address).await.unwrap();
        let _other = TcpStream::connect(address).await.unwrap();
        let close = b"GET / HTTP/1.1\r\nhost: api.example.com\r\nconnection: close\r\n\r\n";
        let (answer, after) = sent(address, close).await;
        assert!(answer.ends_with("served"), "{answer}");
        assert_eq!(after >= LIFETIME, waits, "{connections}: {after:?}");
    }
}

/// Ends with its test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_program_survives_a_lack_of_file_descriptors() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 32 && exec \"$0\""])
        .arg(program("hyper"))
        .env("LISTEN", "127.0.0.1:0")
        .env("RUST_LOG", "warn");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = Program(child.spawn().unwrap());
    let mut printed = BufReader::new(program.0.stdout.take().unwrap()).lines();
    let line = printed.next().unwrap().unwrap();
    let address: SocketAddr = line.rsplit('/').next().unwrap().parse().unwrap();

    let mut idle = Vec::new();
    for _ in 0..40 {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let log = BufReader::new(program.0.stderr.take().unwrap());
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    // To the end: a program whose log nobody reads could write no more of it.
    std::thread::spawn(move || {
        for line in log.lines().map_while(Result::ok) {
            if line.contains("no connection accepted") {
                // The test may have ended.
                let _ = sender.send(());
            }
        }
    });
    let told = timeout(PATIENCE, told.recv()).await;
    told.expect("in time").expect("a line about it");
    drop(idle);

    let http = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::put(format!("http://{address}/")).body(Full::<Bytes>::default());
    let answer = http.request(request.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 401);
}
