//! Registrations in a table.

use chrono::{DateTime, Utc};
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::SqliteError;
use crate::{
    backend::backlog::backlog,
    registration::{
        Backlog, DueMail, OrgId, Outbox, Registration, RegistrationStore, UserId, Username, policy,
    },
    trace,
};

const LOAD: &str = "\
    SELECT registration FROM tower_registration_user WHERE org_id = ?1 AND username = ?2";
const REPLACE: &str = "\
    UPDATE tower_registration_user SET version = ?4, due_at = ?5, registration = ?6 \
    WHERE org_id = ?1 AND username = ?2 AND version = ?3";
const INSERT: &str = "\
    INSERT INTO tower_registration_user (org_id, username, version, due_at, registration) \
    VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
const DUE: &str = "\
    SELECT org_id, username, registration FROM tower_registration_user \
    WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2";
/// Times are written as RFC 3339 in UTC: without the `Z`, their order is that of their texts. What
/// holds no sound registration counts, and has no time.
const BACKLOG: &str = "\
    SELECT count(*), min(rtrim(made, 'Z')) FILTER (WHERE made LIKE '____-__-__T%Z') FROM ( \
        SELECT CASE WHEN json_valid(registration) \
            THEN CAST(registration ->> '$.code.issuedAt' AS TEXT) END AS made \
        FROM tower_registration_user WHERE due_at IS NOT NULL)";
const PUT_OFF: &str = "\
    UPDATE tower_registration_user SET due_at = ?3 WHERE org_id = ?1 AND username = ?2";

/// A [`RegistrationStore`] and [`Outbox`] in a SQLite file: one row for each user, the
/// registration as JSON beside its version and the time that a mail is due.
///
/// A write that was acknowledged survives what [`Durability`](super::Durability) says. One that
/// meets a write of another process waits up to [`BUSY_TIMEOUT`](super::BUSY_TIMEOUT).
#[derive(Clone, Debug)]
pub struct SqliteRegistrations {
    write: SqlitePool,
    read: SqlitePool,
}

impl SqliteRegistrations {
    pub(super) fn new(write: SqlitePool, read: SqlitePool) -> Self {
        Self { write, read }
    }

    /// Enters a user unless there is one of that name, and tells whether it did.
    ///
    /// # Errors
    ///
    /// If the database gives no answer.
    pub async fn insert_if_absent(
        &self,
        user: &UserId,
        registration: &Registration,
    ) -> Result<bool, SqliteError> {
        let inserted = sqlx::query(INSERT)
            .bind(user.org_id.as_str())
            .bind(user.username.as_str())
            .bind(version(registration.version)?)
            .bind(due_at(registration))
            .bind(serde_json::to_string(registration).map_err(SqliteError::unreadable)?)
            .execute(&self.write)
            .await
            .map_err(SqliteError::statement)?;
        Ok(inserted.rows_affected() == 1)
    }
}

impl RegistrationStore for SqliteRegistrations {
    type Error = SqliteError;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, SqliteError> {
        let json: Option<String> = sqlx::query_scalar(LOAD)
            .bind(user.org_id.as_str())
            .bind(user.username.as_str())
            .fetch_optional(&self.read)
            .await
            .map_err(SqliteError::statement)?;
        json.map(|json| serde_json::from_str(&json).map_err(SqliteError::unreadable))
            .transpose()
    }

    async fn replace(
        &self,
        user: &UserId,
        expected_version: u64,
        new: &Registration,
    ) -> Result<bool, SqliteError> {
        replace(&self.write, user, expected_version, new).await
    }
}

impl Outbox for SqliteRegistrations {
    async fn lease_due(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueMail>, SqliteError> {
        let begun = self.write.begin_with("BEGIN IMMEDIATE").await;
        let mut transaction = begun.map_err(SqliteError::statement)?;
        let due: Vec<Row> = sqlx::query_as(DUE)
            .bind(now.timestamp_micros())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *transaction)
            .await
            .map_err(SqliteError::statement)?;
        let mut leased = Vec::with_capacity(due.len());
        for row in due {
            let mail = match read(&row) {
                Some(mail) => lease(&mut transaction, mail, until).await?,
                None => None,
            };
            match mail {
                Some(mail) => leased.push(mail),
                None => put_off(&mut transaction, &row, until).await?,
            }
        }
        let committed = transaction.commit().await;
        committed.map_err(SqliteError::statement)?;
        Ok(leased)
    }

    async fn backlog(&self) -> Result<Option<Backlog>, SqliteError> {
        let counted = sqlx::query_as(BACKLOG).fetch_one(&self.read).await;
        let (owed, oldest) = counted.map_err(SqliteError::statement)?;
        Ok(Some(backlog(owed, oldest)))
    }
}

/// Organisation, username, registration.
type Row = (String, String, String);

async fn lease(
    transaction: &mut Transaction<'_, Sqlite>,
    DueMail { user, registration }: DueMail,
    until: DateTime<Utc>,
) -> Result<Option<DueMail>, SqliteError> {
    let expected = registration.version;
    let registration = policy::leased(&registration, until);
    let swapped = replace(&mut **transaction, &user, expected, &registration).await?;
    Ok(swapped.then_some(DueMail { user, registration }))
}

/// A row that can't be read, whose version is the last, or not its registration's, would be the oldest for
/// ever and keep others from being found: it comes again when a lease would have ended.
async fn put_off(
    transaction: &mut Transaction<'_, Sqlite>,
    (org_id, username, _): &Row,
    until: DateTime<Utc>,
) -> Result<(), SqliteError> {
    trace::error!(target: trace::DELIVERY, org = org_id, "a row holds no sound registration: its mail is not sent");
    sqlx::query(PUT_OFF)
        .bind(org_id)
        .bind(username)
        .bind(until.timestamp_micros())
        .execute(&mut **transaction)
        .await
        .map_err(SqliteError::statement)?;
    Ok(())
}

fn read((org_id, username, json): &Row) -> Option<DueMail> {
    let registration: Registration = serde_json::from_str(json).ok()?;
    // One that has no next version can't be leased.
    version(registration.version.checked_add(1)?).ok()?;
    Some(DueMail {
        user: UserId {
            org_id: OrgId::new(org_id).ok()?,
            username: Username::new(username).ok()?,
        },
        registration,
    })
}

async fn replace(
    executor: impl sqlx::SqliteExecutor<'_>,
    user: &UserId,
    expected_version: u64,
    new: &Registration,
) -> Result<bool, SqliteError> {
    let replaced = sqlx::query(REPLACE)
        .bind(user.org_id.as_str())
        .bind(user.username.as_str())
        .bind(version(expected_version)?)
        .bind(version(new.version)?)
        .bind(due_at(new))
        .bind(serde_json::to_string(new).map_err(SqliteError::unreadable)?)
        .execute(executor)
        .await
        .map_err(SqliteError::statement)?;
    Ok(replaced.rows_affected() == 1)
}

fn version(version: u64) -> Result<i64, SqliteError> {
    i64::try_from(version).map_err(|_| SqliteError::Version)
}

fn due_at(registration: &Registration) -> Option<i64> {
    registration.due_at().map(|time| time.timestamp_micros())
}
