//! The page about dependencies names those that the manifest has, and no others.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

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

/// Most crates of the default build, this one not counted.
const MOST_CRATES: usize = 60;

/// `cargo`, about this package, without the network.
fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let command = command.args(arguments).args(["--locked", "--offline"]);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_default_build_has_as_many_crates_as_the_page_says() {
    let tree = cargo(&[
        "tree",
        "--edges=normal",
        "--prefix=none",
        "--no-dedupe",
        "--format={p}",
    ]);
    let of_tree: BTreeSet<_> = tree.lines().skip(1).collect();
    assert!(of_tree.len() <= MOST_CRATES, "{of_tree:#?}");
    let said = format!("the tree has {} crates.", of_tree.len());
    assert!(PAGE.contains(&said), "{said} {of_tree:#?}");
}

/// The version of Rust that the manifest asks for is one that a dependency forces.
#[test]
fn no_newer_rust_is_asked_for_than_dependencies_force() {
    let metadata = cargo(&["metadata", "--format-version=1", "--all-features"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let by_id = |id: &Value| {
        packages
            .iter()
            .find(|package| package["id"] == *id)
            .unwrap()
    };
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let root = &metadata["resolve"]["root"];
    let root_node = nodes.iter().find(|node| node["id"] == *root).unwrap();
    let embedded = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array().unwrap();
        kinds.iter().any(|kind| kind["kind"].is_null())
    };
    let dependencies = root_node["deps"].as_array().unwrap();
    let forced = dependencies.iter().filter(embedded);
    let forced = forced.filter_map(|dependency| version(by_id(&dependency["pkg"])));
    assert_eq!(version(by_id(root)), forced.max());
}

/// The major and the minor version of Rust that a package asks for.
fn version(package: &Value) -> Option<(u32, u32)> {
    let mut numbers = package["rust_version"].as_str()?.split('.');
    let mut number = || numbers.next()?.parse().ok();
    Some((number()?, number()?))
}
