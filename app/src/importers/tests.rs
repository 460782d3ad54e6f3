use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use clap::ValueEnum;
use proptest::prelude::*;
use trivia_domain::memory::{ManualClock, MemoryStore, SeededRandom};
use trivia_domain::model::{
    Category, Difficulty, Language, Page, Points, QuestionBody, QuestionContent, QuestionKind, UserId,
};
use trivia_domain::ports::{QuestionFilter, Repositories};

use super::error::ImportError;
use super::input::Input;
use super::report::ImportReport;
use super::run::{ImportOptions, import};
use super::{Fix, Format, MAX_RECORD, Parsed};

const OPENTDB: &str = r#"
{"response_code": 0, "results": [
 {"type":"boolean","difficulty":"easy","category":"Science &amp; Nature","question":"A statement.","correct_answer":"False","incorrect_answers":["True"]},
 {"type":"multiple","difficulty":"hard","category":"Computers","question":"Which one is &quot;&eacute;&#039;&amp;amp;&quot;?","correct_answer":"C#","incorrect_answers":["C","c","C++"]},
 {"type":"multiple","difficulty":"hard","category":"Computers","question":" Blanks? ","correct_answer":"right\t","incorrect_answers":["wrong","right  again"]},
 {"type":"multiple","difficulty":"hard","category":"Computers","question":"In&shy;vis&lrm;ible\u0000?","correct_answer":"a","incorrect_answers":["b","b "," "]},
 {"type":"multiple","difficulty":"hard","category":"Computers","question":"No answer?","correct_answer":" ","incorrect_answers":["a","b"]},
 {"type":"multiple","difficulty":"hard","category":"Computers","question":"&nbsp;","correct_answer":"a","incorrect_answers":["b"]},
 {"type":"multiple","difficulty":"hard","category":"Computers","question":"One option?","correct_answer":"a","incorrect_answers":["a"]},
 {"type":"multiple","difficulty":"insane","category":"Computers","question":"Odd level?","correct_answer":"a","incorrect_answers":["b"]},
 {"type":"multiple","difficulty":[}],
 {"type":"multiple","difficulty":"hard","category":"","question":"No category?","correct_answer":"a","incorrect_answers":["b"]},
 17
]}
"#;

const OPENTRIVIAQA: &[u8] = b"\r
#Q What does this poem by \x93Nobody\x94 mean?\r
\r
A rose\n  is a   rose
^ Nothing
A Nothing
B Something
C All of these

#Q The \xe2\x80\x9cBadger State\xe2\x80? is in Yaound\xe9.
^ True
A False
B True

#Q Empty option?
^ b
A 
B b
C c

#Q Equal options?
^ a
A A
B a
C c
D c

#Q Answer not there?
^ x
A a
B b

#Q No answer?
A a
B b

#Q Strange line?
^ a
A a
C c

#Q
^ a
A a
B b
";

const JSONL: &str = r#"
{"kind":"multiple_choice","category":"Test","difficulty":"easy","question":"Which?","options":["a","A","&amp;"],"answer":"A"}

