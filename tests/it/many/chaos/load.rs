//! Callers who ask for codes without pause, and send a part of their requests twice.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::Utc;
use tokio::task::JoinSet;

use super::{super::fleet::username, Numbers};
use crate::{process::Peer, support::nonce_at};

/// Where servers answer at the moment.
pub(super) type Peers = Arc<RwLock<Vec<Peer>>>;

/// What the callers were told.
#[derive(Default)]
pub(super) struct Told {
    /// The answers `200`.
    pub(super) successes: usize,
    /// The answers that said that a check could not be made.
    unavailable: usize,
    /// The answers that said that the guard could not know the nonce.
    unknowable: usize,
    /// The requests that got no answer.
    unanswered: usize,
    /// The second uses of a nonce that were told to be that.
    pub(super) replays: usize,
    /// The users who were told `success`.
    pub(super) users: HashSet<usize>,
    /// Nonces that were accepted twice.
    pub(super) accepted_twice: usize,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} accepted of {} users, {} unavailable, {} unknowable, {} unanswered, {} replays refused",
            self.successes,
            self.users.len(),
            self.unavailable,
            self.unknowable,
            self.unanswered,
            self.replays,
        )
    }
}

pub(super) struct Load {
    callers: JoinSet<Told>,
    stopping: Arc<AtomicBool>,
}

impl Load {
    pub(super) fn start(peers: &Peers, callers: usize, users: usize, seed: usize) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let callers = (0..callers).map(|caller| {
            let numbers = Numbers::new(seed.wrapping_add(caller).wrapping_mul(7_919));
            call(peers.clone(), stopping.clone(), users, numbers)
        });
        Self {
            callers: callers.collect(),
            stopping,
        }
    }

    pub(super) async fn stop(self) -> Told {
        self.stopping.store(true, Ordering::SeqCst);
        let mut all = Told::default();
        for told in self.callers.join_all().await {
            all.successes += told.successes;
            all.unavailable += told.unavailable;
            all.unknowable += told.unknowable;
            all.unanswered += told.unanswered;
            all.replays += told.replays;
            all.accepted_twice += told.accepted_twice;
            all.users.extend(told.users);
        }
        all
    }
}

async fn call(peers: Peers, stopping: Arc<AtomicBool>, users: usize, mut numbers: Numbers) -> Told {
    let mut told = Told::default();
    while !stopping.load(Ordering::SeqCst) {
        let (user, nonce) = (numbers.below(users), nonce_at(Utc::now()));
        let mut accepted = 0;
        // The second time comes at once or some time later, and mostly to another server.
        for _ in 0..=usize::from(numbers.below(4) == 0) {
            let peer = {
                let peers = peers.read().unwrap();
                peers[numbers.below(peers.len())].clone()
            };
            accepted += usize::from(told.one(&peer, user, &nonce).await);
            tokio::time::sleep(numbers.milliseconds(20)).await;
        }
        told.accepted_twice += usize::from(accepted > 1);
    }
    told
}

impl Told {
    /// Whether the request was accepted.
    async fn one(&mut self, peer: &Peer, user: usize, nonce: &str) -> bool {
        let Ok(answer) = peer.resend(&username(user), nonce).await else {
            self.unanswered += 1;
            return false;
        };
        match (answer.status.as_u16(), answer.error_name().as_str()) {
            (200, _) => {
                self.successes += 1;
                self.users.insert(user);
                return true;
            }
            (503, "Unavailable") => self.unavailable += 1,
            (400, "NonceReplayed") => self.replays += 1,
            (400, "NonceInvalid") => self.unknowable += 1,
            _ => panic!("{answer:?}"),
        }
        false
    }
}
