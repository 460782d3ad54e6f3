//! What each command does when all is well.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::bench::{Bench, ON_A_SERVER, contents, has_fields};

const BACKUP: [&str; 9] = ["id", "path", "kind", "created_at", "bytes", "sha256", "schema_version", "rows", "verified"];
const STATS: [&str; 17] = [
    "users_count",
    "questions_count",
    "user_achievements_count",
    "weekly_rankings_count",
    "game_sessions_count",
    "database_size_bytes",
    "database_size_mb",
    "schema_version",
    "connection_pool_size",
    "max_pool_size",
    "error_count",
    "last_error_time",
    "last_backup",
    "auto_backup_enabled",
    "journal_mode",
    "synchronous_mode",
    "pool",
];

fn points(bench: &Bench, user: &str) -> i64 {
    bench.json(["user", "show", user])["profile"]["total_points"].as_i64().unwrap()
}

fn play(bench: &Bench, user: &str) {
    bench.command(["play", "--user", user, "--seed", "3", "--difficulty", "easy"]).write_stdin("a\nb\ntrue\n").unwrap();
}

fn simulate(bench: &Bench) -> Value {
    bench.json(["simulate", "--players", "10", "--answers", "100", "--concurrency", "4"])
}

#[test]
fn init_creates_imports_and_backs_up() {
    let bench = Bench::empty();
    let report = bench.json(["init"]);
    has_fields(&report, &["database", "schema_version", "migrations_applied", "questions_imported", "backup"]);
    let database = if ON_A_SERVER { "postgres://" } else { "sqlite://data/trivia.db" };
    assert!(report["database"].as_str().unwrap().starts_with(database), "{report}");
    assert!(report["questions_imported"].as_u64().unwrap() >= 300);
    assert_eq!(report["migrations_applied"].as_array().unwrap().last(), Some(&report["schema_version"]));
    has_fields(&report["backup"], &BACKUP);
    assert_eq!(report["backup"]["kind"], "initial");
    let files = ["data/trivia.db", report["backup"]["path"].as_str().unwrap()];
    for path in files.into_iter().skip(ON_A_SERVER.into()) {
        let mode = fs::metadata(bench.path(path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{path} is readable by others");
    }
}

#[test]
fn init_twice_changes_nothing() {
    let bench = Bench::ready();
    let before = bench.json(["stats"]);
    let again = bench.json(["init"]);
    assert_eq!(again["migrations_applied"], json!([]));
    assert_eq!(again["questions_imported"], 0);
    assert_eq!(again["backup"], Value::Null);
    assert_eq!(bench.json(["stats"])["rows"], before["rows"]);
    assert_eq!(bench.json(["backup", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn l29_init_backs_up_before_it_migrates() {
    let bench = Bench::ready();
    bench.run(["migrate", "down", "1"]).expect(0);
    let report = bench.json(["init"]);
    assert_eq!(report["migrations_applied"].as_array().unwrap().len(), 1);
    assert_eq!(report["backup"]["kind"], "pre_migration");
}

#[test]
fn reset_needs_a_confirmation_and_has_a_way_back() {
    let bench = Bench::ready();
    play(&bench, "7");
    bench.run(["reset"]).expect_error(2, &["--yes"]);
    bench.run(["user", "show", "7"]).expect(0);
    let report = bench.json(["reset", "--yes"]);
    has_fields(&report, &["database", "schema_version", "migrations_applied", "questions_imported", "backup"]);
    assert_eq!(report["backup"]["kind"], "pre_reset");
    assert!(report["questions_imported"].as_u64().unwrap() >= 300);
    bench.run(["user", "show", "7"]).expect(1);
    bench.run(["backup", "restore", report["backup"]["id"].as_str().unwrap()]).expect(0);
    bench.run(["user", "show", "7"]).expect(0);
}

#[test]
fn reset_without_a_database_makes_one() {
    let bench = Bench::empty();
    let report = bench.json(["reset", "--yes"]);
    assert_eq!(report["backup"], Value::Null);
    bench.run(["check"]).expect(0);
}

#[test]
fn s25_the_self_test_passes_and_leaves_the_real_data_alone() {
    let bench = Bench::ready();
    play(&bench, "12345");
    let before = contents(bench.dir.path());
    let report = bench.json(["test"]);
    let checks = report["checks"].as_array().unwrap();
    assert!(checks.len() >= 12);
    for check in checks {
        has_fields(check, &["name", "ok", "detail"]);
        assert_eq!(check["ok"], true, "{check}");
    }
    assert_eq!(contents(bench.dir.path()), before);
}

#[test]
fn the_self_test_needs_no_database_and_leaves_nothing() {
    let bench = Bench::empty();
    let scratch = bench.path("scratch");
    fs::create_dir(&scratch).unwrap();
    bench.command(["test"]).env("TMPDIR", &scratch).assert().code(0);
    assert_eq!(contents(bench.dir.path()), []);
    assert_eq!(fs::read_dir(scratch).unwrap().count(), 0);
}

#[test]
fn l29_migrations_go_up_and_down_with_backups() {
    let bench = Bench::empty();
    let up = bench.json(["migrate", "up", "2"]);
    has_fields(&up, &["applied", "pending"]);
    assert_eq!(up["applied"].as_array().unwrap().len(), 2);
    assert_eq!(up["backup"], Value::Null);
    let up = bench.json(["migrate", "up"]);
    assert_eq!((&up["pending"], &up["backup"]["kind"]), (&json!([]), &json!("pre_migration")));
    let all = up["applied"].clone();
    let down = bench.json(["migrate", "down"]);
    assert_eq!(down["reverted"].as_array().unwrap(), down["pending"].as_array().unwrap());
    assert_eq!(down["backup"]["kind"], "pre_migration");
    let status = bench.json(["migrate", "status"]);
    assert_eq!(status["pending"], down["pending"]);
    bench.run(["stats"]).expect_error(1, &["incompatible", "migrate up"]);
    bench.run(["migrate", "fresh"]).expect_error(2, &["--yes"]);
    let fresh = bench.json(["migrate", "fresh", "--yes"]);
    assert_eq!((&fresh["applied"], &fresh["pending"]), (&all, &json!([])));
    assert_eq!(fresh["backup"]["kind"], "pre_migration");
}

#[test]
fn an_export_does_not_replace_a_file_unless_told_to() {
    let bench = Bench::ready();
    let file = bench.write("out.jsonl", "mine");
    bench.run(["export", "questions", "--output", "out.jsonl"]).expect_error(1, &["out.jsonl", "--force"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    bench.run(["export", "questions", "--output", "out.jsonl", "--force"]).expect(0);
    assert!(fs::read_to_string(&file).unwrap().starts_with('{'));
    let left = fs::read_dir(bench.dir.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
    assert_eq!(left.count(), 0, "a temporary file is left behind");
}

#[test]
fn an_empty_database_is_exported_as_nothing() {
    let bench = Bench::empty();
    bench.run(["migrate", "up"]).expect(0);
    assert_eq!(bench.run(["export", "questions"]).expect(0).stdout(), "");
    assert_eq!(bench.json(["export", "questions"]), json!([]));
}

#[test]
fn a_player_is_shown_with_everything() {
    let bench = Bench::ready();
    play(&bench, "1399999999999999999");
    let report = bench.json(["user", "show", "1399999999999999999"]);
    has_fields(&report, &["profile", "accuracy", "breakdown", "achievements", "ranks"]);
    assert_eq!(report["profile"]["user_id"], "1399999999999999999");
    has_fields(&report["achievements"][0], &["definition", "reached", "target", "unlocked", "unlocked_at"]);
    has_fields(&report["ranks"]["all-time"], &["rank", "total", "points"]);
    assert!(bench.run(["user", "show", "1399999999999999999"]).expect(0).stdout().contains("Hot Streak"));
}

#[test]
fn boards_of_all_periods() {
    let bench = Bench::ready();
    simulate(&bench);
    let all = bench.json(["leaderboard", "--limit", "3"]);
    has_fields(&all, &["period", "from", "to", "entries", "total"]);
    assert_eq!((&all["period"], &all["from"], &all["to"]), (&json!("all-time"), &Value::Null, &Value::Null));
    assert_eq!(all["entries"].as_array().unwrap().len(), 3);
    has_fields(&all["entries"][0], &["rank", "user_id", "points"]);
    assert_eq!(all["entries"][0]["rank"], 1);
    let at = ["--at", "2026-02-11"];
    let days = |period: &str| {
        let board = bench.json(["leaderboard", "--period", period].into_iter().chain(at));
        assert_eq!(board["total"], 0);
        (board["from"].clone(), board["to"].clone())
    };
    assert_eq!(days("daily"), (json!("2026-02-11"), json!("2026-02-11")));
    assert_eq!(days("weekly"), (json!("2026-02-09"), json!("2026-02-15")));
    assert_eq!(days("monthly"), (json!("2026-02-01"), json!("2026-02-28")));
    assert_eq!(bench.json(["leaderboard", "--period", "weekly"])["total"], all["total"]);
}

#[test]
fn a_board_around_a_player() {
    let bench = Bench::ready();
    simulate(&bench);
    let all = bench.json(["leaderboard"]);
    let middle = all["entries"][4]["user_id"].as_str().unwrap();
    let around = bench.json(["leaderboard", "--around", middle, "--limit", "3"]);
    assert_eq!(around["entries"].as_array().unwrap().as_slice(), &all["entries"].as_array().unwrap()[3..6]);
    let nobody = bench.json(["leaderboard", "--around", "404"]);
    assert_eq!(nobody["entries"], json!([]));
}

#[test]
fn backups_are_made_listed_verified_and_pruned() {
    let bench = Bench::ready();
    let made = bench.json(["backup", "create", "--reason", "before the weekend"]);
    has_fields(&made, &BACKUP);
    assert_eq!(
        (&made["kind"], &made["reason"], &made["verified"]),
        (&json!("manual"), &json!("before the weekend"), &json!(true))
    );
    let list = bench.json(["backup", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 2);
    has_fields(&list[0], &BACKUP);
    assert_eq!(list[0]["id"], made["id"], "the newest one is first");
    let one = bench.json(["backup", "verify", made["id"].as_str().unwrap()]);
    has_fields(&one, &BACKUP);
    assert_eq!((&one["ok"], &one["problems"]), (&json!(true), &json!([])));
    let all = bench.json(["backup", "verify"]);
    assert_eq!((&all["ok"], all["backups"].as_array().unwrap().len()), (&json!(true), 2));
    let rehearsal = bench.json(["backup", "prune", "--keep", "1", "--dry-run"]);
    assert_eq!(rehearsal["deleted"], json!([list[1]["id"]]));
    let pruned = bench.json(["backup", "prune", "--keep", "1"]);
    assert_eq!((&pruned["deleted"], &pruned["kept"]), (&rehearsal["deleted"], &json!(1)));
    assert_eq!(bench.json(["backup", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn a_drill_is_made_and_listed() {
    let bench = Bench::ready();
    let id = bench.json(["backup", "create"])["id"].as_str().unwrap().to_owned();
    assert!(bench.run(["backup", "list"]).expect(0).stdout().contains("never"));
    let one = bench.json(["backup", "verify", &id, "--drill"]);
    assert_eq!((&one["ok"], &one["drill"]["ok"]), (&json!(true), &json!(true)));
    let all = bench.json(["backup", "verify", "--drill"]);
    assert!(all["backups"].as_array().unwrap().iter().all(|one| one["drill"]["ok"] == true), "{all:#}");
    assert!(!bench.run(["backup", "list"]).expect(0).stdout().contains("never"));
    bench.run(["backup", "verify", "none", "--drill"]).expect_error(1, &["none", "does not exist"]);
}

#[test]
fn kinds_of_backups_are_kept_apart() {
    let bench = Bench::ready();
    for kind in ["manual", "daily", "manual", "weekly", "manual"] {
        bench.json(["backup", "create", "--kind", kind]);
    }
    let prune = ["backup", "prune", "--keep", "9", "--keep-kind", "manual=1", "--keep-kind", "daily=0"];
    assert_eq!(bench.json(prune)["deleted"].as_array().unwrap().len(), 3);
    let kinds: Vec<_> =
        bench.json(["backup", "list"]).as_array().unwrap().iter().map(|one| one["kind"].clone()).collect();
    assert_eq!(kinds, ["manual", "weekly", "initial"]);
    for wrong in ["manual", "monthly=1", "daily=few"] {
        bench.run(["backup", "prune", "--keep-kind", wrong]).expect(2);
    }
}

#[test]
fn the_number_of_kept_backups_is_a_setting() {
    let bench = Bench::ready();
    bench.run(["backup", "create"]).expect(0);
    bench.write("trivia.toml", "keep_backups = 1\n");
    assert_eq!(bench.json(["backup", "prune"])["kept"], 1);
}

#[test]
fn l26_a_daily_backup_is_made_once_a_day() {
    let bench = Bench::ready();
    let kinds = ["daily", "weekly"];
    for kind in kinds {
        let first = bench.json(["backup", "create", "--kind", kind]);
        assert_eq!(first["kind"], kind);
        assert_eq!(bench.json(["backup", "create", "--kind", kind])["id"], first["id"]);
    }
    assert_eq!(bench.json(["backup", "list"]).as_array().unwrap().len(), 1 + kinds.len());
}

#[test]
fn l24_s21_two_backups_of_one_second_are_two() {
    let bench = Bench::ready();
    let ids: Vec<Value> = (0..3).map(|_| bench.json(["backup", "create"])["id"].clone()).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2]);
    assert_eq!(bench.json(["backup", "verify"])["ok"], true);
}

#[test]
fn l25_a_restore_brings_the_data_back_and_so_does_the_way_back() {
    let bench = Bench::ready();
    play(&bench, "7");
    let before = points(&bench, "7");
    let backup = bench.json(["backup", "create"]);
    simulate(&bench);
    let restored = bench.json(["backup", "restore", backup["id"].as_str().unwrap()]);
    has_fields(&restored, &["restored", "previous"]);
    assert_eq!(restored["restored"]["id"], backup["id"]);
    assert_eq!(points(&bench, "7"), before);
    assert_eq!(bench.json(["stats"])["users_count"], 1);
    bench.run(["backup", "restore", restored["previous"]["id"].as_str().unwrap()]).expect(0);
    assert_eq!(bench.json(["stats"])["users_count"], 11);
    bench.run(["check"]).expect(0);
}

#[test]
fn stats_have_the_keys_of_the_original() {
    let bench = Bench::ready();
    let stats = bench.json(["stats"]);
    has_fields(&stats, &STATS);
    assert_eq!(stats["journal_mode"], "wal");
    assert_eq!(stats["synchronous_mode"], 2, "durability is full by default");
    assert!(stats["last_backup"].is_string());
}

#[test]
fn a_healthy_database_is_healthy() {
    let bench = Bench::ready();
    let check = bench.json(["check"]);
    assert_eq!((&check["ok"], &check["problems"]), (&json!(true), &json!([])));
    let health = bench.json(["health"]);
    has_fields(&health, &["status", "checks"]);
    assert_eq!(health["status"], "healthy", "{health:#}");
    has_fields(&health["checks"][0], &["name", "status", "reason", "recommendation"]);
}

#[test]
fn every_shell_has_completions() {
    let bench = Bench::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(bench.run(["completions", shell]).expect(0).stdout().contains("leaderboard"), "{shell}");
        has_fields(&bench.json(["completions", shell]), &["shell", "script"]);
    }
    bench.write("trivia.toml", "nonsense = 1\n");
    bench.run(["completions", "bash"]).expect(0);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let bench = Bench::empty();
    for args in [
        &["frobnicate"][..],
        &[],
        &["user", "show", "x"],
        &["user", "show", "9223372036854775808"],
        &["leaderboard", "--at", "2026-02-30"],
        &["leaderboard", "--period", "yearly"],
        &["leaderboard", "--limit", "0"],
        &["migrate", "up", "0"],
        &["backup", "restore", "../etc/passwd"],
        &["backup", "create", "--kind", "initial"],
        &["play", "--difficulty", "impossible"],
        &["stats", "-v", "-q"],
        &["serve", "--listen", "here"],
        &["serve", "--once", "--listen", "127.0.0.1:0"],
        &["import"],
        &["completions", "cmd.exe"],
    ] {
        let ended = bench.run(args);
        ended.expect(2);
        assert_eq!(ended.stdout(), "", "{args:?}");
        assert_eq!(contents(bench.dir.path()), [], "{args:?} wrote something");
    }
}

#[test]
fn help_is_on_stdout() {
    let bench = Bench::empty();
    for args in [&["--help"][..], &["-h"], &["help", "backup"], &["migrate", "--help"], &["--version"]] {
        assert!(!bench.run(args).expect(0).stdout().is_empty());
    }
}
