//! Noticing that a database file was written to, by any process, without asking SQLite.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Bytes of the header of a WAL index. It is there twice, one after the other:
/// <https://sqlite.org/walformat.html#the_wal_index_file_format>.
const HEADER: usize = 48;

/// A moment of a database: every commit, of whichever process, makes another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment([u8; HEADER]);

impl Moment {
    /// Whether exactly one commit lies between the two.
    pub(crate) fn follows(&self, earlier: &Self) -> bool {
        self.commits() == earlier.commits().wrapping_add(1)
    }

    /// The counter of commits in the header.
    fn commits(&self) -> u32 {
        u32::from_ne_bytes([self.0[8], self.0[9], self.0[10], self.0[11]])
    }
}

/// Device and inode.
type Identity = (u64, u64);

/// The WAL index of one database.
pub(crate) struct Watch(Arc<File>);

impl Watch {
    /// Looks at a database that is open with a write-ahead log.
    pub(crate) fn open(database: &Path) -> io::Result<Self> {
        // A process that closes a file loses all of its locks on it, and SQLite has locks on this one. So
        // each stays open until it is gone from its directory: then nobody has the database open any more.
        static OPEN: OnceLock<Mutex<HashMap<Identity, Arc<File>>>> = OnceLock::new();

        let mut name = database.as_os_str().to_owned();
        name.push("-shm");
        let mut open = OPEN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, file| file.metadata().is_ok_and(|data| data.nlink() > 0));
        let data = fs::metadata(&name)?;
        if let Some(file) = open.get(&(data.dev(), data.ino())) {
            return Ok(Self(Arc::clone(file)));
        }
        let file = Arc::new(File::open(&name)?);
        let data = file.metadata()?;
        open.insert((data.dev(), data.ino()), Arc::clone(&file));
        Ok(Self(file))
    }

    /// The present moment; `None` while somebody is writing the header.
    pub(crate) fn now(&self) -> Option<Moment> {
        let mut both = [0; 2 * HEADER];
        self.0.read_exact_at(&mut both, 0).ok()?;
        let (first, second) = both.split_at(HEADER);
        if first != second {
            return None;
        }
        first.try_into().ok().map(Moment)
    }
}
