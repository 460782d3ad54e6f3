//! Files, with the care that backups need: private, new, regular, on the disk.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use trivia_domain::{StoreError, StoreResult};

use crate::database::left;
use crate::error::is_shortage;

/// An attempt that nobody has touched for so long is dead.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Runs file work where it does not hold up other tasks.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> StoreResult<T> + Send + 'static,
) -> StoreResult<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(StoreError::backend("working with files", error)))
}

/// Names the file that the system complains about.
pub(super) fn failed(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| {
        let what = path.display().to_string();
        match error.kind() {
            kind if is_shortage(kind) => StoreError::DiskFull { what, reason: format!("{error}; {}", left(path)) },
            ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotADirectory
            | ErrorKind::AlreadyExists => StoreError::ReadOnly { what, reason: error.to_string() },
            _ => StoreError::backend(format!("using {what}"), error),
        }
    }
}

/// A directory of our own that belongs to one attempt and goes with it. Its name is a claim:
/// no two attempts, of whatever process, get the same.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Claims a name; `None` when another attempt has it.
    pub(super) fn claim(path: PathBuf) -> StoreResult<Option<Self>> {
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Some(Self { path })),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            Err(error) => Err(failed(&path)(error)),
        }
    }

    /// Claims the first free name of a prefix and a number in a directory, which is made when there is none, and
    /// removes what dead attempts of the same prefix left there.
    pub(super) fn numbered(dir: &Path, prefix: &str) -> StoreResult<Self> {
        create_dir(dir)?;
        let mut number = 1_u32;
        let claimed = loop {
            match Self::claim(dir.join(format!("{prefix}{number}")))? {
                Some(claimed) => break claimed,
                None => number += 1,
            }
        };
        if let Err(error) = claimed.sweep(|name| name.starts_with(prefix)) {
            tracing::warn!(path = %dir.display(), %error, "interrupted attempts could not be removed");
        }
        Ok(claimed)
    }

    /// A file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Gives it a name of its own, so that it stays.
    pub(super) fn publish(self, name: &Path) -> StoreResult<()> {
        fs::rename(&self.path, name).map_err(failed(name))?;
        // what would be cleaned up is not there any more
        std::mem::forget(self);
        sync_dir(name.parent().unwrap_or(Path::new("/")))
    }

    /// Removes what dead attempts left beside this one. The ages are those that the file system
    /// gave, so a wrong clock removes nothing that is under way.
    pub(super) fn sweep(&self, is_ours: impl Fn(&str) -> bool) -> io::Result<()> {
        let now = fs::metadata(&self.path)?.modified()?;
        let Some(parent) = self.path.parent() else { return Ok(()) };
        for entry in fs::read_dir(parent)? {
            let entry = entry?;
            // of the entry itself, never of what a link points to
            let metadata = entry.metadata()?;
            let dead = now.duration_since(metadata.modified()?).is_ok_and(|age| age > ABANDONED);
            if dead && metadata.is_dir() && entry.file_name().to_str().is_some_and(&is_ours) {
                fs::remove_dir_all(entry.path())?;
                tracing::warn!(path = %entry.path().display(), "removed what an interrupted attempt left");
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "an attempt could not be cleaned up");
        }
    }
}

/// Makes a directory and its parents, for us alone, where there is none.
pub(super) fn create_dir(path: &Path) -> StoreResult<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed(path))
}

/// Makes a file for us alone that was not there.
pub(super) fn create_new(path: &Path) -> StoreResult<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed(path))
}

/// Writes a new file down to the disk.
pub(super) fn write_new(path: &Path, content: &[u8]) -> StoreResult<()> {
    let mut file = create_new(path)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(failed(path))
}

/// Opens a regular file that has this one name; `None` when there is none. A link or a pipe that
/// somebody put in its place is refused.
pub(super) fn open_regular(path: &Path) -> StoreResult<Option<File>> {
    let seen = match fs::symlink_metadata(path) {
        Ok(seen) => seen,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path)(error)),
    };
    let refused = |reason: &str| corrupt(path, reason);
    if !seen.is_file() || seen.nlink() != 1 {
        return Err(refused("it is a link or no regular file"));
    }
    let file = File::open(path).map_err(failed(path))?;
    let opened = file.metadata().map_err(failed(path))?;
    if (opened.dev(), opened.ino()) != (seen.dev(), seen.ino()) {
        return Err(refused("it was exchanged while it was opened"));
    }
    Ok(Some(file))
}

/// Reads a file that a stranger may have written.
pub(super) fn read_limited(path: &Path, limit: u64) -> StoreResult<Option<Vec<u8>>> {
    let Some(file) = open_regular(path)? else { return Ok(None) };
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).map_err(failed(path))?;
    if content.len() as u64 > limit {
        return Err(corrupt(path, &format!("it is longer than {limit} bytes")));
    }
    Ok(Some(content))
}

/// Makes the content of a file last.
pub(super) fn sync_file(path: &Path) -> StoreResult<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed(path))
}

/// Makes the names in a directory last.
pub(super) fn sync_dir(path: &Path) -> StoreResult<()> {
    sync_file(path)
}

/// SHA-256 of some bytes in hexadecimal.
pub(super) fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// Length and SHA-256 of what is left of a file.
pub(super) fn measure(path: &Path, mut file: File) -> StoreResult<(u64, String)> {
    let (mut digest, mut length) = (Sha256::new(), 0);
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((length, hex(&digest.finalize()))),
            Ok(read) => {
                digest.update(&buffer[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(path)(error)),
        }
    }
}

/// Puts a file of ours on the disk; returns its length and SHA-256.
pub(super) fn seal(path: &Path) -> StoreResult<(u64, String)> {
    sync_file(path)?;
    measure(path, File::open(path).map_err(failed(path))?)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // writing to a string cannot fail
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A finding about a file.
pub(super) fn corrupt(path: &Path, reason: &str) -> StoreError {
    StoreError::Corrupt { what: path.display().to_string(), reason: reason.to_owned() }
}
