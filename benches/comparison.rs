//! Whether the time of a comparison tells what was compared.
//!
//! After Reparaz, Balasch and Verbauwhede, "Dude, is my code constant time?" (2017). Each sample is
//! one time of a fixed input or of a random one, drawn by a coin. The fixed one is off by one bit or
//! digit at its end, where a comparison that stops early takes longest. (The right one is shown
//! too: that it is right, its sender learns anyway.)
//!
//! What a text's own digits cost is known to who sends it; so a fixed secret or code is shown, and not
//! judged. What must not show is how near it is: of 64 secrets, each sample asks about one, with an
//! input off by one digit from that very secret or from another of the 64. Every input then occurs as
//! often under both labels.
//!
//! Inputs are made before, and copied into one buffer, so that both kinds touch the same memory.
//! Welch's t is taken of all samples and of those under ten thresholds, which the first samples set
//! and which keep interruptions out; the one farthest from zero counts. Under 4.5, no difference is
//! seen.
//!
//! Two controls are in every run: a comparison that stops early, which has to be seen, and random
//! inputs under both labels, which must not be. It fails where a line is on the wrong side.
//!
//! Signatures are verified over what their sender knows: there is no secret to compare with. RSA's
//! is measured all the same. Ed25519's takes a time that varies with the signature, by `ring`'s
//! design, and is shown without being judged.
//!
//! ```sh
//! cargo bench --bench comparison                       # SAMPLES=1000000 of each kind by default
//! ```

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of samples are small and positive"
)]

#[expect(dead_code, reason = "the other tests are for distributions")]
mod statistics;
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "this needs constants alone")]
mod support;

use std::{env, hint::black_box, process::ExitCode, time::Instant};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::Utc;
use http::{HeaderMap, Method};
use tower_registration::{
    app::{AppId, AppSecretHash, Application},
    headers::HeaderNames,
    registration::{CodeDigest, OrgId, PATH, RegistrationCode, RegistrationKey, UserId, Username},
    secret::SecretString,
    signature::{
        ApiSignature, CanonicalRequest, RequestParts, SigningKey, TransportProfile, VerifyingKey,
        verify,
    },
};

use crate::{
    statistics::{Moments, quantile, welch_t},
    support::{AUTHORITY, JANE, SECRET},
};

/// What t stays under where nothing is seen.
const BOUND: f64 = 4.5;
/// Shares of all samples that are kept.
const KEPT: [f64; 11] = [1.0, 0.999, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5];
/// Samples that set the thresholds and are not counted.
const FIRST: usize = 50_000;
/// Inputs that are made in one go.
const CHUNK: usize = 5_000;
/// Secrets of which one is asked about.
const POOL: usize = 64;
const CODE: &str = "1234-5678-9012-3456";

/// What has to come out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Nothing,
    Difference,
    /// It depends on what the sender knows, or is told by the answer.
    Either,
}

struct Case {
    name: &'static str,
    expected: Expected,
    /// How often the function runs for one sample, so that it takes a few hundred nanoseconds.
    repeat: usize,
    fixed: Box<dyn Fn() -> String>,
    random: Box<dyn Fn() -> String>,
    timed: Box<dyn Fn(&str) -> bool>,
}

