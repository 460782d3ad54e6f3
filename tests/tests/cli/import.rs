//! `import`, and `export questions`, its other half.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::{Bench, Ended, ON_A_SERVER, has_fields, program};

#[test]
fn questions_are_imported_once() {
    let bench = Bench::ready();
    bench.write(
        "packs/one.jsonl",
        r#"{"kind":"true_false","category":"New","difficulty":"easy","question":"Is this new?","answer":true}"#,
    );
    let rehearsal = bench.json(["import", "packs", "--dry-run"]);
    assert_eq!((&rehearsal["read"], &rehearsal["accepted"]), (&json!(1), &json!(1)));
    let first = bench.json(["import", "packs"]);
    let fields =
        ["read", "accepted", "fixed", "duplicates", "contradictions", "rejected", "told", "files", "diagnostics"];
    has_fields(&first, &fields);
    assert_eq!((&first["accepted"], &first["duplicates"]), (&json!(1), &json!(0)));
    let second = bench.json(["import", "packs/one.jsonl", "--format", "jsonl"]);
    assert_eq!((&second["accepted"], &second["duplicates"]), (&json!(0), &json!(1)));
}

#[test]
fn what_is_exported_is_imported_again_unchanged() {
    let (source, target) = (Bench::ready(), Bench::empty());
    let file = target.path("all.jsonl");
    let report = source.json(["export".as_ref(), "questions".as_ref(), "--output".as_ref(), file.as_os_str()]);
    has_fields(&report, &["file", "questions"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    target.run(["migrate", "up"]).expect(0);
    let import = target.json(["import", "all.jsonl", "--strict"]);
    assert_eq!(import["accepted"], report["questions"]);
    assert_eq!(import["fixed"], 0);
    assert_eq!(target.run(["export", "questions"]).expect(0).stdout(), fs::read_to_string(&file).unwrap());
    let array = target.json(["export", "questions"]);
    let (packs, questions): (Vec<_>, Vec<_>) =
        array.as_array().unwrap().iter().partition(|line| line["pack"].is_object());
    assert_eq!((packs.len(), json!(questions.len())), (1, report["questions"].clone()));
}

#[test]
fn a_bad_line_of_a_question_file_is_named() {
    let bench = Bench::ready();
    let good = r#"{"kind":"true_false","category":"New","difficulty":"easy","question":"Good?","answer":true}"#;
    bench.write("q.jsonl", format!("{good}\n{{\"kind\":\"true_false\"}}\n"));
    bench.run(["import", "--strict", "q.jsonl"]).expect_error(1, &["q.jsonl:2:", "--strict"]);
    assert_eq!(bench.json(["import", "--dry-run", "q.jsonl"])["accepted"], 1, "a strict import wrote something");
    let report = bench.json(["import", "q.jsonl"]);
    assert_eq!((&report["accepted"], &report["rejected"]), (&json!(1), &json!(1)));
    assert_eq!(report["diagnostics"][0]["line"], 2);
    bench.run(["import", "nowhere.jsonl"]).expect_error(1, &["nowhere.jsonl"]);
    assert!(bench.run(["import", "q.jsonl"]).expect(0).stderr().contains("q.jsonl:2\n"));
}

#[test]
fn a_file_without_a_single_question_is_a_failure() {
    let bench = Bench::ready();
    let before = bench.json(["stats"])["questions_count"].clone();
    bench.write("q.jsonl", "{\"kind\":\"true_false\"\n");
    bench.run(["import", "q.jsonl"]).expect_error(1, &["nothing was written", "--format"]);
    assert_eq!(bench.json(["stats"])["questions_count"], before);
}

#[test]
fn diagnostics_are_shown_as_compilers_show_them() {
    let bench = Bench::ready();
    bench.write("quiz.gift", "Right?{T}\n\n\nOpen {=a ~b\n\n Equal{=a ~a ~b}\n");
    let ended = bench.run(["import", "quiz.gift"]);
    let expected = "error[unclosed_answers]: the answers have no }
 --> quiz.gift:4
  |
4 | Open {=a ~b
  |
  = done: left out

warning[equal_options]: two options or accepted answers are equal
 --> quiz.gift:6
  |
6 | Equal{=a ~a ~b}
  |
  = done: kept one of them

";
    assert_eq!(ended.expect(0).stderr(), expected);
    let stdout = ended.stdout();
    let row = stdout.lines().find(|line| line.contains("quiz.gift")).unwrap();
    let cells: Vec<_> = row.split(['│', '┆']).map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells, ["quiz.gift", "gift", "3", "2", "1", "0", "0", "1"]);
    bench.run(["import", "quiz.gift", "--json"]).expect(0);
    assert_eq!(bench.run(["import", "quiz.gift", "--json"]).stderr(), "", "a program reads the document");
}

#[test]
fn the_report_has_every_diagnostic_and_the_terminal_the_first() {
    let bench = Bench::ready();
    let bad = "{\"kind\":1}\n".repeat(1_500);
    let good = r#"{"kind":"true_false","category":"New","difficulty":"easy","question":"Good?","answer":true}"#;
    bench.write("q.jsonl", format!("{bad}{good}\n{good}\n"));
    let ended = bench.run(["import", "q.jsonl", "--report", "report.jsonl"]);
    assert!(ended.expect(0).stderr().ends_with("... and 1481 more (all are in the report)\n"), "{}", ended.stderr());
    let file = bench.path("report.jsonl");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let lines = || -> Vec<Value> {
        fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let report = lines();
    assert_eq!(report.len(), 1_502);
    assert_eq!((&report[1_499]["code"], &report[1_499]["line"]), (&json!("invalid_question"), &json!(1_500)));
    assert_eq!((&report[1_500]["level"], &report[1_500]["code"]), (&json!("note"), &json!("duplicate")));
    let last = json!({"read": 1_502, "accepted": 1, "duplicates": 1, "rejected": 1_500, "told": 1_501});
    assert!(last.as_object().unwrap().iter().all(|(key, value)| report[1_501][key] == *value), "{}", report[1_501]);

    bench.run(["import", "q.jsonl", "--report", "report.jsonl"]).expect_error(1, &["report.jsonl", "--force"]);
    let strict = ["import", "q.jsonl", "--strict", "--report", "report.jsonl", "--force"];
    bench.run(strict).expect_error(1, &["1500 of 1502", "nothing was written", "q.jsonl:1:"]);
    assert_eq!(lines().len(), 1_503, "also when nothing is written: the good one is there twice now");
}

#[test]
fn a_table_is_read_by_its_header_and_by_numbers() {
    let bench = Bench::ready();
    bench.write("header.tsv", "Question\tAnswer\tCategory\nWho?\tI\tPeople\n");
    bench.write("bare.txt", "1;Hver?;Ég\n");
    assert_eq!(bench.json(["import", "header.tsv"])["accepted"], 1);
    bench.run(["import", "bare.txt"]).expect_error(1, &["not known", "--format"]);
    let bare = ["import", "bare.txt", "--columns", "question=2,answer=3", "--language", "is", "--category", "Fólk"];
    assert_eq!(bench.json(bare)["accepted"], 1);
    let exported = bench.run(["export", "questions"]).expect(0).stdout();
    let found =
        exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|q| q["question"] == "Hver?");
    let found = found.unwrap();
    assert_eq!(
        (&found["language"], &found["category"], &found["answer"]),
        (&json!("is"), &json!("Fólk"), &json!("Ég"))
    );
    for (columns, part) in [("question=1", "are needed"), ("question=1,answer=x", "either all"), ("a=1", "not one of")]
    {
        bench.run(["import", "bare.txt", "--columns", columns]).expect_error(2, &[part]);
    }
}

/// The folder of public question sets; the test says so when it is not there.
fn public() -> Option<&'static str> {
    let shared = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/questions");
    if Path::new(shared).exists() {
        return Some(shared);
    }
    eprintln!("SKIPPED: {shared} is not there");
    None
}

/// Imports a public question set, again, exports it, and imports that into an empty database.
fn is_golden(path: &str, more: &[&str], golden: [u64; 5], equal_options: usize) {
    let Some(shared) = public() else { return };
    let (source, target) = (Bench::empty(), Bench::empty());
    source.run(["migrate", "up"]).expect(0);
    target.run(["migrate", "up"]).expect(0);
    let counts = |report: &Value| {
        ["read", "accepted", "duplicates", "contradictions", "rejected"].map(|key| report[key].as_u64().unwrap())
    };
    let path = format!("{shared}/{path}");
    let args = ["import", path.as_str(), "--report", "report.jsonl", "--force"];
    let import = || counts(&source.json(args.iter().chain(more)));
    assert_eq!(import(), golden);
    let report = fs::read_to_string(source.path("report.jsonl")).unwrap();
    assert_eq!(report.matches("\"code\":\"equal_options\"").count(), equal_options);
    let [read, accepted, _, contradictions, _] = golden;
    assert_eq!(import(), [read, 0, read, 0, 0], "the same file twice");
    let all = target.path("all.jsonl");
    source.json(["export".as_ref(), "questions".as_ref(), "--output".as_ref(), all.as_os_str()]);
    let back = target.json(["import", "all.jsonl", "--strict"]);
    assert_eq!((counts(&back), &back["fixed"]), ([accepted, accepted, 0, contradictions, 0], &json!(0)));
    target.json(["export", "questions", "--output", "again.jsonl"]);
    assert!(fs::read(&all).unwrap() == fs::read(target.path("again.jsonl")).unwrap(), "an export is what was exported");
}

#[test]
fn l19_the_open_trivia_database_gives_its_golden_numbers() {
    is_golden("opentdb/opentdb.json", &[], [5_250, 5_249, 1, 1, 0], 0);
}

#[test]
fn l19_a_public_question_set_goes_through_csv_unchanged() {
    let Some(shared) = public() else { return };
    let (source, target) = (Bench::empty(), Bench::empty());
    source.run(["migrate", "up"]).expect(0);
    target.run(["migrate", "up"]).expect(0);
    source.json(["import", &format!("{shared}/opentdb/opentdb.json")]);
    let csv = source.run(["export", "questions", "--format", "csv"]).expect(0).stdout();
    target.write("all.csv", csv);
    assert_eq!(target.json(["import", "all.csv", "--strict"])["fixed"], 0);
    let [before, after] = [source, target].map(|bench| bench.run(["export", "questions"]).expect(0).stdout());
    assert!(before == after, "a question changed on its way through CSV");
}

#[test]
fn l19_opentriviaqa_gives_its_golden_numbers() {
    is_golden("opentriviaqa/categories", &[], [49_716, 49_203, 513, 4, 0], 24);
}

#[test]
fn l19_the_icelandic_questions_give_their_golden_numbers() {
    // thousands of questions take long there, and are the same
    if ON_A_SERVER {
        return;
    }
    let columns = ["--columns", "category=1,difficulty=3,question=5,answer=6", "--language", "is"];
    is_golden("icelandic_sveinn/questions.csv", &columns, [11_610, 11_568, 42, 13, 0], 0);
}

/// The most memory that a process has had so far, in kB.
fn high_water_mark(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// The most memory of an import of so many generated questions, in kB.
fn memory_of_import(questions: u64) -> u64 {
    let bench = Bench::empty();
    bench.run(["migrate", "up"]).expect(0);
    let line = |number: u64| format!("Which number comes after {number}?,{},{number},a{number}\n", number + 1);
    bench.write("q.csv", format!("question,answer,wrong,wrong\n{}", (0..questions).map(line).collect::<String>()));
    let mut command = program(bench.dir.path());
    let child = command.args(["import", "q.csv", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let process = child.id();
    let (ended, end) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let output = child.wait_with_output().unwrap();
        ended.send(()).unwrap();
        output
    });
    let mut highest = 0;
    // it only grows, so what was last seen misses little
    while end.recv_timeout(Duration::from_millis(5)).is_err() {
        highest = high_water_mark(process).unwrap_or(0).max(highest);
    }
    let ended = Ended(waiter.join().unwrap());
    assert_eq!(ended.expect(0).document()["accepted"], questions);
    highest
}

#[test]
fn t12_four_times_the_questions_take_no_more_memory() {
    if ON_A_SERVER {
        return;
    }
    let (few, many) = (memory_of_import(10_000), memory_of_import(40_000));
    assert!(many < few + 16 * 1024, "{few} kB for 10,000 questions, {many} kB for 40,000");
}
