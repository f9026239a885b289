//! The key of code digests and sealed codes.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::Path,
};

use tower_registration::registration::RegistrationKey;

use crate::Failure;

/// Where the key is kept unless `SECRET_KEY` is set.
const KEY_FILE: &str = "target/server/secret.key";

/// `SECRET_KEY`, or the key in [`KEY_FILE`], which is made if it is missing.
pub(crate) fn registration_key(given: Option<&str>) -> Result<RegistrationKey, Failure> {
    if let Some(hex) = given {
        return Ok(RegistrationKey::from_hex(hex).map_err(|error| format!("SECRET_KEY: {error}"))?);
    }
    let path = Path::new(KEY_FILE);
    let kept = || -> Result<String, Failure> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        make_key_file(path)?;
        Ok(fs::read_to_string(path)?)
    };
    let hex = kept().map_err(|error| format!("{KEY_FILE}: {error}: or set SECRET_KEY"))?;
    Ok(RegistrationKey::from_hex(hex.trim()).map_err(|error| format!("{KEY_FILE}: {error}"))?)
}

/// Writes beside the file and then links it into place, so that of two servers that start at once,
/// both use one key, and none reads half a key.
fn make_key_file(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::OpenOptionsExt;

    if path.exists() {
        return Ok(());
    }
    let key = RegistrationKey::generate()?.to_hex();
    let draft = path.with_extension(uuid::Uuid::new_v4().to_string());
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    writeln!(file, "{}", key.expose())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}
