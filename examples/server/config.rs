//! The file that `CONFIG` names: applications, users, and the policy's numbers.

use std::{fs, time::Duration};

use serde::Deserialize;
use tower_registration::{
    app::AppConfig,
    delivery::{Backoff, Timing, backoff},
    nonce::{DEFAULT_MAX_AGE, DEFAULT_MAX_FUTURE},
    registration::{
        DEFAULT_ANSWER_GRID, OrgId, Policy, Registration, RegistrationStatus, UserId, UserKind,
        Username,
    },
};

use crate::Failure;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) authority: Option<String>,
    #[serde(default = "https")]
    pub(crate) scheme: String,
    #[serde(default)]
    pub(crate) policy: PolicyConfig,
    #[serde(default)]
    pub(crate) nonce: NonceConfig,
    #[serde(default)]
    pub(crate) delivery: DeliveryConfig,
    pub(crate) apps: Vec<AppConfig>,
    #[serde(default)]
    users: Vec<UserConfig>,
}

fn https() -> String {
    "https".to_owned()
}

impl Config {
    pub(crate) fn read(path: &str) -> Result<Self, Failure> {
        let named = |error: &dyn std::fmt::Display| format!("CONFIG={path}: {error}");
        let json = fs::read_to_string(path).map_err(|error| named(&error))?;
        Ok(serde_json::from_str(&json).map_err(|error| named(&error))?)
    }

    pub(crate) fn policy(&self) -> Result<Policy, Failure> {
        let policy = Policy::builder()
            .code_lifetime(Duration::from_secs(self.policy.code_ttl_seconds))
            .cooldown(Duration::from_secs(self.policy.cooldown_seconds))
            .per_hour(self.policy.per_hour)
            .per_day(self.policy.per_day)
            .guesses_per_day(self.policy.guesses_per_day)
            .max_attempts(self.delivery.tries);
        Ok(policy.build()?)
    }

    /// The users as the database is to know them at first.
    pub(crate) fn users(&self) -> Result<Vec<(UserId, Registration)>, Failure> {
        self.users.iter().map(UserConfig::entry).collect()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct PolicyConfig {
    code_ttl_seconds: u64,
    cooldown_seconds: u64,
    per_hour: u32,
    per_day: u32,
    guesses_per_day: u32,
    /// 0 turns the grid off.
    pub(crate) answer_grid_millis: u64,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self {
            code_ttl_seconds: 4 * 60 * 60,
            cooldown_seconds: 60,
            per_hour: 5,
            per_day: 10,
            guesses_per_day: 20,
            answer_grid_millis: u64::try_from(DEFAULT_ANSWER_GRID.as_millis()).unwrap_or(100),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct NonceConfig {
    pub(crate) max_age_seconds: u64,
    pub(crate) max_future_seconds: u64,
}

impl Default for NonceConfig {
    fn default() -> Self {
        Self {
            max_age_seconds: DEFAULT_MAX_AGE.as_secs(),
            max_future_seconds: DEFAULT_MAX_FUTURE.as_secs(),
        }
    }
}

/// How mails are handed over. The same for all processes on one database.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct DeliveryConfig {
    send_timeout_seconds: u64,
    /// How long a sender that died holds up its mail, and with it a new code for that user.
    lease_seconds: u64,
    first_retry_seconds: u64,
    longest_retry_seconds: u64,
    tries: u32,
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            send_timeout_seconds: 30,
            lease_seconds: 60,
            first_retry_seconds: backoff::BASE.as_secs(),
            longest_retry_seconds: backoff::CAP.as_secs(),
            tries: 5,
        }
    }
}

impl DeliveryConfig {
    pub(crate) fn timing(&self) -> Result<Timing, Failure> {
        let lease = Duration::from_secs(self.lease_seconds);
        Ok(Timing::new(
            Duration::from_secs(self.send_timeout_seconds),
            lease,
        )?)
    }

    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::default()
            .with_base(Duration::from_secs(self.first_retry_seconds))
            .with_cap(Duration::from_secs(self.longest_retry_seconds))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserConfig {
    org_id: String,
    username: String,
    kind: UserKind,
    #[serde(default)]
    registered: bool,
    locale: Option<String>,
}

impl UserConfig {
    fn entry(&self) -> Result<(UserId, Registration), Failure> {
        let named = |error: &dyn std::fmt::Display| format!("user {:?}: {error}", self.username);
        let id = UserId {
            org_id: OrgId::new(&self.org_id).map_err(|error| named(&error))?,
            username: Username::new(&self.username).map_err(|error| named(&error))?,
        };
        let mut registration = Registration::pending(self.kind, self.username.trim());
        if self.registered {
            registration = registration.with_status(RegistrationStatus::Registered);
        }
        if let Some(locale) = &self.locale {
            registration = registration.with_locale(locale);
        }
        Ok((id, registration))
    }
}
