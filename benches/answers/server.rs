//! The endpoint behind all checks, on a socket.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::Layer;
use tower_registration::{
    VerifyRequest,
    app::{AppId, Application, Permissions, StaticApps},
    backend::memory::{MemoryMailer, MemoryMailerError},
    delivery::{Courier, CourierLimits, Deliverer, Dispatcher, DispatcherLimits, Handover},
    mail::{Mailer, RegistrationEmail},
    nonce::ReplayGuard,
    registration::{Outbox, RegistrationStore, Registrations, ResendRegistration},
};

pub(crate) const APP: &str = "312CE25E-A112-4D45-9965-6175E7C568DD";
/// How long the mailer takes for each mail.
const STALL: Duration = Duration::from_secs(2);
/// Mails being sent at once: enough that each is begun as soon as it is owed.
const SENDS: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();
/// Room for all mails of a measurement.
const ROOM: NonZeroUsize = NonZeroUsize::new(1_000_000).unwrap();

/// Delivers after a while.
struct Stalling(MemoryMailer);

impl Mailer for Stalling {
    type Error = MemoryMailerError;

    async fn send(&self, mail: &RegistrationEmail) -> Result<(), MemoryMailerError> {
        tokio::time::sleep(STALL).await;
        self.0.send(mail).await
    }
}

/// Delivery within the process, as for a store that can't tell what is owed.
pub(crate) fn courier<S: RegistrationStore>(registrations: &Registrations<S>) -> impl Handover {
    let limits = CourierLimits::default()
        .with_capacity(ROOM)
        .with_concurrency(SENDS);
    Courier::with_limits(deliverer(registrations), limits)
}

/// Delivery by a dispatcher that each code wakes.
pub(crate) fn dispatcher<S: Outbox>(registrations: &Registrations<S>) -> impl Handover {
    let limits = DispatcherLimits::default().with_concurrency(SENDS);
    let dispatcher = Dispatcher::with_limits(deliverer(registrations), limits);
    let wake = dispatcher.wake();
    // It works on without its handle.
    let _ = dispatcher.start();
    wake
}

fn deliverer<S>(registrations: &Registrations<S>) -> Deliverer<S, Stalling> {
    Deliverer::new(registrations.clone(), Stalling(MemoryMailer::new()))
}

/// Listens until the runtime ends. A grid of zero is none.
pub(crate) async fn serve<S: RegistrationStore>(
    registrations: Registrations<S>,
    handover: impl Handover,
    guard: impl ReplayGuard,
    grid: Duration,
) -> SocketAddr {
    let resend = ResendRegistration::builder(registrations, handover);
    let resend = if grid.is_zero() {
        resend.insecure_without_answer_grid()
    } else {
        resend.answer_grid(grid)
    };
    let app = Application::client_side(AppId::new(APP).expect("an id"))
        .with_permissions([Permissions::USERS_CREATE, Permissions::TYPES_END_USER]);
    let verify = VerifyRequest::builder()
        .apps(StaticApps::new([app]).expect("applications"))
        .replay_guard(guard)
        .build()
        .expect("settings that can be served");
    let service = verify.layer(resend.build().expect("settings that can be served"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await
            });
        }
    });
    address
}
