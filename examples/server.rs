//! The endpoint, end to end, on embedded defaults: axum, SQLite in a file, mails as `.eml` files.
//!
//! `cargo run --example server` prints its address and a `curl` line to paste. `examples/server.json`
//! says which applications and users there are; the environment says what it runs on:
//!
//! | variable | default | meaning |
//! | --- | --- | --- |
//! | `LISTEN` | `127.0.0.1:3000` | address to listen on |
//! | `CONFIG` | `examples/server.json` | applications and users |
//! | `DATABASE_URL` | `sqlite://target/server/registration.db` | created and migrated if missing |
//! | `MAILBOX` | `target/server/mailbox` | folder of the `.eml` files |
//! | `SECRET_KEY` | made once, kept in `target/server/secret.key` | 32 bytes in hex |
//! | `RUST_LOG` | `info` | filter of the log on standard error |

use std::{
    env,
    error::Error,
    fs,
    io::{ErrorKind, IsTerminal, Write},
    net::SocketAddr,
    path::Path,
    process::ExitCode,
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{StatusCode, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tower_registration::{
    VerifyRequest,
    app::{AppConfig, StaticApps},
    backend::sqlite::{SqliteBackend, SqliteRegistrations},
    delivery::{Deliverer, Dispatcher, Wake},
    mail::{DefaultTemplate, LettreMailer},
    nonce::{DEFAULT_MAX_AGE, DEFAULT_MAX_FUTURE},
    registration::{
        self, DEFAULT_ANSWER_GRID, OrgId, Policy, RedeemOutcome, RedeemRequest, Registration,
        RegistrationKey, RegistrationStatus, Registrations, ResendRegistration, UserId, UserKind,
        Username,
    },
    rejection::{Rejection, RejectionKind},
};

/// Where the key is kept unless `SECRET_KEY` is set.
const KEY_FILE: &str = "target/server/secret.key";
/// Most bytes of a body that shows a code.
const MAX_BODY_BYTES: usize = 16 * 1024;

type Failure = Box<dyn Error>;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(setting("RUST_LOG", "info"))
        .init();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("server: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what is behind it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line.replace('\n', " ")
}

async fn run() -> Result<(), Failure> {
    let config = Config::read(&setting("CONFIG", "examples/server.json"))?;
    let backend = SqliteBackend::connect(&setting(
        "DATABASE_URL",
        "sqlite://target/server/registration.db",
    ))
    .await?;
    let store = backend.registrations();
    enter_users(&store, &config.users).await?;

    let mailbox = setting("MAILBOX", "target/server/mailbox");
    let template = DefaultTemplate::for_product("Example")?;
    let mailer = LettreMailer::file(&mailbox, "Example <no-reply@example.com>", template)?;
    let registrations =
        Registrations::new(store, registration_key()?).with_policy(config.policy.policy()?);
    let deliverer = Deliverer::new(registrations.clone(), mailer);
    let dispatcher = Dispatcher::new(deliverer);

    let router = router(config, registrations, &backend, dispatcher.wake())?;
    let listen = setting("LISTEN", "127.0.0.1:3000");
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("LISTEN={listen}: {error}"))?;
    let stop = stop_signal()?;
    // From here on nothing is wrong with the configuration: mails that are owed may go out.
    let dispatcher = dispatcher.start();
    announce(listener.local_addr()?, &mailbox);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await?;

    // All that was accepted is answered. What is being sent is finished; what else is owed stays
    // in the database.
    dispatcher.stop().await;
    backend.close().await;
    Ok(())
}

fn router(
    config: Config,
    registrations: Registrations<SqliteRegistrations>,
    backend: &SqliteBackend,
    wake: Wake,
) -> Result<Router, Failure> {
    let mut verify = VerifyRequest::builder()
        .apps(StaticApps::from_configs(config.apps)?)
        .replay_guard(backend.replay_guard())
        .scheme(config.scheme)
        .nonce_max_age(Duration::from_secs(config.nonce.max_age_seconds))
        .nonce_max_future(Duration::from_secs(config.nonce.max_future_seconds));
    if let Some(authority) = config.authority {
        verify = verify.authority(authority);
    }
    let resend = ResendRegistration::builder(registrations.clone(), wake);
    let resend = match config.policy.answer_grid_millis {
        0 => resend.insecure_without_answer_grid(),
        millis => resend.answer_grid(Duration::from_millis(millis)),
    }
    .build()?;
    Ok(Router::new()
        .route_service(registration::PATH, resend.clone())
        .route_service(registration::LATER_PATH, resend)
        .route("/auth/registration", post(redeem))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(verify.build()?)
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .with_state(registrations))
}

/// A stand-in for the step after the mail: the current code completes the registration.
async fn redeem(
    State(registrations): State<Registrations<SqliteRegistrations>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = body.map_err(|error| unreadable(&error)).and_then(|body| {
        RedeemRequest::parse(&body).map_err(|error| Rejection::body_invalid(error.to_string()))
    });
    let RedeemRequest { user, code } = match request {
        Ok(request) => request,
        Err(rejection) => return refuse(rejection),
    };
    match registrations.redeem(&user, code.expose()).await {
        Ok(RedeemOutcome::Redeemed) => no_store(Json(json!({"message": "success"}))),
        // One answer for all the rest: the difference says who has an account.
        Ok(_) => {
            let error = json!({
                "message": "registration code is invalid",
                "name": "RegistrationCodeInvalid",
            });
            no_store((StatusCode::UNAUTHORIZED, Json(json!({"error": error}))))
        }
        Err(error) => {
            tracing::error!(%error, "no decision about a code");
            refuse(Rejection::unavailable("no decision about a code", error))
        }
    }
}

/// What axum finds wrong with a body, in the protocol's words.
fn unreadable(error: &BytesRejection) -> Rejection {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Rejection::new(RejectionKind::BodyTooLarge, error.body_text())
    } else {
        Rejection::body_invalid("request body could not be read")
    }
}

