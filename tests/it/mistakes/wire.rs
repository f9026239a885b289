//! HTTP/1.1 as attackers write it.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, sleep},
};
use tower_registration::registration::PATH;

use super::{Api, Wire, statuses};
use crate::support::{AUTHORITY, Call, JANE, signing_key, start};

/// A request that is good by itself, to be hidden behind another.
fn hidden() -> Vec<u8> {
    let call = Call::client_app(start()).with("content-length", &JANE.len().to_string());
    Wire::of(&call).and("connection", "close").bytes()
}

/// Request smuggling, CL.TE and TE.CL: RFC 9112 section 6.3 lets a server read such a request by its
/// chunks alone if it closes the connection then.
#[tokio::test]
async fn length_and_chunks_at_once_are_read_by_the_chunks_and_nothing_hides_behind_them() {
    let api = Api::named().await;
    let chunked = || Wire::signed_in_chunks().without("connection");
    let mut orders = [chunked(), chunked().without("transfer-encoding")];
    let length =
        (orders[0].in_chunks("").len() - orders[0].head().len() + hidden().len()).to_string();
    orders = orders.map(|order| order.and("content-length", &length));
    orders[1] = orders[1].clone().and("transfer-encoding", "chunked");
    for order in orders {
        let bytes = [order.in_chunks(""), hidden()].concat();
        let answer = api.say(&bytes).await;
        assert_eq!(statuses(&answer), [200], "{answer}");
        assert!(answer.ends_with(JANE), "{answer}");
        assert_eq!(api.seen(), [PATH]);
    }
}

/// The other half of it: a length that the signature covers is not dropped without a trace.
#[tokio::test]
async fn a_signed_length_that_chunks_displace_is_refused() {
    let api = Api::named().await;
    let both = Wire::signed().and("transfer-encoding", "chunked");
    api.refuses("both", &both.in_chunks(""), 401).await;
}

/// Request smuggling, CL.CL: which of two lengths counts is each reader's own guess.
#[tokio::test]
async fn lengths_that_two_readers_could_read_differently_are_refused() {
    let api = Api::named().await;
    let length = JANE.len();
    for second in ["0".into(), format!("{}", length + 1)] {
        let twice = Wire::signed().and("content-length", &second);
        api.refuses(&second, &twice.bytes(), 400).await;
    }
    for odd in [
        format!("+{length}"),
        format!("-{length}"),
        format!("0x{length:x}"),
        format!("{length}.0"),
        format!("{length}, {length}"),
        format!("{length} {length}"),
        "18446744073709551616".into(),
        String::new(),
    ] {
        let wire = Wire::signed().with("content-length", &odd);
        api.refuses(&odd, &wire.bytes(), 400).await;
    }
}

/// Request smuggling, TE.TE: one of two readers is made to overlook the coding.
#[tokio::test]
async fn a_coding_that_two_readers_could_read_differently_is_refused() {
    let api = Api::named().await;
    for coding in [
        "xchunked",
        "identity",
        "gzip",
        "chunked, identity",
        "\"chunked\"",
        "chunked;q=1",
        "chunked\u{b}",
        "",
    ] {
        let wire = Wire::signed_in_chunks().with("transfer-encoding", coding);
        api.refuses(coding, &wire.in_chunks(""), 400).await;
    }
    let twice = Wire::signed_in_chunks().and("transfer-encoding", "identity");
    api.refuses("twice", &twice.in_chunks(""), 400).await;
    let mut old = Wire::signed_in_chunks();
    old.version = "HTTP/1.0";
    api.refuses("HTTP/1.0", &old.in_chunks(""), 400).await;
}

/// Spaces before the colon, folded lines and control characters have split messages in proxies.
#[tokio::test]
async fn a_head_that_two_readers_could_read_differently_is_refused() {
    let api = Api::named().await;
    for (name, value) in [
        ("x-fold", "a\r\n b"),
        ("x-space ", "a"),
        (" x-leading", "a"),
        ("transfer-encoding ", "chunked"),
        ("x-carriage-return", "a\rb"),
        ("x-zero", "a\0b"),
        ("x\u{b}tab", "a"),
        ("", "no name"),
    ] {
        let wire = Wire::signed().and(name, value);
        api.refuses(name, &wire.bytes(), 400).await;
    }
}

/// Chunk sizes that overflow, or are read with signs and prefixes, end a body elsewhere.
#[tokio::test]
async fn a_chunk_whose_size_is_no_hexadecimal_number_is_refused() {
    let api = Api::named().await;
    let size = format!("{:x}", JANE.len());
    for odd in [
        format!("0x{size}"),
        format!("+{size}"),
        format!("-{size}"),
        format!("10000000000000000{size}"),
        format!("{size} {size}"),
        String::new(),
    ] {
        let mut bytes = Wire::signed_in_chunks().head();
        bytes.extend(format!("{odd}\r\n{JANE}\r\n0\r\n\r\n").bytes());
        api.refuses(&odd, &bytes, 400).await;
    }
    let mut longer = Wire::signed_in_chunks().head();
    longer.extend(format!("{size}\r\n{JANE}more\r\n0\r\n\r\n").bytes());
    api.refuses("longer than its size", &longer, 400).await;
}

