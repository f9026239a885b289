//! The table, what the recorder is told of it, the dashboard and the alerts are of one mind.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::Value;
use tower_registration::metrics::describe;

use super::series::{rows, there_from_the_start};

const DASHBOARD: &str = include_str!("../../../examples/dashboards/grafana.json");
const ALERTS: &str = include_str!("../../../examples/dashboards/alerts.yml");
const ALERT_TESTS: &str = include_str!("../../../examples/dashboards/alerts.test.yml");

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

/// A metric as an expression has it: `name_bucket{label=~"value|value"}`.
struct Selector<'a> {
    /// Without what a histogram's series add, and that.
    name: &'a str,
    suffix: &'a str,
    matchers: Vec<(&'a str, Vec<&'a str>)>,
    /// The function that it is the argument of.
    within: &'a str,
}

fn selectors(expression: &str) -> Vec<Selector<'_>> {
    let starts = expression.match_indices("tower_registration_");
    starts.map(|(at, _)| selector(expression, at)).collect()
}

fn selector(expression: &str, at: usize) -> Selector<'_> {
    let (before, rest) = expression.split_at(at);
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let end = rest.find(|letter| !is_name(letter)).unwrap_or(rest.len());
    let (full, rest) = rest.split_at(end);
    let suffixes = ["_bucket", "_count", "_sum"];
    let suffix = suffixes.into_iter().find(|suffix| full.ends_with(suffix));
    let suffix = suffix.unwrap_or_default();
    let braces = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    let matchers = braces.map_or(Vec::new(), |(matchers, _)| {
        matchers.split(',').map(matcher).collect()
    });
    let function = before.strip_suffix('(').unwrap_or_default();
    Selector {
        name: full.strip_suffix(suffix).unwrap_or(full),
        suffix,
        matchers,
        within: function
            .rsplit(|letter| !is_name(letter))
            .next()
            .unwrap_or_default(),
    }
}

/// `label="value"` or `label=~"value|value"`.
fn matcher(text: &str) -> (&str, Vec<&str>) {
    let (label, values) = text.split_once('=').unwrap();
    let values = values.trim_start_matches('~').trim_matches('"');
    (label.trim(), values.split('|').collect())
}

/// The labels of each `by (...)`, and what is aggregated by them.
fn groups(expression: &str) -> Vec<(Vec<&str>, &str)> {
    let after = expression
        .match_indices("by (")
        .map(|(at, by)| &expression[at + by.len()..]);
    after
        .map(|rest| {
            let (labels, rest) = rest.split_once(") (").unwrap();
            let mut depth = 1;
            let end = rest.find(|letter| {
                depth += match letter {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                depth == 0
            });
            let labels = labels.split(',').map(str::trim).collect();
            (labels, &rest[..end.unwrap()])
        })
        .collect()
}

/// What is wrong with an expression: about metrics, labels and values that there are not, or about
/// a kind of metric that does not answer that.
fn wrong(expression: &str) -> Vec<String> {
    let rows = rows();
    let of = |selector: &Selector<'_>| rows.iter().find(|row| row.name == selector.name);
    let mut wrong = Vec::new();
    for selector in selectors(expression) {
        let Selector {
            name,
            suffix,
            ref matchers,
            within,
        } = selector;
        let Some(row) = of(&selector) else {
            wrong.push(format!("no metric {name}"));
            continue;
        };
        if (row.kind == "histogram") == suffix.is_empty() {
            wrong.push(format!("{name} is a {} and has {suffix:?}", row.kind));
        }
        if (row.kind == "gauge") == matches!(within, "rate" | "increase") {
            wrong.push(format!("{within} of {name}, a {}", row.kind));
        }
        for (label, values) in matchers {
            if *label == "job" && values == &["$job"] {
                continue;
            }
            if row.label() != Some(label) {
                wrong.push(format!("{name} has no label {label}"));
            }
            let unknown = values.iter().filter(|value| !row.values().contains(value));
            wrong.extend(unknown.map(|value| format!("{name} has no {label} {value}")));
        }
    }
    for (labels, aggregated) in groups(expression) {
        let inner = selectors(aggregated);
        for label in &labels {
            let known = |selector: &Selector<'_>| match *label {
                "job" | "instance" => true,
                "le" => selector.suffix == "_bucket",
                label => of(selector).is_some_and(|row| row.label() == Some(label)),
            };
            if inner.is_empty() || !inner.iter().all(known) {
                wrong.push(format!("nothing to group by {label} in {aggregated}"));
            }
        }
        let buckets = inner.iter().any(|selector| selector.suffix == "_bucket");
        if buckets != labels.contains(&"le") {
            wrong.push(format!("buckets and le go together: {aggregated}"));
        }
    }
    wrong
}

