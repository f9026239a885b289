//! Keeps the example server busy with everything at once, and says what came of it: valid requests,
//! replayed, forged, malformed and slow ones, beside thousands of connections that are kept open.
//!
//! ```sh
//! cargo build --release --example server
//! cargo run --release --example soak -- --seconds 600 --connections 10000 --busy 512
//! ```
//!
//! | argument | default | meaning |
//! | --- | --- | --- |
//! | `--seconds` | 20 | how long |
//! | `--connections` | 500 | connections kept open, each used every 30 s |
//! | `--busy` | 64 | callers who ask without pause |
//! | `--slow` | 32 | callers who send slowly, never finish, or leave |
//! | `--users` | 200 | users who are asked for |
//!
//! It starts the server that lies beside it, on SQLite in a folder of its own, or on what
//! `DATABASE_URL` and `REDIS_URL` name; then it stops it in the middle of traffic, starts it again,
//! and redeems the last code of every user. Linux alone says what it asks of the process. Each side
//! needs a descriptor for each connection: `ulimit -n 20000` allows ten thousand. A broken
//! expectation is a line on standard error, and ends it with 1:
//!
//! 1. Every valid request is accepted, every other one refused as its sort is, and one that was
//!    sent twice at once is accepted once.
//! 2. After the warm-up, the server's memory stays: its last third takes 5 % or 8 MiB more than the
//!    first at most. Warm is who has let a nonce's window pass, or a third of the run. A run under 10 s
//!    may be too short to tell.
//! 3. When all connections are closed, their descriptors are gone.
//! 4. The stop is clean. What got no answer was not begun: sent again, it is accepted.
//! 5. Whoever was told `success` has a mail with the code that counts, and none twice.
//! 6. The server logs no warning and no error, but for sqlx's warnings of a slow database.

mod busy;
mod connection;
mod held;
mod load;
mod numbers;
mod place;
mod report;
mod request;
mod run;
mod scene;
mod server;
mod settings;
mod slow;
mod spoils;
mod tally;
mod verdict;

use std::{error::Error, process::ExitCode};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let broken = match settings::Settings::read() {
        Ok(settings) => run::run(&settings).await,
        Err(error) => Err(error),
    };
    match broken {
        Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
        Ok(broken) => {
            for line in broken {
                eprintln!("soak: {line}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}