/// Trailers that are merged into the headers come after every check.
#[tokio::test]
async fn what_stands_in_trailers_is_no_header() {
    let api = Api::named().await;
    let wire = Wire::signed_in_chunks();
    for name in ["x-dfns-appid", "x-dfns-nonce", "x-dfns-apisignature"] {
        let (_, value) = wire.headers.iter().find(|(own, _)| own == name).unwrap();
        let trailer = format!("{name}: {}\r\n", str::from_utf8(value).unwrap());
        let moved = wire.clone().without(name).and("trailer", name);
        let answer = api.say(&moved.in_chunks(&trailer)).await;
        assert!([400, 401].contains(&statuses(&answer)[0]), "{answer}");
        assert_eq!(api.seen(), [""; 0], "{name}");
    }
    let doubled = wire.in_chunks("x-dfns-appid: other\r\nhost: evil.example.com\r\n");
    api.accepts("trailers beside headers", &doubled).await;
}

/// A limit that looks at `content-length` alone is none for chunks.
#[tokio::test]
async fn chunks_over_the_limit_are_refused_before_their_end() {
    let api = Api::named().await;
    let mut wire = Wire::signed_in_chunks();
    wire.body = vec![b'a'; 16 * 1024 + 1];
    let unfinished = wire.in_chunks("");
    let unfinished = &unfinished[..unfinished.len() - "\r\n0\r\n\r\n".len()];
    api.refuses("chunks", unfinished, 413).await;
    let announced = Wire::signed().with("content-length", "16385");
    api.refuses("announced", &announced.head(), 413).await;
}

/// Slow bodies: a time-out that each byte starts anew never ends.
#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_refused_when_its_time_is_up() {
    let api = Api::named().await;
    let wire = Wire::signed();
    let (mut from, mut to) = TcpStream::connect(api.address).await.unwrap().into_split();
    to.write_all(&wire.head()).await.unwrap();
    let dripping = tokio::spawn(async move {
        let mut sent = 0;
        for byte in wire.body {
            sleep(Duration::from_secs(1)).await;
            if to.write_all(&[byte]).await.is_err() {
                break;
            }
            sent += 1;
        }
        sent
    });
    let mut answer = Vec::new();
    // The server may have to break off while bytes still arrive.
    let _ = from.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(statuses(&answer), [408], "{answer}");
    assert!(dripping.await.unwrap() < JANE.len());
    assert_eq!(api.seen(), [""; 0]);
}

/// `100 Continue` before the checks tells a stranger to send a body that nobody should read.
#[tokio::test]
async fn a_stranger_is_refused_without_being_told_to_continue() {
    let api = Api::named().await;
    let expecting = || Wire::signed().and("expect", "100-continue");
    let strange = expecting().with("x-dfns-appid", "unknown");
    api.refuses("stranger", &strange.head(), 401).await;
    let keyless = expecting().without("x-dfns-apisignature");
    api.refuses("unsigned", &keyless.head(), 401).await;
    let large = expecting().with("content-length", "16385");
    api.refuses("too large", &large.head(), 413).await;
}

/// After a final status, what follows is the body that was not asked for: it is dropped, with the
/// connection or without, and never read as a request.
#[tokio::test]
async fn the_body_of_a_refused_expectation_is_no_request() {
    let api = Api::named().await;
    let inside = Wire::of(&Call::client_app(start()).uri("/inside")).and("connection", "close");
    let mut wire = Wire::signed()
        .without("connection")
        .with("x-dfns-appid", "unknown")
        .and("expect", "100-continue")
        .with("content-length", inside.head().len().to_string());
    wire.body = inside.head();
    let answer = api.say(&[wire.bytes(), hidden()].concat()).await;
    assert!(
        [&[401][..], &[401, 200]].contains(&&statuses(&answer)[..]),
        "{answer}"
    );
    assert!(api.seen().iter().all(|path| path == PATH), "{answer}");
}

#[tokio::test]
async fn an_honest_client_is_told_to_continue_and_then_answered() {
    let api = Api::named().await;
    let client_side = Call::client_app(start()).with("content-length", &JANE.len().to_string());
    for wire in [
        Wire::signed(),
        Wire::of(&client_side).and("connection", "close"),
    ] {
        let wire = wire.and("Expect", "100-Continue");
        let mut stream = TcpStream::connect(api.address).await.unwrap();
        stream.write_all(&wire.head()).await.unwrap();
        let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream.write_all(&wire.body).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert_eq!(statuses(&answer), [200], "{answer}");
        assert!(answer.ends_with(JANE), "{answer}");
    }
    assert_eq!(api.seen(), [PATH; 2]);
}

