//! What the environment of the examples can change is what they say of it.

use std::collections::BTreeMap;

use super::{README, quoted, rows};

const SERVER: &str = include_str!("../../../examples/server/main.rs");
const SETTINGS: &str = include_str!("../../../examples/server/settings.rs");

/// The variables that the server's settings read, each with its default.
fn read() -> BTreeMap<&'static str, Option<&'static str>> {
    let (_, from) = SETTINGS.split_once("fn read()").unwrap();
    let (body, _) = from.split_once("\n}\n").unwrap();
    let calls = body
        .lines()
        .filter(|line| line.contains(": or(") || line.contains(": given("));
    calls
        .map(|call| {
            let mut strings = call.split('"').skip(1).step_by(2);
            (strings.next().unwrap(), strings.next())
        })
        .collect()
}

#[test]
fn the_table_of_the_example_server_is_what_it_reads() {
    let read = read();
    assert!(read.len() > 5, "{read:?}");
    // Nothing is read that the settings don't know of.
    assert_eq!(SETTINGS.matches("env::var").count(), 1);
    let head: Vec<_> = SERVER
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .collect();
    let head = head.join("\n");
    let table: BTreeMap<_, _> = rows(&head)
        .into_iter()
        .map(|row| (quoted(row[0]).next().unwrap(), row[1]))
        .collect();
    assert!(read.keys().eq(table.keys()), "{:?}", table.keys());
    for (name, default) in read {
        let told = table[name];
        match default {
            Some(default) => assert_eq!(told, format!("`{default}`"), "{name}"),
            None => assert!(
                told.starts_with("none: ") || name == "SECRET_KEY",
                "{name}: {told}"
            ),
        }
    }
}

#[test]
fn the_readme_sets_no_variable_that_nobody_reads() {
    let read = read();
    let words =
        README.split(|letter: char| letter.is_whitespace() || letter == '`' || letter == '(');
    let set: Vec<_> = words
        .filter_map(|word| word.split_once('='))
        .map(|(name, _)| name)
        .filter(|name| {
            name.len() > 2
                && name
                    .chars()
                    .all(|letter| letter.is_ascii_uppercase() || letter == '_')
        })
        .collect();
    assert!(set.len() >= 4, "{set:?}");
    for name in set {
        assert!(read.contains_key(name), "{name} is set, and not read");
    }
}
