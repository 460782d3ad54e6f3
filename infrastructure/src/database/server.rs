//! Connections to a PostgreSQL server.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgSslMode};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use trivia_domain::{StoreError, StoreResult};

use super::connect::Access;
use super::{DatabaseOptions, Durability};
use crate::error::During;

/// What may stand behind the `?`; the driver would pass over a mistyped name and log its value.
const PARAMETERS: [&str; 10] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
];
/// Of these, those that may be a list with one value for each host.
const LISTS: [&str; 3] = ["host", "hostaddr", "port"];
/// What the libraries of PostgreSQL call the primary; no other host is ever written to.
const PRIMARY: [&str; 2] = ["read-write", "primary"];
/// A statement of the game that takes longer has gone wrong.
pub(super) const LONGEST_STATEMENT: Duration = Duration::from_secs(60);
/// A transaction whose client says nothing for so long is ended: its locks keep everybody else waiting.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
/// Oldest server: the statements need 14.
const OLDEST: i32 = 140_000;

/// A database on a server, which may be several hosts. Printing it never shows the password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// A URL for each host, in the order of the list.
    urls: Vec<String>,
    /// Another database of the server than the URL names.
    database: Option<String>,
}

/// A host of a server.
#[derive(Clone)]
pub(super) struct Host {
    /// What messages call it.
    pub(super) name: String,
    pub(super) options: PgConnectOptions,
}

impl Server {
    /// The hosts, in the order of the list.
    pub(super) fn hosts(&self) -> StoreResult<Vec<Host>> {
        let hosts: Result<Vec<_>, _> = self.urls.iter().map(|url| self.options(url)).collect();
        let hosts = hosts.map_err(|_| StoreError::invalid("database URL", "it cannot be read"))?;
        Ok(hosts.into_iter().map(|options| Host { name: place(&options), options }).collect())
    }

    /// What the driver makes of the URL of one host.
    fn options(&self, url: &str) -> Result<PgConnectOptions, sqlx::Error> {
        let options = options(url)?;
        Ok(self.database.iter().fold(options, |options, name| options.database(name)))
    }

    /// Another database of the same server.
    pub(super) fn with_database(&self, name: &str) -> Self {
        Self { database: Some(name.to_owned()), ..self.clone() }
    }

    /// Name of the database.
    pub(super) fn database(&self) -> String {
        let first = self.urls.first().and_then(|url| self.options(url).ok());
        first.and_then(|options| options.get_database().map(str::to_owned)).unwrap_or_default()
    }

    /// The variables that lead the programs of PostgreSQL to this database: a command line is seen by everybody.
    pub(super) fn environment(&self) -> StoreResult<Vec<(&'static str, String)>> {
        let hosts = self.hosts()?;
        let (Some(Host { options, .. }), Some(url)) = (hosts.first(), self.urls.first()) else {
            return Err(StoreError::invalid("database URL", "it names no host"));
        };
        let host = |options: &PgConnectOptions| match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => options.get_host().trim_matches(['[', ']']).to_owned(),
        };
        let list = |of: &dyn Fn(&PgConnectOptions) -> String| {
            hosts.iter().map(|host| of(&host.options)).collect::<Vec<_>>().join(",")
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
            ("PGHOST", list(&host)),
            ("PGPORT", list(&|options| options.get_port().to_string())),
            ("PGTARGETSESSIONATTRS", "read-write".to_owned()),
            ("PGUSER", options.get_username().to_owned()),
            ("PGDATABASE", self.database()),
            ("PGSSLMODE", mode.to_owned()),
            ("PGAPPNAME", options.get_application_name().unwrap_or_default().to_owned()),
        ];
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
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

/// What the driver makes of the URL of one host. A server elsewhere must prove who it is, unless the URL says how far it
/// is trusted.
fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options: PgConnectOptions = url.parse()?;
    let options =
        if options.get_application_name().is_none() { options.application_name("trivia-store") } else { options };
    let host = options.get_host();
    let here = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    Ok(if here || url.contains("sslmode=") { options } else { options.ssl_mode(PgSslMode::VerifyFull) })
}

