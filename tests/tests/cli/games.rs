//! Commands that play: `simulate`, `demo`, `play`.

use std::collections::HashSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::bench::{Bench, Ended, contents, has_fields};

fn interrupt(child: &Child) {
    let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_simulation_loses_nothing() {
    let bench = Bench::ready();
    let load = ["simulate", "--players", "50", "--answers", "2000", "--concurrency", "16", "--ack-log", "acks"];
    let report = bench.json(load);
    let fields = ["answers", "acknowledged", "rejected", "seconds", "p50_us", "p99_us", "throughput", "lossless"];
    has_fields(&report, &fields);
    assert_eq!((&report["answers"], &report["acknowledged"]), (&json!(2000), &json!(2000)));
    assert_eq!((&report["counted"], &report["lossless"]), (&json!(2000), &json!(true)));
    let acks = fs::read_to_string(bench.path("acks")).unwrap();
    let lines: Vec<Vec<&str>> = acks.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines.len(), 2000);
    let keys: HashSet<&str> = lines.iter().map(|line| line[0]).collect();
    let facts: HashSet<(&str, &str)> = lines.iter().map(|line| (line[1], line[2])).collect();
    assert_eq!((keys.len(), facts.len()), (2000, 2000));
    let stats = bench.json(["stats"]);
    assert_eq!((&stats["users_count"], &stats["ledger_count"]), (&json!(50), &json!(2000)));
    bench.run(["check"]).expect(0);
    // once more on the same players
    assert_eq!(bench.json(load)["counted"], 2000);
}

#[test]
fn a_simulation_of_one_player_works() {
    let bench = Bench::ready();
    let report = bench.json(["simulate", "--players", "1", "--answers", "15", "--concurrency", "64"]);
    assert_eq!(report["acknowledged"], 15);
}

#[test]
fn a_simulation_needs_a_database_with_questions() {
    let bench = Bench::empty();
    bench.run(["simulate"]).expect_error(1, &["trivia-db init"]);
    bench.run(["migrate", "up"]).expect(0);
    bench.run(["simulate"]).expect_error(1, &["questions", "trivia-db init"]);
}

