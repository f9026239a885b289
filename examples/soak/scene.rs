//! What all callers of one server share.

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::watch, task::JoinSet, time::Instant};

use crate::{
    Failure, busy,
    connection::Heard,
    numbers::Numbers,
    request::Requests,
    settings::Settings,
    slow,
    tally::{Expected, Sort, Tally},
};

/// So many accepted requests are kept to be sent once more.
const KEPT: usize = 4_096;

pub(crate) struct Scene {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Requests,
    pub(crate) users: usize,
    record: Arc<Record>,
    stopping: AtomicBool,
    over: watch::Sender<bool>,
}

/// What outlasts one server.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) tally: Tally,
    /// Users who were told `success`.
    told: Mutex<BTreeSet<usize>>,
    accepted: Mutex<VecDeque<Accepted>>,
    /// Valid requests that got no answer while the server was stopping.
    unanswered: Mutex<Vec<(usize, Bytes)>>,
}

#[derive(Clone)]
pub(crate) struct Accepted {
    pub(crate) at: Instant,
    pub(crate) bytes: Bytes,
}

impl Record {
    pub(crate) fn note_told(&self, user: usize) {
        self.told.lock().expect("no panic").insert(user);
    }

    pub(crate) fn told(&self) -> BTreeSet<usize> {
        self.told.lock().expect("no panic").clone()
    }

    pub(crate) fn take_unanswered(&self) -> Vec<(usize, Bytes)> {
        std::mem::take(&mut self.unanswered.lock().expect("no panic"))
    }
}

impl Scene {
    pub(crate) fn new(
        address: SocketAddr,
        settings: &Settings,
        record: &Arc<Record>,
    ) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self {
            address,
            requests: Requests::to(address)?,
            users: settings.users,
            record: record.clone(),
            stopping: AtomicBool::new(false),
            over: watch::Sender::new(false),
        }))
    }

    /// Starts the callers.
    pub(crate) fn callers(self: &Arc<Self>, settings: &Settings) -> JoinSet<()> {
        let mut callers = JoinSet::new();
        for seed in 0..settings.busy {
            callers.spawn(busy::call(self.clone(), seed));
        }
        for seed in 0..settings.slow {
            callers.spawn(slow::call(self.clone(), settings.busy + seed));
        }
        callers
    }

    pub(crate) fn note(
        &self,
        sort: Sort,
        what: &str,
        expected: Expected,
        heard: &Heard,
        took: Duration,
    ) {
        let stopping = self.is_stopping();
        let tally = &self.record.tally;
        tally.note(sort, what, expected, heard, took, stopping);
    }

    /// Notes what came back for a valid request.
    pub(crate) fn note_valid(
        &self,
        sort: Sort,
        (user, bytes): (usize, &Bytes),
        heard: &Heard,
        took: Duration,
    ) {
        self.note(sort, "valid", Expected::Success, heard, took);
        self.note_outcome(user, bytes, heard);
    }

    pub(crate) fn note_outcome(&self, user: usize, bytes: &Bytes, heard: &Heard) {
        if heard.is_success() {
            self.record.note_told(user);
        } else if matches!(heard, Heard::Nothing(_)) {
            let mut unanswered = self.record.unanswered.lock().expect("no panic");
            unanswered.push((user, bytes.clone()));
        }
    }

    pub(crate) fn note_silence(&self, what: &str, is_silent: bool) {
        let tally = &self.record.tally;
        tally.note_silence(Sort::Abandoned, what, is_silent);
    }

    /// Keeps an accepted request to be sent again: in the place of any other, so that old ones are
    /// among them.
    pub(crate) fn keep(&self, bytes: Bytes, numbers: &mut Numbers) {
        let accepted = Accepted {
            at: Instant::now(),
            bytes,
        };
        let mut kept = self.record.accepted.lock().expect("no panic");
        if kept.len() < KEPT {
            kept.push_back(accepted);
        } else {
            kept[numbers.below(KEPT)] = accepted;
        }
    }

    pub(crate) fn kept(&self, numbers: &mut Numbers) -> Option<Accepted> {
        let kept = self.record.accepted.lock().expect("no panic");
        let count = kept.len();
        (count > 0).then(|| kept[numbers.below(count)].clone())
    }

    /// From now on, a request may go without an answer.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends the callers, each after its request.
    pub(crate) fn end(&self) {
        self.over.send_replace(true);
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    pub(crate) async fn ends(&self) {
        // It can't fail: the sender is here.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }
}
