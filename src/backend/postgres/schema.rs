//! The schema that the tables stand in.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::PostgresError;

/// The schema, unless set otherwise.
pub const DEFAULT_SCHEMA: &str = "tower_registration";
/// Longest name of a schema, in bytes: with it, the channel's name still fits PostgreSQL's 63.
pub const MAX_SCHEMA_BYTES: usize = 40;

/// What a schema's name stands for in a statement of this crate.
const PLACEHOLDER: &str = "{schema}";

/// A name of ASCII letters, digits, `_` and `-`, the first a letter or `_`, and not PostgreSQL's
/// own (`pg_…`). So it can be quoted, in names and in strings, without being escaped.
#[derive(Clone, Debug)]
pub(super) struct Schema(Arc<str>);

impl Schema {
    pub(super) fn new(name: &str) -> Result<Self, PostgresError> {
        let named = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
            && name.len() <= MAX_SCHEMA_BYTES
            && !name.starts_with("pg_");
        if named {
            Ok(Self(name.into()))
        } else {
            Err(PostgresError::Schema(name.to_owned()))
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.0
    }

    /// The channel on which swaps tell that they left a mail to be sent.
    pub(super) fn channel(&self) -> String {
        format!("tower_registration:{}", self.0)
    }

    /// A statement of this crate, for the tables in this schema.
    pub(super) fn sql(&self, statement: &str) -> SqlStr {
        // A name that needs no escape, in text that is the crate's own.
        let sql = statement.replace(PLACEHOLDER, &format!("\"{}\"", self.0));
        AssertSqlSafe(Arc::<str>::from(sql)).into_sql_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_need_an_escape_or_is_too_long_is_refused() {
        let (longest, too_long) = ("a".repeat(40), "a".repeat(41));
        for name in ["public", "_own", "Tenant-7", DEFAULT_SCHEMA, &longest] {
            let channel = Schema::new(name).unwrap().channel();
            assert!(channel.len() <= 63, "{channel}");
        }
        for name in [
            "", "7up", "pg_own", "a b", "a\"b", "a'b", "a.b", "a\0", "ä", &too_long,
        ] {
            let refused = Schema::new(name);
            assert!(matches!(refused, Err(PostgresError::Schema(_))), "{name:?}");
        }
    }

    #[test]
    fn a_statement_names_the_tables_in_the_schema() {
        let schema = Schema::new("Own").unwrap();
        let sql = schema.sql("SELECT 1 FROM {schema}.a, {schema}.b");
        assert_eq!(sql.as_str(), r#"SELECT 1 FROM "Own".a, "Own".b"#);
    }
}
