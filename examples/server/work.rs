//! Serving and delivering, from the start to a clean end.

use std::{io::Write, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tower_registration::{
    backend::{
        memory::MemoryReplayGuard,
        postgres::{PostgresBackend, PostgresListener},
    },
    delivery::{Deliverer, Dispatcher, DispatcherHandle},
    nonce::ReplayGuard,
    registration::{self, Outbox, Registrations},
};

use crate::{
    Failure,
    config::Config,
    key::registration_key,
    metrics::Page,
    parts::{self, Mailer, start_log},
    routes::router,
    settings::Settings,
};

/// How long connections have to end after the signal to stop. Requests take seconds at most; what
/// is still there then is a client that has not finished its request.
const DRAIN: Duration = Duration::from_secs(30);

/// All that is set up before the first request.
pub(crate) struct Work<S> {
    settings: Settings,
    config: Config,
    registrations: Registrations<S>,
    dispatcher: Dispatcher<S, Mailer>,
    /// Who tells of mails that other processes owe.
    heard_of_by: Option<PostgresBackend>,
}

impl<S: Outbox> Work<S> {
    pub(crate) fn new(
        settings: Settings,
        config: Config,
        store: S,
        heard_of_by: Option<PostgresBackend>,
    ) -> Result<Self, Failure> {
        let key = registration_key(settings.secret_key.as_deref())?;
        let registrations = Registrations::new(store, key).with_policy(config.policy()?);
        let deliverer = Deliverer::new(registrations.clone(), parts::mailer(&settings)?)
            .with_timing(config.delivery.timing()?)
            .with_backoff(config.delivery.backoff());
        Ok(Self {
            settings,
            config,
            registrations,
            dispatcher: Dispatcher::new(deliverer),
            heard_of_by,
        })
    }

    /// Answers requests until the signal to stop; then all that was accepted is answered.
    pub(crate) async fn serve<G: ReplayGuard>(self, guard: G) -> Result<(), Failure> {
        let page = self.page().await?;
        let (wake, guard) = (self.dispatcher.wake(), Arc::new(guard));
        let store = self.registrations.store().clone();
        let router = router(self.config, self.registrations, guard.clone(), wake)?;
        let listen = &self.settings.listen;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| format!("LISTEN={listen}: {error}"))?;
        let mut stop = stop_signal()?;
        start_log(&self.settings);
        let delivery = self
            .settings
            .mode
            .delivers()
            .then(|| Delivery::start(self.dispatcher, self.heard_of_by.as_ref()));
        measure(page, store, Some(guard))?;
        announce(listener.local_addr()?, &mails(&self.settings));

        let mut told = stop.clone();
        let serving = axum::serve(listener, router)
            .with_graceful_shutdown(async move { stopped(&mut told).await });
        tokio::select! {
            served = serving => served?,
            () = async { stopped(&mut stop).await; tokio::time::sleep(DRAIN).await } => {
                tracing::warn!("connections are cut that have not ended in time");
            }
        }
        if let Some(delivery) = delivery {
            delivery.stop().await;
        }
        Ok(())
    }

    /// Delivers until the signal to stop.
    pub(crate) async fn deliver(self) -> Result<(), Failure> {
        let page = self.page().await?;
        let mut stop = stop_signal()?;
        start_log(&self.settings);
        let delivery = Delivery::start(self.dispatcher, self.heard_of_by.as_ref());
        // Who claims no nonces has no guard to tell of.
        let guard: Option<Arc<MemoryReplayGuard>> = None;
        measure(page, self.registrations.store().clone(), guard)?;
        print(&format!("delivering, {}\n", mails(&self.settings)));
        stopped(&mut stop).await;
        delivery.stop().await;
        Ok(())
    }
}

impl<S> Work<S> {
    /// Opened before anything is counted.
    async fn page(&self) -> Result<Option<Page>, Failure> {
        match &self.settings.metrics_addr {
            Some(address) => Page::open(address).await.map(Some),
            None => Ok(None),
        }
    }
}

fn measure<S: Outbox, G: ReplayGuard>(
    page: Option<Page>,
    store: Arc<S>,
    guard: Option<Arc<G>>,
) -> Result<(), Failure> {
    if let Some(page) = page {
        let place = page.serve(store, guard)?;
        print(&format!("numbers at {place}\n"));
    }
    Ok(())
}

/// A dispatcher at work, and what wakes it.
struct Delivery {
    dispatcher: DispatcherHandle,
    listener: Option<PostgresListener>,
}

impl Delivery {
    fn start<S: Outbox>(
        dispatcher: Dispatcher<S, Mailer>,
        heard_of_by: Option<&PostgresBackend>,
    ) -> Self {
        let dispatcher = dispatcher.start();
        let listener = heard_of_by.map(|backend| backend.listen(dispatcher.wake()));
        Self {
            dispatcher,
            listener,
        }
    }

    /// What is being sent is finished; what else is owed stays in the database.
    async fn stop(self) {
        if let Some(listener) = self.listener {
            listener.stop().await;
        }
        self.dispatcher.stop().await;
    }
}

/// Becomes true at the first SIGTERM or SIGINT.
fn stop_signal() -> Result<watch::Receiver<bool>, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        stop.send_replace(true);
    });
    Ok(stopped)
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the task that waits for signals is gone: as good as one.
    let _ = stop.wait_for(|stop| *stop).await;
}

fn mails(settings: &Settings) -> String {
    match &settings.smtp_url {
        // Not the URL, which may hold a password.
        Some(_) => "mails by SMTP".to_owned(),
        None => format!("mails in {}", settings.mailbox),
    }
}

fn announce(address: SocketAddr, mails: &str) {
    print(&format!("listening on http://{address}, {mails}\n\n"));
    print(&format!(
        r#"curl -i -X PUT http://{address}{path} \
  -H 'Content-Type: application/json' \
  -H 'X-DFNS-APPID: 312CE25E-A112-4D45-9965-6175E7C568DD' \
  -H "X-DFNS-NONCE: $(printf '{{"uuid":"%s","datetime":"%s"}}' \
      "$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
      | base64 | tr -d '\n')" \
  -d '{{"username":"jane@example.co","orgId":"example-org-id"}}'
"#,
        path = registration::PATH,
    ));
}

/// Whoever started the process may not be there to read.
fn print(text: &str) {
    let mut stdout = std::io::stdout();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}
