//! The figures are those of the drawing and of the page about performance.

use super::{README, rows, section};

const DRAWING: &str = include_str!("../../../benches/performance.svg");
const PAGE: &str = include_str!("../../../src/docs/performance.md");

/// A time with its unit, in nanoseconds.
fn nanoseconds(time: &str) -> f64 {
    let (number, unit) = time.split_once(' ').unwrap();
    let number: f64 = number.parse().unwrap();
    match unit {
        "ns" => number,
        "µs" => number * 1_000.0,
        _ => panic!("{time} has another unit"),
    }
}

/// How far a number that is shown like this may be from the one that was measured.
fn rounding(shown: &str) -> f64 {
    let number = shown.split(' ').next().unwrap();
    let decimals = number
        .split_once('.')
        .map_or(0, |(_, decimals)| decimals.len());
    let unit = if shown.ends_with("µs") { 1_000.0 } else { 1.0 };
    0.5 * unit / 10_f64.powi(i32::try_from(decimals).unwrap())
}

/// The labels of the drawing's bars, each with the ratio beside it.
fn bars() -> Vec<(String, &'static str)> {
    let texts: Vec<_> = DRAWING
        .lines()
        .filter_map(|line| line.strip_suffix("</text>")?.split_once('>'))
        .map(|(_, text)| text)
        .skip(1)
        .collect();
    texts
        .chunks(2)
        .map(|pair| (pair[0].to_owned(), pair[1]))
        .collect()
}

#[test]
fn the_table_is_the_drawing() {
    let table = rows(section(README, "How fast"));
    let table: Vec<_> = table
        .iter()
        .map(|row| (format!("{}: {}", row[0], row[2].trim_matches('`')), row[4]))
        .collect();
    assert!(table.len() > 5, "{table:?}");
    assert_eq!(table, bars());
}

#[test]
fn every_ratio_is_that_of_its_two_times() {
    for row in rows(section(README, "How fast")) {
        let (ours, theirs) = (nanoseconds(row[1]), nanoseconds(row[3]));
        let ratio: f64 = row[4].parse().unwrap();
        let least = (theirs - rounding(row[3])) / (ours + rounding(row[1])) - rounding(row[4]);
        let most = (theirs + rounding(row[3])) / (ours - rounding(row[1])) + rounding(row[4]);
        assert!(
            (least..=most).contains(&ratio),
            "{row:?}: {least} to {most}"
        );
    }
}

#[test]
fn what_a_nonce_takes_and_a_signature_adds_is_told_alike() {
    let text = README.split_whitespace().collect::<Vec<_>>().join(" ");
    let (_, bytes) = text.split_once("A live nonce takes ").unwrap();
    let bytes = bytes.split(' ').next().unwrap();
    assert!(
        PAGE.contains(&format!("In memory: {bytes} bytes"))
            || PAGE.contains(&format!("Memory: {bytes} bytes each")),
        "{bytes}"
    );
    let without_key = rows(section(README, "How fast"))
        .into_iter()
        .find(|row| row[0] == "the same without the key")
        .unwrap()[1];
    let page = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        page.contains(&format!("A request with a signature adds {without_key}")),
        "{without_key}"
    );
}
