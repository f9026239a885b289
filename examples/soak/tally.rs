//! What was sent, and what came of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use hdrhistogram::Histogram;
use tower_registration::rejection::RejectionKind;

use crate::connection::Heard;

/// So many answers that nobody expected are kept as text.
const SURPRISES: usize = 20;

/// Longest time to an answer that is told apart from longer ones, in microseconds.
const LONGEST: u64 = 60_000_000;

/// A sort of request, which is a row of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    ValidClientSide,
    ValidServerSide,
    ValidSlow,
    ReplayedAtOnce,
    ReplayedLater,
    TwiceAtOnce,
    Forged,
    Malformed,
    Broken,
    SlowBody,
    Abandoned,
    Kept,
}

impl Sort {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::ValidClientSide => "valid, without a signature",
            Self::ValidServerSide => "valid, signed",
            Self::ValidSlow => "valid, sent in pieces over 2 s",
            Self::ReplayedAtOnce => "the last request once more",
            Self::ReplayedLater => "an earlier request once more",
            Self::TwiceAtOnce => "one request twice at once",
            Self::Forged => "forged",
            Self::Malformed => "malformed headers or body",
            Self::Broken => "broken HTTP, over the limit",
            Self::SlowBody => "a body that does not end",
            Self::Abandoned => "given up within head or body",
            Self::Kept => "on a connection kept open",
        }
    }
}

/// What has to come back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    Success,
    /// The answer of one of these kinds.
    Refused(&'static [RejectionKind]),
    /// The HTTP server's own refusal.
    Status(u16),
}

impl Expected {
    fn is(self, heard: &Heard) -> bool {
        let Heard::Answer(answer) = heard else {
            return false;
        };
        match self {
            Self::Success => answer.status == 200 && answer.name.is_empty(),
            Self::Status(status) => answer.status == status,
            Self::Refused(kinds) => kinds.iter().any(|kind| {
                (kind.status().as_u16(), kind.name()) == (answer.status, answer.name.as_str())
            }),
        }
    }
}

/// A row of the report.
#[derive(Clone)]
pub(crate) struct Row {
    pub(crate) as_expected: u64,
    pub(crate) otherwise: u64,
    /// Without an answer while the server was stopping.
    pub(crate) unanswered: u64,
    /// Microseconds to the answer.
    pub(crate) times: Histogram<u64>,
}

#[derive(Default)]
pub(crate) struct Tally(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    rows: BTreeMap<Sort, Row>,
    surprises: Vec<String>,
}

impl Tally {
    /// Notes what came back. Where the server is stopping, nothing may come back too.
    pub(crate) fn note(
        &self,
        sort: Sort,
        what: &str,
        expected: Expected,
        heard: &Heard,
        took: Duration,
        stopping: bool,
    ) {
        let is_expected = expected.is(heard);
        let mut inner = self.inner();
        let row = inner.rows.entry(sort).or_insert_with(Row::new);
        if is_expected {
            row.as_expected += 1;
            row.times
                .saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        } else if stopping && matches!(heard, Heard::Nothing(_)) {
            row.unanswered += 1;
        } else {
            row.otherwise += 1;
            inner.surprise(format!("{} ({what}): {heard}", sort.label()));
        }
    }

    /// Notes a request that takes no answer.
    pub(crate) fn note_silence(&self, sort: Sort, what: &str, is_silent: bool) {
        let mut inner = self.inner();
        let row = inner.rows.entry(sort).or_insert_with(Row::new);
        if is_silent {
            row.as_expected += 1;
        } else {
            row.otherwise += 1;
            inner.surprise(format!("{} ({what}): an answer", sort.label()));
        }
    }

    pub(crate) fn rows(&self) -> BTreeMap<Sort, Row> {
        self.inner().rows.clone()
    }

    pub(crate) fn surprises(&self) -> Vec<String> {
        self.inner().surprises.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics with the tally")
    }
}

impl Inner {
    fn surprise(&mut self, text: String) {
        if self.surprises.len() < SURPRISES {
            self.surprises.push(text);
        }
    }
}

impl Row {
    fn new() -> Self {
        Self {
            as_expected: 0,
            otherwise: 0,
            unanswered: 0,
            times: Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are right"),
        }
    }
}
