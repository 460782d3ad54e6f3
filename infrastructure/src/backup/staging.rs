//! The local directory where backups are made and opened before they are anywhere else.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use trivia_domain::StoreResult;

use super::catalog::plausible;
use super::files::{Scratch, create_dir, create_new, failed};

/// Names of drafts; the number behind it is the sequence that the draft takes.
const DRAFT: &str = ".tmp-";
/// Names of places where a backup is opened or tried out.
const DRILL_PLACE: &str = ".drill-";
const LOCK: &str = ".lock";
const COPY: &str = "db";
const PACKED: &str = "packed";

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct Staging {
    path: PathBuf,
}

/// A backup in the making. Dropping it leaves nothing.
#[derive(Debug)]
pub(super) struct Draft {
    scratch: Scratch,
    pub(super) sequence: u64,
}

impl Draft {
    /// The empty file that takes the copy.
    pub(super) fn copy(&self) -> PathBuf {
        self.scratch.file(COPY)
    }

    /// The file that takes what becomes of the copy.
    pub(super) fn packed(&self) -> PathBuf {
        self.scratch.file(PACKED)
    }
}

impl Staging {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A file to lock while no other process may make a backup of the same day or week.
    pub(super) fn lock_file(&self) -> StoreResult<File> {
        create_dir(&self.path)?;
        let path = self.path.join(LOCK);
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed(&path))
    }

    /// Starts a backup with a sequence that no other draft has and that is higher than `published`; `None` when
    /// another process was faster.
    pub(super) fn begin(&self, published: u64) -> StoreResult<Option<Draft>> {
        create_dir(&self.path)?;
        let sequence = published.max(self.highest_draft()?) + 1;
        let Some(scratch) = Scratch::claim(self.path.join(format!("{DRAFT}{sequence:06}")))? else { return Ok(None) };
        if let Err(error) = scratch.sweep(|name| sequence_of(name).is_some()) {
            tracing::warn!(path = %self.path.display(), %error, "interrupted attempts could not be removed");
        }
        create_new(&scratch.file(COPY))?;
        Ok(Some(Draft { scratch, sequence }))
    }

    fn highest_draft(&self) -> StoreResult<u64> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(failed(&self.path)(error)),
        };
        let mut highest = 0;
        for entry in entries {
            let name = entry.map_err(failed(&self.path))?.file_name();
            highest = highest.max(name.to_str().and_then(sequence_of).unwrap_or(0));
        }
        Ok(highest)
    }

    /// A directory for a drill, or for a backup that has to be opened.
    pub(super) fn drill_place(&self) -> StoreResult<Scratch> {
        Scratch::numbered(&self.path, DRILL_PLACE)
    }
}

/// The sequence in the name of a draft.
fn sequence_of(name: &str) -> Option<u64> {
    plausible(name.strip_prefix(DRAFT)?)
}
