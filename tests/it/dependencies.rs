//! The page about dependencies names those that the manifest has, and no others.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../src/docs/dependencies.md");
const MANIFEST: &str = include_str!("../../Cargo.toml");

/// The crates of the section `[dependencies]`.
fn of_the_manifest() -> BTreeSet<&'static str> {
    let (_, from) = MANIFEST.split_once("\n[dependencies]\n").unwrap();
    let (section, _) = from.split_once("\n[").unwrap();
    let names = section.lines().filter_map(|line| line.split_once(" = "));
    names.map(|(name, _)| name).collect()
}

/// What stands between backquotes in the first column.
fn of_the_page() -> BTreeSet<&'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|row| row.trim_start_matches("| ").split(" | ").next());
    first
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_dependency_has_its_reason() {
    let (manifest, page) = (of_the_manifest(), of_the_page());
    assert!(manifest.len() > 20, "{manifest:?}");
    assert_eq!(manifest, page);
}
