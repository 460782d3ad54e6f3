//! What is not taken over: a clear error, and nothing is changed.

use std::fs;
use std::process::Command;

use sea_orm::ConnectionTrait;

use super::{OFFSET, original};
use crate::bench::{Bench, alter, connect, contents};

/// Adopting this file fails with these words, and leaves everything as it was.
#[track_caller]
fn refused(bench: &Bench, file: &str, words: &[&str]) {
    let before = contents(bench.dir.path());
    bench.run([&["adopt", file, "--database-url", "sqlite://new.db"][..], &OFFSET].concat()).expect_error(1, words);
    bench.run([&["adopt", file, "--in-place"][..], &OFFSET].concat()).expect_error(1, words);
    assert!(contents(bench.dir.path()) == before, "{file}: files changed");
}

#[tokio::test]
async fn a_file_that_is_no_database_of_the_original_is_refused() {
    let bench = Bench::ready();
    bench.write("empty.db", "");
    bench.write("notes.db", "these are my holiday notes\n".repeat(1_000));
    bench.write("other.db", "");
    alter(&bench.path("other.db"), "CREATE TABLE pets (name TEXT)").await;
    fs::create_dir(bench.path("folder.db")).unwrap();
    for (file, word) in [
        ("empty.db", "it is empty"),
        ("notes.db", "it is not a SQLite database"),
        ("other.db", "it is not a database of the original system"),
        ("data/trivia.db", "it is a database of this program already"),
        ("folder.db", "it is no file"),
        ("nowhere.db", "nowhere.db does not exist"),
    ] {
        refused(&bench, file, &[file, word]);
    }
    // only now: comparing would read it, and wait for ever
    assert!(Command::new("mkfifo").arg(bench.path("pipe.db")).status().unwrap().success());
    bench.run(["adopt", "pipe.db", "--database-url", "sqlite://new.db"]).expect_error(1, &["pipe.db", "it is no file"]);
}

#[tokio::test]
async fn a_schema_that_the_original_did_not_make_is_refused() {
    for (change, word) in [
        ("INSERT INTO schema_version VALUES (2, NULL)", "version 2 of the original's schema is not known"),
        ("DELETE FROM schema_version", "it has no version"),
        ("ALTER TABLE users ADD COLUMN timezone TEXT", "timezone"),
        ("CREATE TABLE user_preferences (user_id INTEGER)", "a table user_preferences"),
        ("CREATE VIEW spy AS SELECT 1", "a view spy"),
        ("CREATE TRIGGER spy AFTER INSERT ON users BEGIN SELECT 1; END", "a trigger spy"),
        ("DROP TABLE weekly_rankings", "no table weekly_rankings"),
        ("CREATE VIRTUAL TABLE words USING fts5(word)", "a table words"),
        ("DROP TABLE weekly_rankings; CREATE VIEW weekly_rankings AS SELECT 1", "weekly_rankings"),
        (
            "DROP TABLE user_achievements; CREATE TABLE user_achievements (id INTEGER PRIMARY KEY AUTOINCREMENT, \
             user_id INTEGER NOT NULL, achievement_id TEXT NOT NULL, unlocked_at TIMESTAMP)",
            "table user_achievements is not declared as the original did",
        ),
        (
            "INSERT INTO users (user_id, preferred_difficulty) VALUES (700, hex(zeroblob(200000)))",
            "row 700 of users is longer than 262144 bytes",
        ),
    ] {
        let bench = Bench::empty();
        let file = original(&bench, "old.db").await;
        alter(&file, &format!("PRAGMA foreign_keys = OFF; {change}")).await;
        refused(&bench, "old.db", &["old.db", word, "nothing was changed"]);
    }
    // indexes of an administrator do no harm
    let bench = Bench::empty();
    let file = original(&bench, "old.db").await;
    let more = "CREATE INDEX idx_rate ON questions (CAST(times_correct AS REAL) / NULLIF(times_asked, 0)); ANALYZE";
    alter(&file, more).await;
    bench.run(["adopt", "old.db"]).expect(0);
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_a_way_out() {
    let bench = Bench::empty();
    let file = original(&bench, "old.db").await;
    let mut content = fs::read(&file).unwrap();
    let middle = content.len() / 2;
    content[middle..middle + 8192].fill(0xa5);
    fs::write(&file, content).unwrap();
    refused(&bench, "old.db", &["old.db", "damaged", "adopt --backups DIR"]);
}

#[tokio::test]
async fn a_file_in_use_is_refused() {
    let bench = Bench::empty();
    let file = original(&bench, "old.db").await;
    for mode in ["WAL", "DELETE"] {
        let running = connect(&file).await;
        running.execute_unprepared(&format!("PRAGMA journal_mode = {mode}; BEGIN IMMEDIATE")).await.unwrap();
        let adopt = || bench.run(["adopt", "old.db"]);
        adopt().expect_error(1, &["old.db is busy", "stop the original"]);
        bench.run(["adopt", "old.db", "--in-place"]).expect_error(1, &["old.db is busy"]);
        running.execute_unprepared("ROLLBACK").await.unwrap();
        running.close().await.unwrap();
    }
    bench.run(["adopt", "old.db"]).expect(0);
}

#[tokio::test]
async fn a_file_that_somebody_has_open_and_leaves_alone_is_refused() {
    let bench = Bench::empty();
    let file = original(&bench, "old.db").await;
    alter(&file, "PRAGMA journal_mode = DELETE").await;
    let idle = connect(&file).await;
    // without a log nobody has a lock between two transactions
    idle.execute_unprepared("SELECT COUNT(*) FROM users").await.unwrap();
    let id = format!("old.db, which process {} has open, is busy", std::process::id());
    refused(&bench, "old.db", &[&id, "stop the original"]);
    idle.close().await.unwrap();
    bench.run(["adopt", "old.db"]).expect(0);
    bench.run(["adopt", "old.db", "--in-place"]).expect(0);
}

#[tokio::test]
async fn nothing_that_is_there_is_replaced() {
    let bench = Bench::ready();
    original(&bench, "old.db").await;
    let before = contents(&bench.path("data"));
    bench.run(["adopt", "old.db"]).expect_error(1, &["data/trivia.db already exists", "--database-url"]);
    assert!(contents(&bench.path("data")) == before);
    // SQLite would play this log into the new database
    bench.write("new.db-wal", "left behind");
    bench.run(["adopt", "old.db", "--database-url", "sqlite://new.db"]).expect_error(1, &["new.db-wal already exists"]);
    assert!(!bench.path("new.db").exists());
}

#[test]
fn the_command_line_is_checked() {
    let bench = Bench::empty();
    for (args, word) in [
        (&["adopt"][..], "FILE"),
        (&["adopt", "old.db", "--utc-offset", "7"], "+HH:MM"),
        (&["adopt", "old.db", "--utc-offset", "UTC"], "--time-zone"),
        (&["adopt", "old.db", "--utc-offset", "-07:00", "--time-zone", "UTC"], "cannot be used with"),
        (&["adopt", "old.db", "--time-zone", "Nowhere"], "IANA"),
        (&["adopt", "old.db", "--backups", "."], "cannot be used with"),
    ] {
        let ended = bench.run(args);
        ended.expect(2);
        assert!(ended.stderr().contains(word), "{args:?}: {}", ended.stderr());
    }
}
