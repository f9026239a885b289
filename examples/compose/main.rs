//! This crate's layers among those of others: one axum router with request ids, traces, CORS,
//! compression, a timeout and rates by address around it, an API behind `VerifyRequest`, pages for
//! people behind a login; and a plain hyper service beside it.
//!
//! `cargo run --example compose` listens on `127.0.0.1:3000` and, for the plain service,
//! `127.0.0.1:3001`, or on what `LISTEN` and `LISTEN_PLAIN` say. It prints commands to paste. Users
//! and nonces are in memory, mails are `.eml` files in `target/compose/mailbox`, the log is on
//! standard error (`RUST_LOG`).
//!
//! `site/stack.rs` has the order of the outer layers and the reason for each; `tests/it/compose`
//! shows for each pair what the other order would do.

mod plain;
mod site;

use std::{env, error::Error, io::IsTerminal, net::SocketAddr, sync::Arc};

use tokio::net::TcpListener;
use tower_registration::{
    VerifyRequest,
    app::{AppId, Application, Permissions, StaticApps},
    backend::memory::{MemoryRegistrations, MemoryReplayGuard},
    delivery::{Courier, Deliverer},
    mail::{DefaultTemplate, LettreMailer},
    registration::{
        OrgId, PATH, Registration, RegistrationKey, Registrations, UserId, UserKind, Username,
    },
    secret::SecretString,
};

const APP: &str = "312CE25E-A112-4D45-9965-6175E7C568DD";
const MAILBOX: &str = "target/compose/mailbox";

type Failure = Box<dyn Error>;
/// One for both services: a nonce that was used at one is used up at the other.
type Verify = VerifyRequest<StaticApps, Arc<MemoryReplayGuard>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let log = env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(log)
        .init();
    let verify = verify()?;
    let registrations = registrations()?;
    let mailer = LettreMailer::file(MAILBOX, "no-reply@example.com", DefaultTemplate::new())?;
    let courier = Courier::new(Deliverer::new(registrations.clone(), mailer));
    let password = uuid::Uuid::new_v4().to_string();
    let router = site::router(
        verify.clone(),
        registrations,
        courier,
        SecretString::from(&*password),
    )?;

    let listener = listen("LISTEN", "127.0.0.1:3000").await?;
    let plain_listener = listen("LISTEN_PLAIN", "127.0.0.1:3001").await?;
    print_commands(
        listener.local_addr()?,
        plain_listener.local_addr()?,
        &password,
    );
    tokio::spawn(plain::serve(plain_listener, verify));
    // The address of each connection's peer, for the rates.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}

async fn listen(variable: &str, default: &str) -> std::io::Result<TcpListener> {
    let place = env::var(variable).unwrap_or_else(|_| default.to_owned());
    TcpListener::bind(place).await
}

fn verify() -> Result<Verify, Failure> {
    let app = Application::client_side(AppId::new(APP)?)
        .with_permissions([Permissions::USERS_CREATE, Permissions::TYPES_END_USER]);
    let verify = VerifyRequest::builder()
        .apps(StaticApps::new([app])?)
        .replay_guard(Arc::new(MemoryReplayGuard::builder().build()?))
        .build()?;
    Ok(verify)
}

fn registrations() -> Result<Registrations<MemoryRegistrations>, Failure> {
    let jane = UserId {
        org_id: OrgId::new("example-org-id")?,
        username: Username::new("jane@example.co")?,
    };
    let store = MemoryRegistrations::new();
    let pending = Registration::pending(UserKind::EndUser, "jane@example.co");
    store.insert_if_absent(&jane, pending);
    Ok(Registrations::new(store, RegistrationKey::generate()?))
}

fn print_commands(site: SocketAddr, plain: SocketAddr, password: &str) {
    println!("listening on http://{site}, and plainly on http://{plain}; mails are in {MAILBOX}");
    println!(
        r#"
Once in the shell, for a new nonce at each call:

nonce() {{ printf '{{"uuid":"%s","datetime":"%s"}}' "$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | base64 | tr -d '\n'; }}

A new code for a user, what the checks prove to a handler, and the same of the plain service:

curl -i -X PUT http://{site}{PATH} -H 'Content-Type: application/json' -H 'X-DFNS-APPID: {APP}' -H "X-DFNS-NONCE: $(nonce)" -d '{{"username":"jane@example.co","orgId":"example-org-id"}}'
curl -i http://{site}/api/whoami -H 'X-DFNS-APPID: {APP}' -H "X-DFNS-NONCE: $(nonce)"
curl -i http://{plain}/ -H 'X-DFNS-APPID: {APP}' -H "X-DFNS-NONCE: $(nonce)"

What a browser asks first, from a page of {origin}:

curl -i -X OPTIONS http://{site}{PATH} -H 'Origin: {origin}' -H 'Access-Control-Request-Method: PUT' -H 'Access-Control-Request-Headers: content-type,x-dfns-appid,x-dfns-nonce'

An administrator, signed in by password instead (or in a browser: http://{site}/login):

curl -i -c target/compose/cookies http://{site}/login -d name=admin -d password={password}
curl -i -b target/compose/cookies -X PUT http://{site}{admin} -H 'Content-Type: application/json' -d '{{"username":"jane@example.co","orgId":"example-org-id"}}'"#,
        origin = site::ORIGIN,
        admin = site::ADMIN_RESEND_PATH,
    );
}
