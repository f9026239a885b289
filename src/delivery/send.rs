//! One call of a mailer, whatever the mailer does.

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    task::Poll,
    time::Duration,
};

use super::Failure;
use crate::{
    mail::{MailError, Mailer, RegistrationEmail},
    sync::delivery::timeout,
    trace,
};

/// Hands `mail` over. A mailer that takes too long is dropped; one that panics has failed for now.
pub(super) async fn send<M: Mailer>(
    mailer: &M,
    mail: &RegistrationEmail,
    within: Duration,
) -> Result<(), Failure> {
    // The block makes a panic of `send` itself, before its future, one of the future.
    let mut sending = pin!(async { mailer.send(mail).await });
    let caught = poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| sending.as_mut().poll(context)));
        polled.map_or(Poll::Ready(Err(Failure::Panicked)), |poll| {
            poll.map_err(|error| failure(&error))
        })
    });
    timeout(within, caught)
        .await
        .unwrap_or(Err(Failure::TimedOut))
}

fn failure(error: &impl MailError) -> Failure {
    trace::warn!(target: trace::DELIVERY, reason = %error.reason(), transient = error.is_transient(), "mailer failed");
    if error.is_transient() {
        Failure::Transient
    } else {
        Failure::Permanent
    }
}
