//! The connection to one server, which is made anew where it breaks, and that to a cluster, which
//! the driver keeps.
//!
//! The driver has a manager that connects anew, too. It hands a new connection out before anybody
//! can ask the server behind it when it started; this one asks first.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use redis::{
    AsyncConnectionConfig, Client, Pipeline, RedisResult, Value,
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo},
    from_redis_value,
};
use tokio::{sync::watch, time::timeout};

use super::{CONNECT_TIMEOUT, RedisGuardError, handshake};
use crate::{
    clock::{Clock, SystemClock},
    trace,
};

/// From one connection's beginning, or the end of a try that failed, to the next try. Claims that
/// find no connection in between fail at once: else each would wait for a try of its own.
const PAUSE: Duration = Duration::from_millis(100);

/// For so many times as long as an answer may take, a server is silent before its connection is left.
const PATIENCE: u32 = 2;

/// Where claims go.
pub(super) enum Servers {
    One(Arc<Single>),
    Cluster(ClusterConnection),
}

/// One server.
pub(super) struct Single {
    client: Client,
    address: String,
    answer_timeout: Duration,
    state: Mutex<State>,
}

enum State {
    Up(Live),
    /// In a task, which sets the next state before it tells; it is closed where the task died with
    /// its runtime.
    Connecting(watch::Receiver<Option<Opened>>),
    /// None, and since when.
    Down(Option<Instant>),
}

type Opened = Result<Live, RedisGuardError>;

/// A connection to a server that has been looked at.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) connection: MultiplexedConnection,
    /// When the server had surely started.
    pub(super) started_by: DateTime<Utc>,
    opened_at: Instant,
    /// When the first question was asked since which no answer came.
    silent_since: Arc<Mutex<Option<Instant>>>,
}

impl Single {
    pub(super) fn new(client: Client, address: String, answer_timeout: Duration) -> Self {
        Self {
            client,
            address,
            answer_timeout,
            state: Mutex::new(State::Down(None)),
        }
    }

    /// The connection, made anew where there is none.
    pub(super) async fn live(self: &Arc<Self>) -> Opened {
        let mut opened = {
            let mut state = lock(&self.state);
            match &*state {
                State::Up(live) => return Ok(live.clone()),
                State::Connecting(opened) if opened.has_changed().is_ok() => opened.clone(),
                State::Down(Some(since)) if since.elapsed() < PAUSE => {
                    return Err(self.down());
                }
                State::Down(_) | State::Connecting(_) => {
                    let opened = self.connect();
                    *state = State::Connecting(opened.clone());
                    opened
                }
            }
        };
        // The task takes `CONNECT_TIMEOUT` at most, and so does this.
        let opened = opened.wait_for(Option::is_some).await;
        let opened = opened.ok().and_then(|opened| opened.clone());
        opened.unwrap_or_else(|| Err(self.down()))
    }

    /// Connects in a task of its own: whoever asked for it may be gone before it ends, its client
    /// having hung up or its own time being over. What comes of it, the pause after a failure
    /// included, holds all the same, and nobody starts another try beside it.
    fn connect(self: &Arc<Self>) -> watch::Receiver<Option<Opened>> {
        let (tell, opened) = watch::channel(None);
        let single = self.clone();
        tokio::spawn(async move {
            let opened = timeout(CONNECT_TIMEOUT, single.open()).await;
            let opened = opened.unwrap_or(Err(RedisGuardError::TimedOut(CONNECT_TIMEOUT)));
            *lock(&single.state) = match &opened {
                Ok(live) => State::Up(live.clone()),
                Err(error) => {
                    trace::warn!(target: trace::VERIFY, address = single.address, error = %error, "the Redis server can't be connected to");
                    State::Down(Some(Instant::now()))
                }
            };
            tell.send_replace(Some(opened));
        });
        opened
    }

    fn down(&self) -> RedisGuardError {
        RedisGuardError::Down {
            address: self.address.clone(),
        }
    }

