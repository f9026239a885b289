//! The layers on a real hyper server, called by the signing client: HTTP/1.1 and HTTP/2.

use std::{convert::Infallible, error::Error, net::SocketAddr};

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use http::{
    HeaderValue, Method, Request, Response, Version,
    header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT},
};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_registration::{
    VerifyRequest,
    app::{AppId, AppSecretHash, Application, StaticApps},
    backend::memory::MemoryReplayGuard,
    client::{ClientApp, ClientError, RequestError, SignRequestLayer},
    registration::PATH,
    secret::SecretString,
    signature::SigningKey,
};

use crate::support::{Answer, Calls, JANE, SECRET};

type Transport = Client<HttpConnector, Full<Bytes>>;

const CLIENT_SIDE: &str = "ap-client-side";
const KEYS: [(&str, &str); 3] = [
    ("ap-rsa", include_str!("../keys/test-only-rsa-2048.pem")),
    ("ap-p256", include_str!("../keys/test-only-p256.pem")),
    ("ap-ed25519", include_str!("../keys/test-only-ed25519.pem")),
];

fn id(app: &str) -> AppId {
    AppId::new(app).unwrap()
}

fn apps() -> StaticApps {
    let server_side = KEYS.map(|(app, pem)| {
        let key = SigningKey::from_pem(pem).unwrap().verifying_key().clone();
        let secret = AppSecretHash::of(SECRET).unwrap();
        Application::server_side(id(app), vec![secret], vec![key])
    });
    StaticApps::new(
        server_side
            .into_iter()
            .chain([Application::client_side(id(CLIENT_SIDE))]),
    )
    .unwrap()
}

fn callers() -> Vec<ClientApp> {
    let secret = SecretString::from(SECRET);
    let server_side = KEYS.map(|(app, pem)| {
        ClientApp::server_side(&id(app), &secret, SigningKey::from_pem(pem).unwrap()).unwrap()
    });
    let client_side = ClientApp::client_side(&id(CLIENT_SIDE));
    server_side.into_iter().chain([client_side]).collect()
}

/// Serves an echo behind all checks until the test ends; with a public name, or under its own.
async fn serve(calls: &Calls, authority: Option<&str>) -> SocketAddr {
    // Nonces state milliseconds: one of the guard's very first would be dated before its start.
    let before = Utc::now() - TimeDelta::minutes(1);
    let guard = MemoryReplayGuard::builder().started_at(before).build();
    let builder = VerifyRequest::builder()
        .apps(apps())
        .replay_guard(guard.unwrap());
    let builder = match authority {
        Some(authority) => builder.authority(authority),
        None => builder,
    };
    listen(builder.build().unwrap().layer(calls.echo())).await
}

/// Serves HTTP/1.1 and HTTP/2 on loopback until the test ends.
pub(crate) async fn listen<S, B>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                // A client that breaks off is the client's affair.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

fn transport(version: Version) -> Transport {
    Client::builder(TokioExecutor::new())
        .http2_only(version == Version::HTTP_2)
        .build_http()
}

fn request(address: SocketAddr, version: Version) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::PUT)
        .version(version)
        .uri(format!("http://{address}{PATH}?trace=a%20b"))
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, "tests")
        .header("content-type", "application/json")
        .body(Full::from(JANE))
        .unwrap()
}

const VERSIONS: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

#[tokio::test]
async fn every_kind_of_key_and_application_passes_over_both_versions() {
    let calls = Calls::default();
    let address = serve(&calls, None).await;
    for version in VERSIONS {
        for caller in callers() {
            let client = SignRequestLayer::new(caller).layer(transport(version));
            let response = client.oneshot(request(address, version)).await.unwrap();
            assert_eq!(response.version(), version);
            let answer = Answer::of(response).await;
            answer.assert_success();
            assert_eq!(answer.body, JANE);
        }
    }
    assert_eq!(calls.count(), 2 * 4);
}

