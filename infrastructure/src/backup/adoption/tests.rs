//! Files that were built to cost more than they are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tempfile::TempDir;
use trivia_domain::StoreError;
use trivia_domain::model::ServerClock;

use super::source::look_within;
use super::*;
use crate::clock::SystemClock;
use crate::error::ENDLESS;

const SCHEMA: &str = include_str!("../../../../tests/tests/migrations/original_schema.sql");
const PAGE: usize = 512;
/// Far less than an endless file would take, and far more than any other.
const SOON: Duration = Duration::from_secs(30);
/// Takes hours, in one step of SQLite.
const ENDLESS_EXPRESSION: &str = "instr(hex(zeroblob(8000000)), hex(zeroblob(4000000)) || 'x')";

/// A database of the original with small pages, changed by some SQL.
fn original(dir: &TempDir, change: &str) -> PathBuf {
    let path = dir.path().join("old.db");
    let database = Connection::open(&path).unwrap();
    let sql = "INSERT INTO schema_version VALUES (1, NULL); INSERT INTO users (user_id) VALUES (1), (2), (3);";
    database.execute_batch(&format!("PRAGMA page_size = {PAGE}; {SCHEMA} {sql} {change}")).unwrap();
    database.close().unwrap();
    path
}

async fn adopt(dir: &TempDir, file: &Path) -> StoreResult<AdoptionReport> {
    let url = DatabaseUrl::of_file(dir.path().join("new.db"));
    let adoption = SqliteAdoption::new(DatabaseOptions::new(url), dir.path().join("backups"), Arc::new(SystemClock));
    adoption.adopt(file, ServerClock::UTC).await
}

/// Adopting this file is refused soon, with these words.
#[track_caller]
fn says(refused: StoreResult<AdoptionReport>, started: Instant, word: &str) {
    let error = refused.unwrap_err();
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    assert!(matches!(error, StoreError::Corrupt { .. } | StoreError::Incompatible { .. }), "{error:?}");
    assert!(error.to_string().contains("old.db"), "{error}");
    assert!(error.to_string().contains(word), "{error}");
}

fn root_of(path: &Path, name: &str) -> usize {
    let database = Connection::open(path).unwrap();
    let root =
        database.query_row("SELECT rootpage FROM sqlite_schema WHERE name = ?", [name], |row| row.get::<_, u32>(0));
    root.unwrap() as usize
}

/// The interior page of a table with these children.
fn interior(children: &[u32], start: usize) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    let (last, others) = children.split_last().unwrap();
    let content = PAGE - 5 * others.len();
    page[start] = 5;
    page[start + 3..start + 5].copy_from_slice(&u16::try_from(others.len()).unwrap().to_be_bytes());
    page[start + 5..start + 7].copy_from_slice(&u16::try_from(content).unwrap().to_be_bytes());
    page[start + 8..start + 12].copy_from_slice(&last.to_be_bytes());
    for (number, child) in others.iter().enumerate() {
        let at = content + 5 * number;
        page[start + 12 + 2 * number..start + 14 + 2 * number]
            .copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
        page[at..at + 4].copy_from_slice(&child.to_be_bytes());
        page[at + 4] = u8::try_from(number).unwrap();
    }
    page
}

/// Appends pages, each of which is sixty times the next one, and the last sixty times `leaf`. Returns the first.
fn multiply(file: &mut Vec<u8>, leaf: u32) -> u32 {
    let mut child = leaf;
    for _ in 0..12 {
        file.extend(interior(&[child; 60], 0));
        child = u32::try_from(file.len() / PAGE).unwrap();
    }
    let pages = child.to_be_bytes();
    file[28..32].copy_from_slice(&pages);
    child
}

