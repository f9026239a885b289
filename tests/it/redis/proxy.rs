//! A way to a server that can turn into a black hole: nothing is refused, and nothing arrives.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Forwards connections, and counts them; it ends with the test's runtime.
pub(super) struct Proxy {
    url: String,
    opened: Arc<AtomicUsize>,
    swallows: watch::Sender<bool>,
}

impl Proxy {
    pub(super) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            url: format!("redis://{}", listener.local_addr().unwrap()),
            opened: Arc::default(),
            swallows: watch::Sender::new(false),
        };
        let (opened, swallows) = (proxy.opened.clone(), proxy.swallows.clone());
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                opened.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(forward(client, port, swallows.subscribe()));
            }
        });
        proxy
    }

    pub(super) fn url(&self) -> String {
        self.url.clone()
    }

    pub(super) fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// Swallows, for good, whatever is said on connections that exist, and on those made until
    /// [`ends`](Self::ends).
    pub(super) fn begins(&self) {
        self.swallows.send_replace(true);
    }

    pub(super) fn ends(&self) {
        self.swallows.send_replace(false);
    }
}

async fn forward(mut client: TcpStream, port: u16, mut swallows: watch::Receiver<bool>) {
    let server = TcpStream::connect(("127.0.0.1", port)).await;
    let Ok(mut server) = server else { return };
    tokio::select! {
        biased;
        _ = swallows.wait_for(|swallows| *swallows) => {}
        _ = copy_bidirectional(&mut client, &mut server) => return,
    }
    // Both ends stay open, and neither is read.
    pending::<()>().await;
}
