//! Registrations in a table.

use chrono::{DateTime, Utc};
use sqlx::{SqlStr, query_as};

use super::{PostgresError, ask::Ask, schema::Schema};
use crate::{
    backend::backlog::backlog,
    registration::{
        Backlog, DueMail, OrgId, Outbox, Registration, RegistrationStore, UserId, Username,
    },
    trace,
};

const LOAD: &str = "\
    SELECT registration::text FROM {schema}.tower_registration_user \
    WHERE org_id = $1 AND username = $2";
/// The comparison and the swap are one row's update, which waits for another one of that row and
/// then compares anew. What is told goes out when the swap is committed, and not if it fails.
const REPLACE: &str = "\
    UPDATE {schema}.tower_registration_user \
    SET version = $4, due_at = $5, registration = $6::jsonb \
    WHERE org_id = $1 AND username = $2 AND version = $3 \
    RETURNING CASE WHEN $7 THEN pg_notify($8, '')::text END";
const INSERT: &str = "\
    INSERT INTO {schema}.tower_registration_user \
    (org_id, username, version, due_at, registration) VALUES ($1, $2, $3, $4, $5::jsonb) \
    ON CONFLICT DO NOTHING RETURNING CASE WHEN $6 THEN pg_notify($7, '')::text END";
/// Rows that another call has in hand are passed over; those that one had until now are looked at
/// anew. A row whose version is the last, or not its registration's, would be the oldest for ever
/// and keep others from being found: it comes again when a lease would have ended.
const LEASE_DUE: &str = "\
    WITH due AS ( \
        SELECT org_id, username, due_at, version < 9223372036854775807 \
            AND coalesce(registration -> 'version' = to_jsonb(version), false) AS sound \
        FROM {schema}.tower_registration_user \
        WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED \
    ), leased AS ( \
        UPDATE {schema}.tower_registration_user AS mine SET \
            due_at = greatest(mine.due_at, $3), \
            version = CASE WHEN sound THEN mine.version + 1 ELSE mine.version END, \
            registration = CASE WHEN sound THEN registration || jsonb_build_object( \
                'version', mine.version + 1, \
                'lease', jsonb_build_object('token', mine.version + 1, 'until', $4::text)) \
            ELSE registration END \
        FROM due WHERE mine.org_id = due.org_id AND mine.username = due.username \
        RETURNING mine.org_id, mine.username, sound, mine.registration, due.due_at AS was_due_at \
    ) \
    SELECT org_id, username, sound, registration::text FROM leased ORDER BY was_due_at";

/// Times are written as RFC 3339 in UTC: without the `Z`, their order is that of their texts. What
/// holds no sound registration counts, and has no time.
const BACKLOG: &str = "\
    SELECT count(*), min(rtrim(made, 'Z') COLLATE \"C\") FILTER (WHERE made LIKE '____-__-__T%Z') \
    FROM (SELECT registration #>> '{code,issuedAt}' AS made \
        FROM {schema}.tower_registration_user WHERE due_at IS NOT NULL) AS owing";

/// A [`RegistrationStore`] and [`Outbox`] in PostgreSQL: one row for each user, the registration
/// as JSON beside its version and the time that a mail is due.
///
/// 1. Each method is one statement, and one round trip once a connection has prepared it.
/// 2. A swap that leaves a mail to be sent tells whoever [listens](super::PostgresBackend::listen),
///    in the same statement. Swaps that put a mail off, or settle it, tell nobody.
/// 3. A row that holds no registration is passed over by `lease_due` until the lease's end.
#[derive(Clone, Debug)]
pub struct PostgresRegistrations {
    ask: Ask,
    load: SqlStr,
    replace: SqlStr,
    insert: SqlStr,
    lease_due: SqlStr,
    backlog: SqlStr,
    channel: String,
    notifying: bool,
}

