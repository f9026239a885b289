//! The tables.

use std::time::Duration;

use crate::{load::Load, server::Sample, verdict::Memory};

/// What a run came to.
pub(crate) struct Report {
    pub(crate) load: Load,
    pub(crate) memory: Option<Memory>,
    pub(crate) stop: Duration,
    pub(crate) unanswered: u64,
    pub(crate) found: Found,
}

/// What the server that was started again found, all of it counts.
pub(crate) struct Found {
    /// Valid requests without an answer, sent again, and those of them that are accepted.
    pub(crate) sent_again: usize,
    pub(crate) accepted: usize,
    /// Users who were told `success`.
    pub(crate) users: usize,
    pub(crate) mails: usize,
    pub(crate) twice: usize,
    pub(crate) redeemed: usize,
}

impl Report {
    pub(crate) fn print(&self) {
        println!(
            "| requests | answered as expected | otherwise | half within | 99 of 100 within | all within |"
        );
        println!("| --- | --- | --- | --- | --- | --- |");
        for (sort, row) in &self.load.rows {
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
        for (what, came_out) in self.load_figures().into_iter().chain(self.stop_figures()) {
            println!("| {what} | {came_out} |");
        }
        println!();
    }

    fn load_figures(&self) -> [(&'static str, String); 6] {
        let load = &self.load;
        let rows = load.rows.values();
        let all: u64 = rows.map(|row| row.as_expected + row.otherwise).sum();
        let seconds = load.took.as_secs_f64();
        let samples = [load.before, load.full, load.after];
        let three = |of: fn(&Sample) -> String| samples.each_ref().map(of).join(", ");
        let used = load.full.cpu - load.before.cpu;
        #[expect(clippy::cast_precision_loss, reason = "there are not so many requests")]
        let rate = all as f64 / seconds;
        [
            (
                "requests a second",
                format!(
                    "{rate:.0} for {seconds:.0} s, on {} connections kept open and those of the callers",
                    load.connections
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
        ]
    }

    fn stop_figures(&self) -> [(&'static str, String); 2] {
        let found = &self.found;
        [
            (
                "stop within traffic",
                format!(
                    "{:.1} s; {} requests unanswered, {} of them valid, and {} of those accepted when sent again",
                    self.stop.as_secs_f64(),
                    self.unanswered,
                    found.sent_again,
                    found.accepted
                ),
            ),
            (
                "mails",
                format!(
                    "{} to {} users, {} of them twice; the last code of {} completed the registration",
                    found.mails, found.users, found.twice, found.redeemed
                ),
            ),
        ]
    }

    fn memory_line(&self) -> String {
        let warm_up = self.load.warm_up;
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
