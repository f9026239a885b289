//! What has to hold, and what does not. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    place::{Mail, username},
    server::Sample,
    tally::{Row, Sort},
};

/// How much more memory the last third of the run may take than the first, of it or absolutely,
/// whichever is more.
const GROWTH: f64 = 0.05;
const GROWTH_KIB: f64 = 8.0 * 1_024.0;
/// A run of so long has samples enough to judge the memory.
const MEMORY_FROM: Duration = Duration::from_secs(10);
/// Descriptors that may be open once all connections are gone beside those before the first:
/// databases open connections as they are needed.
const SPARE_DESCRIPTORS: usize = 16;

/// The server's memory after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Memory {
    /// Means of the first and the last third, in KiB.
    pub(crate) first: f64,
    pub(crate) last: f64,
    /// Of the line that fits all samples best, in KiB from one sample to the next.
    pub(crate) slope: f64,
    samples: usize,
}

impl Memory {
    /// `None` if there are too few samples to tell.
    pub(crate) fn of(samples: &[Sample]) -> Option<Self> {
        let third = samples.len() / 3;
        if third == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "no server has 2^53 KiB")]
        let kib: Vec<f64> = samples
            .iter()
            .map(|sample| sample.resident_kib as f64)
            .collect();
        Some(Self {
            first: mean(&kib[..third]),
            last: mean(&kib[kib.len() - third..]),
            slope: slope(&kib),
            samples: kib.len(),
        })
    }

    pub(crate) fn is_flat(&self) -> bool {
        let allowed = (self.first * GROWTH).max(GROWTH_KIB);
        #[expect(clippy::cast_precision_loss, reason = "there are few samples")]
        let fitted = self.slope * self.samples as f64;
        self.last - self.first <= allowed && fitted <= allowed
    }
}

fn mean(values: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "there are few samples")]
    let count = values.len() as f64;
    values.iter().sum::<f64>() / count
}

/// By least squares.
fn slope(values: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "there are few samples")]
    let places: Vec<f64> = (0..values.len()).map(|place| place as f64).collect();
    let (place, value) = (mean(&places), mean(values));
    let both = places.iter().zip(values);
    let rise: f64 = both.map(|(x, y)| (x - place) * (y - value)).sum();
    let run: f64 = places.iter().map(|x| (x - place).powi(2)).sum();
    if run == 0.0 { 0.0 } else { rise / run }
}

/// Whether the descriptors of all connections are gone.
pub(crate) fn are_gone(before: Sample, after: Sample) -> bool {
    after.descriptors <= before.descriptors + SPARE_DESCRIPTORS
}

/// What is broken, a line each.
#[derive(Default)]
pub(crate) struct Verdict(pub(crate) Vec<String>);

impl Verdict {
    pub(crate) fn expect(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        if !holds {
            self.0.push(broken());
        }
    }

    /// Every request got what it had to get, and every sort was sent.
    pub(crate) fn judge_answers(&mut self, rows: &BTreeMap<Sort, Row>, sorts: &[Sort]) {
        for sort in sorts {
            let row = rows.get(sort);
            let (right, wrong) = row.map_or((0, 0), |row| (row.as_expected, row.otherwise));
            let label = sort.label();
            self.expect(right > 0, || {
                format!("none was answered as expected: {label}")
            });
            self.expect(wrong == 0, || {
                format!("{wrong} were answered otherwise than expected: {label}")
            });
        }
    }

    pub(crate) fn judge_descriptors(&mut self, before: Sample, after: Sample) {
        let is_gone = are_gone(before, after);
        let (before, after) = (before.descriptors, after.descriptors);
        self.expect(is_gone, || {
            format!("{before} descriptors before the first connection, {after} after the last")
        });
    }

    /// Shorter runs than [`MEMORY_FROM`] may have no memory to judge.
    pub(crate) fn judge_memory(&mut self, memory: Option<Memory>, run: Duration) {
        self.expect(memory.is_some() || run < MEMORY_FROM, || {
            "too few samples of the memory".to_owned()
        });
        self.expect(memory.is_none_or(|memory| memory.is_flat()), || {
            format!("memory grows: {memory:?}")
        });
    }

    /// Whoever was told `success` has mails, no more than the policy allows, and none twice. How many
    /// came twice.
    pub(crate) fn judge_mails(
        &mut self,
        mails: &BTreeMap<String, Vec<Mail>>,
        told: &BTreeSet<usize>,
        most: u64,
    ) -> usize {
        let (mut ids, mut twice) = (BTreeSet::new(), 0);
        for (user, mails) in mails {
            let doubles = mails.iter().filter(|mail| !ids.insert(&mail.id)).count();
            twice += doubles;
            self.expect(doubles == 0, || format!("{user} got {doubles} mails twice"));
            self.expect(mails.len() as u64 <= most, || {
                format!("{user} got {} mails: {most} are allowed", mails.len())
            });
            let has_code = mails.iter().all(|mail| !mail.code.is_empty());
            self.expect(has_code, || format!("{user} got a mail without a code"));
        }
        let told: BTreeSet<_> = told.iter().map(|user| username(*user)).collect();
        let without = told.iter().filter(|user| !mails.contains_key(*user));
        let without = without.count();
        self.expect(without == 0, || {
            format!("{without} users were told `success` and got no mail")
        });
        let untold = mails.keys().filter(|user| !told.contains(*user)).count();
        self.expect(untold == 0, || {
            format!("{untold} users got a mail that nobody asked for")
        });
        twice
    }
}
