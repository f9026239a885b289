//! The nonce that nearly every client sends, read in one pass over the decoded bytes.
//!
//! ```text
//! common = { member , member } [LF]                ; in either order, no other white space
//! member = ("uuid" / "nonce") : UUID               ; hyphenated, no escapes
//!        / ("datetime" / "date") : date-time       ; RFC 3339, upper case, up to 9 digits, Z
//! ```
//!
//! This decides nothing by itself: whatever is not of this form is left to the strict reader,
//! which also says what is wrong with it. A property test holds the two together.

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;

/// Random value and time of a nonce of the common form.
pub(super) fn common(json: &[u8]) -> Option<(Uuid, DateTime<Utc>)> {
    let rest = json.strip_prefix(b"{\"")?;
    let (uuid, datetime, rest) = if let Some(rest) = random_name(rest) {
        let (uuid, rest) = uuid(rest)?;
        let rest = time_name(rest.strip_prefix(b",\"")?)?;
        let (datetime, rest) = datetime(rest)?;
        (uuid, datetime, rest)
    } else {
        let (datetime, rest) = datetime(time_name(rest)?)?;
        let rest = random_name(rest.strip_prefix(b",\"")?)?;
        let (uuid, rest) = uuid(rest)?;
        (uuid, datetime, rest)
    };
    matches!(rest, b"}" | b"}\n").then_some((uuid, datetime))
}

/// Past the name of the random value and the quote that opens it.
fn random_name(json: &[u8]) -> Option<&[u8]> {
    json.strip_prefix(b"uuid\":\"")
        .or_else(|| json.strip_prefix(b"nonce\":\""))
}

/// Past the name of the time and the quote that opens it.
fn time_name(json: &[u8]) -> Option<&[u8]> {
    let json = json.strip_prefix(b"date")?;
    json.strip_prefix(b"time")
        .unwrap_or(json)
        .strip_prefix(b"\":\"")
}

/// A hyphenated UUID and the quote that closes it.
fn uuid(json: &[u8]) -> Option<(Uuid, &[u8])> {
    let (text, rest) = json.split_first_chunk::<36>()?;
    let rest = rest.strip_prefix(b"\"")?;
    if [text[8], text[13], text[18], text[23]] != *b"----" {
        return None;
    }
    let mut digits = [0; 32];
    digits[..8].copy_from_slice(&text[..8]);
    digits[8..12].copy_from_slice(&text[9..13]);
    digits[12..16].copy_from_slice(&text[14..18]);
    digits[16..20].copy_from_slice(&text[19..23]);
    digits[20..].copy_from_slice(&text[24..]);
    // Without an early exit, so that both loops are vectorized.
    let mut all = 0;
    for digit in &mut digits {
        *digit = hex(*digit);
        all |= *digit;
    }
    let bytes = std::array::from_fn(|at| digits[2 * at] << 4 | digits[2 * at + 1]);
    (all < 16).then(|| (Uuid::from_bytes(bytes), rest))
}

/// The value of a hex digit, upper or lower case; `0xff` for what is none.
fn hex(byte: u8) -> u8 {
    let digit = byte.wrapping_sub(b'0');
    let letter = (byte | 0x20).wrapping_sub(b'a');
    let mut value = 0xff;
    if digit < 10 {
        value = digit;
    }
    if letter < 6 {
        value = letter + 10;
    }
    value
}

/// A date and time in UTC and the quote that closes it.
fn datetime(json: &[u8]) -> Option<(DateTime<Utc>, &[u8])> {
    let (text, rest) = json.split_first_chunk::<19>()?;
    if [text[4], text[7], text[10], text[13], text[16]] != *b"--T::" {
        return None;
    }
    let mut are_digits = true;
    let mut two = |at: usize| {
        let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
        are_digits &= tens.max(ones) < 10;
        u32::from(tens) * 10 + u32::from(ones)
    };
    let year = two(0) * 100 + two(2);
    let (month, day) = (two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    if !are_digits {
        return None;
    }
    let (nanos, rest) = fraction(rest)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let time = date.and_hms_nano_opt(hour, minute, second, nanos)?;
    Some((time.and_utc(), rest.strip_prefix(b"Z\"")?))
}

/// The nanoseconds of a fraction of 1 to 9 digits; none without one.
fn fraction(json: &[u8]) -> Option<(u32, &[u8])> {
    let Some(json) = json.strip_prefix(b".") else {
        return Some((0, json));
    };
    let mut nanos = 0;
    let mut length = 0;
    while let Some(digit) = json.get(length).filter(|byte| byte.is_ascii_digit()) {
        if length == 9 {
            return None;
        }
        nanos = nanos * 10 + u32::from(digit - b'0');
        length += 1;
    }
    let missing = u32::try_from(9 - length).ok()?;
    (length > 0).then(|| (nanos * 10_u32.pow(missing), &json[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "530ea1ea-71c0-410d-ae19-206c17a2a497";

    #[track_caller]
    fn assert_read(json: &str, time: &str) {
        let (uuid, datetime) = common(json.as_bytes()).expect(json);
        assert_eq!(uuid.to_string(), UUID, "{json}");
        assert_eq!(datetime, time.parse::<DateTime<Utc>>().unwrap(), "{json}");
    }

    #[test]
    fn what_clients_send_is_read_here() {
        let time = "2026-11-23T07:44:00.123Z";
        assert_read(&format!(r#"{{"uuid":"{UUID}","date":"{time}"}}"#), time);
        assert_read(&format!(r#"{{"date":"{time}","uuid":"{UUID}"}}"#), time);
        let upper = UUID.to_uppercase();
        for time in ["2026-11-23T07:44:00Z", "2028-02-29T23:59:59.123456789Z"] {
            assert_read(
                &format!("{{\"datetime\":\"{time}\",\"nonce\":\"{upper}\"}}\n"),
                time,
            );
        }
    }

    #[test]
    fn what_is_unusual_is_left_to_the_strict_reader() {
        let time = "2026-11-23T07:44:00Z";
        for json in [
            String::new(),
            format!(r#"{{"uuid":"{UUID}","date":"{time}"}} "#),
            format!(r#"{{"uuid":"{UUID}","nonce":"{UUID}","date":"{time}"}}"#),
            format!(r#"{{"uuid":"{UUID}","date":"2026-11-23T07:44:60Z"}}"#),
            format!(r#"{{"uuid":"{UUID}","date":"2026-11-23T07:44:00.Z"}}"#),
            format!(r#"{{"uuid":"{UUID}","date":"2026-11-23T07:44:00.9999999999Z"}}"#),
            format!(r#"{{"uuid":"{UUID}","date":"2026-02-29T07:44:00Z"}}"#),
            format!(r#"{{"uuid":"{UUID}","date":"{time}","date":"{time}"}}"#),
        ] {
            assert_eq!(common(json.as_bytes()), None, "{json}");
        }
    }
}