/// A signature that names no service is good at every one. RFC 9112 section 3.2 would have a server
/// refuse HTTP/1.1 without `Host`; hyper leaves that to the service.
#[tokio::test]
async fn a_request_without_a_host_is_refused_even_if_it_was_signed_so() {
    let api = Api::nameless().await;
    let anywhere = |call: Call| call.sign_for("", &signing_key());
    let length = JANE.len().to_string();
    let call = || Call::server_app(start()).with("content-length", &length);
    let absent = Wire::of(&anywhere(call().without("host"))).and("connection", "close");
    let empty = Wire::of(&anywhere(call().with("host", ""))).and("connection", "close");
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        for mut wire in [absent.clone(), empty.clone()] {
            wire.version = version;
            api.refuses(version, &wire.bytes(), 401).await;
        }
    }
    api.accepts("with a host", &Wire::signed().bytes()).await;

    // A service that knows its name has no need of the header, and falls for no other.
    let api = Api::named().await;
    let stripped = Wire::signed().without("host");
    api.refuses("host taken away", &stripped.bytes(), 401).await;
    let elsewhere = Wire::of(&call().sign_for("b.example.com", &signing_key()));
    let elsewhere = elsewhere.and("connection", "close");
    api.refuses("signed for another", &elsewhere.bytes(), 401)
        .await;
    let mut old = Wire::signed_as(|call| call.with("host", "")).without("host");
    old.version = "HTTP/1.0";
    api.accepts("HTTP/1.0 has no host", &old.bytes()).await;
}

/// Two names in one request: a proxy checks one, the service behind it serves the other. RFC 9112
/// section 3.2.2 has a server go by the target and not by `Host`.
#[tokio::test]
async fn a_target_that_names_another_host_than_the_header_is_refused() {
    let (nameless, named) = (Api::nameless().await, Api::named().await);
    for other in [
        "b.example.com",
        "api.example.com:8080",
        "api.example.com:80",
        "api.example.com.",
        "a@api.example.com",
    ] {
        let target = format!("https://{other}{PATH}");
        let wire = || Wire::signed().target(&target).bytes();
        nameless.refuses(&target, &wire(), 401).await;
        // Its name is set, and signed: what a proxy writes into the target is the proxy's affair.
        named.accepts(&target, &wire()).await;
    }
    for api in [nameless, named] {
        for same in [
            "https://api.example.com",
            "https://API.example.com",
            "https://api.example.com:443",
            "https://api.example.com:",
            // The hop's scheme is not the one under which clients reach the service.
            "http://api.example.com:443",
        ] {
            let wire = Wire::signed().target(&format!("{same}{PATH}"));
            api.accepts(same, &wire.bytes()).await;
        }
        let twice = Wire::signed().and("HOST", AUTHORITY);
        api.refuses("host twice", &twice.bytes(), 401).await;
        let hidden = Wire::signed().with("host", b"api.example.com\xff");
        api.refuses("host beyond ASCII", &hidden.bytes(), 401).await;
    }
    let empty = Wire::signed_as(|call| call.with("host", ""));
    let empty = empty.target(&format!("https://{AUTHORITY}{PATH}"));
    let api = Api::nameless().await;
    api.refuses("empty host", &empty.bytes(), 401).await;
}

/// Field names compared letter by letter: who writes them differently passes by a filter.
#[tokio::test]
async fn the_case_of_header_names_makes_no_difference() {
    let api = Api::named().await;
    let shouted = |mut wire: Wire| {
        wire.headers
            .iter_mut()
            .for_each(|(name, _)| name.make_ascii_uppercase());
        wire
    };
    api.accepts("upper case", &shouted(Wire::signed()).bytes())
        .await;
    let unsigned = || {
        let call = Call::client_app(start()).with("content-length", &JANE.len().to_string());
        Wire::of(&call).and("connection", "close")
    };
    let signed = || Wire::signed_as(|call| call.with("authorization", "a"));
    api.accepts("unsigned", &unsigned().bytes()).await;
    api.accepts("signed", &signed().bytes()).await;
    // Read apart by their case, both values of each would be passed over or agree.
    for (once, name, error) in [
        (unsigned(), "X-Dfns-AppId", "AppInvalid"),
        (unsigned(), "x-dfns-NONCE", "NonceInvalid"),
        (signed(), "X-DFNS-AppSecret", "AppSecretInvalid"),
        (signed(), "X-dfns-apiSIGNATURE", "ApiSignatureInvalid"),
        (signed(), "Host", "ApiSignatureInvalid"),
        (signed(), "AUTHORIZATION", "ApiSignatureInvalid"),
    ] {
        let lower = name.to_ascii_lowercase();
        let (_, value) = once.headers.iter().find(|(own, _)| *own == lower).unwrap();
        let value = value.clone();
        let answer = api.say(&once.and(name, value).bytes()).await;
        let error = format!(r#""name":"{error}""#);
        assert!(answer.contains(&error), "{name}: {answer}");
        assert_eq!(api.seen(), [""; 0], "{name}");
    }
}