/// HTTP/1 readers drop it, and HTTP/2 forbids it.
#[tokio::test]
async fn white_space_around_a_covered_value_is_neither_signed_nor_sent() {
    let calls = Calls::default();
    let address = serve(&calls, None).await;
    for version in VERSIONS {
        for caller in callers() {
            let client = SignRequestLayer::new(caller).layer(transport(version));
            let mut request = request(address, version);
            for name in ["accept", "x-dfns-useraction"] {
                let padded = HeaderValue::from_static("\t one; two ");
                request.headers_mut().insert(name, padded);
            }
            let response = client.oneshot(request).await.unwrap();
            Answer::of(response).await.assert_success();
        }
    }
}

#[tokio::test]
async fn a_public_name_is_what_is_signed_wherever_the_request_really_goes() {
    let calls = Calls::default();
    let address = serve(&calls, Some("api.example.com")).await;
    for version in VERSIONS {
        for (name, status) in [("api.example.com", 200), ("evil.example.com", 401)] {
            let client = SignRequestLayer::new(callers().remove(0))
                .authority(name)
                .unwrap()
                .layer(transport(version));
            let response = client.oneshot(request(address, version)).await.unwrap();
            assert_eq!(response.status(), status, "{name} over {version:?}");
        }
    }
    assert_eq!(calls.count(), 2);
}

/// Over HTTP/1.1 the header alone goes out, over HTTP/2 the URI's authority beside it: what is signed
/// has to be what either server finds.
#[tokio::test]
async fn a_host_that_the_caller_sets_is_signed_as_it_arrives_or_refused_before_it_is_sent() {
    let calls = Calls::default();
    let (own, public) = (
        serve(&calls, None).await,
        serve(&calls, Some("api.example.com")).await,
    );
    let call = async |version, address, host: &str, authority: Option<&'static str>| {
        let mut layer = SignRequestLayer::new(callers().remove(2));
        if let Some(authority) = authority {
            layer = layer.authority(authority).unwrap();
        }
        let mut request = request(address, version);
        let host = HeaderValue::from_str(host).unwrap();
        request.headers_mut().insert(HOST, host);
        let response = layer.layer(transport(version)).oneshot(request).await;
        response.map(|response| response.status().as_u16())
    };
    for version in VERSIONS {
        let same = call(version, own, &own.to_string(), None).await;
        assert_eq!(same.unwrap(), 200, "{version:?}");
        let other = call(version, own, "api.example.com", None).await;
        assert!(
            matches!(
                other,
                Err(ClientError::Request(RequestError::TwoAuthorities))
            ),
            "{version:?}: {other:?}"
        );
        for host in ["api.example.com", "backend.example.com"] {
            let told = call(version, public, host, Some("api.example.com")).await;
            assert_eq!(told.unwrap(), 200, "{host} over {version:?}");
        }
    }
    assert_eq!(calls.count(), 2 * 3);
}

/// What somebody on the way does to a request after it was signed.
type Tamper = fn(Request<Full<Bytes>>) -> Request<Full<Bytes>>;

const TAMPERINGS: [(&str, Tamper); 6] = [
    ("method", |mut request| {
        *request.method_mut() = Method::POST;
        request
    }),
    ("query", |mut request| {
        let more = request.uri().to_string() + "&admin=1";
        *request.uri_mut() = more.parse().unwrap();
        request
    }),
    ("body", |request| {
        request.map(|_| Full::from(JANE.replace("jane", "evil")))
    }),
    ("host", |mut request| {
        let evil = HeaderValue::from_static("evil.example.com");
        request.headers_mut().insert(HOST, evil);
        request
    }),
    ("authorization", |mut request| {
        let added = HeaderValue::from_static("Bearer token");
        request.headers_mut().insert(AUTHORIZATION, added);
        request
    }),
    ("user action", |mut request| {
        let added = HeaderValue::from_static("token");
        request.headers_mut().insert("x-dfns-useraction", added);
        request
    }),
];

