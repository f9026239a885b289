//! What can go wrong with a Redis server.

use std::{error::Error, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError};

use super::settings::MAX_CLOCK_TOLERANCE;

type SharedError = Arc<dyn Error + Send + Sync>;

/// Why a server could not be connected to, or a claim was not made. No URL and no password is in it.
///
/// A shared source is the driver's own error. Its type is no part of this crate's API.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisGuardError {
    /// The URL names no Redis server. It is not repeated here, since it may hold a password.
    #[error(
        "no URL of a Redis server: use `redis://user:password@host:6379/0`, percent-encoded, or \
         `rediss://` with a TLS feature of the `redis` crate"
    )]
    Url,
    /// A cluster without a node to begin with.
    #[error("no node of the Redis cluster is given: name at least one URL")]
    NoNodes,
    /// A tolerance over the bound.
    #[error("a clock tolerance of {0:?} is too long: set at most {MAX_CLOCK_TOLERANCE:?}")]
    Tolerance(Duration),
    /// Nobody answers as a Redis server there.
    #[error("the Redis server at {address} could not be reached: check host, port and firewall")]
    Unreachable {
        /// Host and port, or nodes.
        address: String,
        /// What the driver says.
        source: SharedError,
    },
    /// The server wants another login.
    #[error("the Redis server at {address} refused the login: check user and password in the URL")]
    Login {
        /// Host and port, or nodes.
        address: String,
    },
    /// The server would forget live nonces to make room.
    #[error(
        "the Redis server evicts keys (maxmemory-policy {policy}), and with them used nonces: set \
         `maxmemory-policy noeviction`, or use another server"
    )]
    Evicts {
        /// The policy.
        policy: String,
    },
    /// No answer in time. The claim may have been made.
    #[error("the Redis server did not answer within {0:?}")]
    TimedOut(Duration),
    /// The last try to connect failed a moment ago, and the next has yet to come.
    #[error("the Redis server at {address} can't be reached at the moment")]
    Down {
        /// Host and port.
        address: String,
    },
    /// The server's memory is full.
    #[error(
        "the Redis server is out of memory: raise its maxmemory, or shorten the nonces' window"
    )]
    Full,
    /// Too few replicas have the claim. It stands all the same: the nonce is used up.
    #[error("{acknowledged} replicas have the claim, and {wanted} should")]
    Replicas {
        /// How many have it.
        acknowledged: i64,
        /// How many should.
        wanted: usize,
    },
    /// The server refused a command, or the connection broke. The claim may have been made.
    #[error("the Redis server gave no answer to a claim")]
    Failed(#[source] SharedError),
    /// An answer that no Redis server gives.
    #[error("the Redis server gave an answer that was not expected")]
    Unexpected,
}

impl RedisGuardError {
    /// What a failure to connect means.
    pub(super) fn connecting(address: &str, source: RedisError) -> Self {
        let address = address.to_owned();
        if is_about_the_login(&source) {
            Self::Login { address }
        } else {
            let source = Arc::new(source);
            Self::Unreachable { address, source }
        }
    }

    /// What a failure after that means.
    pub(super) fn failed(source: RedisError) -> Self {
        Self::Failed(Arc::new(source))
    }
}

fn is_about_the_login(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS"))
}
