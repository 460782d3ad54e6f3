//! The formats of the first hour: the Open Trivia Database, OpenTriviaQA, and our own.

use trivia_domain::model::{
    Category, Difficulty, Labels, Language, Points, QuestionBody, QuestionContent, QuestionKind,
};

use super::super::{Fix, Format, MAX_RECORD, Parsed};
use super::{JSONL, OPENTDB, OPENTRIVIAQA, options, questions, records, summary};

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
        let read = [(1, Parsed::Ok { content: Box::new(content), labels: Labels::default(), fixes: Vec::new() })];
        assert_eq!(records(Format::Jsonl, &line), read);
    }
}
