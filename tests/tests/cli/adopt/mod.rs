//! Moving in from the replaced system, and back.

mod faults;
mod logs;
mod sample;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};

use crate::bench::{Bench, alter, connect, contents, has_fields};

const SCHEMA: &str = include_str!("../../migrations/original_schema.sql");
const ODD: &str = include_str!("../../migrations/original_rows.sql");
const ORPHANS: &str = include_str!("../../migrations/original_orphans.sql");
const TIMES: &str = include_str!("server_at_minus_7.sql");
/// Rows of the made-up database.
const ROWS: [(&str, u64); 5] =
    [("users", 25), ("questions", 23), ("achievements", 11), ("rankings", 15), ("sessions", 26)];
const OFFSET: [&str; 2] = ["--utc-offset", "-07:00"];

/// A database of the replaced system with every oddity that is known.
async fn original(bench: &Bench, name: &str) -> PathBuf {
    let file = bench.write(name, "");
    alter(&file, &format!("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF; {SCHEMA} {ODD} {ORPHANS} {TIMES}"))
        .await;
    file
}

/// The sample database beside the repository; `None` where the repository stands alone.
fn sample() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/legacy");
    if !folder.join("trivia.db").is_file() {
        eprintln!("SKIPPED: {} is not here, only the made-up database is used", folder.display());
        return None;
    }
    Some(folder)
}

/// The first column of every row, as text.
async fn texts(file: &Path, sql: &str) -> Vec<String> {
    let db = connect(file).await;
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    let texts = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    db.close().await.unwrap();
    texts
}

fn adopt(bench: &Bench, file: &Path) -> Value {
    bench.json([&["adopt", file.to_str().unwrap()][..], &OFFSET].concat())
}

fn assert_rows(report: &Value, rows: &[(&str, u64)]) {
    for (field, expected) in rows {
        assert_eq!(report[field], *expected, "{field}");
    }
}

