//! What the public API's documents say of each other; `.ci/public-api` holds them to the compiler.

use std::collections::BTreeSet;

use crate::dependencies::MANIFEST;

const PAGE: &str = include_str!("../../src/docs/dependencies.md");
const POOLS: [&str; 2] = [
    include_str!("../../src/backend/sqlite/connect.rs"),
    include_str!("../../src/backend/postgres/connect.rs"),
];

/// The crates that the manifest allows in the public API.
fn allowed() -> BTreeSet<String> {
    let (_, from) = MANIFEST
        .split_once("\nallowed_external_types = [\n")
        .unwrap();
    let (list, _) = from.split_once("\n]").unwrap();
    let types = list.split('"').skip(1).step_by(2);
    let crates = types.map(|path| path.split("::").next().unwrap());
    crates.map(|name| front(name).replace('_', "-")).collect()
}

/// The crate by which embedders name what stands in a part of it.
fn front(name: &str) -> &str {
    let parts = ["_core", "_postgres", "_sqlite"];
    let whole = parts.iter().find_map(|part| name.strip_suffix(part));
    whole.unwrap_or(name)
}

/// The crates that the page says are in it.
fn said() -> BTreeSet<String> {
    let (_, from) = PAGE.split_once("\n## In the public API\n").unwrap();
    let (section, _) = from.split_once("\n## ").unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.filter_map(|row| row.trim_start_matches("| ").split(" | ").next());
    let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

#[test]
fn the_page_names_the_crates_whose_types_are_public() {
    assert!(allowed().len() > 5, "{:?}", allowed());
    assert_eq!(allowed(), said());
}

#[test]
fn pools_are_of_the_version_of_sqlx_that_their_documentation_says() {
    let (_, from) = MANIFEST.split_once("\nsqlx = { version = \"").unwrap();
    let (version, _) = from.split_once('"').unwrap();
    for source in POOLS {
        let said: Vec<_> = source.split("sqlx 0.").skip(1).collect();
        assert_eq!(said.len(), 2);
        for rest in said {
            let minor = rest.split(|next: char| !next.is_ascii_digit()).next();
            assert_eq!(format!("0.{}", minor.unwrap()), version);
        }
    }
}