impl PostgresRegistrations {
    pub(super) fn new(ask: Ask, schema: &Schema, notifying: bool) -> Self {
        Self {
            ask,
            load: schema.sql(LOAD),
            replace: schema.sql(REPLACE),
            insert: schema.sql(INSERT),
            lease_due: schema.sql(LEASE_DUE),
            backlog: schema.sql(BACKLOG),
            channel: schema.channel(),
            notifying,
        }
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
    ) -> Result<bool, PostgresError> {
        let statement = query_as(self.insert.clone())
            .bind(user.org_id.as_str())
            .bind(user.username.as_str())
            .bind(version(registration.version)?)
            .bind(due_at(registration))
            .bind(json(registration)?)
            .bind(self.notifying && is_news(registration))
            .bind(&self.channel);
        let inserted: Option<Told> = self.ask.for_one(statement).await?;
        Ok(inserted.is_some())
    }
}

impl RegistrationStore for PostgresRegistrations {
    type Error = PostgresError;

    async fn load(&self, user: &UserId) -> Result<Option<Registration>, PostgresError> {
        let statement = query_as(self.load.clone())
            .bind(user.org_id.as_str())
            .bind(user.username.as_str());
        let found: Option<(String,)> = self.ask.for_one(statement).await?;
        found
            .map(|(json,)| serde_json::from_str(&json).map_err(PostgresError::unreadable))
            .transpose()
    }

    async fn replace(
        &self,
        user: &UserId,
        expected_version: u64,
        new: &Registration,
    ) -> Result<bool, PostgresError> {
        let statement = query_as(self.replace.clone())
            .bind(user.org_id.as_str())
            .bind(user.username.as_str())
            .bind(version(expected_version)?)
            .bind(version(new.version)?)
            .bind(due_at(new))
            .bind(json(new)?)
            .bind(self.notifying && is_news(new))
            .bind(&self.channel);
        let replaced: Option<Told> = self.ask.for_one(statement).await?;
        Ok(replaced.is_some())
    }
}

impl Outbox for PostgresRegistrations {
    async fn lease_due(
        &self,
        now: DateTime<Utc>,
        until: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<DueMail>, PostgresError> {
        let statement = query_as(self.lease_due.clone())
            .bind(now.timestamp_micros())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .bind(until.timestamp_micros())
            .bind(written(until)?);
        let rows: Vec<Row> = self.ask.for_all(statement).await?;
        Ok(rows.iter().filter_map(read).collect())
    }

    async fn backlog(&self) -> Result<Option<Backlog>, PostgresError> {
        let counted = self.ask.for_one(query_as(self.backlog.clone())).await?;
        Ok(counted.map(|(owed, oldest)| backlog(owed, oldest)))
    }
}

/// What `pg_notify` returns: nothing. That there is a row says that the statement took effect.
type Told = (Option<String>,);

/// Organisation, username, whether a lease was put in, registration.
type Row = (String, String, bool, String);

fn read((org_id, username, sound, json): &Row) -> Option<DueMail> {
    let mail = sound.then(|| {
        Some(DueMail {
            user: UserId {
                org_id: OrgId::new(org_id).ok()?,
                username: Username::new(username).ok()?,
            },
            registration: serde_json::from_str(json).ok()?,
        })
    });
    if let Some(Some(mail)) = mail {
        return Some(mail);
    }
    trace::error!(target: trace::DELIVERY, org = org_id, "a row holds no sound registration: its mail is not sent");
    None
}

/// Whether a dispatcher would find something to do: a mail that has never been tried and that
/// nobody is sending. Later tries are due later, and found by looking from time to time.
fn is_news(registration: &Registration) -> bool {
    registration.lease.is_none()
        && registration
            .owed
            .as_ref()
            .is_some_and(|owed| owed.attempts == 0)
}

fn json(registration: &Registration) -> Result<String, PostgresError> {
    serde_json::to_string(registration).map_err(PostgresError::unreadable)
}

/// A time as a registration's JSON has it.
fn written(time: DateTime<Utc>) -> Result<String, PostgresError> {
    let json = serde_json::to_value(time).map_err(PostgresError::unreadable)?;
    serde_json::from_value(json).map_err(PostgresError::unreadable)
}

fn version(version: u64) -> Result<i64, PostgresError> {
    i64::try_from(version).map_err(|_| PostgresError::Version)
}

fn due_at(registration: &Registration) -> Option<i64> {
    registration.due_at().map(|time| time.timestamp_micros())
}
