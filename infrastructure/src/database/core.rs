//! The connections, and what everything that uses them shares.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[cfg(feature = "postgres")]
use sea_orm::DbBackend;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbErr, Statement, TransactionTrait};
use tokio::sync::{OwnedRwLockReadGuard, OwnedSemaphorePermit, RwLock, Semaphore};
use trivia_domain::play::RuleBook;
use trivia_domain::ports::{Clock, RandomSource};
use trivia_domain::{StoreError, StoreResult};

use super::connect::{Access, verify_settings};
use super::line::{Lease, Line, Reader};
use super::transaction::Statements;
use super::{DatabaseOptions, Durability, Head, Monitor, Watch, health, retry, shortage};
use crate::dialect;
use crate::error::{During, translate};
use crate::read_model::ReadModel;
use crate::repository::projection;
use crate::schema;

/// How long to wait before the files are opened anew once more.
const RENEWAL: Duration = Duration::from_secs(1);
/// How often to look whether a connection has come back, and between two looks.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);

/// What repositories, writer and maintenance share.
pub(crate) struct Core {
    pub(crate) options: DatabaseOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
    /// The rules that were read last, with the revision that the database gave them.
    pub(crate) rules: Mutex<Option<(i64, Arc<RuleBook>)>>,
    pub(crate) monitor: Monitor,
    pub(crate) model: Arc<ReadModel>,
    pub(crate) head: Head,
    /// When all connections were closed to open the files anew.
    pub(crate) renewed: Mutex<Option<Instant>>,
    /// `None` while closed or while a restore swaps the file.
    pub(crate) pools: Arc<RwLock<Option<Pools>>>,
}

/// The connections.
pub(crate) struct Pools {
    writer: DatabaseConnection,
    /// Those who may write at a time. They wait here, in the order of asking, and not for a connection.
    turns: Arc<Semaphore>,
    writers: u32,
    reader: Reader,
    replica: Option<Reader>,
    line: Line,
}

/// A lasting right to read; held until it is dropped.
pub(crate) type ReaderGuard = OwnedRwLockReadGuard<Option<Pools>, Reader>;

/// Transactions of this process that may write at a time on a server: moves, and units of work beside them.
const WRITERS: u32 = 4;

impl Core {
    /// Connections that read what was written last.
    pub(crate) async fn reader(&self) -> StoreResult<ReaderGuard> {
        let pools = Arc::clone(&self.pools).read_owned().await;
        let reader = OwnedRwLockReadGuard::try_map(pools, |pools| pools.as_ref().map(|pools| &pools.reader));
        let reader = reader.map_err(|_| self.closed())?;
        reader.line.follow().await?;
        Ok(reader)
    }

    /// Connections for what may be a moment old; `None` when there is no replica, or none that answers.
    pub(crate) async fn replica(&self) -> Option<ReaderGuard> {
        let pools = Arc::clone(&self.pools).read_owned().await;
        let replica = OwnedRwLockReadGuard::try_map(pools, |pools| pools.as_ref()?.replica.as_ref()).ok()?;
        match replica.line.follow().await {
            Ok(()) => Some(replica),
            Err(error) => {
                tracing::debug!(%error, "the primary is read instead of a replica");
                None
            }
        }
    }

    /// Queries of one moment.
    pub(crate) async fn view(self: &Arc<Self>, guard: ReaderGuard, what: &'static str) -> StoreResult<View> {
        let (inner, lease) = guard.begin().await.during(what)?;
        Ok(View { statements: Statements::new(self, inner, lease), _guard: guard })
    }

    /// A writing connection, in the order of asking: of a file there is one.
    pub(crate) async fn writer(&self) -> StoreResult<WriterGuard> {
        let pools = Arc::clone(&self.pools).read_owned().await;
        let open = pools.as_ref().ok_or_else(|| self.closed())?;
        let (connection, turns, line) = (open.writer.clone(), Arc::clone(&open.turns), open.line.clone());
        let turn = turns.acquire_owned().await.map_err(|_| self.closed())?;
        line.follow().await?;
        Ok(WriterGuard { connection, line, _turn: turn, _pools: pools })
    }

    /// Whether the database is on a server, where other hosts write, too. Nothing is kept in memory then, and what
    /// follows from a fact is stored with it.
    pub(crate) fn is_shared(&self) -> bool {
        self.options.url.file().is_none()
    }

    /// Stops all writing when an error says that the file is damaged. It may have been the disk for a moment, so the
    /// database looks at itself, and writes again if it finds nothing.
    pub(crate) fn stop_if_damaged(self: &Arc<Self>, error: &StoreError) {
        if self.monitor.stop_if_damaged(error) {
            tokio::spawn(health::look_again(Arc::clone(self)));
        }
    }

