//! base64 as clients write it: base64url or standard base64, padded or not.
//!
//! One text uses one alphabet, and its padding is whole or absent. Bits beyond the last byte are
//! zero. So every run of bytes has four spellings at most.

use base64_simd::{Base64, Out, STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};

/// Decodes `text` into `buffer` and tells how many bytes there are; `None` where `text` is no base64
/// or `buffer` has no [room](room_for) for it.
pub(crate) fn decode(text: &[u8], buffer: &mut [u8]) -> Option<usize> {
    if buffer.len() < room_for(text.len()) {
        return None;
    }
    attempt(text, |engine| {
        let decoded = engine.decode(text, Out::from_slice(buffer));
        decoded.ok().map(|bytes| bytes.len())
    })
}

/// Decodes `text`; `None` where it is no base64.
pub(crate) fn decode_to_vec(text: &[u8]) -> Option<Vec<u8>> {
    attempt(text, |engine| engine.decode_to_vec(text).ok())
}

/// What `decode` makes of `text` with the one engine that can read it.
fn attempt<T>(text: &[u8], mut decode: impl FnMut(&Base64) -> Option<T>) -> Option<T> {
    // What nearly all clients send comes first: a text that it reads, no other engine would read
    // differently.
    decode(&URL_SAFE_NO_PAD).or_else(|| {
        let is_standard = text.iter().any(|byte| matches!(byte, b'+' | b'/'));
        match (is_standard, text.ends_with(b"=")) {
            (false, false) => None,
            (false, true) => decode(&URL_SAFE),
            (true, false) => decode(&STANDARD_NO_PAD),
            (true, true) => decode(&STANDARD),
        }
    })
}

/// Room in which any text of `length` bytes can be decoded.
pub(crate) const fn room_for(length: usize) -> usize {
    length.div_ceil(4) * 3
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude as peer};
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut buffer = vec![0; room_for(text.len())];
        let length = decode(text.as_bytes(), &mut buffer);
        buffer.truncate(length.unwrap_or_default());
        let buffer = length.map(|_| buffer);
        assert_eq!(decode_to_vec(text.as_bytes()), buffer, "{text}");
        buffer
    }

    #[test]
    fn both_alphabets_are_read_padded_or_not() {
        for text in ["--___g==", "--___g", "++///g==", "++///g"] {
            assert_eq!(decoded(text), Some(vec![0xfb, 0xef, 0xff, 0xfe]), "{text}");
        }
        assert_eq!(decoded(""), Some(vec![]));
    }

    #[test]
    fn what_two_readers_could_understand_differently_is_refused() {
        for text in [
            "--___g=",
            "+-///g",
            "--___h",
            "--___g==A",
            "=",
            "A",
            " AAAA",
            "AAAA\n",
            "AA==AAAA",
        ] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }

    #[test]
    fn room_is_enough_for_every_length() {
        for length in 0..100 {
            let text = "A".repeat(length);
            assert_eq!(decoded(&text).is_some(), length % 4 != 1, "{length}");
        }
    }

    #[test]
    fn a_buffer_without_room_is_refused() {
        assert_eq!(decode(b"AAAA", &mut [0; 2]), None);
        assert_eq!(decode(b"AAAA", &mut [0; 3]), Some(3));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// Two libraries that have nothing in common read the same.
        #[test]
        fn another_decoder_says_the_same(text in "[A-Za-z0-9+/]{0,70}={0,2}|[A-Za-z0-9_-]{0,70}={0,2}|[ -~]{0,40}") {
            let engines = [
                peer::BASE64_URL_SAFE_NO_PAD,
                peer::BASE64_URL_SAFE,
                peer::BASE64_STANDARD_NO_PAD,
                peer::BASE64_STANDARD,
            ];
            let expected = engines.iter().find_map(|engine| engine.decode(&text).ok());
            prop_assert_eq!(decoded(&text), expected);
        }
    }
}
