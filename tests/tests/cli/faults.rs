//! What happens when something is wrong: a clear error, nothing lost, no panic.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::bench::{Bench, Ended, alter, connect, program};

/// Commands that need a database.
const COMMANDS: [&[&str]; 22] = [
    &["stats"],
    &["check"],
    &["leaderboard"],
    &["user", "show", "1"],
    &["user", "delete", "1", "--yes"],
    &["user", "merge", "1", "2", "--yes"],
    &["user", "time-zone", "1", "UTC"],
    &["export", "questions"],
    &["export", "user", "1"],
    &["export", "original", "old.db"],
    &["questions", "show", "1"],
    &["questions", "review"],
    &["achievements", "list"],
    &["achievements", "retire", "hot_streak", "--yes"],
    &["calendar"],
    &["simulate"],
    &["serve", "--once"],
    &["play"],
    &["play", "--challenge", "daily"],
    &["migrate", "status"],
    &["migrate", "down"],
    &["backup", "create"],
];

#[test]
fn without_a_database_the_hint_is_init() {
    let bench = Bench::empty();
    for command in COMMANDS {
        bench.run(command).expect_error(1, &["does not exist", "trivia-db init"]);
    }
    bench.write("q.jsonl", "");
    bench.run(["import", "q.jsonl"]).expect_error(1, &["does not exist", "trivia-db init"]);
    assert!(!bench.path("data").exists(), "a failed command made files");
    let health = Ended(bench.command(["health", "--json"]).output().unwrap());
    assert_eq!(health.expect(3).document()["status"], "critical");
}

