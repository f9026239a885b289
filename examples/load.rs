//! Asks running servers for codes as fast as they answer, and says how fast that was.
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `TARGETS` | `127.0.0.1:3000` | servers' addresses, separated by commas |
//! | `CONNECTIONS` | `32` | requests under way at once, spread over the servers |
//! | `SECONDS` | `10` | how long |
//! | `USERS` | `1` | `user0@example.co` and so on, of organisation `example-org-id`, in turn |
//!
//! Every request has a nonce of its own, as the guard demands. `src/docs/performance.md` says how to
//! compare the figures.

use std::{
    env,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use hdrhistogram::Histogram;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::task::JoinSet;
use tower_registration::registration::PATH;

type Failure = Box<dyn Error + Send + Sync>;
type Http = Client<HttpConnector, Full<Bytes>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let targets = env::var("TARGETS").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let targets: Vec<_> = targets.split(',').map(str::to_owned).collect();
    let (connections, users) = (number("CONNECTIONS", 32)?, number("USERS", 1)?.max(1));
    let time = Duration::from_secs(number("SECONDS", 10)? as u64);

    let (started, turn) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for connection in 0..connections {
        let target = targets[connection % targets.len()].clone();
        let (turn, until) = (turn.clone(), started + time);
        callers.spawn(async move { call(&target, &turn, users, until).await });
    }
    let mut all = Histogram::<u64>::new(3)?;
    while let Some(times) = callers.join_next().await {
        all.add(times??)?;
    }
    println!(
        "{} requests a second; half within {} µs, 99 of 100 within {} µs",
        u128::from(all.len()) * 1_000 / started.elapsed().as_millis().max(1),
        all.value_at_quantile(0.5),
        all.value_at_quantile(0.99),
    );
    Ok(())
}

fn number(variable: &str, default: usize) -> Result<usize, Failure> {
    match env::var(variable) {
        Ok(text) => text
            .parse()
            .map_err(|_| format!("{variable} is no number").into()),
        Err(_) => Ok(default),
    }
}

/// One request after the other on one connection; the microseconds that each took.
async fn call(
    target: &str,
    turn: &AtomicUsize,
    users: usize,
    until: Instant,
) -> Result<Histogram<u64>, Failure> {
    let client: Http = Client::builder(TokioExecutor::new()).build_http();
    let mut times = Histogram::new(3)?;
    while Instant::now() < until {
        let user = turn.fetch_add(1, Ordering::Relaxed) % users;
        let started = Instant::now();
        let answer = client.request(request(target, user)?).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if status != 200 {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into());
        }
        times.record(u64::try_from(started.elapsed().as_micros())?)?;
    }
    Ok(times)
}

fn request(target: &str, user: usize) -> Result<Request<Full<Bytes>>, Failure> {
    let time = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let nonce = format!(
        r#"{{"uuid":"{}","datetime":"{time}"}}"#,
        uuid::Uuid::new_v4()
    );
    let body = format!(r#"{{"username":"user{user}@example.co","orgId":"example-org-id"}}"#);
    Ok(Request::put(format!("http://{target}{PATH}"))
        .header("content-type", "application/json")
        .header("x-dfns-appid", "312CE25E-A112-4D45-9965-6175E7C568DD")
        .header("x-dfns-nonce", BASE64_URL_SAFE_NO_PAD.encode(nonce))
        .body(Full::from(body))?)
}
