//! Connections to a PostgreSQL server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::sqlx::{self, Connection, PgConnection};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use trivia_domain::{StoreError, StoreResult};

use super::connect::Access;
use super::{DatabaseOptions, Durability};
use crate::error::{During, translate};

/// What may stand behind the `?`; the driver would pass over a mistyped name and log its value.
const PARAMETERS: [&str; 9] =
    ["application_name", "dbname", "host", "hostaddr", "port", "sslcert", "sslkey", "sslmode", "sslrootcert"];
/// A statement of the game that takes longer has gone wrong.
const LONGEST_STATEMENT: Duration = Duration::from_secs(60);
/// A transaction whose client says nothing for so long is ended: its locks keep everybody else waiting.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// How long a connection may take to say that it still works, before another one is opened.
const PING: Duration = Duration::from_millis(500);
/// A connection that was used within this time is not asked whether it still works.
const FRESH: Duration = Duration::from_secs(1);
/// Oldest server: the statements need 14.
const OLDEST: i32 = 140_000;

/// A database on a server. Printing it never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Server {
    url: String,
    /// Another database of the server than the URL names.
    database: Option<String>,
}

impl Server {
    /// What the driver makes of the URL. A server elsewhere must prove who it is, unless the URL says how far it is
    /// trusted.
    fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        let options: PgConnectOptions = self.url.parse()?;
        let options = self.database.iter().fold(options, |options, name| options.database(name));
        let options =
            if options.get_application_name().is_none() { options.application_name("trivia-store") } else { options };
        let host = options.get_host();
        let here = options.get_socket().is_some()
            || host.starts_with('/')
            || host == "localhost"
            || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        Ok(if here || self.url.contains("sslmode=") { options } else { options.ssl_mode(PgSslMode::VerifyFull) })
    }

    /// Another database of the same server.
    pub(super) fn with_database(&self, name: &str) -> Self {
        Self { database: Some(name.to_owned()), ..self.clone() }
    }

    /// Name of the database.
    pub(super) fn database(&self) -> String {
        self.options().ok().and_then(|options| options.get_database().map(str::to_owned)).unwrap_or_default()
    }

    /// The variables that lead the programs of PostgreSQL to this database: a command line is seen by everybody.
    pub(super) fn environment(&self) -> StoreResult<Vec<(&'static str, String)>> {
        let options = self.options().map_err(|_| unreadable())?;
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().trim_matches(['[', ']']).to_owned(),
        };
        let mode = match options.get_ssl_mode() {
            PgSslMode::Disable => "disable",
            PgSslMode::Allow => "allow",
            PgSslMode::Prefer => "prefer",
            PgSslMode::Require => "require",
            PgSslMode::VerifyCa => "verify-ca",
            PgSslMode::VerifyFull => "verify-full",
        };
        let mut variables = vec![
            ("PGHOST", host),
            ("PGPORT", options.get_port().to_string()),
            ("PGUSER", options.get_username().to_owned()),
            ("PGDATABASE", self.database()),
            ("PGSSLMODE", mode.to_owned()),
            ("PGAPPNAME", options.get_application_name().unwrap_or_default().to_owned()),
        ];
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (address, parameters) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let authority = address.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        let password = authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':'));
        variables.extend(password.map(|(_, password)| ("PGPASSWORD", decoded(password))));
        for (name, value) in parameters.split('&').filter_map(|part| part.split_once('=')) {
            let variable = match name {
                "sslcert" => "PGSSLCERT",
                "sslkey" => "PGSSLKEY",
                "sslrootcert" => "PGSSLROOTCERT",
                _ => continue,
            };
            variables.push((variable, decoded(value)));
        }
        Ok(variables)
    }
}

impl FromStr for Server {
    type Err = StoreError;

