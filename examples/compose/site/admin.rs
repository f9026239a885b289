//! Pages for people: a login, and behind it the same service that the API has.
//!
//! A session is no substitute for the API's checks, nor they for it. The service for new codes
//! stands behind one or the other, and each place says which.

use std::{convert::Infallible, error::Error, fmt, sync::Arc};

use axum::{
    Form, Router,
    http::StatusCode,
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, login_required};
use ring::digest::{Digest, SHA256, digest};
use serde::Deserialize;
use tower_registration::{
    app::Permissions,
    delivery::Handover,
    registration::{RegistrationStore, Registrations, ResendRegistration},
    secret::SecretString,
};
use tower_sessions::{SessionManagerLayer, SessionStore};

/// Where a signed-in administrator asks for a user's new code, in the form that the API takes.
pub(crate) const RESEND_PATH: &str = "/admin/send-registration-email";
const NAME: &str = "admin";

pub(super) fn routes<S: RegistrationStore, H: Handover>(
    registrations: Registrations<S>,
    handover: H,
    password: SecretString,
    sessions: impl SessionStore + Clone,
) -> Result<Router, Box<dyn Error>> {
    let permissions = [
        Permissions::USERS_CREATE,
        Permissions::TYPES_END_USER,
        Permissions::TYPES_EMPLOYEE,
    ];
    // The login that stands around it is the other authentication.
    let resend = ResendRegistration::builder(registrations, handover)
        .insecure_behind_other_authentication(permissions.into_iter().collect())
        .build()?;
    // Browsers send this cookie over HTTPS alone, unless told otherwise; the example has none. It
    // is `SameSite=Strict`, so that no page of another site acts for an administrator.
    let sessions = SessionManagerLayer::new(sessions).with_secure(false);
    let logins = AuthManagerLayerBuilder::new(Admins::new(password), sessions).build();

    // A program is told 401, a browser is led to the login.
    let service = Router::new()
        .route_service(RESEND_PATH, resend)
        .route_layer(login_required!(Admins));
    let pages = Router::new()
        .route("/admin", get(|| async { Html(include_str!("admin.html")) }))
        .route_layer(login_required!(Admins, login_url = "/login"));
    Ok(service
        .merge(pages)
        .route(
            "/login",
            get(|| async { Html(include_str!("login.html")) }).post(login),
        )
        .route("/logout", post(logout))
        .route("/", get(|| async { Redirect::to("/admin") }))
        .layer(logins))
}

/// The one administrator, by a password that was drawn at the start. Passwords that people choose
/// are kept by a password hash, such as Argon2, and not like this.
#[derive(Clone)]
struct Admins(Arc<Account>);

#[derive(Clone)]
struct Admin(Arc<Account>);

struct Account {
    password: SecretString,
    /// Of the password, which the random bits in it keep from being guessed. Where there is a
    /// password hash, of that.
    digest: Digest,
}

impl Admins {
    fn new(password: SecretString) -> Self {
        let digest = digest(&SHA256, password.expose().as_bytes());
        Self(Arc::new(Account { password, digest }))
    }
}

impl fmt::Debug for Admins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admins").finish_non_exhaustive()
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Credentials {
    name: String,
    password: SecretString,
}

impl AuthUser for Admin {
    type Id = String;

    fn id(&self) -> String {
        NAME.to_owned()
    }

    /// Ends the sessions of a password that has been changed. It is written into each session, and
    /// so into the sessions' store: never the password itself.
    fn session_auth_hash(&self) -> &[u8] {
        self.0.digest.as_ref()
    }
}

impl AuthnBackend for Admins {
    type User = Admin;
    type Credentials = Credentials;
    type Error = Infallible;

    async fn authenticate(&self, shown: Credentials) -> Result<Option<Admin>, Infallible> {
        let is_right = self.0.password.matches(shown.password.expose()) && shown.name == NAME;
        Ok(is_right.then(|| Admin(Arc::clone(&self.0))))
    }

    async fn get_user(&self, id: &String) -> Result<Option<Admin>, Infallible> {
        Ok((id == NAME).then(|| Admin(Arc::clone(&self.0))))
    }
}

async fn login(mut session: AuthSession<Admins>, Form(shown): Form<Credentials>) -> Response {
    match session.authenticate(shown).await {
        Ok(Some(admin)) => match session.login(&admin).await {
            Ok(()) => Redirect::to("/admin").into_response(),
            Err(error) => failed(&error),
        },
        Ok(None) => {
            let page = Html(include_str!("login.html"));
            (StatusCode::UNAUTHORIZED, page).into_response()
        }
        Err(error) => failed(&error),
    }
}

async fn logout(mut session: AuthSession<Admins>) -> Response {
    match session.logout().await {
        Ok(_) => Redirect::to("/login").into_response(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &axum_login::Error<Admins>) -> Response {
    tracing::error!(%error, "no session");
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}
