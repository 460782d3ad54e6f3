//! What is used up when something cannot be written: the disk, a quota, or a limit on files.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{OFlags, statvfs};
use rustix::process::{Resource, getrlimit};
use sea_orm::DbErr;
use trivia_domain::StoreError;

use super::DatabaseUrl;
use super::head::beside;
use crate::error::{FULL, is_full, is_shortage, is_unwritten, translate, with_shortage};

/// So many bytes are more than SQLite writes at once.
const PROBE: usize = 64 << 10;

/// The same error, and what is used up if that is its cause. SQLite tells only a full disk from a broken one, so a few
/// pages are written beside the file to see what the system says.
pub(crate) async fn explain(error: DbErr, path: &Path) -> DbErr {
    if !is_unwritten(&error) {
        return error;
    }
    let (path, is_full) = (path.to_owned(), is_full(&error));
    let look = move || shortage(&path).or_else(|| is_full.then(|| (ErrorKind::StorageFull, left(&path))));
    match tokio::task::spawn_blocking(look).await {
        Ok(Some((kind, reason))) => with_shortage(kind, reason),
        _ => error,
    }
}

/// An error about a database as the port's.
pub(crate) async fn translated(error: DbErr, url: &DatabaseUrl) -> StoreError {
    translate(explain(error, url.path()).await, &url.name())
}

/// The error of a whole work on a database, and what is used up if that is its cause.
pub(crate) async fn explained(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::DiskFull { what, reason } if reason == FULL => {
            StoreError::DiskFull { what, reason: format!("{FULL}, {}", left(path)) }
        }
        StoreError::Backend { context, source } => match source.downcast::<DbErr>() {
            Ok(error) if is_unwritten(&error) => {
                let name = path.display().to_string();
                let what = if context.contains(&name) { context } else { format!("{context} at {name}") };
                translate(explain(*error, path).await, &what)
            }
            Ok(error) => StoreError::Backend { context, source: error },
            Err(source) => StoreError::Backend { context, source },
        },
        other => other,
    }
}

/// What is used up where a database is.
fn shortage(path: &Path) -> Option<(ErrorKind, String)> {
    if let Some(limit) = getrlimit(Resource::Fsize).current {
        let length = |suffix| beside(path, suffix).metadata().map_or(0, |file| file.len());
        let longest = ["", "-wal", "-shm"].into_iter().map(length).max().unwrap_or(0);
        if longest + PROBE as u64 > limit {
            let reason = format!("this process may write {limit} bytes to a file (`ulimit -f`)");
            return Some((ErrorKind::FileTooLarge, reason));
        }
    }
    let error = probe(path.parent()?).err().filter(|error| is_shortage(error.kind()))?;
    Some((error.kind(), format!("{error}; {}", left(path))))
}

/// Writes some bytes to a file without a name, which is gone with its descriptor.
fn probe(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let nameless = OFlags::TMPFILE.bits().cast_signed();
    let mut file = OpenOptions::new().write(true).custom_flags(nameless).mode(0o600).open(dir)?;
    file.write_all(&[0; PROBE])?;
    file.sync_all()
}

/// The bytes that are free where a file is, for messages.
pub(crate) fn left(path: &Path) -> String {
    let dir = path.parent().unwrap_or(path);
    free(dir).map_or_else(|| "its disk is full".to_owned(), |bytes| format!("{bytes} bytes are free on its disk"))
}

/// Bytes that we may still write in a directory, or where it will be made; nothing when that is not known.
pub(super) fn free(place: &Path) -> Option<u64> {
    // a relative path may have an empty parent
    let there = place.ancestors().map(|dir| if dir.as_os_str().is_empty() { Path::new(".") } else { dir });
    let found = there.filter(|dir| dir.is_dir()).find_map(|dir| statvfs(dir).ok())?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
