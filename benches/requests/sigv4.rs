//! Our request, signed by AWS Signature Version 4 as its user guide says, and its verification by
//! `scratchstack`.

use std::{future::ready, str::FromStr};

use bytes::Bytes;
use chrono::{DateTime, TimeZone, Utc};
use futures_util::FutureExt;
use http::Request;
use ring::{digest, hmac};
use scratchstack_aws_principal::User;
use scratchstack_aws_signature::{
    GetSigningKeyRequest, GetSigningKeyResponse, KSecretKey, NO_ADDITIONAL_SIGNED_HEADERS,
    SignatureOptions, service_for_signing_key_fn, sigv4_validate_request,
};
use tower::BoxError;

use crate::{Signed, requests::support::AUTHORITY};

const REGION: &str = "region";
const SERVICE: &str = "service";
/// Any time will do: it is the verifier's too.
const TIME: &str = "20261123T074400Z";
const DATE: &str = "20261123";
/// Not a secret.
const SECRET: &str = "0123456789012345678901234567890123456789";
const COVERED: [&str; 5] = [
    "content-type",
    "host",
    "x-amz-date",
    "x-dfns-appid",
    "x-dfns-nonce",
];

fn time() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 11, 23, 7, 44, 0).unwrap()
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter().map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// The request with its signature, and what it is verified with.
pub(crate) fn signed(signed: &Signed) -> (Request<Bytes>, GetSigningKeyResponse) {
    let secret = KSecretKey::from_str(SECRET).expect("forty characters");
    let key = secret.to_ksigning(time().date_naive(), REGION, SERVICE);
    let mut request = Request::put(format!(
        "https://{AUTHORITY}{}",
        signed.request.uri().path()
    ))
    .header("host", AUTHORITY)
    .header("x-amz-date", TIME)
    .body(signed.body.clone())
    .expect("a request");
    for name in ["content-type", "x-dfns-appid", "x-dfns-nonce"] {
        let value = signed.request.headers()[name].clone();
        request.headers_mut().insert(name, value);
    }
    let mut headers = String::new();
    for name in COVERED {
        let value = request.headers()[name].to_str().expect("visible ASCII");
        headers.extend([name, ":", value, "\n"]);
    }
    let covered = COVERED.join(";");
    let canonical = format!(
        "PUT\n{}\n\n{headers}\n{covered}\n{}",
        request.uri().path(),
        hex(digest::digest(&digest::SHA256, &signed.body)),
    );
    let scope = format!("{DATE}/{REGION}/{SERVICE}/aws4_request");
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{TIME}\n{scope}\n{hash}");
    let hmac_key: &[u8; 32] = key.as_ref();
    let signature = hex(hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, hmac_key),
        text.as_bytes(),
    ));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=key/{scope}, SignedHeaders={covered}, Signature={signature}"
    );
    let value = authorization.parse().expect("a header's value");
    request.headers_mut().insert("authorization", value);
    let user = User::new("aws", "123456789012", "/", "user").expect("a user");
    let response = GetSigningKeyResponse::builder()
        .principal(user)
        .signing_key(key)
        .build();
    (request, response.expect("a key and whose it is"))
}

pub(crate) fn is_verified((request, key): (Request<Bytes>, GetSigningKeyResponse)) -> bool {
    let find_key = move |_: GetSigningKeyRequest| ready(Ok::<_, BoxError>(key.clone()));
    let mut keys = service_for_signing_key_fn(find_key);
    let verdict = sigv4_validate_request(
        request,
        REGION,
        SERVICE,
        &mut keys,
        time(),
        &NO_ADDITIONAL_SIGNED_HEADERS,
        SignatureOptions::default(),
    );
    verdict
        .now_or_never()
        .is_some_and(|verdict| verdict.is_ok())
}
