//! The protocol's vectors: those of `tests/vectors`, or of the folder that `VECTORS_DIR` names.

use std::{env, fs, path::PathBuf};

use serde::{Deserialize, de::DeserializeOwned};

/// What has to become of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Accept,
    Reject,
}

/// Whether `VECTORS_DIR` names another folder than the repository's own.
pub(crate) fn from_elsewhere() -> bool {
    env::var_os("VECTORS_DIR").is_some()
}

/// All vectors of a file.
pub(crate) fn load<T: DeserializeOwned>(file: &str) -> Vec<T> {
    let folder = env::var_os("VECTORS_DIR").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors")),
        PathBuf::from,
    );
    let path = folder.join(file);
    let json =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