#[tokio::test]
async fn what_is_changed_on_the_way_is_refused_and_burns_no_nonce() {
    let calls = Calls::default();
    let address = serve(&calls, None).await;
    for version in VERSIONS {
        for (what, tamper) in TAMPERINGS {
            let transport = transport(version);
            let honest = transport.clone();
            // Sends the request changed, and then as it was.
            let proxy = service_fn(move |request: Request<Full<Bytes>>| {
                let (transport, honest) = (transport.clone(), honest.clone());
                async move {
                    let copy = request.clone();
                    let refused = transport.oneshot(tamper(request)).await?;
                    let passed = honest.oneshot(copy).await?;
                    Ok::<_, hyper_util::client::legacy::Error>(Response::new((
                        refused.status(),
                        passed.status(),
                    )))
                }
            });
            let client = SignRequestLayer::new(callers().remove(2)).layer(proxy);
            let (refused, passed) = client
                .oneshot(request(address, version))
                .await
                .unwrap()
                .into_body();
            assert_eq!(
                (refused.as_u16(), passed.as_u16()),
                (401, 200),
                "{what} over {version:?}"
            );
        }
    }
    assert_eq!(calls.count(), VERSIONS.len() * TAMPERINGS.len());
}

#[tokio::test]
async fn a_captured_request_is_accepted_once() {
    let calls = Calls::default();
    let address = serve(&calls, None).await;
    for version in VERSIONS {
        let transport = transport(version);
        let twice = service_fn(move |request: Request<Full<Bytes>>| {
            let transport = transport.clone();
            async move {
                let first = transport.clone().oneshot(request.clone()).await?;
                let second = transport.oneshot(request).await?;
                let answers = (Answer::of(first).await, Answer::of(second).await);
                Ok::<_, hyper_util::client::legacy::Error>(Response::new(answers))
            }
        });
        for caller in callers() {
            let client = SignRequestLayer::new(caller).layer(twice.clone());
            let response = client.oneshot(request(address, version)).await.unwrap();
            let (first, second) = response.into_body();
            first.assert_success();
            second.assert_error(400, "NonceReplayed");
        }
    }
    assert_eq!(calls.count(), 8);
}

/// Sends bytes as they are, and reads until the server has said all that it will.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn hostile_bytes_are_refused_without_reaching_the_service() {
    let calls = Calls::default();
    let address = serve(&calls, None).await;
    let head = format!("PUT {PATH} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    let rows: [(&str, Vec<u8>, &str); 5] = [
        ("no credentials", format!("{head}\r\n").into(), "401"),
        (
            "app id of bytes beyond ASCII",
            [head.as_bytes(), b"x-dfns-appid: \xff\xfe\r\n\r\n"].concat(),
            "401",
        ),
        (
            "app id twice",
            format!("{head}x-dfns-appid: a\r\nX-DFNS-APPID: a\r\n\r\n").into(),
            "401",
        ),
        (
            "nonce of a megabyte",
            format!("{head}x-dfns-nonce: {}\r\n\r\n", "a".repeat(20_000)).into(),
            "400",
        ),
        (
            "header broken in two, as by an unwrapped base64",
            format!("{head}x-dfns-nonce: eyJ1\r\ndWlk\r\n\r\n").into(),
            "400",
        ),
    ];
    for (what, bytes, status) in rows {
        let answer = raw(address, &bytes).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{what}: {answer}"
        );
    }
    assert_eq!(calls.count(), 0);
}

/// `SignRequest` takes any tower client, also one that must be polled ready.
#[tokio::test]
async fn the_client_calls_the_transport_that_was_polled_ready() {
    let calls = Calls::default();
    let address = serve(&calls, None).await;
    let limited = tower::limit::ConcurrencyLimit::new(transport(Version::HTTP_11), 1);
    let mut client = SignRequestLayer::new(callers().remove(1)).layer(limited);
    for _ in 0..3 {
        let ready = ServiceExt::<Request<Full<Bytes>>>::ready(&mut client)
            .await
            .unwrap();
        let response = ready.call(request(address, Version::HTTP_11)).await;
        assert_eq!(response.unwrap().status(), 200);
    }
    assert_eq!(calls.count(), 3);
    let unreachable = service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Infallible>, _>(std::io::Error::other("no route"))
    });
    let client = SignRequestLayer::new(callers().remove(1)).layer(unreachable);
    let failed = client.oneshot(request(address, Version::HTTP_11)).await;
    assert!(failed.is_err());
}