{"kind":"true_false","category":"Test","difficulty":"hard","question":"So it is.","answer":true,"points":7}
{"kind":"fill_blank","category":"Test","difficulty":"medium","question":"What?","answer":"a","variations":["b"],"language":"de"}
{"kind":"true_false","category":"Test","difficulty":"hard","question":" Blanks.","answer":true}
{"kind":"true_false","category":"Test","difficulty":"hard","question":"No truth.","answer":"maybe"}
{"kind":"multiple_choice","category":"Test","difficulty":"easy","question":"Which?","options":["a","a"],"answer":"a"}
{"kind":"true_false","category":"Test",
[1, 2]"#;

fn records(format: Format, bytes: &[u8]) -> Vec<(u64, Parsed)> {
    let mut input = Input::new(Cursor::new(bytes.to_vec())).unwrap();
    let mut parser = format.parser(Path::new("some-file"));
    std::iter::from_fn(|| parser.next(&mut input).unwrap()).collect()
}

/// Line and either the fixes or the code of each record.
fn summary(format: Format, bytes: &[u8]) -> Vec<(u64, Result<Vec<Fix>, &'static str>)> {
    let short = |parsed| match parsed {
        Parsed::Ok { fixes, .. } => Ok(fixes),
        Parsed::Rejected { code, .. } => Err(code),
    };
    records(format, bytes).into_iter().map(|(line, parsed)| (line, short(parsed))).collect()
}

fn questions(format: Format, bytes: &[u8]) -> Vec<QuestionContent> {
    let ok = |(_, parsed)| match parsed {
        Parsed::Ok { content, .. } => Some(*content),
        Parsed::Rejected { .. } => None,
    };
    records(format, bytes).into_iter().filter_map(ok).collect()
}

fn options(content: &QuestionContent) -> Vec<&str> {
    match content.body() {
        QuestionBody::MultipleChoice { options, .. } => options.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn the_format_is_told_by_the_content() {
    let bom = [super::input::BOM, JSONL.as_bytes()].concat();
    let cases: [(&[u8], Option<Format>); 8] = [
        (OPENTDB.as_bytes(), Some(Format::OpenTdb)),
        (OPENTRIVIAQA, Some(Format::OpenTriviaQa)),
        (JSONL.as_bytes(), Some(Format::Jsonl)),
        (&bom, Some(Format::Jsonl)),
        (br#"{"kind":"true_false","question":"Is \"results\": [ a list?"}"#, Some(Format::Jsonl)),
        (b"", None),
        (b"{}", None),
        (b"# Q and A\n", None),
    ];
    for (head, format) in cases {
        assert_eq!(Format::detect(head), format, "{}", String::from_utf8_lossy(head));
    }
}

#[test]
fn l19_every_oddity_of_opentdb_has_its_outcome() {
    let expected = [
        (3, Ok(vec![])),
        (4, Ok(vec![])),
        (5, Ok(vec![Fix::Blanks])),
        (6, Ok(vec![Fix::Nul, Fix::Blanks, Fix::EmptyOption, Fix::EqualOptions])),
        (7, Err("no_answer")),
        (8, Err("empty_question")),
        (9, Err("too_few_options")),
        (10, Err("invalid_record")),
        (11, Err("invalid_json")),
        (12, Err("invalid_question")),
        (13, Err("invalid_record")),
    ];
    assert_eq!(summary(Format::OpenTdb, OPENTDB.as_bytes()), expected);
    let questions = questions(Format::OpenTdb, OPENTDB.as_bytes());
    assert_eq!(questions[0].body(), &QuestionBody::TrueFalse { answer: false });
    assert_eq!(questions[0].category().as_str(), "Science & Nature");
    assert_eq!(questions[1].text(), "Which one is \"é'&amp;\"?", "entities are decoded once");
    assert_eq!((options(&questions[1]), questions[1].answer()), (vec!["C", "C#", "C++", "c"], "C#"));
    assert_eq!((questions[2].text(), questions[2].answer()), ("Blanks?", "right"));
    assert_eq!(questions[3].text(), "In\u{ad}vis\u{200e}ible?", "invisible characters stay");
    assert_eq!(options(&questions[3]), ["a", "b"]);
}

#[test]
fn l19_a_broken_outer_object_is_told_once() {
    let good = r#"{"type":"boolean","difficulty":"easy","category":"A","question":"B","correct_answer":"True","incorrect_answers":["False"]}"#;
    let open = "[".repeat(100_000);
    let ok = || Ok(vec![]);
    let cases = [
        (String::new(), vec![Err("no_results")]),
        ("{}".to_owned(), vec![Err("no_results")]),
        ("[1]".to_owned(), vec![Err("invalid_json")]),
        ("{\"results\" 1}".to_owned(), vec![Err("invalid_json")]),
        ("{\"results\":".to_owned(), vec![Err("truncated")]),
        ("{\"results\":[]}".to_owned(), vec![]),
        ("{\"results\":[".to_owned(), vec![Err("truncated")]),
        (format!("{{\"results\":[{good}"), vec![ok(), Err("truncated")]),
        (format!("{{\"results\":[{good}]"), vec![ok(), Err("truncated")]),
        (format!("{{\"results\":[{good},{{\"type"), vec![ok(), Err("truncated")]),
        (format!("{{\"results\":[{good}]}} {good}"), vec![ok()]),
        (format!("{{\"results\":[{good}],{good}}}"), vec![ok(), Err("invalid_json")]),
        (
            format!(
                "{{\"results\":[{good}]}}{{\"a\":{{\"results\":[]}},\"b\":\"x\\\"\",\"c\":1.5,\"results\":[{good}]}}"
            ),
            vec![ok(), ok()],
        ),
        (format!("{{\"results\":[{good}}}{good}]}}"), vec![ok(), Err("invalid_json")]),
        (
            format!("{{\"results\":[\"a\" 1 null {good}]}}"),
            vec![Err("invalid_record"), Err("invalid_record"), Err("invalid_record"), ok()],
        ),
        (format!("{{\"results\":[{open}"), vec![Err("truncated")]),
        (format!("{{\"results\":[{open}{},{good}]}}", open.replace('[', "]")), vec![Err("invalid_json"), ok()]),
    ];
    for (json, expected) in cases {
        let found: Vec<_> = summary(Format::OpenTdb, json.as_bytes()).into_iter().map(|(_, result)| result).collect();
        assert_eq!(found, expected, "{:.200}", json);
    }
}

#[test]
fn l19_a_huge_record_costs_only_itself() {
    let filler = "x".repeat(3 * MAX_RECORD);
    let good = r#"{"type":"boolean","difficulty":"easy","category":"A","question":"B","correct_answer":"True","incorrect_answers":["False"]}"#;
    let json = format!("{{\"results\":[\n{{\"question\":\"{filler}\"}},\n{good}]}}");
    assert_eq!(summary(Format::OpenTdb, json.as_bytes()), [(2, Err("too_large")), (3, Ok(vec![]))]);

    let lines = format!(
        "{filler}\n{{\"kind\":\"true_false\",\"category\":\"A\",\"difficulty\":\"easy\",\"question\":\"B\",\"answer\":true}}"
    );
    assert_eq!(summary(Format::Jsonl, lines.as_bytes()), [(1, Err("too_large")), (2, Ok(vec![]))]);

    let many: Vec<String> = (0..MAX_RECORD / 10).map(|n| format!("\"{n:05}\"")).collect();
    let json = good.replace("\"False\"", &many.join(","));
    assert_eq!(
        summary(Format::OpenTdb, format!("{{\"results\":[{json}]}}").as_bytes()),
        [(1, Err("invalid_question"))]
    );

    let long = "poem\n".repeat(MAX_RECORD);
    let text = format!("#Q {filler}\n^ a\nA a\nB b\n#Q {long}\n^ a\nA a\nB b\n#Q Small?\n^ a\nA a\nB b\n");
    let last = MAX_RECORD as u64 + 9;
    assert_eq!(
        summary(Format::OpenTriviaQa, text.as_bytes()),
        [(1, Err("too_large")), (5, Err("too_large")), (last, Ok(vec![]))]
    );
}

#[test]
fn l19_every_oddity_of_opentriviaqa_has_its_outcome() {
    let expected = [
        (2, Ok(vec![Fix::Encoding, Fix::Blanks])),
        (11, Ok(vec![Fix::Encoding])),
        (16, Ok(vec![Fix::EmptyOption])),
        (22, Ok(vec![Fix::EqualOptions])),
        (29, Err("answer_not_an_option")),
        (34, Err("no_answer")),
        (38, Err("stray_text")),
        (43, Err("empty_question")),
    ];
    assert_eq!(summary(Format::OpenTriviaQa, OPENTRIVIAQA), expected);
    let questions = questions(Format::OpenTriviaQa, OPENTRIVIAQA);
    assert_eq!(questions[0].text(), "What does this poem by “Nobody” mean?\n\nA rose\nis a rose");
    assert_eq!(options(&questions[0]), ["Nothing", "Something", "All of these"], "their order is kept");
    assert_eq!((questions[0].category().as_str(), questions[0].difficulty()), ("Some File", Difficulty::Medium));
    assert_eq!(questions[1].text(), "The “Badger State” is in Yaoundé.");
    assert_eq!(questions[1].body(), &QuestionBody::TrueFalse { answer: true });
    assert_eq!(options(&questions[2]), ["b", "c"]);
    assert_eq!((options(&questions[3]), questions[3].answer()), (vec!["A", "a", "c"], "a"));

    let stray = [b"no\n\nquestions\n".as_slice(), OPENTRIVIAQA].concat();
    let found = summary(Format::OpenTriviaQa, &stray);
    assert_eq!((found.len(), &found[0]), (expected.len() + 1, &(1, Err("stray_text"))));
}

#[test]
fn l19_every_oddity_of_json_lines_has_its_outcome() {
    let expected = [
        (2, Ok(vec![])),
        (4, Ok(vec![])),
        (5, Ok(vec![])),
        (6, Ok(vec![Fix::Normalised])),
        (7, Err("invalid_question")),
        (8, Err("invalid_question")),
        (9, Err("invalid_json")),
        (10, Err("invalid_json")),
    ];
    assert_eq!(summary(Format::Jsonl, JSONL.as_bytes()), expected);
    let questions = questions(Format::Jsonl, JSONL.as_bytes());
    assert_eq!(options(&questions[0]), ["a", "A", "&amp;"], "nothing is decoded");
    assert_eq!(
        questions.iter().map(QuestionContent::kind).collect::<Vec<_>>(),
        [QuestionKind::MultipleChoice, QuestionKind::TrueFalse, QuestionKind::FillBlank, QuestionKind::TrueFalse]
    );
}

#[test]
fn l19_what_is_written_is_read_back_also_the_largest() {
    let category = Category::new("Türkçe & \u{1f98a}").unwrap();
    // each of these characters is six bytes in JSON
    let body =
        QuestionBody::choice((1..=26).map(|n| "\u{1}".repeat(1_000 - n)).collect(), &"\u{1}".repeat(999)).unwrap();
    let largest = QuestionContent::new(body, &"\u{2}".repeat(20_000), category.clone(), Difficulty::Hard)
        .unwrap()
        .with_explanation(&"\u{3}".repeat(20_000))
        .unwrap()
        .with_points(Points::new(i64::MAX).unwrap());
    let odd = QuestionContent::new(
        QuestionBody::FillBlank {
            answer: "ı ß ς e\u{301}".to_owned(),
            variations: vec!["\u{200c}\u{202b}שלום".to_owned()],
        },
        "two  blanks,\r\n\tlines and &amp; \u{feff}\u{ad}",
        category,
        Difficulty::Easy,
    )
    .unwrap()
    .with_language(Language::new("tr").unwrap());
    for content in [largest, odd] {
        let line = serde_json::to_vec(&content).unwrap();
        let read = [(1, Parsed::Ok { content: Box::new(content), fixes: Vec::new() })];
        assert_eq!(records(Format::Jsonl, &line), read);
    }
}

proptest! {
    #[test]
    fn l19_no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        for format in Format::value_variants() {
            records(*format, &bytes);
        }
        Format::detect(&bytes);
    }

    #[test]
    fn l19_no_structure_makes_a_parser_panic(text in r#"([{}\[\],:"\\a1 \n]|"results"|"kind":|#Q |\^ |A |&#|&amp;){0,200}"#) {
        for format in Format::value_variants() {
            records(*format, text.as_bytes());
        }
    }

    #[test]
    fn l19_no_damage_to_a_file_makes_a_parser_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..20)
    ) {
        for (format, file) in [
            (Format::OpenTdb, OPENTDB.as_bytes()),
            (Format::OpenTriviaQa, OPENTRIVIAQA),
            (Format::Jsonl, JSONL.as_bytes()),
        ] {
            let mut file = file.to_vec();
            for (place, byte, change) in &changes {
                let at = place.index(file.len());
                match change {
                    0 => file[at] = *byte,
                    1 => file.insert(at, *byte),
                    _ => { file.remove(at); }
                }
            }
            let lines = file.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            for (line, _) in records(format, &file) {
                prop_assert!((1..=lines).contains(&line));
            }
        }
    }
}

fn store() -> MemoryStore {
    let clock = ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap());
    MemoryStore::new(Arc::new(clock), Arc::new(SeededRandom::new(7)))
}

