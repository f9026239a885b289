//! Connections that are kept open, and used now and then.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, sleep};

use crate::{
    connection::Connection,
    scene::Scene,
    tally::{Expected, Sort},
};

/// So many are opened, or asked, at once: fewer than a listener's queue holds.
const AT_ONCE: usize = 200;
/// How often each is used.
const EVERY: Duration = Duration::from_secs(30);
const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nhost: api.example.com\r\n\r\n";

pub(crate) struct Held(Vec<Connection>);

impl Held {
    pub(crate) async fn open(address: SocketAddr, count: usize) -> io::Result<Self> {
        let mut held = Vec::with_capacity(count);
        while held.len() < count {
            let wave = AT_ONCE.min(count - held.len());
            held.extend(try_join_all((0..wave).map(|_| Connection::open(address))).await?);
        }
        Ok(Self(held))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Uses each in turn until the scene ends.
    pub(crate) async fn live(mut self, scene: Arc<Scene>) -> Self {
        let pause = EVERY / u32::try_from(self.0.len().max(1)).unwrap_or(u32::MAX);
        let mut turn = 0;
        while !scene.is_over() {
            tokio::select! {
                () = sleep(pause) => {}
                () = scene.ends() => break,
            }
            let count = self.0.len();
            if let Some(connection) = self.0.get_mut(turn % count.max(1)) {
                ask(connection, &scene).await;
            }
            turn += 1;
        }
        self
    }

    /// Uses all of them once.
    pub(crate) async fn ask_all(&mut self, scene: &Scene) {
        for wave in self.0.chunks_mut(AT_ONCE) {
            join_all(wave.iter_mut().map(|connection| ask(connection, scene))).await;
        }
    }
}

async fn ask(connection: &mut Connection, scene: &Scene) {
    let since = Instant::now();
    let heard = connection.ask(HEALTH).await;
    scene.note(
        Sort::Kept,
        "health",
        Expected::Success,
        &heard,
        since.elapsed(),
    );
}
