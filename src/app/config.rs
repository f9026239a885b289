//! Applications as they stand in a configuration file.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, de::Error};

use super::{
    AppId, AppKind, AppSecretHash, Application, DuplicateApp, EmptySecret, InvalidAppId, StaticApps,
};
use crate::{
    secret::SecretString,
    signature::{KeyError, VerifyingKey},
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
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
    #[serde(default)]
    pub public_keys: Vec<String>,
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

/// An application secret in a configuration file: the secret, or the secret and its expiry.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
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
pub enum AppConfigError {
    /// Its id could stand in no header.
    #[error(transparent)]
    Id(#[from] InvalidAppId),
    /// Its id is another one's too.
    #[error(transparent)]
    Duplicate(#[from] DuplicateApp),
    /// One of its secrets is empty.
    #[error("application {app}: {source}")]
    Secret {
        /// Which application.
        app: AppId,
        /// What is wrong.
        source: EmptySecret,
    },
    /// One of its keys can't be used.
    #[error("application {app}, public key {number}: {source}")]
    Key {
        /// Which application.
        app: AppId,
        /// Which of its keys, counted from 1.
        number: usize,
        /// What is wrong.
        source: KeyError,
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
        .map_err(|source| AppConfigError::Secret {
            app: app.clone(),
            source,
        })
}

fn load_all(app: &AppId, keys: &[String]) -> Result<Vec<VerifyingKey>, AppConfigError> {
    (1..)
        .zip(keys)
        .map(|(number, pem)| {
            VerifyingKey::from_pem(pem).map_err(|source| AppConfigError::Key {
                app: app.clone(),
                number,
                source,
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

    #[test]
    fn all_that_a_configuration_says_of_an_application_counts() {
        let app = |members: &str| {
            let json = format!(r#"{{"id": "app", "kind": "ServerSideApplication", {members}}}"#);
            Application::try_from(serde_json::from_str::<AppConfig>(&json).unwrap())
        };
        assert!(app(r#""active": true"#).unwrap().is_active());
        assert!(!app(r#""active": false"#).unwrap().is_active());

        let expiry: DateTime<Utc> = "2030-01-01T00:00:00Z".parse().unwrap();
        let second = chrono::TimeDelta::seconds(1);
        let expiring = r#"{"secret": "old", "expiresAt": "2030-01-01T00:00:00Z"}"#;
        let rotating = app(&format!(r#""secrets": [{expiring}, "new"]"#)).unwrap();
        assert!(rotating.has_secret("old", expiry - second));
        assert!(!rotating.has_secret("old", expiry));
        assert!(rotating.has_secret("new", expiry));

        let empty = app(r#""secrets": [""]"#).unwrap_err();
        assert!(matches!(empty, AppConfigError::Secret { .. }), "{empty}");
        let key = app(r#""publicKeys": ["key"]"#).unwrap_err();
        assert!(
            matches!(key, AppConfigError::Key { number: 1, .. }),
            "{key}"
        );
    }
}
