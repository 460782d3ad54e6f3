//! Aiken: a stem, lettered options and the right letter.
//!
//! ```text
//! What is the capital of France?
//! A. Lyon
//! B) Paris
//! ANSWER: B
//! ```

use std::io;

use super::draft::{Answers, Defaults, Draft};
use super::encoding::decode;
use super::input::{Input, Line};
use super::{Fix, Found, MAX_RECORD, Parsed, Parser};

/// A line with the right letter after a line with the first option.
pub(super) fn fits(head: &[u8]) -> bool {
    let mut lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.any(|line| option(line).is_some_and(|(letter, _)| letter == b'A')) && lines.any(|line| answer(line).is_some())
}

/// Reads them.
pub(super) struct Blocks {
    defaults: Defaults,
    /// The line after a block that has no end.
    ahead: Option<Line>,
}

impl Blocks {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { defaults, ahead: None }
    }
}

impl Parser for Blocks {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        let mut first = None;
        let mut block = Block::default();
        loop {
            let line = match self.ahead.take() {
                Some(line) => Some(line),
                None => input.next_line(MAX_RECORD)?,
            };
            let Some(line) = line else { break };
            if line.bytes.trim_ascii().is_empty() && !line.cut {
                continue;
            }
            if block.is_followed_by(line.bytes.trim_ascii()) {
                self.ahead = Some(line);
                break;
            }
            block.push(&line);
            first.get_or_insert(line);
            if block.right.is_some() {
                break;
            }
        }
        Ok(first.map(|first| Found::at(&first, block.finish(&self.defaults))))
    }
}

/// `A. text` or `A) text`.
fn option(line: &[u8]) -> Option<(u8, &[u8])> {
    match line {
        [letter @ b'A'..=b'Z', b'.' | b')', rest @ ..] => Some((*letter, rest)),
        _ => None,
    }
}

/// `ANSWER: B`.
fn answer(line: &[u8]) -> Option<&[u8]> {
    line.strip_prefix(b"ANSWER:").map(<[u8]>::trim_ascii)
}

/// A question that is being read.
#[derive(Default)]
struct Block {
    stem: String,
    options: Vec<String>,
    /// What stands for the right letter.
    right: Option<Vec<u8>>,
    repaired: bool,
    size: usize,
    problem: Option<Parsed>,
}

impl Block {
    /// Whether a line belongs to the next question, since this one has options and no answer.
    fn is_followed_by(&self, line: &[u8]) -> bool {
        !self.options.is_empty() && option(line).is_none() && answer(line).is_none()
    }

    fn push(&mut self, line: &Line) {
        self.size += line.bytes.len();
        let bytes = line.bytes.trim_ascii();
        if let Some(right) = answer(bytes) {
            self.right = Some(right.to_vec());
            return;
        }
        if self.problem.is_some() {
            return;
        }
        if line.cut || self.size > MAX_RECORD {
            *self = Self { problem: Some(Parsed::too_large()), ..Self::default() };
        } else if let Some((letter, text)) = option(bytes).filter(|_| !self.stem.is_empty()) {
            let expected = (b'A'..=b'Z').nth(self.options.len());
            if expected != Some(letter) {
                let message = format!("option {} is not the next letter", char::from(letter));
                self.problem = Some(Parsed::rejected("stray_text", message));
            }
            let text = self.decode(text);
            self.options.push(text);
        } else {
            let text = self.decode(bytes);
            if !self.stem.is_empty() {
                self.stem.push('\n');
            }
            self.stem.push_str(&text);
        }
    }

    fn decode(&mut self, bytes: &[u8]) -> String {
        let (text, repaired) = decode(bytes.trim_ascii());
        self.repaired |= repaired;
        text
    }

    fn finish(self, defaults: &Defaults) -> Parsed {
        if let Some(problem) = self.problem {
            return problem;
        }
        let right = match self.right.as_deref() {
            None => String::new(),
            Some(_) if self.options.is_empty() => {
                return Parsed::rejected("too_few_options", "no option is before the answer");
            }
            Some([letter]) => {
                let at = usize::from(letter.to_ascii_uppercase().wrapping_sub(b'A'));
                match self.options.get(at) {
                    Some(right) => right.clone(),
                    None => return Parsed::rejected("answer_not_an_option", "no option has the letter of the answer"),
                }
            }
            Some(_) => return Parsed::rejected("no_answer", "after ANSWER: there is not one letter"),
        };
        let fixes = if self.repaired { vec![Fix::Encoding] } else { Vec::new() };
        let draft = Draft::new(self.stem, Answers::Choice { options: self.options, right }, defaults);
        Draft { fixes, ..draft }.finish()
    }
}
