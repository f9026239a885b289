//! Hearing of mails that other processes owe.

use std::{convert::Infallible, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};

use super::{ACQUIRE_TIMEOUT, PostgresBackend, PostgresError, ask::answered};
use crate::{delivery::Wake, trace};

/// Pause before a lost connection is made anew.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// A connection on which nothing was heard for so long is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(30);

impl PostgresBackend {
    /// Wakes a dispatcher whenever any process that shares the database and schema owes a mail.
    ///
    /// 1. It listens on one connection of its own, outside of the pool.
    /// 2. A connection that is lost is made anew, and then the dispatcher is woken for what may
    ///    have been missed; its poll interval is the net below.
    /// 3. It ends when it is [stopped](PostgresListener::stop), and when the backend is
    ///    [closed](Self::close), though the handle be dropped.
    ///
    /// Through a `PgBouncer` that pools transactions nothing can be heard, and polling alone finds
    /// mails.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use = "the handle stops it cleanly"]
    pub fn listen(&self, wake: Wake) -> PostgresListener {
        let options = self.pool.connect_options().as_ref().clone();
        let listening = Box::pin(listen(options, self.schema.channel(), wake));
        let mut closed = self.pool.close_event();
        PostgresListener(tokio::spawn(async move {
            // An error says that the pool was closed.
            let _ = closed.do_until(listening).await;
        }))
    }
}

/// A listener at work. Dropped, it goes on.
#[derive(Debug)]
pub struct PostgresListener(JoinHandle<()>);

impl PostgresListener {
    /// Stops listening.
    pub async fn stop(self) {
        self.0.abort();
        // It says that it was aborted, or had ended before: either is what was wanted.
        let _ = self.0.await;
    }
}

async fn listen(options: PgConnectOptions, channel: String, wake: Wake) {
    loop {
        // A pool of one for each try, so that one that hangs holds up no other.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options.clone());
        let Err(error) = attend(&pool, &channel, &wake).await;
        trace::warn!(target: trace::DELIVERY, error = %error, "mails of other processes are not heard of: will listen again");
        sleep(LISTEN_AGAIN).await;
    }
}

async fn attend(pool: &PgPool, channel: &str, wake: &Wake) -> Result<Infallible, PostgresError> {
    let connected = PgListener::connect_with(pool).await;
    let mut listener = connected.map_err(PostgresError::statement)?;
    answered(listener.listen(channel)).await?;
    // For what was owed before.
    wake.wake();
    loop {
        if let Ok(heard) = timeout(SILENCE, listener.try_recv()).await {
            // `None` where something may have been missed while the connection was lost.
            heard.map_err(PostgresError::statement)?;
            wake.wake();
        } else {
            answered(sqlx::query("SELECT 1").execute(&mut listener)).await?;
        }
    }
}
