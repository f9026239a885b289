//! Times that overflow, nonces in disguise, and floods.

use std::sync::Arc;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use chrono::{DateTime, TimeDelta, Utc};
use tower::Layer;
use tower_registration::{backend::memory::MemoryReplayGuard, clock::ManualClock};

use crate::support::{Call, Calls, guard, nonce_at, send, start, verify, verify_with};

fn with_json(json: &str) -> Call {
    Call::client_app(start()).with("x-dfns-nonce", &BASE64_URL_SAFE_NO_PAD.encode(json))
}

/// Arithmetic on a caller's time overflows, and a panic in a handler is the least that follows.
#[tokio::test]
async fn hostile_timestamps_are_refused_and_remembered_nowhere() {
    let (calls, guard) = (Calls::default(), guard());
    let service = verify_with(&ManualClock::at(start()), &guard).layer(calls.echo());
    for time in [
        u64::MAX.to_string(),
        i64::MAX.to_string(),
        i64::MIN.to_string(),
        "1e999".into(),
        "-0".into(),
        "0".into(),
        start().timestamp().to_string(),
        "null".into(),
        "true".into(),
        "[]".into(),
        "{}".into(),
    ] {
        for written in [time.clone(), format!("\"{time}\"")] {
            let json = format!(r#"{{"uuid":"0123456789abcdef","date":{written}}}"#);
            let answer = send(&service, with_json(&json).build()).await;
            assert_eq!(answer.error_name(), "NonceInvalid", "{json}");
        }
    }
    for time in [
        "9999-12-31T23:59:59.999999999Z",
        "10000-01-01T00:00:00Z",
        "+10000-01-01T00:00:00Z",
        "+262142-12-31T23:59:59Z",
        "-262143-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0000-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-11-23T07:44:00+99:99",
        "2026-02-30T07:44:00Z",
        "2026-11-23T25:61:61Z",
        "2026-11-23T07:44:00",
        "2026-11-23",
    ] {
        let json = format!(r#"{{"uuid":"0123456789abcdef","date":"{time}"}}"#);
        let answer = send(&service, with_json(&json).build()).await;
        assert_eq!(answer.error_name(), "NonceInvalid", "{time}");
    }
    assert_eq!((calls.count(), guard.live()), (0, 0));
}

/// The other side of the same subtraction: the server's own clock.
#[tokio::test]
async fn a_clock_at_the_ends_of_time_refuses_and_never_panics() {
    for now in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        let (calls, clock) = (Calls::default(), ManualClock::at(now));
        let service = verify(&clock).layer(calls.echo());
        for call in [Call::client_app(start()), Call::server_app(start())] {
            let answer = send(&service, call.build()).await;
            answer.assert_error(400, "NonceInvalid");
        }
        assert_eq!(calls.count(), 0);
    }
}

/// Replay caches keyed by the header's text: each way of writing a nonce is then a nonce.
#[tokio::test]
async fn a_nonce_in_another_spelling_of_base64_or_json_is_the_same_nonce() {
    let calls = Calls::default();
    let service = verify(&ManualClock::at(start())).layer(calls.echo());
    // The member that nobody asks for makes the alphabets differ.
    let json = r#"{"uuid":"530ea1ea-71c0-410d-ae19-206c17a2a497","date":"2026-11-23T07:44:00Z","x":"??>~~>"}"#;
    let first = BASE64_URL_SAFE_NO_PAD.encode(json);
    let send_header = async |header: &str| {
        let call = Call::client_app(start()).with("x-dfns-nonce", header);
        send(&service, call.build()).await
    };
    send_header(&first).await.assert_success();
    let spellings = [
        json.to_owned(),
        json.replace("uuid", "nonce"),
        json.replace("date", "datetime"),
        json.replace("530ea1ea", "530EA1EA"),
        json.replace("530ea1ea", "\\u0035\\u0033\\u0030ea1ea"),
        json.replace("\"uuid\"", "\"\\u0075uid\""),
        json.replace("T07:44:00Z", "T08:44:00.000+01:00"),
        json.replace(":00Z", ":01Z"),
        json.replace(',', " ,\n "),
        format!("{json}\n"),
        format!(" {json}"),
        r#"{"datetime":"2026-11-23T07:44:00Z","nonce":"530ea1ea71c0410dae19206c17a2a497"}"#.into(),
    ];
    for spelling in &spellings {
        let headers = [
            BASE64_URL_SAFE_NO_PAD.encode(spelling),
            BASE64_URL_SAFE.encode(spelling),
            BASE64_STANDARD.encode(spelling),
        ];
        for header in headers {
            let answer = send_header(&header).await;
            assert_eq!(answer.error_name(), "NonceReplayed", "{spelling}");
        }
    }
    assert_eq!(calls.count(), 1);
}

/// Caches that make room by forgetting the oldest: a flood buys a replay.
#[tokio::test]
async fn a_flood_drives_no_nonce_out_that_is_still_fresh() {
    let calls = Calls::default();
    let small = MemoryReplayGuard::builder()
        .started_at(start())
        .capacity(64)
        .build();
    let service = verify_with(&ManualClock::at(start()), &Arc::new(small.unwrap()));
    let service = service.layer(calls.echo());
    let captured = Call::client_app(start());
    send(&service, captured.clone().build())
        .await
        .assert_success();
    let mut refused = 0;
    for _ in 0..256 {
        let answer = send(&service, Call::client_app(start()).build()).await;
        if answer.status != 200 {
            answer.assert_error(503, "Unavailable");
            refused += 1;
        }
    }
    assert!(refused >= 256 - 63, "{refused}");
    send(&service, captured.build())
        .await
        .assert_error(400, "NonceReplayed");
}

/// Entries kept for a fixed time from their arrival: a nonce from ahead of the clock outlives its own.
#[tokio::test]
async fn a_nonce_is_known_as_long_as_it_is_fresh_whenever_it_arrived() {
    for ahead in [-300, -299, 0, 59, 60] {
        let (calls, clock) = (Calls::default(), ManualClock::at(start()));
        let service = verify(&clock).layer(calls.echo());
        let datetime = start() + TimeDelta::seconds(ahead);
        let call = Call::client_app(start()).with("x-dfns-nonce", &nonce_at(datetime));
        send(&service, call.clone().build()).await.assert_success();
        for seconds in 0..=(300 + ahead) {
            clock.set(start() + TimeDelta::seconds(seconds));
            let answer = send(&service, call.clone().build()).await;
            answer.assert_error(400, "NonceReplayed");
        }
        clock.advance(TimeDelta::milliseconds(1));
        let answer = send(&service, call.build()).await;
        answer.assert_error(400, "NonceInvalid");
        assert_eq!(calls.count(), 1, "{ahead}");
    }
}
