//! What dies, and when.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use tokio::time::sleep;

use super::{
    super::{
        catcher::{Catcher, Fault, Moment},
        fleet::Common,
        own::OwnPostgres,
    },
    Numbers, SEND_TIMEOUT,
    load::Peers,
    verdict::Witness,
};
use crate::{process::Process, redis::own::OwnServer};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Strike {
    KillServer,
    KillSenders(Option<Hold>),
    CrashPostgres,
    CrashRedis,
    MailServerStalls,
    MailServerIsBusy,
    MailServerRefuses,
    MailServerHangsUp,
    MailServerIsDown,
}

/// A moment, in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    Before,
    During,
    After,
}

const STRIKES: [Strike; 12] = [
    Strike::KillServer,
    Strike::KillSenders(None),
    Strike::KillSenders(Some(Hold::Before)),
    Strike::KillSenders(Some(Hold::During)),
    Strike::KillSenders(Some(Hold::After)),
    Strike::CrashPostgres,
    Strike::CrashRedis,
    Strike::MailServerStalls,
    Strike::MailServerIsBusy,
    Strike::MailServerRefuses,
    Strike::MailServerHangsUp,
    Strike::MailServerIsDown,
];
pub(super) const KINDS: usize = STRIKES.len();

/// The processes, and what is done to them.
pub(super) struct Chaos {
    common: Common,
    catcher: Catcher,
    postgres: OwnPostgres,
    redis: Option<OwnServer>,
    witness: Witness,
    servers: Vec<Process>,
    dispatchers: Vec<Process>,
    peers: Peers,
    numbers: Numbers,
    order: Vec<Strike>,
    done: BTreeMap<Strike, usize>,
}

impl Chaos {
    /// Two servers that only serve, one that delivers too, and two that only deliver.
    pub(super) fn new(
        common: Common,
        catcher: Catcher,
        postgres: OwnPostgres,
        redis: Option<OwnServer>,
        witness: Witness,
        seed: usize,
    ) -> Self {
        let servers = vec![
            common.server(),
            common.server_alone(),
            common.server_alone(),
        ];
        let peers = servers.iter().map(Process::peer).collect();
        Self {
            dispatchers: vec![common.dispatcher(), common.dispatcher()],
            common,
            catcher,
            postgres,
            redis,
            witness,
            servers,
            peers: Arc::new(RwLock::new(peers)),
            numbers: Numbers::new(seed),
            order: Vec::new(),
            done: BTreeMap::new(),
        }
    }

    pub(super) fn peers(&self) -> &Peers {
        &self.peers
    }

    pub(super) fn server(&self) -> &Process {
        &self.servers[0]
    }

    /// How often what was done.
    pub(super) fn done(&self) -> &BTreeMap<impl std::fmt::Debug + use<>, usize> {
        &self.done
    }

    pub(super) fn end(self) {
        for process in self.servers.into_iter().chain(self.dispatchers) {
            assert!(process.stop().success());
        }
    }

    /// Which is next, by chance, and counted; all of them come before any comes again.
    fn next(&mut self) -> Strike {
        if self.order.is_empty() {
            let possible = |strike: &Strike| *strike != Strike::CrashRedis || self.redis.is_some();
            self.order = STRIKES.into_iter().filter(possible).collect();
        }
        let next = self.numbers.below(self.order.len());
        let strike = self.order.swap_remove(next);
        *self.done.entry(strike).or_default() += 1;
        strike
    }

    /// Does one thing, after a pause.
    pub(super) async fn strike(&mut self) {
        sleep(self.numbers.milliseconds(500)).await;
        let strike = self.next();
        match strike {
            Strike::KillServer => self.kill_a_server(),
            Strike::KillSenders(hold) => self.kill_senders(hold).await,
            Strike::CrashPostgres => {
                self.witness.note_unsettling();
                self.postgres.crash(self.numbers.milliseconds(500)).await;
                self.witness.note_unsettling();
            }
            Strike::CrashRedis => {
                let pause = self.numbers.milliseconds(500);
                if let Some(redis) = &mut self.redis {
                    redis.kill().await;
                    sleep(pause).await;
                    redis.restart().await;
                }
            }
            Strike::MailServerIsDown => {
                // What is being answered to is cut.
                self.witness.note_unsettling();
                self.catcher.be_down(self.numbers.milliseconds(2_000)).await;
            }
            Strike::MailServerStalls => {
                let longer = Duration::from_secs(SEND_TIMEOUT) * 2;
                self.fail(Fault::Stall(longer)).await;
            }
            Strike::MailServerIsBusy => self.fail(Fault::Busy).await,
            Strike::MailServerRefuses => self.fail(Fault::Refused).await,
            Strike::MailServerHangsUp => {
                self.fail(Fault::CutWithin).await;
                self.fail(Fault::CutBeforeAnswer).await;
            }
        }
    }

    async fn fail(&mut self, fault: Fault) {
        let mails = 1 + self.numbers.below(8);
        self.catcher.fail(std::iter::repeat_n(fault, mails));
        sleep(Duration::from_millis(300)).await;
    }

    fn kill_a_server(&mut self) {
        let number = self.numbers.below(self.servers.len());
        self.witness.note_unsettling();
        self.servers[number].kill();
        let server = match number {
            0 => self.common.server(),
            _ => self.common.server_alone(),
        };
        self.peers.write().unwrap()[number] = server.peer();
        self.servers[number] = server;
    }

    /// All processes that deliver, at a moment of a hand-over, or by chance.
    async fn kill_senders(&mut self, hold: Option<Hold>) {
        let catcher = self.catcher.clone();
        let killing = async {
            self.witness.note_unsettling();
            self.servers[0].kill();
            self.dispatchers.iter_mut().for_each(Process::kill);
            self.witness.note_unsettling();
        };
        match hold {
            None => killing.await,
            Some(hold) => {
                let moment = match hold {
                    Hold::Before => Moment::Before,
                    Hold::During => Moment::During,
                    Hold::After => Moment::After,
                };
                assert!(
                    catcher.at(moment, killing).await,
                    "no mail came to be {hold:?}"
                );
            }
        }
        self.servers[0] = self.common.server();
        self.peers.write().unwrap()[0] = self.servers[0].peer();
        self.dispatchers = vec![self.common.dispatcher(), self.common.dispatcher()];
    }
}
