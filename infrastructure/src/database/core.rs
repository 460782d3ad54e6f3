//! The connections, and what everything that uses them shares.

use std::sync::{Arc, Mutex};

#[cfg(feature = "postgres")]
use sea_orm::DbBackend;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement};
use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit, RwLock, Semaphore};
use trivia_domain::play::RuleBook;
use trivia_domain::ports::{Clock, RandomSource};
use trivia_domain::{StoreError, StoreResult};

use super::connect::{Access, connect, require, verify_settings};
use super::{DatabaseOptions, Monitor, Watch, retry};
use crate::error::{During, translate};
use crate::read_model::ReadModel;
use crate::repository::projection;
use crate::schema;

/// What repositories, writer and maintenance share.
pub(crate) struct Core {
    pub(crate) options: DatabaseOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
    /// The rules that were read last, with the revision that the database gave them.
    pub(crate) rules: Mutex<Option<(i64, Arc<RuleBook>)>>,
    pub(crate) monitor: Monitor,
    pub(crate) model: Arc<ReadModel>,
    /// `None` while closed or while a restore swaps the file.
    pub(crate) pools: Arc<RwLock<Option<Pools>>>,
}

/// The connections.
pub(crate) struct Pools {
    writer: DatabaseConnection,
    /// Those who may write at a time. They wait here, in the order of asking, and not for a connection.
    turns: Arc<Semaphore>,
    writers: u32,
    reader: DatabaseConnection,
}

/// Transactions of this process that may write at a time on a server: moves, and units of work beside them.
const WRITERS: u32 = 4;

impl Core {
    /// A reading connection pool; held until the guard is dropped.
    pub(crate) async fn reader(&self) -> StoreResult<OwnedRwLockReadGuard<Option<Pools>, DatabaseConnection>> {
        let pools = Arc::clone(&self.pools).read_owned().await;
        OwnedRwLockReadGuard::try_map(pools, |pools| pools.as_ref().map(|pools| &pools.reader))
            .map_err(|_| self.closed())
    }

    /// A writing connection, in the order of asking: of a file there is one.
    pub(crate) async fn writer(&self) -> StoreResult<WriterGuard> {
        let pools = Arc::clone(&self.pools).read_owned().await;
        let open = pools.as_ref().ok_or_else(|| self.closed())?;
        let (connection, turns) = (open.writer.clone(), Arc::clone(&open.turns));
        let turn = turns.acquire_owned().await.map_err(|_| self.closed())?;
        Ok(WriterGuard { connection, _turn: turn, _pools: pools })
    }

    /// Whether the database is on a server, where other hosts write, too. Nothing is kept in memory then, and what
    /// follows from a fact is stored with it.
    pub(crate) fn is_shared(&self) -> bool {
        self.options.url.file().is_none()
    }

    /// Lets the read model follow the database that is open now.
    pub(crate) fn follow(&self) {
        let Some(file) = self.options.url.file() else { return self.model.follow(None) };
        let watch = Watch::open(file);
        if let Err(error) = &watch {
            tracing::debug!(database = self.name(), %error, "nothing is kept in memory: commits cannot be watched");
        }
        self.model.follow(watch.ok());
    }

    /// Writes the file anew, so that nothing is left in unused parts of it, and empties the log. A server does that by
    /// itself, later (`VACUUM`); its log is the business of who runs it.
    pub(crate) async fn scrub(&self) -> StoreResult<()> {
        if self.is_shared() {
            return Ok(());
        }
        let busy = || StoreError::Busy { what: self.name() };
        {
            let writer = self.writer().await?;
            let vacuumed = retry::while_busy(&self.monitor, || writer.connection.execute_unprepared("VACUUM")).await;
            vacuumed.map_err(|error| translate(error, &self.name()))?;
        }
        // readers of an earlier moment would keep the log: wait for those of this process
        let pools = self.pools.write().await;
        let writer = &pools.as_ref().ok_or_else(|| self.closed())?.writer;
        let emptied = writer
            .query_one_raw(Statement::from_string(writer.get_database_backend(), "PRAGMA wal_checkpoint(TRUNCATE)"));
        let row = emptied.await.map_err(|error| translate(error, &self.name()))?.ok_or_else(busy)?;
        let is_busy: i64 = row.try_get("", "busy").during("emptying the log")?;
        if is_busy == 0 { Ok(()) } else { Err(busy()) }
    }

    /// A transaction that could not begin.
    pub(crate) fn not_begun(&self, error: DbErr) -> StoreError {
        match error {
            // nobody of this process has more than his share of the connections, so the server gives none
            DbErr::ConnectionAcquire(_) if self.is_shared() => {
                StoreError::Unreachable { what: self.name(), reason: "it gives no connection in time".to_owned() }
            }
            error => translate(error, &self.name()),
        }
    }

    fn closed(&self) -> StoreError {
        StoreError::backend(format!("using {}", self.options.url), "it is closed")
    }

    /// The file or the server, for messages.
    pub(crate) fn name(&self) -> String {
        self.options.url.name()
    }
}

/// A writing connection and the right to use it.
pub(crate) struct WriterGuard {
    pub(crate) connection: DatabaseConnection,
    _turn: OwnedSemaphorePermit,
    _pools: OwnedRwLockReadGuard<Option<Pools>>,
}

impl Pools {
    /// Opens all connections, after looking at the schema.
    pub(crate) async fn open(options: &DatabaseOptions) -> StoreResult<Self> {
        require(options)?;
        schema::require_current(options).await?;
        let writers = if options.url.file().is_some() { 1 } else { WRITERS };
        let writer = connect(options, writers, Access::Write).await?;
        let reader = connect(options, options.readers.max(1), Access::Read).await?;
        verify_settings(&writer, options).await?;
        Ok(Self { writer, turns: Arc::new(Semaphore::new(writers as usize)), writers, reader })
    }

    /// Waits for what is under way and closes all connections.
    pub(crate) async fn close(self) -> StoreResult<()> {
        self.reader.close().await.during("closing the readers")?;
        let writer = self.writer;
        if let Err(error) = projection::catch_up_alone(&writer).await {
            // nothing is lost: the facts are in the ledger
            tracing::warn!(%error, "what follows from the newest facts is stored at the next start");
        }
        writer.close().await.during("closing the writer")
    }

    /// Connections that write, and those of all that do nothing now.
    pub(crate) fn figures(&self) -> (u32, u32) {
        (self.writers, idle(&self.reader) + idle(&self.writer))
    }
}

fn idle(connection: &DatabaseConnection) -> u32 {
    let (idle, size) = match connection.get_database_backend() {
        #[cfg(feature = "postgres")]
        DbBackend::Postgres => {
            let pool = connection.get_postgres_connection_pool();
            (pool.num_idle(), pool.size())
        }
        _ => {
            let pool = connection.get_sqlite_connection_pool();
            (pool.num_idle(), pool.size())
        }
    };
    // the driver's count can be off for a moment, even below zero
    u32::try_from(idle).unwrap_or(0).min(size)
}
