//! The question of the day and those of the week: `play --challenge`.

use std::sync::Arc;

use serde_json::{Value, json};
use trivia_domain::model::{ChallengeKind, ChannelId, IdempotencyKey, TimeLimit, UserId};
use trivia_domain::ports::{AnswerSubmission, Clock, MaintenancePort, Repositories, StartChallenge};
use trivia_infrastructure::{Database, SystemClock, SystemRandom};

use crate::bench::{Bench, Ended, has_fields};

fn play(bench: &Bench, user: &str, kind: &str, typed: &str) -> Ended {
    let game = ["play", "--user", user, "--challenge", kind];
    Ended(bench.command(game).write_stdin(typed).output().unwrap())
}

fn play_json(bench: &Bench, user: &str, kind: &str, typed: &str) -> Value {
    let game = ["play", "--user", user, "--challenge", kind, "--json"];
    Ended(bench.command(game).write_stdin(typed).output().unwrap()).expect(0).document()
}

/// An answer of each kind for `questions`; what a question does not understand is asked again.
fn answers(questions: usize) -> String {
    "a\ntrue\nword\n".repeat(questions)
}

#[test]
fn the_question_of_the_day_is_played_once() {
    let bench = Bench::ready();
    let report = play_json(&bench, "7", "daily", &answers(1));
    has_fields(&report["challenge"], &["kind", "starts_on", "size", "answered", "correct", "points", "done", "badge"]);
    let challenge = &report["challenge"];
    assert_eq!(
        (&challenge["kind"], &challenge["size"], &challenge["done"]),
        (&json!("daily"), &json!(1), &json!(true))
    );
    assert_eq!((&challenge["done_before"], &report["asked"]), (&json!(false), &json!(1)));
    assert_eq!((&challenge["points"], &challenge["correct"]), (&report["points"], &report["correct"]));

    let again = play_json(&bench, "7", "daily", &answers(1));
    assert_eq!((&again["asked"], &again["challenge"]["done_before"]), (&json!(0), &json!(true)));
    assert_eq!(again["total_points"], report["total_points"]);
    let text = play(&bench, "7", "daily", &answers(1)).expect(0).stdout();
    assert!(text.contains("was done already") && !text.contains("Question"), "{text}");
    assert_eq!(bench.json(["user", "show", "7"])["profile"]["daily_challenges"], 1);
}

#[test]
fn everybody_is_asked_the_same_question_of_the_day() {
    let bench = Bench::ready();
    let asked = |user: &str| {
        let text = play(&bench, user, "daily", "").expect(0).stdout();
        text.lines().skip_while(|line| !line.starts_with("Question 1 of 1")).nth(2).unwrap().to_owned()
    };
    let first = asked("7");
    assert_eq!([asked("8"), asked("9"), asked("7")], [first.clone(), first.clone(), first]);
}

#[test]
fn what_was_answered_of_a_week_is_not_asked_again() {
    let bench = Bench::ready();
    let text = play(&bench, "7", "weekly", &answers(1)).expect(0).stdout();
    assert!(text.contains("Question 1 of 5") && text.contains("is not done: "), "{text}");
    let before = bench.json(["user", "show", "7"])["profile"]["questions_answered"].as_u64().unwrap();
    assert!((1..5).contains(&before), "{before}");
    let report = play_json(&bench, "7", "weekly", &answers(5));
    assert_eq!(report["asked"], 5 - before);
    let challenge = &report["challenge"];
    assert_eq!((&challenge["answered"], &challenge["done"]), (&json!(5), &json!(true)));
    assert_eq!(bench.json(["user", "show", "7"])["profile"]["questions_answered"], 5);
    assert_eq!(bench.json(["user", "show", "7"])["profile"]["weekly_challenges"], 1);
}

#[tokio::test]
async fn a_perfect_week_has_a_badge() {
    let bench = Bench::ready();
    let database = Database::open(bench.options(), Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
    let (host, channel_id) = (UserId::new(7).unwrap(), ChannelId::new(7).unwrap());
    database.users().get_or_create(host).await.unwrap();
    let request = StartChallenge { channel_id, host, kind: ChallengeKind::Weekly, time_limit: TimeLimit::default() };
    let session = database.play().start_challenge(request).await.unwrap();
    for (at, question) in session.questions.iter().enumerate() {
        let content = database.questions().get(question.question_id).await.unwrap().content;
        let submission = AnswerSubmission {
            key: IdempotencyKey::generate(SystemClock.now(), &SystemRandom),
            user_id: host,
            session_id: session.id,
            question_id: question.question_id,
            given: content.read(content.answer()).unwrap(),
        };
        assert_eq!(database.play().submit_answer(submission).await.unwrap().correct, Some(true));
        database.play().advance(session.id, at).await.unwrap();
    }
    database.close().await.unwrap();

    let report = play_json(&bench, "7", "weekly", "");
    assert_eq!((&report["challenge"]["badge"], &report["challenge"]["correct"]), (&json!("perfect"), &json!(5)));
    let text = play(&bench, "7", "weekly", "").expect(0).stdout();
    assert!(text.contains("was done already: 5 of 5 right") && text.contains("Badge: perfect"), "{text}");
    let shown = bench.json(["user", "show", "7"]);
    assert_eq!(shown["badges"], json!([{ "starts_on": report["challenge"]["starts_on"], "badge": "perfect" }]));
    assert!(bench.run(["user", "show", "7"]).expect(0).stdout().contains("badge perfect for the week of"));
}

#[test]
fn a_challenge_has_its_own_questions() {
    let bench = Bench::ready();
    for other in [["--questions", "3"], ["--category", "Science"], ["--difficulty", "easy"]] {
        bench.run(["play", "--challenge", "daily"].into_iter().chain(other)).expect_error(2, &[other[0]]);
    }
    bench.run(["play", "--challenge", "hourly"]).expect_error(2, &["hourly", "daily, weekly"]);
}

#[test]
fn a_challenge_needs_questions() {
    let bench = Bench::empty();
    bench.run(["play", "--challenge", "daily"]).expect_error(1, &["trivia-db init"]);
    bench.run(["migrate", "up"]).expect(0);
    for kind in ["daily", "weekly"] {
        bench.run(["play", "--challenge", kind]).expect_error(1, &["only 0 questions match", "trivia-db import"]);
    }
}
