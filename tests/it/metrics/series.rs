//! What a recorder of the test's own thread was told, and what the documentation says it may be.

use std::collections::{BTreeMap, BTreeSet};

use metrics::LocalRecorderGuard;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};

/// The module's page, which has the table of all metrics.
const PAGE: &str = include_str!("../../../src/metrics/mod.rs");

/// Watches what this thread records. Tests of one thread see their own tasks and nobody else's.
pub(super) struct Watch {
    snapshotter: Snapshotter,
    _recording: LocalRecorderGuard<'static>,
}

impl Watch {
    pub(super) fn begin() -> Self {
        // One for each watch of a test; what they take is little, and given back at the end.
        let recorder: &'static DebuggingRecorder = Box::leak(Box::default());
        Self {
            snapshotter: recorder.snapshotter(),
            _recording: metrics::set_default_local_recorder(recorder),
        }
    }

    pub(super) fn end(self) -> Told {
        let all = self.snapshotter.snapshot().into_vec();
        let named = all.into_iter().map(|(key, _, _, value)| {
            let key = key.key();
            let label = key.labels().next().map_or(String::new(), |label| {
                format!("{}={}", label.key(), label.value())
            });
            (format!("{}{{{label}}}", key.name()), value)
        });
        Told(named.collect())
    }
}

/// All series by name and label, `name{label=value}`, and their values.
pub(super) struct Told(BTreeMap<String, DebugValue>);

impl Told {
    pub(super) fn series(&self) -> BTreeSet<&String> {
        self.0.keys().collect()
    }

    /// These counts, and none under another value of the label.
    #[track_caller]
    pub(super) fn counted(&self, name: &str, label: &str, counts: &[(&str, u64)]) {
        let expected: BTreeMap<_, _> = counts
            .iter()
            .map(|(value, count)| (format!("{name}{{{label}={value}}}"), *count))
            .collect();
        let of_name = self.of(name);
        let counted = of_name.map(|(series, value)| match value {
            DebugValue::Counter(count) => (series.clone(), *count),
            other => panic!("{series} is no counter: {other:?}"),
        });
        assert_eq!(counted.collect::<BTreeMap<_, _>>(), expected);
    }

    /// So many times for each outcome, and for no other.
    #[track_caller]
    pub(super) fn timed(&self, name: &str, outcomes: &[(&str, usize)]) {
        let expected: BTreeMap<_, _> = outcomes
            .iter()
            .map(|(value, times)| (format!("{name}{{outcome={value}}}"), *times))
            .collect();
        let of_name = self.of(name);
        let timed = of_name.map(|(series, value)| match value {
            DebugValue::Histogram(seconds) => {
                assert!(seconds.iter().all(|seconds| seconds.is_finite()));
                (series.clone(), seconds.len())
            }
            other => panic!("{series} is no histogram: {other:?}"),
        });
        assert_eq!(timed.collect::<BTreeMap<_, _>>(), expected);
    }

    /// What a histogram without a label was given.
    #[track_caller]
    pub(super) fn observed(&self, name: &str) -> Vec<f64> {
        match &self.0[&format!("{name}{{}}")] {
            DebugValue::Histogram(values) => values.iter().map(|value| value.0).collect(),
            other => panic!("{name} is no histogram: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn gauge(&self, name: &str) -> f64 {
        match self.0[&format!("{name}{{}}")] {
            DebugValue::Gauge(value) => value.0,
            ref other => panic!("{name} is no gauge: {other:?}"),
        }
    }

    #[track_caller]
    pub(super) fn gauge_is(&self, name: &str, expected: f64) {
        let told = self.gauge(name);
        assert!(told.total_cmp(&expected).is_eq(), "{name} is {told}");
    }

    /// These series, and each at nothing.
    #[track_caller]
    pub(super) fn all_at_nothing(&self, series: &BTreeSet<String>) {
        assert_eq!(self.series(), series.iter().collect());
        for (series, value) in &self.0 {
            let nothing = match value {
                DebugValue::Counter(count) => *count == 0,
                DebugValue::Gauge(value) => value.0.total_cmp(&0.0).is_eq(),
                DebugValue::Histogram(values) => values.is_empty(),
            };
            assert!(nothing, "{series} is {value:?}");
        }
    }

    #[track_caller]
    pub(super) fn nothing_of(&self, name: &str) {
        let told: Vec<_> = self.of(name).collect();
        assert!(told.is_empty(), "{told:?}");
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a String, &'a DebugValue)> {
        let all = self.0.iter();
        all.filter(move |(series, _)| series.starts_with(name))
    }
}

/// A row of the documentation's table.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) unit: &'static str,
    /// The label, and then its values.
    labels: Vec<&'static str>,
}

impl Row {
    pub(super) fn label(&self) -> Option<&'static str> {
        self.labels.first().copied()
    }

    pub(super) fn values(&self) -> &[&'static str] {
        self.labels.get(1..).unwrap_or_default()
    }

    fn series(&self) -> Vec<String> {
        match self.label() {
            None => vec![format!("{}{{}}", self.name)],
            Some(label) => {
                let values = self.values().iter();
                let named = values.map(|value| format!("{}{{{label}={value}}}", self.name));
                named.collect()
            }
        }
    }
}

pub(super) fn rows() -> Vec<Row> {
    let lines = PAGE.lines().filter(|line| line.starts_with("//! | `"));
    lines
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            Row {
                name: cells[1].trim_matches('`'),
                kind: cells[2],
                unit: cells[3],
                labels: cells[4].split('`').skip(1).step_by(2).collect(),
            }
        })
        .collect()
}

/// Every series that the table allows.
pub(super) fn documented() -> BTreeSet<String> {
    rows().iter().flat_map(Row::series).collect()
}

/// Every series of it that is there before anything has happened: those that nobody has to sample.
pub(super) fn there_from_the_start() -> BTreeSet<String> {
    let sampled = |row: &&Row| row.kind == "gauge" && !row.name.contains("courier");
    let rows = rows();
    let rest = rows.iter().filter(|row| !sampled(row));
    rest.flat_map(Row::series).collect()
}
