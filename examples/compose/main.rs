//! This crate's layers among those of others: one axum router with request ids, traces, CORS,
//! compression, a timeout and rates by address around it, an API behind `VerifyRequest`, pages for
//! people behind a login; and a plain hyper service beside it.
//!
//! `cargo run --example compose` listens on `127.0.0.1:3000` and, for the plain service,
//! `127.0.0.1:3001`, or on what `LISTEN` and `LISTEN_PLAIN` say. It prints commands to paste. Users
//! and nonces are in memory, mails are `.eml` files in `target/compose/mailbox` or in `MAILBOX`, the
//! log is on standard error (`RUST_LOG`). It has the reason of each refusal; under `debug`, the headers
//! too.
//!
//! `site/stack.rs` has the order of the outer layers and the reason for each; `tests/it/compose`
//! shows for each pair what the other order would do. `axum::serve` waits for a request's head as
//! long as a client likes; `plain.rs` bounds that, and the number of connections.

mod plain;
#[path = "../hyper/serve.rs"]
mod serve;
mod site;

use std::{
    env,
    error::Error,
    io::IsTerminal,
    net::SocketAddr,
    path::{self, Path},
    sync::Arc,
    time::Duration,
};

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
use tower_sessions::MemoryStore;

const APP: &str = "312CE25E-A112-4D45-9965-6175E7C568DD";
const ORG: &str = "example-org-id";
const JANE: &str = "jane@example.co";
const KIM: &str = "kim@example.co";

type Failure = Box<dyn Error>;
/// One for both services: a nonce that was used at one is used up at the other.
type Verify = VerifyRequest<StaticApps, Arc<MemoryReplayGuard>>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let log = env::var("RUST_LOG").unwrap_or_else(|_| "info,tower_registration=debug".to_owned());
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(log)
        .init();
    let verify = verify()?;
    let registrations = registrations()?;
    let mailbox = env::var("MAILBOX").unwrap_or_else(|_| "target/compose/mailbox".to_owned());
    let mailbox = path::absolute(mailbox)?;
    let mailer = LettreMailer::file(&mailbox, "no-reply@example.com", DefaultTemplate::new())?;
    let courier = Courier::new(Deliverer::new(registrations.clone(), mailer));
    let password = uuid::Uuid::new_v4().to_string();
    let router = site::router(
        verify.clone(),
        registrations,
        courier,
        SecretString::from(&*password),
        MemoryStore::default(),
    )?;

    let listener = listen("LISTEN", "127.0.0.1:3000").await?;
    let plain_listener = listen("LISTEN_PLAIN", "127.0.0.1:3001").await?;
    // The guard knows no nonces from before its start, and refuses them; the commands' are dated by
    // whole seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    print_commands(
        listener.local_addr()?,
        plain_listener.local_addr()?,
        &mailbox,
        &password,
    );
    tokio::spawn(plain::serve(plain_listener, verify));
    // The address of each connection's peer, for the rates.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}

async fn listen(variable: &str, default: &str) -> Result<TcpListener, String> {
    let place = env::var(variable).unwrap_or_else(|_| default.to_owned());
    let listener = TcpListener::bind(&place).await;
    listener.map_err(|error| format!("{variable}={place}: {error}"))
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

/// Jane, for whom the application may ask; and Kim, for whom it may not, but an administrator.
fn registrations() -> Result<Registrations<MemoryRegistrations>, Failure> {
    let store = MemoryRegistrations::new();
    for (name, kind) in [(JANE, UserKind::EndUser), (KIM, UserKind::CustomerEmployee)] {
        let user = UserId {
            org_id: OrgId::new(ORG)?,
            username: Username::new(name)?,
        };
        store.insert_if_absent(&user, Registration::pending(kind, name));
    }
    Ok(Registrations::new(store, RegistrationKey::generate()?))
}

fn print_commands(site: SocketAddr, plain: SocketAddr, mailbox: &Path, password: &str) {
    println!(
        r#"listening on http://{site}, and plainly on http://{plain}; mails are in {mailbox}

Paste this first, for a new nonce at each call:

nonce() {{ printf '{{"uuid":"%s","datetime":"%s"}}' "$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" | base64 | tr -d '\n'; }}

A new code for a user, by mail (again within a minute: the same answer, and no mail):

curl -i -w '\n' -X PUT 'http://{site}{PATH}' -H 'Content-Type: application/json' -H 'X-DFNS-APPID: {APP}' -H "X-DFNS-NONCE: $(nonce)" -d '{{"username":"{JANE}","orgId":"{ORG}"}}'

What the checks prove to a handler, and to the plain service:

curl -i -w '\n' 'http://{site}/api/whoami' -H 'X-DFNS-APPID: {APP}' -H "X-DFNS-NONCE: $(nonce)"
curl -i 'http://{plain}/' -H 'X-DFNS-APPID: {APP}' -H "X-DFNS-NONCE: $(nonce)"

A nonce that one of them has seen, the other refuses:

used=$(nonce)
curl -i 'http://{plain}/' -H 'X-DFNS-APPID: {APP}' -H "X-DFNS-NONCE: $used"
curl -i -w '\n' 'http://{site}/api/whoami' -H 'X-DFNS-APPID: {APP}' -H "X-DFNS-NONCE: $used"

What a browser asks first, from a page of {origin}:

curl -i -X OPTIONS 'http://{site}{PATH}' -H 'Origin: {origin}' -H 'Access-Control-Request-Method: PUT' -H 'Access-Control-Request-Headers: content-type,x-dfns-appid,x-dfns-nonce'

An administrator, signed in by password (or in a browser: http://{site}/login, name admin, password {password}), for a user for whom the application may not ask:

jar=$(mktemp)
curl -i -c "$jar" 'http://{site}/login' -d name=admin -d password={password}
curl -i -w '\n' -b "$jar" -X PUT 'http://{site}{admin}' -H 'Content-Type: application/json' -d '{{"username":"{KIM}","orgId":"{ORG}"}}'
"#,
        mailbox = mailbox.display(),
        origin = site::ORIGIN,
        admin = site::ADMIN_RESEND_PATH,
    );
}