/// What is said of a row.
fn said<'a>(report: &'a Value, table: &str, id: &str) -> Vec<&'a str> {
    let odd = report["repaired"].as_array().unwrap().iter();
    odd.filter(|row| row["table"] == table && row["id"] == id).map(|row| row["problem"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn l20_every_row_is_taken_or_told() {
    let bench = Bench::empty();
    let file = original(&bench, "old/trivia.db").await;
    let before = contents(&bench.path("old"));
    let report = adopt(&bench, &file);
    assert_eq!(contents(&bench.path("old")), before, "the source was touched");
    assert_rows(&report, &ROWS);
    has_fields(&report, &["database", "clock", "repaired", "original", "backup"]);
    assert_eq!(report["original"], Value::Null);
    assert_eq!(report["backup"]["kind"], "initial");

    let told: BTreeSet<(&str, &str, bool)> = report["repaired"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["table"].as_str().unwrap(), row["id"].as_str().unwrap(), row["taken"].as_bool().unwrap()))
        .collect();
    let left: BTreeMap<&str, usize> = told.iter().filter(|row| !row.2).fold(BTreeMap::new(), |mut left, row| {
        *left.entry(row.0).or_default() += 1;
        left
    });
    let database = bench.path("data/trivia.db");
    for (table, ours, rows) in [
        ("users", "users", ROWS[0].1),
        ("questions", "questions", ROWS[1].1),
        ("user_achievements", "user_achievements", ROWS[2].1),
        ("weekly_rankings", "rankings", ROWS[3].1),
        ("game_sessions", "game_sessions", ROWS[4].1),
    ] {
        let taken: usize =
            texts(&database, &format!("SELECT CAST(COUNT(*) AS TEXT) FROM {ours}")).await[0].parse().unwrap();
        assert_eq!(taken + left.get(table).copied().unwrap_or(0), usize::try_from(rows).unwrap(), "{table}");
    }
    // whatever the migrations find odd is told, too
    for (table, id, word) in [
        ("users", "-5", "negative"),
        ("users", "20", "\"mixed\" is not known"),
        ("users", "21", "-999 is negative"),
        ("users", "22", "500 of questions_answered 1"),
        ("users", "24", "\"yesterday-ish\" is not a time"),
        ("users", "605", "Inf"),
        ("users", "605", "not all UTF-8"),
        ("questions", "20", "\"2\" is kept as \"y\""),
        ("questions", "301", "same as question 7"),
        ("questions", "306", "not a text"),
        ("user_achievements", "900", "777 does not exist"),
        ("weekly_rankings", "30", "\"not a date\""),
        ("weekly_rankings", "900", "777 does not exist"),
        ("weekly_rankings", "601", "rank is missing"),
        ("game_sessions", "26", "\"maybe\""),
        ("game_sessions", "30", "question 301 is in quarantine"),
        ("game_sessions", "900", "777"),
        ("game_sessions", "901", "question_id 888 does not exist"),
    ] {
        let said = said(&report, table, id);
        assert!(said.iter().any(|problem| problem.contains(word)), "{table} {id}: {said:?} has no {word:?}");
    }
}

#[tokio::test]
async fn s17_local_times_become_utc_and_doubts_are_told() {
    let bench = Bench::empty();
    let report = adopt(&bench, &original(&bench, "old/trivia.db").await);
    let database = bench.path("data/trivia.db");
    let users = "SELECT concat_ws('|', user_id, last_played, created_at) FROM users WHERE user_id BETWEEN 601 AND 605";
    assert_eq!(
        texts(&database, users).await,
        [
            "601|2025-09-10T17:00:00.000001+00:00|2025-09-10T16:59:00.500+00:00",
            "602|2025-10-30T11:04:17+00:00",
            "603|2025-09-10T10:00:00.000001+00:00|2025-09-10T09:30:00+00:00",
            "604|2025-09-10T08:00:00+00:00|2025-09-10T07:00:00+00:00",
            "605|2025-10-26T09:30:00.500+00:00|2025-09-10T16:59:00+00:00",
        ]
    );
    assert_eq!(said(&report, "users", "601"), Vec::<&str>::new());
    assert_eq!(
        said(&report, "users", "602"),
        ["created_at \"2025-10-30 04:04:17\" may be local or UTC: it is read as local"]
    );
    assert_eq!(
        said(&report, "users", "603"),
        ["created_at \"2025-09-10 09:30:00\" is UTC, unlike the other times of the row"]
    );
    let unlocked =
        "SELECT concat_ws('|', achievement_id, unlocked_at) FROM user_achievements WHERE user_id = 601 ORDER BY 1";
    assert_eq!(
        texts(&database, unlocked).await,
        [
            "hot_streak|2025-09-10T17:00:01+00:00",
            "of_a_plugin|2025-09-10T17:00:01+00:00",
            "weekly_good|2025-09-10T17:00:00.250+00:00"
        ]
    );
    let made = "SELECT concat_ws('|', id, created_at) FROM questions WHERE id IN (2, 3)";
    assert_eq!(texts(&database, made).await, ["2|2025-09-08T15:59:00+00:00", "3|2025-09-08T17:00:00.123456+00:00"]);
    let games = "SELECT concat_ws('|', started_at, ended_at) FROM game_sessions WHERE host_id = 601 ORDER BY id";
    assert_eq!(
        texts(&database, games).await,
        [
            "2025-09-10T16:59:50.000001+00:00|2025-09-10T17:00:00.000001+00:00",
            "2025-09-10T16:59:50+00:00|2025-09-10T17:00:00.000001+00:00",
            "2025-09-10T16:59:50+00:00|2025-09-10T17:00:00.000001+00:00",
            "2025-09-10T23:59:50+00:00|2025-09-11T00:00:20+00:00",
            "2025-09-10T15:00:00+00:00|2025-09-10T17:00:00.000001+00:00",
        ]
    );
    assert_eq!(said(&report, "game_sessions", "601"), Vec::<&str>::new());
    assert!(said(&report, "game_sessions", "602")[0].contains("is UTC"));
    for undecidable in ["603", "604"] {
        assert!(said(&report, "game_sessions", undecidable)[0].contains("may be local or UTC"));
    }
    // what was given is not given again
    assert_eq!(
        texts(&database, "SELECT CAST(seq AS TEXT) FROM sqlite_sequence WHERE name = 'questions'").await,
        ["400"]
    );
    // the server stood where summer time ends on 26 October
    let there = ["--database-url", "sqlite://there.db", "--time-zone", "Europe/Berlin"];
    let report = bench.json([&["adopt", "old/trivia.db"][..], &there].concat());
    assert!(said(&report, "users", "605").iter().any(|problem| problem.contains("shown twice")));
    let played = texts(&bench.path("there.db"), "SELECT last_played FROM users WHERE user_id = 605").await;
    assert_eq!(played, ["2025-10-26T00:30:00.500+00:00"]);
}

#[tokio::test]
async fn a_choice_without_options_is_kept_and_not_asked() {
    let bench = Bench::empty();
    let report = adopt(&bench, &original(&bench, "old/trivia.db").await);
    assert!(said(&report, "questions", "300")[0].contains("retired"));
    let question =
        "SELECT concat_ws('|', question_type, correct_answer, retired_at IS NOT NULL) FROM questions WHERE id = 300";
    assert_eq!(texts(&bench.path("data/trivia.db"), question).await, ["fill_blank|A|1"]);
}

#[tokio::test]
async fn in_place_keeps_the_original_byte_for_byte() {
    let bench = Bench::empty();
    let file = original(&bench, "data/trivia.db").await;
    bench.run(["init"]).expect_error(1, &["original system", "adopt FILE --in-place"]);
    let before = fs::read(&file).unwrap();
    let report = bench.json([&["adopt", "data/trivia.db", "--in-place"][..], &OFFSET].concat());
    assert_rows(&report, &ROWS);
    let kept = bench.path(report["original"].as_str().unwrap());
    assert_eq!(fs::read(kept.join("trivia.db")).unwrap(), before);
    let sums = Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(&kept).output().unwrap();
    assert!(sums.status.success(), "{sums:?}");
    // and the way back is one copy
    bench.json(
        [&["adopt", kept.join("trivia.db").to_str().unwrap(), "--database-url", "sqlite://again.db"][..], &OFFSET]
            .concat(),
    );
}

#[tokio::test]
async fn what_is_only_in_the_log_comes_along() {
    let bench = Bench::empty();
    let file = original(&bench, "old/trivia.db").await;
    let running = connect(&file).await;
    running.execute_unprepared("PRAGMA wal_autocheckpoint = 0").await.unwrap();
    running.execute_unprepared("INSERT INTO users (user_id, total_points) VALUES (700, 70)").await.unwrap();
    bench.run(["adopt", "old/trivia.db"]).expect_error(1, &["busy", "stop the original"]);
    // the files as a crash leaves them
    for suffix in ["", "-wal"] {
        bench.write(
            &format!("crashed/trivia.db{suffix}"),
            fs::read(bench.path(&format!("old/trivia.db{suffix}"))).unwrap(),
        );
    }
    running.close().await.unwrap();
    let before = contents(&bench.path("crashed"));
    assert_eq!(before.len(), 2);
    let report = adopt(&bench, &bench.path("crashed/trivia.db"));
    assert_eq!(report["users"], ROWS[0].1 + 1);
    assert_eq!(contents(&bench.path("crashed")), before, "the source was touched");
    assert_eq!(bench.json(["user", "show", "700"])["profile"]["total_points"], 70);
}

/// Games of some players on a database that was moved in.
fn play_on(bench: &Bench) {
    let points = |user: &str| bench.json(["user", "show", user])["profile"]["total_points"].as_i64().unwrap();
    let before = points("601");
    bench.command(["play", "--user", "601", "--seed", "3"]).write_stdin("a\nb\ntrue\nc\n").unwrap();
    bench.json(["simulate", "--players", "20", "--answers", "200", "--concurrency", "4"]);
    assert!(points("601") >= before);
    for command in ["verify", "check"] {
        bench.run([command]).expect(0);
    }
}

/// What the replaced system reads in a file; `None` without Python.
fn as_the_original_reads(bench: &Bench, file: &str) -> Option<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/original.py");
    match Command::new("python3").arg(script).arg(bench.path(file)).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(serde_json::from_slice(&output.stdout).unwrap())
        }
        Err(error) => {
            eprintln!("SKIPPED: python3 does not run ({error}), so nothing reads the file as the original would");
            None
        }
    }
}

