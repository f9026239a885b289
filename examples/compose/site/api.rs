//! The API: every route of it behind all checks.

use std::error::Error;

use axum::{Extension, Json, Router, routing::get};
use serde_json::{Value, json};
use tower_registration::{
    VerifyRequest,
    app::AppRegistry,
    delivery::Handover,
    nonce::ReplayGuard,
    registration::{PATH, RegistrationStore, Registrations, ResendRegistration},
    verified::Verified,
};

pub(super) fn routes<R, G, S, H>(
    verify: VerifyRequest<R, G>,
    registrations: Registrations<S>,
    handover: H,
) -> Result<Router, Box<dyn Error>>
where
    R: AppRegistry,
    G: ReplayGuard,
    S: RegistrationStore,
    H: Handover,
{
    let resend = ResendRegistration::builder(registrations, handover).build()?;
    // `route_layer`: what is no route is a 404 without a look at who asks.
    Ok(Router::new()
        .route_service(PATH, resend)
        .route("/api/whoami", get(whoami))
        .route_layer(verify))
}

/// What was proved about the request. Without the checks around it, this handler answers 500.
async fn whoami(Extension(verified): Extension<Verified>) -> Json<Value> {
    let app = verified.app().map(|app| app.application().id().as_str());
    Json(json!({"app": app, "signed": verified.signature().is_some()}))
}
