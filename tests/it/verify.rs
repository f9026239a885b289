//! The composed checks: their errors, their order, and what passes.

use std::{
    convert::Infallible,
    fmt::{Debug, Display},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use chrono::TimeDelta;
use http::{Method, Request};
use http_body::{Body, Frame};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, service_fn};
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppKind, StaticApps},
    backend::memory::MemoryReplayGuard,
    client::{ClientApp, SignRequestLayer},
    clock::ManualClock,
    headers::HeaderNames,
    nonce::Freshness,
    registration::PATH,
    rejection::RejectionKind,
    signature::{BodyLimits, DEFAULT_BODY_TIMEOUT},
    user_action::{UserAction, UserActionOutcome, UserActionVerifier},
    verified::Verified,
};

use crate::support::{
    self, AUTHORITY, Answer, CLIENT_APP, Call, Calls, INACTIVE_APP, KEYLESS_APP, SECRET,
    SERVER_APP, guard, nonce_at, nonce_of, other_signing_key, send, signing_key, start, verify,
    verify_with,
};

/// Sends one call through all checks, with a guard of its own.
async fn verdict(call: Call) -> (Answer, usize) {
    let calls = Calls::default();
    let service = verify(&ManualClock::at(start())).layer(calls.echo());
    let answer = send(&service, call.build()).await;
    (answer, calls.count())
}