fn refuse(rejection: Rejection) -> Response {
    rejection.into_response().map(Body::new)
}

fn no_store(response: impl IntoResponse) -> Response {
    ([(CACHE_CONTROL, "no-store")], response).into_response()
}

/// The file that `CONFIG` names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    authority: Option<String>,
    #[serde(default = "https")]
    scheme: String,
    #[serde(default)]
    policy: PolicyConfig,
    #[serde(default)]
    nonce: NonceConfig,
    apps: Vec<AppConfig>,
    #[serde(default)]
    users: Vec<UserConfig>,
}

fn https() -> String {
    "https".to_owned()
}

impl Config {
    fn read(path: &str) -> Result<Self, Failure> {
        let named = |error: &dyn std::fmt::Display| format!("CONFIG={path}: {error}");
        let json = fs::read_to_string(path).map_err(|error| named(&error))?;
        Ok(serde_json::from_str(&json).map_err(|error| named(&error))?)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct PolicyConfig {
    code_ttl_seconds: u64,
    cooldown_seconds: u64,
    per_hour: u32,
    per_day: u32,
    guesses_per_day: u32,
    /// 0 turns the grid off.
    answer_grid_millis: u64,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            code_ttl_seconds: 4 * 60 * 60,
            cooldown_seconds: 60,
            per_hour: 5,
            per_day: 10,
            guesses_per_day: 20,
            answer_grid_millis: u64::try_from(DEFAULT_ANSWER_GRID.as_millis()).unwrap_or(100),
        }
    }
}

impl PolicyConfig {
    fn policy(&self) -> Result<Policy, Failure> {
        let policy = Policy::builder()
            .code_lifetime(Duration::from_secs(self.code_ttl_seconds))
            .cooldown(Duration::from_secs(self.cooldown_seconds))
            .per_hour(self.per_hour)
            .per_day(self.per_day)
            .guesses_per_day(self.guesses_per_day);
        Ok(policy.build()?)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct NonceConfig {
    max_age_seconds: u64,
    max_future_seconds: u64,
}

impl Default for NonceConfig {
    fn default() -> Self {
        Self {
            max_age_seconds: DEFAULT_MAX_AGE.as_secs(),
            max_future_seconds: DEFAULT_MAX_FUTURE.as_secs(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserConfig {
    org_id: String,
    username: String,
    kind: UserKind,
    #[serde(default)]
    registered: bool,
    locale: Option<String>,
}

/// Enters the users who are not there yet. Who is there stays as is: the database knows better
/// than the file how far a user has come.
async fn enter_users(store: &SqliteRegistrations, users: &[UserConfig]) -> Result<(), Failure> {
    for user in users {
        let id = user_id(&user.org_id, &user.username)
            .map_err(|error| format!("user {:?}: {error}", user.username))?;
        let mut registration = Registration::pending(user.kind, user.username.trim());
        if user.registered {
            registration = registration.with_status(RegistrationStatus::Registered);
        }
        if let Some(locale) = &user.locale {
            registration = registration.with_locale(locale);
        }
        store.insert_if_absent(&id, &registration).await?;
    }
    Ok(())
}

fn user_id(org_id: &str, username: &str) -> Result<UserId, Failure> {
    Ok(UserId {
        org_id: OrgId::new(org_id)?,
        username: Username::new(username)?,
    })
}

/// `SECRET_KEY`, or the key in [`KEY_FILE`], which is made if it is missing.
fn registration_key() -> Result<RegistrationKey, Failure> {
    let hex = setting("SECRET_KEY", "");
    if !hex.is_empty() {
        return Ok(RegistrationKey::from_hex(&hex).map_err(|error| format!("SECRET_KEY: {error}"))?);
    }
    let path = Path::new(KEY_FILE);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    make_key_file(path)?;
    let hex = fs::read_to_string(path)?;
    Ok(RegistrationKey::from_hex(hex.trim()).map_err(|error| format!("{KEY_FILE}: {error}"))?)
}

/// Writes beside the file and then links it into place, so that of two servers that start at once,
/// both use one key, and none reads half a key.
fn make_key_file(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt;

    if path.exists() {
        return Ok(());
    }
    let key = RegistrationKey::generate()?.to_hex();
    let draft = path.with_extension(uuid::Uuid::new_v4().to_string());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{}", key.expose())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// A variable of the environment, or its default; an empty one counts as absent.
fn setting(name: &str, default: &str) -> String {
    env::var(name)
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| default.to_owned())
}

fn announce(address: SocketAddr, mailbox: &str) {
    println!("listening on http://{address}, mails in {mailbox}\n");
    println!(
        r#"curl -i -X PUT http://{address}{path} \
  -H 'Content-Type: application/json' \
  -H 'X-DFNS-APPID: 312CE25E-A112-4D45-9965-6175E7C568DD' \
  -H "X-DFNS-NONCE: $(printf '{{"uuid":"%s","datetime":"%s"}}' \
      "$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
      | base64 | tr -d '\n')" \
  -d '{{"username":"jane@example.co","orgId":"example-org-id"}}'"#,
        path = registration::PATH,
    );
}

/// Ends at the first SIGTERM or SIGINT.
fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    })
}
