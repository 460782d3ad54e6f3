//! What a person may ask for: `user delete`, `user merge`, `user time-zone`, `export user`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::bench::{Bench, Ended, ON_A_SERVER, connect, contents, has_fields};

/// Eighteen digits: by chance these bytes are nowhere.
const SOMEBODY: &str = "918273645918273645";

/// Everything that leaves traces of a player: a game, a challenge, picks, a time zone.
fn live(bench: &Bench, user: &str) {
    let typed = "a\ntrue\nword\n".repeat(5);
    for game in [&["--questions", "5", "--seed", "3"][..], &["--challenge", "daily"], &["--challenge", "weekly"]] {
        let game = ["play", "--user", user].into_iter().chain(game.iter().copied());
        Ended(bench.command(game).write_stdin(typed.clone()).output().unwrap()).expect(0);
    }
    bench.run(["user", "time-zone", user, "Asia/Tokyo"]).expect(0);
}

/// The files of the database in which an id is, as decimal digits or as SQLite stores numbers.
fn files_with(bench: &Bench, id: &str) -> Vec<String> {
    let number: i64 = id.parse().unwrap();
    let forms = [id.as_bytes().to_vec(), number.to_be_bytes().to_vec(), number.to_le_bytes().to_vec()];
    let files = ["", "-wal", "-shm", "-journal"].map(|suffix| format!("data/trivia.db{suffix}"));
    let holds = |file: &String| {
        let Ok(bytes) = fs::read(bench.path(file)) else { return false };
        forms.iter().any(|form| bytes.windows(form.len()).any(|window| window == form))
    };
    files.into_iter().filter(holds).collect()
}

fn profile(bench: &Bench, user: &str) -> Value {
    bench.json(["user", "show", user])["profile"].clone()
}

#[test]
fn l23_nothing_of_a_deleted_player_stays_in_the_file() {
    if ON_A_SERVER {
        return;
    }
    let bench = Bench::ready();
    bench.json(["simulate", "--players", "5", "--answers", "50"]);
    let others = bench.json(["leaderboard"])["entries"].clone();
    live(&bench, SOMEBODY);
    assert_eq!(files_with(&bench, SOMEBODY), ["data/trivia.db"], "the search finds nothing anyway");
    let report = bench.json(["user", "delete", SOMEBODY, "--yes", "--no-backup"]);
    assert_eq!((&report["deleted"], &report["missing"]), (&json!([SOMEBODY]), &json!([])));
    assert_eq!(report["backup"], Value::Null);
    assert_eq!(files_with(&bench, SOMEBODY), Vec::<String>::new());
    bench.run(["user", "show", SOMEBODY]).expect_error(1, &["does not exist"]);
    bench.run(["export", "user", SOMEBODY]).expect_error(1, &["does not exist"]);
    assert_eq!(bench.json(["leaderboard"])["entries"], others);
}