#[tokio::test]
async fn both_kinds_of_application_pass_with_what_they_owe() {
    for call in [Call::client_app(start()), Call::server_app(start())] {
        let body = call.body.clone();
        let (answer, calls) = verdict(call).await;
        answer.assert_success();
        assert_eq!(answer.body, body);
        assert_eq!(calls, 1);
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table reads best in one piece")]
async fn every_spoiled_header_gets_its_row_and_never_reaches_the_service() {
    let client = || Call::client_app(start());
    let server = || Call::server_app(start());
    let long = |length: usize| "a".repeat(length);
    let day_ago = start() - TimeDelta::days(1);
    let rows: Vec<(&str, Call, u16, &str)> = vec![
        (
            "no app id",
            client().without("x-dfns-appid"),
            401,
            "AppInvalid",
        ),
        (
            "empty app id",
            client().with("x-dfns-appid", ""),
            401,
            "AppInvalid",
        ),
        (
            "app id twice",
            client().and("x-dfns-appid", CLIENT_APP),
            401,
            "AppInvalid",
        ),
        (
            "long app id",
            client().with("x-dfns-appid", &long(1_025)),
            401,
            "AppInvalid",
        ),
        (
            "app id not ASCII",
            client().with_bytes("x-dfns-appid", b"\xc3\xa4"),
            401,
            "AppInvalid",
        ),
        (
            "unknown app",
            client().with("x-dfns-appid", &long(1_024)),
            401,
            "AppInvalid",
        ),
        (
            "other case",
            client().with("x-dfns-appid", &CLIENT_APP.to_lowercase()),
            401,
            "AppInvalid",
        ),
        (
            "inactive app",
            client().with("x-dfns-appid", INACTIVE_APP),
            401,
            "AppInvalid",
        ),
        (
            "no nonce",
            client().without("x-dfns-nonce"),
            400,
            "NonceInvalid",
        ),
        (
            "empty nonce",
            client().with("x-dfns-nonce", ""),
            400,
            "NonceInvalid",
        ),
        (
            "nonce twice",
            client().and("x-dfns-nonce", &nonce_at(start())),
            400,
            "NonceInvalid",
        ),
        (
            "long nonce",
            client().with("x-dfns-nonce", &long(1_025)),
            400,
            "NonceInvalid",
        ),
        (
            "nonce not ASCII",
            client().with_bytes("x-dfns-nonce", b"\xff"),
            400,
            "NonceInvalid",
        ),
        (
            "malformed nonce",
            client().with("x-dfns-nonce", "nonce"),
            400,
            "NonceInvalid",
        ),
        (
            "stale nonce",
            client().with("x-dfns-nonce", &nonce_at(day_ago)),
            400,
            "NonceInvalid",
        ),
        (
            "nonce from the future",
            client().with("x-dfns-nonce", &nonce_at(start() + TimeDelta::seconds(61))),
            400,
            "NonceInvalid",
        ),
        (
            "no secret",
            server().without("x-dfns-appsecret"),
            401,
            "AppSecretInvalid",
        ),
        (
            "empty secret",
            server().with("x-dfns-appsecret", ""),
            401,
            "AppSecretInvalid",
        ),
        (
            "wrong secret",
            server().with("x-dfns-appsecret", "wrong"),
            401,
            "AppSecretInvalid",
        ),
        (
            "secret twice",
            signed(server()).and("x-dfns-appsecret", SECRET),
            401,
            "AppSecretInvalid",
        ),
        (
            "long secret",
            server().with("x-dfns-appsecret", &long(8_193)),
            401,
            "AppSecretInvalid",
        ),
        (
            "secret not ASCII",
            signed(server()).with_bytes("x-dfns-appsecret", b"\xff"),
            401,
            "AppSecretInvalid",
        ),
        (
            "empty signature",
            signed(server()).with("x-dfns-apisignature", ""),
            401,
            "ApiSignatureInvalid",
        ),
        ("no signature", unsigned(), 401, "ApiSignatureInvalid"),
        (
            "signature twice",
            signed(server()).and("x-dfns-apisignature", "YWJj"),
            401,
            "ApiSignatureInvalid",
        ),
        (
            "long signature",
            signed(server()).with("x-dfns-apisignature", &long(8_193)),
            401,
            "ApiSignatureInvalid",
        ),
        (
            "signature of another key",
            server().sign(&other_signing_key()),
            401,
            "ApiSignatureInvalid",
        ),
        (
            "body changed",
            signed(server()).body("{}"),
            401,
            "ApiSignatureInvalid",
        ),
        (
            "method changed",
            signed(server()).method(Method::POST),
            401,
            "ApiSignatureInvalid",
        ),
        (
            "path changed",
            signed(server()).uri("/auth/registration/code"),
            401,
            "ApiSignatureInvalid",
        ),
        (
            "header added",
            signed(server()).with("authorization", "Bearer token"),
            401,
            "ApiSignatureInvalid",
        ),
        (
            "body over the limit",
            server().body(vec![b'a'; 16 * 1024 + 1]),
            413,
            "BodyTooLarge",
        ),
    ];
    for (name, call, status, error) in rows {
        let (answer, calls) = verdict(call).await;
        assert_eq!(
            (answer.status.as_u16(), answer.error_name().as_str(), calls),
            (status, error, 0),
            "{name}: {answer:?}"
        );
        answer.assert_error(status, error);
        let rejection = answer.rejection.expect("the rejection in the extensions");
        assert_eq!(rejection.kind().name(), error, "{name}");
    }
}

fn signed(call: Call) -> Call {
    call.sign(&signing_key())
}

fn unsigned() -> Call {
    signed(Call::server_app(start())).without("x-dfns-apisignature")
}

#[tokio::test]
async fn what_a_client_side_application_sends_beyond_its_id_and_nonce_is_ignored() {
    for header in [
        "x-dfns-appsecret",
        "x-dfns-apisignature",
        "x-dfns-useraction",
    ] {
        for value in ["", "whatever"] {
            let (answer, _) = verdict(Call::client_app(start()).with(header, value)).await;
            answer.assert_success();
        }
    }
}

#[tokio::test]
async fn bounds_are_exact() {
    let id = "a".repeat(1_024);
    let call = Call::client_app(start()).with("x-dfns-useraction", &"a".repeat(8_192));
    verdict(call.clone()).await.0.assert_success();
    let (answer, _) = verdict(call.with("x-dfns-useraction", &"a".repeat(8_193))).await;
    answer.assert_error(403, "UserActionInvalid");
    let (answer, _) = verdict(Call::new(&id, start())).await;
    assert_eq!(
        answer.rejection.unwrap().reason(),
        "application is unknown: ids are compared byte for byte with those of the registry"
    );

    let full = Call::server_app(start()).body(vec![b'a'; 16 * 1024]);
    verdict(full).await.0.assert_success();
}

#[tokio::test]
async fn a_nonce_is_accepted_once_and_kept_until_it_is_stale_by_its_own_datetime() {
    let clock = ManualClock::at(start());
    let guard = guard();
    let service = verify_with(&clock, &guard).layer(Calls::default().echo());
    // 60 s ahead of the clock: fresh for 360 s.
    let call = Call::client_app(start() + TimeDelta::seconds(60));
    send(&service, call.clone().build()).await.assert_success();
    for seconds in [0, 299, 301, 360] {
        clock.set(start() + TimeDelta::seconds(seconds));
        let answer = send(&service, call.clone().build()).await;
        answer.assert_error(400, "NonceReplayed");
    }
    clock.advance(TimeDelta::milliseconds(1));
    send(&service, call.clone().build())
        .await
        .assert_error(400, "NonceInvalid");
    // A clock that steps back reopens nothing, whatever the guard has forgotten since.
    for _ in 0..20 {
        clock.advance(TimeDelta::seconds(60));
        let now = tower_registration::clock::Clock::now(&clock);
        send(&service, Call::client_app(now).build())
            .await
            .assert_success();
    }
    clock.set(start());
    let answer = send(&service, call.build()).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn two_spellings_of_one_uuid_are_one_nonce_whatever_the_time_says() {
    let clock = ManualClock::at(start());
    let service = verify(&clock).layer(Calls::default().echo());
    let uuid = uuid::Uuid::new_v4().to_string();
    let call = |uuid: &str, seconds| {
        let nonce = nonce_of(uuid, start() + TimeDelta::seconds(seconds));
        Call::client_app(start()).with("x-dfns-nonce", &nonce)
    };
    send(&service, call(&uuid, 0).build())
        .await
        .assert_success();
    for spelling in [uuid.to_uppercase(), uuid.replace('-', "")] {
        send(&service, call(&spelling, 5).build())
            .await
            .assert_error(400, "NonceReplayed");
    }
}

#[tokio::test]
async fn equal_nonces_of_two_applications_do_not_collide() {
    let service = verify(&ManualClock::at(start())).layer(Calls::default().echo());
    let nonce = nonce_at(start());
    for app in [CLIENT_APP, support::EMPLOYEE_APP] {
        let call = Call::new(app, start()).with("x-dfns-nonce", &nonce);
        send(&service, call.build()).await.assert_success();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_tasks_with_one_nonce_exactly_one_passes() {
    for call in [Call::client_app(start()), Call::server_app(start())] {
        let calls = Calls::default();
        let service = verify(&ManualClock::at(start())).layer(calls.echo());
        let call = if call.headers.contains_key("x-dfns-appsecret") {
            signed(call)
        } else {
            call
        };
        let barrier = Arc::new(tokio::sync::Barrier::new(64));
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let (service, request) = (service.clone(), call.clone().build());
                let barrier = Arc::clone(&barrier);
                tokio::spawn(async move {
                    barrier.wait().await;
                    send(&service, request).await
                })
            })
            .collect();
        let mut replayed = 0;
        for task in tasks {
            let answer = task.await.unwrap();
            if answer.status != 200 {
                answer.assert_error(400, "NonceReplayed");
                replayed += 1;
            }
        }
        assert_eq!((replayed, calls.count()), (63, 1));
    }
}

/// A body that tells whether anybody asked for it.
struct Watched {
    polled: Arc<AtomicBool>,
    data: Option<Bytes>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polled.store(true, Ordering::SeqCst);
        Poll::Ready(self.data.take().map(|data| Ok(Frame::data(data))))
    }
}

/// Whether the checks read the body of this call; the inner service does not.
async fn body_is_read(call: Call) -> (bool, Answer) {
    let polled = Arc::new(AtomicBool::new(false));
    let service = verify(&ManualClock::at(start())).layer(service_fn(|_: Request<_>| async {
        Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
    }));
    let (parts, _) = call.clone().build().into_parts();
    let body = Watched {
        polled: Arc::clone(&polled),
        data: Some(call.body),
    };
    let answer = send(&service, Request::from_parts(parts, body)).await;
    (polled.load(Ordering::SeqCst), answer)
}

#[tokio::test]
async fn a_stranger_makes_no_body_be_read() {
    let server = || Call::server_app(start());
    for call in [
        server().with("x-dfns-appid", "unknown"),
        server().with("x-dfns-appsecret", "wrong"),
        server().with("x-dfns-nonce", "malformed"),
        signed(server()).with("x-dfns-apisignature", "not base64"),
        unsigned(),
        server().with("content-length", "16385"),
        // No key could verify whatever the body is.
        server().with("x-dfns-appid", KEYLESS_APP),
    ] {
        let (read, answer) = body_is_read(call).await;
        assert!(!read, "{answer:?}");
        assert_ne!(answer.status, 200);
    }
    let (read, answer) = body_is_read(server()).await;
    assert!(read, "{answer:?}");
    answer.assert_success();
    // A client-side application's body is passed on unread.
    let (read, answer) = body_is_read(Call::client_app(start())).await;
    assert!(!read, "{answer:?}");
    answer.assert_success();
}

#[tokio::test]
async fn a_stranger_burns_no_nonce_and_fills_no_guard() {
    let clock = ManualClock::at(start());
    let guard = guard();
    let service = verify_with(&clock, &guard).layer(Calls::default().echo());
    let honest = signed(Call::server_app(start()));
    for forged in [
        honest.clone().with("x-dfns-appid", "unknown"),
        honest.clone().with("x-dfns-appsecret", "wrong"),
        honest.clone().body("{}"),
        honest.clone().with("x-dfns-apisignature", "AAAA"),
        honest.clone().without("x-dfns-apisignature"),
    ] {
        assert_ne!(send(&service, forged.build()).await.status, 200);
        assert_eq!(guard.live(), 0);
    }
    send(&service, honest.build()).await.assert_success();
    assert_eq!(guard.live(), 1);
}

#[tokio::test]
async fn a_nonce_that_goes_stale_while_the_body_arrives_is_refused() {
    let clock = ManualClock::at(start());
    let guard = guard();
    let service = verify_with(&clock, &guard).layer(Calls::default().echo());
    let call = signed(Call::server_app(start() - TimeDelta::seconds(300)));
    let (parts, _) = call.clone().build().into_parts();
    let late = clock.clone();
    let body = http_body_util::StreamBody::new(futures_util::stream::once(async move {
        late.advance(TimeDelta::milliseconds(1));
        Ok::<_, Infallible>(Frame::data(call.body))
    }));
    let answer = send(&service, Request::from_parts(parts, Box::pin(body))).await;
    answer.assert_error(400, "NonceInvalid");
    assert_eq!(guard.live(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_refused_in_its_time() {
    let service = verify(&ManualClock::at(start())).layer(Calls::default().echo());
    let (parts, _) = Call::server_app(start()).build().into_parts();
    let never = http_body_util::StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, Infallible>,
    >());
    let began = tokio::time::Instant::now();
    let answer = send(&service, Request::from_parts(parts, never)).await;
    answer.assert_error(408, "BodyTimeout");
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_chunked_body_that_grows_over_the_limit_is_refused() {
    let service = verify(&ManualClock::at(start())).layer(Calls::default().echo());
    let (parts, _) = Call::server_app(start()).build().into_parts();
    let endless = http_body_util::StreamBody::new(futures_util::stream::repeat_with(|| {
        Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'a'; 1_024])))
    }));
    let answer = send(&service, Request::from_parts(parts, endless)).await;
    answer.assert_error(413, "BodyTooLarge");
}

#[tokio::test]
async fn handlers_find_the_proofs_and_only_those_that_were_made() {
    let service = ServiceBuilder::new()
        .layer(verify(&ManualClock::at(start())))
        .service(service_fn(|request: Request<_>| async move {
            let verified = Verified::of(request.extensions());
            let proof = verified.app().expect("the application");
            let app = proof.application();
            assert!(verified.nonce().is_some());
            assert!(verified.user_action().is_none());
            let signed = verified.signature().map(|signature| {
                assert_eq!(signature.key_index(), 0);
                signature.profile()
            });
            let is_server_side = app.kind() == AppKind::ServerSideApplication;
            assert_eq!(signed, is_server_side.then_some("node"), "{}", app.id());
            assert_eq!(
                proof.secret_index(),
                is_server_side.then_some(0),
                "{}",
                app.id()
            );
            Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
        }));
    for call in [Call::client_app(start()), Call::server_app(start())] {
        send(&service, call.build()).await.assert_success();
    }
}

#[tokio::test]
async fn the_debug_output_of_a_request_that_passed_shows_no_secret() {
    let service =
        verify(&ManualClock::at(start())).layer(service_fn(|request: Request<_>| async move {
            let shown = format!("{:?}", request.headers());
            assert!(shown.contains(SERVER_APP), "{shown}");
            for secret in [SECRET, "a-token"] {
                assert!(!shown.contains(secret), "{shown}");
            }
            assert_eq!(request.headers()["x-dfns-appsecret"], SECRET);
            Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::default()))
        }));
    let call = Call::server_app(start()).with("x-dfns-useraction", "a-token");
    send(&service, call.build()).await.assert_success();
}

