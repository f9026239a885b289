//! Applications as they stand in a configuration file.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    AppId, AppKind, AppSecretHash, Application, DuplicateApp, EmptySecret, InvalidAppId, StaticApps,
};
use crate::{
    secret::SecretString,
    signature::{KeyError, MAX_KEYS, VerifyingKey},
};

/// One application in a configuration file.
///
/// ```
/// use tower_registration::app::{AppConfig, StaticApps};
///
/// let configs: Vec<AppConfig> = serde_json::from_str(r#"[{
///     "id": "312CE25E-A112-4D45-9965-6175E7C568DD",
///     "kind": "ClientSideApplication",
///     "permissions": ["Auth:Users:Create", "Auth:Types:EndUser"]
/// }]"#).unwrap();
/// assert!(StaticApps::from_configs(configs).is_ok());
/// ```
/// `Debug` shows how many keys there are, and not their text: a private key pasted among them by
/// mistake is shown nowhere.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub struct AppConfig {
    /// The application's id.
    pub id: String,
    /// What it has to prove.
    pub kind: AppKind,
    /// Whether its requests are accepted at all; `true` by default.
    #[serde(default = "active")]
    pub active: bool,
    /// Names of what it may do.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// The secrets of a server-side application, in clear.
    #[serde(default, deserialize_with = "read_secrets")]
    pub secrets: Vec<SecretConfig>,
    /// The public keys of a server-side application, as PEM.
    #[serde(default, deserialize_with = "read_keys")]
    pub public_keys: Vec<String>,
}

impl fmt::Debug for AppConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppConfig")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("active", &self.active)
            .field("permissions", &self.permissions)
            .field("secrets", &self.secrets)
            .field("public_keys", &self.public_keys.len())
            .finish()
    }
}

fn active() -> bool {
    true
}

fn read_secrets<'de, D: Deserializer<'de>>(secrets: D) -> Result<Vec<SecretConfig>, D::Error> {
    // The format's own error would show what it found instead.
    Vec::deserialize(secrets).map_err(|_| {
        D::Error::custom("secrets is no list of strings or {\"secret\", \"expiresAt\"} objects")
    })
}

fn read_keys<'de, D: Deserializer<'de>>(keys: D) -> Result<Vec<String>, D::Error> {
    // One that stands in no list may be a private key, too.
    Vec::deserialize(keys).map_err(|_| D::Error::custom("publicKeys is no list of strings"))
}

/// An application secret in a configuration file: the secret, or the secret and its expiry.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum SecretConfig {
    /// Good without end.
    Lasting(SecretString),
    /// Good until an instant.
    Expiring {
        /// The secret.
        secret: SecretString,
        /// From this instant on it is refused (RFC 3339).
        expires_at: DateTime<Utc>,
    },
}

