//! The files of a database as they were found: copied before anything looks at them, with their digests.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use trivia_domain::{StoreError, StoreResult};

use super::super::files::{Scratch, create_dir, create_new, failed, measure, sync_dir, write_new};
use super::super::swap::{COMPANIONS, refuse_if_locked};
use crate::database::beside;

/// Directory of the copies, inside that of the backups. Retention never looks into it.
pub(super) const FORENSICS: &str = "forensics";
const DRAFT: &str = ".tmp-";
/// What `sha256sum -c` reads.
const CHECKSUMS: &str = "SHA256SUMS";
/// Rows that were refused, one JSON object a line.
const QUARANTINE: &str = "quarantine.jsonl";

/// Copies of a database and of what SQLite keeps beside it. Dropping them leaves nothing.
#[derive(Debug)]
pub(in crate::backup) struct Frozen {
    draft: Scratch,
    root: PathBuf,
    seal: Seal,
}

/// What the files of a database were like when they were copied.
#[derive(Debug)]
pub(in crate::backup) struct Seal {
    live: PathBuf,
    files: Vec<Sealed>,
}

#[derive(Debug)]
struct Sealed {
    /// What its name has behind that of the database.
    suffix: &'static str,
    name: String,
    length: u64,
    sha256: String,
}

impl Frozen {
    /// Copies the files of a database that nobody has open into a directory of their own in `root`.
    pub(in crate::backup) fn take(live: &Path, root: PathBuf) -> StoreResult<Self> {
        refuse_if_locked(live)?;
        create_dir(&root)?;
        let mut number = 1_u32;
        let draft = loop {
            match Scratch::claim(root.join(format!("{DRAFT}{number}")))? {
                Some(draft) => break draft,
                None => number += 1,
            }
        };
        if let Err(error) = draft.sweep(|name| name.starts_with(DRAFT)) {
            tracing::warn!(path = %root.display(), %error, "interrupted attempts could not be removed");
        }
        let mut files = Vec::new();
        for suffix in [""].into_iter().chain(COMPANIONS) {
            let source = beside(live, suffix);
            let Some(mut from) = open(&source)? else { continue };
            let name = source.file_name().unwrap_or_default().display().to_string();
            let target = draft.file(&name);
            let mut to = create_new(&target)?;
            io::copy(&mut from, &mut to).and_then(|_| to.sync_all()).map_err(failed(&target))?;
            let (length, sha256) = measure(&target, File::open(&target).map_err(failed(&target))?)?;
            files.push(Sealed { suffix, name, length, sha256 });
        }
        if files.is_empty() {
            return Err(StoreError::missing("database", live.display()));
        }
        let sums: String = files.iter().map(|file| format!("{}  {}\n", file.sha256, file.name)).collect();
        write_new(&draft.file(CHECKSUMS), sums.as_bytes())?;
        let seal = Seal { live: live.to_owned(), files };
        seal.refuse_if_changed()?;
        Ok(Self { draft, root, seal })
    }

    /// The copy of the database, or of what has this behind its name.
    pub(super) fn file(&self, suffix: &str) -> Option<PathBuf> {
        self.seal.files.iter().find(|file| file.suffix == suffix).map(|file| self.draft.file(&file.name))
    }

    /// The file for refused rows.
    pub(super) fn quarantine(&self) -> PathBuf {
        self.draft.file(QUARANTINE)
    }

    /// Copies once more what SQLite needs, to be worked on.
    pub(in crate::backup) fn copy_to(&self, target: &Path) -> StoreResult<()> {
        // -shm is made anew from the log
        for suffix in ["", "-wal", "-journal"] {
            let target = beside(target, suffix);
            if let Some(file) = self.file(suffix) {
                fs::copy(&file, &target).map_err(failed(&target))?;
            }
        }
        Ok(())
    }

    /// Keeps the copies for good; returns their directory, and what was copied.
    pub(in crate::backup) fn publish(self, stamp: &str) -> StoreResult<(PathBuf, Seal)> {
        let names = (1_u32..).map(|number| match number {
            1 => self.root.join(stamp),
            number => self.root.join(format!("{stamp}-{number}")),
        });
        let name = names.into_iter().find(|name| !name.exists()).unwrap_or_else(|| self.root.join(stamp));
        sync_dir(&self.draft.file(""))?;
        self.draft.publish(&name)?;
        Ok((name, self.seal))
    }
}

impl Seal {
    /// `Busy` when somebody uses the database, or has used it since it was copied.
    pub(in crate::backup) fn refuse_if_changed(&self) -> StoreResult<()> {
        refuse_if_locked(&self.live)?;
        for suffix in [""].into_iter().chain(COMPANIONS) {
            let path = beside(&self.live, suffix);
            let now = match open(&path)? {
                Some(file) => Some(measure(&path, file)?),
                None => None,
            };
            let then = self.files.iter().find(|file| file.suffix == suffix);
            if now != then.map(|file| (file.length, file.sha256.clone())) {
                return Err(StoreError::Busy { what: self.live.display().to_string() });
            }
        }
        Ok(())
    }
}

/// Opens a file of the database; `None` when there is none. Nobody in this process may have it open: closing
/// it drops SQLite's locks.
fn open(path: &Path) -> StoreResult<Option<File>> {
    // looked at first: opening a pipe waits for somebody who writes to it
    match fs::metadata(path) {
        Ok(seen) if seen.is_file() => File::open(path).map(Some).map_err(failed(path)),
        Ok(_) => Err(StoreError::ReadOnly { what: path.display().to_string(), reason: "it is no file".to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}
