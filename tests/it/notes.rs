//! What the compiler says where a trait is not implemented: each trait has words of its own, a case of
//! `tests/ui` shows them, and what they name exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Imports each name, and lists it as it is written.
macro_rules! named {
    ($($($segment:ident)::+),+ $(,)?) => {
        mod resolved {
            $(
                #[expect(unused_imports, reason = "that it resolves is enough")]
                use $($segment)::+ as _;
            )+
        }
        const NAMED: &[&[&str]] = &[$(&[$(stringify!($segment)),+]),+];
    };
}

named!(
    tower_registration::app::AppRegistry,
    tower_registration::app::StaticApps,
    tower_registration::backend,
    tower_registration::backend::memory::MemoryReplayGuard,
    tower_registration::backend::postgres::PostgresReplayGuard,
    tower_registration::backend::redis::RedisReplayGuard,
    tower_registration::backend::sqlite::SqliteReplayGuard,
    tower_registration::clock::ManualClock,
    tower_registration::clock::SystemClock,
    tower_registration::conformance::Subject,
    tower_registration::conformance::app_registry::AppRegistryHarness,
    tower_registration::conformance::mailer::MailerHarness,
    tower_registration::conformance::registration_store::StoreHarness,
    tower_registration::conformance::replay_guard::ReplayGuardHarness,
    tower_registration::delivery::Courier,
    tower_registration::delivery::Dispatcher,
    tower_registration::delivery::Handover,
    tower_registration::delivery::Permit,
    tower_registration::gate::Check,
    tower_registration::gate::Mount,
    tower_registration::mail::DefaultTemplate,
    tower_registration::mail::LettreMailer,
    tower_registration::mail::MailError,
    tower_registration::mail::Mailer,
    tower_registration::mail::Template,
    tower_registration::mail::Translation,
    tower_registration::nonce::ReplayGuard,
    tower_registration::registration::Outbox,
    tower_registration::registration::RegistrationStore,
    tower_registration::user_action::UserActionVerifier,
);

/// The files under `folder` whose names end so, with their text.
fn files(folder: &Path, ending: &str, all: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ending, all);
        } else if path.extension().is_some_and(|own| own == ending) {
            let text = fs::read_to_string(&path).unwrap();
            all.push((path, text));
        }
    }
}

/// The words of each public trait in a source file: message first, then notes.
fn words(file: &Path, source: &str) -> Vec<Vec<String>> {
    let mut blocks = source.split("#[diagnostic::on_unimplemented(\n").skip(1);
    let words: Vec<_> = blocks
        .by_ref()
        .map(|block| {
            let (words, from) = block.split_once("\n)]\n").unwrap();
            let place = file.display();
            assert!(from.starts_with("pub trait "), "{place}: {from:.40}");
            let said = words.lines().map(|line| {
                let (key, text) = line.trim().split_once(" = \"").unwrap();
                assert!(["message", "note"].contains(&key), "{place}: {key}");
                text.trim_end_matches(',').trim_end_matches('"').to_owned()
            });
            said.collect()
        })
        .collect();
    let traits = source.lines().filter(|line| line.starts_with("pub trait "));
    assert_eq!(traits.count(), words.len(), "{}", file.display());
    words
}

/// The words of every public trait.
fn all_words() -> Vec<Vec<String>> {
    let mut sources = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    files(&folder, "rs", &mut sources);
    sources
        .iter()
        .flat_map(|(file, source)| words(file, source))
        .collect()
}

#[test]
fn the_words_of_every_trait_are_shown_by_a_pinned_message() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if root.join("Cargo.toml.orig").is_file() {
        eprintln!("SKIPPED: `tests/ui` is a package of its own, which this one does not hold");
        return;
    }
    let mut pinned = Vec::new();
    files(&root.join("tests/ui/cases"), "stderr", &mut pinned);
    let traits = all_words();
    assert!(traits.len() > 15, "{traits:#?}");
    for words in traits {
        // What is between the names that the compiler puts in.
        let pieces = words
            .iter()
            .flat_map(|text| text.split(['{', '}']).step_by(2));
        let pieces: Vec<_> = pieces.collect();
        let is_shown = pinned
            .iter()
            .any(|(_, message)| pieces.iter().all(|piece| message.contains(piece)));
        assert!(is_shown, "no pinned message shows {words:#?}");
    }
}

#[test]
fn every_path_that_a_note_names_exists() {
    let listed: BTreeSet<String> = NAMED.iter().map(|segments| segments.join("::")).collect();
    let texts = all_words().concat();
    let quoted = texts
        .iter()
        .flat_map(|text| text.split('`').skip(1).step_by(2));
    let paths: BTreeSet<String> = quoted
        .filter(|quoted| quoted.starts_with("tower_registration::"))
        .map(str::to_owned)
        .collect();
    assert_eq!(paths, listed);
}
