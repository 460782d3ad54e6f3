//! Files in a local directory as a [`ByteStore`]: private, on the disk before they are there, and never a link.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use trivia_domain::ports::{ByteStore, Phase, Progress, StoredObject, check_object_name};
use trivia_domain::{StoreError, StoreResult};

use super::files::{
    Scratch, blocking, corrupt, create_dir, create_new, failed, open_regular, read_limited, sync_dir, sync_file,
    write_new,
};

/// Names of attempts at small objects.
const WRITING: &str = ".new-";
/// The file in such an attempt.
const CONTENT: &str = "content";

/// A directory on this machine.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// It is made when the first file is stored.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The file of an object.
    fn named(&self, name: &str) -> StoreResult<PathBuf> {
        check_object_name(name)?;
        Ok(self.path.join(name))
    }
}

#[async_trait]
impl ByteStore for Directory {
    fn place(&self, name: &str) -> String {
        let path = if name.is_empty() { self.path.clone() } else { self.path.join(name) };
        path.display().to_string()
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        self.named(name).ok()
    }

    async fn list(&self) -> StoreResult<Vec<StoredObject>> {
        let path = self.path.clone();
        blocking(move || list(&path)).await
    }

    async fn read(&self, name: &str, limit: u64) -> StoreResult<Option<Vec<u8>>> {
        let path = self.named(name)?;
        blocking(move || read_limited(&path, limit)).await
    }

    async fn fetch(
        &self,
        name: &str,
        target: &Path,
        limit: u64,
        progress: &Arc<dyn Progress>,
    ) -> StoreResult<Option<u64>> {
        let (path, target) = (self.named(name)?, target.to_owned());
        let fetched = blocking(move || {
            let Some(file) = open_regular(&path)? else { return Ok(None) };
            let mut copy = create_new(&target)?;
            let copied = io::copy(&mut io::Read::take(file, limit.saturating_add(1)), &mut copy);
            let copied = copied.and_then(|bytes| copy.sync_all().map(|()| bytes)).map_err(failed(&target))?;
            if copied > limit {
                return Err(corrupt(&path, &format!("it is longer than {limit} bytes")));
            }
            Ok(Some(copied))
        });
        let fetched = fetched.await?;
        fetched.inspect(|bytes| progress.at(Phase::Fetch, *bytes, Some(*bytes)));
        Ok(fetched)
    }

    async fn store(&self, name: &str, source: &Path, progress: &Arc<dyn Progress>) -> StoreResult<()> {
        let (dir, path, source, name) = (self.path.clone(), self.named(name)?, source.to_owned(), name.to_owned());
        let stored = blocking(move || {
            create_dir(&dir)?;
            let bytes = fs::metadata(&source).map_err(failed(&source))?.len();
            sync_file(&source)?;
            let claimed = match rename_new(&source, &path) {
                Err(error) if error.kind() == ErrorKind::CrossesDevices => {
                    let place = Scratch::numbered(&dir, WRITING)?;
                    let copy = place.file(CONTENT);
                    let mut target = create_new(&copy)?;
                    let copied = File::open(&source).and_then(|mut file| io::copy(&mut file, &mut target));
                    copied.and_then(|_| target.sync_all()).map_err(failed(&path))?;
                    rename_new(&copy, &path)
                }
                claimed => claimed,
            };
            claimed.map_err(taken(&name, &path))?;
            sync_dir(&dir)?;
            Ok(bytes)
        });
        let bytes = stored.await?;
        progress.at(Phase::Store, bytes, Some(bytes));
        Ok(())
    }

    async fn write(&self, name: &str, content: &[u8]) -> StoreResult<()> {
        let (dir, path, content, name) = (self.path.clone(), self.named(name)?, content.to_owned(), name.to_owned());
        blocking(move || {
            let place = Scratch::numbered(&dir, WRITING)?;
            write_new(&place.file(CONTENT), &content)?;
            rename_new(&place.file(CONTENT), &path).map_err(taken(&name, &path))?;
            sync_dir(&dir)
        })
        .await
    }

    async fn delete(&self, name: &str) -> StoreResult<()> {
        let (dir, path) = (self.path.clone(), self.named(name)?);
        blocking(move || match fs::remove_file(&path) {
            Ok(()) => sync_dir(&dir),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(&path)(error)),
        })
        .await
    }
}

/// The regular files; none when there is no directory.
fn list(dir: &Path) -> StoreResult<Vec<StoredObject>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(dir)(error)),
    };
    let mut objects = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed(dir))?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // of the entry itself, never of what a link points to
        match entry.metadata() {
            Ok(file) if file.is_file() && check_object_name(&name).is_ok() => {
                objects.push(StoredObject { name, bytes: file.len() });
            }
            Ok(_) => {}
            // deleted since it was seen
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&entry.path())(error)),
        }
    }
    Ok(objects)
}

/// Gives a file another name unless that is taken.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // a file system that cannot do both in one step
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match fs::symlink_metadata(to) {
            Ok(_) => Err(ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => fs::rename(from, to),
            Err(error) => Err(error),
        },
        renamed => Ok(renamed?),
    }
}

/// That a name is taken is no failure of the system.
fn taken(name: &str, path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |error| match error.kind() {
        ErrorKind::AlreadyExists => StoreError::conflict("object", name),
        _ => failed(path)(error),
    }
}