fn main() -> ExitCode {
    let samples = env::var("SAMPLES").unwrap_or_else(|_| "1000000".to_owned());
    let samples: usize = samples.parse().expect("SAMPLES is no number");
    println!("| compared | samples of each | fixed, ns | random, ns | t | |");
    println!("| --- | --- | --- | --- | --- | --- |");
    let mut sound = true;
    let cases = [controls(), secrets(), near(), signatures()];
    for case in cases.into_iter().flatten() {
        let (fixed, random, t) = measure(&case, samples);
        let seen = t.abs() >= BOUND;
        let (good, verdict) = match (case.expected, seen) {
            (Expected::Nothing, false) => (true, "nothing seen"),
            (Expected::Difference, true) => (true, "seen, as it has to be"),
            (Expected::Either, _) => (true, "not judged"),
            (Expected::Nothing, true) => (false, "**seen**"),
            (Expected::Difference, false) => (false, "**not seen**"),
        };
        println!(
            "| {} | {samples} | {fixed:.1} | {random:.1} | {t:.2} | {verdict} |",
            case.name
        );
        sound &= good;
    }
    if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Means of both kinds, and the t that is farthest from zero.
fn measure(case: &Case, samples: usize) -> (f64, f64, f64) {
    let mut first = Vec::with_capacity(FIRST);
    run(case, FIRST, |_, time| first.push(time));
    first.sort_by(f64::total_cmp);
    let mut thresholds = KEPT.map(|share| quantile(&first, share));
    thresholds[0] = f64::INFINITY;

    let mut moments = [[Moments::default(); KEPT.len()]; 2];
    run(case, 2 * samples, |is_fixed, time| {
        for (moments, threshold) in moments[usize::from(is_fixed)].iter_mut().zip(thresholds) {
            if time <= threshold {
                moments.add(time);
            }
        }
    });
    let [random, fixed] = moments;
    let all = fixed
        .iter()
        .zip(&random)
        .map(|(one, other)| welch_t(one, other));
    // Below a threshold there may be samples of one kind alone.
    let t = all
        .filter(|t| t.is_finite())
        .max_by(|one, other| one.abs().total_cmp(&other.abs()));
    // The means without what took longest, which says more about the machine.
    let kept = KEPT.iter().position(|share| *share <= 0.95).unwrap_or(0);
    let each = case.repeat as f64;
    let [fixed, random] = [fixed, random].map(|moments| moments[kept].mean() / each);
    (fixed, random, t.unwrap_or(f64::NAN))
}

/// Takes so many samples, about half of them of the fixed input. Inputs of a chunk lie one after the
/// other in one text, whichever kind they are: allocated apart, kinds that are made differently lie
/// differently, and that shows.
fn run(case: &Case, samples: usize, mut each: impl FnMut(bool, f64)) {
    let mut buffer = String::new();
    let mut left = samples;
    while left > 0 {
        let count = CHUNK.min(left);
        let (mut inputs, mut all) = (Vec::with_capacity(count), String::new());
        for _ in 0..count {
            let is_fixed = fastrand::bool();
            let text = if is_fixed {
                (case.fixed)()
            } else {
                (case.random)()
            };
            inputs.push((is_fixed, text.len()));
            all.push_str(&text);
        }
        left -= count;
        let mut rest = all.as_str();
        for (is_fixed, length) in inputs {
            let (text, others) = rest.split_at(length);
            rest = others;
            buffer.clear();
            buffer.push_str(text);
            let start = Instant::now();
            for _ in 0..case.repeat {
                black_box((case.timed)(black_box(&buffer)));
            }
            each(is_fixed, start.elapsed().as_nanos() as f64);
        }
    }
}

fn always(text: impl Into<String>) -> Box<dyn Fn() -> String> {
    let text = text.into();
    Box::new(move || text.clone())
}

/// The text with another last digit.
fn off_by_one(text: &str) -> String {
    let (rest, last) = text.split_at(text.len() - 1);
    format!("{rest}{}", if last == "1" { "2" } else { "1" })
}

fn random_secret() -> String {
    let hex = || fastrand::digit(16);
    std::iter::repeat_with(hex).take(SECRET.len()).collect()
}

fn random_code() -> String {
    let number = fastrand::u64(..10_u64.pow(16));
    let digits = format!("{number:016}");
    let groups = [&digits[..4], &digits[4..8], &digits[8..12], &digits[12..]];
    groups.join("-")
}

fn controls() -> Vec<Case> {
    let early = |text: &str| {
        let mut pairs = text.bytes().zip(SECRET.bytes());
        pairs.all(|(one, other)| one == other)
    };
    let secret = SecretString::from(SECRET);
    vec![
        Case {
            name: "control: stops early",
            expected: Expected::Difference,
            repeat: 16,
            fixed: always(off_by_one(SECRET)),
            random: Box::new(random_secret),
            timed: Box::new(early),
        },
        Case {
            name: "control: random under both labels",
            expected: Expected::Nothing,
            repeat: 16,
            fixed: Box::new(random_secret),
            random: Box::new(random_secret),
            timed: Box::new(move |text| secret.matches(text)),
        },
    ]
}

fn secrets() -> Vec<Case> {
    let case = |name, expected, repeat, fixed, random: fn() -> String, timed| Case {
        name,
        expected,
        repeat,
        fixed: always(fixed),
        random: Box::new(random),
        timed,
    };
    let secret = |name, expected, repeat, fixed, timed| {
        case(name, expected, repeat, fixed, random_secret, timed)
    };
    let code = |name, expected, fixed| case(name, expected, 2, fixed, random_code, is_code());
    let (nothing, near) = (Expected::Nothing, off_by_one(SECRET));
    let text = SecretString::from(SECRET);
    let matches = Box::new(move |candidate: &str| text.matches(candidate));
    vec![
        secret(
            "secret text, off by one",
            nothing,
            16,
            near.clone(),
            matches,
        ),
        secret(
            "application secret, off by one",
            Expected::Either,
            4,
            near,
            has_secret(),
        ),
        secret(
            "application secret, right",
            Expected::Either,
            4,
            SECRET.to_owned(),
            has_secret(),
        ),
        code(
            "registration code, off by one",
            Expected::Either,
            off_by_one(CODE),
        ),
        code(
            "registration code, right",
            Expected::Either,
            CODE.to_owned(),
        ),
    ]
}

fn has_secret() -> Box<dyn Fn(&str) -> bool> {
    let (app, now) = (with_secret(SECRET), Utc::now());
    Box::new(move |candidate| app.has_secret(candidate, now))
}

fn with_secret(secret: &str) -> Application {
    let id = AppId::new("app").expect("an id");
    let hash = AppSecretHash::of(secret).expect("a secret");
    Application::server_side(id, vec![hash], vec![])
}

fn is_code() -> Box<dyn Fn(&str) -> bool> {
    let (user, key) = user_and_key();
    let digest = digest(&key, &user, CODE);
    Box::new(move |text| redeems(&key, &user, text, &digest))
}

fn user_and_key() -> (UserId, RegistrationKey) {
    let user = UserId {
        org_id: OrgId::new("example-org-id").expect("an id"),
        username: Username::new("jane@example.co").expect("a name"),
    };
    (user, RegistrationKey::generate().expect("randomness"))
}

fn digest(key: &RegistrationKey, user: &UserId, text: &str) -> CodeDigest {
    let code: RegistrationCode = text.parse().expect("a code");
    key.digest(user, 1, &code)
}

/// What `Registrations::redeem` does with a code before it knows whether it is the right one.
fn redeems(key: &RegistrationKey, user: &UserId, text: &str, kept: &CodeDigest) -> bool {
    digest(key, user, text) == *kept
}

/// Inputs off by one from the secret that is asked about, beside the same inputs asked about others.
fn near() -> Vec<Case> {
    let secrets: [String; POOL] = std::array::from_fn(|_| random_secret());
    let now = Utc::now();
    let apps = secrets.each_ref().map(|secret| with_secret(secret));
    let has_secret = move |place: usize, text: &str| apps[place].has_secret(text, now);

    let codes: [String; POOL] = std::array::from_fn(|_| random_code());
    let (user, key) = user_and_key();
    let digests = codes.each_ref().map(|code| digest(&key, &user, code));
    let redeems = move |place: usize, text: &str| redeems(&key, &user, text, &digests[place]);
    vec![
        of_pool("application secret, near its own", 4, secrets, has_secret),
        of_pool("registration code, near its own", 2, codes, redeems),
    ]
}

/// An input is the place of the secret that is asked about, in two digits, and a text.
fn of_pool(
    name: &'static str,
    repeat: usize,
    pool: [String; POOL],
    timed: impl Fn(usize, &str) -> bool + 'static,
) -> Case {
    let nearly = pool.map(|secret| off_by_one(&secret));
    let others = nearly.clone();
    let own = move || {
        let place = fastrand::usize(..POOL);
        format!("{place:02}{}", nearly[place])
    };
    let another = move || {
        let place = fastrand::usize(..POOL);
        let other = (place + fastrand::usize(1..POOL)) % POOL;
        format!("{place:02}{}", others[other])
    };
    Case {
        name,
        expected: Expected::Nothing,
        repeat,
        fixed: Box::new(own),
        random: Box::new(another),
        timed: Box::new(move |input| {
            let (place, text) = input.split_at(2);
            timed(place.parse().expect("a place"), text)
        }),
    }
}

fn signatures() -> Vec<Case> {
    let rsa = SigningKey::from_pem(include_str!("../tests/keys/test-only-rsa-2048.pem"));
    let ed25519 = SigningKey::from_pem(include_str!("../tests/keys/test-only-ed25519.pem"));
    let (rsa, ed25519) = (rsa.expect("a key"), ed25519.expect("a key"));
    vec![
        Case {
            name: "RS256 signature, off by one bit",
            expected: Expected::Nothing,
            repeat: 1,
            fixed: always(off_by_one_bit(&rsa)),
            random: Box::new(|| random_signature::<256>(0, 0)),
            timed: verifies(rsa.verifying_key()),
        },
        Case {
            name: "Ed25519 signature, off by one bit",
            expected: Expected::Either,
            repeat: 1,
            // The last byte of the first half: the second is a number below the group's order.
            fixed: always(off_by_one_bit(&ed25519)),
            random: Box::new(|| random_signature::<64>(63, 0x0f)),
            timed: verifies(ed25519.verifying_key()),
        },
    ]
}

/// Runs `with` on a request to be signed.
fn with_request<T>(with: impl FnOnce(&CanonicalRequest<'_>) -> T) -> T {
    let (headers, names) = (HeaderMap::new(), HeaderNames::default());
    let request = CanonicalRequest::of(RequestParts {
        method: &Method::PUT,
        scheme: "https",
        authority: AUTHORITY,
        path_and_query: PATH,
        host: AUTHORITY,
        headers: &headers,
        names: &names,
        body: JANE.as_bytes(),
    });
    with(&request.expect("a request"))
}

/// The right signature but for one bit in its middle.
fn off_by_one_bit(key: &SigningKey) -> String {
    let signature = with_request(|request| {
        let input = request.signing_input(&TransportProfile::RECEIVED, key.algorithm());
        key.sign(input.as_str()).expect("a signature")
    });
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature).expect("base64");
    let middle = bytes.len() / 2 - 1;
    bytes[middle] ^= 1;
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Random bytes, one of them masked so that the number they stand for is in the key's range.
fn random_signature<const BYTES: usize>(masked: usize, mask: u8) -> String {
    let mut bytes = [0; BYTES];
    fastrand::Rng::new().fill(&mut bytes);
    bytes[masked] &= mask;
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a header's value and verifies it.
fn verifies(key: &VerifyingKey) -> Box<dyn Fn(&str) -> bool> {
    let keys = [key.clone()];
    Box::new(move |header| {
        let signature = ApiSignature::decode(header).expect("a signature");
        let profiles = [TransportProfile::RECEIVED];
        with_request(|request| verify(&signature, request, &profiles, &keys).is_ok())
    })
}
