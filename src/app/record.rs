//! An application's record.

use std::{collections::BTreeSet, fmt};

use chrono::{DateTime, Utc};
use ring::digest;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::AppId;
use crate::signature::VerifyingKey;

/// What an application has to prove. Whoever builds records decides on each kind, so that another would
/// be a new major version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
pub enum AppKind {
    /// Runs where its users are and can keep no secret: id and nonce.
    ClientSideApplication,
    /// Runs on its owner's servers: id, secret, signature and nonce.
    ServerSideApplication,
}

/// The hash of an application secret, with an optional expiry.
///
/// SHA-256 without salt: an application secret is a token that a generator made, of which nobody
/// keeps a dictionary. Don't use it for what people choose.
#[derive(Clone)]
pub struct AppSecretHash {
    hash: [u8; 32],
    expires_at: Option<DateTime<Utc>>,
}

/// An empty application secret, which an empty header would match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an application secret is empty: use a random token of at least 128 bits")]
#[non_exhaustive]
pub struct EmptySecret;

impl AppSecretHash {
    /// Hashes a secret.
    ///
    /// # Errors
    ///
    /// If the secret is empty.
    pub fn of(secret: &str) -> Result<Self, EmptySecret> {
        if secret.is_empty() {
            return Err(EmptySecret);
        }
        Ok(Self::from_sha256(sha256(secret)))
    }

    /// The record of a secret of which only the SHA-256 is kept.
    #[must_use]
    pub const fn from_sha256(hash: [u8; 32]) -> Self {
        Self {
            hash,
            expires_at: None,
        }
    }

    /// The same secret, good until `expires_at` and no longer from that instant on.
    #[must_use]
    pub const fn expiring(self, expires_at: DateTime<Utc>) -> Self {
        Self {
            expires_at: Some(expires_at),
            ..self
        }
    }
}

impl fmt::Debug for AppSecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppSecretHash")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// The names of what an application may do, such as `Auth:Users:Create`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions(BTreeSet<Box<str>>);

impl Permissions {
    /// May create users, and so ask for registration e-mails.
    pub const USERS_CREATE: &str = "Auth:Users:Create";
    /// May deal with users of kind `CustomerEmployee`.
    pub const TYPES_EMPLOYEE: &str = "Auth:Types:Employee";
    /// May deal with users of kind `EndUser`.
    pub const TYPES_END_USER: &str = "Auth:Types:EndUser";

    /// Whether `permission` is among them, byte for byte.
    #[must_use]
    pub fn allow(&self, permission: &str) -> bool {
        self.0.contains(permission)
    }
}

impl<T: Into<Box<str>>> FromIterator<T> for Permissions {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

/// An application's record, as an [`AppRegistry`](super::AppRegistry) finds it.
#[derive(Clone, Debug)]
pub struct Application {
    id: AppId,
    kind: AppKind,
    active: bool,
    secrets: Vec<AppSecretHash>,
    keys: Vec<VerifyingKey>,
    permissions: Permissions,
}

impl Application {
    /// An active client-side application without permissions.
    #[must_use]
    pub fn client_side(id: AppId) -> Self {
        Self {
            id,
            kind: AppKind::ClientSideApplication,
            active: true,
            secrets: Vec::new(),
            keys: Vec::new(),
            permissions: Permissions::default(),
        }
    }

    /// An active server-side application without permissions. Without a secret or without a key,
    /// every request of it is refused. Of its keys, the first
    /// [`MAX_KEYS`](crate::signature::MAX_KEYS) are tried.
    #[must_use]
    pub fn server_side(id: AppId, secrets: Vec<AppSecretHash>, keys: Vec<VerifyingKey>) -> Self {
        Self {
            kind: AppKind::ServerSideApplication,
            secrets,
            keys,
            ..Self::client_side(id)
        }
    }

    /// The same application with these permissions.
    #[must_use]
    pub fn with_permissions<P: Into<Box<str>>>(
        self,
        permissions: impl IntoIterator<Item = P>,
    ) -> Self {
        Self {
            permissions: permissions.into_iter().collect(),
            ..self
        }
    }

    /// The same application, switched off: every request of it is refused as if it were unknown.
    #[must_use]
    pub fn inactive(self) -> Self {
        Self {
            active: false,
            ..self
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &AppId {
        &self.id
    }

    /// What it has to prove.
    #[must_use]
    pub fn kind(&self) -> AppKind {
        self.kind
    }

    /// Whether its requests are accepted at all.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// The keys that its signatures may verify under.
    #[must_use]
    pub fn keys(&self) -> &[VerifyingKey] {
        &self.keys
    }

    /// What it may do.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// Whether `candidate` is one of its secrets and has not expired. Looks at every secret, each
    /// in constant time.
    #[must_use]
    pub fn has_secret(&self, candidate: &str, now: DateTime<Utc>) -> bool {
        self.secret_index(candidate, now).is_some()
    }

    /// Which of its secrets `candidate` is, if that has not expired: the first, if it is several.
    /// Looks at every secret; the time does not depend on which one it is, nor on how far it is
    /// right.
    pub(crate) fn secret_index(&self, candidate: &str, now: DateTime<Utc>) -> Option<usize> {
        let hash = sha256(candidate);
        let mut found = Choice::from(0);
        let mut index = 0;
        for (place, secret) in (0_u64..).zip(&self.secrets) {
            let live = secret.expires_at.is_none_or(|expires_at| now < expires_at);
            let here = secret.hash[..].ct_eq(&hash) & Choice::from(u8::from(live));
            index.conditional_assign(&place, here & !found);
            found |= here;
        }
        bool::from(found)
            .then(|| usize::try_from(index).ok())
            .flatten()
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_secret_is_good_up_to_its_expiry_and_beside_others() {
        let now = DateTime::UNIX_EPOCH;
        let app = Application::server_side(
            AppId::new("app").unwrap(),
            vec![
                AppSecretHash::of("old")
                    .unwrap()
                    .expiring(now + TimeDelta::seconds(1)),
                AppSecretHash::of("new").unwrap(),
            ],
            vec![],
        );
        assert!(app.has_secret("old", now));
        assert!(!app.has_secret("old", now + TimeDelta::seconds(1)));
        assert!(app.has_secret("new", now + TimeDelta::seconds(1)));
        assert!(!app.has_secret("", now));
        assert!(AppSecretHash::of("").is_err());
    }

    #[test]
    fn a_secret_is_found_where_it_is_first_and_has_not_expired() {
        let now = DateTime::UNIX_EPOCH;
        let hash = |secret| AppSecretHash::of(secret).unwrap();
        let secrets = vec![
            hash("twice").expiring(now),
            hash("once"),
            hash("twice"),
            hash("twice").expiring(now + TimeDelta::seconds(1)),
            hash("last"),
        ];
        let app = Application::server_side(AppId::new("app").unwrap(), secrets, vec![]);
        for (candidate, index) in [
            ("once", Some(1)),
            ("twice", Some(2)),
            ("last", Some(4)),
            ("never", None),
            ("", None),
        ] {
            assert_eq!(app.secret_index(candidate, now), index, "{candidate}");
        }
        let none = Application::server_side(AppId::new("app").unwrap(), vec![], vec![]);
        assert_eq!(none.secret_index("once", now), None);
    }

    #[test]
    fn debug_shows_no_hash() {
        let hash = AppSecretHash::of("secret").unwrap();
        assert_eq!(
            format!("{hash:?}"),
            "AppSecretHash { expires_at: None, .. }"
        );
    }
}