#[tokio::test]
async fn l20_the_way_back_is_a_file_that_the_original_uses() {
    let bench = Bench::empty();
    adopt(&bench, &original(&bench, "old/trivia.db").await);
    play_on(&bench);
    let export = bench.json([&["export", "original", "back.db"][..], &OFFSET].concat());
    has_fields(&export, &["file", "users", "questions", "achievements", "rankings", "sessions", "clock", "changed"]);
    let left_out = json!({"table": "user_achievements", "id": "602", "taken": false,
        "problem": "achievement_id \"of_a_plugin\" is not known to the original: it is left out"});
    let changed = export["changed"].as_array().unwrap();
    let is_left_out = |row: &&Value| row["taken"] == false && row["problem"] == left_out["problem"];
    assert_eq!(changed.iter().filter(is_left_out).count(), 1, "{changed:#?}");
    bench.run(["export", "original", "back.db"]).expect_error(1, &["back.db already exists", "--force"]);
    bench.run([&["export", "original", "back.db", "--force"][..], &OFFSET].concat()).expect(0);

    let itself = bench.run(["export", "original", "data/trivia.db", "--force"]);
    itself.expect_error(1, &["it is the database itself"]);

    let back = bench.path("back.db");
    assert_eq!(texts(&back, "SELECT version || typeof(version) FROM schema_version").await, ["1integer"]);
    let user =
        "SELECT concat_ws('|', last_played, created_at, daily_challenge_completed) FROM users WHERE user_id = 604";
    assert_eq!(texts(&back, user).await, ["2025-09-10 01:00:00.000000|2025-09-10 00:00:00.000000"]);
    let session = "SELECT concat_ws('|', start_time, end_time) FROM game_sessions WHERE id = 602";
    assert_eq!(texts(&back, session).await, ["2025-09-10 09:59:50.000000|2025-09-10 10:00:00.000001"]);
    // no page holds what the original has no place for
    let content = fs::read(&back).unwrap();
    for word in [&b"ledger"[..], b"quarantine", b"simulate"] {
        assert!(!content.windows(word.len()).any(|window| window == word), "{}", String::from_utf8_lossy(word));
    }
    if let Some(read) = as_the_original_reads(&bench, "back.db") {
        for (table, field) in [
            ("users", "users"),
            ("questions", "questions"),
            ("user_achievements", "achievements"),
            ("weekly_rankings", "rankings"),
            ("game_sessions", "sessions"),
        ] {
            assert_eq!(read["rows"][table], export[field], "{table}");
        }
        assert_eq!(read["sessions"]["start_after_end"], 0);
        assert!(read["last_played"]["601"].is_string());
    }

    // and in again
    let again = bench.json([&["adopt", "back.db", "--database-url", "sqlite://again.db"][..], &OFFSET].concat());
    for field in ["users", "questions", "achievements", "rankings", "sessions"] {
        assert_eq!(again[field], export[field], "{field}");
    }
    let sums = "SELECT concat_ws('|', COUNT(*), SUM(total_points), SUM(questions_answered), SUM(questions_correct), \
                MAX(best_streak), MAX(last_played), MIN(last_played)) FROM users WHERE user_id > 0";
    assert_eq!(texts(&bench.path("again.db"), sums).await, texts(&bench.path("data/trivia.db"), sums).await);
    let weeks = "SELECT concat_ws('|', user_id, starts_on, points) FROM rankings WHERE period = 'week' ORDER BY 1";
    assert_eq!(texts(&bench.path("again.db"), weeks).await, texts(&bench.path("data/trivia.db"), weeks).await);
    bench.run(["verify", "--database-url", "sqlite://again.db"]).expect(0);
}

