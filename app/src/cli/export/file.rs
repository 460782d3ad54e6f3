//! Files that are there completely or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::Failure;

/// A file that appears under its name when it is complete, for this user alone.
pub(in crate::cli) struct NewFile {
    file: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    replace: bool,
}

impl NewFile {
    /// Starts it under another name.
    pub(in crate::cli) fn create(path: &Path, replace: bool, tag: u64) -> Result<Self, Failure> {
        if !replace && path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{tag:016x}.tmp"));
        let temporary = path.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = file.map_err(|error| unwritten(path, error))?;
        Ok(Self { file: BufWriter::new(file), temporary, path: path.to_owned(), replace })
    }

    /// Adds to it.
    pub(in crate::cli) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| unwritten(&self.path, error))
    }

    /// The file itself, for who writes all of it.
    pub(in crate::cli) fn get_ref(&self) -> &File {
        self.file.get_ref()
    }

    /// Lets it appear.
    pub(in crate::cli) fn publish(mut self) -> Result<(), Failure> {
        let written = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        let published = written.and_then(|()| {
            // unlike a rename, a link never replaces what another program has put there meanwhile
            if self.replace {
                fs::rename(&self.temporary, &self.path)
            } else {
                fs::hard_link(&self.temporary, &self.path)
            }
        });
        published.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&self.path),
            _ => unwritten(&self.path, error),
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // it is gone already after a rename
        let _ = fs::remove_file(&self.temporary);
    }
}

fn exists(path: &Path) -> Failure {
    Failure::new(format!("{} exists already", path.display()), "choose another name, or add --force to replace it")
}

fn unwritten(path: &Path, error: io::Error) -> Failure {
    Failure::because(format!("cannot write {}", path.display()), "check the directory, permissions and space", error)
}
