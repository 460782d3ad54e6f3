//! Every figure of the manifest of the sample database.

use std::fs;

use serde_json::Value;

use super::{OFFSET, adopt, as_the_original_reads, said, sample, texts};
use crate::bench::{Bench, contents};

/// Queries whose one number the manifest knows.
const NUMBERS: [(&str, &str); 21] = [
    ("/rows/users", "SELECT COUNT(*) FROM users"),
    ("/rows/questions", "SELECT COUNT(*) FROM questions"),
    ("/rows/user_achievements", "SELECT COUNT(*) FROM user_achievements"),
    ("/rows/weekly_rankings", "SELECT COUNT(*) FROM rankings"),
    ("/rows/game_sessions", "SELECT COUNT(*) FROM game_sessions"),
    ("/users/total_points", "SELECT SUM(total_points) FROM users"),
    ("/users/questions_answered", "SELECT SUM(questions_answered) FROM users"),
    ("/users/questions_correct", "SELECT SUM(questions_correct) FROM users"),
    ("/users/max_best_streak", "SELECT MAX(best_streak) FROM users"),
    ("/users_zero_points", "SELECT COUNT(*) FROM users WHERE total_points = 0"),
    ("/users_null_last_played", "SELECT COUNT(*) FROM users WHERE last_played IS NULL"),
    ("/users_null_created_at", "SELECT COUNT(*) FROM users WHERE created_at LIKE '1970%'"),
    ("/sessions/completed", "SELECT COUNT(*) FROM game_sessions WHERE status = 'finished'"),
    ("/sessions/active", "SELECT COUNT(*) FROM game_sessions WHERE status = 'expired'"),
    ("/sessions/challenge", "SELECT COUNT(*) FROM game_sessions WHERE kind = 'daily'"),
    (
        "/sessions/null_question",
        "SELECT COUNT(*) FROM game_sessions WHERE id NOT IN (SELECT session_id FROM session_questions)",
    ),
    // none that starts after its end is left, and all of them are told
    ("/sessions/start_after_end", "SELECT COUNT(*) FROM quarantine WHERE problem LIKE '%start_time % is UTC,%'"),
    ("/sessions/start_seconds_only", "SELECT COUNT(*) FROM game_sessions WHERE started_at NOT LIKE '%.%'"),
    ("/weekly_null_rank", "SELECT COUNT(*) FROM quarantine WHERE problem LIKE '%rank is missing%'"),
    ("/preferred_difficulty/mixed", "SELECT COUNT(*) FROM quarantine WHERE problem LIKE '%\"mixed\"%'"),
    (
        "/preferred_difficulty/None",
        "SELECT COUNT(*) FROM users WHERE preferred_difficulty IS NULL AND CAST(user_id AS TEXT) NOT IN \
         (SELECT source_id FROM quarantine WHERE source = 'users' AND problem LIKE '%\"mixed\"%')",
    ),
];

