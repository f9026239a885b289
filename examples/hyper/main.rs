//! The endpoint on a plain hyper server, without axum, HTTP/1.1 and HTTP/2: everything in memory,
//! and a mailer of one's own.
//!
//! `cargo run --example hyper` listens on `127.0.0.1:3000`, or on what `LISTEN` says. It prints
//! the mails instead of sending them; its log is on standard error (`RUST_LOG`).

mod serve;

use std::{convert::Infallible, env, error::Error, fmt};

use tokio::net::TcpListener;
use tower::ServiceBuilder;
use tower_registration::{
    VerifyRequest,
    app::{AppId, Application, Permissions, StaticApps},
    backend::memory::{MemoryRegistrations, MemoryReplayGuard},
    delivery::{Courier, Deliverer},
    mail::{DefaultTemplate, MailError, Mailer, RegistrationEmail, Template},
    registration::{
        OrgId, Registration, RegistrationKey, Registrations, ResendRegistration, UserId, UserKind,
        Username,
    },
};

const CONNECTIONS: usize = 500;

/// Shows mails instead of sending them.
#[derive(Debug)]
struct Printer(DefaultTemplate);

impl Mailer for Printer {
    type Error = NeverFails;

    async fn send(&self, mail: &RegistrationEmail) -> Result<(), NeverFails> {
        let rendered = self.0.render(mail);
        println!("to {}: {}\n\n{}", mail.to, rendered.subject, rendered.text);
        Ok(())
    }
}

/// Printing does not fail.
#[derive(Debug)]
struct NeverFails(Infallible);

impl MailError for NeverFails {
    fn is_transient(&self) -> bool {
        match self.0 {}
    }
}

impl fmt::Display for NeverFails {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl Error for NeverFails {}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(log)
        .init();

    let store = MemoryRegistrations::new();
    let jane = UserId {
        org_id: OrgId::new("example-org-id")?,
        username: Username::new("jane@example.co")?,
    };
    store.insert_if_absent(
        &jane,
        Registration::pending(UserKind::EndUser, "jane@example.co"),
    );
    // For a store that stays, a key that stays: `RegistrationKey::from_hex`.
    let registrations = Registrations::new(store, RegistrationKey::generate()?);
    let mailer = Printer(DefaultTemplate::for_product("Example")?);
    let courier = Courier::new(Deliverer::new(registrations.clone(), mailer));

    let app = Application::client_side(AppId::new("312CE25E-A112-4D45-9965-6175E7C568DD")?)
        .with_permissions([Permissions::USERS_CREATE, Permissions::TYPES_END_USER]);
    let verify = VerifyRequest::builder()
        .apps(StaticApps::new([app])?)
        .replay_guard(MemoryReplayGuard::builder().build()?)
        .build()?;
    let service = ServiceBuilder::new()
        .layer(verify)
        .service(ResendRegistration::builder(registrations, courier).build()?);

    let listen = env::var("LISTEN").unwrap_or_else(|_| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(listen).await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve::serve(listener, CONNECTIONS, service).await;
    Ok(())
}
