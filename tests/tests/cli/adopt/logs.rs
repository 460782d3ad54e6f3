//! A database of the original whose process died: what lies beside it is part of it.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use super::{OFFSET, ROWS, adopt, assert_rows, original, texts};
use crate::bench::{Bench, alter, contents};

// negative ids and infinite numbers are put right
const SUMS: &str = "SELECT concat_ws('|', COUNT(*), CAST(SUM(total_points) AS INTEGER)) FROM users WHERE user_id > 0 AND user_id NOT IN (21, 605)";
const POINTS: &str = "SELECT CAST(total_points AS TEXT) FROM users WHERE user_id = 601";

/// Runs SQL on a database with the original's driver, which is killed behind it. `None` where there is no Python.
fn kill_behind(path: &Path, sql: &str) -> Option<()> {
    let script = "import os, sqlite3, sys\n\
                  database = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                  database.executescript(sys.argv[2])\n\
                  os.kill(os.getpid(), 9)";
    match Command::new("python3").args(["-c", script]).arg(path).arg(sql).output() {
        Ok(ended) => {
            assert_eq!(ended.status.signal(), Some(9), "{}", String::from_utf8_lossy(&ended.stderr));
            Some(())
        }
        Err(error) => {
            eprintln!("SKIPPED: python3 does not run ({error}), so nobody can be killed");
            None
        }
    }
}

/// Adopts `old/trivia.db` into a new database, without touching anything beside it, and then where it is.
async fn adopts(bench: &Bench, log: &str, sql: &str, expected: &[String]) {
    let before = contents(&bench.path("old"));
    assert_rows(&adopt(bench, &bench.path("old/trivia.db")), &ROWS);
    assert!(contents(&bench.path("old")) == before, "the source was touched");
    assert_eq!(texts(&bench.path("data/trivia.db"), sql).await, expected);

    let log = fs::read(bench.path(log)).unwrap();
    let report = bench.json([&["adopt", "old/trivia.db", "--in-place"][..], &OFFSET].concat());
    assert_eq!(texts(&bench.path("old/trivia.db"), sql).await, expected);
    let kept = contents(&bench.path(report["original"].as_str().unwrap()));
    assert!(kept.iter().any(|(_, content)| *content == log), "the log was not kept with the original");
}

#[tokio::test]
async fn l20_a_transaction_that_was_killed_in_its_middle_never_was() {
    let bench = Bench::empty();
    let file = original(&bench, "old/trivia.db").await;
    alter(&file, "PRAGMA journal_mode = DELETE").await;
    let expected = texts(&file, SUMS).await;
    let before = fs::read(&file).unwrap();
    // so small a cache that half of the transaction is in the file already
    let sql = "PRAGMA cache_size = 1; BEGIN; UPDATE users SET total_points = total_points + 7777; \
               DELETE FROM weekly_rankings; UPDATE questions SET explanation = hex(zeroblob(3000))";
    let Some(()) = kill_behind(&file, sql) else { return };
    assert!(fs::read(&file).unwrap() != before && bench.path("old/trivia.db-journal").exists());
    adopts(&bench, "old/trivia.db-journal", SUMS, &expected).await;
}

#[tokio::test]
async fn l20_what_was_committed_to_the_log_is_taken() {
    let bench = Bench::empty();
    let file = original(&bench, "old/trivia.db").await;
    let sql = "PRAGMA wal_autocheckpoint = 0; UPDATE users SET total_points = 4321 WHERE user_id = 601; \
               PRAGMA cache_size = 1; BEGIN; UPDATE users SET total_points = 9999 WHERE user_id = 601; \
               UPDATE questions SET explanation = hex(zeroblob(3000))";
    let Some(()) = kill_behind(&file, sql) else { return };
    assert!(fs::metadata(bench.path("old/trivia.db-wal")).unwrap().len() > 10_000);
    adopts(&bench, "old/trivia.db-wal", POINTS, &["4321".to_owned()]).await;
}
