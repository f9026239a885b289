//! Settings of a guard, and connecting it.

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use redis::{Client, ConnectionInfo, IntoConnectionInfo, cluster::ClusterClientBuilder};

use super::{
    RedisGuardError, RedisReplayGuard,
    connection::{Servers, Single, cluster},
};

/// How long connecting may take.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long an answer may take.
pub const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How far the server's clock and a claim's may be apart, unless set otherwise.
pub const DEFAULT_CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// The longest tolerance: an hour.
pub const MAX_CLOCK_TOLERANCE: Duration = Duration::from_hours(1);
/// What keys begin with, unless set otherwise.
pub const DEFAULT_PREFIX: &str = "tower-registration:nonce:";

/// How a [`RedisReplayGuard`] is connected and keeps its entries.
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisSettings {
    pub(super) prefix: String,
    pub(super) tolerance: Duration,
    pub(super) replicas: Option<Replicas>,
    start_margin: Duration,
    accepts_before_start: bool,
}

/// How many replicas a claim waits for, and how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) wanted: NonZeroUsize,
    pub(super) within: Duration,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            prefix: DEFAULT_PREFIX.to_owned(),
            tolerance: DEFAULT_CLOCK_TOLERANCE,
            replicas: None,
            start_margin: Duration::ZERO,
            accepts_before_start: false,
        }
    }
}

impl RedisSettings {
    /// What keys begin with, [`DEFAULT_PREFIX`] by default. Guards that are to know one another's
    /// claims have the same.
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..self
        }
    }

    /// How far the server's clock and a claim's may be apart, the time on the way included; at most
    /// [`MAX_CLOCK_TOLERANCE`], [`DEFAULT_CLOCK_TOLERANCE`] by default. Past that, nonces are
    /// [`Unknowable`](crate::nonce::ClaimOutcome::Unknowable), and the log says why.
    ///
    /// Entries are kept so much longer. Guards on one server have the same.
    pub fn clock_tolerance(self, tolerance: Duration) -> Self {
        Self { tolerance, ..self }
    }

    /// Makes each claim wait until so many replicas have it, for `within` at most (whole
    /// milliseconds, at least 1), by `WAIT`.
    ///
    /// Too few are an error, which refuses; the nonce is used up then.
    ///
    /// This is for few claims a second. All claims of a guard share one connection, on which Redis
    /// answers one after the other: while one waits, those behind it do, too. So a guard gets about
    /// one claim through per replication lag. With a replica gone, each claim takes all of `within`,
    /// and the caller waits [`RESPONSE_TIMEOUT`] longer than that at most: of claims made at once,
    /// the later ones are [`TimedOut`](RedisGuardError::TimedOut), from the second in line on where
    /// `within` is longer than [`RESPONSE_TIMEOUT`]. Guards that are connected apart wait side by
    /// side. In a cluster this is not tested.
    pub fn wait_for_replicas(self, wanted: NonZeroUsize, within: Duration) -> Self {
        let replicas = Some(Replicas { wanted, within });
        Self { replicas, ..self }
    }

    /// How far past the server's start, and the clock tolerance, the guard goes on to refuse; 0 by
    /// default.
    ///
    /// A nonce that a client dated ahead, and claimed before a restart, may be dated after it. A
    /// margin as long as the `max_future` of the [`Freshness`](crate::nonce::Freshness) in front of
    /// the guard closes that gap; the price is that nobody with a right clock gets in for that long
    /// after a restart.
    pub fn start_margin(self, margin: Duration) -> Self {
        Self {
            start_margin: margin,
            ..self
        }
    }

    /// Accepts nonces dated before the server's start.
    ///
    /// By default they are [`Unknowable`](crate::nonce::ClaimOutcome::Unknowable), those within the
    /// clock tolerance after it included: a server that restarted may have lost their claims. Use
    /// this where none can be: every write is on the disk before it is acknowledged
    /// (`appendfsync always`). A cluster's start is not known; this is what it does.
    pub fn insecure_accept_before_start(self) -> Self {
        Self {
            accepts_before_start: true,
            ..self
        }
    }

    /// Connects to one server: `redis://user:password@host:6379/0`, or `unix:///path`.
    ///
    /// # Errors
    ///
    /// If `url` is none, the server can't be reached within [`CONNECT_TIMEOUT`], refuses the login,
    /// or evicts keys.
    pub async fn connect(self, url: &str) -> Result<RedisReplayGuard, RedisGuardError> {
        self.check()?;
        let info = info(url)?;
        let address = info.addr().to_string();
        let client = Client::open(info).map_err(|_| RedisGuardError::Url)?;
        let single = Arc::new(Single::new(client, address, self.answer_timeout()));
        single.live().await?;
        Ok(RedisReplayGuard::new(self, Servers::One(single)))
    }

    /// Connects to a cluster, of which any nodes are given.
    ///
    /// # Errors
    ///
    /// If there is no URL, or one is none, no node can be reached within twice
    /// [`CONNECT_TIMEOUT`], the login is refused, or a primary evicts keys.
    pub async fn connect_cluster(
        self,
        urls: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<RedisReplayGuard, RedisGuardError> {
        self.check()?;
        let nodes = urls.into_iter().map(|url| info(url.as_ref()));
        let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
        if nodes.is_empty() {
            return Err(RedisGuardError::NoNodes);
        }
        let addresses: Vec<_> = nodes.iter().map(|node| node.addr().to_string()).collect();
        let client = ClusterClientBuilder::new(nodes)
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(self.answer_timeout())
            .build()
            .map_err(|_| RedisGuardError::Url)?;
        let connection = cluster(&client, &addresses.join(", ")).await?;
        Ok(RedisReplayGuard::new(self, Servers::Cluster(connection)))
    }

    fn check(&self) -> Result<(), RedisGuardError> {
        if self.tolerance > MAX_CLOCK_TOLERANCE {
            return Err(RedisGuardError::Tolerance(self.tolerance));
        }
        Ok(())
    }

    /// How long an answer to a claim may take.
    pub(super) fn answer_timeout(&self) -> Duration {
        let waiting = self
            .replicas
            .map_or(Duration::ZERO, |replicas| replicas.within);
        RESPONSE_TIMEOUT.saturating_add(waiting)
    }

    /// Whether a nonce dates from before the server surely remembers.
    pub(super) fn is_from_before(
        &self,
        issued_at: DateTime<Utc>,
        started_by: DateTime<Utc>,
    ) -> bool {
        let start_margin = TimeDelta::from_std(self.start_margin).ok();
        let margin = start_margin.and_then(|margin| margin.checked_add(&self.margin()));
        let remembers_from = margin.and_then(|margin| started_by.checked_add_signed(margin));
        !self.accepts_before_start && remembers_from.is_none_or(|from| issued_at < from)
    }

    /// The tolerance, which is checked.
    pub(super) fn margin(&self) -> TimeDelta {
        TimeDelta::from_std(self.tolerance).unwrap_or_default()
    }
}

fn info(url: &str) -> Result<ConnectionInfo, RedisGuardError> {
    // The driver takes a file's name, and whatever else it does not know, for something.
    let known = ["redis://", "rediss://", "unix://", "redis+unix://"];
    if !known.iter().any(|scheme| url.starts_with(scheme)) {
        return Err(RedisGuardError::Url);
    }
    url.into_connection_info().map_err(|_| RedisGuardError::Url)
}
