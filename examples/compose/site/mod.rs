//! The router: an API for programs, pages for people, and what stands around both.

mod admin;
mod api;
mod rates;
mod stack;

use std::error::Error;

use axum::Router;
use tower_registration::{
    VerifyRequest,
    app::AppRegistry,
    delivery::Handover,
    nonce::ReplayGuard,
    registration::{RegistrationStore, Registrations},
    secret::SecretString,
};
use tower_sessions::SessionStore;

pub(crate) use admin::RESEND_PATH as ADMIN_RESEND_PATH;
pub(crate) use stack::ORIGIN;

/// All routes. `password` is the administrator's. Called on a Tokio runtime.
pub(crate) fn router<R, G, S, H>(
    verify: VerifyRequest<R, G>,
    registrations: Registrations<S>,
    handover: H,
    password: SecretString,
    sessions: impl SessionStore + Clone,
) -> Result<Router, Box<dyn Error>>
where
    R: AppRegistry,
    G: ReplayGuard,
    S: RegistrationStore,
    H: Handover,
{
    let api = api::routes(verify, registrations.clone(), handover.clone())?;
    let pages = admin::routes(registrations, handover, password, sessions)?;
    stack::around(api.merge(pages))
}
