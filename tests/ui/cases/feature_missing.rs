//! What features add, without them.

use tower_registration::{
    backend::{postgres::PostgresBackend, redis::RedisReplayGuard, sqlite::SqliteBackend},
    client::SignRequestLayer,
    mail::LettreMailer,
    metrics::describe,
};

fn main() {}