async fn stored(store: &MemoryStore) -> usize {
    store.questions().list(&QuestionFilter::default(), Page::first(u32::MAX)).await.unwrap().len()
}

fn counts(report: &ImportReport) -> [u64; 6] {
    [report.read, report.accepted, report.fixed, report.duplicates, report.contradictions, report.rejected]
}

/// How often each code is in the report.
fn said(report: &ImportReport, code: &str) -> usize {
    report.diagnostics.iter().filter(|diagnostic| diagnostic.code == code).count()
}

async fn imported(
    store: &MemoryStore,
    paths: &[&Path],
    options: ImportOptions<'_>,
) -> Result<ImportReport, ImportError> {
    import(store, &paths.iter().map(|path| path.to_path_buf()).collect::<Vec<_>>(), options).await
}

/// A folder with one file of each format, and what is no question file.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("a.json", OPENTDB.as_bytes());
    write("deep/b-c", OPENTRIVIAQA);
    write("own.jsonl", JSONL.as_bytes());
    write("strange.txt", b"What is this?");
    for aside in [".hidden", "LICENSE", "README.md", "SOURCE.txt"] {
        write(aside, JSONL.as_bytes());
    }
    folder
}

#[tokio::test]
async fn l19_every_record_of_a_folder_ends_in_one_way() {
    let (folder, store) = (folder(), store());
    let report = imported(&store, &[folder.path()], ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&report), [27, 12, 7, 0, 0, 15]);
    assert_eq!(stored(&store).await, 12);
    assert_eq!((said(&report, "unknown_format"), said(&report, "blanks"), said(&report, "stray_text")), (1, 3, 1));
    assert_eq!(report.diagnostics[0].code, "unknown_format", "what was left out comes first");
    assert_eq!(report.diagnostics[15].code, "invalid_json");
    assert_eq!(report.diagnostics[16].code, "blanks");
    let file = folder.path().join("deep").join("b-c").display().to_string();
    assert!(report.diagnostics.iter().any(|d| (d.file.as_str(), d.line, d.code) == (file.as_str(), 38, "stray_text")));

    let again = imported(&store, &[folder.path()], ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&again), [27, 0, 0, 12, 0, 15], "the same files change nothing");
    assert_eq!(stored(&store).await, 12);
}

