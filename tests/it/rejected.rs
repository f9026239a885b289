//! What the log tells the developer of a client that is refused, and that nothing of it is answered.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderValue, Request};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, service_fn};
use tower_registration::{
    app::{AppId, AppLayer},
    client::{ClientApp, SignRequestLayer},
    clock::ManualClock,
    nonce::NonceLayer,
    registration::PATH,
    signature::{ApiSignatureLayer, Explain},
};

use crate::support::{
    AUTHORITY, Answer, Call, Calls, JANE, Log, SECRET, SERVER_APP, Verify, apps, guard, nonce_of,
    other_signing_key, send, signing_key, start, verify, verify_builder,
};

const BEARER: &str = "bearer-token-3f0e";

fn explaining(clock: &ManualClock) -> Verify {
    verify_builder(clock, &guard())
        .insecure_explain_signature(Explain::EvenInRelease)
        .build()
        .expect("settings that can be served")
}

/// The answer to one call, and what was logged meanwhile.
async fn refused(verify: Verify, call: Call) -> (Answer, String) {
    let log = Log::default();
    let _capturing = log.capture();
    let answer = send(&verify.layer(Calls::default().echo()), call.build()).await;
    (answer, log.text())
}

#[tokio::test]
async fn a_nonce_out_of_its_window_is_logged_with_the_difference_of_the_clocks() {
    let datetime = |milliseconds| start() + TimeDelta::milliseconds(milliseconds);
    for (milliseconds, says) in [
        (-301_000, "nonce is stale: its datetime is -301.000 s from"),
        (-300_001, "its datetime is -300.001 s from this clock"),
        (
            61_500,
            "nonce is from the future: its datetime is +61.500 s",
        ),
    ] {
        let call = Call::client_app(datetime(milliseconds));
        let (answer, log) = refused(verify(&ManualClock::at(start())), call).await;
        answer.assert_error(400, "NonceInvalid");
        assert!(log.contains(says), "{log}");
        assert!(
            log.contains("-300.000 s to +60.000 s are accepted"),
            "{log}"
        );
    }
}

#[tokio::test]
async fn layers_in_the_wrong_order_are_logged_with_what_to_do() {
    let log = Log::default();
    let _capturing = log.capture();
    let clock = std::sync::Arc::new(ManualClock::at(start()));
    let signature = ApiSignatureLayer::builder().authority(AUTHORITY);
    let service = ServiceBuilder::new()
        .layer(AppLayer::new(apps()))
        .layer(NonceLayer::new(guard()).clock(clock))
        .layer(signature.layer().unwrap())
        .service(Calls::default().echo());
    let call = Call::server_app(start()).sign(&signing_key());
    send(&service, call.build())
        .await
        .assert_error(500, "InternalError");
    let says = "NonceLayer found no proof of ApiSignatureLayer: mount ApiSignatureLayer outside of \
                NonceLayer";
    assert!(log.text().contains(says), "{}", log.text());
}

/// What a client layer makes of a request to [`AUTHORITY`], with what is changed on the way.
async fn signed_by_client(
    now: DateTime<Utc>,
    layer: impl FnOnce(SignRequestLayer) -> SignRequestLayer,
) -> Request<Full<Bytes>> {
    let app = AppId::new(SERVER_APP).unwrap();
    let app = ClientApp::server_side(&app, &SECRET.into(), signing_key()).unwrap();
    let layer = layer(SignRequestLayer::new(app).clock(ManualClock::at(now)));
    let caught = std::sync::Arc::new(std::sync::Mutex::new(None));
    let wire = caught.clone();
    let client = layer.layer(service_fn(move |request: Request<Full<Bytes>>| {
        *wire.lock().unwrap() = Some(request);
        async { Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default())) }
    }));
    let request = Request::put(format!("https://{AUTHORITY}{PATH}"))
        .header("authorization", format!("Bearer {BEARER}"))
        .body(Full::<Bytes>::from(JANE))
        .unwrap();
    send(&client, request).await.assert_success();
    caught.lock().unwrap().take().unwrap()
}

