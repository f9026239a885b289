//! What a language has to say, and what it is told.

use chrono::TimeDelta;

/// The sentences of the default template in one language.
///
/// Each stands in a paragraph or on a line of its own; the layout is the same for all languages.
/// What is handed in is ready to be put into a sentence: plain text, which the template escapes,
/// within isolates, so that its direction does not turn the sentence. Give plain text back.
///
/// Names are not inflected, so build sentences in which a name needs no case or article.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no translation",
    note = "implement `tower_registration::mail::Translation`: one method for each sentence"
)]
pub trait Translation: Send + Sync + 'static {
    /// Which way the language is written.
    fn direction(&self) -> Direction {
        Direction::LeftToRight
    }

    /// Subject and heading: that this is the registration code, and for which product. One line;
    /// a line break becomes a space.
    fn subject(&self, product: Option<&str>) -> String;

    /// That the code, which follows on a line of its own, completes the registration.
    fn instruction(&self) -> &str;

    /// That the user's name, which is an address, follows on a line of its own.
    fn username_label(&self) -> &str;

    /// How long the code is valid, `until` when (a date and time in UTC), and that it works once.
    fn validity(&self, lasting: Lasting, until: &str) -> String;

    /// That codes from earlier mails no longer work.
    fn superseded(&self) -> &str;

    /// What to do for who did not ask for a code: nothing, and to tell it to nobody.
    fn unasked(&self) -> &str;
}

/// Which way a language is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// As English is.
    LeftToRight,
    /// As Arabic and Hebrew are.
    RightToLeft,
}

/// How long a code is valid, in whole units, rather too few than too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// So many minutes; 0 if it is less than one.
    Minutes(u64),
    /// So many hours; 1 at least.
    Hours(u64),
    /// So many days; 2 at least, since one day is 24 hours.
    Days(u64),
}

impl Lasting {
    pub(super) fn of(span: TimeDelta) -> Self {
        let minutes = u64::try_from(span.num_minutes()).unwrap_or(0);
        match (minutes / 60, minutes % 60) {
            (0, _) | (_, 1..) => Self::Minutes(minutes),
            (hours @ 48.., 0) if hours % 24 == 0 => Self::Days(hours / 24),
            (hours, 0) => Self::Hours(hours),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_whole_units() {
        let rows = [
            (-60, Lasting::Minutes(0)),
            (59, Lasting::Minutes(0)),
            (60, Lasting::Minutes(1)),
            (3_599, Lasting::Minutes(59)),
            (3_600, Lasting::Hours(1)),
            (5_400, Lasting::Minutes(90)),
            (7_259, Lasting::Hours(2)),
            (86_400, Lasting::Hours(24)),
            (129_600, Lasting::Hours(36)),
            (172_800, Lasting::Days(2)),
            (176_400, Lasting::Hours(49)),
            (2_592_000, Lasting::Days(30)),
        ];
        for (seconds, expected) in rows {
            assert_eq!(Lasting::of(TimeDelta::seconds(seconds)), expected);
        }
    }
}
