//! The syntax of GIFT, against what another parser makes of the same files.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::syntax::{Answers, Choice, Format, Item, Number, Rich, category, parse};

fn format(format: Format) -> &'static str {
    match format {
        Format::Moodle => "moodle",
        Format::Plain => "plain",
        Format::Html => "html",
        Format::Markdown => "markdown",
    }
}

fn rich(text: &Rich) -> Value {
    json!({"format": format(text.format), "text": text.text})
}

fn optional(text: &Option<Rich>) -> Value {
    text.as_ref().map_or(Value::Null, rich)
}

fn choice<T>(choice: &Choice<T>, value: Value) -> Value {
    json!({
        "isCorrect": choice.right, "weight": choice.weight, "text": value, "feedback": optional(&choice.feedback),
    })
}

fn number(number: &Number, alone: bool) -> Value {
    match &number.written {
        Some(written) => {
            let middle: f64 = written.parse().unwrap();
            match alone && number.low == number.high {
                true => json!({"type": "simple", "number": middle}),
                false => json!({"type": "range", "number": middle, "range": number.high - middle}),
            }
        }
        None => json!({"type": "high-low", "numberHigh": number.high, "numberLow": number.low}),
    }
}

/// An item in the form of the fixtures.
fn as_json(item: &Item) -> Value {
    let texts = |choices: &[Choice<Rich>]| -> Value { choices.iter().map(|c| choice(c, rich(&c.value))).collect() };
    let (kind, more) = match &item.answers {
        Answers::Description => ("Description", json!({})),
        Answers::Essay => ("Essay", json!({})),
        Answers::Truth { answer, feedback: [one, two] } => {
            ("TF", json!({"isTrue": answer, "trueFeedback": optional(one), "falseFeedback": optional(two)}))
        }
        Answers::Short(choices) => ("Short", json!({"choices": texts(choices)})),
        Answers::Choice(choices) => ("MC", json!({"choices": texts(choices)})),
        Answers::Matching(pairs) => {
            let pairs: Value =
                pairs.iter().map(|(one, two)| json!({"subquestion": rich(one), "subanswer": two})).collect();
            ("Matching", json!({"matchPairs": pairs}))
        }
        Answers::Numerical(choices) => {
            let choices = match choices.as_slice() {
                [Choice { value: Some(only), feedback: None, weight: None, right: true }] => number(only, true),
                all => {
                    let any = json!({"format": "moodle", "text": "*"});
                    let value =
                        |value: &Option<Number>| value.as_ref().map_or(any.clone(), |value| number(value, false));
                    all.iter().map(|c| choice(c, value(&c.value))).collect()
                }
            };
            ("Numerical", json!({"choices": choices}))
        }
    };
    let mut json = json!({
        "type": kind, "id": item.id, "title": item.title, "stem": rich(&item.stem), "hasEmbeddedAnswers": item.embedded,
        "tags": if item.tags.is_empty() { Value::Null } else { json!(item.tags) },
    });
    let object = json.as_object_mut().unwrap();
    if kind != "Description" {
        object.insert("globalFeedback".to_owned(), optional(&item.general_feedback));
    }
    object.extend(more.as_object().unwrap().clone());
    json
}

/// All items of a file.
fn items(file: &str) -> Vec<Value> {
    let mut blocks = vec![String::new()];
    for line in file.lines() {
        if line.trim().is_empty() {
            blocks.push(String::new());
        } else if let Some(last) = blocks.last_mut() {
            *last += line;
            *last += "\n";
        }
    }
    let item = |block: &String| match category(block) {
        Some(path) => Some(json!({"type": "Category", "title": path})),
        None => parse(block).unwrap().map(|item| as_json(&item)),
    };
    blocks.iter().filter_map(item).collect()
}

/// JSON with all numbers as they compare, and differences in the last digits of a tolerance rounded away.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!((number.as_f64().unwrap() * 1e9).round() / 1e9),
        Value::Array(all) => all.iter().map(comparable).collect(),
        Value::Object(all) => all.iter().map(|(key, value)| (key.clone(), comparable(value))).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_fixtures_are_read_as_another_parser_reads_them() {
    let shared = "../../shared/data/questions/gift_fixtures/tests/questions";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(shared);
    if !folder.exists() {
        eprintln!("SKIPPED: {} is not there", folder.display());
        return;
    }
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "gift") {
            continue;
        }
        let expected: Value = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let found = Value::from(items(&fs::read_to_string(&path).unwrap()));
        assert_eq!(comparable(&found), comparable(&expected), "{}", path.display());
        files += 1;
    }
    assert_eq!(files, 51);
}

#[test]
fn what_the_fixtures_show_is_read_without_them() {
    let text = |text: &str| json!({"format": "moodle", "text": text});
    let one = |file: &str| items(file).pop().unwrap();
    assert_eq!(one("$CATEGORY: $course$/top/A: B\n")["title"], "$course$/top/A: B");
    assert_eq!(one("::A\\:::B {}")["title"], "A:");
    assert_eq!(one("// [id:7] [tag:a] and [tag:b-c]\nB {}")["tags"], json!(["a", "b-c"]));
    assert_eq!(one("{ =Asia } is large.")["stem"], text("_____ is large."));
    assert_eq!(one("Two and two {=four}.")["stem"], text("Two and two _____ ."));
    assert_eq!(one("So?{FALSE# #no}")["falseFeedback"], text("no"));
    assert_eq!(one("A \\\\\\\\ B\\nC\nD {}")["stem"], text("A \\\\ B\nC D"));
    assert_eq!(one("[html]a\n b{}")["stem"], json!({"format": "html", "text": "a\n b"}));
    assert_eq!(one("[markdown]a{=b =[plain]c}")["choices"][1]["text"]["format"], "plain");
    assert_eq!(one("a{~%33.3%b#c d\n e}")["choices"][0]["weight"], 33.3);
    assert_eq!(one("a{~b#c d\n e}")["choices"][0]["feedback"], text("c d e"));
    assert_eq!(one("a{=b -> c =d->e}")["matchPairs"][1]["subanswer"], "e");
    assert_eq!(one("a{=b -> c ~d->e}")["type"], "MC");
    assert_eq!(one("a{#-3.2..-3.1}")["choices"]["numberLow"], -3.2);
    assert_eq!(one("a{#=1:2 ~#no}")["choices"][1]["text"], text("*"));
    assert_eq!(one("a{=b####c}")["globalFeedback"], text("c"));
    for (file, code) in [
        ("a{=b", "unclosed_answers"),
        ("a}", "unclosed_answers"),
        ("::a", "unclosed_title"),
        ("a{=b}c{=d}", "several_answers"),
        ("a{b=c}", "stray_text"),
        ("a{#1=2}", "stray_text"),
        ("a{#one}", "no_number"),
        ("a{#inf}", "no_number"),
    ] {
        assert_eq!(parse(file).unwrap_err().0, code, "{file}");
    }
}
