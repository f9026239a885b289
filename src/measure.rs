//! The one place that knows whether feature `metrics` is on, so that call sites carry no `cfg`.
//!
//! What is counted, and under which names, is in `metrics`. Without the feature, nothing of it is
//! compiled: no clock is read, and the timers take no room.

use crate::registration::ResendOutcome;

#[cfg(feature = "metrics")]
pub(crate) use crate::metrics::record::{
    ClaimTimer, MailInHand, Stopwatch, delivered, redeemed, rejected, requested, sent, tried,
};

/// What the endpoint came to, for a request that was in order.
#[cfg_attr(
    not(feature = "metrics"),
    expect(dead_code, reason = "nobody looks at it")
)]
#[derive(Clone, Copy)]
pub(crate) enum Requested {
    /// The store was asked, and this was done.
    Decided(ResendOutcome),
    /// There was no room for another mail.
    NoRoom,
    /// The store or the random generator failed, or the registration kept changing.
    Failed,
}

#[cfg(not(feature = "metrics"))]
mod silent {
    use chrono::TimeDelta;

    use super::Requested;
    use crate::{
        delivery::{Delivery, Failure},
        nonce::ClaimOutcome,
        registration::RedeemOutcome,
        rejection::RejectionKind,
    };

    #[derive(Debug)]
    pub(crate) struct ClaimTimer;

    impl ClaimTimer {
        pub(crate) fn start() -> Self {
            Self
        }

        #[expect(
            clippy::unused_self,
            reason = "with the feature on, there is something"
        )]
        pub(crate) fn stop(&mut self, _: Option<ClaimOutcome>) {}
    }

    #[derive(Clone, Copy)]
    pub(crate) struct Stopwatch;

    impl Stopwatch {
        pub(crate) fn start() -> Self {
            Self
        }
    }

    pub(crate) struct MailInHand;

    impl MailInHand {
        pub(crate) fn taken() -> Self {
            Self
        }
    }

    pub(crate) fn rejected(_: RejectionKind) {}
    pub(crate) fn requested(_: Requested) {}
    pub(crate) fn redeemed(_: Option<RedeemOutcome>) {}
    pub(crate) fn sent(_: Stopwatch, _: Option<Failure>) {}
    pub(crate) fn delivered(_: TimeDelta) {}
    pub(crate) fn tried(_: Option<Delivery>) {}
}
#[cfg(not(feature = "metrics"))]
pub(crate) use silent::{
    ClaimTimer, MailInHand, Stopwatch, delivered, redeemed, rejected, requested, sent, tried,
};