#[tokio::test]
async fn l20_backups_of_the_original_are_listed_verified_and_restored() {
    let bench = Bench::empty();
    let content = fs::read(original(&bench, "old/trivia.db").await).unwrap();
    let notes = json!({"backup_type": "daily", "created_at": "2025-10-31T00:05:03.512344", "backup_size": content.len(),
        "database_stats": {"users_count": 25, "questions_count": 23, "user_achievements_count": 11,
            "weekly_rankings_count": 15, "game_sessions_count": 26, "schema_version": 1}});
    for (name, meta) in [
        (
            "trivia_backup_20251030_040417",
            Some("backup_time=2025-10-30T04:04:17.512344\nsource_db=data/trivia.db\nschema_version=1\n".to_owned()),
        ),
        ("trivia_daily_20251031_000503", Some(serde_json::to_string_pretty(&notes).unwrap())),
        ("trivia_recovery_20251029_000503_20251029_000504", None),
        ("pre_migration_v2_20251028_000503", Some("no notes at all".to_owned())),
    ] {
        bench.write(&format!("backups/{name}.db"), &content);
        if let Some(meta) = meta {
            bench.write(&format!("backups/{name}.db.meta"), meta);
        }
    }
    bench.write("backups/trivia_manual_20251101t000000z_000001.db", "one of ours");
    bench.write("backups/trivia.db-shm", "left behind");
    let look = || bench.json([&["adopt", "--backups", "backups"][..], &OFFSET].concat());
    let shown = |list: &Value| {
        let row = |backup: &Value| {
            let field = |name: &str| backup[name].as_str().unwrap().to_owned();
            [field("kind"), field("created_at"), field("notes")].join(" ")
        };
        list["backups"].as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    let list = look();
    assert_eq!(list["ok"], true, "{list:#}");
    assert_eq!(
        shown(&list),
        [
            "daily 2025-10-31T07:05:03.512344Z json",
            "backup 2025-10-30T11:04:17.512344Z lines",
            "recovery 2025-10-29T07:05:04Z none",
            "pre_migration_v2 2025-10-28T07:05:03Z unreadable",
        ]
    );
    assert_eq!(list["backups"][0]["rows"]["game_sessions"], 26);
    assert_rows(&adopt(&bench, &bench.path("backups/trivia_daily_20251031_000503.db")), &ROWS);

    // one that is not what its notes say, and one that is cut
    alter(&bench.path("backups/trivia_daily_20251031_000503.db"), "DELETE FROM weekly_rankings WHERE id = 1").await;
    fs::write(bench.path("backups/trivia_backup_20251030_040417.db"), &content[..content.len() / 2]).unwrap();
    let ended = bench.run(["adopt", "--backups", "backups", "--json"]);
    let list = ended.expect(3).document();
    let problems = |at: usize| list["backups"][at]["problems"].to_string();
    assert!(problems(0).contains("weekly_rankings has 14 rows, its notes say 15"), "{}", problems(0));
    assert_eq!(list["backups"][1]["ok"], false, "{}", problems(1));
    assert_eq!(list["backups"][2]["ok"], true);
}

#[tokio::test]
async fn l23_nobody_who_was_erased_moves_in_again() {
    let bench = Bench::empty();
    let file = original(&bench, "old/trivia.db").await;
    adopt(&bench, &file);
    bench.run(["user", "delete", "601", "--yes", "--no-backup"]).expect(0);
    bench.json(["backup", "create"]);
    fs::remove_file(bench.path("data/trivia.db")).unwrap();
    adopt(&bench, &file);
    bench.run(["user", "show", "601"]).expect_error(1, &["601 does not exist"]);
}
