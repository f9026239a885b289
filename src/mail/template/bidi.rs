//! Keeps a name or an address from turning the text around it: the isolates of Unicode's
//! bidirectional algorithm (UAX #9), which HTML knows as `bdi`.
//!
//! An isolate ends where its own end mark stands, or the paragraph's. So nothing that is put into
//! one may hold such a mark: see [`is_control`].

use std::borrow::Cow;

/// Begins an isolate that goes as its first letter goes.
pub(super) const BY_FIRST_LETTER: char = '\u{2068}';
/// Begins an isolate that goes from left to right.
pub(super) const LEFT_TO_RIGHT: char = '\u{2066}';
/// Ends either.
pub(super) const END: char = '\u{2069}';

/// A name within a sentence.
pub(super) fn isolated_name(name: &str) -> String {
    format!("{BY_FIRST_LETTER}{name}{END}")
}

/// An address or a date. Both go from left to right, whatever letters are in them, as RFC 3987
/// (4.1) has it for identifiers.
pub(super) fn isolated_identifier(text: &str) -> String {
    format!("{LEFT_TO_RIGHT}{text}{END}")
}

/// Text that may stand in an isolate: replacement characters show where an [`is_control`] was.
pub(super) fn without_controls(text: &str) -> String {
    text.replace(is_control, "\u{FFFD}")
}

/// Whether a character is there to turn text (overrides, embeddings, isolates, marks) or to end a
/// line or paragraph.
pub(super) fn is_control(c: char) -> bool {
    ends_line(c)
        || matches!(
            c,
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
        )
}

/// Whether a character ends a line or paragraph, or is a control of another kind.
pub(super) fn ends_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Text of a language that goes from left to right, without isolates where nothing in it goes the
/// other way: then they change nothing, and plain ASCII stays plain ASCII.
pub(super) fn without_idle_isolates(text: &str) -> Cow<'_, str> {
    if text.chars().any(goes_left) || !text.contains(is_isolate) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace(is_isolate, ""))
}

fn is_isolate(c: char) -> bool {
    matches!(c, BY_FIRST_LETTER | LEFT_TO_RIGHT | END)
}

/// Whether a character is in a block that Unicode keeps for scripts written from right to left.
fn goes_left(c: char) -> bool {
    matches!(
        u32::from(c),
        0x0590..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFF | 0x1_0800..=0x1_0FFF | 0x1_E800..=0x1_EFFF
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_an_address_ends_its_isolate_or_turns_it() {
        for hostile in [
            "a\u{202E}b",
            "a\u{2069}b",
            "a\u{2029}b",
            "a\u{2028}b",
            "a\u{061C}b",
            "a\u{200F}b",
            "a\u{2066}b",
            "a\u{202A}b",
            "a\nb",
            "a\u{200E}b",
        ] {
            assert_eq!(without_controls(hostile), "a\u{FFFD}b", "{hostile:?}");
        }
        // The neighbours of the ranges are letters and spaces like others.
        for harmless in [
            "\u{200D}", "\u{2010}", "\u{2027}", "\u{202F}", "\u{2065}", "\u{206A}",
        ] {
            assert!(
                without_controls(harmless).contains(harmless),
                "{harmless:?}"
            );
        }
    }

    #[test]
    fn isolates_stay_only_where_something_goes_left() {
        for (name, isolated) in [
            ("Acme", "Acme"),
            ("Ацме 株式会社", "Ацме 株式会社"),
            ("שלום", "\u{2068}שלום\u{2069}"),
            ("سلام", "\u{2068}سلام\u{2069}"),
            ("\u{1E900}", "\u{2068}\u{1E900}\u{2069}"),
        ] {
            assert_eq!(without_idle_isolates(&isolated_name(name)), isolated);
        }
    }
}
