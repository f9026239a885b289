//! The connection to one server, which is made anew where it breaks, and that to a cluster, which
//! the driver keeps.
//!
//! The driver has a manager that connects anew, too. It hands a new connection out before anybody
//! can ask the server behind it when it started; this one asks first.

use std::{
    sync::Arc,
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
use tokio::{sync::Mutex, time::timeout};

use super::{CONNECT_TIMEOUT, RedisGuardError, handshake};
use crate::{
    clock::{Clock, SystemClock},
    trace,
};

/// After a failed try to connect, claims fail at once for so long: else each would wait for a try of
/// its own.
const PAUSE: Duration = Duration::from_millis(100);

/// Where claims go.
pub(super) enum Servers {
    One(Box<Single>),
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
    Lost,
    Down(Instant),
}

/// A connection to a server that has been looked at.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) connection: MultiplexedConnection,
    /// When the server had surely started.
    pub(super) started_by: DateTime<Utc>,
    id: Arc<()>,
}

impl Single {
    pub(super) fn new(client: Client, address: String, answer_timeout: Duration) -> Self {
        Self {
            client,
            address,
            answer_timeout,
            state: Mutex::new(State::Lost),
        }
    }

    /// The connection, made anew where there is none: by one claim, for which the others wait.
    pub(super) async fn live(&self) -> Result<Live, RedisGuardError> {
        let mut state = self.state.lock().await;
        match &*state {
            State::Up(live) => return Ok(live.clone()),
            State::Down(since) if since.elapsed() < PAUSE => {
                return Err(RedisGuardError::Down {
                    address: self.address.clone(),
                });
            }
            State::Down(_) | State::Lost => {}
        }
        let opened = timeout(CONNECT_TIMEOUT, self.open()).await;
        let opened = opened.unwrap_or(Err(RedisGuardError::TimedOut(CONNECT_TIMEOUT)));
        *state = match &opened {
            Ok(live) => State::Up(live.clone()),
            Err(error) => {
                trace::warn!(target: trace::VERIFY, address = self.address, error = %error, "the Redis server can't be connected to");
                State::Down(Instant::now())
            }
        };
        opened
    }

    async fn open(&self) -> Result<Live, RedisGuardError> {
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
            id: Arc::default(),
        })
    }

    /// Gives a connection up, so that the next claim makes another.
    pub(super) async fn leave(&self, live: &Live) {
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Up(current) if Arc::ptr_eq(&current.id, &live.id)) {
            *state = State::Lost;
        }
    }
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
