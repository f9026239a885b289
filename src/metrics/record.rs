//! What is recorded while requests are served and mails are sent.
//!
//! A label's value is a literal beside the variant that it stands for: there are no other series
//! than those that are written here, and none is looked up by a text from outside.

use std::time::Instant;

use chrono::TimeDelta;
use metrics::{Gauge, Key, Label, Level, Metadata, with_recorder};

use super::{
    CLAIM_DURATION, COURIER_MAILS, DELIVERY_DELAY, MAIL_ATTEMPTS, REDEEMS, REJECTIONS, REQUESTS,
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

/// The series of the metric `$name` that stands for what was given, made when this is compiled.
macro_rules! series {
    ($name:expr, $label:literal, $given:expr, { $($pattern:pat => $value:expr,)+ }) => {
        match $given {
            $($pattern => {
                static LABELS: [Label; 1] = [Label::from_static_parts($label, $value)];
                static KEY: Key = Key::from_static_parts($name, &LABELS);
                &KEY
            })+
        }
    };
}

fn count(series: &'static Key) {
    with_recorder(|recorder| recorder.register_counter(series, &METADATA).increment(1));
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

pub(crate) fn rejected(kind: RejectionKind) {
    /// Each by the name that the caller gets.
    macro_rules! by_name {
        ($($kind:ident)+) => {
            series!(REJECTIONS, "kind", kind, {
                $(RejectionKind::$kind => RejectionKind::$kind.row().name,)+
            })
        };
    }
    count(by_name! {
        NonceInvalid NonceReplayed UserActionReplayed BodyInvalid AppInvalid AppSecretInvalid
        ApiSignatureInvalid UserActionInvalid PermissionDenied MethodNotAllowed BodyTimeout
        BodyTooLarge ContentTypeInvalid InternalError Unavailable
    });
}

pub(crate) fn requested(came_to: Requested) {
    use Requested::{Decided, Failed, NoRoom};
    count(series!(REQUESTS, "outcome", came_to, {
        Decided(ResendOutcome::Issued { .. }) => "Issued",
        Decided(ResendOutcome::UnknownUser) => "UnknownUser",
        Decided(ResendOutcome::Kept(Kept::Registered)) => "Registered",
        Decided(ResendOutcome::Kept(Kept::Deactivated)) => "Deactivated",
        Decided(ResendOutcome::Kept(Kept::KindNotPermitted)) => "KindNotPermitted",
        Decided(ResendOutcome::Kept(Kept::CoolingDown)) => "CoolingDown",
        Decided(ResendOutcome::Kept(Kept::MailInFlight)) => "MailInFlight",
        Decided(ResendOutcome::Kept(Kept::HourlyCap)) => "HourlyCap",
        Decided(ResendOutcome::Kept(Kept::DailyCap)) => "DailyCap",
        NoRoom => "NoRoom",
        Failed => "Failed",
    }));
}

/// `None` if there was no decision.
pub(crate) fn redeemed(outcome: Option<RedeemOutcome>) {
    count(series!(REDEEMS, "outcome", outcome, {
        Some(RedeemOutcome::Redeemed) => "Redeemed",
        Some(RedeemOutcome::WrongGuess) => "WrongGuess",
        Some(RedeemOutcome::UnknownUser) => "UnknownUser",
        Some(RedeemOutcome::Refused(Refusal::Registered)) => "Registered",
        Some(RedeemOutcome::Refused(Refusal::Deactivated)) => "Deactivated",
        Some(RedeemOutcome::Refused(Refusal::NoCode)) => "NoCode",
        Some(RedeemOutcome::Refused(Refusal::Expired)) => "Expired",
        Some(RedeemOutcome::Refused(Refusal::GuessesSpent)) => "GuessesSpent",
        None => "Failed",
    }));
}

/// What became of a try at a mail; `None` if it could not be settled.
pub(crate) fn tried(outcome: Option<Delivery>) {
    count(series!(MAIL_ATTEMPTS, "outcome", outcome, {
        Some(Delivery::Delivered) => "Delivered",
        Some(Delivery::Later(_)) => "Later",
        Some(Delivery::Unopened(_)) => "Unopened",
        Some(Delivery::Superseded) => "Superseded",
        Some(Delivery::NothingOwed) => "NothingOwed",
        Some(Delivery::GaveUp(GiveUp::Permanent)) => "Permanent",
        Some(Delivery::GaveUp(GiveUp::TriesSpent)) => "TriesSpent",
        Some(Delivery::GaveUp(GiveUp::Moot)) => "Moot",
        Some(Delivery::GaveUp(GiveUp::SealBroken)) => "SealBroken",
        None => "Unsettled",
    }));
}

/// How long a mailer took, and whether it took the mail.
pub(crate) fn sent(stopwatch: Stopwatch, failure: Option<Failure>) {
    let series = series!(SEND_DURATION, "outcome", failure, {
        None => "Accepted",
        Some(Failure::Transient) => "Transient",
        Some(Failure::Permanent) => "Permanent",
        Some(Failure::TimedOut) => "TimedOut",
        Some(Failure::Panicked) => "Panicked",
    });
    observe(series, stopwatch.seconds());
}

/// How long after its code was made a mail was handed over: none, where clocks disagree.
pub(crate) fn delivered(after: TimeDelta) {
    static KEY: Key = Key::from_static_name(DELIVERY_DELAY);
    observe(&KEY, after.to_std().unwrap_or_default().as_secs_f64());
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
        let series = series!(CLAIM_DURATION, "outcome", ended, {
            Ended::Decided(ClaimOutcome::Claimed) => "Claimed",
            Ended::Decided(ClaimOutcome::Replayed) => "Replayed",
            Ended::Decided(ClaimOutcome::Unknowable) => "Unknowable",
            Ended::Failed => "Failed",
            Ended::Abandoned => "Abandoned",
        });
        observe(series, stopwatch.seconds());
    }
}

impl Drop for ClaimTimer {
    fn drop(&mut self) {
        self.end(Ended::Abandoned);
    }
}

/// A mail that a courier has in hand, however that ends. The gauge is kept, so that what was not
/// counted on is not counted off.
#[must_use]
pub(crate) struct MailInHand(Gauge);

impl MailInHand {
    pub(crate) fn taken() -> Self {
        static KEY: Key = Key::from_static_name(COURIER_MAILS);
        let gauge = gauge(&KEY);
        gauge.increment(1);
        Self(gauge)
    }
}

impl Drop for MailInHand {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}
