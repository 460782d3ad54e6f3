//! Where a game is copied to: what is there, and writing it.

use std::fs::File;

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend, DbErr, Statement,
    TransactionTrait,
};
use trivia_domain::{StoreError, StoreResult};

use super::row::Row;
use super::tables::Table;
use crate::database::{DatabaseOptions, connect_existing, translated, verify_settings, writer};
use crate::dialect::{self, Gate};
use crate::error::During;
use crate::repository::portions::portions;
use crate::repository::projection;
use crate::schema;

/// Rows that one transaction writes.
pub(super) const BATCH: usize = 2_048;
/// Rows that one statement removes: each is a condition of its own.
const REMOVED: usize = 200;
/// Tables that the steps of the schema fill.
const SEEDED: [&str; 4] = ["schema_version", "rule_book", "achievement_definitions", "commit_count"];

/// What is at the target before anything is done.
pub(super) struct Found {
    /// Steps of the schema that it lacks: all, or none unless an earlier attempt was interrupted.
    pub(super) pending: Vec<String>,
    /// Whether a copy into it was interrupted.
    pub(super) is_half: bool,
}

/// Looks at the target and changes nothing.
pub(super) async fn find(options: &DatabaseOptions) -> StoreResult<Found> {
    if options.url.file().is_some_and(|file| matches!(file.try_exists(), Ok(false))) {
        return Ok(Found { pending: schema::steps(), is_half: false });
    }
    let connection = connect_existing(options).await?;
    let found = look(&connection, options).await;
    connection.close().await.during("closing a connection")?;
    found
}

async fn look(connection: &DatabaseConnection, options: &DatabaseOptions) -> StoreResult<Found> {
    if options.url.file().is_none() {
        verify_settings(connection, options).await?;
    }
    let (status, is_half) = schema::status_of_half(connection, options).await?;
    let found = Found { pending: status.pending, is_half };
    if found.pending.is_empty() {
        return Ok(found);
    }
    // whatever has rows is somebody's
    for table in dialect::tables(connection).await?.iter().filter(|table| !SEEDED.contains(&table.as_str())) {
        let sql = format!("SELECT 1 FROM \"{}\" LIMIT 1", table.replace('"', "\"\""));
        let row = Statement::from_string(connection.get_database_backend(), sql);
        if connection.query_one_raw(row).await.during("looking at the target")?.is_none() {
            continue;
        }
        let what = options.url.name();
        return Err(if status.applied.is_empty() {
            StoreError::invalid("target", format!("{what} is used for something else: table {table} has rows"))
        } else {
            let behind = format!("its schema is {} behind this program", found.pending.len());
            StoreError::Incompatible { what, reason: behind }
        });
    }
    Ok(found)
}

/// The target while a game is copied into it; nobody else writes to it.
pub(super) struct Target<'a> {
    options: &'a DatabaseOptions,
    pub(super) name: String,
    writer: DatabaseConnection,
    /// Of a server: cursors need a transaction of their own.
    reader: Option<DatabaseConnection>,
    _lock: Option<File>,
}

/// What rows are read from.
pub(super) enum Reading<'a> {
    Connection(&'a DatabaseConnection),
    Transaction(DatabaseTransaction),
}

impl Reading<'_> {
    pub(super) fn executor(&self) -> DatabaseExecutor<'_> {
        match self {
            Self::Connection(connection) => DatabaseExecutor::Connection(connection),
            Self::Transaction(transaction) => DatabaseExecutor::Transaction(transaction),
        }
    }

    /// Gives the connection back; one that is only dropped comes back some time later.
    pub(super) async fn end(self) -> StoreResult<()> {
        match self {
            Self::Connection(_) => Ok(()),
            Self::Transaction(transaction) => transaction.rollback().await.during("reading the target"),
        }
    }
}