#[tokio::test]
async fn l17_another_truth_is_reported_with_both_ids_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.jsonl");
    let line = |answer| {
        format!(
            "{{\"kind\":\"true_false\",\"category\":\"A\",\"difficulty\":\"easy\",\"question\":\"So?\",\"answer\":{answer}}}\n"
        )
    };
    fs::write(&path, [line(true), line(false), line(true)].concat()).unwrap();
    let store = store();
    let report = imported(&store, &[&path], ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&report), [3, 2, 0, 1, 1, 0]);
    let ids: Vec<_> = store.questions().list(&QuestionFilter::default(), Page::first(9)).await.unwrap();
    let said: Vec<_> = report.diagnostics.iter().map(|d| (d.line, d.code, d.message.clone())).collect();
    let (one, two) = (ids[0].id, ids[1].id);
    let contradiction = format!("question {two} has the text of question {one} and another right answer");
    assert_eq!(said, [(2, "contradiction", contradiction), (3, "duplicate", format!("it is question {one}"))]);
}

#[tokio::test]
async fn l19_strict_is_all_or_nothing_and_a_dry_run_is_nothing() {
    let (folder, store) = (folder(), store());
    let (bad, good) = (folder.path().join("a.json"), folder.path().join("good.jsonl"));
    fs::write(&good, JSONL.lines().take(4).collect::<Vec<_>>().join("\n")).unwrap();
    let strict = ImportOptions { strict: true, ..ImportOptions::default() };
    let dry_run = ImportOptions { dry_run: true, ..ImportOptions::default() };

    match imported(&store, &[&good, &bad], strict).await {
        Err(ImportError::Rejected { report }) => assert_eq!(counts(&report), [13, 6, 2, 0, 0, 7]),
        other => panic!("{other:?}"),
    }
    assert_eq!(stored(&store).await, 0);
    let report = imported(&store, &[&good, &bad, &good], dry_run).await.unwrap();
    assert_eq!(counts(&report), [15, 6, 2, 2, 0, 7], "it sees what it would have written");
    assert_eq!(stored(&store).await, 0);
    let both = ImportOptions { dry_run: true, ..strict };
    assert!(matches!(imported(&store, &[&bad], both).await, Err(ImportError::Rejected { .. })));
    assert_eq!(counts(&imported(&store, &[&good], both).await.unwrap()), [2, 2, 0, 0, 0, 0]);
    assert_eq!(stored(&store).await, 0);
    assert_eq!(counts(&imported(&store, &[&good], strict).await.unwrap()), [2, 2, 0, 0, 0, 0]);
    assert_eq!(stored(&store).await, 2);
}

