//! The page about dependencies names those that the manifest has, and no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;

const PAGE: &str = include_str!("../../src/docs/dependencies.md");

/// The manifest as it was written; a package has it beside cargo's own.
pub(crate) static MANIFEST: LazyLock<String> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["Cargo.toml.orig", "Cargo.toml"].map(|name| root.join(name));
    let written = files.iter().find(|file| file.is_file()).unwrap();
    fs::read_to_string(written).unwrap()
});

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

/// Whose build is counted; another system's has a few crates of its own.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// `cargo`, about this package as it is locked. A build for [`TARGET`] has fetched all that is asked
/// for; after another, what is missing is fetched here.
fn cargo(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO"));
    let command = command.args(arguments).arg("--locked");
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// The crates that an embedder's build takes on, as `name v1.2.3`, this one not counted.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let common = ["tree", "--target", TARGET, "--prefix=none", "--format={p}"];
    let tree = cargo(&[&common, arguments].concat());
    let name_and_version = |line: &str| {
        let mut words = line.split(' ');
        Some([words.next()?, words.next()?].join(" "))
    };
    tree.lines().skip(1).filter_map(name_and_version).collect()
}

#[test]
fn the_default_build_has_as_many_crates_as_the_page_says() {
    let crates = tree(&["--edges=normal"]);
    assert!(crates.len() <= MOST_CRATES, "{crates:#?}");
    let said = format!("the tree has {} crates.", crates.len());
    assert!(PAGE.contains(&said), "{said} {crates:#?}");
}

/// The version of Rust that the manifest asks for is one that a dependency forces, be it of another
/// dependency.
#[test]
fn no_newer_rust_is_asked_for_than_dependencies_force() {
    let platform = ["--filter-platform", TARGET];
    let metadata = ["metadata", "--format-version=1", "--all-features"];
    let metadata = cargo(&[&metadata[..], &platform].concat());
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let text = |package: &Value, member: &str| package[member].as_str().map(str::to_owned);
    let packages = metadata["packages"].as_array().unwrap().iter();
    let asked: BTreeMap<_, _> = packages
        .filter_map(|package| {
            let name = text(package, "name")? + " v" + &text(package, "version")?;
            Some((name, rust(&text(package, "rust_version")?)))
        })
        .collect();
    let crates = tree(&["--edges=normal,build", "--all-features"]);
    assert!(crates.len() > 2 * MOST_CRATES, "{crates:#?}");
    let forced = crates.iter().filter_map(|name| asked.get(name)).max();
    assert_eq!(asked.get(OURS), forced, "{crates:#?}");
}

/// This crate, as the tree names it.
const OURS: &str = concat!(env!("CARGO_PKG_NAME"), " v", env!("CARGO_PKG_VERSION"));

/// The major and the minor version of a version of Rust.
fn rust(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}
