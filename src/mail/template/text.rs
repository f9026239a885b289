//! A mail as plain text: paragraphs in lines of 78 columns.

use super::{
    bidi::{self, BY_FIRST_LETTER, END, LEFT_TO_RIGHT},
    default::Letter,
    translation::Direction,
};

/// Columns of a line, as RFC 5322 (2.1.1) recommends. Letters of Chinese, Japanese and Korean are
/// two columns wide. Only what has no place to break, like an address, is longer.
const COLUMNS: usize = 78;
/// Keeps the code, which is to be copied, away from the sentences.
const INDENT: &str = "    ";

/// The code has no isolate: digits on a line of their own need none, and who copies the line would
/// copy the mark too.
pub(super) fn page(letter: &Letter<'_>) -> String {
    let sentence = |text: &str| match letter.direction {
        Direction::LeftToRight => wrapped(&bidi::without_idle_isolates(text)),
        Direction::RightToLeft => wrapped(text),
    };
    format!(
        "{subject}\n\n{instruction}\n\n{INDENT}{code}\n\n{label}\n{username}\n\n\
         {validity}\n{superseded}\n\n{unasked}\n",
        subject = sentence(&letter.subject),
        instruction = sentence(letter.instruction),
        code = letter.code,
        label = sentence(letter.username_label),
        username = sentence(&bidi::isolated_identifier(&letter.username)),
        validity = sentence(&letter.validity),
        superseded = sentence(letter.superseded),
        unasked = sentence(letter.unasked),
    )
}

/// A paragraph in lines of [`COLUMNS`].
fn wrapped(paragraph: &str) -> String {
    let mut lines = String::with_capacity(paragraph.len() + 4);
    let (mut column, mut rest) = (0, paragraph);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(unbreakable(rest));
        let width = columns(piece.trim_end_matches(' '));
        if column > 0 && column + width > COLUMNS {
            lines.truncate(lines.trim_end_matches(' ').len());
            lines.push('\n');
            column = 0;
        }
        lines.push_str(piece);
        column += columns(piece);
        rest = after;
    }
    lines
}

/// How many bytes there are before the first place at which a line may end.
fn unbreakable(text: &str) -> usize {
    let pairs = text.char_indices().zip(text.chars().skip(1));
    pairs
        .map(|((at, c), next)| (at + c.len_utf8(), c, next))
        .find(|(_, c, next)| may_break(*c, *next))
        .map_or(text.len(), |(end, ..)| end)
}

/// Between words, and beside a wide letter, except where a mark clings to what it belongs to.
fn may_break(before: char, after: char) -> bool {
    let opens = matches!(
        before,
        '（' | '「' | '『' | '【' | '(' | BY_FIRST_LETTER | LEFT_TO_RIGHT
    );
    let closes = matches!(
        after,
        '、' | '。'
            | '）'
            | '」'
            | '』'
            | '】'
            | '：'
            | '？'
            | '！'
            | '・'
            | 'ー'
            | ')'
            | ' '
            | END
    );
    match before {
        ' ' => after != ' ',
        _ => (is_wide(before) || is_wide(after)) && !opens && !closes && before != '\u{A0}',
    }
}

fn columns(text: &str) -> usize {
    let width = |c| match c {
        BY_FIRST_LETTER | LEFT_TO_RIGHT | END => 0,
        c if is_wide(c) => 2,
        _ => 1,
    };
    text.chars().map(width).sum()
}

/// Whether a character takes two columns: the blocks that UAX #11 has as wide, small gaps included.
fn is_wide(c: char) -> bool {
    matches!(
        u32::from(c),
        0x1100..=0x115F
            | 0x2E80..=0xA4CF
            | 0xAC00..=0xD7A3
            | 0xF900..=0xFAFF
            | 0xFE30..=0xFE6F
            | 0xFF00..=0xFF60
            | 0xFFE0..=0xFFE6
            | 0x1_F300..=0x1_FAFF
            | 0x2_0000..=0x3_FFFD
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_filled_to_its_last_column_and_no_further() {
        let fits = format!("{} {}", "a".repeat(38), "b".repeat(39));
        assert_eq!(columns(&fits), COLUMNS);
        assert_eq!(wrapped(&fits), fits);
        let longer = format!("{fits}b");
        assert_eq!(wrapped(&longer), longer.replace(' ', "\n"));
        assert_eq!(wrapped(&format!("{fits} c")), format!("{fits}\nc"));
    }

    #[test]
    fn wide_letters_are_two_columns_and_break_anywhere_but_before_a_full_stop() {
        let line = "字".repeat(39);
        assert_eq!(wrapped(&line), line);
        assert_eq!(wrapped(&format!("{line}字")), format!("{line}\n字"));
        assert_eq!(
            wrapped(&format!("{line}。")),
            format!("{}\n字。", "字".repeat(38))
        );
        assert_eq!(
            wrapped(&format!("{}（字", "字".repeat(38))),
            format!("{}\n（字", "字".repeat(38))
        );
    }

    #[test]
    fn what_has_no_place_to_break_stays_whole() {
        let address = format!("{}@example.co", "a".repeat(200));
        assert_eq!(wrapped(&address), address);
        assert_eq!(
            wrapped(&format!("to {address} x")),
            format!("to\n{address}\nx")
        );
        let kept = format!("{} 4\u{A0}heures", "a".repeat(70));
        assert_eq!(wrapped(&kept), kept.replace(' ', "\n"));
    }
}
