//! The README says what the manifest, the crate's documentation, the measurements and the example
//! server say.

mod commands;
mod dependencies;
mod environment;
mod figures;

use std::{collections::BTreeMap, fs, path::Path};

use crate::dependencies::MANIFEST;

const README: &str = include_str!("../../README.md");
const FRONT_PAGE: &str = include_str!("../../src/lib.rs");
const GUIDE: &str = include_str!("../../src/guide.rs");

/// What follows this heading, up to the next one that is not within an example.
#[track_caller]
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, from) = page.split_once(&format!("# {heading}\n")).unwrap();
    let mut in_example = false;
    let mut length = 0;
    for line in from.split_inclusive('\n') {
        in_example ^= line.starts_with("```");
        if line.starts_with('#') && !in_example {
            break;
        }
        length += line.len();
    }
    &from[..length]
}

/// The cells of a table's rows, without its head and the line below that.
fn rows(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    let rows: Vec<Vec<&str>> = rows.collect();
    let head = rows.iter().position(|row| row[0] == "---").unwrap();
    rows[head + 1..].to_vec()
}

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The front page of the crate's documentation, as Markdown.
fn front_page() -> String {
    let lines = FRONT_PAGE
        .lines()
        .map_while(|line| line.strip_prefix("//!"));
    lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .fold(String::new(), |page, line| page + line + "\n")
}

/// The features of the manifest, and whether each is on by default.
fn features() -> BTreeMap<&'static str, bool> {
    let (_, from) = MANIFEST.split_once("\n[features]\n").unwrap();
    let (section, _) = from.split_once("\n[").unwrap();
    let lines = section.lines().filter(|line| !line.starts_with('#'));
    let mut features: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| (name, false))
        .collect();
    assert!(features.remove("default").is_some(), "{features:?}");
    let default = section
        .lines()
        .find(|line| line.starts_with("default = "))
        .unwrap();
    for name in default.split('"').skip(1).step_by(2) {
        assert!(
            features.insert(name, true).is_some(),
            "{name} is no feature"
        );
    }
    features
}

#[test]
fn the_features_are_those_of_the_manifest() {
    let features = features();
    assert!(features.len() > 5, "{features:?}");
    let mut table: Vec<_> = rows(section(README, "Features"))
        .iter()
        .flat_map(|row| quoted(row[0]).map(str::to_owned).collect::<Vec<_>>())
        .collect();
    table.sort();
    assert!(table.iter().eq(features.keys()), "{table:?}");
    let default: Vec<_> = features
        .iter()
        .filter(|(_, on)| **on)
        .map(|(name, _)| *name)
        .collect();
    assert!(
        README.contains(&format!("`default = {default:?}`")),
        "{default:?}"
    );
}

#[test]
fn the_front_page_names_the_same_features() {
    let page = front_page();
    let (on, opt_in) = section(&page, "Features").split_once("Opt-in").unwrap();
    for (name, is_on) in features() {
        let named = |text| quoted(text).filter(|quoted| *quoted == name).count();
        assert_eq!(
            (named(on), named(opt_in)),
            (usize::from(is_on), usize::from(!is_on)),
            "{name}"
        );
    }
}

/// The steps of a mount example: neither its imports, its mailer nor its comments.
fn steps(page: &str) -> Vec<String> {
    let mut blocks = section(page, "Mount it").split("```").skip(1).step_by(2);
    let example = blocks.find(|block| block.contains("let app = ")).unwrap();
    let steps = example
        .lines()
        .map(|line| line.split("//").next().unwrap().trim());
    let mut steps: Vec<_> = steps
        .skip_while(|line| !line.starts_with("let app = "))
        .filter(|line| !line.is_empty() && !line.starts_with("let mailer = "))
        .map(str::to_owned)
        .collect();
    let mounted = steps
        .iter()
        .position(|line| line.contains("route_service"))
        .unwrap();
    steps.truncate(mounted + 1);
    steps
}

#[test]
fn the_example_is_mounted_as_on_the_front_page() {
    let here = steps(README);
    assert!(here.len() > 10, "{here:#?}");
    assert_eq!(here, steps(&front_page()));
}

#[test]
fn every_page_of_the_guide_is_in_the_documentation_and_in_its_list() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/docs/guide");
    let mut pages = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            GUIDE.contains(&format!("docs/guide/{name}")),
            "{name} is not included"
        );
        let page = name.strip_suffix(".md").unwrap();
        assert!(
            GUIDE.contains(&format!("//! | [`{page}`] |")),
            "{name} is not listed"
        );
        pages += 1;
    }
    assert!(pages >= 8, "{pages} pages");
    assert!(README.contains("`src/docs/guide`"));
}

#[test]
fn every_file_that_is_named_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = quoted(README).flat_map(|quoted| quoted.split_whitespace());
    let files: Vec<_> = paths
        .filter(|path| {
            ["src/", "examples/", "benches/", "tests/"]
                .iter()
                .any(|folder| path.starts_with(folder))
        })
        .collect();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        assert!(root.join(file).exists(), "there is no {file}");
    }
}
