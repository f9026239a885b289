//! The page about threats names files and tests that exist.

use std::{fs, path::Path};

const PAGE: &str = include_str!("../../src/docs/threats.md");

/// What stands between backquotes in the column of that number, of every row that has four.
fn named(column: usize) -> Vec<&'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| "));
    let cells = rows.map(|row| row.trim_matches('|').split(" | ").collect::<Vec<_>>());
    cells
        .filter(|cells| cells.len() == 4)
        .flat_map(|cells| cells[column].split('`').skip(1).step_by(2))
        .collect()
}

/// The text of all sources under `folder`.
fn sources(folder: &Path, all: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_page_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = String::new();
    sources(&root.join("src"), &mut all);
    sources(&root.join("tests"), &mut all);
    let tests = named(3);
    assert!(tests.len() > 50, "{} tests were found", tests.len());
    for test in tests {
        let is_there = all.contains(&format!("fn {test}("));
        assert!(is_there, "there is no test `{test}`");
    }
}

#[test]
fn every_file_that_the_page_names_exists() {
    let files = named(2);
    assert!(files.len() > 30, "{} files were found", files.len());
    for file in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        assert!(path.is_file(), "there is no file {file}");
    }
}
