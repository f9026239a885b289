//! Numbers to watch (feature `metrics`), through the [`metrics`](https://docs.rs/metrics) facade:
//! whatever recorder the program installs gets them. Without one, nothing happens.
//!
//! | name | kind | unit | label and its values | when |
//! | --- | --- | --- | --- | --- |
//! | `tower_registration_resends_total` | counter | requests | `outcome`: `Issued`, `UnknownUser`, `Registered`, `Deactivated`, `KindNotPermitted`, `CoolingDown`, `MailInFlight`, `HourlyCap`, `DailyCap`, `NoRoom`, `Failed` | the endpoint has decided about a request that was in order; for the last two it could not: they are among the rejections too, as `Unavailable` |
//! | `tower_registration_redeems_total` | counter | requests | `outcome`: `Redeemed`, `WrongGuess`, `UnknownUser`, `Registered`, `Deactivated`, `NoCode`, `Expired`, `GuessesSpent`, `Failed` | [`redeem`](crate::registration::Registrations::redeem) has returned |
//! | `tower_registration_rejections_total` | counter | requests | `kind`: `NonceInvalid`, `NonceReplayed`, `UserActionReplayed`, `BodyInvalid`, `AppInvalid`, `AppSecretInvalid`, `ApiSignatureInvalid`, `UserActionInvalid`, `PermissionDenied`, `MethodNotAllowed`, `BodyTimeout`, `BodyTooLarge`, `ContentTypeInvalid`, `InternalError`, `Unavailable` | a layer or the endpoint refuses, by the [kind](crate::rejection::RejectionKind) that the caller is told |
//! | `tower_registration_nonce_claim_duration_seconds` | histogram | seconds | `outcome`: `Claimed`, `Replayed`, `Unknowable`, `Failed`, `Abandoned` | a [guard](crate::nonce::ReplayGuard) has answered or failed; `Abandoned` are claims that were dropped before, since the caller hung up or the guard panicked. The count of `Claimed` is that of requests that passed all checks, a user action's excepted |
//! | `tower_registration_nonces_live` | gauge | nonces | none | [`sample_nonces`]: what takes up room in the guard |
//! | `tower_registration_nonces_capacity` | gauge | nonces | none | the same: how many there may be |
//! | `tower_registration_mails_owed` | gauge | mails | none | [`sample_mails`]: users who are owed one, in the whole store |
//! | `tower_registration_mails_owed_oldest_age_seconds` | gauge | seconds | none | the same: since the oldest code among theirs was made; 0 where none is owed |
//! | `tower_registration_courier_mails` | gauge | mails | none | a [`Courier`](crate::delivery::Courier) takes a mail or is done with it: what it has in hand |
//! | `tower_registration_mail_attempts_total` | counter | mails | `outcome`: `Delivered`, `Later`, `Unopened`, `Superseded`, `Permanent`, `TriesSpent`, `Moot`, `SealBroken`, `Unsettled` | a try at a mail is settled, or could not be (`Unsettled`). `Unopened` are looks, each 5 to 10 s, at a mail that was sealed with another key than this process's; it stays owed. `Permanent`, `TriesSpent`, `Moot` and `SealBroken` say why the mail was [given up](crate::delivery::GiveUp) |
//! | `tower_registration_mail_send_duration_seconds` | histogram | seconds | `outcome`: `Accepted`, `Transient`, `Permanent`, `TimedOut`, `Panicked` | the [`Mailer`](crate::mail::Mailer) has answered or [failed](crate::delivery::Failure) |
//! | `tower_registration_mail_delivery_delay_seconds` | histogram | seconds | none | the mailer has accepted a mail: how long after its code was made |
//!
//! 1. **There are no other series.** No label has a value from outside: no application,
//!    organisation, user or address. Whoever calls can't make the recorder grow.
//! 2. **Counters and histograms come by themselves,** from each process for what it does. Of many
//!    machines, add them up. [`describe`] makes all their series, at 0, so that `increase` and `rate`
//!    miss no event that comes after the first scrape.
//! 3. **Gauges of a store are sampled,** when the program asks for it, so that no request and no
//!    dispatcher pays for it: call [`sample_nonces`] and [`sample_mails`] before each scrape, or
//!    every ten seconds or so. They tell what the store holds, whichever process put it there and
//!    however long ago: of many machines on one store, take the greatest. A guard in memory is its
//!    process's own. After a failure they are NaN, not what they last were.
//! 4. **Not reported:** a guard in Redis has no bound of its own, and Redis's exporter tells how full
//!    that is. What a courier's mails wait for shows in the delay of those delivered; a store behind
//!    one may be no [`Outbox`](crate::registration::Outbox), which alone can tell who is owed a mail.
//! 5. **For operators.** Callers are all told one thing, and these numbers tell what became of them.
//!    They name nobody, but a caller who could read them between two requests of its own would
//!    learn from the difference who has an account. Serve them where no caller comes.
//!
//! Install the recorder first: what was counted before is lost. Give it the [`BUCKETS`]: without
//! any, Prometheus' exporter makes summaries, which can't be added up, and which the dashboard does
//! not read.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use chrono::Utc;
//! use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
//! use tower_registration::{
//!     backend::memory::{MemoryRegistrations, MemoryReplayGuard},
//!     metrics,
//! };
//!
//! let mut builder = PrometheusBuilder::new();
//! for (name, buckets) in metrics::BUCKETS {
//!     let histogram = Matcher::Full((*name).to_owned());
//!     builder = builder.set_buckets_for_metric(histogram, buckets).unwrap();
//! }
//! let prometheus = builder.install_recorder().unwrap();
//! metrics::describe();
//! // Otherwise what histograms are told piles up until the next scrape.
//! let upkeep = prometheus.clone();
//! tokio::spawn(async move {
//!     loop {
//!         tokio::time::sleep(Duration::from_secs(5)).await;
//!         upkeep.run_upkeep();
//!     }
//! });
//!
//! let guard = MemoryReplayGuard::builder().capacity(1_000).build().unwrap();
//! let store = MemoryRegistrations::new();
//! // Before each scrape:
//! metrics::sample_nonces(&guard).await.unwrap();
//! metrics::sample_mails(&store, Utc::now()).await.unwrap();
//! let page = prometheus.render();
//! assert!(page.contains("tower_registration_nonces_capacity 1000"), "{page}");
//! assert!(page.contains("tower_registration_mails_owed 0"), "{page}");
//! let claims = "tower_registration_nonce_claim_duration_seconds_bucket";
//! assert!(page.contains(&format!(r#"{claims}{{outcome="Claimed",le="0.000001"}} 0"#)), "{page}");
//! # });
//! ```
//!
//! `examples/server` serves them, and `examples/dashboards` has a Grafana dashboard and alerts.

