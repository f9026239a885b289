//! The tables.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    server::Sample,
    tally::{Row, Sort},
    verdict::Memory,
};

/// What a run came to.
pub(crate) struct Report {
    pub(crate) took: Duration,
    pub(crate) connections: usize,
    pub(crate) rows: BTreeMap<Sort, Row>,
    /// Before the first connection, with all of them at the end, and when they were gone.
    pub(crate) before: Sample,
    pub(crate) full: Sample,
    pub(crate) after: Sample,
    pub(crate) warm_up: Duration,
    pub(crate) memory: Option<Memory>,
    pub(crate) stop: Duration,
    pub(crate) unanswered: u64,
    pub(crate) sent_again: usize,
    pub(crate) users: usize,
    pub(crate) mails: usize,
    pub(crate) redeemed: usize,
}

impl Report {
    pub(crate) fn print(&self) {
        println!(
            "| requests | answered as expected | otherwise | half within | 99 of 100 within | all within |"
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        for (sort, row) in &self.rows {
            let at = |share| match row.times.len() {
                0 => "–".to_owned(),
                _ => milliseconds(row.times.value_at_quantile(share)),
            };
            println!(
                "| {} | {} | {} | {} | {} | {} |",
                sort.label(),
                row.as_expected,
                row.otherwise,
                at(0.5),
                at(0.99),
                at(1.0),
            );
        }
        println!();
        println!("| what | came out |");
        println!("| --- | --- |");
        for (what, came_out) in self.figures() {
            println!("| {what} | {came_out} |");
        }
        println!();
    }

    fn figures(&self) -> Vec<(&'static str, String)> {
        let all: u64 = self
            .rows
            .values()
            .map(|row| row.as_expected + row.otherwise)
            .sum();
        let unanswered = self.unanswered;
        let seconds = self.took.as_secs_f64();
        let samples = [self.before, self.full, self.after];
        let three =
            |of: fn(&Sample) -> String| samples.iter().map(of).collect::<Vec<_>>().join(", ");
        let used = self.full.cpu - self.before.cpu;
        #[expect(clippy::cast_precision_loss, reason = "there are not so many requests")]
        let rate = all as f64 / seconds;
        vec![
            (
                "requests a second",
                format!(
                    "{rate:.0} for {seconds:.0} s, on {} connections kept open and those of the callers",
                    self.connections
                ),
            ),
            (
                "processors that the server kept busy",
                format!("{:.2}", used / seconds),
            ),
            ("memory after the warm-up", self.memory_line()),
            (
                "memory before, at the end, with all connections closed",
                three(|sample| mebibytes(sample.resident_kib)),
            ),
            (
                "descriptors then",
                three(|sample| sample.descriptors.to_string()),
            ),
            ("threads then", three(|sample| sample.threads.to_string())),
            (
                "stop within traffic",
                format!(
                    "{:.1} s; {unanswered} requests unanswered, {} of them valid: all accepted when sent again",
                    self.stop.as_secs_f64(),
                    self.sent_again
                ),
            ),
            (
                "mails",
                format!(
                    "{} to {} users, none twice; the last code of {} completed the registration",
                    self.mails, self.users, self.redeemed
                ),
            ),
        ]
    }

    fn memory_line(&self) -> String {
        let warm_up = self.warm_up.as_secs();
        self.memory.map_or_else(
            || "too few samples".to_owned(),
            |memory| {
                format!(
                    "{:.1} MiB in the first third after {warm_up} s, {:.1} MiB in the last; {:+.2} MiB a minute",
                    memory.first / 1_024.0,
                    memory.last / 1_024.0,
                    memory.slope * 60.0 / 1_024.0
                )
            },
        )
    }
}

fn mebibytes(kib: u64) -> String {
    format!("{} MiB", kib / 1_024)
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
}
