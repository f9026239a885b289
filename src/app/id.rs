//! An application's id.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::{
    headers::MAX_SHORT_VALUE,
    keyed::{process_key, sip128},
};

/// An application's id: opaque, compared byte for byte.
#[derive(Clone)]
pub struct AppId {
    text: Arc<str>,
    digest: (u64, u64),
}

/// An id that no request could carry in its header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no application id: use 1 to {MAX_SHORT_VALUE} characters of visible ASCII, \
     without white space at its ends"
)]
pub struct InvalidAppId(String);

impl AppId {
    /// An id of 1 to [`MAX_SHORT_VALUE`] bytes of visible ASCII.
    ///
    /// # Errors
    ///
    /// If no header could carry `id`: it is empty, too long, not visible ASCII, or has white space
    /// at its ends.
    pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidAppId> {
        let id = id.as_ref();
        let sendable = (1..=MAX_SHORT_VALUE).contains(&id.len())
            && id.bytes().all(|byte| matches!(byte, b' '..=b'~'))
            && id.trim() == id;
        if sendable {
            Ok(Self {
                text: id.into(),
                digest: sip128(process_key(), id.as_bytes()),
            })
        } else {
            Err(InvalidAppId(id.to_owned()))
        }
    }

    /// The id as it stands in the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A digest of the id that this process alone knows, made once: what guards in memory tell
    /// applications apart by.
    pub(crate) fn digest(&self) -> (u64, u64) {
        self.digest
    }
}

impl PartialEq for AppId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for AppId {}

/// As the id's text, by which maps are searched.
impl Hash for AppId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for AppId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AppId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppId").field(&self.text).finish()
    }
}

impl Borrow<str> for AppId {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        hash::{BuildHasher, RandomState},
    };

    use super::*;

    #[test]
    fn an_id_is_accepted_up_to_the_bound_of_its_header() {
        assert!(AppId::new("a".repeat(MAX_SHORT_VALUE)).is_ok());
        assert!(AppId::new("a".repeat(MAX_SHORT_VALUE + 1)).is_err());
        assert!(AppId::new("").is_err());
        assert!(AppId::new(" a").is_err());
        assert!(AppId::new("ä").is_err());
    }

    #[test]
    fn ids_are_told_apart_by_their_text_and_so_are_their_digests() {
        let id = |text: &str| AppId::new(text).unwrap();
        let hash = RandomState::new();
        assert_eq!(id("app"), id("app"));
        assert_eq!(id("app").digest(), id("app").digest());
        assert_eq!(hash.hash_one(id("app")), hash.hash_one("app"));
        assert_ne!(id("app"), id("App"));
        assert_ne!(id("app").digest(), id("App").digest());
        let sorted: BTreeSet<_> = [id("b"), id("a")].into();
        assert_eq!(sorted.first().map(AppId::as_str), Some("a"));
        assert_eq!(format!("{:?}", id("a")), "AppId(\"a\")");
    }
}
