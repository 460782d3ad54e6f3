//! What SQLite and PostgreSQL do in different ways: transactions, locks, and questions about the schema.
//!
//! SQLite lets one transaction write at a time, so there nothing has to be locked. On PostgreSQL many write
//! at once, from many hosts. Each takes what it needs in one order, so that two never wait for each other:
//! the [`Gate`], players by number, sessions by id, and then the rows that it writes, table by table.

use std::collections::BTreeSet;

#[cfg(feature = "postgres")]
use chrono::{DateTime, Utc};
use sea_orm::{
    AccessMode, ConnectionTrait, DbBackend, IsolationLevel, SqliteTransactionMode, Statement, TransactionOptions,
};
use trivia_domain::model::{SessionId, UserId};
use trivia_domain::{StoreError, StoreResult};

use crate::error::During;

/// The advisory lock that is the gate; nobody else uses this number.
const GATE: i64 = 0x7472_6976_6961;

/// The advisory lock of whoever changes the schema.
const SCHEMA: i64 = GATE + 1;

/// The advisory lock of whoever does regularly what has to be done.
#[cfg(feature = "postgres")]
const SCHEDULER: i64 = GATE + 2;

/// How a transaction of a server begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Beside others, who lock what they change.
    Shared,
    /// When no other one writes, and until it ends none begins.
    Alone,
}

/// A transaction that writes. On SQLite it does so from its beginning: one that begins by reading may not be able to
/// write later. On a server each of its statements sees what was committed before the statement, so what is read
/// after a lock was taken is the newest; its connections are opened with that.
pub(crate) const fn writing(backend: DbBackend) -> TransactionOptions {
    let sqlite_transaction_mode = match backend {
        DbBackend::Sqlite => Some(SqliteTransactionMode::Immediate),
        _ => None,
    };
    TransactionOptions { isolation_level: None, access_mode: None, sqlite_transaction_mode }
}

/// A transaction that reads one moment, on any connection; those that only read do nothing else.
pub(crate) const fn reading(backend: DbBackend) -> TransactionOptions {
    match backend {
        DbBackend::Sqlite => {
            TransactionOptions { isolation_level: None, access_mode: None, sqlite_transaction_mode: None }
        }
        _ => TransactionOptions {
            isolation_level: Some(IsolationLevel::RepeatableRead),
            access_mode: Some(AccessMode::ReadOnly),
            sqlite_transaction_mode: None,
        },
    }
}

/// Goes through the gate; it is left with the transaction.
pub(crate) async fn enter(connection: &impl ConnectionTrait, gate: Gate) -> StoreResult<()> {
    let how = match gate {
        Gate::Shared => SHARED,
        Gate::Alone => ALONE,
    };
    lock(connection, &format!("SELECT {how}($1)"), GATE.into()).await
}

/// Keeps everybody else out of the game, until the connection is closed.
pub(crate) async fn lock_gate(connection: &impl ConnectionTrait) -> StoreResult<()> {
    lock(connection, "SELECT pg_advisory_lock($1)", GATE.into()).await
}

/// Keeps others from changing the schema of a server, until the connection is closed; `false` when somebody does that,
/// and goes on with it. Whoever was killed may hold the lock until the server notices.
pub(crate) async fn lock_schema(connection: &impl ConnectionTrait) -> StoreResult<bool> {
    match lock(connection, "SELECT pg_advisory_lock($1)", SCHEMA.into()).await {
        Err(StoreError::Busy { .. }) => Ok(false),
        taken => taken.map(|()| true),
    }
}

/// Makes this transaction the one scheduler of a server's database, under a name that others see; `false` when there is
/// one.
#[cfg(feature = "postgres")]
pub(crate) async fn lock_scheduler(connection: &impl ConnectionTrait, name: &str) -> StoreResult<bool> {
    let take = "SELECT pg_try_advisory_xact_lock($1) AS taken, set_config('application_name', $2, true)";
    let take = Statement::from_sql_and_values(connection.get_database_backend(), take, [SCHEDULER.into(), name.into()]);
    let row = connection.query_one_raw(take).await.during("taking a lock")?;
    row.map_or(Ok(false), |row| row.try_get("", "taken")).during("taking a lock")
}

/// The scheduler of a server's database: its name, its machine when that is another one than the server, and since when.
#[cfg(feature = "postgres")]
pub(crate) async fn scheduler(
    connection: &impl ConnectionTrait,
) -> StoreResult<Option<(String, Option<String>, Option<DateTime<Utc>>)>> {
    let sql = "SELECT application_name AS name, host(client_addr) AS machine, xact_start AS since \
               FROM pg_locks JOIN pg_stat_activity USING (pid) \
               WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
               AND CAST(classid AS bigint) = $1 >> 32 AND CAST(objid AS bigint) = $1 & 4294967295";
    let action = "looking for a scheduler";
    let ask = Statement::from_sql_and_values(connection.get_database_backend(), sql, [SCHEDULER.into()]);
    let Some(row) = connection.query_one_raw(ask).await.during(action)? else { return Ok(None) };
    let (name, machine) = (row.try_get("", "name").during(action)?, row.try_get("", "machine").during(action)?);
    Ok(Some((name, machine, row.try_get("", "since").during(action)?)))
}

