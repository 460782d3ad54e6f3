use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use trivia_domain::{StoreError, StoreResult};

use crate::backup::BackupOptions;

#[cfg(feature = "postgres")]
use super::server::Server;

/// Where the database is, such as `sqlite://data/trivia.db` or `postgres://trivia@db.example.org/trivia`. A relative
/// path follows the working directory. A server may be several hosts, of which the primary is found:
/// `postgres://trivia@db1.example.org,db2.example.org/trivia`. Printing it never shows a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(Place);

#[derive(Clone, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    #[cfg(feature = "postgres")]
    Server(Server),
}

impl DatabaseUrl {
    /// The URL of a file.
    #[must_use]
    pub fn of_file(path: impl Into<PathBuf>) -> Self {
        Self(Place::File(path.into()))
    }

    /// The file; `None` when the database is on a server.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Place::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Place::Server(_) => None,
        }
    }

    /// The file; for a database on a server an empty path, where no file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file().unwrap_or(Path::new(""))
    }

    /// The server; `None` when the database is a file.
    #[cfg(feature = "postgres")]
    pub(super) const fn server(&self) -> Option<&Server> {
        match &self.0 {
            Place::Server(server) => Some(server),
            Place::File(_) => None,
        }
    }

    /// Name of the database of a server; `None` for a file.
    #[must_use]
    pub fn database(&self) -> Option<String> {
        match &self.0 {
            Place::File(_) => None,
            #[cfg(feature = "postgres")]
            Place::Server(server) => Some(server.database()),
        }
    }

    /// Another database of the same server; a file stays what it is.
    #[cfg(feature = "postgres")]
    pub(crate) fn with_database(&self, name: &str) -> Self {
        match &self.0 {
            Place::File(_) => self.clone(),
            Place::Server(server) => Self(Place::Server(server.with_database(name))),
        }
    }

    /// The variables that lead the programs of PostgreSQL to a database on a server.
    #[cfg(feature = "postgres")]
    pub(crate) fn environment(&self) -> StoreResult<Vec<(&'static str, String)>> {
        match &self.0 {
            Place::File(_) => Ok(Vec::new()),
            Place::Server(server) => server.environment(),
        }
    }

    /// What messages call the database: the file, or the URL without password.
    pub(crate) fn name(&self) -> String {
        match &self.0 {
            Place::File(path) => path.display().to_string(),
            #[cfg(feature = "postgres")]
            Place::Server(server) => server.to_string(),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = StoreError;

    fn from_str(url: &str) -> StoreResult<Self> {
        let invalid = |reason: &str| Err(StoreError::invalid("database URL", reason));
        let Some((scheme, rest)) = url.split_once(':') else {
            return invalid("it has no scheme; write sqlite://data/trivia.db");
        };
        #[cfg(feature = "postgres")]
        if matches!(scheme, "postgres" | "postgresql") {
            return Ok(Self(Place::Server(url.parse()?)));
        }
        if scheme != "sqlite" {
            // the rest is not repeated: it may hold a password
            return invalid(&format!("{scheme:?} is not supported by this build; write sqlite://data/trivia.db"));
        }
        let path = rest.strip_prefix("//").unwrap_or(rest);
        let path = path.split_once('?').map_or(path, |(path, _)| path);
        match path {
            "" => invalid("it names no file"),
            ":memory:" => invalid("a database in memory cannot be shared by several connections; name a file"),
            path => Ok(Self::of_file(path)),
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::File(path) => write!(f, "sqlite://{}", path.display()),
            #[cfg(feature = "postgres")]
            Place::Server(server) => write!(f, "{server}"),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The crash of the process and the loss of power (`synchronous=FULL`; on PostgreSQL `synchronous_commit=on`).
    #[default]
    Full,
    /// The crash of the process. After a loss of power the last commits may be missing; the
    /// database stays consistent (`synchronous=NORMAL`; on PostgreSQL `synchronous_commit=off`).
    Normal,
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// Where it is.
    pub url: DatabaseUrl,
    /// Replicas of a server, for reads that may be a moment old: pages of boards, lists of questions and statistics.
    /// While none of them answers, these are read where everything else is. Default `None`.
    pub read_url: Option<DatabaseUrl>,
    /// Connections that read, beside the one that writes; on a server four write. Default 4.
    pub readers: u32,
    /// How long to wait for another process that writes; on a server for one row, for a connection, and for the server
    /// to come back. Default 5 seconds.
    pub busy_timeout: Duration,
    /// What an acknowledged write survives. Default [`Durability::Full`].
    pub durability: Durability,
    /// How long what follows from an answer (points of a profile, ranks, achievements) may be in the ledger
    /// and in memory only while moves come without a pause. Nobody sees a difference: reads through the ports
    /// find everything that was acknowledged, in every process, and a crash loses nothing. But while one process
    /// writes without a pause, a read in another one makes it catch up first; where that is common, zero stores
    /// everything with each answer. A database on a server always stores everything. Default 30 seconds.
    pub projection_delay: Duration,
    /// From when on an operation is logged as slow. Default 5 seconds, as in the original.
    pub slow_after: Duration,
    /// Whether every statement is logged, with its time, at level info; it costs more than most
    /// queries. Default `false`.
    pub log_statements: bool,
    /// Where backups are, to report their age. Default `None`.
    pub backups: Option<BackupOptions>,
}

impl DatabaseOptions {
    /// The defaults.
    #[must_use]
    pub const fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            read_url: None,
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            durability: Durability::Full,
            projection_delay: Duration::from_secs(30),
            slow_after: Duration::from_secs(5),
            log_statements: false,
            backups: None,
        }
    }
}
