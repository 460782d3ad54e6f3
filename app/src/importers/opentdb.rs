//! The Open Trivia Database: `{"results": [{...}, ...]}` with HTML entities in every text.
//!
//! The file may be one line of any length, so the records are cut out byte by byte and each is
//! parsed by itself: a broken one costs only itself, and none is larger than the limit.

use std::io;

use html_escape::decode_html_entities;
use serde::Deserialize;
use trivia_domain::model::Difficulty;

use super::draft::{Answers, Defaults, Draft};
use super::input::Input;
use super::{Found, MAX_RECORD, Parsed, Parser};

/// Longest key of the outer object that is told apart.
const MAX_KEY: usize = 64;

/// A JSON object with a list of results.
pub(super) fn fits(head: &[u8]) -> bool {
    let key = b"\"results\"";
    let Some(at) = head.windows(key.len()).position(|word| word == key) else { return false };
    let list = head[at + key.len()..].trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
    head.trim_ascii_start().starts_with(b"{") && list.is_some_and(|list| list.starts_with(b"["))
}

/// Reads it.
pub(super) struct Results {
    defaults: Defaults,
    state: State,
    records: u64,
    /// Whether a list of results was seen.
    found: bool,
}

/// Where the reader is.
#[derive(Clone, Copy)]
enum State {
    /// Before or after an outer object.
    Outside,
    /// Before a key of the outer object.
    Key,
    /// Between the results.
    Results,
    /// After what cannot be read.
    Stopped,
}

impl Parser for Results {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        loop {
            skip_blanks(input)?;
            let line = input.line();
            let ahead = input.peek()?;
            let step = match (self.state, ahead) {
                (State::Outside, Some(b'{')) | (State::Key, Some(b',')) | (State::Results, Some(b']')) => State::Key,
                (State::Key, Some(b'}')) => State::Outside,
                (State::Results, Some(b',')) => State::Results,
                (State::Outside, None) if self.found => return Ok(None),
                (State::Stopped, _) => return Ok(None),
                (State::Results, Some(byte)) if !matches!(byte, b'}' | b':') => {
                    self.records += 1;
                    let record = read_value(input, MAX_RECORD)?;
                    let parsed = if record.whole { parse(&record, &self.defaults) } else { self.stop(None) };
                    return Ok(Some(Found::new(line, &record.bytes, parsed)));
                }
                (State::Key, Some(b'"')) if self.enter(input)? => continue,
                _ => {
                    let ahead = input.peek()?;
                    return Ok(Some(Found::new(line, ahead.as_slice(), self.stop(ahead))));
                }
            };
            input.next_byte()?;
            self.state = step;
        }
    }
}

impl Results {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { defaults, state: State::Outside, records: 0, found: false }
    }

    /// Goes into the results, or past any other value of the outer object; whether there was one.
    fn enter(&mut self, input: &mut Input) -> io::Result<bool> {
        let key = read_value(input, MAX_KEY)?;
        skip_blanks(input)?;
        if input.peek()? != Some(b':') {
            return Ok(false);
        }
        input.next_byte()?;
        skip_blanks(input)?;
        match input.peek()? {
            Some(b'[') if key.bytes == b"\"results\"" => {
                input.next_byte()?;
                self.found = true;
                self.state = State::Results;
                Ok(true)
            }
            None | Some(b',' | b'}' | b']' | b':') => Ok(false),
            Some(_) => Ok(read_value(input, 0)?.whole),
        }
    }

    /// The rest of the file cannot be read.
    fn stop(&mut self, ahead: Option<u8>) -> Parsed {
        let (code, message) = match (self.state, ahead) {
            (State::Outside, None) => ("no_results", "there is no list of results".to_owned()),
            (_, None) => ("truncated", format!("the file ends in the middle, at record {}", self.records)),
            _ => ("invalid_json", format!("after record {} the file cannot be read", self.records)),
        };
        self.state = State::Stopped;
        Parsed::rejected(code, message)
    }
}

fn parse(value: &Value, defaults: &Defaults) -> Parsed {
    if value.cut {
        return Parsed::too_large();
    }
    match serde_json::from_slice::<Element>(&value.bytes) {
        Ok(element) => element.draft(defaults).finish(),
        Err(error) if error.is_data() => Parsed::bad_json("invalid_record", &error),
        Err(error) => Parsed::bad_json("invalid_json", &error),
    }
}

/// One result. The type is not read: True and False among the options say the same.
#[derive(Deserialize)]
struct Element {
    difficulty: Difficulty,
    category: String,
    question: String,
    correct_answer: String,
    incorrect_answers: Vec<String>,
}

impl Element {
    fn draft(&self, defaults: &Defaults) -> Draft {
        let decoded = |text: &String| decode_html_entities(text).into_owned();
        let answer = decoded(&self.correct_answer);
        let mut options: Vec<String> = self.incorrect_answers.iter().map(decoded).collect();
        options.push(answer.clone());
        // the file has no order of options, and the right one must not always be at the same place
        options.sort_unstable();
        let answers = Answers::Choice { options, right: answer };
        let draft = Draft::new(decoded(&self.question), answers, defaults);
        Draft { category: decoded(&self.category), difficulty: self.difficulty, ..draft }
    }
}

/// The bytes of a JSON value.
struct Value {
    /// Up to the limit.
    bytes: Vec<u8>,
    /// Whether there was more.
    cut: bool,
    /// Whether it ended before the file did.
    whole: bool,
}

/// Reads a value up to its end, by its quotes and brackets only. The next byte must begin one.
fn read_value(input: &mut Input, limit: usize) -> io::Result<Value> {
    let mut value = Value { bytes: Vec::new(), cut: false, whole: false };
    let mut depth = 0_u64;
    let mut in_string = false;
    let mut escaped = false;
    let mut begun = false;
    while let Some(byte) = input.peek()? {
        let separates = byte.is_ascii_whitespace() || matches!(byte, b',' | b':' | b'}' | b']');
        if begun && depth == 0 && !in_string && separates {
            value.whole = true;
            break;
        }
        input.next_byte()?;
        begun = true;
        if value.bytes.len() < limit {
            value.bytes.push(byte);
        } else {
            value.cut = true;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && !in_string && matches!(byte, b'"' | b'}' | b']') {
            value.whole = true;
            break;
        }
    }
    Ok(value)
}

fn skip_blanks(input: &mut Input) -> io::Result<()> {
    while input.peek()?.is_some_and(|byte| byte.is_ascii_whitespace()) {
        input.next_byte()?;
    }
    Ok(())
}