#[tokio::test]
async fn a_table_with_more_rows_than_any_file_can_hold_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = original(&dir, "");
    let root = root_of(&path, "users");
    let mut file = fs::read(&path).unwrap();
    let leaf = file[(root - 1) * PAGE..root * PAGE].to_vec();
    file.extend(leaf);
    let leaf = u32::try_from(file.len() / PAGE).unwrap();
    let first = multiply(&mut file, leaf);
    file[(root - 1) * PAGE..root * PAGE].copy_from_slice(&interior(&[first, first], 0));
    fs::write(&path, &file).unwrap();
    let started = Instant::now();
    says(adopt(&dir, &path).await, started, "is damaged");
    assert_eq!(fs::read(&path).unwrap(), file);
}

#[tokio::test]
async fn a_schema_without_end_is_given_up() {
    let dir = TempDir::new().unwrap();
    let path = original(&dir, "");
    let mut file = fs::read(&path).unwrap();
    // a leaf whose one row SQLite has met before, and meets again without an objection
    let (name, table) = (b"sqlite_autoindex_user_achievements_1", b"user_achievements");
    let text = |text: &[u8]| u8::try_from(13 + 2 * text.len()).unwrap();
    let header = [6, text(b"index"), text(name), text(table), 1, 0];
    let root = u8::try_from(root_of(&path, "sqlite_autoindex_user_achievements_1")).unwrap();
    let payload = [&header[..], b"index", name, table, &[root]].concat();
    let cell = [&[u8::try_from(payload.len()).unwrap(), 100][..], &payload].concat();
    let at = PAGE - cell.len();
    let mut leaf = vec![0; PAGE];
    leaf[0] = 13;
    leaf[3..5].copy_from_slice(&1_u16.to_be_bytes());
    leaf[5..7].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
    leaf[8..10].copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
    leaf[at..].copy_from_slice(&cell);
    file.extend(leaf);
    let leaf = u32::try_from(file.len() / PAGE).unwrap();
    let endless = multiply(&mut file, leaf);
    // after all that the schema really has: its first page is interior, as pages are small
    assert_eq!(file[100], 5);
    let last = u32::from_be_bytes(file[108..112].try_into().unwrap());
    file.extend(interior(&[last, endless], 0));
    let both = u32::try_from(file.len() / PAGE).unwrap().to_be_bytes();
    file[108..112].copy_from_slice(&both);
    file[28..32].copy_from_slice(&both);
    fs::write(&path, &file).unwrap();
    let started = Instant::now();
    says(adopt(&dir, &path).await, started, ENDLESS);
}

#[tokio::test]
async fn what_an_index_computes_is_not_computed() {
    let dir = TempDir::new().unwrap();
    let change = format!(
        "CREATE INDEX other ON users (user_id + 1); PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX other ON users ({})' WHERE name = 'other'",
        ENDLESS_EXPRESSION.replace('\'', "''")
    );
    let path = original(&dir, &change);
    let started = Instant::now();
    assert_eq!(adopt(&dir, &path).await.unwrap().users, 3);
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
}

#[tokio::test]
async fn what_one_step_hides_meets_a_deadline() {
    let dir = TempDir::new().unwrap();
    // SQLite reads its statistics whenever it opens a file
    let change = format!(
        "ANALYZE; INSERT INTO sqlite_stat1 VALUES ('users', 'idx_users_total_points', '3 1');
         PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql =
         'CREATE TABLE sqlite_stat1(tbl, idx, none, stat AS ({}))' WHERE name = 'sqlite_stat1'",
        ENDLESS_EXPRESSION.replace('\'', "''")
    );
    let path = original(&dir, &change);
    let error = look_within(&path, Duration::from_secs(1)).await.unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { reason, .. } if reason == ENDLESS), "{error:?}");
}

#[tokio::test]
async fn statistics_that_compute_something_are_refused() {
    let dir = TempDir::new().unwrap();
    let change = "ANALYZE; PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql =
        'CREATE TABLE sqlite_stat1(tbl, idx, none, stat AS (tbl))' WHERE name = 'sqlite_stat1'";
    let path = original(&dir, change);
    says(adopt(&dir, &path).await, Instant::now(), "a table sqlite_stat1");
}

