//! Reading a nonce.
//!
//! ```text
//! header   = base64url [padding] / base64 [padding]
//! content  = *ws object *ws                        ; JSON, RFC 8259
//! object   = one of "uuid" / "nonce"   : string of 13 to 256 characters
//!          , one of "datetime" / "date": string, RFC 3339 date-time with offset
//!          , any other members, each name once
//! ```
//!
//! The order of members is free. A member twice, both spellings of one, or anything after the
//! object is refused.

use chrono::{DateTime, Utc};
use ring::digest;
use uuid::Uuid;

use super::scan;
use crate::{encoding, headers::MAX_SHORT_VALUE, members};

/// Shortest random value, in characters.
pub const MIN_RANDOM_CHARS: usize = 13;
/// Longest random value, in characters.
pub const MAX_RANDOM_CHARS: usize = 256;

/// Length of a header value that few clients exceed, in bytes.
const COMMON_LENGTH: usize = 128;

/// A well-formed nonce. It says nothing yet about being fresh or unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce {
    id: NonceId,
    datetime: DateTime<Utc>,
}

/// What makes a nonce one, in at most 32 bytes: two spellings of one UUID are one nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NonceId {
    /// The random value is a UUID.
    Uuid(Uuid),
    /// SHA-256 of a random value that is no UUID.
    Digest([u8; 32]),
}

/// Why a header value is no nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NonceError {
    /// More than [`MAX_SHORT_VALUE`] bytes.
    #[error("nonce is longer than {MAX_SHORT_VALUE} bytes")]
    TooLong,
    /// Neither base64url nor base64.
    #[error("nonce is no base64url: encode the JSON in one line, as `base64 -w0` does")]
    NotBase64,
    /// No JSON object with a random value and a time, each once.
    #[error(
        "nonce is no JSON object with one random value (`uuid` or `nonce`) and one time (`datetime` or \
         `date`): write each once, as a string"
    )]
    NotAnObject,
    /// The random value has not [`MIN_RANDOM_CHARS`] to [`MAX_RANDOM_CHARS`] characters.
    #[error("nonce's random value has not {MIN_RANDOM_CHARS} to {MAX_RANDOM_CHARS} characters")]
    RandomLength,
    /// The time is no RFC 3339 date-time with an offset.
    #[error("nonce's time is no RFC 3339 date and time with an offset: write 2026-11-23T07:44:00Z")]
    NotATime,
}

impl Nonce {
    /// Reads a header value.
    ///
    /// ```
    /// use tower_registration::nonce::Nonce;
    ///
    /// // {"uuid":"530ea1ea-71c0-410d-ae19-206c17a2a497","date":"2026-11-23T07:44:00.123Z"}
    /// let nonce = Nonce::decode("eyJ1dWlkIjoiNTMwZWExZWEtNzFjMC00MTBkLWFlMTktMjA2YzE3YTJhNDk3IiwiZGF0ZSI6IjIwMjYtMTEtMjNUMDc6NDQ6MDAuMTIzWiJ9").unwrap();
    /// assert_eq!(nonce.datetime().to_rfc3339(), "2026-11-23T07:44:00.123+00:00");
    /// assert!(Nonce::decode("eyJ1dWlkIjoxfQ").is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// If `header` is none, by the grammar above.
    pub fn decode(header: &str) -> Result<Self, NonceError> {
        Self::decode_bytes(header.as_bytes())
    }

    pub(crate) fn decode_bytes(header: &[u8]) -> Result<Self, NonceError> {
        if header.len() > MAX_SHORT_VALUE {
            return Err(NonceError::TooLong);
        }
        // A buffer is zeroed before it is filled, so that most nonces are better off in a small one.
        if header.len() <= COMMON_LENGTH {
            Self::decode_in(header, &mut [0; encoding::room_for(COMMON_LENGTH)])
        } else {
            Self::decode_in(header, &mut [0; encoding::room_for(MAX_SHORT_VALUE)])
        }
    }

