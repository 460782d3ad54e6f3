//! The formats of others: Aiken, GIFT, Moodle XML, Red-DiscordBot, tables.

use trivia_domain::model::{Difficulty, QuestionKind};

use super::super::MAX_RECORD;
use super::*;

macro_rules! corpus {
    ($file:literal) => {
        include_bytes!(concat!("../../../../fuzz/corpus/", $file))
    };
}

/// The typed answers that are accepted.
fn accepted(content: &QuestionContent) -> Vec<&str> {
    match content.body() {
        QuestionBody::FillBlank { answer, variations } => {
            std::iter::once(answer).chain(variations).map(String::as_str).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn the_format_is_told_by_the_content() {
    let bom = [super::super::input::BOM, JSONL.as_bytes()].concat();
    let cases: [(&[u8], Option<Format>); 25] = [
        (OPENTDB.as_bytes(), Some(Format::OpenTdb)),
        (OPENTRIVIAQA, Some(Format::OpenTriviaQa)),
        (JSONL.as_bytes(), Some(Format::Jsonl)),
        (&bom, Some(Format::Jsonl)),
        (br#"{"kind":"true_false","question":"Is \"results\": [ a list?"}"#, Some(Format::Jsonl)),
        (corpus!("gift/oddities"), Some(Format::Gift)),
        (b"Is it so?{ TRUE }\n", Some(Format::Gift)),
        (b"Is it so?{#12}\n", Some(Format::Gift)),
        (corpus!("aiken/oddities"), Some(Format::Aiken)),
        (corpus!("redbot/oddities"), Some(Format::Redbot)),
        (b"# numbers\nAUTHOR: Me\nWhat?: [a, b]\n", Some(Format::Redbot)),
        (corpus!("moodle-xml/oddities"), Some(Format::MoodleXml)),
        (corpus!("csv/oddities"), Some(Format::Csv)),
        (corpus!("csv/semicolons"), Some(Format::Csv)),
        (corpus!("tsv/oddities"), Some(Format::Tsv)),
        (b"", None),
        (b"{}", None),
        (b"# Q and A\n", None),
        (b"What is {this}?\n", None),
        (b"# Title {#anchor}\n{{#if x}}\n", None),
        (b"question,comment\n", None),
        (b"<html>{=a}</html>", None),
        (b"[1, 2]", None),
        (b"key: value\nother: value\n", None),
        (b"A. one\nB. two\n", None),
    ];
    for (head, format) in cases {
        assert_eq!(Format::detect(head), format, "{}", String::from_utf8_lossy(head));
    }
}

#[test]
fn l19_every_oddity_of_aiken_has_its_outcome() {
    let file = corpus!("aiken/oddities");
    let expected = [
        (1, Ok(vec![])),
        (6, Err("no_answer")),
        (10, Err("too_few_options")),
        (13, Ok(vec![])),
        (18, Ok(vec![Fix::Encoding, Fix::EqualOptions])),
        (24, Err("no_answer")),
        (27, Err("answer_not_an_option")),
        (31, Err("stray_text")),
        (35, Err("no_answer")),
        (39, Err("no_answer")),
    ];
    assert_eq!(summary(Format::Aiken, file), expected);
    let questions = questions(Format::Aiken, file);
    assert_eq!((options(&questions[0]), questions[0].answer()), (vec!["Lyon", "Paris"], "Paris"));
    assert_eq!(questions[1].text(), "A. Lincoln was a president.");
    assert_eq!(questions[1].body(), &QuestionBody::TrueFalse { answer: true });
    assert_eq!((questions[2].text(), options(&questions[2])), ("Café?", vec!["one", "two"]));
}

#[test]
fn l19_every_oddity_of_gift_has_its_outcome() {
    let file = corpus!("gift/oddities");
    let expected = [
        (5, Ok(vec![Fix::Feedback])),
        (8, Ok(vec![])),
        (10, Ok(vec![])),
        (12, Ok(vec![Fix::Markup, Fix::PartialCredit, Fix::Wildcard, Fix::Blanks])),
        (14, Ok(vec![])),
        (16, Err("numerical_range")),
        (18, Err("unsupported_type")),
        (20, Err("unsupported_type")),
        (22, Err("unsupported_type")),
        (24, Err("several_right")),
        (26, Err("several_right")),
        (28, Err("unclosed_answers")),
        (30, Err("several_answers")),
        (32, Ok(vec![])),
        (34, Ok(vec![])),
        (36, Err("unclosed_title")),
        (38, Ok(vec![Fix::PartialCredit])),
        (40, Err("stray_text")),
        (42, Err("no_number")),
        (44, Ok(vec![Fix::EqualOptions])),
        (46, Ok(vec![])),
        (48, Ok(vec![Fix::Markup, Fix::Media, Fix::Blanks, Fix::EqualOptions])),
    ];
    assert_eq!(summary(Format::Gift, file), expected);
    let questions = questions(Format::Gift, file);
    assert_eq!((options(&questions[0]), questions[0].answer()), (vec!["Nile", "Rhine", "Elbe"], "Nile"));
    assert_eq!(questions[0].explanation(), Some("It has 6,650 km.\nAmazon and Nile are close."));
    assert_eq!(questions[0].category().as_str(), "Rivers and Lakes");
    assert_eq!(questions[1].text(), "Lake Baikal is the _____ lake.");
    assert_eq!(questions[2].body(), &QuestionBody::TrueFalse { answer: true });
    assert_eq!((questions[3].text(), accepted(&questions[3])), ("Who painted \"C&amp;A\"?", vec!["Nobody", "No one"]));
    assert_eq!(questions[3].category().as_str(), "Arts/Crafts");
    assert_eq!(accepted(&questions[4]), ["8"]);
    assert_eq!((questions[5].text(), options(&questions[5])), ("Escapes: 1 = 1", vec!["{yes}", "no #"]));
    assert_eq!(accepted(&questions[6]), ["Rome"]);
    assert_eq!(questions[7].answer(), "whole");
}

#[test]
fn l19_every_oddity_of_moodle_xml_has_its_outcome() {
    let file = corpus!("moodle-xml/oddities");
    let expected = [
        (5, Ok(vec![Fix::PartialCredit, Fix::Feedback, Fix::Markup, Fix::Blanks])),
        (14, Ok(vec![])),
        (16, Ok(vec![Fix::Wildcard])),
        (19, Ok(vec![])),
        (21, Err("numerical_range")),
        (23, Err("several_right")),
        (25, Err("unsupported_type")),
        (26, Err("invalid_xml")),
        (27, Err("invalid_xml")),
        (28, Err("invalid_xml")),
        (29, Ok(vec![Fix::Encoding, Fix::Media, Fix::Markup, Fix::Blanks])),
        (31, Err("no_type")),
        (32, Err("several_right")),
        (34, Err("truncated")),
    ];
    assert_eq!(summary(Format::MoodleXml, file), expected);
    let questions = questions(Format::MoodleXml, file);
    assert_eq!(questions[0].text(), "Which one is < 2 &amp; odd?", "each encoding is decoded once");
    assert_eq!((options(&questions[0]), questions[0].answer()), (vec!["1", "2", "3"], "1"));
    assert_eq!(questions[0].explanation(), Some("Yes.\n1 & only 1."));
    assert_eq!(questions[0].category().as_str(), "Plants");
    assert_eq!(questions[1].body(), &QuestionBody::TrueFalse { answer: true });
    assert_eq!((questions[2].text(), accepted(&questions[2])), ("AT&amp;T?", vec!["a", "*"]));
    assert_eq!(accepted(&questions[3]), ["8"]);
    assert_eq!((questions[4].text(), accepted(&questions[4])), ("What is this?", vec!["Café"]));
}

#[test]
fn l19_bombs_of_entities_and_aliases_are_refused() {
    assert_eq!(summary(Format::MoodleXml, corpus!("moodle-xml/bomb")), [(2, Err("document_type"))]);
    assert_eq!(summary(Format::MoodleXml, corpus!("moodle-xml/deep")), [(1, Err("too_deep"))]);
    assert_eq!(summary(Format::MoodleXml, b"<a/>"), [(1, Err("no_quiz"))]);
    assert_eq!(summary(Format::MoodleXml, b"<quiz></quiz>"), []);
    assert_eq!(
        summary(Format::Redbot, corpus!("redbot/bomb")),
        [(1, Ok(vec![Fix::EqualOptions])), (2, Err("alias")), (3, Err("alias"))]
    );
    assert_eq!(summary(Format::Redbot, corpus!("redbot/deep")), [(1, Err("invalid_yaml"))]);
    assert_eq!(summary(Format::Redbot, b"- a\n- b\n"), [(1, Err("no_questions"))]);
    assert_eq!(summary(Format::Redbot, b""), [(1, Err("no_questions"))]);
}

#[test]
fn l19_every_oddity_of_red_discordbot_has_its_outcome() {
    let file = corpus!("redbot/oddities");
    let expected = [
        (1, Err("pack")),
        (7, Ok(vec![Fix::EqualOptions])),
        (11, Ok(vec![])),
        (14, Ok(vec![Fix::EmptyOption])),
        (18, Ok(vec![Fix::Encoding])),
        (20, Ok(vec![Fix::EqualKeys])),
        (22, Ok(vec![])),
        (23, Err("no_text")),
        (25, Err("no_list")),
        (27, Err("no_list")),
        (30, Ok(vec![])),
        (32, Err("alias")),
        (33, Ok(vec![])),
        (34, Err("no_answer")),
        (36, Ok(vec![])),
    ];
    assert_eq!(summary(Format::Redbot, file), expected);
    let questions = questions(Format::Redbot, file);
    let all: Vec<_> = questions.iter().map(|question| (question.text(), accepted(question))).collect();
    let texts = [
        ("How many days has a week?", vec!["7", "seven"]),
        ("Is water wet?", vec!["yes", "True"]),
        ("What is null: in YAML?", vec!["null", "~"]),
        ("Café?", vec!["Café"]),
        ("How many days has a week?", vec!["eight"]),
        ("What is one?", vec!["1"]),
        ("What is an anchor?", vec!["a"]),
        ("Flow?", vec!["a", "b", "0x1F"]),
        ("Second document?", vec!["yes"]),
    ];
    assert_eq!(all, texts, "what could be a number or a truth is the text that was written");
    assert_eq!(questions[0].category().as_str(), "Some File");
}

#[test]
fn l19_every_oddity_of_tables_has_its_outcome() {
    let file = corpus!("csv/oddities");
    let expected = [
        (1, Err("unread_columns")),
        (2, Ok(vec![])),
        (3, Ok(vec![])),
        (5, Ok(vec![])),
        (6, Ok(vec![])),
        (7, Ok(vec![Fix::Encoding])),
        (8, Err("answer_not_an_option")),
        (9, Ok(vec![])),
        (10, Err("unknown_difficulty")),
        (11, Err("too_many_fields")),
        (12, Err("empty_question")),
        (13, Err("no_answer")),
        (14, Err("invalid_question")),
        (15, Err("invalid_question")),
        (16, Ok(vec![])),
        (18, Err("unclosed_quote")),
    ];
    assert_eq!(summary(Format::Csv, file), expected);
    let all = questions(Format::Csv, file);
    assert_eq!((all[0].text(), options(&all[0]), all[0].answer()), ("Which, if any?", vec!["a", "b", "c, d"], "b"));
    assert_eq!((all[0].category().as_str(), all[0].difficulty()), ("Test", Difficulty::Easy));
    assert_eq!((all[1].text(), options(&all[1])), ("Two \"quoted\"\nlines?", vec!["Yes", "No"]));
    assert_eq!((all[1].difficulty(), all[1].language().as_str()), (Difficulty::Hard, "de"));
    assert_eq!(all[1].points().unwrap().get(), 7);
    assert_eq!(all[2].body(), &QuestionBody::TrueFalse { answer: true });
    assert_eq!(accepted(&all[3]), ["AC/DC"], "fields are not split");
    assert_eq!(all[5].answer(), "2", "a number is a text, not a place");

    let semicolons = corpus!("csv/semicolons");
    assert_eq!(summary(Format::Csv, semicolons), [(2, Ok(vec![Fix::EqualOptions])), (3, Ok(vec![]))]);
    let all = questions(Format::Csv, semicolons);
    assert_eq!((all[0].text(), options(&all[0]), all[0].answer()), ("One, or two?", vec!["one", "two"], "one"));
    assert_eq!((all[1].kind(), accepted(&all[1])), (QuestionKind::FillBlank, vec!["True"]));

    let all = questions(Format::Tsv, corpus!("tsv/oddities"));
    assert_eq!((accepted(&all[0]), all[0].explanation()), (vec!["a b", "c"], Some("Why not.")));
    assert_eq!(accepted(&all[1]), ["no"]);
    assert_eq!(summary(Format::Csv, b"a,b\n1,2\n"), [(1, Err("no_header"))]);
    assert_eq!(summary(Format::Csv, corpus!("csv/wide"))[1], (2, Err("too_many_fields")));
}

#[test]
fn l19_a_huge_record_costs_only_itself() {
    let filler = "x".repeat(3 * MAX_RECORD);
    let moodle =
        |text: &str| format!("<question type=\"essay\"><questiontext><text>{text}</text></questiontext></question>\n");
    let cases = [
        (Format::Gift, format!("{filler}{{=a}}\n\nSmall?{{=a}}\n"), 3, Ok(vec![])),
        (Format::Aiken, format!("{filler}\nA. a\nANSWER: A\nSmall?\nA. a\nB. b\nANSWER: A\n"), 4, Ok(vec![])),
        (Format::Csv, format!("question,answer\n\"{filler}\",a\nSmall?,a\n"), 3, Ok(vec![])),
        (
            Format::MoodleXml,
            format!("<quiz>\n{}{}</quiz>", moodle(&filler), moodle("Small.")),
            3,
            Err("unsupported_type"),
        ),
        (Format::Redbot, format!("Large?:\n- {filler}\nSmall?:\n- a\n"), 3, Ok(vec![])),
    ];
    for (format, file, line, last) in cases {
        let found = summary(format, file.as_bytes());
        let first = found[0].0;
        assert_eq!(found, [(first, Err("too_large")), (line, last)], "{format:?}");
        assert_eq!(first, u64::from(matches!(format, Format::Csv | Format::MoodleXml)) + 1);
    }
    let file = "- ".repeat(5 * MAX_RECORD);
    assert_eq!(summary(Format::Redbot, file.as_bytes()), [(1, Err("too_large"))]);
}

#[test]
fn columns_can_be_named_by_number_and_by_name() {
    let read = |columns: &str, file: &str| -> Vec<(String, String)> {
        let assumed = Assumed { columns: Some(columns.parse().unwrap()), ..Assumed::default() };
        let found = found(Format::Csv, file.as_bytes(), &assumed).into_iter();
        let text = |found: Found| match found.parsed {
            Parsed::Ok { content, .. } => (content.text().to_owned(), content.answer().to_owned()),
            Parsed::Pack(pack) => ("pack".to_owned(), pack.name().to_string()),
            Parsed::Rejected { code, .. } | Parsed::Note { code, .. } => (code.to_owned(), found.text),
        };
        found.map(text).collect()
    };
    let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
    assert_eq!(
        read("question=2,answer=3", "x,What?,a\ny,Who?,b,c\n"),
        [pair("What?", "a"), pair("too_many_fields", "y | Who? | b | c")]
    );
    assert_eq!(
        read("question=Frage,answer=Antwort", "Nr;Frage;Antwort\n1;Was, wer?;a, b\n"),
        [pair("unread_columns", "Nr | Frage | Antwort"), pair("Was, wer?", "a, b")]
    );
    assert_eq!(read("question=Frage,answer=Antwort", "a,b\n"), [pair("no_header", "a | b")]);
}

#[test]
fn l19_what_the_file_does_not_say_is_given() {
    let assumed =
        Assumed { category: Some("Sport".parse().unwrap()), language: "is".parse().unwrap(), ..Assumed::default() };
    for (format, file) in [
        (Format::Redbot, "Hvað?:\n- a\n"),
        (Format::Csv, "question,answer\nHvað?,a\n"),
        (Format::Gift, "Hvað?{=a}"),
        (Format::Aiken, "Hvað?\nA. a\nB. b\nANSWER: A\n"),
    ] {
        let found = found(format, file.as_bytes(), &assumed);
        let Parsed::Ok { content, .. } = &found[0].parsed else { panic!("{found:?}") };
        assert_eq!((content.category().as_str(), content.language().as_str()), ("Sport", "is"));
        assert!(found[0].text.starts_with("Hvað?"), "{found:?}");
    }
}