#[tokio::test]
async fn a_file_that_claims_to_be_huge_is_not_copied() {
    let dir = TempDir::new().unwrap();
    let path = original(&dir, "");
    // it takes no space
    let log = dir.path().join("old.db-wal");
    File::create(&log).unwrap().set_len(5 << 30).unwrap();
    let started = Instant::now();
    says(adopt(&dir, &path).await, started, "more than 4294967296");
    fs::remove_file(&log).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(5 << 30).unwrap();
    says(adopt(&dir, &path).await, started, "more than 4294967296");
}

/// A rollback journal without pages, of a database that had so many.
fn journal(pages: u32) -> Vec<u8> {
    let mut journal = vec![0; PAGE];
    journal[..8].copy_from_slice(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    journal[16..20].copy_from_slice(&pages.to_be_bytes());
    for at in [20, 24] {
        journal[at..at + 4].copy_from_slice(&u32::try_from(PAGE).unwrap().to_be_bytes());
    }
    journal
}

#[tokio::test]
async fn a_journal_that_makes_the_database_huge_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = original(&dir, "");
    fs::write(dir.path().join("old.db-journal"), journal(1 << 30)).unwrap();
    let started = Instant::now();
    says(adopt(&dir, &path).await, started, "larger than both were");
}

#[tokio::test]
async fn a_journal_deletes_no_file_of_somebody_else() {
    let dir = TempDir::new().unwrap();
    let path = original(&dir, "");
    let victim = dir.path().join("diary");
    fs::write(&victim, "dear diary").unwrap();
    let name = victim.to_str().unwrap();
    let pages = u32::try_from(fs::metadata(&path).unwrap().len()).unwrap() / 512;
    let mut journal = journal(pages);
    // the page of no page, the name, its length, the sum of its letters, the mark
    journal.extend((0x4000_0000_u32 / 512 + 1).to_be_bytes());
    journal.extend(name.as_bytes());
    journal.extend(u32::try_from(name.len()).unwrap().to_be_bytes());
    journal.extend(name.bytes().map(u32::from).sum::<u32>().to_be_bytes());
    journal.extend([0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    fs::write(dir.path().join("old.db-journal"), &journal).unwrap();
    says(adopt(&dir, &path).await, Instant::now(), "several databases");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "dear diary");
    // the test can fail: SQLite itself does it
    let read: i64 =
        Connection::open(&path).unwrap().query_row("SELECT COUNT(*) FROM users", [], |row| row.get(0)).unwrap();
    assert_eq!((read, victim.exists()), (3, false));
}

#[tokio::test]
async fn texts_of_another_encoding_are_refused() {
    let dir = TempDir::new().unwrap();
    let path = original(&dir, "");
    fs::remove_file(&path).unwrap();
    let database = Connection::open(&path).unwrap();
    let version = "INSERT INTO schema_version VALUES (1, NULL)";
    database.execute_batch(&format!("PRAGMA encoding = 'UTF-16le'; {SCHEMA} {version}")).unwrap();
    database.close().unwrap();
    says(adopt(&dir, &path).await, Instant::now(), "its texts are UTF-16le");
}

#[tokio::test]
async fn rows_that_the_original_could_not_have_written_are_refused() {
    let dir = TempDir::new().unwrap();
    let change = "PRAGMA ignore_check_constraints = ON; INSERT INTO questions
        (question_text, question_type, difficulty, category, correct_answer) VALUES ('a', 'essay', 'easy', 'c', 'b')";
    let path = original(&dir, change);
    says(adopt(&dir, &path).await, Instant::now(), "CHECK constraint failed");
}

#[tokio::test]
async fn a_pipe_in_the_place_of_the_log_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = original(&dir, "");
    let log = dir.path().join("old.db-wal");
    assert!(Command::new("mkfifo").arg(&log).status().unwrap().success());
    let refused = adopt(&dir, &path).await.unwrap_err();
    assert!(matches!(&refused, StoreError::ReadOnly { what, .. } if what.ends_with("old.db-wal")), "{refused:?}");
}