#[tokio::test]
async fn header_names_follow_the_prefix() {
    let verify = VerifyRequest::builder()
        .apps(support::apps())
        .replay_guard(guard())
        .header_names(HeaderNames::with_prefix("x-acme-").unwrap())
        .clock(ManualClock::at(start()))
        .build()
        .unwrap();
    let service = verify.layer(Calls::default().echo());
    let renamed = Call::client_app(start())
        .without("x-dfns-appid")
        .without("x-dfns-nonce")
        .with("x-acme-appid", CLIENT_APP)
        .with("x-acme-nonce", &nonce_at(start()));
    send(&service, renamed.build()).await.assert_success();
    send(&service, Call::client_app(start()).build())
        .await
        .assert_error(401, "AppInvalid");
}

#[tokio::test]
async fn the_prefix_counts_for_all_five_headers_on_either_side() {
    let names = HeaderNames::with_prefix("x-acme-").unwrap();
    let verify = VerifyRequest::builder()
        .apps(support::apps())
        .replay_guard(guard())
        .user_action(AnyToken)
        .header_names(names.clone())
        .clock(ManualClock::at(start()))
        .build()
        .unwrap();
    let id = AppId::new(SERVER_APP).unwrap();
    let app = ClientApp::server_side(&id, &SECRET.into(), signing_key()).unwrap();
    let signing = |names| {
        SignRequestLayer::new(app.clone())
            .header_names(names)
            .clock(ManualClock::at(start()))
            .layer(verify.clone().layer(Calls::default().echo()))
    };
    let request = |action| {
        Request::put(format!("https://{AUTHORITY}{PATH}"))
            .header(action, "token")
            .body(Full::<Bytes>::from(support::JANE))
            .unwrap()
    };
    let service = signing(names);
    send(&service, request("x-acme-useraction"))
        .await
        .assert_success();
    send(&service, request("x-dfns-useraction"))
        .await
        .assert_error(403, "UserActionInvalid");
    send(
        &signing(HeaderNames::default()),
        request("x-acme-useraction"),
    )
    .await
    .assert_error(401, "AppInvalid");
}