/// Claims a name of a server's database until the transaction ends.
#[cfg(feature = "postgres")]
pub(crate) async fn claim(connection: &impl ConnectionTrait, name: &str) -> StoreResult<()> {
    lock(connection, "SELECT pg_advisory_xact_lock(hashtextextended($1, 1))", name.into()).await
}

/// The same, if nobody else has claimed it.
#[cfg(feature = "postgres")]
pub(crate) async fn try_claim(connection: &impl ConnectionTrait, name: &str) -> StoreResult<bool> {
    let take = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 1)) AS taken";
    let take = Statement::from_sql_and_values(connection.get_database_backend(), take, [name.into()]);
    let row = connection.query_one_raw(take).await.during("taking a lock")?;
    row.map_or(Ok(false), |row| row.try_get("", "taken")).during("taking a lock")
}

/// Keeps a server from ending this transaction while its client is busy with something else.
pub(crate) async fn stay(connection: &impl ConnectionTrait) -> StoreResult<()> {
    if connection.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    let set = "SET LOCAL idle_in_transaction_session_timeout = 0";
    connection.execute_unprepared(set).await.during("beginning to read").map(drop)
}

async fn lock(connection: &impl ConnectionTrait, take: &str, key: sea_orm::Value) -> StoreResult<()> {
    let backend = connection.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(());
    }
    let statement = Statement::from_sql_and_values(backend, take, [key]);
    connection.query_all_raw(statement).await.during("taking a lock").map(drop)
}

/// Keeps everybody else from picking questions for this owner.
pub(crate) async fn lock_owner(connection: &impl ConnectionTrait, owner: &str, id: i64) -> StoreResult<()> {
    lock_all(connection, ALONE, [format!("{owner} {id}")]).await
}

/// Keeps everybody else from changing these players and what is derived about them.
pub(crate) async fn lock_players(connection: &impl ConnectionTrait, ids: &BTreeSet<UserId>) -> StoreResult<()> {
    lock_all(connection, ALONE, ids.iter().map(|id| format!("user {id}"))).await
}

/// Keeps everybody else from changing these sessions; from answering in them, too, when this one changes them.
pub(crate) async fn lock_sessions(
    connection: &impl ConnectionTrait,
    ids: &BTreeSet<SessionId>,
    changes: bool,
) -> StoreResult<()> {
    lock_all(connection, if changes { ALONE } else { SHARED }, ids.iter().map(|id| format!("session {id}"))).await
}

const ALONE: &str = "pg_advisory_xact_lock";
const SHARED: &str = "pg_advisory_xact_lock_shared";

/// Takes one lock for each name, in this order. They are locks of the server and not of rows: a distributed one locks
/// no rows on several hosts, and a row that is locked is a row that is written. Two names with one hash wait for each
/// other without need, and that is all.
async fn lock_all(
    connection: &impl ConnectionTrait,
    how: &str,
    names: impl IntoIterator<Item = String>,
) -> StoreResult<()> {
    let names: Vec<_> = names.into_iter().collect();
    if names.is_empty() {
        return Ok(());
    }
    let take = format!("SELECT {how}(hashtextextended(name, 0)) FROM string_to_table($1, ',') AS names (name)");
    lock(connection, &take, names.join(",").into()).await
}

/// Fails when a statement of the transaction has failed, whoever passed over that: a server takes COMMIT for ROLLBACK
/// then, and says nothing.
pub(crate) async fn is_whole(connection: &impl ConnectionTrait) -> StoreResult<()> {
    let ask = Statement::from_string(connection.get_database_backend(), "SELECT 1");
    connection.query_one_raw(ask).await.during("ending a unit of work").map(drop)
}

/// Refuses a schema that is no text: SQLite's driver panics over a name or type of a column that is none.
pub(crate) async fn require_text(connection: &impl ConnectionTrait) -> StoreResult<()> {
    let (backend, action) = (connection.get_database_backend(), "reading the schema");
    if backend != DbBackend::Sqlite {
        return Ok(());
    }
    let sql = "SELECT CAST(sql AS BLOB) AS definition FROM sqlite_schema WHERE sql IS NOT NULL";
    let rows = connection.query_all_raw(Statement::from_string(backend, sql)).await;
    for row in rows.during(action)? {
        let definition: Vec<u8> = row.try_get("", "definition").during(action)?;
        if let Err(error) = str::from_utf8(&definition) {
            return Err(StoreError::Corrupt {
                what: "the schema".to_owned(),
                reason: format!("it is no text: {error}"),
            });
        }
    }
    Ok(())
}

/// Names of the tables of the schema.
pub(crate) async fn tables(connection: &impl ConnectionTrait) -> StoreResult<Vec<String>> {
    let backend = connection.get_database_backend();
    let tables = match backend {
        DbBackend::Sqlite => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        }
        _ => {
            "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'"
        }
    };
    let rows = connection.query_all_raw(Statement::from_string(backend, tables)).await.during("listing tables")?;
    rows.iter().map(|row| row.try_get("", "name").during("listing tables")).collect()
}

/// Whether there is a table of this name.
pub(crate) async fn has_table(
    connection: &impl ConnectionTrait,
    name: &'static str,
    action: &'static str,
) -> StoreResult<bool> {
    let backend = connection.get_database_backend();
    let sql = match backend {
        DbBackend::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = $1",
        _ => {
            "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables \
             WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name = $1"
        }
    };
    let found = Statement::from_sql_and_values(backend, sql, [name.into()]);
    Ok(connection.query_one_raw(found).await.during(action)?.is_some())
}
