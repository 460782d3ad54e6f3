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