/// Every token is good, once and again.
struct AnyToken;

impl UserActionVerifier for AnyToken {
    type Error = Infallible;
    type Future = std::future::Ready<Result<UserActionOutcome, Infallible>>;

    fn use_up(&self, _: UserAction<'_>) -> Self::Future {
        std::future::ready(Ok(UserActionOutcome::UsedUp))
    }
}

#[tokio::test]
async fn a_body_that_is_read_for_the_user_action_has_the_same_limit() {
    let body = support::JANE.len();
    for (limit, status) in [(body, 200), (body - 1, 413)] {
        let service = VerifyRequest::builder()
            .apps(support::apps())
            .replay_guard(guard())
            .user_action(AnyToken)
            .body_limits(BodyLimits::new(limit, DEFAULT_BODY_TIMEOUT).unwrap())
            .authority(AUTHORITY)
            .clock(ManualClock::at(start()))
            .build()
            .unwrap()
            .layer(Calls::default().echo());
        for call in [Call::client_app(start()), Call::server_app(start())] {
            let call = call.with("x-dfns-useraction", "token");
            let answer = send(&service, call.build()).await;
            assert_eq!(answer.status, status, "{answer:?}");
        }
    }
}

#[test]
fn what_can_not_be_safe_is_not_built() {
    let builder = || {
        VerifyRequest::builder()
            .apps(StaticApps::default())
            .replay_guard(MemoryReplayGuard::builder().build().unwrap())
    };
    assert!(builder().build().is_ok());
    let (second, over_a_day) = (Duration::from_secs(1), Duration::from_secs(86_401));
    for (error, says) in [
        (error(BodyLimits::new(0, second)), "at least 1 byte"),
        (error(BodyLimits::new(1, Duration::ZERO)), "at least 1 byte"),
        (
            error(Freshness::new(Duration::ZERO, second)),
            "1 ms to 24 h",
        ),
        (error(Freshness::new(over_a_day, second)), "1 ms to 24 h"),
        (error(Freshness::new(second, over_a_day)), "at most 24 h"),
        (error(HeaderNames::with_prefix("x acme ")), "x-acme-"),
        (
            error(builder().authority("https://example.com").build()),
            AUTHORITY,
        ),
        (error(builder().scheme("https://").build()), "https"),
        (
            error(builder().transport_profiles([]).build()),
            "at least one",
        ),
    ] {
        assert!(error.contains(says), "{error}");
    }
}

#[track_caller]
fn error<T: Debug>(refused: Result<T, impl Display + Debug>) -> String {
    refused.unwrap_err().to_string()
}

#[tokio::test]
async fn rejections_carry_their_reason_to_middleware_and_not_to_the_caller() {
    let (answer, _) = verdict(Call::client_app(start()).with("x-dfns-appid", INACTIVE_APP)).await;
    let rejection = answer.rejection.as_ref().unwrap();
    assert_eq!(rejection.kind(), RejectionKind::AppInvalid);
    assert_eq!(
        rejection.reason(),
        "application is inactive: its record says so"
    );
    let sent = String::from_utf8_lossy(&answer.body);
    assert!(
        !sent.contains("inactive") && !sent.contains(SERVER_APP),
        "{sent}"
    );
}
