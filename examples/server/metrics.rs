//! The page that Prometheus scrapes: on an address of its own, where no caller comes.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use chrono::Utc;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tower_registration::{
    metrics::{describe, sample_mails, sample_nonces},
    nonce::ReplayGuard,
    registration::Outbox,
};

use crate::Failure;

/// From a guard in memory to a mail server that does not answer, in seconds.
const DURATIONS: [f64; 15] = [
    0.000_001, 0.000_003, 0.000_01, 0.000_03, 0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3,
    1.0, 5.0, 30.0,
];
/// From a mail that goes out at once to one whose code has almost expired, in seconds.
const DELAYS: [f64; 12] = [
    0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0,
];
/// How often what histograms have gathered is put away where nobody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// The page, before anybody can get it.
pub(crate) struct Page {
    listener: TcpListener,
    prometheus: PrometheusHandle,
}

impl Page {
    /// Takes `address`, and everything that is counted from then on.
    pub(crate) async fn open(address: &str) -> Result<Self, Failure> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("METRICS_ADDR={address}: {error}"))?;
        let prometheus = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("duration_seconds".to_owned()), &DURATIONS)?
            .set_buckets_for_metric(Matcher::Suffix("delay_seconds".to_owned()), &DELAYS)?
            .install_recorder()?;
        describe();
        Ok(Self {
            listener,
            prometheus,
        })
    }

    /// Serves it until the process ends, in a task of its own, and says where.
    pub(crate) fn serve<S: Outbox, G: ReplayGuard>(
        self,
        store: Arc<S>,
        guard: Option<Arc<G>>,
    ) -> Result<String, Failure> {
        let place = format!("{}/metrics", self.listener.local_addr()?);
        let prometheus = self.prometheus.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(UPKEEP).await;
                prometheus.run_upkeep();
            }
        });
        let page = get(async move || {
            sample(&*store, guard.as_deref()).await;
            self.prometheus.render()
        });
        let router = Router::new().route("/metrics", page);
        tokio::spawn(async move {
            if let Err(error) = axum::serve(self.listener, router).await {
                tracing::error!(%error, "numbers are served no more");
            }
        });
        Ok(place)
    }
}

/// Each scrape asks anew. What can't be told is NaN on the page.
async fn sample<S: Outbox, G: ReplayGuard>(store: &S, guard: Option<&G>) {
    if let Err(error) = sample_mails(store, Utc::now()).await {
        tracing::warn!(%error, "owed mails were not counted");
    }
    if let Some(guard) = guard
        && let Err(error) = sample_nonces(guard).await
    {
        let error: Box<dyn Error + Send + Sync> = error.into();
        tracing::warn!(%error, "nonces were not counted");
    }
}
