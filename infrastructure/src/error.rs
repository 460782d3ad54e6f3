//! The only translation of the ORM's errors.

use std::borrow::Cow;

use sea_orm::{DbErr, RuntimeErr, sqlx};
use trivia_domain::{StoreError, StoreResult};

/// Says what was being done when the ORM failed.
pub(crate) trait During<T> {
    fn during(self, action: &'static str) -> StoreResult<T>;
}

impl<T> During<T> for Result<T, DbErr> {
    fn during(self, action: &'static str) -> StoreResult<T> {
        self.map_err(|error| translate(error, &format!("the database ({action})")))
    }
}

/// What is said of a full disk before anybody has looked at it.
pub(crate) const FULL: &str = "the disk is full";
/// What is wrong with a file that was given up.
pub(crate) const ENDLESS: &str = "reading it takes more work than a whole file of its size can";

/// Turns an ORM error about `what` into the port's.
pub(crate) fn translate(error: DbErr, what: &str) -> StoreError {
    let what = what.to_owned();
    if matches!(&error, DbErr::ConnectionAcquire(_)) {
        return StoreError::Busy { what };
    }
    if let Some(reason) = shortage(&error) {
        return StoreError::DiskFull { what, reason };
    }
    if let Some(lost) = lost_connection(&error) {
        return StoreError::Unreachable { what, reason: lost };
    }
    if let Some(state) = sql_state(&error) {
        return of_a_server(&state, error, what);
    }
    let Some(code) = sqlite_code(&error) else {
        return StoreError::backend(what, error);
    };
    let reason = said(&error);
    // primary result codes: https://www.sqlite.org/rescode.html
    match code & 0xff {
        5 | 6 => StoreError::Busy { what },
        8 | 14 | 23 => StoreError::ReadOnly { what, reason },
        // a lock for writing on a file that could only be opened for reading
        10 if code == 3850 => StoreError::ReadOnly { what, reason },
        // only files of strangers are read with a limit
        9 => StoreError::Corrupt { what, reason: ENDLESS.to_owned() },
        11 | 26 => StoreError::Corrupt { what, reason },
        13 => StoreError::DiskFull { what, reason: FULL.to_owned() },
        _ => StoreError::backend(what, error),
    }
}

/// Whether trying again may help: only a busy database, never a damaged or full one.
pub(crate) fn is_busy(error: &DbErr) -> bool {
    sqlite_code(error).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

/// Whether the connection can only read. A file that was moved away (1032) is something else.
pub(crate) fn is_read_only(error: &DbErr) -> bool {
    sqlite_code(error).is_some_and(|code| code & 0xff == 8 && code != 1032)
}

/// Whether the data refuse a statement: a key, a check, a reference.
pub(crate) fn is_constraint(error: &DbErr) -> bool {
    // 20 is a value of the wrong kind
    sqlite_code(error).is_some_and(|code| matches!(code & 0xff, 19 | 20))
}

/// Whether an error about a file of our own says that its content is wrong, and not that it could not be
/// looked at.
pub(crate) fn is_damage(error: &StoreError) -> bool {
    match error {
        StoreError::Corrupt { .. } => true,
        // 1 is said of a header with an unknown format, and of tables that are not there
        StoreError::Backend { source, .. } => source.downcast_ref().is_some_and(|error| {
            is_undecodable(error) || sqlite_code(error).is_some_and(|code| matches!(code & 0xff, 1))
        }),
        _ => false,
    }
}

/// Whether SQLite says that the disk is full.
pub(crate) fn is_full(error: &DbErr) -> bool {
    sqlite_code(error).is_some_and(|code| code & 0xff == 13)
}

/// Whether a write to the disk failed. SQLite says only of a full disk what it was.
pub(crate) fn is_unwritten(error: &DbErr) -> bool {
    // writing, syncing, syncing a directory, cutting, making the index of the log and enlarging it
    const WRITES: [i32; 6] = [778, 1034, 1290, 1546, 4618, 4874];
    is_full(error) || sqlite_code(error).is_some_and(|code| WRITES.contains(&code))
}

/// Whether a failed commit has certainly left nothing behind: its last page, which makes it count, was not written.
pub(crate) fn is_uncommitted(error: &DbErr) -> bool {
    // 778 is a failed write; when what comes after it fails (a sync, the index of the log), the outcome is open
    is_full(error) || sqlite_code(error) == Some(778)
}

/// The same error, which says what is used up.
pub(crate) fn with_shortage(kind: std::io::ErrorKind, reason: String) -> DbErr {
    let error = sqlx::Error::Io(std::io::Error::new(kind, reason));
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}

/// What is used up, by [`with_shortage`].
fn shortage(error: &DbErr) -> Option<String> {
    match driver(error)? {
        sqlx::Error::Io(error) if is_shortage(error.kind()) => Some(error.to_string()),
        _ => None,
    }
}

/// The system's errors for want of space.
pub(crate) const fn is_shortage(kind: std::io::ErrorKind) -> bool {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(kind, StorageFull | QuotaExceeded | FileTooLarge)
}

/// Whether a value is not of the kind that its column has, such as a text that is not UTF-8.
pub(crate) fn is_undecodable(error: &DbErr) -> bool {
    let DbErr::Query(RuntimeErr::SqlxError(inner)) = error else { return false };
    matches!(inner.as_ref(), sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
}

/// SQLite's extended result code.
fn sqlite_code(error: &DbErr) -> Option<i32> {
    match driver(error)? {
        sqlx::Error::Database(database) => database.code().filter(|code| code.len() < 5)?.parse().ok(),
        _ => None,
    }
}

/// The five characters by which a server names an error; SQLite's codes are shorter.
fn sql_state(error: &DbErr) -> Option<String> {
    match driver(error)? {
        sqlx::Error::Database(database) => database.code().filter(|code| code.len() == 5).map(Cow::into_owned),
        _ => None,
    }
}

/// How a connection to a server was lost.
fn lost_connection(error: &DbErr) -> Option<String> {
    match driver(error)? {
        sqlx::Error::Io(error) => Some(error.to_string()),
        error @ (sqlx::Error::Tls(_) | sqlx::Error::Protocol(_)) => Some(error.to_string()),
        _ => None,
    }
}

/// Whether a host of a server is lost, or no primary any more.
pub(crate) fn is_lost(error: &DbErr) -> bool {
    // of a standby, too: `BEGIN` with the wish to write
    const STATES: [&str; 7] = ["57P01", "57P02", "57P03", "57P05", "25P03", "25006", "0A000"];
    let state = sql_state(error);
    lost_connection(error).is_some()
        || state.is_some_and(|state| STATES.contains(&state.as_str()) || state.starts_with("08"))
}

/// An error of a PostgreSQL server: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_a_server(state: &str, error: DbErr, what: String) -> StoreError {
    let reason = said(&error);
    match state {
        // not serializable, deadlock, a lock or a statement took too long, too many locks or connections
        "40001" | "40P01" | "55P03" | "57014" | "53200" | "53300" => StoreError::Busy { what },
        // the last is a host that is no primary any more: another one is
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006" => StoreError::Unreachable { what, reason },
        "28000" | "28P01" => StoreError::Denied { what, reason },
        "42501" => StoreError::ReadOnly { what, reason },
        "3D000" => StoreError::missing("database", what),
        "53100" => StoreError::DiskFull { what, reason },
        "XX001" | "XX002" => StoreError::Corrupt { what, reason },
        state if state.starts_with("08") => StoreError::Unreachable { what, reason },
        _ => StoreError::backend(what, error),
    }
}

/// The driver's error below the ORM's.
fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => Some(inner.as_ref()),
        _ => None,
    }
}

