//! What is wrong with a configuration, told from what PostgreSQL or sqlx says. Pure.

use std::{fmt, io};

use sqlx::postgres::PgConnectOptions;

/// What keeps a database from being used, and so what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PostgresFault {
    /// No server answers at the URL's host and port.
    Unreachable,
    /// The server is starting, stopping or in recovery.
    NotReady,
    /// The server has no connection left.
    TooManyConnections,
    /// TLS could not be agreed on, or the server's certificate is not trusted.
    Tls,
    /// The server does not know the user, or the password is wrong.
    UserRefused,
    /// There is no database of that name.
    NoDatabase,
    /// There is no schema of that name.
    NoSchema,
    /// The user may not make or use the schema or its tables.
    NoRights,
    /// Anything else.
    Other,
}

impl PostgresFault {
    pub(super) fn of(error: &sqlx::Error, target: &Target) -> Self {
        match error {
            sqlx::Error::Database(error) => error
                .code()
                .map_or(Self::Other, |code| Self::of_state(&code)),
            // The last is a file of keys without any.
            sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => Self::Tls,
            sqlx::Error::Io(error) if is_of_tls(error, target) => Self::Tls,
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Self::Unreachable,
            _ => Self::Other,
        }
    }

    /// By SQLSTATE, as in appendix A of PostgreSQL's manual.
    fn of_state(state: &str) -> Self {
        match state {
            "28000" | "28P01" => Self::UserRefused,
            "3D000" => Self::NoDatabase,
            "3F000" => Self::NoSchema,
            "42501" | "25006" => Self::NoRights,
            "53300" => Self::TooManyConnections,
            "57P01" | "57P02" | "57P03" => Self::NotReady,
            _ => Self::Other,
        }
    }
}

/// What rustls has against a server's certificate is invalid data. And where no file is the server,
/// the file that is not there is a certificate's.
fn is_of_tls(error: &io::Error, target: &Target) -> bool {
    match error.kind() {
        io::ErrorKind::InvalidData => true,
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => !target.is_file,
        _ => false,
    }
}

/// What a URL points at; its password is not among it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    server: String,
    is_file: bool,
    user: String,
    database: String,
    schema: String,
}

impl Target {
    pub(super) fn of(options: &PgConnectOptions, schema: &str) -> Self {
        let server = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let is_file = options.get_socket().is_some() || options.get_host().starts_with('/');
        let user = options.get_username();
        Self {
            server,
            is_file,
            user: user.to_owned(),
            database: options.get_database().unwrap_or(user).to_owned(),
            schema: schema.to_owned(),
        }
    }
}

/// One line: what is wrong, and what to change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advice<'a>(pub(super) PostgresFault, pub(super) &'a Target);

impl fmt::Display for Advice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what_is_wrong())?;
        match self.what_to_change() {
            Some(change) => write!(f, ": {change}"),
            None => Ok(()),
        }
    }
}

impl Advice<'_> {
    fn what_is_wrong(&self) -> String {
        let Target {
            server,
            user,
            database,
            schema,
            ..
        } = self.1;
        let at = format!("the PostgreSQL server at {server}");
        let tables = format!("the tables in schema `{schema}` of database `{database}`");
        match self.0 {
            PostgresFault::Unreachable => format!("no PostgreSQL server answers at {server}"),
            PostgresFault::NotReady => format!("{at} is starting or stopping"),
            PostgresFault::TooManyConnections => format!("{at} has no connection left"),
            PostgresFault::Tls => format!("no TLS with {at}"),
            PostgresFault::UserRefused => format!("{at} refuses the user `{user}`"),
            PostgresFault::NoDatabase => format!("{at} has no database `{database}`"),
            PostgresFault::NoSchema => {
                format!("the database `{database}` has no schema `{schema}`")
            }
            PostgresFault::NoRights => format!("the user `{user}` may not make or use {tables}"),
            PostgresFault::Other => {
                format!("{tables} on {at} could not be made or brought up to date")
            }
        }
    }

    fn what_to_change(&self) -> Option<String> {
        let Target { user, schema, .. } = self.1;
        let change = match self.0 {
            PostgresFault::Unreachable => "start it, or correct host and port in the URL",
            PostgresFault::NotReady => "try again",
            PostgresFault::TooManyConnections => {
                "raise its `max_connections`, or lower those of its clients' pools"
            }
            PostgresFault::Tls => "correct `sslmode` or `sslrootcert` in the URL",
            PostgresFault::UserRefused => {
                "correct user and password in the URL, or the server's pg_hba.conf"
            }
            PostgresFault::NoDatabase => "create it, or correct the URL",
            PostgresFault::NoSchema => "create it, or set another",
            PostgresFault::NoRights => {
                return Some(format!(
                    "let its owner run `CREATE SCHEMA \"{schema}\" AUTHORIZATION \"{user}\"`, or grant what is missing"
                ));
            }
            PostgresFault::Other => return None,
        };
        Some(change.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_says_what_is_wrong() {
        for (state, fault) in [
            ("28P01", PostgresFault::UserRefused),
            ("28000", PostgresFault::UserRefused),
            ("3D000", PostgresFault::NoDatabase),
            ("3F000", PostgresFault::NoSchema),
            ("42501", PostgresFault::NoRights),
            ("25006", PostgresFault::NoRights),
            ("53300", PostgresFault::TooManyConnections),
            ("57P03", PostgresFault::NotReady),
            ("XX000", PostgresFault::Other),
        ] {
            assert_eq!(PostgresFault::of_state(state), fault, "{state}");
        }
    }

    #[test]
    fn each_fault_is_told_in_one_line_without_the_password() {
        let options = PgConnectOptions::new_without_pgpass()
            .host("db.example.com")
            .port(5433)
            .username("jane")
            .password("s3cr3t")
            .database("registration");
        let target = Target::of(&options, "own");
        for (fault, part) in [
            (PostgresFault::Unreachable, "db.example.com:5433"),
            (PostgresFault::NotReady, "try again"),
            (PostgresFault::TooManyConnections, "max_connections"),
            (PostgresFault::Tls, "sslmode"),
            (PostgresFault::UserRefused, "`jane`"),
            (PostgresFault::NoDatabase, "`registration`"),
            (PostgresFault::NoSchema, "`own`"),
            (PostgresFault::NoRights, "AUTHORIZATION \"jane\""),
            (PostgresFault::Other, "`own`"),
        ] {
            let line = Advice(fault, &target).to_string();
            assert!(line.contains(part) && !line.contains('\n'), "{line}");
            assert!(!line.contains("s3cr3t"), "{line}");
        }
    }
}
