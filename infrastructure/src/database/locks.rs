//! Whether somebody uses a database, without asking SQLite.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether a process, also this one, has a lock on a database or on the index of its log. Where the system does not
/// tell, nobody is seen.
pub(crate) fn is_locked(database: &Path) -> bool {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut index = database.as_os_str().to_owned();
    index.push("-shm");
    [database, Path::new(&index)].into_iter().filter_map(|file| fs::metadata(file).ok()).any(|file| {
        let (device, inode) = (file.dev(), file.ino());
        let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
        let held = format!("{major:02x}:{minor:02x}:{inode}");
        locks.split_whitespace().any(|field| field == held)
    })
}