#[tokio::test]
async fn l19_an_import_that_the_store_runs_again_counts_once() {
    let (folder, store) = (folder(), store());
    let steps = AtomicU64::new(0);
    let progress = |_, _| {
        // somebody writes meanwhile, which makes this store run a work again
        if steps.fetch_add(1, Ordering::Relaxed) == 0 {
            let other = store.users().get_or_create(UserId::new(1).unwrap());
            assert!(pin!(other).poll(&mut Context::from_waker(Waker::noop())).is_ready());
        }
    };
    let path = folder.path().join("good.jsonl");
    fs::write(&path, JSONL.lines().take(4).collect::<Vec<_>>().join("\n")).unwrap();
    let strict = ImportOptions { strict: true, progress: &progress, ..ImportOptions::default() };
    let report = imported(&store, &[&path], strict).await.unwrap();
    assert_eq!((counts(&report), stored(&store).await), ([2, 2, 0, 0, 0, 0], 2));
    assert_eq!(steps.into_inner(), 2);
}

#[tokio::test]
async fn l19_nothing_is_written_when_a_path_is_wrong() {
    let (folder, store) = (folder(), store());
    let path = |name: &str| folder.path().join(name);
    let own = path("own.jsonl");
    let missing = imported(&store, &[&own, &path("missing")], ImportOptions::default()).await;
    assert!(matches!(missing, Err(ImportError::Io { .. })), "{missing:?}");
    let unknown = imported(&store, &[&own, &path("strange.txt")], ImportOptions::default()).await;
    assert!(matches!(unknown, Err(ImportError::UnknownFormat { .. })), "{unknown:?}");
    let strict = ImportOptions { strict: true, ..ImportOptions::default() };
    let unknown = imported(&store, &[folder.path()], strict).await;
    assert!(matches!(unknown, Err(ImportError::UnknownFormat { .. })), "{unknown:?}");
    let small = ImportOptions { max_file_bytes: 100, ..ImportOptions::default() };
    let large = imported(&store, &[&own], small).await;
    assert!(matches!(large, Err(ImportError::TooLarge { max: 100, .. })), "{large:?}");
    assert_eq!(stored(&store).await, 0);

    let forced = ImportOptions { format: Some(Format::OpenTdb), ..ImportOptions::default() };
    let report = imported(&store, &[&path("strange.txt")], forced).await.unwrap();
    assert_eq!((counts(&report), said(&report, "invalid_json")), ([1, 0, 0, 0, 0, 1], 1));
}

