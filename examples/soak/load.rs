//! The traffic, and the server's state meanwhile.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    Failure,
    held::Held,
    place::NONCE_AGE,
    scene::{Record, Scene},
    server::{Sample, Server},
    settings::Settings,
    tally::{Row, Sort},
    verdict::are_gone,
};

const EVERY: Duration = Duration::from_secs(1);
/// How long the server has to see that its connections have gone: longer than a body may take.
const GOES_WITHIN: Duration = Duration::from_secs(15);
/// What a guard keeps beyond a nonce's age.
const FORGOTTEN_LATE: Duration = Duration::from_secs(15);

pub(crate) struct Load {
    pub(crate) took: Duration,
    pub(crate) connections: usize,
    pub(crate) rows: BTreeMap<Sort, Row>,
    /// Before the first connection, with all of them at the end, and when they were gone.
    pub(crate) before: Sample,
    pub(crate) full: Sample,
    pub(crate) after: Sample,
    /// So many of the samples are of the warm-up.
    pub(crate) warm_up: usize,
    /// One a second.
    pub(crate) samples: Vec<Sample>,
}

/// Lets everybody ask for as long as is set.
pub(crate) async fn load(
    server: &Server,
    settings: &Settings,
    record: &Arc<Record>,
) -> Result<Load, Failure> {
    let before = server.sample()?;
    let scene = Scene::new(server.address, settings, record)?;
    let mut held = Held::open(server.address, settings.connections)
        .await
        .map_err(|error| format!("a connection to keep open: {error}: see `ulimit -n`"))?;
    // A connection takes memory from its first request on, which is not to look like a leak.
    held.ask_all(&scene).await;
    let held = tokio::spawn(held.live(scene.clone()));
    let (begun, callers) = (Instant::now(), scene.callers(settings));
    let samples = watch(server, begun + settings.time).await?;
    let full = server.sample()?;
    scene.end();
    callers.join_all().await;
    let took = begun.elapsed();
    let mut held = held.await?;
    held.ask_all(&scene).await;
    let connections = held.count();
    drop(held);
    let warm = (settings.time / 3)
        .min(NONCE_AGE + FORGOTTEN_LATE)
        .as_secs();
    Ok(Load {
        took,
        connections,
        rows: record.tally.rows(),
        before,
        full,
        after: without_connections(server, before).await?,
        warm_up: usize::try_from(warm)?,
        samples,
    })
}

async fn watch(server: &Server, until: Instant) -> io::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    while Instant::now() + EVERY <= until {
        sleep(EVERY).await;
        samples.push(server.sample()?);
    }
    tokio::time::sleep_until(until).await;
    Ok(samples)
}

/// The state once the connections' descriptors are gone, or the time for that is over.
async fn without_connections(server: &Server, before: Sample) -> io::Result<Sample> {
    let begun = Instant::now();
    loop {
        let now = server.sample()?;
        if are_gone(before, now) || begun.elapsed() > GOES_WITHIN {
            return Ok(now);
        }
        sleep(EVERY / 10).await;
    }
}
