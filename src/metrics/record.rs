//! What is recorded while requests are served and mails are sent.
//!
//! A label's value is a literal beside the variant that it stands for: there are no other series
//! than those that are written here, and none is looked up by a text from outside.

use std::time::Instant;

use chrono::TimeDelta;
use metrics::{Gauge, Key, Label, Level, Metadata, with_recorder};

use super::{
    CLAIM_DURATION, COURIER_MAILS, DELIVERY_DELAY, MAIL_ATTEMPTS, REDEEMS, REJECTIONS, RESENDS,
    SEND_DURATION,
};
use crate::{
    delivery::{Delivery, Failure, GiveUp},
    measure::Requested,
    nonce::ClaimOutcome,
    registration::{Kept, RedeemOutcome, Refusal, ResendOutcome},
    rejection::RejectionKind,
};

static METADATA: Metadata<'static> =
    Metadata::new("tower_registration", Level::INFO, Some(module_path!()));

/// A metric with one label: its values, and the series that stands for what is given.
struct Family<G: 'static> {
    name: &'static str,
    label: &'static str,
    values: &'static [&'static str],
    /// `None` for what is not recorded.
    series: fn(G) -> Option<&'static Key>,
}

/// A [`Family`] whose series are made when this is compiled.
macro_rules! family {
    ($name:expr, $label:literal, {
        $($pattern:pat => $value:expr,)+
    } $(, without $unrecorded:pat)?) => {
        Family {
            name: $name,
            label: $label,
            values: &[$($value),+],
            series: |given| match given {
                $($pattern => {
                    static LABELS: [Label; 1] = [Label::from_static_parts($label, $value)];
                    static KEY: Key = Key::from_static_parts($name, &LABELS);
                    Some(&KEY)
                })+
                $($unrecorded => None,)?
            },
        }
    };
}

impl<G> Family<G> {
    fn count(&self, given: G) {
        if let Some(series) = (self.series)(given) {
            with_recorder(|recorder| recorder.register_counter(series, &METADATA).increment(1));
        }
    }

    fn observe(&self, given: G, seconds: f64) {
        if let Some(series) = (self.series)(given) {
            observe(series, seconds);
        }
    }

    fn all(&self) -> impl Iterator<Item = Key> {
        let values = self.values.iter();
        values.map(|value| {
            Key::from_parts(self.name, vec![Label::from_static_parts(self.label, value)])
        })
    }
}

/// Makes all series but those that are sampled, at 0. Prometheus takes a series that appears at 7 for
/// one that has not changed.
pub(super) fn begin() {
    let counters = REJECTED
        .all()
        .chain(RESENT.all())
        .chain(REDEEMED.all())
        .chain(TRIED.all());
    let histograms = CLAIMED.all().chain(SENT.all()).chain([DELAYED.clone()]);
    with_recorder(|recorder| {
        for series in counters {
            drop(recorder.register_counter(&series, &METADATA));
        }
        for series in histograms {
            drop(recorder.register_histogram(&series, &METADATA));
        }
    });
    drop(gauge(&IN_HAND));
}

fn observe(series: &'static Key, seconds: f64) {
    with_recorder(|recorder| {
        recorder
            .register_histogram(series, &METADATA)
            .record(seconds);
    });
}

pub(super) fn gauge(series: &Key) -> Gauge {
    with_recorder(|recorder| recorder.register_gauge(series, &METADATA))
}

static REJECTED: Family<RejectionKind> = {
    /// Each by the name that the caller gets.
    macro_rules! by_name {
        ($($kind:ident)+) => {
            family!(REJECTIONS, "kind", {
                $(RejectionKind::$kind => RejectionKind::$kind.name(),)+
            })
        };
    }
    by_name! {
        NonceInvalid NonceReplayed UserActionReplayed BodyInvalid AppInvalid AppSecretInvalid
        ApiSignatureInvalid UserActionInvalid PermissionDenied MethodNotAllowed BodyTimeout
        BodyTooLarge ContentTypeInvalid InternalError Unavailable
    }
};

pub(crate) fn rejected(kind: RejectionKind) {
    REJECTED.count(kind);
}

static RESENT: Family<Requested> = family!(RESENDS, "outcome", {
    Requested::Decided(ResendOutcome::Issued { .. }) => "Issued",
    Requested::Decided(ResendOutcome::UnknownUser) => "UnknownUser",
    Requested::Decided(ResendOutcome::Kept(Kept::Registered)) => "Registered",
    Requested::Decided(ResendOutcome::Kept(Kept::Deactivated)) => "Deactivated",
    Requested::Decided(ResendOutcome::Kept(Kept::KindNotPermitted)) => "KindNotPermitted",
    Requested::Decided(ResendOutcome::Kept(Kept::CoolingDown)) => "CoolingDown",
    Requested::Decided(ResendOutcome::Kept(Kept::MailInFlight)) => "MailInFlight",
    Requested::Decided(ResendOutcome::Kept(Kept::HourlyCap)) => "HourlyCap",
    Requested::Decided(ResendOutcome::Kept(Kept::DailyCap)) => "DailyCap",
    Requested::NoRoom => "NoRoom",
    Requested::Failed => "Failed",
});

