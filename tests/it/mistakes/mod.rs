//! Mistakes that others made and published, as tests of ours.
//!
//! Where a mistake lives on the wire, bytes are written to a real server by hand: no client library
//! would send them. What only a server can answer (framing, pseudo-headers) is hyper's to do; these
//! tests then hold that nothing of it gets past the checks.

mod http2;
mod nonces;
mod paths;
mod signatures;
mod wire;

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::timeout;
use tower::{Layer, service_fn};
use tower_registration::{VerifyRequest, clock::ManualClock, signature::CheckedBody};

use crate::{
    server::{listen, raw},
    support::{Call, Verify, apps, guard, signing_key, start, verify},
};

/// How long a server may leave a connection open that it should have closed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A server behind all checks, and what got through to it.
struct Api {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// Served under the name that calls are signed for.
    async fn named() -> Self {
        Self::behind(verify(&ManualClock::at(start()))).await
    }

    /// Served under whatever name a request says.
    async fn nameless() -> Self {
        let builder = VerifyRequest::builder().apps(apps()).replay_guard(guard());
        let verify = builder.clock(ManualClock::at(start())).build();
        Self::behind(verify.unwrap()).await
    }

    async fn behind(verify: Verify) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        let inner = service_fn(move |request: Request<CheckedBody<Incoming>>| {
            let notes = Arc::clone(&notes);
            async move {
                let path = request.uri().path_and_query().unwrap().to_string();
                notes.lock().unwrap().push(path);
                let mut answer = Response::new(Full::<Bytes>::default());
                match request.into_body().collect().await {
                    Ok(body) => *answer.body_mut() = Full::from(body.to_bytes()),
                    Err(_) => *answer.status_mut() = StatusCode::BAD_REQUEST,
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let address = listen(verify.layer(inner)).await;
        Self { address, seen }
    }

    /// The paths of the requests that got through, since the last look.
    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// What the server says to these bytes until it closes.
    async fn say(&self, bytes: &[u8]) -> String {
        let said = timeout(PATIENCE, raw(self.address, bytes)).await;
        said.unwrap_or_else(|_| panic!("left open after {}", String::from_utf8_lossy(bytes)))
    }

    /// Asserts that these bytes get one answer with this status, and reach nothing.
    async fn refuses(&self, what: &str, bytes: &[u8], status: u16) {
        let answer = self.say(bytes).await;
        assert_eq!(statuses(&answer), [status], "{what}: {answer}");
        assert_eq!(self.seen(), [""; 0], "{what}");
    }

    /// Asserts that these bytes get through as one request.
    async fn accepts(&self, what: &str, bytes: &[u8]) {
        let answer = self.say(bytes).await;
        assert_eq!(statuses(&answer), [200], "{what}: {answer}");
        assert_eq!(self.seen().len(), 1, "{what}");
    }
}

/// The statuses of all answers in what a server said.
fn statuses(said: &str) -> Vec<u16> {
    // HTTP/1.0 is answered as HTTP/1.0.
    let answers = said.split("HTTP/1.").skip(1);
    answers
        .map(|answer| answer[2..5].parse().unwrap())
        .collect()
}

/// A request as its bytes, so that it can be what no library would write.
#[derive(Clone)]
struct Wire {
    method: String,
    target: String,
    version: &'static str,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Wire {
    fn of(call: &Call) -> Self {
        let headers = call.headers.iter();
        Self {
            method: call.method.to_string(),
            target: call.uri.to_string(),
            version: "HTTP/1.1",
            headers: headers
                .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
                .collect(),
            body: call.body.to_vec(),
        }
    }

    /// Signed by the server-side application, with the length of its body; the server closes.
    fn signed() -> Self {
        Self::signed_as(|call| call)
    }

    fn signed_as(change: impl FnOnce(Call) -> Call) -> Self {
        let call = Call::server_app(start());
        let length = call.body.len().to_string();
        let call = change(call.with("content-length", &length)).sign(&signing_key());
        Self::of(&call).and("connection", "close")
    }

    /// Signed as a body is whose length is not stated.
    fn signed_in_chunks() -> Self {
        Self::signed_as(|call| call.without("content-length")).and("transfer-encoding", "chunked")
    }

    fn and(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.into(), value.as_ref().to_vec()));
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| own != name);
        self
    }

    fn with(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).and(name, value)
    }

    fn target(mut self, target: &str) -> Self {
        self.target = target.into();
        self
    }

    fn head(&self) -> Vec<u8> {
        let line = format!("{} {} {}\r\n", self.method, self.target, self.version);
        let mut bytes = line.into_bytes();
        for (name, value) in &self.headers {
            bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes
    }

    fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }

    /// The body in two chunks, and whatever comes between the last chunk and the end.
    fn in_chunks(&self, trailers: &str) -> Vec<u8> {
        let (first, second) = self.body.split_at(self.body.len() / 2);
        let mut bytes = self.head();
        for chunk in [first, second] {
            bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
            bytes.extend([chunk, b"\r\n"].concat());
        }
        bytes.extend(format!("0\r\n{trailers}\r\n").bytes());
        bytes
    }
}