    /// The errors repeat nothing of the URL but names of parameters: it may hold a password.
    fn from_str(url: &str) -> StoreResult<Self> {
        let invalid = |reason: String| StoreError::invalid("database URL", reason);
        let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
        for name in parameters.split('&').filter_map(|part| part.split('=').next()).filter(|name| !name.is_empty()) {
            if !PARAMETERS.contains(&name) {
                return Err(invalid(format!("{name:?} is not one of {}", PARAMETERS.join(", "))));
            }
        }
        let server = Self { url: url.to_owned(), database: None };
        let options = server.options();
        let options = options.map_err(|_| invalid("write postgres://user:password@host:5432/database".to_owned()))?;
        match options.get_database() {
            Some(_) => Ok(server),
            None => Err(invalid("it names no database; write postgres://user@host/database".to_owned())),
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(options) = self.options() else { return f.write_str("postgres://") };
        let (user, database) = (options.get_username(), options.get_database().unwrap_or_default());
        match options.get_socket() {
            Some(socket) => write!(f, "postgres://{user}@/{database}?host={}", socket.display()),
            None => write!(f, "postgres://{user}@{}:{}/{database}", options.get_host(), options.get_port()),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn unreadable() -> StoreError {
    StoreError::invalid("database URL", "it cannot be read")
}

/// A pool of at most `size` connections.
pub(super) async fn connect(
    server: &Server,
    options: &DatabaseOptions,
    size: u32,
    access: Access,
) -> StoreResult<DatabaseConnection> {
    let durable = match options.durability {
        Durability::Full => "on",
        Durability::Normal => "off",
    };
    let millis = |time: Duration| time.as_millis().to_string();
    let mut settings = vec![
        ("synchronous_commit", durable.to_owned()),
        ("lock_timeout", millis(options.busy_timeout)),
        ("idle_in_transaction_session_timeout", millis(LONGEST_SILENCE)),
    ];
    match access {
        // a step of the schema takes as long as it takes
        Access::Schema | Access::AsItIs => {}
        Access::Read | Access::Write => settings.push(("statement_timeout", millis(LONGEST_STATEMENT))),
    }
    if access == Access::Read {
        settings.push(("default_transaction_read_only", "on".to_owned()));
    }
    let driver = server.options().map_err(|_| unreadable())?;
    let driver = driver.options(settings).statement_cache_capacity(256);
    // the URL itself would come into traces, with its password
    let mut connect = ConnectOptions::new("postgres://");
    connect
        .max_connections(size)
        .min_connections(1)
        .acquire_timeout(options.busy_timeout)
        .test_before_acquire_if_idle_for(FRESH)
        .sqlx_logging(options.log_statements)
        .map_sqlx_postgres_opts(move |_| driver.clone())
        .map_sqlx_postgres_pool_opts(|pool| pool.after_release(|connection, _| Box::pin(answers(connection))));
    sea_orm::Database::connect(connect).await.map_err(|error| translate(error, &server.to_string()))
}

/// Whether a connection may go back to the pool: one to a server that froze would be waited for without end.
async fn answers(connection: &mut PgConnection) -> sqlx::Result<bool> {
    match tokio::time::timeout(PING, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

/// Refuses to start on a server that is too old, cannot be written, or keeps less than was asked for.
pub(super) async fn verify(connection: &DatabaseConnection, options: &DatabaseOptions) -> StoreResult<()> {
    let sql = "SELECT current_setting('server_version_num')::int AS version, pg_is_in_recovery() AS standby, \
               current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commits";
    let action = "reading the settings of the server";
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await;
    let row = row.during(action)?.ok_or_else(|| StoreError::backend(action, "it says nothing"))?;
    let name = options.url.name();
    let incompatible = |reason: String| Err(StoreError::Incompatible { what: name.clone(), reason });
    let version: i32 = row.try_get("", "version").during(action)?;
    if version < OLDEST {
        return incompatible(format!("it is PostgreSQL {}, 14 or newer is needed", version / 10_000));
    }
    if row.try_get("", "standby").during(action)? {
        let reason = "the server is a standby, name the primary".to_owned();
        return Err(StoreError::ReadOnly { what: name, reason });
    }
    let (fsync, commits): (String, String) =
        (row.try_get("", "fsync").during(action)?, row.try_get("", "commits").during(action)?);
    let is_durable = fsync == "on" && commits != "off";
    if options.durability == Durability::Full && !is_durable {
        return incompatible(format!("fsync is {fsync} and synchronous_commit {commits}, on is needed"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_never_shows_its_password() {
        for url in [
            "postgres://trivia:canary-1@db.example.org/trivia",
            "postgresql://trivia:canary-1@/trivia?host=/run/postgresql",
            "postgres://trivia:canary%2D1@[::1]:6000/trivia?sslmode=disable",
        ] {
            let server: Server = url.parse().unwrap();
            let shown = format!("{server} {server:?}");
            assert!(!shown.contains("canary") && shown.contains("trivia@"), "{shown}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_it() {
        for url in [
            "postgres://trivia:canary@host",
            "postgres://trivia:canary@host:canary/trivia",
            "postgres://host/trivia?passwort=canary",
            "postgres://host/trivia?sslmode=canary",
        ] {
            let error = url.parse::<Server>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
        }
    }

    #[test]
    fn other_programs_are_led_to_the_same_database() {
        let url = "postgres://trivia:p%40ss%2Fword@[::1]:6000/game?sslmode=verify-ca&sslrootcert=%2Fca.pem";
        let server: Server = url.parse().unwrap();
        let variables = server.with_database("other").environment().unwrap();
        let value = |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
        let expected = [
            ("PGHOST", "::1"),
            ("PGPORT", "6000"),
            ("PGUSER", "trivia"),
            ("PGPASSWORD", "p@ss/word"),
            ("PGDATABASE", "other"),
            ("PGSSLMODE", "verify-ca"),
            ("PGSSLROOTCERT", "/ca.pem"),
        ];
        for (name, expected) in expected {
            assert_eq!(value(name), Some(expected), "{name}");
        }
        assert_eq!(server.database(), "game");
    }

    #[test]
    fn a_server_elsewhere_must_prove_who_it_is() {
        let mode = |url: &str| format!("{:?}", url.parse::<Server>().unwrap().options().unwrap().get_ssl_mode());
        assert_eq!(mode("postgres://db.example.org/trivia"), "VerifyFull");
        assert_eq!(mode("postgres://10.0.0.7/trivia"), "VerifyFull");
        assert_eq!(mode("postgres://10.0.0.7/trivia?sslmode=disable"), "Disable");
        assert_eq!(mode("postgres://localhost/trivia"), "Prefer");
        assert_eq!(mode("postgres://127.0.0.1/trivia"), "Prefer");
        assert_eq!(mode("postgres:///trivia?host=/run/postgresql"), "Prefer");
    }
}