/// Where a host is.
fn place(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => format!("{}:{}", socket.display(), options.get_port()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

/// One URL for each host of `scheme://user:password@host1:port1,host2:port2/database?parameters`, where the hosts may
/// also be parameters.
fn split(url: &str) -> Result<Vec<String>, String> {
    let form = || "write postgres://user:password@host1:5432,host2:5432/database".to_owned();
    let (scheme, rest) = url.split_once("://").ok_or_else(form)?;
    let (front, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = front.split_once('/').unwrap_or((front, ""));
    let (user, places) =
        authority.rsplit_once('@').map_or((String::new(), authority), |(user, places)| (format!("{user}@"), places));
    let places: Vec<_> = places.split(',').collect();
    let mut lists = vec![("", places)];
    let mut others = Vec::new();
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if !PARAMETERS.contains(&name) {
            return Err(format!("{name:?} is not one of {}", PARAMETERS.join(", ")));
        }
        if LISTS.contains(&name) {
            lists.push((name, value.split(',').collect()));
        } else if name != "target_session_attrs" {
            others.push(parameter);
        } else if !PRIMARY.contains(&value) {
            return Err(format!("{name} can only be {}: the primary is found, and nothing else", PRIMARY.join(" or ")));
        }
    }
    let count = lists.iter().map(|(_, values)| values.len()).max().unwrap_or(1);
    if lists.iter().any(|(_, values)| values.len() != 1 && values.len() != count) {
        return Err("it needs as many ports as hosts, or one for all".to_owned());
    }
    if count > 1 && lists.iter().any(|(_, values)| values.len() > 1 && values.contains(&"")) {
        return Err("a host or a port of the list is empty".to_owned());
    }
    let url = |host: usize| {
        let value = |values: &[&str]| values.get(host).or(values.first()).copied().unwrap_or_default().to_owned();
        let (places, lists) =
            lists.split_first().map_or((String::new(), &lists[..]), |((_, first), rest)| (value(first), rest));
        let listed = lists.iter().map(|(name, values)| format!("{name}={}", value(values)));
        let parameters: Vec<_> = listed.chain(others.iter().map(|&other| other.to_owned())).collect();
        // the parser of the driver wants a host behind a user, also beside a parameter that names the socket
        let places = if places.is_empty() && !user.is_empty() { "localhost".to_owned() } else { places };
        format!("{scheme}://{user}{places}/{database}?{}", parameters.join("&"))
    };
    Ok((0..count).map(url).collect())
}

impl FromStr for Server {
    type Err = StoreError;

    /// The errors repeat nothing of the URL but names of parameters: it may hold a password.
    fn from_str(url: &str) -> StoreResult<Self> {
        let invalid = |reason: String| StoreError::invalid("database URL", reason);
        let server = Self { urls: split(url).map_err(invalid)?, database: None };
        for url in &server.urls {
            let options = options(url);
            let options =
                options.map_err(|_| invalid("write postgres://user:password@host:5432/database".to_owned()))?;
            if options.get_database().is_none() {
                return Err(invalid("it names no database; write postgres://user@host/database".to_owned()));
            }
        }
        Ok(server)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options: Vec<_> = self.urls.iter().filter_map(|url| self.options(url).ok()).collect();
        let Some(first) = options.first() else { return f.write_str("postgres://") };
        let (user, database) = (first.get_username(), first.get_database().unwrap_or_default());
        if first.get_socket().is_none() {
            let places: Vec<_> = options.iter().map(place).collect();
            return write!(f, "postgres://{user}@{}/{database}", places.join(","));
        }
        let sockets = options.iter().filter_map(|options| options.get_socket());
        let sockets: Vec<_> = sockets.map(|socket| socket.display().to_string()).collect();
        write!(f, "postgres://{user}@/{database}?host={}", sockets.join(","))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a connection asks of its server.
pub(super) fn settings(options: &DatabaseOptions, access: Access) -> Vec<(&'static str, String)> {
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
    // so that no transaction has to ask for it
    let (read_only, isolation) =
        if access == Access::Read { ("on", "repeatable read") } else { ("off", "read committed") };
    settings.push(("default_transaction_read_only", read_only.to_owned()));
    settings.push(("default_transaction_isolation", isolation.to_owned()));
    settings
}

/// Refuses to start on a server that is too old, cannot be written, or keeps less than was asked for.
pub(super) async fn verify(connection: &DatabaseConnection, options: &DatabaseOptions) -> StoreResult<()> {
    let sql = "SELECT current_setting('server_version_num')::int AS version, \
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
            "postgres://trivia:canary@host,/trivia",
            "postgres://trivia:canary@a,b/trivia?port=1,2,3",
            "postgres://trivia:canary@a,b/trivia?host=canary,d,e",
            "postgres://trivia:canary@a,b:canary/trivia",
            "postgres://trivia:canary@a,b/trivia?target_session_attrs=standby",
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
    fn a_server_may_be_several_hosts() {
        let hosts = |url: &str| {
            let server: Server = url.parse().unwrap();
            let names = server.hosts().unwrap().into_iter().map(|host| host.name).collect::<Vec<_>>();
            (names.join(" "), server.to_string())
        };
        for (url, names, shown) in [
            ("postgres://u@a/trivia", "a:5432", "postgres://u@a:5432/trivia"),
            (
                "postgresql://u:x,y%40z@a:5433,b/trivia?target_session_attrs=read-write&sslmode=require",
                "a:5433 b:5432",
                "postgres://u@a:5433,b:5432/trivia",
            ),
            ("postgres://u@[::1]:1,[::2]:2/trivia", "[::1]:1 [::2]:2", "postgres://u@[::1]:1,[::2]:2/trivia"),
            ("postgres://u@a,b/trivia?port=6000", "a:6000 b:6000", "postgres://u@a:6000,b:6000/trivia"),
            (
                "postgres://u@localhost/trivia?host=/run/a,/run/b&port=1,2",
                "/run/a:1 /run/b:2",
                "postgres://u@/trivia?host=/run/a,/run/b",
            ),
        ] {
            assert_eq!(hosts(url), (names.to_owned(), shown.to_owned()), "{url}");
        }
        // each of them must prove who it is
        let server: Server = "postgres://u@localhost,db.example.org/trivia".parse().unwrap();
        let modes = server.hosts().unwrap().into_iter().map(|host| format!("{:?}", host.options.get_ssl_mode()));
        assert_eq!(modes.collect::<Vec<_>>(), ["Prefer", "VerifyFull"]);
    }

    #[test]
    fn a_server_elsewhere_must_prove_who_it_is() {
        let mode =
            |url: &str| format!("{:?}", url.parse::<Server>().unwrap().hosts().unwrap()[0].options.get_ssl_mode());
        assert_eq!(mode("postgres://db.example.org/trivia"), "VerifyFull");
        assert_eq!(mode("postgres://10.0.0.7/trivia"), "VerifyFull");
        assert_eq!(mode("postgres://10.0.0.7/trivia?sslmode=disable"), "Disable");
        assert_eq!(mode("postgres://localhost/trivia"), "Prefer");
        assert_eq!(mode("postgres://127.0.0.1/trivia"), "Prefer");
        assert_eq!(mode("postgres:///trivia?host=/run/postgresql"), "Prefer");
    }
}
