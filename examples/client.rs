//! Calls the example server as both kinds of application, over hyper-util's client.
//!
//! Start `cargo run --example server` first. `SERVER` names another address than
//! `http://127.0.0.1:3000`, `AUTHORITY` another public name than the one in `examples/server.json`.

use std::{env, error::Error};

use bytes::Bytes;
use http::{Method, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, ServiceExt};
use tower_registration::{
    app::AppId,
    client::{ClientApp, SignRequestLayer},
    registration,
    secret::SecretString,
    signature::SigningKey,
};

/// Of `examples/server.json`. A key and a secret that are published are good for nothing else.
const CLIENT_SIDE: &str = "312CE25E-A112-4D45-9965-6175E7C568DD";
const SERVER_SIDE: &str = "495C1CF8-673A-499C-A1F7-CFD32B60E726";
const SECRET: &str = "demo-only-3b0a4f2e-5d0c-4c1f-9a55-8f2a7f6f1c11";
const KEY: &str = include_str!("demo-key.pem");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = env::var("SERVER").unwrap_or_else(|_| "http://127.0.0.1:3000".to_owned());
    let authority = env::var("AUTHORITY").unwrap_or_else(|_| "api.example.com".to_owned());

    let client_side = ClientApp::client_side(&AppId::new(CLIENT_SIDE)?);
    let server_side = ClientApp::server_side(
        &AppId::new(SERVER_SIDE)?,
        &SecretString::from(SECRET),
        SigningKey::from_pem(KEY)?,
    )?;
    for (app, username) in [
        (client_side, "jane@example.co"),
        (server_side, "kim@example.co"),
    ] {
        let layer = SignRequestLayer::new(app).authority(authority.as_str())?;
        let (status, body) = ask_for_a_code(layer, &server, username).await?;
        println!("{username}: {status} {body}");
    }
    Ok(())
}

async fn ask_for_a_code(
    layer: SignRequestLayer,
    server: &str,
    username: &str,
) -> Result<(http::StatusCode, String), Box<dyn Error>> {
    let transport: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let body = serde_json::json!({"username": username, "orgId": "example-org-id"});
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("{server}{}", registration::PATH))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::<Bytes>::from(body.to_string()))?;
    let response = layer.layer(transport).oneshot(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