/// What is wrong with an application in a configuration file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppConfigError {
    /// Its id could stand in no header.
    #[error(transparent)]
    Id(#[from] InvalidAppId),
    /// Its id is another one's too.
    #[error(transparent)]
    Duplicate(#[from] DuplicateApp),
    /// One of its secrets is empty.
    #[error("application {app}: {reason}")]
    Secret {
        /// Which application.
        app: AppId,
        /// What is wrong.
        reason: EmptySecret,
    },
    /// One of its keys can't be used.
    #[error("application {app}, public key {number}: {reason}")]
    Key {
        /// Which application.
        app: AppId,
        /// Which of its keys, counted from 1.
        number: usize,
        /// What is wrong.
        reason: KeyError,
    },
    /// It has more than [`MAX_KEYS`] keys, of which the last would never be tried.
    #[error("application {app} has {keys} public keys: use at most {MAX_KEYS}")]
    TooManyKeys {
        /// Which application.
        app: AppId,
        /// How many it has.
        keys: usize,
    },
}

impl TryFrom<AppConfig> for Application {
    type Error = AppConfigError;

    fn try_from(config: AppConfig) -> Result<Self, Self::Error> {
        let id = AppId::new(&config.id)?;
        let app = match config.kind {
            AppKind::ClientSideApplication => Self::client_side(id),
            AppKind::ServerSideApplication => {
                let secrets = hash_all(&id, &config.secrets)?;
                let keys = load_all(&id, &config.public_keys)?;
                Self::server_side(id, secrets, keys)
            }
        };
        let app = app.with_permissions(config.permissions);
        Ok(if config.active { app } else { app.inactive() })
    }
}

fn hash_all(app: &AppId, secrets: &[SecretConfig]) -> Result<Vec<AppSecretHash>, AppConfigError> {
    secrets
        .iter()
        .map(|secret| match secret {
            SecretConfig::Lasting(secret) => AppSecretHash::of(secret.expose()),
            SecretConfig::Expiring { secret, expires_at } => {
                AppSecretHash::of(secret.expose()).map(|hash| hash.expiring(*expires_at))
            }
        })
        .collect::<Result<_, _>>()
        .map_err(|reason| AppConfigError::Secret {
            app: app.clone(),
            reason,
        })
}

fn load_all(app: &AppId, keys: &[String]) -> Result<Vec<VerifyingKey>, AppConfigError> {
    if keys.len() > MAX_KEYS {
        return Err(AppConfigError::TooManyKeys {
            app: app.clone(),
            keys: keys.len(),
        });
    }
    (1..)
        .zip(keys)
        .map(|(number, pem)| {
            VerifyingKey::from_pem(pem).map_err(|reason| AppConfigError::Key {
                app: app.clone(),
                number,
                reason,
            })
        })
        .collect()
}

impl StaticApps {
    /// A registry of the applications of a configuration file.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with one of them.
    pub fn from_configs(
        configs: impl IntoIterator<Item = AppConfig>,
    ) -> Result<Self, AppConfigError> {
        let apps: Vec<Application> = configs
            .into_iter()
            .map(Application::try_from)
            .collect::<Result<_, _>>()?;
        Ok(Self::new(apps)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("../../tests/keys/test-only-ed25519.pub.pem");

    fn read(json: serde_json::Value) -> Result<Application, String> {
        let config: AppConfig = serde_json::from_value(json).map_err(|error| error.to_string())?;
        Application::try_from(config).map_err(|error| error.to_string())
    }

    fn server_side(secrets: &serde_json::Value, keys: usize) -> Result<Application, String> {
        read(serde_json::json!({
            "id": "app", "kind": "ServerSideApplication",
            "secrets": secrets, "publicKeys": vec![KEY; keys],
        }))
    }

    #[test]
    fn secrets_are_read_with_and_without_an_expiry() {
        let secrets = serde_json::json!([
            "lasting",
            {"secret": "ending", "expiresAt": "2026-11-23T08:00:00+01:00"},
        ]);
        let app = server_side(&secrets, 1).unwrap();
        let end = "2026-11-23T07:00:00Z".parse().unwrap();
        let before = end - chrono::TimeDelta::microseconds(1);
        assert!(app.has_secret("lasting", end) && app.has_secret("ending", before));
        assert!(!app.has_secret("ending", end));
    }

    #[test]
    fn keys_are_read_up_to_their_bound() {
        let secrets = serde_json::json!(["secret"]);
        assert_eq!(server_side(&secrets, MAX_KEYS).unwrap().keys().len(), 8);
        let error = server_side(&secrets, MAX_KEYS + 1).unwrap_err();
        assert_eq!(error, "application app has 9 public keys: use at most 8");
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let empty = server_side(&serde_json::json!([""]), 1).unwrap_err();
        assert!(
            empty.starts_with("application app: an application secret is empty"),
            "{empty}"
        );
        let typo =
            serde_json::json!({"id": "a", "kind": "ClientSideApplication", "secret": "s3cr3t"});
        let typo = read(typo).unwrap_err();
        assert!(
            typo.contains("unknown field `secret`") && !typo.contains("s3cr3t"),
            "{typo}"
        );
        let id = read(serde_json::json!({"id": "", "kind": "ClientSideApplication"})).unwrap_err();
        assert!(id.contains("no application id"), "{id}");
    }

    #[test]
    fn debug_shows_neither_a_secret_nor_what_stands_for_a_key() {
        let private = include_str!("../../tests/keys/test-only-ed25519.pem");
        let config: AppConfig = serde_json::from_value(serde_json::json!({
            "id": "app", "kind": "ServerSideApplication",
            "secrets": ["s3cr3t"], "publicKeys": [KEY, private],
        }))
        .unwrap();
        let shown = format!("{config:?} {config:#?}");
        assert!(shown.contains("public_keys: 2"), "{shown}");
        let lines = private.lines().filter(|line| !line.contains("-----"));
        for hidden in lines.chain(["s3cr3t", "BEGIN"]) {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }

    #[test]
    fn an_inactive_application_is_one_that_says_so() {
        let app = |active: &str| {
            let json = format!(r#"{{"id": "a", "kind": "ClientSideApplication"{active}}}"#);
            read(serde_json::from_str(&json).unwrap()).unwrap()
        };
        assert!(app("").is_active());
        assert!(!app(r#", "active": false"#).is_active());
    }

    #[test]
    fn an_error_in_a_list_of_keys_shows_none_of_them() {
        for keys in [
            r#""s3cr3t""#,
            r#"{"s3cr3t": 1}"#,
            r#"["good", 53213]"#,
            "53213",
        ] {
            let json = format!(
                r#"{{"id": "app", "kind": "ServerSideApplication", "publicKeys": {keys}}}"#
            );
            let error = serde_json::from_str::<AppConfig>(&json)
                .unwrap_err()
                .to_string();
            let expected = "publicKeys is no list of strings at line 1";
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn an_error_in_a_configuration_shows_no_secret() {
        for secrets in [
            r#""s3cr3t""#,
            r#"{"s3cr3t": 1}"#,
            r#"["good", 53213]"#,
            r#"[{"secret": "s3cr3t"}]"#,
            r#"[{"secret": "s3cr3t", "expiresAt": "53213"}]"#,
            r#"[{"secret": 53213, "expiresAt": "2030-01-01T00:00:00Z"}]"#,
            "53213",
        ] {
            let json = format!(
                r#"{{"id": "app", "kind": "ServerSideApplication", "secrets": {secrets}}}"#
            );
            let error = serde_json::from_str::<AppConfig>(&json).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("s3cr3t") && !shown.contains("53213"),
                "{shown}"
            );
            assert!(
                shown.contains("secret") && shown.contains("line 1"),
                "{shown}"
            );
        }
    }
}