#[test]
fn ctrl_c_leaves_nothing_half_done() {
    let bench = Bench::ready();
    let mut child = bench
        .program()
        .args(["simulate", "--answers", "100000000", "--ack-log", "acks"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while fs::metadata(bench.path("acks")).map_or(0, |file| file.len()) < 2_000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    interrupt(&child);
    let ended = Ended(child.wait_with_output().unwrap());
    ended.expect(130);
    assert!(ended.stderr().contains("interrupted"));
    bench.run(["check"]).expect(0);
    let acks = fs::read_to_string(bench.path("acks")).unwrap();
    let acknowledged = acks.lines().filter(|line| line.split(' ').count() == 3).count() as u64;
    let stored = bench.json(["stats"])["ledger_count"].as_u64().unwrap();
    assert!(stored >= acknowledged, "{acknowledged} acknowledged, {stored} stored");
    // the sessions that were left behind are no obstacle
    bench.json(["simulate", "--answers", "500"]);
}

#[test]
fn the_demo_shows_a_whole_life_and_leaves_nothing() {
    let bench = Bench::empty();
    let scratch = bench.path("scratch");
    fs::create_dir(&scratch).unwrap();
    let ended = Ended(bench.command(["demo"]).env("TMPDIR", &scratch).output().unwrap());
    let text = ended.expect(0).stdout();
    assert_eq!(ended.stderr(), "");
    let headings = [
        "1. A new database",
        "2. Questions",
        "3. An evening with five players",
        "4. Six more evenings",
        "5. Achievements",
        "6. This week",
        "7. A backup",
        "8. An accident",
        "9. The way back",
        "10. A last look",
    ];
    let mut from = 0;
    for heading in headings {
        from += text[from..].find(heading).unwrap_or_else(|| panic!("no {heading:?} in:\n{}", &text[from..]));
    }
    for word in ["Ada", "The question of the day", "Hot Streak", "damaged:", "healthy", "trivia-db init"] {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    assert_eq!(contents(bench.dir.path()), [], "the demo leaves files behind");
    assert_eq!(fs::read_dir(scratch).unwrap().count(), 0);
}

#[test]
fn the_demo_is_the_same_for_the_same_seed() {
    let bench = Bench::empty();
    let demo = |seed: &str| {
        let mut report = bench.json(["demo", "--seed", seed]);
        has_fields(&report, &["leaderboard", "weekly", "achievements", "backup", "problems", "identical", "seconds"]);
        assert_eq!(report["identical"], true);
        assert!(!report["problems"].as_array().unwrap().is_empty());
        assert!(report["seconds"].as_f64().unwrap() < 10.0);
        for varying in ["seconds", "backup", "problems"] {
            report[varying] = Value::Null;
        }
        report
    };
    let first = demo("5");
    assert_eq!(demo("5"), first);
    assert_ne!(demo("6")["leaderboard"], first["leaderboard"]);
}

#[test]
fn the_demo_never_touches_the_configured_database() {
    let bench = Bench::ready();
    let before = contents(bench.dir.path());
    bench.run(["demo"]).expect(0);
    assert_eq!(contents(bench.dir.path()), before);
}

#[test]
fn a_game_is_played_to_its_end() {
    let bench = Bench::ready();
    let game = ["play", "--user", "42", "--questions", "3", "--seed", "1", "--json"];
    // an answer of each kind; what a question does not understand is asked again
    let typed = "a\ntrue\nword\n".repeat(3);
    let ended = Ended(bench.command(game).write_stdin(typed).output().unwrap());
    let report = ended.expect(0).document();
    has_fields(&report, &["user_id", "asked", "answered", "correct", "points", "total_points", "all_time", "weekly"]);
    assert_eq!((&report["user_id"], &report["asked"], &report["answered"]), (&json!("42"), &json!(3), &json!(3)));
    assert!(ended.stderr().contains("Question 3 of 3"), "with --json the game is on stderr");
    assert_eq!(bench.json(["user", "show", "42"])["profile"]["questions_answered"], 3);
}

#[test]
fn right_answers_count_and_wrong_ones_are_explained() {
    let bench = Bench::ready();
    // the answers are learned from an export, so that all of them are right
    let questions = bench.json(["export", "questions"]);
    let game = ["play", "--questions", "6", "--seed", "9"];
    let mut child = bench.program().args(game).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    for round in 1..=6 {
        let mut shown = Vec::new();
        // up to the prompt
        while !shown.ends_with(b"> ") {
            assert!(stdout.read_until(b' ', &mut shown).unwrap() > 0, "it ended early: {text}");
        }
        let shown = String::from_utf8(shown).unwrap();
        let mut asked = questions
            .as_array()
            .unwrap()
            .iter()
            .filter(|question| shown.contains(&format!("{}\n", question["question"].as_str().unwrap())));
        let answer = asked.next_back().unwrap()["answer"].clone();
        let answer = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
        let answer = if round == 6 { "definitely not\nfalse\na\nfalse".to_owned() } else { answer };
        writeln!(stdin, "{answer}").unwrap();
        text.push_str(&shown);
    }
    drop(stdin);
    stdout.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(text.matches("Right!").count() + text.matches("Wrong: the answer is").count(), 6, "{text}");
    assert!(text.matches("Right!").count() >= 5, "{text}");
    assert!(text.contains("Hot Streak"), "five right answers in a row unlock it: {text}");
    assert!(text.contains("Rank 1 of 1 this week"), "{text}");
}

#[test]
fn what_is_no_answer_is_asked_again() {
    let bench = Bench::ready();
    let game = ["play", "--questions", "1", "--seed", "1", "--category", "Science", "--difficulty", "easy"];
    let ended = Ended(bench.command(game).write_stdin("???\n\n!!\n").output().unwrap());
    let text = ended.expect(0).stdout();
    let fill = text.matches("Wrong").count();
    assert!(fill == 1 || text.contains("That is not one of the answers; type "), "{text}");
}

#[test]
fn the_end_of_the_input_ends_the_game_and_frees_the_channel() {
    let bench = Bench::ready();
    for _ in 0..2 {
        let ended = Ended(bench.command(["play", "--json"]).write_stdin("").output().unwrap());
        assert_eq!(ended.expect(0).document()["answered"], 0);
    }
}

#[test]
fn ctrl_c_ends_a_game_in_good_order() {
    let bench = Bench::ready();
    let mut child = bench.program().arg("play").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut shown = Vec::new();
    while !shown.ends_with(b"> ") {
        assert!(stdout.read_until(b' ', &mut shown).unwrap() > 0);
    }
    interrupt(&child);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.contains("Stopped early"), "{rest}");
    bench.run(["check"]).expect(0);
}

#[test]
fn a_player_is_not_asked_the_same_twice() {
    let bench = Bench::ready();
    let play = |user: &str| {
        let game = ["play", "--user", user, "--questions", "1", "--seed", "1"];
        Ended(bench.command(game).write_stdin("").output().unwrap()).expect(0).stdout()
    };
    let first = play("5");
    assert_ne!(play("5"), first);
    assert_eq!(play("6").replace("Player 6", "Player 5"), first, "another player is");
}

#[test]
fn a_game_with_too_few_questions_says_so() {
    let bench = Bench::ready();
    let ended = bench.run(["play", "--category", "No such thing"]);
    ended.expect_error(1, &["only 0 questions match", "--questions"]);
    Bench::empty().run(["play"]).expect_error(1, &["trivia-db init"]);
}
