//! Packs and tags: noted by imports, shown, passed on by exports.

use std::fs;

use serde_json::{Value, json};

use crate::bench::{Bench, has_fields};

/// Questions that are hard to write as a table, each with labels.
fn hard_questions() -> Vec<Value> {
    let question = |kind: &str, text: &str, more: Value| {
        let mut all =
            json!({"kind": kind, "category": "A; B", "difficulty": "hard", "question": text, "language": "is"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    vec![
        question("fill_blank", "=1+1", json!({"answer": "-1", "variations": ["+1", "@a", "'=b", "'c"], "packs": []})),
        question("fill_blank", "\"Quoted\", with\ntwo lines\n\nand a gap", json!({"answer": "true", "packs": ["one"]})),
        question("fill_blank", "'@' is what?", json!({"answer": "'+'", "packs": ["one", "two"], "points": 7})),
        question(
            "true_false",
            "So; it\u{2019}s Pelé 🎯?",
            json!({"answer": false, "tags": ["=x", "two words"], "packs": []}),
        ),
        question(
            "multiple_choice",
            "Two words?",
            json!({"options": ["True", "False"], "answer": "False", "explanation": "-because\nof, it", "packs": ["two"]}),
        ),
        question(
            "multiple_choice",
            "Letters?",
            json!({"options": ["b", "a", "＝c", "C#", "C++"], "answer": "a", "tags": ["c#"], "packs": ["two"]}),
        ),
    ]
}

/// A database without other questions, with [`hard_questions`] in two packs.
fn hard() -> Bench {
    let bench = Bench::empty();
    bench.run(["migrate", "up"]).expect(0);
    let one = json!({"pack": {"name": "one", "title": "Number, one", "author": "A; B", "source": "https://one.example",
        "licence": "CC-BY-SA-4.0", "attribution": "Tell\nthem"}});
    let lines: Vec<_> = [one].into_iter().chain(hard_questions()).map(|line| line.to_string()).collect();
    bench.write("hard.jsonl", lines.join("\n"));
    let report = bench.json(["import", "hard.jsonl", "--strict"]);
    assert_eq!((&report["accepted"], &report["fixed"]), (&json!(6), &json!(0)));
    assert_eq!(report["packs"], json!({"one": 2, "two": 3}));
    bench
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn l19_json_lines_carry_packs_and_tags() {
    let (source, target) = (hard(), Bench::empty());
    source.run(["packs", "set", "empty", "--title", "Nothing in it"]).expect(0);
    let file = target.path("all.jsonl");
    source.json(["export".as_ref(), "questions".as_ref(), "-o".as_ref(), file.as_os_str()]);
    let exported = fs::read_to_string(&file).unwrap();
    assert_eq!(lines(&exported)[3..], hard_questions());
    target.run(["migrate", "up"]).expect(0);
    for accepted in [6, 0] {
        let report = target.json(["import", "all.jsonl", "--strict"]);
        assert_eq!((&report["accepted"], &report["fixed"]), (&json!(accepted), &json!(0)));
        assert_eq!(target.run(["export", "questions"]).expect(0).stdout(), exported);
        assert_eq!(target.json(["packs", "list"]), source.json(["packs", "list"]));
    }
}

#[test]
fn l19_a_csv_is_read_back_and_calculates_nothing() {
    let (source, target) = (hard(), Bench::empty());
    source.run(["packs", "set", "one", "--licence", "CC0-1.0"]).expect(0);
    let file = target.path("all.csv");
    source.json(
        ["export", "questions", "--format", "csv", "-o"]
            .map(AsRef::<std::ffi::OsStr>::as_ref)
            .iter()
            .chain([&file.as_os_str()]),
    );
    let exported = fs::read_to_string(&file).unwrap();
    let fields = exported.split([',', '\n']).map(|field| field.trim_start_matches('"'));
    let formulas: Vec<_> = fields.filter(|field| field.starts_with(['=', '+', '-', '@', '＝'])).collect();
    assert_eq!(formulas, Vec::<&str>::new());
    target.run(["migrate", "up"]).expect(0);
    for accepted in [6, 0] {
        let report = target.json(["import", "all.csv", "--strict"]);
        assert_eq!((&report["accepted"], &report["fixed"]), (&json!(accepted), &json!(0)), "{report:#}");
        let back = target.run(["export", "questions"]).expect(0).stdout();
        assert_eq!(lines(&back)[2..], hard_questions());
        assert_eq!(target.run(["export", "questions", "--format", "csv"]).expect(0).stdout(), exported);
    }
    source.run(["export", "questions", "--format", "csv", "--json"]).expect_error(1, &["CSV", "--output"]);
}

#[test]
fn an_export_tells_whom_to_name() {
    let bench = hard();
    let told = bench.run(["export", "questions", "-o", "all.jsonl"]).expect(0).stdout();
    let credits = "## Number, one\n\n- author: A; B\n- source: https://one.example\n- licence: CC-BY-SA-4.0\n\
                   - questions: 2 (pack one)\n\nTell\nthem\n\n## two\n\n- author: not known\n";
    assert!(told.contains(credits), "{told}");
    bench.run(["export", "questions", "--pack", "one", "-o", "one.jsonl", "--attribution", "ONE.md"]).expect(0);
    let text = fs::read_to_string(bench.path("ONE.md")).unwrap();
    assert!(text.contains("- questions: 2 (pack one)") && text.contains("- questions: 1 (pack two)"), "{text}");
    assert!(!text.contains("no pack is known"), "{text}");
    assert_eq!(lines(&fs::read_to_string(bench.path("one.jsonl")).unwrap()).len(), 4, "two packs and two questions");
    let again = ["export", "questions", "--attribution", "ONE.md", "-o", "other.jsonl"];
    bench.run(again).expect_error(1, &["ONE.md", "--force"]);
    assert!(!bench.path("other.jsonl").exists());
    let report = bench.json(again.iter().chain(&["--force"]));
    has_fields(&report, &["file", "questions", "packs", "without_pack"]);
    assert_eq!((&report["without_pack"], &report["packs"][1]["questions"]), (&json!(2), &json!(3)));
}

#[test]
fn packs_are_described_and_listed() {
    let bench = Bench::ready();
    let ours = &bench.json(["packs", "list"])["packs"][0];
    let questions = bench.json(["stats"])["questions_count"].clone();
    assert_eq!((&ours["name"], &ours["licence"]), (&json!("trivia-store"), &json!("MIT OR Apache-2.0")));
    assert_eq!(ours["questions"], questions);
    bench.write("q.gift", "// [tag:sun] [tag:Sky]\nThe sun rises in the east. {T}\n");
    let import = ["import", "q.gift", "--pack", "Mine", "--author", "Me", "--license", "CC0-1.0"];
    for accepted in [1, 0] {
        assert_eq!(bench.json(import)["accepted"], accepted);
        let shown = bench.json(["packs", "show", "mine"]);
        assert_eq!(shown, json!({"name": "mine", "author": "Me", "licence": "CC0-1.0", "questions": 1}));
    }
    let set = bench.run(["packs", "set", "mine", "--title", "Mine, all mine", "--author", ""]).expect(0).stdout();
    assert!(set.contains("Mine, all mine") && set.contains("licence: CC0-1.0") && !set.contains("author"), "{set}");
    assert!(bench.run(["packs", "list"]).expect(0).stdout().contains("Mine, all mine"));
    bench.run(["packs", "show", "nobody"]).expect_error(1, &["pack nobody does not exist"]);
    bench.run(["import", "q.gift", "--author", "Me"]).expect_error(2, &["--pack"]);
    bench.run(["import", "q.gift", "--pack", "a b"]).expect_error(2, &["name of a pack"]);
    let long = "x".repeat(501);
    bench.run(["packs", "set", "mine", "--author", &long]).expect_error(1, &["author", "500"]);
}

#[test]
fn questions_are_listed_and_tagged() {
    let bench = hard();
    let found = |args: &[&str]| -> Vec<String> {
        let report = bench.json(["questions", "list"].iter().chain(args));
        let questions = report["questions"].as_array().unwrap().clone();
        questions.iter().map(|question| question["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(found(&["--pack", "two"]), ["3", "5", "6"]);
    assert_eq!(found(&["--tag", "C#"]), ["6"]);
    assert_eq!(found(&["--kind", "fill_blank", "--limit", "2", "--after", "1"]), ["2", "3"]);
    assert_eq!(bench.json(["questions", "list", "--limit", "2"])["next"], "2");
    assert_eq!(bench.json(["questions", "list", "--limit", "6"])["next"], Value::Null);
    bench.run(["questions", "list", "--pack", "nobody"]).expect_error(1, &["pack nobody does not exist"]);

    let tagged = bench.json(["questions", "tag", "6", "New one", "c#", "b"]);
    assert_eq!(tagged, json!({"id": "6", "tags": ["b", "c#", "new one"]}));
    let left = bench.json(["questions", "tag", "6", "B", "none", "--remove"]);
    assert_eq!(left["tags"], json!(["c#", "new one"]));
    let shown = bench.json(["questions", "show", "6"]);
    assert_eq!((&shown["tags"], &shown["packs"], &shown["version"]), (&left["tags"], &json!(["two"]), &json!(1)));
    let people = bench.run(["questions", "show", "6"]).expect(0).stdout();
    assert!(people.contains("Tags: c#, new one") && people.contains("Packs: two"), "{people}");
    assert!(bench.run(["questions", "list", "--tag", "new one"]).expect(0).stdout().contains("Letters?"));
    bench.run(["questions", "tag", "99", "a"]).expect_error(1, &["question 99 does not exist"]);
    bench.run(["questions", "tag", "6", "a,b"]).expect_error(2, &["comma"]);
}

#[test]
fn a_known_source_is_told_with_its_licence() {
    let bench = Bench::ready();
    bench.write(
        "q.json",
        r#"{"results":[{"type":"boolean","difficulty":"easy","category":"A","question":"So?","correct_answer":"True","incorrect_answers":["False"]}]}"#,
    );
    let hint = bench.run(["import", "q.json"]).expect(0).stdout();
    assert!(hint.contains("--pack opentdb --licence CC-BY-SA-4.0"), "{hint}");
    let noted = bench.run(["import", "q.json", "--pack", "opentdb", "--licence", "CC-BY-SA-4.0"]).expect(0).stdout();
    assert!(noted.contains("In pack opentdb: 1 record.") && !noted.contains("asks for attribution"), "{noted}");
    assert_eq!(bench.json(["packs", "show", "opentdb"])["questions"], 1, "also one that was there already");
}
