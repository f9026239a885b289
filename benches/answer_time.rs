//! What the time of an answer tells about the user who was asked for.
//!
//! The endpoint behind all checks, on a real socket, with a mailer that takes 2 s; callers on the
//! same machine, so that no network's noise hides anything. Every call is about a user of its own,
//! in random order of states. What is compared, and what came out, is in `src/docs/threats.md`.
//!
//! ```sh
//! cargo bench --bench answer_time
//! STORES=memory GRID_MILLIS=0 CONNECTIONS=4 cargo bench --bench answer_time
//! ```
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `STORES` | `memory,sqlite,postgres` | which stores, each with its own replay guard |
//! | `GRID_MILLIS` | `100` | step of the answer's grid; 0 for none |
//! | `CALLS` | `10000` | calls about each state |
//! | `PAIRS` | `1000` | calls about each state that go with another: with one about somebody unknown, and with one that is refused |
//! | `CONNECTIONS` | `32` | calls under way at once |
//! | `POSTGRES_URL` | `postgres://postgres@127.0.0.1:5432/test` | where a schema is made, and dropped |

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of samples are small and positive"
)]

mod answers;
#[expect(dead_code, reason = "Welch's t is for what has no long tail")]
mod statistics;

use std::{env, net::SocketAddr, time::Duration};

use tokio::runtime::Runtime;
use tower_registration::backend::{
    memory::{MemoryRegistrations, MemoryReplayGuard},
    postgres::PostgresBackend,
    sqlite::SqliteBackend,
};

use crate::answers::{
    caller::{call, call_beside, call_pairs},
    report,
    server::{courier, dispatcher, serve},
    states::{State, Target, entered, targets},
};

const SCHEMA: &str = "tower_registration_answer_time";
/// Calls that are not counted: connections are made, and what is lazy is done.
const WARM_UP: usize = 100;

struct Settings {
    grid: Duration,
    connections: usize,
    warm_up: Vec<Target>,
    calls: Vec<Target>,
    pairs: Vec<Target>,
    beside: Vec<Target>,
}

impl Settings {
    fn read() -> Self {
        // Nobody compares unknown users with themselves twice.
        let each = number("PAIRS", 1_000);
        let mut pairs = targets("pair", each);
        pairs.retain(|target| target.state != State::Unknown);
        Self {
            grid: Duration::from_millis(number("GRID_MILLIS", 100) as u64),
            connections: number("CONNECTIONS", 32).max(1),
            warm_up: targets("warm", WARM_UP),
            calls: targets("user", number("CALLS", 10_000)),
            pairs,
            beside: targets("with", each),
        }
    }

    fn all(&self) -> Vec<Target> {
        [&self.warm_up[..], &self.calls, &self.pairs, &self.beside].concat()
    }
}

fn main() {
    let stores = env::var("STORES").unwrap_or_else(|_| "memory,sqlite,postgres".to_owned());
    let settings = Settings::read();
    for store in stores.split(',') {
        let runtime = Runtime::new().expect("a runtime");
        match store {
            "memory" => measure(store, &settings, runtime.block_on(on_memory(&settings))),
            "sqlite" => {
                let directory = tempfile::tempdir().expect("a directory");
                let url = format!("sqlite://{}/registration.db", directory.path().display());
                let address = runtime.block_on(on_sqlite(&settings, &url));
                measure(store, &settings, address);
            }
            "postgres" => {
                let backend = runtime.block_on(schema());
                let address = runtime.block_on(on_postgres(&settings, &backend));
                measure(store, &settings, address);
                runtime.block_on(drop_schema(&backend));
            }
            other => panic!("STORES has {other}, which is none of memory, sqlite, postgres"),
        }
        runtime.shutdown_background();
    }
}

fn number(variable: &str, default: usize) -> usize {
    let text = env::var(variable);
    text.map_or(default, |text| text.parse().expect(variable))
}

fn measure(store: &str, settings: &Settings, address: SocketAddr) {
    let (grid, connections) = (settings.grid, settings.connections);
    println!("## {store}, grid of {grid:?}, {connections} connections\n");
    call(address, &settings.warm_up, connections);
    let calls = call(address, &settings.calls, connections);
    report::print_states(&calls, grid);
    report::print_comparisons(&calls);
    report::print_aftermath(&calls);
    let pairs = call_pairs(address, &settings.pairs, connections.div_ceil(2));
    report::print_order(&pairs);
    let beside = call_beside(address, &settings.beside, connections.div_ceil(4));
    report::print_beside(&beside);
}

async fn on_memory(settings: &Settings) -> SocketAddr {
    let registrations = entered(MemoryRegistrations::new(), &settings.all()).await;
    let guard = MemoryReplayGuard::builder().build().expect("a guard");
    // It refuses what dates from before its start, and nonces have milliseconds.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let courier = courier(&registrations);
    serve(registrations, courier, guard, settings.grid).await
}

async fn on_sqlite(settings: &Settings, url: &str) -> SocketAddr {
    let backend = SqliteBackend::connect(url).await.expect("a file");
    let registrations = entered(backend.registrations(), &settings.all()).await;
    let wake = dispatcher(&registrations);
    serve(registrations, wake, backend.replay_guard(), settings.grid).await
}

async fn on_postgres(settings: &Settings, backend: &PostgresBackend) -> SocketAddr {
    let registrations = entered(backend.registrations(), &settings.all()).await;
    let wake = dispatcher(&registrations);
    serve(registrations, wake, backend.replay_guard(), settings.grid).await
}

/// A schema that nothing is in.
async fn schema() -> PostgresBackend {
    let url = env::var("POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/test".to_owned());
    let connect = || PostgresBackend::settings().schema(SCHEMA).connect(&url);
    let left_behind = connect().await.expect("a database");
    drop_schema(&left_behind).await;
    left_behind.close().await;
    connect().await.expect("a database")
}

async fn drop_schema(backend: &PostgresBackend) {
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP SCHEMA {SCHEMA} CASCADE")))
        .execute(backend.pool())
        .await
        .expect("a schema that is ours");
}
