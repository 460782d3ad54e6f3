//! The import itself: records from a reading thread, questions into the store.

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use trivia_domain::ports::{Store, UnitOfWork, Work, execute};
use trivia_domain::{StoreError, StoreResult};

use super::addition::Target;
use super::error::ImportError;
use super::files::{Search, Source};
use super::report::{Diagnostic, ImportReport, Tally};
use super::{Assumed, Format, Record};

/// Questions that are added at once.
const BATCH: usize = 2_000;
/// Bytes after which a batch is full in any case.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;

/// How to import.
#[derive(Clone)]
pub struct ImportOptions<'a> {
    /// Take every file for this format.
    pub format: Option<Format>,
    /// What the files do not say.
    pub assumed: Assumed,
    /// Write nothing unless every record is a question.
    pub strict: bool,
    /// Write nothing, and say what would be written.
    pub dry_run: bool,
    /// Largest file in bytes.
    pub max_file_bytes: u64,
    /// Gets every diagnostic as a line of JSON, and last the counts. What it held before is lost.
    pub journal: Option<&'a File>,
    /// Is told now and then how far the import is.
    pub progress: &'a (dyn Fn(Progress) + Sync),
}

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Records read so far.
    pub records: u64,
    /// Bytes read so far.
    pub bytes: u64,
    /// Bytes of all files.
    pub of_bytes: u64,
}

impl Default for ImportOptions<'_> {
    fn default() -> Self {
        Self {
            format: None,
            assumed: Assumed::default(),
            strict: false,
            dry_run: false,
            max_file_bytes: 1 << 30,
            journal: None,
            progress: &|_| {},
        }
    }
}

/// Adds the questions of files and folders to a store.
///
/// Without `strict` and `dry_run` it goes in steps of some thousand questions, each of which is
/// written or not; an import that was interrupted is repeated as a whole.
///
/// # Errors
/// [`ImportError`]; with `strict` also when a record was rejected.
pub async fn import(
    store: &dyn Store,
    paths: &[PathBuf],
    options: ImportOptions<'_>,
) -> Result<ImportReport, ImportError> {
    let search = Search {
        forced: options.format,
        is_table: options.assumed.columns.is_some(),
        strict: options.strict,
        max_bytes: options.max_file_bytes,
    };
    let paths = paths.to_vec();
    let (sources, unknown) = spawn_blocking(move || search.run(&paths)).await??;
    let import = Import { sources, unknown, options, undone: Mutex::default() };
    if !import.options.strict && !import.options.dry_run {
        return import.load(Target::Store(store)).await;
    }
    match execute(store, &import).await {
        Ok(report) => Ok(report),
        Err(error) => import.undone.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(Err(error.into())),
    }
}

/// An import with all that it needs to begin again.
struct Import<'a> {
    sources: Vec<Source>,
    unknown: Vec<Diagnostic>,
    options: ImportOptions<'a>,
    /// The result of a run that must not be written.
    undone: Mutex<Option<Result<ImportReport, ImportError>>>,
}

#[async_trait]
impl Work for Import<'_> {
    type Output = ImportReport;

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<ImportReport> {
        *self.undone.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let undone = match self.load(Target::Work(uow)).await {
            Ok(report) if self.options.strict && report.total.rejected > 0 => {
                Err(ImportError::Rejected { report: Box::new(report) })
            }
            Ok(report) if !self.options.dry_run => return Ok(report),
            // the store must see its own errors: it may run the work again
            Err(ImportError::Store(error)) => return Err(error),
            other => other,
        };
        *self.undone.lock().unwrap_or_else(PoisonError::into_inner) = Some(undone);
        Err(StoreError::invalid("import", "it is not to be written"))
    }
}

impl Import<'_> {
    async fn load(&self, target: Target<'_>) -> Result<ImportReport, ImportError> {
        let mut tally = Tally::new(&self.sources, self.options.journal)?;
        for diagnostic in &self.unknown {
            tally.unread(diagnostic.clone())?;
        }
        let of_bytes = self.sources.iter().map(|source| source.bytes).sum();
        let (sources, assumed) = (self.sources.clone(), self.options.assumed.clone());
        let (sender, mut batches) = mpsc::channel(1);
        let reader = spawn_blocking(move || read(&sources, &assumed, &sender));
        while let Some(batch) = batches.recv().await {
            tally.add(batch.records, self.options.assumed.pack.as_ref(), target).await?;
            (self.options.progress)(Progress { records: tally.read(), bytes: batch.bytes, of_bytes });
        }
        reader.await??;
        tally.finish()
    }
}

/// Records that were read together.
struct Batch {
    records: Vec<Record>,
    /// Bytes read up to here, over all files.
    bytes: u64,
}

/// Reads all files into batches. It ends when nobody takes them any more.
fn read(sources: &[Source], assumed: &Assumed, batches: &mpsc::Sender<Batch>) -> Result<(), ImportError> {
    let mut records = Vec::new();
    let mut sent = 0;
    let mut before = 0;
    for (number, source) in sources.iter().enumerate() {
        let mut file = source.open(number, assumed)?;
        while let Some(record) = file.next() {
            records.push(record?);
            let bytes = before + file.bytes();
            if records.len() >= BATCH || bytes - sent >= BATCH_BYTES {
                if batches.blocking_send(Batch { records: std::mem::take(&mut records), bytes }).is_err() {
                    return Ok(());
                }
                sent = bytes;
            }
        }
        before += file.bytes();
    }
    // when nobody takes the last one, nobody waits for it either
    let _ = batches.blocking_send(Batch { records, bytes: before });
    Ok(())
}