#[tokio::test]
async fn l20_adopt_matches_every_figure_of_the_manifest() {
    let Some(folder) = sample() else { return };
    let manifest: Value = serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let bench = Bench::empty();
    let before = contents(&folder);
    let report = adopt(&bench, &folder.join("trivia.db"));
    assert!(contents(&folder) == before, "the source was touched");
    for (field, table) in [
        ("users", "users"),
        ("questions", "questions"),
        ("achievements", "user_achievements"),
        ("rankings", "weekly_rankings"),
        ("sessions", "game_sessions"),
    ] {
        assert_eq!(report[field], manifest["rows"][table], "{field}");
    }

    let database = bench.path("data/trivia.db");
    let number = async |sql: &str| texts(&database, &format!("SELECT CAST(({sql}) AS TEXT)")).await[0].clone();
    for (pointer, sql) in NUMBERS {
        assert_eq!(number(sql).await, manifest.pointer(pointer).unwrap().to_string(), "{pointer}");
    }
    for level in ["easy", "medium", "hard"] {
        let sql = format!("SELECT COUNT(*) FROM users WHERE preferred_difficulty = '{level}'");
        assert_eq!(number(&sql).await, manifest["preferred_difficulty"][level].to_string(), "{level}");
    }
    for (id, expected) in manifest["achievements"].as_object().unwrap() {
        let sql = format!("SELECT COUNT(*) FROM user_achievements WHERE achievement_id = '{id}'");
        assert_eq!(number(&sql).await, expected.to_string(), "{id}");
    }
    assert_eq!(number("SELECT COUNT(*) FROM game_sessions WHERE ended_at < started_at").await, "0");
    let undecidable =
        "SELECT COUNT(*) FROM quarantine WHERE source = 'game_sessions' AND problem LIKE '%may be local or UTC%'";
    assert_eq!(number(undecidable).await, "1");

    // through the boards, as people see them
    let top = bench.json(["leaderboard", "--limit", "10"]);
    let top: Vec<_> =
        top["entries"].as_array().unwrap().iter().map(|entry| (id(&entry["user_id"]), &entry["points"])).collect();
    let wanted = manifest["top10"].as_array().unwrap().iter().map(|entry| (id(&entry[0]), &entry[1]));
    assert_eq!(top, wanted.collect::<Vec<_>>());
    for (week, expected) in manifest["weekly"].as_object().unwrap() {
        let sql = format!("SELECT COUNT(*) FROM rankings WHERE period = 'week' AND starts_on = '{week}'");
        assert_eq!(number(&sql).await, expected["rows"].to_string(), "{week}");
        let board = bench.json(["leaderboard", "--period", "weekly", "--at", week, "--limit", "500"]);
        let points: i64 =
            board["entries"].as_array().unwrap().iter().map(|entry| entry["points"].as_i64().unwrap()).sum();
        assert_eq!(points, expected["points"].as_i64().unwrap(), "{week}");
    }
    for user in manifest["reset_users_with_rankings"].as_array().unwrap() {
        let sql = format!(
            "SELECT COUNT(*) > 0 FROM rankings JOIN users USING (user_id) WHERE user_id = {user} AND total_points = 0"
        );
        assert_eq!(number(&sql).await, "1", "{user}");
    }
    assert_eq!(said(&report, "questions", "301"), ["correct_answer \"2\" is kept as \"y\""]);

    // in place is the same
    bench.write("place/trivia.db", fs::read(folder.join("trivia.db")).unwrap());
    let in_place = bench.json([&["adopt", "place/trivia.db", "--in-place"][..], &OFFSET].concat());
    assert_eq!(in_place["repaired"], report["repaired"]);
    for table in ["users", "questions", "ledger", "rankings", "game_sessions", "session_questions", "user_achievements"]
    {
        let sum = format!("SELECT COUNT(*) FROM {table}");
        assert_eq!(
            texts(&bench.path("place/trivia.db"), &format!("SELECT CAST(({sum}) AS TEXT)")).await[0],
            number(&sum).await,
            "{table}"
        );
    }

    // out and in again
    bench.json([&["export", "original", "back.db"][..], &OFFSET].concat());
    if let Some(read) = as_the_original_reads(&bench, "back.db") {
        for figure in ["rows", "users", "top10", "weekly", "users_null_last_played", "users_null_created_at"] {
            for (key, expected) in
                manifest[figure].as_object().into_iter().flatten().filter(|(key, _)| *key != "schema_version")
            {
                assert_eq!(read[figure][key], *expected, "{figure} {key}");
            }
            if !manifest[figure].is_object() {
                assert_eq!(read[figure], manifest[figure], "{figure}");
            }
        }
        assert_eq!(read["sessions"]["completed"], manifest["sessions"]["completed"]);
        assert_eq!(read["sessions"]["start_after_end"], 0);
        assert_eq!(read["new_question_id"], 304);
    }
    let again = bench.json([&["adopt", "back.db", "--database-url", "sqlite://again.db"][..], &OFFSET].concat());
    for field in ["users", "questions", "achievements", "rankings", "sessions"] {
        assert_eq!(again[field], report[field], "{field}");
    }
    let users = "SELECT concat_ws('|', user_id, total_points, questions_answered, best_streak, last_played, created_at) FROM users";
    assert_eq!(texts(&bench.path("again.db"), users).await, texts(&database, users).await);
    let games = "SELECT concat_ws('|', hex(id), status, started_at, ended_at) FROM game_sessions";
    assert_eq!(texts(&bench.path("again.db"), games).await, texts(&database, games).await);

    let backups = bench.json([&["adopt", "--backups", folder.join("backups").to_str().unwrap()][..], &OFFSET].concat());
    assert_eq!(backups["ok"], true, "{backups:#}");
    assert_eq!(backups["backups"].as_array().unwrap().len(), 2);
    assert_eq!(backups["backups"][0]["rows"]["weekly_rankings"], 2055);
    let before = bench.path("before.db");
    let url = format!("sqlite://{}", before.display());
    let restored = bench.json(["adopt", backups["backups"][0]["path"].as_str().unwrap(), "--database-url", &url]);
    assert_eq!(restored["rankings"], 2055);
    play_on_with(&bench);
}

/// Somebody of the sample plays on.
fn play_on_with(bench: &Bench) {
    bench.json(["simulate", "--players", "5", "--answers", "50", "--concurrency", "2"]);
    let show = |user: &str| bench.json(["user", "show", user])["profile"]["total_points"].as_i64().unwrap();
    let before = show("991179027953973250");
    bench.command(["play", "--user", "991179027953973250", "--seed", "3"]).write_stdin("a\nb\ntrue\nc\n").unwrap();
    assert!(show("991179027953973250") >= before);
}

/// An id, which JSON holds as a text in one place and as a number in the other.
fn id(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