pub(crate) mod record;
mod sample;

pub use sample::{sample_mails, sample_nonces};

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

const RESENDS: &str = "tower_registration_resends_total";
const REDEEMS: &str = "tower_registration_redeems_total";
const REJECTIONS: &str = "tower_registration_rejections_total";
const CLAIM_DURATION: &str = "tower_registration_nonce_claim_duration_seconds";
const NONCES_LIVE: &str = "tower_registration_nonces_live";
const NONCES_CAPACITY: &str = "tower_registration_nonces_capacity";
const MAILS_OWED: &str = "tower_registration_mails_owed";
const OLDEST_AGE: &str = "tower_registration_mails_owed_oldest_age_seconds";
const COURIER_MAILS: &str = "tower_registration_courier_mails";
const MAIL_ATTEMPTS: &str = "tower_registration_mail_attempts_total";
const SEND_DURATION: &str = "tower_registration_mail_send_duration_seconds";
const DELIVERY_DELAY: &str = "tower_registration_mail_delivery_delay_seconds";

/// For each histogram, its name and the upper bounds of its buckets, in seconds.
pub const BUCKETS: &[(&str, &[f64])] = &[
    (CLAIM_DURATION, &CLAIM_BUCKETS),
    (SEND_DURATION, &SEND_BUCKETS),
    (DELIVERY_DELAY, &DELAY_BUCKETS),
];

/// From a guard in memory to a database that almost does not answer.
const CLAIM_BUCKETS: [f64; 14] = [
    0.000_001, 0.000_003, 0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3,
    1.0, 3.0,
];
/// From a file to a mail server that is given up on.
const SEND_BUCKETS: [f64; 10] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
/// From a mail that goes out at once to one whose code has almost expired.
const DELAY_BUCKETS: [f64; 12] = [
    0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0,
];

/// Tells the recorder what each metric is, and its unit, and makes all series but those that are
/// sampled, at 0. Call it once, after installing one.
pub fn describe() {
    record::begin();
    describe_counter!(
        RESENDS,
        Unit::Count,
        "Requests for a registration code, by what was done."
    );
    describe_counter!(REDEEMS, Unit::Count, "Codes shown, by what was done.");
    describe_counter!(
        REJECTIONS,
        Unit::Count,
        "Requests refused, by what the caller was told."
    );
    describe_histogram!(
        CLAIM_DURATION,
        Unit::Seconds,
        "How long the replay guard took, by outcome."
    );
    describe_gauge!(
        NONCES_LIVE,
        Unit::Count,
        "Nonces that take up room in the replay guard."
    );
    describe_gauge!(
        NONCES_CAPACITY,
        Unit::Count,
        "Nonces that the replay guard may hold."
    );
    describe_gauge!(
        MAILS_OWED,
        Unit::Count,
        "Users who are owed a mail, in the whole store."
    );
    describe_gauge!(
        OLDEST_AGE,
        Unit::Seconds,
        "Since the oldest code was made whose mail is owed."
    );
    describe_gauge!(
        COURIER_MAILS,
        Unit::Count,
        "Mails that the couriers of this process have in hand."
    );
    describe_counter!(
        MAIL_ATTEMPTS,
        Unit::Count,
        "Tries at mails, by what became of the mail."
    );
    describe_histogram!(
        SEND_DURATION,
        Unit::Seconds,
        "How long the mailer took, by what it said."
    );
    describe_histogram!(
        DELIVERY_DELAY,
        Unit::Seconds,
        "From the making of a code to its mail's being accepted."
    );
}
