//! Callers who ask without pause, by turns validly and not.

use std::sync::Arc;

use bytes::Bytes;
use tokio::time::Instant;
use tower_registration::rejection::RejectionKind;

use crate::{
    connection::{Heard, Line},
    numbers::Numbers,
    place::NONCE_AGE,
    request::{By, wire},
    scene::Scene,
    spoils::{BROKEN, FORGED, MALFORMED, Spoil},
    tally::{Expected, Sort},
};

/// How many of a hundred requests are of which sort.
const MIX: [(Turn, usize); 7] = [
    (Turn::Valid, 60),
    (Turn::Again, 6),
    (Turn::AgainLater, 8),
    (Turn::TwiceAtOnce, 4),
    (Turn::Spoiled(FORGED), 12),
    (Turn::Spoiled(MALFORMED), 8),
    (Turn::Spoiled(BROKEN), 2),
];
/// Of the valid ones, who sends how many.
const SENDERS: [By; 16] = {
    let mut senders = [By::ClientSide; 16];
    let mut turn = 8;
    while turn < 15 {
        senders[turn] = By::ServerSide;
        turn += 1;
    }
    senders[15] = By::ServerSideRsa;
    senders
};
/// One of so many accepted requests is kept to be sent once more.
const KEEP_ONE_OF: usize = 8;

const REPLAYED: Expected = Expected::Refused(&[RejectionKind::NonceReplayed]);
const REPLAYED_OR_STALE: Expected =
    Expected::Refused(&[RejectionKind::NonceReplayed, RejectionKind::NonceInvalid]);

#[derive(Clone, Copy)]
enum Turn {
    Valid,
    Again,
    AgainLater,
    TwiceAtOnce,
    Spoiled(&'static [Spoil]),
}

struct Caller {
    scene: Arc<Scene>,
    numbers: Numbers,
    line: Line,
    twin: Line,
    /// What was accepted last.
    last: Option<Bytes>,
}

/// Asks until the scene ends, or until nobody answers because the server has stopped.
pub(crate) async fn call(scene: Arc<Scene>, seed: usize) {
    let mut caller = Caller {
        numbers: Numbers::new(seed),
        line: Line::new(scene.address),
        twin: Line::new(scene.address),
        scene,
        last: None,
    };
    while !caller.scene.is_over() {
        let heard = match caller.turn() {
            Turn::Valid => caller.valid().await,
            Turn::Again => caller.again().await,
            Turn::AgainLater => caller.again_later().await,
            Turn::TwiceAtOnce => caller.twice_at_once().await,
            Turn::Spoiled(spoils) => caller.spoiled(spoils).await,
        };
        if matches!(heard, Heard::Nothing(_)) && caller.scene.is_stopping() {
            return;
        }
    }
}

impl Caller {
    fn turn(&mut self) -> Turn {
        let mut number = self.numbers.below(100);
        for (turn, share) in MIX {
            if number < share {
                return turn;
            }
            number -= share;
        }
        Turn::Valid
    }

    async fn fresh(&mut self) -> (usize, By, Bytes) {
        let user = self.numbers.below(self.scene.users);
        let by = *self.numbers.pick(&SENDERS);
        (user, by, wire(&self.scene.requests.resend(by, user).await))
    }

    async fn valid(&mut self) -> Heard {
        let (user, by, bytes) = self.fresh().await;
        let since = Instant::now();
        let heard = self.line.ask(&bytes).await;
        let sort = match by {
            By::ClientSide => Sort::ValidClientSide,
            _ => Sort::ValidServerSide,
        };
        self.scene
            .note_valid(sort, (user, &bytes), &heard, since.elapsed());
        if heard.is_success() {
            if self.numbers.below(KEEP_ONE_OF) == 0 {
                self.scene.keep(bytes.clone(), &mut self.numbers);
            }
            self.last = Some(bytes);
        }
        heard
    }

    async fn again(&mut self) -> Heard {
        match self.last.take() {
            Some(bytes) => {
                self.refused(Sort::ReplayedAtOnce, "replayed", REPLAYED, &bytes)
                    .await
            }
            None => self.valid().await,
        }
    }

    async fn again_later(&mut self) -> Heard {
        let Some(accepted) = self.scene.kept(&mut self.numbers) else {
            return self.valid().await;
        };
        // Whether its nonce is still fresh when it is judged can be told only well before.
        let expected = if accepted.at.elapsed() * 2 < NONCE_AGE {
            REPLAYED
        } else {
            REPLAYED_OR_STALE
        };
        self.refused(Sort::ReplayedLater, "replayed", expected, &accepted.bytes)
            .await
    }

    async fn spoiled(&mut self, spoils: &[Spoil]) -> Heard {
        let user = self.numbers.below(self.scene.users);
        let spoil = self.numbers.pick(spoils);
        let request = self.scene.requests.resend(spoil.by, user).await;
        let bytes = (spoil.make)(request);
        self.refused(spoil.sort, spoil.name, spoil.expected, &bytes)
            .await
    }

    async fn refused(
        &mut self,
        sort: Sort,
        what: &str,
        expected: Expected,
        bytes: &Bytes,
    ) -> Heard {
        let since = Instant::now();
        let heard = self.line.ask(bytes).await;
        self.scene
            .note(sort, what, expected, &heard, since.elapsed());
        heard
    }

    /// One request on two connections: one of them is accepted.
    async fn twice_at_once(&mut self) -> Heard {
        let (user, _, bytes) = self.fresh().await;
        let since = Instant::now();
        let (one, other) = tokio::join!(self.line.ask(&bytes), self.twin.ask(&bytes));
        let took = since.elapsed();
        let (first, second) = if other.is_success() && !one.is_success() {
            (other, one)
        } else {
            (one, other)
        };
        let (sort, scene) = (Sort::TwiceAtOnce, &self.scene);
        scene.note(sort, "one of two", Expected::Success, &first, took);
        // Where nothing was accepted, nothing may have been noted as used.
        scene.note(sort, "the other of two", REPLAYED, &second, took);
        scene.note_outcome(user, &bytes, &first);
        first
    }
}
