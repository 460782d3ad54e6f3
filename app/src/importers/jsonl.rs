//! The project's own question files: one [`QuestionContent`] a line with its tags and packs, blank lines in between,
//! and lines that say what a pack is.

use std::io;

use serde_json::{Map, Value};
use trivia_domain::model::{Pack, PackName, QuestionContent};

use super::draft::{labels, note};
use super::input::Input;
use super::{Fix, Found, MAX_RECORD, Parsed, Parser};

/// A JSON object with a kind, or about a pack.
pub(super) fn fits(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let Some(object) = head.strip_prefix(b"{") else { return false };
    object.trim_ascii_start().starts_with(b"\"pack\"") || object.windows(6).any(|word| word == b"\"kind\"")
}

/// Reads them.
pub(super) struct Lines {
    /// The pack of all questions, if the caller says one.
    given: Option<PackName>,
    /// The pack that was declared last, of the questions that name none.
    declared: Option<PackName>,
}

impl Lines {
    pub(super) const fn new(given: Option<PackName>) -> Self {
        Self { given, declared: None }
    }
}

impl Parser for Lines {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        while let Some(line) = input.next_line(MAX_RECORD)? {
            if line.cut {
                return Ok(Some(Found::at(&line, Parsed::too_large())));
            }
            let json = line.bytes.trim_ascii();
            if !json.is_empty() {
                return Ok(Some(Found::at(&line, self.parse(json))));
            }
        }
        Ok(None)
    }
}

impl Lines {
    fn parse(&mut self, json: &[u8]) -> Parsed {
        let written: Map<String, Value> = match serde_json::from_slice(json) {
            Ok(object) => object,
            Err(error) => return Parsed::bad_json("invalid_json", &error),
        };
        match (written.get("pack"), written.contains_key("question")) {
            (Some(pack), false) => self.declare(pack.clone()),
            _ => self.question(written),
        }
    }

    fn declare(&mut self, pack: Value) -> Parsed {
        match serde_json::from_value::<Pack>(pack) {
            Ok(pack) => {
                self.declared = Some(pack.name().clone());
                Parsed::Pack(pack)
            }
            Err(error) => Parsed::bad_json("invalid_pack", &error),
        }
    }

    fn question(&self, written: Map<String, Value>) -> Parsed {
        let content: QuestionContent = match serde_json::from_value(Value::Object(written.clone())) {
            Ok(content) => content,
            Err(error) => return Parsed::bad_json("invalid_question", &error),
        };
        let mut fixes = Vec::new();
        let (tags, packs) = (texts(written.get("tags"), &mut fixes), texts(written.get("packs"), &mut fixes));
        let mut labels = labels(&tags, &packs, &mut fixes);
        if !written.contains_key("packs") {
            labels.packs.extend(self.declared.clone());
        }
        labels.packs.extend(self.given.clone());
        match serde_json::to_value(&content) {
            Ok(stored) => {
                if !written.iter().all(|(key, value)| stored.get(key).is_none_or(|kept| kept == value)) {
                    note(Fix::Normalised, &mut fixes);
                }
                Parsed::Ok { content: Box::new(content), labels, fixes }
            }
            Err(error) => Parsed::bad_json("invalid_question", &error),
        }
    }
}

/// A text or a list of texts; anything else is noted.
fn texts(value: Option<&Value>, fixes: &mut Vec<Fix>) -> Vec<String> {
    let values = match value {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
    };
    let mut texts = Vec::with_capacity(values.len());
    for value in values {
        match value {
            Value::String(text) => texts.push(text.clone()),
            _ => note(Fix::Label, fixes),
        }
    }
    texts
}