impl<'a> Target<'a> {
    /// Opens the target and keeps everybody else from writing to it.
    pub(super) async fn open(options: &'a DatabaseOptions) -> StoreResult<Self> {
        let name = options.url.name();
        if let Some(file) = options.url.file() {
            if writer(file).is_some() {
                return Err(StoreError::Busy { what: name });
            }
            let connection = connect_existing(options).await?;
            let lock = schema::lock(&connection, options).await?;
            // what the first transaction locks stays locked
            let locked =
                connection.execute_unprepared("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; COMMIT").await;
            let target = Self { options, name, writer: connection, reader: None, _lock: lock };
            target.explained(locked).await?;
            return Ok(target);
        }
        let connection = connect_existing(options).await?;
        let lock = schema::lock(&connection, options).await?;
        dialect::lock_gate(&connection).await?;
        let reader = connect_existing(options).await?;
        Ok(Self { options, name, writer: connection, reader: Some(reader), _lock: lock })
    }

    /// What there is to read now. On a file it changes with what is written, behind the row that was read last.
    pub(super) async fn read(&self) -> StoreResult<Reading<'_>> {
        let Some(reader) = &self.reader else { return Ok(Reading::Connection(&self.writer)) };
        let moment = dialect::reading(reader.get_database_backend());
        let transaction = reader.begin_with_options(moment).await.during("reading the target")?;
        dialect::stay(&transaction).await?;
        Ok(Reading::Transaction(transaction))
    }

    /// Says that the target is half of a game until [`finish`](Self::finish).
    pub(super) async fn mark(&self) -> StoreResult<()> {
        schema::mark(&self.writer, true).await
    }

    /// Writes rows in the place of those with the same key.
    pub(super) async fn put(&self, table: &Table, rows: Vec<Row>) -> StoreResult<()> {
        let backend = self.writer.get_database_backend();
        let statements = portions(rows, backend).map(|rows| table.put(rows, backend)).collect::<Result<_, _>>();
        self.run(table, statements.during("writing a statement")?).await
    }

    /// Removes rows.
    pub(super) async fn remove(&self, table: &Table, rows: &[Row]) -> StoreResult<()> {
        let backend = self.writer.get_database_backend();
        self.run(table, rows.chunks(REMOVED).map(|rows| table.remove(rows, backend)).collect()).await
    }

    /// Runs statements in one transaction.
    async fn run(&self, table: &Table, statements: Vec<Statement>) -> StoreResult<()> {
        if statements.is_empty() {
            return Ok(());
        }
        let begun = self.writer.begin_with_options(dialect::writing(self.writer.get_database_backend())).await;
        let transaction = self.explained(begun).await?;
        // if the connection is another one by now, this is what keeps others out
        dialect::enter(&transaction, Gate::Alone).await?;
        for statement in statements {
            let done = transaction.execute_raw(statement).await;
            if let Err(error) = self.explained(done).await {
                tracing::debug!(table = table.name, %error, "rows were not copied");
                return Err(error);
            }
        }
        self.explained(transaction.commit().await).await
    }

    /// Makes it ready for the game, after everything was copied.
    pub(super) async fn finish(&self, tables: &[&Table]) -> StoreResult<()> {
        let backend = self.writer.get_database_backend();
        if backend != DbBackend::Sqlite {
            for table in tables.iter().filter(|table| table.is_numbered) {
                let number = Statement::from_string(backend, table.number_on());
                self.writer.query_one_raw(number).await.during("numbering new rows")?;
            }
            // on a server no facts wait
            projection::catch_up_alone(&self.writer).await?;
            self.writer.execute_unprepared("ANALYZE").await.during("looking at what was copied")?;
        }
        schema::mark(&self.writer, false).await
    }

    pub(super) const fn is_server(&self) -> bool {
        self.reader.is_some()
    }

    pub(super) async fn close(self) -> StoreResult<()> {
        if let Some(reader) = self.reader {
            reader.close().await.during("closing a connection")?;
        }
        self.writer.close().await.during("closing a connection")
    }

    /// Errors that say what is used up.
    async fn explained<T>(&self, result: Result<T, DbErr>) -> StoreResult<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => Err(translated(error, &self.options.url).await),
        }
    }
}
