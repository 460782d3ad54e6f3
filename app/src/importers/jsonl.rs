//! The project's own question files: one [`QuestionContent`] a line, blank lines in between.

use std::io;

use serde_json::{Map, Value};
use trivia_domain::model::QuestionContent;

use super::input::Input;
use super::{Fix, Found, MAX_RECORD, Parsed, Parser};

/// A JSON object with a kind.
pub(super) fn fits(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    head.starts_with(b"{") && head.windows(6).any(|word| word == b"\"kind\"")
}

/// Reads them.
pub(super) struct Lines;

impl Parser for Lines {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        while let Some(line) = input.next_line(MAX_RECORD)? {
            if line.cut {
                return Ok(Some(Found::at(&line, Parsed::too_large())));
            }
            let json = line.bytes.trim_ascii();
            if !json.is_empty() {
                return Ok(Some(Found::at(&line, parse(json))));
            }
        }
        Ok(None)
    }
}

fn parse(json: &[u8]) -> Parsed {
    let written: Map<String, Value> = match serde_json::from_slice(json) {
        Ok(object) => object,
        Err(error) => return Parsed::bad_json("invalid_json", &error),
    };
    let content: QuestionContent = match serde_json::from_value(Value::Object(written.clone())) {
        Ok(content) => content,
        Err(error) => return Parsed::bad_json("invalid_question", &error),
    };
    match serde_json::to_value(&content) {
        Ok(stored) => {
            let same = written.iter().all(|(key, value)| stored.get(key).is_none_or(|kept| kept == value));
            let fixes = if same { Vec::new() } else { vec![Fix::Normalised] };
            Parsed::Ok { content: Box::new(content), fixes }
        }
        Err(error) => Parsed::bad_json("invalid_question", &error),
    }
}
