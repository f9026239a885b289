//! What a new project is told to depend on is what there is, and has what the example uses.

use std::collections::{BTreeMap, BTreeSet};

use super::{MANIFEST, README, features, quoted, rows, section};

/// The lines of a manifest's section, as names and what is required of each.
fn required<'a>(manifest: &'a str, heading: &str) -> BTreeMap<&'a str, &'a str> {
    let (_, from) = manifest.split_once(&format!("[{heading}]\n")).unwrap();
    let section = from.split("\n[").next().unwrap();
    section
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .filter(|(name, _)| !name.starts_with('#'))
        .collect()
}

/// The version in `"1"` or `{ version = "1", … }`.
#[track_caller]
fn version(requirement: &str) -> &str {
    let (_, from) = requirement
        .strip_prefix('"')
        .map(|from| ("", from))
        .or_else(|| requirement.split_once("version = \""))
        .unwrap();
    from.split('"').next().unwrap()
}

/// The features in `{ …, features = ["some", "more"] }`.
fn required_features(requirement: &str) -> BTreeSet<&str> {
    let list = requirement.split_once("features = [");
    let list = list.map_or("", |(_, from)| from.split(']').next().unwrap());
    list.split('"').skip(1).step_by(2).collect()
}

/// The example and what it is to be built with.
fn mount() -> (BTreeMap<&'static str, &'static str>, &'static str) {
    let section = section(README, "Mount it");
    let block = |language: &str| {
        let (_, from) = section.split_once(&format!("```{language}\n")).unwrap();
        from.split("```").next().unwrap()
    };
    (
        required(block("toml"), "dependencies"),
        block("rust,no_run"),
    )
}

#[test]
fn a_new_project_is_told_of_this_version_and_of_features_that_there_are() {
    let (dependencies, example) = mount();
    let ours = dependencies["tower-registration"];
    let [major, minor, _] = *env!("CARGO_PKG_VERSION").split('.').collect::<Vec<_>>() else {
        panic!("the version has other parts than three");
    };
    assert_eq!(version(ours), format!("{major}.{minor}"));

    let told = required_features(ours);
    let features = features();
    for name in &told {
        assert_eq!(features.get(name), Some(&false), "{name}");
    }
    // What the table says of a feature that the example uses.
    let mut used = 0;
    for row in rows(section(README, "Features")) {
        let name = quoted(row[0]).next().unwrap();
        if quoted(row[1]).any(|adds| example.contains(adds)) {
            assert!(told.contains(name), "the example needs feature {name}");
            used += 1;
        }
    }
    assert!(used > 0);
}

#[test]
fn a_new_project_is_told_of_all_crates_that_the_example_uses_as_they_are_tested() {
    let (dependencies, example) = mount();
    let tested = required(&MANIFEST, "dev-dependencies");
    for (name, requirement) in &dependencies {
        let path = format!("{}::", name.replace('-', "_"));
        assert!(example.contains(&path), "{name} is not used");
        if *name != "tower-registration" {
            let (told, tested) = (version(requirement), version(tested[name]));
            let within = tested == told || tested.starts_with(&format!("{told}."));
            assert!(within, "{name}: {told} is told and {tested} tested");
        }
    }
    let imported = example
        .lines()
        .filter_map(|line| line.strip_prefix("use "))
        .map(|path| path.split("::").next().unwrap());
    for name in imported.chain(["tokio"]) {
        let name = name.replace('_', "-");
        assert!(dependencies.contains_key(&*name), "{name} is not told of");
    }
    // `#[tokio::main]`, and its listener.
    let of_tokio = BTreeSet::from(["macros", "net", "rt-multi-thread"]);
    assert_eq!(required_features(dependencies["tokio"]), of_tokio);
    assert!(required_features(tested["tokio"]).is_superset(&of_tokio));
}

#[test]
fn the_compiler_that_is_needed_is_told_of() {
    let package = required(&MANIFEST, "package");
    let least = version(package["rust-version"]);
    assert!(
        README.contains(&format!("needs Rust {least} or later")),
        "{least}"
    );
}
