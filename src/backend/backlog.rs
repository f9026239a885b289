//! How much is owed, as SQL counts it.

use crate::registration::Backlog;

/// From the number of rows, and the time of the oldest code without its `Z`. What is no time is
/// none: whoever wrote it into the table is told of by other means.
pub(super) fn backlog(owed: i64, oldest: Option<String>) -> Backlog {
    Backlog {
        owed: owed.unsigned_abs(),
        oldest: oldest.and_then(|time| format!("{time}Z").parse().ok()),
    }
}
