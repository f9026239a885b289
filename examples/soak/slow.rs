//! Callers who send slowly, never finish, or leave.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tower_registration::rejection::RejectionKind;

use crate::{
    connection::{Connection, Heard},
    numbers::Numbers,
    request::{By, wire},
    scene::Scene,
    tally::{Expected, Sort},
};

/// Pieces that an honest slow request comes in, and the pause after each.
const PIECES: usize = 10;
const PAUSE: Duration = Duration::from_millis(200);
const TOO_LATE: Expected = Expected::Refused(&[RejectionKind::BodyTimeout]);

/// Asks until the scene ends, which a slow request does not hold up, or the server has stopped.
pub(crate) async fn call(scene: Arc<Scene>, seed: usize) {
    let mut numbers = Numbers::new(seed);
    loop {
        let turn = numbers.below(4);
        let user = numbers.below(scene.users);
        let request = wire(&scene.requests.resend(By::ServerSide, user).await);
        let one = async {
            let mut connection = Connection::open(scene.address).await.ok()?;
            match turn {
                0 => in_pieces(&scene, &mut connection, user, &request).await,
                1 => without_an_end(&scene, &mut connection, &request).await,
                2 => {
                    let within = numbers.below(body_of(&request));
                    leaves(&scene, &mut connection, &request[..within], "head").await;
                }
                _ => {
                    let within = request.len() - 1 - numbers.below(20);
                    leaves(&scene, &mut connection, &request[..within], "body").await;
                }
            }
            Some(())
        };
        let done = tokio::select! {
            done = one => done,
            () = scene.ends() => return,
        };
        if done.is_none() {
            if scene.is_stopping() {
                return;
            }
            let nothing = Heard::Nothing("no connection");
            scene.note(Sort::ValidSlow, "valid", Expected::Success, &nothing, PAUSE);
            sleep(PAUSE).await;
        }
    }
}

/// Where the body begins.
fn body_of(request: &Bytes) -> usize {
    let end = request.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(0, |end| end + 4)
}

/// Slow, and in time: to be accepted as any other.
async fn in_pieces(scene: &Scene, connection: &mut Connection, user: usize, request: &Bytes) {
    for piece in request.chunks(request.len().div_ceil(PIECES)) {
        sleep(PAUSE).await;
        // The answer, or that there is none, tells what became of it.
        let _ = connection.send(piece).await;
    }
    let since = Instant::now();
    let heard = connection.hear().await;
    scene.note_valid(Sort::ValidSlow, (user, request), &heard, since.elapsed());
}

/// All but the last byte of the body, which never comes.
async fn without_an_end(scene: &Scene, connection: &mut Connection, request: &Bytes) {
    let since = Instant::now();
    let (most, last) = request.split_at(body_of(request));
    // As above.
    let _ = connection.send(most).await;
    for byte in &last[..last.len() - 1] {
        let _ = connection.send(&[*byte]).await;
        tokio::select! {
            () = sleep(PAUSE * 4) => {}
            () = connection.stirs() => break,
        }
    }
    let heard = connection.hear().await;
    let sort = Sort::SlowBody;
    scene.note(sort, "no end", TOO_LATE, &heard, since.elapsed());
}

/// A part, a pause, and the end of the connection.
async fn leaves(scene: &Scene, connection: &mut Connection, part: &[u8], within: &str) {
    let mut numbers = Numbers::new(part.len());
    let _ = connection.send(part).await;
    sleep(numbers.milliseconds(500, 4_000)).await;
    scene.note_silence(within, !connection.has_heard());
}