pub(crate) fn requested(came_to: Requested) {
    RESENT.count(came_to);
}

static REDEEMED: Family<Option<RedeemOutcome>> = family!(REDEEMS, "outcome", {
    Some(RedeemOutcome::Redeemed) => "Redeemed",
    Some(RedeemOutcome::WrongGuess) => "WrongGuess",
    Some(RedeemOutcome::UnknownUser) => "UnknownUser",
    Some(RedeemOutcome::Refused(Refusal::Registered)) => "Registered",
    Some(RedeemOutcome::Refused(Refusal::Deactivated)) => "Deactivated",
    Some(RedeemOutcome::Refused(Refusal::NoCode)) => "NoCode",
    Some(RedeemOutcome::Refused(Refusal::Expired)) => "Expired",
    Some(RedeemOutcome::Refused(Refusal::GuessesSpent)) => "GuessesSpent",
    None => "Failed",
});

/// `None` if there was no decision.
pub(crate) fn redeemed(outcome: Option<RedeemOutcome>) {
    REDEEMED.count(outcome);
}

static TRIED: Family<Option<Delivery>> = family!(MAIL_ATTEMPTS, "outcome", {
    Some(Delivery::Delivered) => "Delivered",
    Some(Delivery::Later(_)) => "Later",
    Some(Delivery::Unopened(_)) => "Unopened",
    Some(Delivery::Superseded) => "Superseded",
    Some(Delivery::GaveUp(GiveUp::Permanent)) => "Permanent",
    Some(Delivery::GaveUp(GiveUp::TriesSpent)) => "TriesSpent",
    Some(Delivery::GaveUp(GiveUp::Moot)) => "Moot",
    Some(Delivery::GaveUp(GiveUp::SealBroken)) => "SealBroken",
    None => "Unsettled",
}, without Some(Delivery::NothingOwed));

/// What became of a try at a mail; `None` if it could not be settled.
pub(crate) fn tried(outcome: Option<Delivery>) {
    TRIED.count(outcome);
}

static SENT: Family<Option<Failure>> = family!(SEND_DURATION, "outcome", {
    None => "Accepted",
    Some(Failure::Transient) => "Transient",
    Some(Failure::Permanent) => "Permanent",
    Some(Failure::TimedOut) => "TimedOut",
    Some(Failure::Panicked) => "Panicked",
});

/// How long a mailer took, and whether it took the mail.
pub(crate) fn sent(stopwatch: Stopwatch, failure: Option<Failure>) {
    SENT.observe(failure, stopwatch.seconds());
}

static DELAYED: Key = Key::from_static_name(DELIVERY_DELAY);

/// How long after its code was made a mail was handed over: none, where clocks disagree.
pub(crate) fn delivered(after: TimeDelta) {
    observe(&DELAYED, after.to_std().unwrap_or_default().as_secs_f64());
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    fn seconds(self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// Times a claim. One that is dropped before its answer is recorded too: a guard so slow that
/// callers hang up would be invisible otherwise.
#[derive(Debug)]
pub(crate) struct ClaimTimer(Option<Stopwatch>);

/// How a claim ended.
#[derive(Clone, Copy)]
enum Ended {
    Decided(ClaimOutcome),
    Failed,
    Abandoned,
}

static CLAIMED: Family<Ended> = family!(CLAIM_DURATION, "outcome", {
    Ended::Decided(ClaimOutcome::Claimed) => "Claimed",
    Ended::Decided(ClaimOutcome::Replayed) => "Replayed",
    Ended::Decided(ClaimOutcome::Unknowable) => "Unknowable",
    Ended::Failed => "Failed",
    Ended::Abandoned => "Abandoned",
});

impl ClaimTimer {
    pub(crate) fn start() -> Self {
        Self(Some(Stopwatch::start()))
    }

    /// `None` if the guard failed.
    pub(crate) fn stop(&mut self, outcome: Option<ClaimOutcome>) {
        self.end(outcome.map_or(Ended::Failed, Ended::Decided));
    }

    fn end(&mut self, ended: Ended) {
        let Some(stopwatch) = self.0.take() else {
            return;
        };
        CLAIMED.observe(ended, stopwatch.seconds());
    }
}

impl Drop for ClaimTimer {
    fn drop(&mut self) {
        self.end(Ended::Abandoned);
    }
}

static IN_HAND: Key = Key::from_static_name(COURIER_MAILS);

/// A mail that a courier has in hand, however that ends. The gauge is kept, so that what was not
/// counted on is not counted off.
#[must_use]
pub(crate) struct MailInHand(Gauge);

impl MailInHand {
    pub(crate) fn taken() -> Self {
        let gauge = gauge(&IN_HAND);
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for MailInHand {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