#[tokio::test]
async fn a_client_that_shows_its_text_is_told_in_the_log_where_it_differs() {
    type Spoil = fn(&mut Request<Full<Bytes>>);
    let cases: [(Spoil, &str); 3] = [
        (
            |request| {
                let agent = HeaderValue::from_static("proxy/1");
                request.headers_mut().insert("user-agent", agent);
            },
            r#"h-user-agent differs from byte 0 on: the client has "", this server "proxy/1""#,
        ),
        (
            |request| *request.uri_mut() = format!("{PATH}?x=1").parse().unwrap(),
            "r-path differs from byte 42 on",
        ),
        (
            |request| *request.body_mut() = Full::from("{}"),
            "r-body differs from byte 1 on: the client has <74 bytes>, this server <3 bytes>",
        ),
    ];
    for (spoil, says) in cases {
        let layer = SignRequestLayer::insecure_show_signed_text;
        let mut request = signed_by_client(start(), layer).await;
        let shown = &request.headers()["x-dfns-explain-signature"];
        assert!(shown.is_sensitive());
        spoil(&mut request);
        let log = Log::default();
        let _capturing = log.capture();
        let service = explaining(&ManualClock::at(start())).layer(Calls::default().echo());
        let answer = send(&service, request).await;
        answer.assert_error(401, "ApiSignatureInvalid");
        let log = log.text();
        assert!(log.contains(says), "{log}");
        for secret in [SECRET, BEARER, JANE, "jane@example.co"] {
            assert!(!log.contains(secret), "{log}");
            assert!(!String::from_utf8_lossy(&answer.body).contains(secret));
        }
    }
}

#[tokio::test]
async fn a_client_sends_its_text_only_if_told_to_and_only_if_it_is_short() {
    let request = signed_by_client(start(), |layer| layer).await;
    assert!(!request.headers().contains_key("x-dfns-explain-signature"));
    let elsewhere = |layer: SignRequestLayer| {
        let layer = layer.insecure_show_signed_text();
        layer.authority("a".repeat(20_000)).unwrap()
    };
    let request = signed_by_client(start(), elsewhere).await;
    assert!(request.headers().contains_key("x-dfns-apisignature"));
    assert!(!request.headers().contains_key("x-dfns-explain-signature"));
}

/// Calls of every outcome, each with a nonce of its own so that it can be sent to two services.
fn calls_of_every_outcome() -> Vec<Call> {
    let call = |number: u32| {
        let nonce = nonce_of(&format!("random-value-{number}"), start());
        Call::server_app(start()).with("x-dfns-nonce", &nonce)
    };
    let shown = "x-dfns-explain-signature";
    vec![
        call(1),
        call(2).with(shown, "no base64!"),
        call(3).sign(&other_signing_key()),
        call(4).sign(&other_signing_key()).with(shown, "e30"),
        call(5).sign(&signing_key()).body("{}").with(shown, "e30"),
        call(6).sign(&signing_key()).and(shown, "a").and(shown, "b"),
        call(7)
            .sign(&signing_key())
            .with("x-dfns-apisignature", "AAAA"),
        call(8).with("x-dfns-appsecret", "wrong").with(shown, "e30"),
        Call::client_app(start()).with(shown, "e30"),
    ]
}

#[tokio::test]
async fn explanations_change_no_verdict_and_no_byte_of_an_answer() {
    let mut outcomes = Vec::new();
    for call in calls_of_every_outcome() {
        let clock = ManualClock::at(start());
        let (plain, silent) = refused(verify(&clock), call.clone()).await;
        let (explained, _) = refused(explaining(&clock), call).await;
        assert_eq!(plain.status, explained.status);
        assert_eq!(plain.headers, explained.headers);
        assert_eq!(plain.body, explained.body);
        assert!(!silent.contains("difference="), "{silent}");
        outcomes.push(plain.status.as_u16());
    }
    assert_eq!(outcomes, [200, 200, 401, 401, 401, 200, 401, 401, 200]);
}

#[tokio::test]
async fn the_text_that_a_client_shows_is_hidden_from_debug_of_the_headers() {
    let service =
        explaining(&ManualClock::at(start())).layer(service_fn(|request: Request<_>| async move {
            let shown = request.headers().get_all("x-dfns-explain-signature");
            assert_eq!(shown.iter().filter(|value| value.is_sensitive()).count(), 2);
            Ok::<_, std::convert::Infallible>(http::Response::new(Full::<Bytes>::default()))
        }));
    let name = "x-dfns-explain-signature";
    let call = Call::server_app(start()).and(name, "a").and(name, "b");
    send(&service, call.build()).await.assert_success();
}
