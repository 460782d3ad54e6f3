//! Why an import fails.

use std::io;
use std::path::PathBuf;

use tokio::task::JoinError;
use trivia_domain::StoreError;

use super::report::ImportReport;

/// Why an import did not happen or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No format fits.
    #[error("the format of {} is not known", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file is larger than allowed.
    #[error("{} has {bytes} bytes, {max} are allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A strict import met a record that is no question. The report says what would have been done.
    #[error("{} of {} records were rejected; nothing was written", report.total.rejected, report.total.read)]
    Rejected {
        /// All that was found.
        report: Box<ImportReport>,
    },
    /// The file for all diagnostics cannot be written.
    #[error("cannot write the report: {0}")]
    Journal(#[source] io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The reading thread ended without a result.
    #[error("reading stopped: {0}")]
    Reader(#[from] JoinError),
}

impl ImportError {
    /// The next step for a person who sees this error.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "check the path and the permissions; what was imported before is kept",
            Self::UnknownFormat { .. } => "name the format with --format",
            Self::TooLarge { .. } => "split the file",
            Self::Journal(_) => "check the directory, permissions and space, and import again: nothing is added twice",
            Self::Rejected { .. } => "correct the records, or import without --strict",
            Self::Store(error) => error.hint(),
            Self::Reader(_) => "import again: questions that are there already are not added twice",
        }
    }
}