    /// The result of a statement, whose error says what is used up when the disk is the cause.
    pub(crate) async fn explained<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => Err(shortage::explain(error, self.options.url.path()).await),
        }
    }

    /// Closes all connections, so that SQLite opens the files anew: what it may do with them is decided then, for all
    /// connections of a process together. Not more often than [`RENEWAL`], because all others wait meanwhile.
    pub(super) async fn renew(&self) {
        {
            let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            if renewed.is_some_and(|at| at.elapsed() < RENEWAL) {
                return;
            }
            *renewed = Some(Instant::now());
        }
        let pools = self.pools.write().await;
        let Some(pools) = pools.as_ref() else { return };
        tracing::info!(database = self.name(), "it could only be read, all connections are opened anew");
        pools.drain().await;
        if let Err(error) = self.follow(pools).await {
            tracing::warn!(%error, "nothing is kept in memory");
            self.model.follow(None);
        }
    }

    /// Lets the read model follow the database that is open now, and looks whether it has all commits that were noted.
    pub(crate) async fn follow(&self, pools: &Pools) -> StoreResult<()> {
        let Some(file) = self.options.url.file() else {
            self.model.follow(None);
            return Ok(());
        };
        // without `full`, the last commits may go with the power
        let forgive = self.options.durability == Durability::Normal;
        match self.head.follow(&pools.reader.connection, forgive).await? {
            Some(loss) if forgive => tracing::warn!(database = self.name(), loss, "its durability is `normal`"),
            Some(loss) => drop(self.monitor.stop(&self.name(), &loss)),
            None => {}
        }
        let watch = Watch::open(file);
        if let Err(error) = &watch {
            tracing::debug!(database = self.name(), %error, "nothing is kept in memory: commits cannot be watched");
        }
        self.model.follow(watch.ok());
        Ok(())
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
            if let Err(error) = vacuumed {
                return Err(shortage::translated(error, &self.options.url).await);
            }
        }
        // readers of an earlier moment would keep the log: wait for those of this process
        let pools = self.pools.write().await;
        let writer = &pools.as_ref().ok_or_else(|| self.closed())?.writer;
        let emptied = writer
            .query_one_raw(Statement::from_string(writer.get_database_backend(), "PRAGMA wal_checkpoint(TRUNCATE)"));
        let emptied = self.explained(emptied.await).await.map_err(|error| translate(error, &self.name()));
        let row = emptied?.ok_or_else(busy)?;
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
    line: Line,
    _turn: OwnedSemaphorePermit,
    _pools: OwnedRwLockReadGuard<Option<Pools>>,
}

/// What the database is at one moment.
pub(crate) struct View {
    // dropped in this order
    pub(super) statements: Statements,
    _guard: ReaderGuard,
}

impl Deref for View {
    type Target = Statements;
    fn deref(&self) -> &Statements {
        &self.statements
    }
}

impl WriterGuard {
    /// Begins a transaction, with some patience when another process writes.
    pub(super) async fn begin(&self, monitor: &Monitor) -> Result<(DatabaseTransaction, Lease), DbErr> {
        let options = dialect::writing(self.connection.get_database_backend());
        let begin = || self.connection.begin_with_options(options);
        self.line.insist(|| retry::while_busy(monitor, begin)).await
    }
}

impl Pools {
    /// Opens all connections, after looking at the schema.
    pub(crate) async fn open(options: &DatabaseOptions) -> StoreResult<Self> {
        let line = Line::open(options).await?;
        schema::require_current(options).await?;
        let writers = if options.url.file().is_some() { 1 } else { WRITERS };
        let writer = line.pool(options, writers, Access::Write).await?;
        let reader = Reader::open(line.clone(), options).await?;
        verify_settings(&writer, options).await?;
        let replica = match Line::to_replicas(options)? {
            Some(line) => Some(Reader::open(line, options).await?),
            None => None,
        };
        Ok(Self { writer, turns: Arc::new(Semaphore::new(writers as usize)), writers, reader, replica, line })
    }

    /// Waits for what is under way and closes all connections.
    pub(crate) async fn close(self) -> StoreResult<()> {
        for reader in [Some(self.reader), self.replica].into_iter().flatten() {
            reader.connection.close().await.during("closing the readers")?;
        }
        let writer = self.writer;
        if let Err(error) = projection::catch_up_alone(&writer).await {
            // nothing is lost: the facts are in the ledger
            tracing::warn!(%error, "what follows from the newest facts is stored at the next start");
        }
        writer.close().await.during("closing the writer")
    }

    /// Closes the connections to a file; the next statements open others. Nobody may be using one.
    async fn drain(&self) {
        for pool in [&self.writer, &self.reader.connection].map(DatabaseConnection::get_sqlite_connection_pool) {
            for _ in 0..TRIES {
                match pool.try_acquire() {
                    Some(connection) => drop(connection.close().await),
                    None if pool.size() == 0 => break,
                    // one that was just let go is on its way back
                    None => tokio::time::sleep(PAUSE).await,
                }
            }
        }
    }

    /// Connections that write, and those of all that do nothing now.
    pub(crate) fn figures(&self) -> (u32, u32) {
        (self.writers, idle(&self.reader.connection) + idle(&self.writer))
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
