//! The plain hyper service of `examples/compose`, over connections.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Uri};
use http_body_util::Full;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::{
    Guard, checks,
    example::{Site, who},
    honest, route,
};
use crate::{
    serve::LIFETIME,
    support::{Answer, CLIENT_APP, Call, guard},
};

#[path = "../../../examples/compose/plain.rs"]
mod plain;

/// Serves in the background.
async fn served(guard: &Guard) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(plain::serve(listener, checks(guard)));
    address
}

async fn send(to: SocketAddr, call: Call) -> Answer {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut request = call.method(Method::GET).body("").build();
    *request.uri_mut() = Uri::try_from(format!("http://{to}/")).unwrap();
    Answer::of(client.request(request).await.unwrap()).await
}

#[tokio::test]
async fn the_plain_service_finds_the_proofs_and_refuses_who_has_none() {
    let plain = served(&guard()).await;
    let answer = send(plain, honest()).await;
    answer.assert_success();
    assert_eq!(answer.body, format!("hello, {CLIENT_APP}\n"));
    let stranger = send(plain, honest().without("x-dfns-appid")).await;
    stranger.assert_error(401, "AppInvalid");
}

#[tokio::test]
async fn a_nonce_that_router_or_plain_service_has_seen_is_used_up_at_the_other() {
    let guard = guard();
    let (site, plain) = (Site::over(&guard), served(&guard).await);
    let call = who();
    site.send(call.clone()).await.assert_success();
    send(plain, call).await.assert_error(400, "NonceReplayed");
    let call = who();
    send(plain, call.clone()).await.assert_success();
    site.send(call).await.assert_error(400, "NonceReplayed");
}

/// How long a server keeps a connection on which no more than this of a request comes, if not for
/// good.
async fn kept_open(server: SocketAddr, head: &str) -> Option<Duration> {
    let mut connection = TcpStream::connect(server).await.unwrap();
    let began = Instant::now();
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = connection.read_to_end(&mut answer);
    let ended = tokio::time::timeout(Duration::from_hours(1), ended).await;
    ended.ok().map(|_| began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_a_connection_here_and_not_on_axums_server() {
    for head in ["", "P", "GET / HTTP/1.1\r\nhost: a"] {
        let plain = served(&guard()).await;
        let kept = kept_open(plain, head).await;
        assert!(
            kept.is_some_and(|kept| kept <= 2 * LIFETIME),
            "{head:?}: {kept:?}"
        );

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let axums = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, route()).await });
        assert_eq!(kept_open(axums, head).await, None, "{head:?}");
    }
}