#[tokio::test]
async fn l23_nothing_stays_while_another_program_has_the_file_open() {
    if ON_A_SERVER {
        return;
    }
    let bench = Bench::ready();
    let other = connect(&bench.path("data/trivia.db")).await;
    live(&bench, SOMEBODY);
    other.execute_unprepared("SELECT count(*) FROM users").await.unwrap();
    bench.json(["user", "delete", SOMEBODY, "--yes"]);
    assert_eq!(files_with(&bench, SOMEBODY), Vec::<String>::new());
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_deletion_that_had_to_stop_is_finished_by_the_same_command() {
    if ON_A_SERVER {
        return;
    }
    let bench = Bench::ready();
    live(&bench, SOMEBODY);
    let other = connect(&bench.path("data/trivia.db")).await;
    // an old moment that is still being read keeps the log with what was there then
    other.execute_unprepared("BEGIN; SELECT count(*) FROM users").await.unwrap();
    let delete = ["user", "delete", SOMEBODY, "--yes"];
    let ended = Ended(bench.command(delete).env("TRIVIA_BUSY_TIMEOUT_MS", "100").output().unwrap());
    ended.expect_error(1, &["not deleted completely", "busy", "the same command finishes"]);
    other.close().await.unwrap();
    bench.run(delete).expect(0);
    assert_eq!(files_with(&bench, SOMEBODY), Vec::<String>::new());
}

#[test]
fn l23_a_restore_does_not_bring_a_deleted_player_back() {
    let bench = Bench::ready();
    live(&bench, SOMEBODY);
    live(&bench, "8");
    let backup = bench.json(["backup", "create"])["id"].as_str().unwrap().to_owned();
    let report = bench.json(["user", "delete", SOMEBODY, "--yes"]);
    assert!(report["backups"].as_array().unwrap().contains(&json!(backup)), "{report:#}");
    bench.run(["backup", "restore", &backup]).expect(0);
    bench.run(["user", "show", SOMEBODY]).expect(1);
    bench.run(["user", "show", "8"]).expect(0);
    assert_eq!(files_with(&bench, SOMEBODY), Vec::<String>::new());
}

#[test]
fn who_deletes_is_told_about_the_backups() {
    let bench = Bench::ready();
    live(&bench, "7");
    let text = bench.run(["user", "delete", "7", "--yes"]).expect(0).stdout();
    for words in ["Deleted player 7.", "was made first", "2 backups in ", "brings nobody back", "backup prune --keep 1"]
    {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    live(&bench, "8");
    let made = bench.json(["backup", "list"])[0]["path"].as_str().unwrap().to_owned();
    fs::remove_dir_all(bench.path(&made).parent().unwrap()).unwrap();
    let delete = ["user", "delete", "8", "--yes", "--no-backup"];
    assert_eq!(bench.run(delete).expect(0).stdout(), "Deleted player 8.\n");
}

#[test]
fn several_are_deleted_and_those_who_are_not_there_are_named() {
    let bench = Bench::ready();
    live(&bench, "7");
    live(&bench, "8");
    let ended = Ended(bench.command(["user", "delete", "404", "8", "7", "8", "--yes", "--json"]).output().unwrap());
    let report = ended.expect(1).document();
    assert_eq!((&report["deleted"], &report["missing"]), (&json!(["7", "8"]), &json!(["404"])));
    assert!(ended.stderr().contains("404") && ended.stderr().contains("hint: "), "{}", ended.stderr());
    for user in ["7", "8"] {
        bench.run(["user", "show", user]).expect(1);
    }
    let text = bench.run(["user", "delete", "404", "--yes"]).expect(1).stdout();
    assert_eq!(text, "There is no player 404.\n");
}

#[test]
fn a_deleted_player_can_start_again_at_zero() {
    let bench = Bench::ready();
    live(&bench, "7");
    bench.run(["user", "delete", "7", "--yes"]).expect(0);
    Ended(bench.command(["play", "--user", "7"]).write_stdin("").output().unwrap()).expect(0);
    assert_eq!(
        (&profile(&bench, "7")["questions_answered"], &profile(&bench, "7")["time_zone"]),
        (&json!(0), &json!("UTC"))
    );
}

#[test]
fn two_players_become_one() {
    let bench = Bench::ready();
    live(&bench, "7");
    let typed = "a\ntrue\nword\n".repeat(3);
    let game = ["play", "--user", "8", "--questions", "3"];
    Ended(bench.command(game).write_stdin(typed).output().unwrap()).expect(0);
    let (one, other) = (profile(&bench, "7"), profile(&bench, "8"));
    let report = bench.json(["user", "merge", "8", "7", "--yes"]);
    assert_eq!((&report["merged"], &report["into"]), (&json!("8"), &json!("7")));
    assert_eq!(report["profile"], profile(&bench, "7"));
    let answered = |profile: &Value| profile["questions_answered"].as_u64().unwrap();
    assert_eq!(answered(&report["profile"]), answered(&one) + answered(&other));
    assert_eq!(report["profile"]["time_zone"], "Asia/Tokyo", "that of the one who stays");
    bench.run(["user", "show", "8"]).expect_error(1, &["user 8 does not exist"]);
    assert_eq!(bench.json(["stats"])["users_count"], 1);
    // the way back
    bench.run(["backup", "restore", report["backup"]["id"].as_str().unwrap()]).expect(0);
    assert_eq!((profile(&bench, "7"), profile(&bench, "8")), (one, other));
}

#[test]
fn a_merge_that_cannot_be_changes_nothing() {
    let bench = Bench::ready();
    live(&bench, "7");
    let before = profile(&bench, "7");
    bench.run(["user", "merge", "7", "404", "--yes"]).expect_error(1, &["user 404 does not exist"]);
    bench.run(["user", "merge", "404", "7", "--yes"]).expect_error(1, &["user 404 does not exist"]);
    bench.run(["user", "merge", "7", "7", "--yes"]).expect_error(1, &["itself"]);
    assert_eq!(profile(&bench, "7"), before);
}

#[test]
fn what_cannot_be_taken_back_needs_a_confirmation() {
    let bench = Bench::ready();
    live(&bench, "7");
    live(&bench, "8");
    let before = contents(bench.dir.path());
    for command in [&["user", "delete", "7", "8"][..], &["user", "merge", "7", "8"]] {
        bench.run(command).expect_error(2, &["confirmation", "--yes", "nothing was changed"]);
    }
    assert_eq!(contents(bench.dir.path()), before);
}

#[test]
fn a_player_has_a_time_zone() {
    let bench = Bench::ready();
    live(&bench, "7");
    let report = bench.json(["user", "time-zone", "7", "America/Los_Angeles"]);
    assert_eq!(report["profile"]["time_zone"], "America/Los_Angeles");
    let text = bench.run(["user", "show", "7"]).expect(0).stdout();
    assert!(text.contains("America/Los_Angeles") && text.contains("challenges done: 1 daily, 1 weekly"), "{text}");
    bench.run(["user", "time-zone", "7", "Mars/Olympus"]).expect_error(2, &["Mars/Olympus", "IANA"]);
    bench.run(["user", "time-zone", "404", "UTC"]).expect_error(1, &["user 404 does not exist"]);
    assert_eq!(profile(&bench, "7"), report["profile"]);
}

#[test]
fn a_person_gets_everything_in_one_document() {
    let bench = Bench::ready();
    live(&bench, SOMEBODY);
    let parts = ["profile", "breakdown", "facts", "achievements", "scores", "challenges", "sessions", "picks"];
    let printed = bench.run(["export", "user", SOMEBODY]).expect(0).document();
    has_fields(&printed, &parts);
    assert_eq!(printed["profile"], profile(&bench, SOMEBODY));
    let count = |part: &str| printed[part].as_array().unwrap().len();
    assert_eq!(["facts", "challenges", "sessions", "picks"].map(count), [11, 2, 3, 5]);

    let report = bench.json(["export", "user", SOMEBODY, "--output", "me.json"]);
    assert_eq!(
        (&report["file"], &report["user_id"], &report["facts"]),
        (&json!("me.json"), &json!(SOMEBODY), &json!(11))
    );
    let path = bench.path("me.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    written["exported_at"] = printed["exported_at"].clone();
    assert_eq!(written, printed);

    bench.run(["export", "user", SOMEBODY, "--output", "me.json"]).expect_error(1, &["me.json", "--force"]);
    bench.run(["export", "user", "404", "--output", "other.json"]).expect_error(1, &["user 404 does not exist"]);
    assert!(!bench.path("other.json").exists());
}
