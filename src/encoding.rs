//! base64 as clients write it: base64url or standard base64, padded or not.
//!
//! One text uses one alphabet, and its padding is whole or absent. Bits beyond the last byte are
//! zero. So every run of bytes has four spellings at most.

use base64::{
    DecodeSliceError, Engine,
    prelude::{
        BASE64_STANDARD as STANDARD, BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD,
        BASE64_URL_SAFE as URL_SAFE, BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD,
    },
};

/// Decodes `text` into `buffer` and tells how many bytes there are. Too small a buffer is an error
/// like any other; see [`room_for`].
pub(crate) fn decode(text: &str, buffer: &mut [u8]) -> Result<usize, DecodeSliceError> {
    // What nearly all clients send comes first: a text that it reads, no other engine would read
    // differently.
    URL_SAFE_NO_PAD.decode_slice(text, buffer).or_else(|_| {
        match (text.contains(['+', '/']), text.ends_with('=')) {
            (false, _) => URL_SAFE.decode_slice(text, buffer),
            (true, false) => STANDARD_NO_PAD.decode_slice(text, buffer),
            (true, true) => STANDARD.decode_slice(text, buffer),
        }
    })
}

/// Room in which any text of `length` bytes can be decoded.
pub(crate) const fn room_for(length: usize) -> usize {
    length.div_ceil(4) * 3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut buffer = vec![0; room_for(text.len())];
        let length = decode(text, &mut buffer).ok()?;
        Some(buffer[..length].to_vec())
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
}