    fn decode_in(header: &[u8], buffer: &mut [u8]) -> Result<Self, NonceError> {
        let length = encoding::decode(header, buffer).ok_or(NonceError::NotBase64)?;
        let json = &buffer[..length];
        match scan::common(json) {
            Some((uuid, datetime)) => Ok(Self {
                id: NonceId::Uuid(uuid),
                datetime,
            }),
            None => Self::read(json),
        }
    }

    /// The strict reader: says of every text what it is, or what is wrong with it.
    fn read(json: &[u8]) -> Result<Self, NonceError> {
        let [random, time] = members::read(json, [&["uuid", "nonce"], &["datetime", "date"]])
            .map_err(|_| NonceError::NotAnObject)?;
        let datetime = DateTime::parse_from_rfc3339(&time)
            .map_err(|_| NonceError::NotATime)?
            .to_utc();
        Ok(Self {
            id: NonceId::of(&random)?,
            datetime,
        })
    }

    /// What makes the nonce one.
    #[must_use]
    pub fn id(&self) -> NonceId {
        self.id
    }

    /// The time that the nonce states.
    #[must_use]
    pub fn datetime(&self) -> DateTime<Utc> {
        self.datetime
    }
}

impl NonceId {
    /// The identity of a random value.
    ///
    /// # Errors
    ///
    /// If it has not [`MIN_RANDOM_CHARS`] to [`MAX_RANDOM_CHARS`] characters.
    pub fn of(random: &str) -> Result<Self, NonceError> {
        let chars = random.chars().take(MAX_RANDOM_CHARS + 1).count();
        if !(MIN_RANDOM_CHARS..=MAX_RANDOM_CHARS).contains(&chars) {
            return Err(NonceError::RandomLength);
        }
        if let Ok(uuid) = Uuid::try_parse(random) {
            return Ok(Self::Uuid(uuid));
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, random.as_bytes()).as_ref());
        Ok(Self::Digest(hash))
    }

    /// The identity's bytes: 16 of a UUID, 32 of a digest, so that no two identities share them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Uuid(uuid) => uuid.as_bytes(),
            Self::Digest(hash) => hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine,
        prelude::{BASE64_STANDARD as STANDARD, BASE64_URL_SAFE_NO_PAD as URL_SAFE},
    };

    use proptest::prelude::*;

    use super::*;

    fn header(json: &str) -> String {
        URL_SAFE.encode(json)
    }

    fn with_random(random: &str) -> Result<NonceId, NonceError> {
        let json = serde_json::json!({"uuid": random, "date": "2026-11-23T07:44:00Z"});
        Nonce::decode(&header(&json.to_string())).map(|nonce| nonce.id())
    }

    fn with_time(time: &str) -> Result<DateTime<Utc>, NonceError> {
        let json = serde_json::json!({"uuid": "0123456789abc", "date": time});
        Nonce::decode(&header(&json.to_string())).map(|nonce| nonce.datetime())
    }

    #[test]
    fn a_random_value_is_counted_in_characters_and_bounded_on_both_sides() {
        assert!(with_random(&"ä".repeat(MIN_RANDOM_CHARS - 1)).is_err());
        assert!(with_random(&"ä".repeat(MIN_RANDOM_CHARS)).is_ok());
        assert!(with_random(&"ä".repeat(MAX_RANDOM_CHARS)).is_ok());
        assert!(with_random(&"ä".repeat(MAX_RANDOM_CHARS + 1)).is_err());
    }

    #[test]
    fn two_spellings_of_one_uuid_are_one_nonce_and_two_texts_are_two() {
        let lower = with_random("530ea1ea-71c0-410d-ae19-206c17a2a497").unwrap();
        assert_eq!(
            lower,
            with_random("530EA1EA-71C0-410D-AE19-206C17A2A497").unwrap()
        );
        assert_eq!(lower.as_bytes().len(), 16);
        let text = with_random("0123456789abc").unwrap();
        assert_ne!(text, with_random("0123456789abC").unwrap());
        assert_eq!(text.as_bytes().len(), 32);
    }

    #[test]
    fn two_spellings_of_one_time_are_one_time() {
        let time = with_time("2026-11-23T07:44:00.5Z").unwrap();
        assert_eq!(with_time("2026-11-23T08:44:00.500000+01:00").unwrap(), time);
    }

    #[test]
    fn hostile_times_are_refused_or_read_but_never_panic() {
        for time in [
            "+10000-01-01T00:00:00Z",
            "-0001-01-01T00:00:00Z",
            "2026-11-23T07:44:00+24:00",
            "2026-11-23T24:00:00Z",
            "9223372036854775807",
            "",
        ] {
            assert_eq!(with_time(time), Err(NonceError::NotATime), "{time}");
        }
        assert!(with_time("9999-12-31T23:59:59.999999999Z").is_ok());
        assert!(with_time("0000-01-01T00:00:00+23:59").is_ok());
    }

    #[test]
    fn one_header_uses_one_alphabet() {
        let json = r#"{"uuid":"??>?>?>?>?>?>?>?>","date":"2026-11-23T07:44:00Z"}"#;
        let (url, standard) = (URL_SAFE.encode(json), STANDARD.encode(json));
        assert_eq!(Nonce::decode(&url), Nonce::decode(&standard));
        assert!(standard.contains('/') && standard.contains('+'));
        assert!(Nonce::decode(&standard.replacen('/', "_", 1)).is_err());
    }

    #[test]
    fn a_nonce_is_read_up_to_the_bound_of_its_header() {
        let json = |filler: usize| {
            let filler = "x".repeat(filler);
            format!(
                r#"{{"uuid":"0123456789abc","date":"2026-11-23T07:44:00Z","filler":"{filler}"}}"#
            )
        };
        let most = encoding::room_for(MAX_SHORT_VALUE) - json(0).len();
        let longest = header(&json(most));
        assert_eq!(longest.len(), MAX_SHORT_VALUE);
        assert!(Nonce::decode(&longest).is_ok());
        assert_eq!(
            Nonce::decode(&header(&json(most + 1))),
            Err(NonceError::TooLong)
        );
    }

    /// Texts near the common form: most of it is right, and some of it is not.
    fn near_common() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec!["uuid", "nonce", "date", "datetime", "dat", "x"]);
        let random = prop_oneof![
            4 => Just("530ea1ea-71c0-410d-ae19-206c17a2a497".to_owned()),
            2 => "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            1 => "[0-9a-f-]{32,38}",
        ];
        let time = "20(26|28)-(11|02)-(23|29|30|3[12])[Tt ](07|2[34]):44:(00|59|60|61)(\\.[0-9]{0,11})?(Z|z|\\+01:00|)";
        let value = prop_oneof![random, time];
        let end = prop::sample::select(vec!["}", "}\n", " }", "} ", "}}", ""]);
        (name.clone(), value.clone(), name, value, end)
            .prop_map(|(a, b, c, d, end)| format!(r#"{{"{a}":"{b}","{c}":"{d}"{end}"#))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn the_scan_says_what_the_strict_reader_says_or_nothing(json in near_common()) {
            if let Some((uuid, datetime)) = scan::common(json.as_bytes()) {
                let id = NonceId::Uuid(uuid);
                prop_assert_eq!(Nonce::read(json.as_bytes()), Ok(Nonce { id, datetime }));
            }
        }
    }

    #[test]
    fn a_changed_byte_is_never_read_differently() {
        let common =
            br#"{"uuid":"530ea1ea-71c0-410d-ae19-206c17a2a497","date":"2026-11-23T07:44:00.123Z"}"#;
        for (at, byte) in (0..common.len()).flat_map(|at| (0..=255).map(move |byte| (at, byte))) {
            let mut json = *common;
            json[at] = byte;
            if let Some((uuid, datetime)) = scan::common(&json) {
                let id = NonceId::Uuid(uuid);
                assert_eq!(
                    Nonce::read(&json),
                    Ok(Nonce { id, datetime }),
                    "{at}: {byte}"
                );
            }
        }
    }
}
