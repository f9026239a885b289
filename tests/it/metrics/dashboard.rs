//! The table, what the recorder is told of it, the dashboard and the alerts are of one mind.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::Value;
use tower_registration::metrics::describe;

use super::series::rows;

const DASHBOARD: &str = include_str!("../../../examples/dashboards/grafana.json");
const ALERTS: &str = include_str!("../../../examples/dashboards/alerts.yml");

/// Remembers what is described, as `name kind unit`.
#[derive(Default)]
struct Described(Mutex<Vec<String>>);

impl Described {
    fn add(&self, name: &KeyName, kind: &str, unit: Option<Unit>, description: &SharedString) {
        assert!(description.ends_with('.'), "{description}");
        let unit = unit.unwrap().as_str();
        let line = format!("{} {kind} {unit}", name.as_str());
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.add(&name, "counter", unit, &description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.add(&name, "gauge", unit, &description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.add(&name, "histogram", unit, &description);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn what_is_described_is_what_the_table_says() {
    let described = Described::default();
    metrics::with_local_recorder(&described, describe);
    let described: Vec<_> = described.0.into_inner().unwrap();
    let rows = rows();
    let table: Vec<_> = rows
        .iter()
        .map(|row| {
            let unit = match row.unit {
                "seconds" => "seconds",
                _ => "count",
            };
            format!("{} {} {unit}", row.name, row.kind)
        })
        .collect();
    let sorted = |lines: Vec<String>| BTreeSet::from_iter(lines);
    assert_eq!(described.len(), 12);
    assert_eq!(sorted(described), sorted(table));
}

/// Names as Prometheus has them, without what a histogram's series add.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    words
        .filter(|word| word.starts_with("tower_registration_"))
        .map(|word| {
            let suffixes = ["_bucket", "_count", "_sum"];
            let bare = suffixes.iter().find_map(|suffix| word.strip_suffix(suffix));
            bare.unwrap_or(word)
        })
        .collect()
}

/// All queries of the dashboard's panels.
fn queries() -> String {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{} asks nothing", panel["title"]);
        targets
    });
    let queries: Vec<_> = targets
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    queries.join("\n")
}

#[test]
fn every_metric_has_a_panel_and_every_panel_a_metric() {
    let queries = queries();
    let metrics: BTreeSet<_> = rows().iter().map(|row| row.name).collect();
    assert_eq!(names(&queries), metrics);
}

#[test]
fn alerts_are_about_metrics_and_outcomes_that_there_are() {
    let metrics: BTreeSet<_> = rows().iter().map(|row| row.name).collect();
    let named = names(ALERTS);
    assert!(named.len() >= 5, "{named:?}");
    assert!(named.is_subset(&metrics), "{named:?}");
    let values = super::series::documented();
    for line in ALERTS.lines().filter(|line| line.contains("=~\"")) {
        let selected = line
            .split("=~\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        for value in selected.split('|') {
            let ends = format!("={value}}}");
            assert!(
                values.iter().any(|series| series.ends_with(&ends)),
                "{value}"
            );
        }
    }
}