#[tokio::test]
async fn t12_a_long_file_goes_in_steps_and_its_report_has_an_end() {
    const LINES: u64 = 12_345;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.jsonl");
    let text = "x".repeat(1_000);
    fs::write(&path, format!("{{\"kind\":\"{text}\"}}\n").repeat(LINES as usize)).unwrap();
    let (steps, last) = (AtomicU64::new(0), AtomicU64::new(0));
    let progress = |read: u64, bytes: u64| {
        steps.fetch_add(1, Ordering::Relaxed);
        assert!(read <= LINES && bytes >= last.swap(bytes, Ordering::Relaxed));
    };
    let options = ImportOptions { progress: &progress, ..ImportOptions::default() };
    let report = imported(&store(), &[&path], options).await.unwrap();
    assert_eq!(counts(&report), [LINES, 0, 0, 0, 0, LINES]);
    assert_eq!(last.into_inner(), fs::metadata(&path).unwrap().len());
    assert!(steps.into_inner() > LINES / 2_000);
    assert_eq!(report.diagnostics.len(), 1_001);
    let end = report.diagnostics.last().unwrap();
    assert_eq!((end.code, end.message.as_str()), ("not_listed", "not listed: 11345 of invalid_question"));
    assert!(report.diagnostics.iter().all(|diagnostic| diagnostic.message.chars().count() <= 301));
}

