//! Backups of a database on a PostgreSQL server: dumps of `pg_dump`, with the same manifest, places and checks as those
//! of files.
//!
//! A dump and what its manifest says are of one moment: one transaction exports its snapshot, `pg_dump` works in it, and
//! the same transaction counts and digests the rows.

mod content;
mod programs;
mod replacement;
mod restore;
mod scratch;

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, TransactionTrait};
use trivia_domain::model::{
    BackupId, BackupInfo, BackupKind, BackupManifest, DumpOrigin, RetentionPolicy, Verification,
};
use trivia_domain::ports::{BackupService, Clock, Phase, Progress, RestoreReport};
use trivia_domain::{StoreError, StoreResult};

use self::content::{contents, contents_of_dump};
use self::programs::Programs;
use self::scratch::Scratch;
use super::content::{Contents, differences};
use super::drill::try_out;
use super::progress::while_growing;
use super::shelf::{Engine, Made, Opened};
use super::{BackupOptions, Shelf};
use crate::database::{Core, Database, DatabaseOptions, connect_existing};
use crate::dialect;
use crate::error::During;

const BACKING_UP: &str = "making a backup";

/// Backups of a database on a PostgreSQL server. Clones share them.
///
/// They need `pg_dump` and `pg_restore`, on the path or where packages put them, as new as the server or newer; restores
/// and drills need the right to make databases (`CREATEDB`).
#[derive(Clone)]
pub struct PostgresBackups {
    options: DatabaseOptions,
    shelf: Shelf,
    /// The database, when this process has it open.
    core: Option<Arc<Core>>,
}

impl PostgresBackups {
    /// For a database that this process has not open; a path alone names a directory.
    #[must_use]
    pub fn new(options: DatabaseOptions, backups: impl Into<BackupOptions>, clock: Arc<dyn Clock>) -> Self {
        Self { options, shelf: Shelf::new(backups.into(), clock), core: None }
    }

    /// For a database that this process has open.
    #[must_use]
    pub fn attached(database: &Database, backups: impl Into<BackupOptions>) -> Self {
        let core = Arc::clone(database.core());
        let backups = Self::new(core.options.clone(), backups, Arc::clone(&core.clock));
        Self { core: Some(core), ..backups }
    }

    /// The same, telling somebody how far it is.
    #[must_use]
    pub fn showing(self, progress: Arc<dyn Progress>) -> Self {
        Self { shelf: self.shelf.showing(progress), ..self }
    }

    /// Dumps the database as it is now.
    async fn copy(&self, kind: BackupKind, reason: &str) -> StoreResult<BackupInfo> {
        let connection = connect_existing(&self.options).await?;
        let copied = self.copy_through(&connection, kind, reason).await;
        if let Err(error) = connection.close().await {
            tracing::warn!(%error, "a connection was not closed properly");
        }
        copied
    }

    async fn copy_through(
        &self,
        connection: &impl TransactionTrait<Transaction = DatabaseTransaction>,
        kind: BackupKind,
        reason: &str,
    ) -> StoreResult<BackupInfo> {
        let created_at = self.shelf.clock.now();
        let moment = dialect::reading(DbBackend::Postgres);
        let moment = connection.begin_with_options(moment).await.during(BACKING_UP)?;
        // the dump may take longer than the digests
        dialect::stay(&moment).await?;
        let (origin, snapshot, bytes) = origin(&moment).await?;
        let programs = Programs::find(&origin.server).await?;
        let origin = DumpOrigin { program: programs.version.clone(), ..origin };
        let draft = self.shelf.begin().await?;
        let copy = draft.copy();
        let dump = programs.dump(&self.options.url)?.args(&["--format=custom", "--no-sync"]);
        let dump = if self.shelf.compresses() { dump.arg("--compress=0") } else { dump };
        let dump = dump
            .arg(format!("--snapshot={snapshot}"))
            .arg(format!("--schema=\"{}\"", origin.schema.replace('"', "\"\"")))
            .arg(format!("--lock-wait-timeout={}", self.options.busy_timeout.as_millis()))
            .arg("--file")
            .arg(copy.as_os_str());
        let name = self.options.url.name();
        let dumped = while_growing(&*self.shelf.progress, (Phase::Copy, &copy, bytes), dump.finish(&name));
        let (dumped, contents) = tokio::join!(dumped, contents(&moment));
        let contents = contents?;
        dumped?;
        moment.rollback().await.during(BACKING_UP)?;
        if contents.rows.is_empty() {
            return Err(StoreError::Incompatible { what: name, reason: "it has no tables to back up".to_owned() });
        }
        self.shelf.progress.at(Phase::Check, 0, None);
        let (found, sealed) = tokio::join!(contents_of_dump(&programs, &copy), self.shelf.pack(&draft));
        let (found, sealed) = (found?, sealed?);
        if found.rows != contents.rows || found.schema_version != contents.schema_version {
            let reason = "the dump has other rows than the database had at its moment".to_owned();
            return Err(StoreError::Corrupt { what: copy.display().to_string(), reason });
        }
        let made = Made { kind, reason: reason.to_owned(), created_at, contents, dump: Some(origin) };
        self.shelf.publish(draft, made, sealed).await
    }
}

