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
#[non_exhaustive]
pub enum Direction {
    /// As English is.
    LeftToRight,
    /// As Arabic and Hebrew are.
    RightToLeft,
}

/// How long a code is valid: in the largest unit of which there are two, rather too few than too
/// many. A translation has words for each unit, so that another would be a new major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    /// So many minutes, 119 at most. The one that has begun counts: a mail goes out moments after
    /// its code was made, and is to say 90 minutes of a code that is made for 90.
    Minutes(u64),
    /// So many whole hours, 2 to 47.
    Hours(u64),
    /// So many whole days, 2 at least.
    Days(u64),
}

impl Lasting {
    pub(super) fn of(span: TimeDelta) -> Self {
        let whole = span.num_minutes();
        let begun = i64::from(span > TimeDelta::minutes(whole));
        let minutes = u64::try_from(whole + begun).unwrap_or(0);
        match minutes / 60 {
            0..2 => Self::Minutes(minutes),
            hours @ 2..48 => Self::Hours(hours),
            hours => Self::Days(hours / 24),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_largest_unit_of_which_there_are_two() {
        let rows = [
            (-60_000, Lasting::Minutes(0)),
            (-1, Lasting::Minutes(0)),
            (0, Lasting::Minutes(0)),
            (1, Lasting::Minutes(1)),
            (60_000, Lasting::Minutes(1)),
            (60_001, Lasting::Minutes(2)),
            (3_600_000, Lasting::Minutes(60)),
            (7_140_000, Lasting::Minutes(119)),
            (7_140_001, Lasting::Hours(2)),
            (7_200_000, Lasting::Hours(2)),
            (14_340_000, Lasting::Hours(3)),
            (14_340_001, Lasting::Hours(4)),
            (14_460_000, Lasting::Hours(4)),
            (172_740_000, Lasting::Hours(47)),
            (172_740_001, Lasting::Days(2)),
            (259_140_000, Lasting::Days(2)),
            (2_592_000_000, Lasting::Days(30)),
        ];
        for (milliseconds, expected) in rows {
            let span = TimeDelta::milliseconds(milliseconds);
            assert_eq!(Lasting::of(span), expected, "{span}");
        }
        assert_eq!(Lasting::of(TimeDelta::MIN), Lasting::Minutes(0));
        assert!(matches!(Lasting::of(TimeDelta::MAX), Lasting::Days(_)));
    }
}