/// A folder of public question sets; the test says so when it is not there.
fn public(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/questions").join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

#[tokio::test]
async fn l19_the_open_trivia_database_comes_in_whole() {
    let Some(path) = public("opentdb") else { return };
    let store = store();
    let report = imported(&store, &[&path], ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&report), [5_250, 5_249, 290, 1, 1, 0]);
    assert_eq!((said(&report, "blanks"), report.diagnostics.len()), (290, 292));
    let duplicate = report.diagnostics.iter().find(|diagnostic| diagnostic.code == "duplicate").unwrap();
    assert_eq!((duplicate.line, duplicate.message.as_str()), (1, "record 2968: it is question 2296"));
    for question in store.questions().list(&QuestionFilter::default(), Page::first(u32::MAX)).await.unwrap() {
        let decoded = html_escape::decode_html_entities(question.content.text());
        assert_eq!(decoded, question.content.text(), "no entity is left");
    }
}

#[tokio::test]
async fn l19_opentriviaqa_comes_in_whole() {
    let Some(path) = public("opentriviaqa") else { return };
    let store = store();
    let report = imported(&store, &[&path], ImportOptions::default()).await.unwrap();
    assert_eq!(counts(&report), [49_716, 49_203, 3_841, 513, 4, 0]);
    assert_eq!((said(&report, "duplicate"), said(&report, "contradiction")), (513, 4));
    assert_eq!((said(&report, "empty_option"), said(&report, "equal_options"), said(&report, "encoding")), (4, 24, 37));
    let groups = store.questions().groups().await.unwrap();
    let statements = groups.iter().filter(|group| group.kind == QuestionKind::TrueFalse);
    assert_eq!(statements.map(|group| group.size).sum::<u64>(), 5_868, "5,882 with 14 duplicates");
}
