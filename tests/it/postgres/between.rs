//! Ways to the server that are cut, long, or lose what is sent.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::services::Place;

/// The address of the server of `place`, one in front of it, and the URL that leads there.
async fn between(place: &Place) -> (String, TcpListener, String) {
    let url = place.url.parse::<http::Uri>().unwrap();
    let server = format!("{}:{}", url.host().unwrap(), url.port_u16().unwrap_or(5432));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let authority = url.authority().unwrap().as_str();
    let user = authority
        .rsplit_once('@')
        .map_or("postgres", |(user, _)| user);
    // What passes is to be read.
    let through = format!("postgres://{user}@{here}{}?sslmode=disable", url.path());
    (server, listener, through)
}

/// Passes on between a client and the server of `place`, until told to pass on nothing more.
pub(super) async fn passage(place: &Place) -> (String, watch::Sender<bool>) {
    let (server, listener, through) = between(place).await;
    let (cut, is_cut) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let (server, mut is_cut) = (server.clone(), is_cut.clone());
            tokio::spawn(async move {
                let _ = is_cut.wait_for(|cut| !cut).await;
                let mut server = TcpStream::connect(server).await.unwrap();
                // What was open when the passage was cut stays open, and silent.
                let passing = copy_bidirectional(&mut client, &mut server);
                if is_cut_before(&mut is_cut, passing).await {
                    std::future::pending::<()>().await;
                }
            });
        }
    });
    (through, cut)
}

/// Whether the passage was cut before it ended by itself.
async fn is_cut_before<T>(
    is_cut: &mut watch::Receiver<bool>,
    passing: impl Future<Output = T>,
) -> bool {
    let (passing, cut) = (
        std::pin::pin!(passing),
        std::pin::pin!(is_cut.wait_for(|cut| *cut)),
    );
    matches!(
        futures_util::future::select(passing, cut).await,
        futures_util::future::Either::Right(_)
    )
}

/// Passes on to the server of `place`: of what a client sends, what `passes`, and that later by
/// `delay`.
pub(super) async fn long_way(
    place: &Place,
    delay: Duration,
    passes: impl Fn(&[u8]) -> bool + Send + Sync + 'static,
) -> String {
    let (server, listener, through) = between(place).await;
    let passes = Arc::new(passes);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&server).await.unwrap();
            client.set_nodelay(true).unwrap();
            let (mut asked, mut told) = client.into_split();
            let (mut answers, mut questions) = server.into_split();
            tokio::spawn(async move { copy(&mut answers, &mut told).await });
            let passes = passes.clone();
            tokio::spawn(async move {
                let mut sent = vec![0; 65_536];
                while let Ok(length @ 1..) = asked.read(&mut sent).await {
                    tokio::time::sleep(delay).await;
                    if passes(&sent[..length]) {
                        questions.write_all(&sent[..length]).await.unwrap();
                    }
                }
            });
        }
    });
    through
}
