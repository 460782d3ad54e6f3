//! What an operator decides: `achievements`, `calendar`, and the boards that follow.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use trivia_domain::memory::ManualClock;
use trivia_domain::model::{IdempotencyKey, Points, UserId};
use trivia_domain::ports::{AwardRequest, Clock, MaintenancePort, Repositories};
use trivia_infrastructure::{Database, SystemRandom};

use crate::bench::{Bench, Ended, has_fields};

/// Gives points to players at an instant.
async fn award(bench: &Bench, at: &str, players: &[(i64, u32)]) {
    let clock = Arc::new(ManualClock::new(at.parse().unwrap()));
    let database = Database::open(bench.options(), clock.clone(), Arc::new(SystemRandom)).await.unwrap();
    for (player, points) in players {
        let user_id = database.users().get_or_create(UserId::new(*player).unwrap()).await.unwrap().user_id;
        let key = IdempotencyKey::generate(clock.now(), &SystemRandom);
        let (points, reason) = (Points::small(*points), "for the board".to_owned());
        database.play().award(AwardRequest { key, user_id, points, reason }).await.unwrap();
    }
    database.close().await.unwrap();
}

fn definition(id: &str, at_least: u64) -> Value {
    json!({
        "id": id, "name": "First Steps", "emoji": "👣", "category": "participation",
        "rule": { "rule": "answered", "at_least": at_least }, "bonus": 5, "hidden": false,
    })
}

fn points(bench: &Bench, user: &str) -> i64 {
    bench.json(["user", "show", user])["profile"]["total_points"].as_i64().unwrap()
}

fn play(bench: &Bench) {
    let game = ["play", "--user", "7", "--questions", "3"];
    Ended(bench.command(game).write_stdin("a\ntrue\nword\n".repeat(3)).output().unwrap()).expect(0);
}

