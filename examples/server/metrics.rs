//! The page that Prometheus scrapes: on an address of its own, where no caller comes.

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use chrono::Utc;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tower_registration::{
    metrics::{BUCKETS, describe, sample_mails, sample_nonces},
    nonce::ReplayGuard,
    registration::Outbox,
};

use crate::Failure;

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
        let mut prometheus = PrometheusBuilder::new();
        for (name, buckets) in BUCKETS {
            let histogram = Matcher::Full((*name).to_owned());
            prometheus = prometheus.set_buckets_for_metric(histogram, buckets)?;
        }
        let prometheus = prometheus.install_recorder()?;
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