/// What the database said, without what the ORM puts before it.
fn said(error: &DbErr) -> String {
    match driver(error) {
        Some(sqlx::Error::Database(database)) => database.message().to_owned(),
        _ => error.to_string(),
    }
}

/// A row that the model refuses: somebody else wrote it, or it is damaged.
pub(crate) fn bad_row(table: &'static str, id: impl std::fmt::Display, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { what: format!("row {id} of table {table}"), reason: reason.to_string() }
}

/// An error for each of several callers who share one failure.
pub(crate) fn repeat(error: &StoreError) -> StoreError {
    match error {
        StoreError::Busy { what } => StoreError::Busy { what: what.clone() },
        StoreError::Unreachable { what, reason } => {
            StoreError::Unreachable { what: what.clone(), reason: reason.clone() }
        }
        StoreError::Corrupt { what, reason } => StoreError::Corrupt { what: what.clone(), reason: reason.clone() },
        StoreError::ReadOnly { what, reason } => StoreError::ReadOnly { what: what.clone(), reason: reason.clone() },
        StoreError::DiskFull { what, reason } => StoreError::DiskFull { what: what.clone(), reason: reason.clone() },
        StoreError::OutcomeUnknown { reason } => StoreError::OutcomeUnknown { reason: reason.clone() },
        other => StoreError::backend("a batch of moves", other.to_string()),
    }
}