#[test]
fn achievements_are_listed_in_the_form_that_is_read() {
    let bench = Bench::ready();
    let list = bench.json(["achievements", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 18);
    has_fields(&list[0], &["id", "name", "emoji", "category", "rule", "bonus", "hidden"]);
    let text = bench.run(["achievements", "list"]).expect(0).stdout();
    assert!(text.contains("hot_streak") && text.contains("5 right answers in a row"), "{text}");
    bench.write("list.json", list.to_string());
    let report = bench.json(["achievements", "define", "list.json"]);
    let defined = report["defined"].as_array().unwrap();
    assert_eq!(defined.len(), 18);
    assert!(defined.iter().all(|one| one["players_changed"] == 0), "the same definitions changed something");
    assert_eq!(bench.json(["achievements", "list"]), list);
}

#[test]
fn t15_who_has_earned_a_new_achievement_gets_it_and_keeps_it() {
    let bench = Bench::ready();
    play(&bench);
    let before = points(&bench, "7");
    bench.write("one.json", definition("first_steps", 3).to_string());
    let report = bench.json(["achievements", "define", "one.json"]);
    assert_eq!(report["defined"], json!([{ "id": "first_steps", "players_changed": 1 }]));
    assert_eq!(points(&bench, "7"), before + 5);
    bench.write("one.json", definition("first_steps", 100).to_string());
    let text = bench.run(["achievements", "define", "one.json"]).expect(0).stdout();
    assert_eq!(text, "Defined first_steps; 0 players changed.\n");
    bench.run(["achievements", "retire", "first_steps"]).expect_error(2, &["--yes", "nothing was changed"]);
    assert_eq!(bench.json(["achievements", "list"]).as_array().unwrap().len(), 19);
    assert_eq!(bench.json(["achievements", "retire", "first_steps", "--yes"])["retired"], "first_steps");
    assert_eq!(bench.json(["achievements", "list"]).as_array().unwrap().len(), 18);
    assert_eq!(points(&bench, "7"), before + 5);
}

#[test]
fn the_name_of_an_achievement_cannot_command_a_terminal() {
    let bench = Bench::ready();
    play(&bench);
    let mut evil = definition("evil", 1);
    evil["name"] = json!("\u{1b}[2Jgone");
    bench.write("evil.json", evil.to_string());
    // whether it is refused or shown, it stays text
    let defined = bench.run(["achievements", "define", "evil.json"]);
    for ended in [defined, bench.run(["achievements", "list"]), bench.run(["user", "show", "7"])] {
        assert!(!ended.stdout().contains('\u{1b}') && !ended.stderr().contains('\u{1b}'), "{}", ended.stdout());
    }
}

#[test]
fn an_achievement_that_is_not_there_cannot_be_retired() {
    let bench = Bench::ready();
    bench.run(["achievements", "retire", "first_steps", "--yes"]).expect_error(1, &["first_steps", "does not exist"]);
    bench.run(["achievements", "retire", "Hot Streak", "--yes"]).expect_error(2, &["Hot Streak"]);
    bench.run(["achievements", "retire", "hot_streak", "--yes"]).expect(0);
    bench.run(["achievements", "retire", "hot_streak", "--yes"]).expect_error(1, &["does not exist"]);
}

#[test]
fn a_bad_file_defines_nothing() {
    let bench = Bench::ready();
    let (sound, mut wrong) = (definition("first_steps", 1), definition("second_steps", 1));
    let refused = |name: &str, content: &[u8], words: &[&str]| {
        bench.write(name, content);
        let words: Vec<&str> = words.iter().copied().chain([name, "nothing was changed"]).collect();
        bench.run(["achievements", "define", name]).expect_error(1, &words);
    };
    refused("empty.json", b"", &["line 1"]);
    refused("none.json", b" [] ", &[]);
    refused("text.json", b"hot_streak", &["line 1"]);
    refused("noise.json", &[0xff; 100], &[]);
    refused("part.json", br#"{"id":"x"}"#, &["missing field"]);
    refused("two.json", format!("{sound}{sound}").as_bytes(), &["trailing"]);
    refused("twice.json", json!([sound, sound]).to_string().as_bytes(), &["first_steps", "twice"]);
    for (key, value, words) in [
        ("id", json!("Second Steps"), "Second Steps"),
        ("name", json!(""), "empty"),
        ("category", json!("sports"), "sports"),
        ("rule", json!({ "rule": "luck" }), "luck"),
        ("rule", json!({ "rule": "answered", "at_least": 0 }), "asks for nothing"),
        ("rule", json!({ "rule": "accuracy", "percent": 101, "answered": 10 }), "100 percent"),
        ("bonus", json!(-1), "-1"),
        ("bonus", json!(1e30), "bonus.json"),
    ] {
        let kept = std::mem::replace(&mut wrong[key], value);
        let name = format!("{key}.json");
        refused(&name, json!([sound, wrong]).to_string().as_bytes(), &[words]);
        wrong[key] = kept;
    }
    // neither deep nor large files exhaust the program
    let deep = "[".repeat(500_000);
    refused("deep.json", deep.as_bytes(), &[]);
    let mut deep = sound.to_string().replace('}', "");
    deep.push_str(",\"more\":");
    deep.push_str(&"[".repeat(500_000));
    refused("deeper.json", deep.as_bytes(), &["recursion limit"]);
    refused("large.json", " ".repeat(2 * 1024 * 1024).as_bytes(), &["larger than"]);
    bench.run(["achievements", "define", "nowhere.json"]).expect_error(1, &["nowhere.json"]);
    fs::create_dir(bench.path("folder")).unwrap();
    bench.run(["achievements", "define", "folder"]).expect_error(1, &["folder", "no file"]);
    bench.run(["achievements", "define", "/dev/zero"]).expect_error(1, &["no file"]);
    assert_eq!(bench.json(["achievements", "list"]).as_array().unwrap().len(), 18);
}

#[tokio::test]
async fn what_does_not_fit_is_not_defined_and_what_came_before_is_told() {
    let bench = Bench::ready();
    play(&bench);
    let mut huge = definition("huge_steps", 1);
    huge["bonus"] = json!(i64::MAX);
    bench.write("two.json", json!([definition("first_steps", 1), huge]).to_string());
    let ended = Ended(bench.command(["achievements", "define", "two.json", "--json"]).output().unwrap());
    assert_eq!(ended.expect(1).document()["defined"], json!([{ "id": "first_steps", "players_changed": 1 }]));
    let stderr = ended.stderr();
    assert!(stderr.contains("huge_steps") && stderr.contains("overflow") && stderr.contains("hint: "), "{stderr}");
    assert_eq!(bench.json(["achievements", "list"]).as_array().unwrap().len(), 19);
}

#[test]
fn the_calendar_is_shown_and_set() {
    let bench = Bench::ready();
    let calendar = bench.json(["calendar"]);
    has_fields(&calendar, &["zone", "week_start", "today", "this_week"]);
    assert_eq!((&calendar["zone"], &calendar["week_start"]), (&json!("UTC"), &json!("monday")));
    let set = bench.json(["calendar", "set", "--zone", "Pacific/Kiritimati"]);
    assert_eq!((&set["zone"], &set["week_start"]), (&json!("Pacific/Kiritimati"), &json!("monday")));
    assert_eq!(set["players_changed"], 0);
    let set = bench.json(["calendar", "set", "--week-start", "sunday"]);
    assert_eq!((&set["zone"], &set["week_start"]), (&json!("Pacific/Kiritimati"), &json!("sunday")));
    let text = bench.run(["calendar"]).expect(0).stdout();
    assert!(text.contains("Pacific/Kiritimati") && text.contains("sunday"), "{text}");
    bench.run(["calendar", "set"]).expect_error(2, &["--zone", "--week-start"]);
    bench.run(["calendar", "set", "--zone", "Mars/Olympus"]).expect_error(2, &["Mars/Olympus", "IANA"]);
    bench.run(["calendar", "set", "--week-start", "funday"]).expect_error(2, &["funday"]);
    assert_eq!(bench.json(["calendar"])["week_start"], "sunday");
}

#[tokio::test]
async fn boards_follow_the_calendar_also_for_the_past() {
    let bench = Bench::ready();
    // a Saturday in London, a Sunday in Tokyo
    award(&bench, "2026-03-07T20:00:00Z", &[(7, 30)]).await;
    let board = |period: &str, at: &str| {
        let board = bench.json(["leaderboard", "--period", period, "--at", at]);
        (board["from"].as_str().unwrap().to_owned(), board["total"].as_u64().unwrap())
    };
    assert_eq!(board("daily", "2026-03-07"), ("2026-03-07".to_owned(), 1));
    assert_eq!(board("weekly", "2026-03-08"), ("2026-03-02".to_owned(), 1));
    let set = bench.json(["calendar", "set", "--zone", "Asia/Tokyo", "--week-start", "sunday"]);
    assert_eq!(set["players_changed"], 1);
    assert_eq!(board("daily", "2026-03-07"), ("2026-03-07".to_owned(), 0));
    assert_eq!(board("daily", "2026-03-08"), ("2026-03-08".to_owned(), 1));
    assert_eq!(board("weekly", "2026-03-14"), ("2026-03-08".to_owned(), 1));
    assert_eq!(board("weekly", "2026-03-07"), ("2026-03-01".to_owned(), 0));
}

#[tokio::test]
async fn a_rank_is_compared_with_the_period_before() {
    let bench = Bench::ready();
    award(&bench, "2026-03-04T12:00:00Z", &[(1, 30), (2, 20), (3, 10)]).await;
    award(&bench, "2026-03-11T12:00:00Z", &[(1, 10), (2, 20), (3, 30), (4, 5)]).await;
    let week = ["leaderboard", "--period", "weekly", "--at", "2026-03-11", "--around"];
    let around = |user: &'static str| bench.json(week.into_iter().chain([user]))["rank_change"].clone();
    assert_eq!([around("1"), around("2"), around("3"), around("4")], [json!(-2), json!(0), json!(2), Value::Null]);
    let text = |user: &'static str| bench.run(week.into_iter().chain([user])).expect(0).stdout();
    assert!(text("1").contains("Player 1: 2 ranks worse than in the period before"), "{}", text("1"));
    assert!(text("2").contains("the same rank as in the period before"), "{}", text("2"));
    assert!(text("3").contains("2 ranks better"), "{}", text("3"));
    assert!(!text("4").contains("period before"), "{}", text("4"));
    assert_eq!(bench.json(["leaderboard", "--around", "1"])["rank_change"], Value::Null, "all time has no before");
}
