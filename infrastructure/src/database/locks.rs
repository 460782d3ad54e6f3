//! Whether somebody uses a database, without asking SQLite.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Another process that has a database open to write to it, whether it has a lock or not. Where the system does not
/// tell, and of other people's processes only an administrator's sees any, there is none.
pub(crate) fn writer(database: &Path) -> Option<u32> {
    let database = fs::metadata(database).ok()?;
    let is_it = |entry: &fs::DirEntry| {
        // the mode of the link says what the file was opened for
        entry.metadata().is_ok_and(|link| link.mode() & 0o200 != 0)
            && fs::metadata(entry.path()).is_ok_and(|file| (file.dev(), file.ino()) == (database.dev(), database.ino()))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    ids.filter(|id| *id != std::process::id()).find(|id| {
        let open = fs::read_dir(format!("/proc/{id}/fd"));
        open.is_ok_and(|mut open| open.any(|entry| entry.is_ok_and(|entry| is_it(&entry))))
    })
}

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
