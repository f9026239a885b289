//! The routes, and the step after the mail.

use std::time::Duration;

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;
use tower_registration::{
    VerifyRequest,
    app::StaticApps,
    delivery::Wake,
    headers::HeaderNames,
    nonce::{Freshness, ReplayGuard},
    registration::{
        self, RedeemOutcome, RedeemRequest, RegistrationStore, Registrations, ResendRegistration,
    },
    rejection::{Rejection, RejectionKind},
};

use crate::{Failure, config::Config};

/// Most bytes of a body that shows a code.
const MAX_BODY_BYTES: usize = 16 * 1024;

pub(crate) fn router<S: RegistrationStore, G: ReplayGuard>(
    config: Config,
    registrations: Registrations<S>,
    guard: G,
    wake: Wake,
) -> Result<Router, Failure> {
    let mut verify = VerifyRequest::builder()
        .apps(StaticApps::from_configs(config.apps)?)
        .replay_guard(guard)
        .scheme(config.scheme)
        .freshness(Freshness::new(
            Duration::from_secs(config.nonce.max_age_seconds),
            Duration::from_secs(config.nonce.max_future_seconds),
        )?);
    if let Some(authority) = config.authority {
        verify = verify.authority(authority);
    }
    let resend = ResendRegistration::builder(registrations.clone(), wake);
    let resend = match config.policy.answer_grid_millis {
        0 => resend.insecure_without_answer_grid(),
        millis => resend.answer_grid(Duration::from_millis(millis)),
    }
    .build()?;
    let openapi = resend.openapi(&HeaderNames::default());
    Ok(Router::new()
        .route_service(registration::PATH, resend.clone())
        .route_service(registration::LATER_PATH, resend)
        .route("/auth/registration", post(redeem::<S>))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(verify.build()?)
        .route(
            "/openapi.json",
            get(|| async { ([(CONTENT_TYPE, "application/json")], openapi) }),
        )
        .route("/health", get(|| async { Json(json!({"status": "ok"})) }))
        .with_state(registrations))
}

/// A stand-in for the step after the mail: the current code completes the registration.
async fn redeem<S: RegistrationStore>(
    State(registrations): State<Registrations<S>>,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let request = body.map_err(|error| unreadable(&error)).and_then(|body| {
        RedeemRequest::parse(&body).map_err(|error| Rejection::body_invalid(error.to_string()))
    });
    let RedeemRequest { user, code, .. } = match request {
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
