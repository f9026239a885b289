//! Nonces, against a reader made of `base64`, `serde_json` and `chrono`.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};
use chrono::{DateTime, Utc};
use ring::digest::{SHA256, digest};
use tower_registration::nonce::Nonce;
use uuid::Uuid;

use crate::{members, source::Source};

/// One spelling of four, if it is one.
pub(crate) fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let engines = [
        BASE64_URL_SAFE_NO_PAD,
        BASE64_URL_SAFE,
        BASE64_STANDARD_NO_PAD,
        BASE64_STANDARD,
    ];
    engines.iter().find_map(|engine| engine.decode(text).ok())
}

/// Identity and time of a nonce, by the protocol.
pub(crate) fn expected(header: &[u8]) -> Option<(Vec<u8>, DateTime<Utc>)> {
    if header.len() > 1_024 {
        return None;
    }
    let json = from_base64(header)?;
    let members = members::read(&json, &["uuid", "nonce", "datetime", "date"])?;
    let random = members::text(&members, &["uuid", "nonce"])?;
    let time = members::text(&members, &["datetime", "date"])?;
    let datetime = DateTime::parse_from_rfc3339(&time).ok()?.to_utc();
    if !(13..=256).contains(&random.chars().count()) {
        return None;
    }
    let id = match Uuid::parse_str(&random) {
        Ok(uuid) => uuid.as_bytes().to_vec(),
        Err(_) => digest(&SHA256, random.as_bytes()).as_ref().to_vec(),
    };
    Some((id, datetime))
}

fn header(source: &mut Source<'_>) -> String {
    const RANDOM: [&str; 8] = [
        "530ea1ea-71c0-410d-ae19-206c17a2a497",
        "530EA1EA-71c0-410d-ae19-206c17a2a497",
        "530ea1ea71c0410dae19206c17a2a497",
        "{530ea1ea-71c0-410d-ae19-206c17a2a497}",
        "urn:uuid:530ea1ea-71c0-410d-ae19-206c17a2a497",
        "0123456789abc",
        "0123456789ab",
        "äöüßÄÖÜ\u{1f600}\u{0}\"\\\n\t",
    ];
    const TIME: [&str; 10] = [
        "2026-11-23T07:44:00.123Z",
        "2026-11-23T07:44:00Z",
        "2026-11-23t07:44:00z",
        "2026-11-23 07:44:00+01:00",
        "2024-02-29T23:59:60.999999999Z",
        "2023-02-29T00:00:00Z",
        "9999-12-31T23:59:59.9999999999-23:59",
        "0000-01-01T00:00:00+23:59",
        "2026-11-23T07:44:00",
        "2026-11-23T24:00:00Z",
    ];
    let kind = source.byte() % 3;
    let engine = source.pick(
        &[
            BASE64_URL_SAFE_NO_PAD,
            BASE64_STANDARD,
            BASE64_URL_SAFE,
            BASE64_STANDARD_NO_PAD,
        ]
        .each_ref(),
    );
    match kind {
        0 => {
            let names = [
                source.pick(&["uuid", "nonce", "date", "x"]),
                source.pick(&["date", "datetime", "uuid"]),
            ];
            let (random, time) = (source.pick(&RANDOM), source.pick(&TIME));
            let (random, time) = (source.edited(random), source.edited(time));
            let json = members::near_valid(source, &[(names[0], random), (names[1], time)]);
            source.edited(&engine.encode(json))
        }
        1 => engine.encode(source.rest()),
        _ => String::from_utf8_lossy(source.rest()).into_owned(),
    }
}

#[test]
fn nonces_are_read_as_an_independent_reader_does() {
    bolero::check!()
        .with_iterations(20_000)
        .for_each(|bytes: &[u8]| {
            let header = header(&mut Source::new(bytes));
            let read = Nonce::decode(&header);
            let read = read.map(|nonce| (nonce.id().as_bytes().to_vec(), nonce.datetime()));
            assert_eq!(read.ok(), expected(header.as_bytes()), "{header}");
        });
}
