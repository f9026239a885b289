//! The run, from the first connection to the last code.

use std::{collections::BTreeMap, fs, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use crate::{
    Failure,
    connection::Line,
    load::load,
    place::{COOLDOWN, Mail, Place},
    report::{Found, Report},
    request::{Requests, wire},
    scene::{Record, Scene},
    server::Server,
    settings::Settings,
    tally::Sort,
    verdict::{Memory, Verdict},
};

/// How long traffic flows before the signal to stop comes.
const BEFORE_THE_STOP: Duration = Duration::from_secs(2);
const SORTS: [Sort; 12] = [
    Sort::ValidClientSide,
    Sort::ValidServerSide,
    Sort::ValidSlow,
    Sort::ReplayedAtOnce,
    Sort::ReplayedLater,
    Sort::TwiceAtOnce,
    Sort::Forged,
    Sort::Malformed,
    Sort::Broken,
    Sort::SlowBody,
    Sort::Abandoned,
    Sort::Kept,
];

/// Prints the tables; what is broken comes back.
pub(crate) async fn run(settings: &Settings) -> Result<Vec<String>, Failure> {
    let (place, record) = (Place::new(settings.users)?, Arc::<Record>::default());
    let mut verdict = Verdict::default();
    let begun = Instant::now();

    let server = Server::start(&place).await?;
    let load = load(&server, settings, &record).await?;
    let memory = Memory::of(&load.samples[load.warm_up.min(load.samples.len())..]);
    verdict.judge_memory(memory, settings.time);
    verdict.judge_descriptors(load.before, load.after);
    let stop = stop_under_load(server, settings, &record, &mut verdict).await?;
    let found = look_back(&place, &record, begun, &mut verdict).await?;

    let rows = record.tally.rows();
    verdict.judge_answers(&rows, &SORTS);
    judge_log(&place, &mut verdict)?;
    verdict.0.extend(record.tally.surprises());
    let report = Report {
        load,
        memory,
        stop,
        unanswered: rows.values().map(|row| row.unanswered).sum(),
        found,
    };
    report.print();
    Ok(verdict.0)
}

/// Tells a server to stop while everybody asks, and says how long it took to end.
async fn stop_under_load(
    server: Server,
    settings: &Settings,
    record: &Arc<Record>,
    verdict: &mut Verdict,
) -> Result<Duration, Failure> {
    let scene = Scene::new(server.address, settings, record)?;
    let callers = scene.callers(settings);
    sleep(BEFORE_THE_STOP).await;
    scene.set_stopping();
    server.terminate()?;
    let (status, took) = server.ends().await?;
    verdict.expect(status.success(), || format!("the stop ends with {status}"));
    scene.end();
    callers.join_all().await;
    Ok(took)
}

/// Starts a server again, which has to make up for the stop: no request and no mail is lost.
async fn look_back(
    place: &Place,
    record: &Record,
    begun: Instant,
    verdict: &mut Verdict,
) -> Result<Found, Failure> {
    let server = Server::start(place).await?;
    let requests = Requests::to(server.address)?;
    let mut line = Line::new(server.address);
    let unanswered = record.take_unanswered();
    let accepted = send_again(&unanswered, server.address, record, verdict).await;

    place.falls_quiet().await?;
    let (mails, told) = (place.mails()?, record.told());
    let most = 1 + begun.elapsed().as_secs() / COOLDOWN.as_secs();
    let found = Found {
        sent_again: unanswered.len(),
        accepted,
        users: told.len(),
        mails: mails.values().map(Vec::len).sum(),
        twice: verdict.judge_mails(&mails, &told, most),
        redeemed: redeem(&mails, &requests, &mut line, verdict).await,
    };
    server.terminate()?;
    let (status, _) = server.ends().await?;
    verdict.expect(status.success(), || {
        format!("the last stop ends with {status}")
    });
    Ok(found)
}

/// Sends what was not answered once more: if it had been begun, its nonce would be used. How many are
/// accepted.
async fn send_again(
    unanswered: &[(usize, Bytes)],
    address: SocketAddr,
    record: &Record,
    verdict: &mut Verdict,
) -> usize {
    let again = unanswered.iter().map(|(user, bytes)| async move {
        let heard = Line::new(address).ask(bytes).await;
        if heard.is_success() {
            record.note_told(*user);
        }
        heard
    });
    let heard = join_all(again).await.into_iter();
    let refused: Vec<_> = heard.filter(|heard| !heard.is_success()).collect();
    verdict.expect(refused.is_empty(), || {
        format!(
            "{} of {} requests without an answer are refused when sent again: {}",
            refused.len(),
            unanswered.len(),
            refused[0],
        )
    });
    unanswered.len() - refused.len()
}

/// Shows every user's last code; how many of them were the one that counts.
async fn redeem(
    mails: &BTreeMap<String, Vec<Mail>>,
    requests: &Requests,
    line: &mut Line,
    verdict: &mut Verdict,
) -> usize {
    let mut redeemed = 0;
    for (user, mails) in mails {
        let code = mails.last().map_or("", |mail| mail.code.as_str());
        let request = requests.redeem(user, code).await;
        let heard = line.ask(&wire(&request)).await;
        redeemed += usize::from(heard.is_success());
        verdict.expect(heard.is_success(), || {
            format!("the last code of {user} does not count: {heard}")
        });
    }
    redeemed
}

/// What is logged is at least a warning, and nothing here warrants one.
fn judge_log(place: &Place, verdict: &mut Verdict) -> io::Result<()> {
    let log = fs::read_to_string(place.log())?;
    let lines = log.lines().count();
    verdict.expect(lines == 0, || {
        format!(
            "the servers logged {lines} lines, such as {:?}",
            log.lines().next()
        )
    });
    Ok(())
}
