//! One attempt to adopt bytes of a stranger: for the fuzz target, and for the test that reads damaged copies of the
//! corpus where there is no fuzzer.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use trivia_domain::StoreError;
use trivia_domain::model::{AdoptionReport, ServerClock};
use trivia_infrastructure::{DatabaseOptions, DatabaseUrl, Durability, SqliteAdoption, SystemClock};

/// What stands between a database and its log in one input.
const LOGS: [(&str, &[u8]); 2] = [("-wal", b"\n-wal\n"), ("-journal", b"\n-journal\n")];

/// Adopts a database, and the log that may follow it, into a fresh folder.
///
/// # Panics
/// When the source is not as it was, when a refusal leaves a database or does not say what is wrong with the file.
pub(crate) fn adopt(bytes: &[u8]) -> Result<AdoptionReport, StoreError> {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a folder");
    let old = dir.path().join("old.db");
    let log = LOGS.iter().find_map(|(suffix, mark)| {
        let at = bytes.windows(mark.len()).position(|window| window == *mark)?;
        Some((dir.path().join(format!("old.db{suffix}")), at, &bytes[at + mark.len()..]))
    });
    let database = log.as_ref().map_or(bytes, |(_, at, _)| &bytes[..*at]);
    fs::write(&old, database).expect("a file");
    if let Some((path, _, log)) = &log {
        fs::write(path, log).expect("a file");
    }

    let new = dir.path().join("new.db");
    let mut options = DatabaseOptions::new(DatabaseUrl::of_file(&new));
    options.durability = Durability::Normal;
    let adoption = SqliteAdoption::new(options, dir.path().join("backups"), Arc::new(SystemClock));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let adopted = runtime.block_on(adoption.adopt(&old, ServerClock::UTC));

    assert!(fs::read(&old).expect("the source") == database, "the source was changed");
    if let Some((path, _, log)) = &log {
        assert!(fs::read(path).expect("its log") == *log, "the log of the source was changed");
    }
    match &adopted {
        Ok(report) => assert!(new.is_file() && report.backup.is_some(), "no new database, or no backup of it"),
        Err(StoreError::Incompatible { .. } | StoreError::Corrupt { .. }) => {
            let mut left = fs::read_dir(dir.path()).expect("the folder").flatten().map(|entry| entry.file_name());
            let strange = left.find(|name| !name.to_string_lossy().starts_with("old.db"));
            assert_eq!(strange, None, "left behind by a refusal");
        }
        Err(other) => panic!("it is not said what is wrong with the file: {other:?}"),
    }
    adopted
}