/// What a manifest says about the server, the name of the snapshot of a transaction, and the size of the database.
async fn origin(moment: &DatabaseTransaction) -> StoreResult<(DumpOrigin, String, Option<u64>)> {
    let sql = "SELECT split_part(current_setting('server_version'), ' ', 1) AS server, \
               CAST(current_schema() AS TEXT) AS schema, pg_export_snapshot() AS snapshot, \
               pg_database_size(current_database()) AS bytes";
    let row = moment.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.during(BACKING_UP)?;
    let row = row.ok_or_else(|| StoreError::backend(BACKING_UP, "the server says nothing"))?;
    let text = |column: &str| row.try_get::<String>("", column).during(BACKING_UP);
    let bytes: i64 = row.try_get("", "bytes").during(BACKING_UP)?;
    let origin = DumpOrigin { server: text("server")?, program: String::new(), schema: text("schema")? };
    Ok((origin, text("snapshot")?, u64::try_from(bytes).ok()))
}

/// Where a backup comes from that is known to be a dump.
fn origin_of(opened: &Opened) -> StoreResult<&DumpOrigin> {
    let what = || format!("backup {}", opened.manifest.id);
    let foreign = || StoreError::Incompatible { what: what(), reason: "it is no dump of a server".to_owned() };
    opened.manifest.dump.as_ref().ok_or_else(foreign)
}

#[async_trait]
impl Engine for PostgresBackups {
    fn foreign(&self, manifest: &BackupManifest) -> Option<String> {
        let is_file = manifest.dump.is_none();
        is_file.then(|| "it is a file of SQLite, and this database is on a server".to_owned())
    }

    async fn examine(&self, opened: &Opened) -> StoreResult<Contents> {
        let programs = Programs::find(&origin_of(opened)?.program).await?;
        contents_of_dump(&programs, &opened.file).await
    }

    async fn rehearse(&self, opened: Opened) -> StoreResult<Vec<String>> {
        let scratch = Scratch::make(&self.options).await?;
        let rehearsed = async {
            self.fill(&scratch, &opened).await?;
            let options = scratch.options.clone();
            try_out(&options, options.url.clone(), &self.shelf.clock).await
        };
        let rehearsed = rehearsed.await;
        scratch.remove().await;
        rehearsed
    }
}

impl PostgresBackups {
    /// Restores a backup into a scratch database, and proves that it has what the manifest says.
    async fn fill(&self, scratch: &Scratch, opened: &Opened) -> StoreResult<()> {
        let origin = origin_of(opened)?;
        let programs = Programs::find(&origin.program).await?;
        scratch.load(&programs, opened, origin, None).await?;
        let found = scratch.contents().await?;
        match differences(found, &opened.manifest).into_iter().next() {
            None => Ok(()),
            Some(reason) => Err(StoreError::Corrupt { what: format!("backup {}", opened.manifest.id), reason }),
        }
    }
}

#[async_trait]
impl BackupService for PostgresBackups {
    async fn create(&self, kind: BackupKind, reason: &str) -> StoreResult<BackupInfo> {
        Shelf::require_short(reason)?;
        let _shown = self.shelf.shown();
        match kind {
            BackupKind::Daily | BackupKind::Weekly => self.shelf.once(kind, self.copy(kind, reason)).await,
            _ => self.copy(kind, reason).await,
        }
    }

    async fn list(&self) -> StoreResult<Vec<BackupInfo>> {
        self.shelf.catalog.list().await
    }

    async fn verify(&self, id: &BackupId) -> StoreResult<Verification> {
        let _shown = self.shelf.shown();
        self.shelf.verify(self, id).await
    }

    async fn drill(&self, id: &BackupId) -> StoreResult<Verification> {
        let _shown = self.shelf.shown();
        self.shelf.drill(self, id).await
    }

    async fn restore(&self, id: &BackupId) -> StoreResult<RestoreReport> {
        let (backups, id, _shown) = (self.clone(), id.clone(), self.shelf.shown());
        // a task of its own: a caller who goes away must not leave a scratch database
        let done = tokio::spawn(async move { backups.bring_back(&id).await }).await;
        done.unwrap_or_else(|error| Err(StoreError::backend("restoring", error)))
    }

    async fn prune(&self, policy: &RetentionPolicy) -> StoreResult<Vec<BackupId>> {
        let _shown = self.shelf.shown();
        self.shelf.prune(self, policy).await
    }
}
