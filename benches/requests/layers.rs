//! All layers over an inner service that does nothing.

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppSecretHash, Application, StaticApps},
    backend::memory::MemoryReplayGuard,
    signature::SigningKey,
};

use crate::requests::support::{AUTHORITY, CLIENT_APP, SECRET, SERVER_APP};

/// An inner service that does nothing.
pub(crate) fn answer<B>(_: Request<B>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::default())))
}

pub(crate) fn rsa_key() -> SigningKey {
    SigningKey::from_pem(include_str!("../../tests/keys/test-only-rsa-2048.pem")).expect("a key")
}

/// All layers, with a guard that knows no nonce and holds so many.
pub(crate) fn verify(capacity: usize) -> VerifyRequest<StaticApps, MemoryReplayGuard> {
    let id = |id| AppId::new(id).expect("an id");
    let secret = AppSecretHash::of(SECRET).expect("a secret");
    let key = rsa_key().verifying_key().clone();
    let apps = StaticApps::new([
        Application::client_side(id(CLIENT_APP)),
        Application::server_side(id(SERVER_APP), vec![secret], vec![key]),
    ]);
    // The requests have been made before.
    let guard = MemoryReplayGuard::builder()
        .capacity(capacity)
        .insecure_accept_before_start();
    VerifyRequest::builder()
        .apps(apps.expect("applications"))
        .replay_guard(guard.build().expect("a guard"))
        .authority(AUTHORITY)
        .build()
        .expect("settings that can be served")
}