    async fn open(&self) -> Opened {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(self.answer_timeout));
        let connecting = |error| RedisGuardError::connecting(&self.address, error);
        let client = &self.client;
        let connection = client.get_multiplexed_async_connection_with_config(&config);
        let mut connection = connection.await.map_err(connecting)?;
        let answers = ask(&handshake::questions(), &mut connection).await;
        let answers = answers.map_err(connecting)?;
        if let Some(error) = answers.first().and_then(refusal) {
            return Err(connecting(error));
        }
        Ok(Live {
            started_by: handshake::read(&answers, SystemClock.now())?,
            connection,
            opened_at: Instant::now(),
            silent_since: Arc::default(),
        })
    }

    /// Gives a connection up, so that a later claim makes another.
    pub(super) fn leave(&self, live: &Live) {
        let mut state = lock(&self.state);
        if matches!(&*state, State::Up(current) if Arc::ptr_eq(&current.silent_since, &live.silent_since))
        {
            *state = State::Down(Some(live.opened_at));
        }
    }

    /// To be held while an answer is waited for.
    pub(super) fn waiting<'a>(&'a self, live: &'a Live) -> Waiting<'a> {
        Waiting {
            single: self,
            live,
            since: Instant::now(),
        }
    }
}

/// Waits for an answer. Dropped without one, be it that its time is over or that the claim was
/// dropped, it leaves a connection that has been silent for too long.
///
/// One late answer is no reason to leave the connection: the driver matches answers to questions by
/// their order, and throws away those for which nobody waits any more. Leaving would make everybody
/// shake hands anew with a server that is slow as it is. But a connection whose other end is gone
/// without a word is silent until the system gives it up, which takes a quarter of an hour: so it is
/// left once questions have gone without any answer for [`PATIENCE`] times as long as one may take.
#[must_use]
pub(super) struct Waiting<'a> {
    single: &'a Single,
    live: &'a Live,
    since: Instant,
}

impl Waiting<'_> {
    pub(super) fn answered(self) {
        *lock(&self.live.silent_since) = None;
        std::mem::forget(self);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut silent_since = lock(&self.live.silent_since);
        let silent = silent_since.get_or_insert(self.since).elapsed();
        drop(silent_since);
        if silent >= self.single.answer_timeout.saturating_mul(PATIENCE) {
            self.single.leave(self.live);
        }
    }
}

/// Nothing panics with a lock held, nor leaves what it guards half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a server that wants another login answers to everything.
fn refusal(answer: &Value) -> Option<redis::RedisError> {
    match answer {
        Value::ServerError(error) if matches!(error.code(), "NOAUTH" | "LOADING") => {
            answer.clone().extract_error().err()
        }
        _ => None,
    }
}

/// The answers to a pipeline, errors among them, in one round trip.
pub(super) async fn ask(
    pipeline: &Pipeline,
    connection: &mut impl redis::aio::ConnectionLike,
) -> RedisResult<Vec<Value>> {
    pipeline.query_async(connection).await
}

/// Connects to a cluster, of which no primary may evict.
pub(super) async fn cluster(
    client: &ClusterClient,
    addresses: &str,
) -> Result<ClusterConnection, RedisGuardError> {
    let within = 2 * CONNECT_TIMEOUT;
    let connecting = |error| RedisGuardError::connecting(addresses, error);
    let connect = async {
        let mut connection = client.get_async_connection().await.map_err(connecting)?;
        let mut info = redis::cmd("INFO");
        info.arg("memory");
        let primaries = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        match connection.route_command(info, primaries).await {
            Ok(answers) => all_keep(answers)?,
            Err(error) if error.code() == Some("NOPERM") => handshake::judge(None)?,
            Err(error) => return Err(connecting(error)),
        }
        Ok(connection)
    };
    let connected = timeout(within, connect).await;
    connected.unwrap_or(Err(RedisGuardError::TimedOut(within)))
}

/// Judges what each primary says.
fn all_keep(answers: Value) -> Result<(), RedisGuardError> {
    let answers: Vec<(String, String)> =
        from_redis_value(answers).map_err(|_| RedisGuardError::Unexpected)?;
    answers
        .iter()
        .try_for_each(|(_, info)| handshake::judge(handshake::field(info, "maxmemory_policy")))
}