#[test]
fn l28_a_file_that_is_no_database_is_left_alone() {
    let bench = Bench::empty();
    bench.stays_broken();
    let file = bench.write("data/trivia.db", "these are my holiday notes\n".repeat(1_000));
    let before = fs::read(&file).unwrap();
    for command in COMMANDS.into_iter().filter(|command| *command != ["check"]) {
        bench.run(command).expect_error(1, &["trivia.db"]);
    }
    for command in [&["init"][..], &["reset", "--yes"], &["migrate", "fresh", "--yes"], &["migrate", "up"]] {
        bench.run(command).expect_error(1, &[]);
    }
    bench.run(["check"]).expect(3);
    bench.run(["health"]).expect(3);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn s20_an_empty_file_is_a_database_that_is_still_to_be_made() {
    let bench = Bench::empty();
    bench.write("data/trivia.db", "");
    bench.run(["stats"]).expect_error(1, &["incompatible", "no schema"]);
    let report = bench.json(["init"]);
    assert_eq!(report["backup"]["kind"], "initial");
    bench.run(["play"]).expect(0);
    assert_eq!(bench.json(["stats"])["users_count"], 1);
    assert!(fs::metadata(bench.path("data/trivia.db")).unwrap().len() > 0);
}

#[tokio::test]
async fn l28_l29_a_newer_schema_is_refused() {
    let bench = Bench::ready();
    bench.stays_broken();
    let sql = "INSERT INTO schema_version (version, applied_at) VALUES ('m29991231_000001_future', 0)";
    alter(&bench.path("data/trivia.db"), sql).await;
    for command in [&["stats"][..], &["init"], &["migrate", "up"], &["migrate", "down"], &["play"]] {
        bench.run(command).expect_error(1, &["incompatible", "m29991231_000001_future"]);
    }
}

#[tokio::test]
async fn numbers_that_disagree_with_the_ledger_are_found() {
    let bench = Bench::ready();
    bench.run(["simulate", "--players", "3", "--answers", "30"]).expect(0);
    bench.stays_broken();
    alter(&bench.path("data/trivia.db"), "UPDATE users SET total_points = total_points + 1").await;
    let check = Ended(bench.command(["check", "--json"]).output().unwrap());
    let report = check.expect(3).document();
    assert_eq!(report["ok"], false);
    assert_eq!(report["problems"].as_array().unwrap().len(), 3, "{report:#}");
    bench.run(["health"]).expect(3);
}

#[test]
fn l25_damaged_pages_are_found_and_a_restore_mends_them() {
    let bench = Bench::ready();
    let backup = bench.json(["backup", "create"]);
    let file = OpenOptions::new().write(true).open(bench.path("data/trivia.db")).unwrap();
    let third = file.metadata().unwrap().len() / 3;
    file.write_all_at(&vec![0xa5; usize::try_from(third).unwrap()], third).unwrap();
    drop(file);
    let check = Ended(bench.command(["check", "--json"]).output().unwrap());
    assert_eq!(check.expect(3).document()["ok"], false);
    bench.run(["backup", "restore", backup["id"].as_str().unwrap()]).expect(0);
    bench.run(["check"]).expect(0);
}

#[test]
fn unknown_ids_are_errors() {
    let bench = Bench::ready();
    bench.run(["user", "show", "404"]).expect_error(1, &["user 404 does not exist"]);
    bench.run(["backup", "verify", "none"]).expect_error(1, &["none", "does not exist"]);
    bench.run(["backup", "restore", "none"]).expect_error(1, &["none", "does not exist"]);
}

#[tokio::test]
async fn a_changed_number_is_verified_and_rebuilt() {
    let bench = Bench::ready();
    bench.run(["simulate", "--players", "5", "--answers", "50", "--concurrency", "4"]).expect(0);
    assert_eq!(bench.json(["verify"])["drift"], json!([]));
    alter(&bench.path("data/trivia.db"), "UPDATE users SET best_streak = 999").await;
    let found = Ended(bench.command(["verify", "--json"]).output().unwrap()).expect(3).document();
    let drift = &found["drift"][0];
    assert_eq!(
        (&drift["table"], &drift["column"], &drift["stored"]),
        (&json!("users"), &json!("best_streak"), &json!("999"))
    );
    assert!(drift["id"].is_string() && drift["folded"].is_string());
    bench.run(["check"]).expect(3);
    let mended = bench.json(["rebuild"]);
    assert_eq!(mended["drift"], found["drift"]);
    assert_eq!(mended["backup"]["verified"], true);
    bench.run(["verify"]).expect(0);
    bench.run(["rebuild"]).expect(0);
}

#[test]
fn l25_a_damaged_backup_is_found_and_not_restored() {
    let bench = Bench::ready();
    let good = bench.json(["backup", "create"]);
    let bad = bench.json(["backup", "create"]);
    let copy = OpenOptions::new().write(true).open(bench.path(bad["path"].as_str().unwrap())).unwrap();
    copy.write_all_at(b"x", bad["bytes"].as_u64().unwrap() / 2).unwrap();
    let one = Ended(bench.command(["backup", "verify", bad["id"].as_str().unwrap(), "--json"]).output().unwrap());
    let one = one.expect(3).document();
    assert_eq!((&one["ok"], &one["verified"]), (&json!(false), &json!(false)));
    let all = Ended(bench.command(["backup", "verify", "--json"]).output().unwrap());
    assert_eq!(all.expect(3).document()["ok"], false);
    let before = bench.json(["stats"])["rows"].clone();
    bench.run(["backup", "restore", bad["id"].as_str().unwrap()]).expect_error(1, &["damaged"]);
    assert_eq!(bench.json(["stats"])["rows"], before);
    bench.run(["backup", "restore", good["id"].as_str().unwrap()]).expect(0);
}

#[test]
fn l28_a_backup_folder_that_cannot_be_made_is_named() {
    let bench = Bench::ready();
    bench.write("file", "");
    let args = ["--backup-dir", "file/below", "backup", "create"];
    bench.run(args).expect_error(1, &["file/below"]);
    let before = fs::read(bench.path("data/trivia.db")).unwrap();
    bench.run(["--backup-dir", "file/below", "reset", "--yes"]).expect_error(1, &["file/below"]);
    bench.run(["--backup-dir", "file/below", "migrate", "down"]).expect_error(1, &["file/below"]);
    assert_eq!(fs::read(bench.path("data/trivia.db")).unwrap(), before, "changed without a backup");
}

#[test]
fn l28_a_database_folder_that_cannot_be_made_is_named() {
    let bench = Bench::empty();
    bench.write("file", "");
    bench.run(["--database-url", "sqlite://file/x.db", "init"]).expect_error(1, &["file/x.db"]);
    bench.run(["--database-url", "sqlite://file/x.db", "stats"]).expect_error(1, &["file/x.db"]);
    bench.command(["demo"]).env("TMPDIR", "nowhere").assert().code(1);
}

#[tokio::test]
async fn l27_s19_a_database_that_another_process_holds_is_busy_and_not_damaged() {
    let bench = Bench::ready();
    let path = bench.path("data/trivia.db");
    let other = connect(&path).await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let run = |args: &[&str]| {
        Ended(bench.command(args).env("TRIVIA_BUSY_TIMEOUT_MS", "100").write_stdin("").output().unwrap())
    };
    for command in [
        &["play"][..],
        &["simulate"],
        &["import", "q.jsonl"],
        &["migrate", "down"],
        &["user", "delete", "1", "--yes"],
        &["calendar", "set", "--week-start", "sunday"],
    ] {
        bench.write(
            "q.jsonl",
            r#"{"kind":"true_false","category":"N","difficulty":"easy","question":"Q","answer":true}"#,
        );
        run(command).expect_error(1, &["busy", "another process", "try again"]);
    }
    // reading goes on
    for command in [&["stats"][..], &["check"], &["leaderboard"], &["export", "questions"], &["backup", "create"]] {
        run(command).expect(0);
    }
    other.execute_unprepared("ROLLBACK").await.unwrap();
    other.close().await.unwrap();
    run(&["play"]).expect(0);
    run(&["check"]).expect(0);
}

#[tokio::test]
async fn l25_a_restore_waits_until_nobody_else_has_the_database_open() {
    let bench = Bench::ready();
    let backup = bench.json(["backup", "create"]);
    let other = connect(&bench.path("data/trivia.db")).await;
    other.execute_unprepared("CREATE TABLE IF NOT EXISTS theirs (x); BEGIN; SELECT * FROM users").await.unwrap();
    let restore = ["backup", "restore", backup["id"].as_str().unwrap()];
    let ended = Ended(bench.command(restore).env("TRIVIA_BUSY_TIMEOUT_MS", "100").output().unwrap());
    ended.expect_error(1, &["busy"]);
    other.close().await.unwrap();
    bench.run(restore).expect(0);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let bench = Bench::ready();
    let commands =
        [&["export", "questions"][..], &["completions", "bash"], &["--help"], &["demo"], &["stats", "--json"]];
    for args in commands {
        let mut child =
            program(bench.dir.path()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::with_capacity(16, child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        drop(stdout);
        let ended = Ended(child.wait_with_output().unwrap());
        assert_eq!((ended.0.status.code(), ended.stderr()), (Some(0), String::new()), "{args:?}");
    }
    // nobody reads from the start
    let shell = "\"$0\" export questions | true; exit \"${PIPESTATUS[0]}\"";
    let path = program(bench.dir.path()).get_program().to_owned();
    let status = Command::new("bash").args(["-c", shell]).arg(path).current_dir(bench.dir.path()).status().unwrap();
    assert_eq!(status.code(), Some(0));
}

#[test]
fn l28_a_limit_on_files_is_no_space_with_bytes() {
    let bench = Bench::ready();
    let bytes = fs::metadata(bench.path("data/trivia.db")).unwrap().len() + 64 * 1024;
    let program = program(bench.dir.path());
    let mut limited = Command::new("sh");
    // blocks of 512 bytes
    limited.arg("-c").arg(format!("ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512)).arg(program.get_program());
    limited.args(["simulate", "--answers", "20000"]).current_dir(bench.dir.path());
    Ended(limited.output().unwrap()).expect_error(1, &["no space left", "trivia.db", &format!("{bytes} bytes")]);
    bench.run(["simulate", "--answers", "100"]).expect(0);
}

/// A small file system that is gone afterwards.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `None` when this user may not mount.
    fn mount(at: &'a Path, size: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], at).then_some(Self(at))
    }

    fn grow(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], self.0));
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn mount(options: &[&str], at: &Path) -> bool {
    let quiet = Command::new("mount").args(options).arg(at).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Fills a disk with a file, up to some bytes.
fn fill(disk: &Path, room: u64) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).unwrap();
    while file.write(&[1; 4096]).is_ok() {}
    file.set_len(file.metadata().unwrap().len() - room).unwrap();
    path
}

#[test]
fn l28_a_full_disk_is_an_error_that_heals() {
    let bench = Bench::empty();
    let data = bench.path("data");
    let Some(disk) = SmallDisk::mount(&data, "200k") else {
        assert!(std::env::var_os("TRIVIA_TEST_REQUIRE_ALL").is_none(), "this user may not mount a small disk");
        eprintln!("skipped: this user may not mount a small disk");
        return;
    };
    bench.run(["init"]).expect_error(1, &["no space left"]);
    disk.grow("20m");
    bench.run(["init"]).expect(0);
    bench.run(["check"]).expect(0);

    let before = bench.json(["stats"])["rows"].clone();
    let filler = fill(&data, 128 * 1024);
    bench.run(["backup", "create"]).expect_error(1, &["no space left"]);
    bench.run(["simulate", "--answers", "20000"]).expect_error(1, &["no space left", "trivia.db", "bytes are free"]);
    bench.run(["check"]).expect(0);
    fs::remove_file(filler).unwrap();
    bench.run(["backup", "verify"]).expect(0);
    bench.run(["simulate", "--answers", "100"]).expect(0);
    bench.run(["check"]).expect(0);
    let after = bench.json(["stats"])["rows"].clone();
    assert_eq!(after["questions"], before["questions"]);
}
