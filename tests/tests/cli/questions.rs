//! Looking after questions.

use serde_json::{Value, json};

use crate::bench::{Bench, has_fields};

fn line(question: &str, answer: &str, options: &[&str]) -> String {
    json!({"kind": "multiple_choice", "category": "Any", "difficulty": "easy", "question": question,
        "options": options, "answer": answer})
    .to_string()
}

fn ids(doubt: &Value) -> Vec<&str> {
    doubt["questions"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect()
}

#[test]
fn the_bundled_questions_are_beyond_doubt() {
    let bench = Bench::ready();
    let report = bench.json(["questions", "review"]);
    assert_eq!(report["doubts"], json!([]));
    assert!(report["questions"].as_u64().unwrap() >= 300);
}

#[test]
fn l17_doubtful_questions_are_reviewed_retired_and_restored() {
    let bench = Bench::ready();
    let before = bench.json(["questions", "review"])["questions"].as_u64().unwrap();
    let lines = [
        line("Which river flows through the old town of Basel?", "Rhine", &["Rhine", "Rhone"]),
        line("Which river flows through the old town of Basel?", "Rhone", &["Rhine", "Rhone"]),
        line("Which river flows right through the old town of Basel?", "Rhine", &["Rhine", "Aare"]),
    ];
    bench.write("q.jsonl", lines.join("\n"));
    bench.json(["import", "q.jsonl"]);
    let report = bench.json(["questions", "review"]);
    has_fields(&report, &["questions", "contradictions", "near_duplicates", "doubts"]);
    assert_eq!(report["questions"], before + 3);
    let doubts = report["doubts"].as_array().unwrap();
    assert_eq!(doubts.len(), 2, "{report:#}");
    assert_eq!(doubts[0]["doubt"], "contradiction");
    assert_eq!(doubts[1]["doubt"], "near_duplicate");
    assert_eq!(doubts[1]["details"][0]["answer"], "Rhine");
    let (right, wrong, again) = (ids(&doubts[0])[0], ids(&doubts[0])[1], ids(&doubts[1])[1]);
    assert_eq!(ids(&doubts[1]), [right, again]);
    assert_eq!(bench.json(["questions", "review", "--limit", "1"])["doubts"].as_array().unwrap().len(), 1);

    // all or none
    bench.run(["questions", "retire", wrong, "999999"]).expect_error(1, &["question 999999 does not exist"]);
    assert_eq!(bench.json(["questions", "show", wrong])["retired_at"], Value::Null);
    assert_eq!(bench.json(["questions", "retire", wrong, again]), json!({"retired": [wrong, again]}));
    assert!(bench.json(["questions", "show", wrong])["retired_at"].is_string());
    assert_eq!(bench.json(["questions", "review"])["doubts"], json!([]));
    assert_eq!(bench.json(["questions", "restore", wrong]), json!({"restored": [wrong]}));
    let shown = bench.json(["questions", "show", wrong]);
    has_fields(&shown, &["id", "version", "question", "answer", "options", "times_asked", "language", "earlier"]);
    assert_eq!((&shown["retired_at"], &shown["earlier"]), (&Value::Null, &json!([])));
    let text = bench.run(["questions", "show", wrong]);
    assert!(text.expect(0).stdout().contains("Right: Rhone"), "{}", text.stdout());
    bench.run(["questions", "show", "999999"]).expect_error(1, &["question 999999 does not exist"]);
}

#[test]
fn questions_are_listed_and_asked_in_one_language() {
    let bench = Bench::ready();
    let lines: Vec<_> = (0..6)
        .map(|n| {
            json!({"kind": "true_false", "category": "Saga", "difficulty": "easy", "language": "is",
                "question": format!("Er {n} tala?"), "answer": true})
            .to_string()
        })
        .collect();
    bench.write("is.jsonl", lines.join("\n"));
    bench.json(["import", "is.jsonl"]);
    let first = bench.json(["questions", "list", "--language", "IS", "--limit", "4"]);
    let questions = first["questions"].as_array().unwrap();
    assert_eq!(questions.len(), 4);
    assert!(questions.iter().all(|question| question["language"] == "is"));
    assert_eq!(first["next"], questions[3]["id"]);
    let next = first["next"].as_str().unwrap();
    let rest = bench.json(["questions", "list", "--language", "is", "--limit", "4", "--after", next]);
    assert_eq!((rest["questions"].as_array().unwrap().len(), &rest["next"]), (2, &Value::Null));
    let none = bench.run(["questions", "list", "--language", "tlh"]);
    assert!(none.expect(0).stdout().contains("no such questions"), "{}", none.stdout());
    bench.run(["questions", "list", "--language", "?"]).expect_error(2, &["is not a language tag"]);

    assert_eq!(bench.json(["stats"])["questions_by_language"]["is"], 6);
    assert!(bench.run(["stats"]).expect(0).stdout().contains("is 6"));
    let played = bench.json(["play", "--language", "is", "--questions", "6"]);
    assert_eq!(played["asked"], 6);
    let too_many = bench.run(["play", "--language", "is", "--questions", "7"]);
    too_many.expect_error(1, &["only 6 questions match, 7 were wanted", "language"]);

    let set = bench.json(["challenges", "set", "--language", "is"]);
    assert_eq!(set["language"], "is");
    bench.json(["play", "--challenge", "weekly"]);
    let shown = bench.json(["challenges"]);
    assert_eq!((&shown["language"], &shown["present"][1]["started"]), (&json!("is"), &json!(true)));
    assert_eq!(bench.json(["challenges", "set", "--any-language"])["language"], Value::Null);
    bench.run(["challenges", "set"]).expect_error(2, &["--language"]);
}

#[test]
fn what_players_report_is_reviewed_and_settled() {
    let bench = Bench::ready();
    for player in ["7", "8"] {
        bench.json(["play", "--user", player, "--questions", "1"]);
    }
    let report =
        |player, reason| ["questions", "report", "3", "--player", player, "--reason", reason, "--note", "Öfugt\u{1b}"];
    let filed = bench.json(report("7", "wrong_answer"));
    has_fields(&filed, &["id", "question_id", "version", "user_id", "reason", "note", "reported_at", "settled"]);
    bench.json(report("7", "outdated"));
    bench.json(report("8", "outdated"));
    let review = bench.json(["questions", "review"]);
    let reported = &review["reported"][0];
    assert_eq!((&reported["question_id"], &reported["open"]), (&json!("3"), &json!(2)));
    assert_eq!(reported["reasons"], json!({"outdated": 2}));
    assert!(reported["details"]["question"].is_string());
    let text = bench.run(["questions", "review"]);
    assert!(text.expect(0).stdout().contains("2 reports: outdated 2"), "{}", text.stdout());
    let shown = bench.run(["questions", "show", "3"]);
    assert!(shown.expect(0).stdout().contains("Player 7 said of version 1"), "{}", shown.stdout());
    assert!(!shown.stdout().contains('\u{1b}'), "what people write does not steer the terminal");
    assert_eq!(bench.run(["export", "user", "7"]).expect(0).document()["reports"].as_array().unwrap().len(), 1);

    bench.run(report("404", "other")).expect_error(1, &["user 404 does not exist"]);
    bench.run(report("7", "boring")).expect_error(2, &["boring", "wrong_answer, unclear"]);
    let never = report("7", "other").into_iter().chain(["--shown", "9"]);
    bench.run(never).expect_error(1, &["version of a question 3/9 does not exist"]);
    bench.run(["questions", "settle", "3"]).expect_error(2, &["--accept"]);
    bench.run(["questions", "settle", "3", "--accept", "--dismiss"]).expect_error(2, &["--dismiss"]);
    bench.run(["questions", "settle", "999999", "--accept"]).expect_error(1, &["question 999999 does not exist"]);

    let settled = bench.json(["questions", "settle", "3", "--accept"]);
    assert_eq!(settled, json!({"question_id": "3", "outcome": "accepted", "settled": 2}));
    assert_eq!(bench.json(["questions", "settle", "3", "--dismiss"])["settled"], 0);
    assert_eq!(bench.json(["questions", "review"])["reported"], json!([]));
    let shown = bench.json(["questions", "show", "3"]);
    assert_eq!(shown["reports"][1]["settled"]["outcome"], "accepted");
}