#[test]
fn an_expression_about_what_there_is_not_is_found_out() {
    let claims = "tower_registration_nonce_claim_duration_seconds";
    let attempts = "tower_registration_mail_attempts_total";
    for (expression, expected) in [
        (
            "max(tower_registration_requests_total)".to_owned(),
            "no metric",
        ),
        (format!("rate({claims}[5m])"), "is a histogram"),
        (format!("rate({attempts}_count[5m])"), "is a counter"),
        (format!("sum({attempts})"), "a counter"),
        (
            "rate(tower_registration_nonces_live[5m])".to_owned(),
            "a gauge",
        ),
        (
            format!(r#"rate({attempts}{{kind="Later"}}[5m])"#),
            "no label kind",
        ),
        // Another metric has it.
        (
            format!(r#"rate({attempts}{{outcome=~"Later|Claimed"}}[5m])"#),
            "no outcome Claimed",
        ),
        (
            format!("sum by (kind) (rate({attempts}[5m]))"),
            "group by kind",
        ),
        (format!("sum by (le) (rate({attempts}[5m]))"), "group by le"),
        (
            format!("sum by (outcome) (rate({claims}_bucket[5m]))"),
            "go together",
        ),
    ] {
        let found = wrong(&expression).join("; ");
        assert!(found.contains(expected), "{expression}: {found:?}");
    }
    let right = r#"sum by (job, outcome) (rate(tower_registration_mail_attempts_total{job=~"$job",outcome=~"Later|Moot"}[5m])) > 0"#;
    assert_eq!(wrong(right), [""; 0]);
}

/// Each query of the dashboard's panels, and what its lines are called.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{} asks nothing", panel["title"]);
        targets
    });
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    targets
        .map(|target| (text(&target["expr"]), text(&target["legendFormat"])))
        .collect()
}

#[test]
fn every_metric_has_a_panel_and_every_panel_asks_for_what_there_is() {
    let metrics: BTreeSet<_> = rows().iter().map(|row| row.name).collect();
    let queries = queries();
    let all = queries.iter().flat_map(|(query, _)| selectors(query));
    let asked: BTreeSet<_> = all.map(|selector| selector.name).collect();
    assert_eq!(asked, metrics);
    for (query, legend) in &queries {
        assert_eq!(wrong(query), [""; 0], "{query}");
        assert!(
            selectors(query)
                .iter()
                .all(|selector| selector.matchers.iter().any(|(label, _)| *label == "job")),
            "not of the chosen job: {query}"
        );
        // A line is called after a label that the query has left it.
        if let Some(label) = legend.strip_prefix("{{") {
            let label = label.trim_end_matches("}}");
            let groups = groups(query);
            let left = groups.iter().any(|(labels, _)| labels.contains(&label));
            assert!(
                left || groups.is_empty() && label == "instance",
                "{legend}: {query}"
            );
        }
    }
}

#[test]
fn jobs_can_be_chosen_before_anything_has_happened() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let job = variables.iter().find(|variable| variable["name"] == "job");
    let query = job.unwrap()["query"]["query"].as_str().unwrap();
    let [selector] = &selectors(query)[..] else {
        panic!("{query}");
    };
    let there = there_from_the_start();
    assert!(
        there.iter().any(|series| series.starts_with(selector.name)),
        "{query}"
    );
}

#[test]
fn alerts_are_about_what_there_is_and_each_has_its_tests() {
    let field = |name: &'static str| {
        let lines = ALERTS.lines().map(str::trim);
        lines
            .filter_map(move |line| line.strip_prefix(name))
            .collect::<Vec<_>>()
    };
    let (names, expressions) = (field("- alert: "), field("expr: "));
    assert!(names.len() >= 5, "{names:?}");
    assert_eq!(names.len(), expressions.len());
    for (name, expression) in names.into_iter().zip(expressions) {
        assert_eq!(wrong(expression), [""; 0], "{expression}");
        assert!(!selectors(expression).is_empty(), "{expression}");
        // What they prove, `promtool` has to say: see `.ci/run`.
        let tests = ALERT_TESTS.matches(&format!("alertname: {name}\n")).count();
        assert!(tests >= 2, "{name} is tested {tests} times");
    }
}
