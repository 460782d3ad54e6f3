//! OpenTriviaQA: a text file for each category, with blocks like
//!
//! ```text
//! #Q Stem, which may go on
//! over more lines
//! ^ Right option
//! A First option
//! B Second option
//! ```

use std::io;

use super::draft::{Answers, Defaults, Draft};
use super::encoding::decode;
use super::input::{Input, Line};
use super::{Fix, Found, MAX_RECORD, Parsed, Parser};

/// A line that begins a question.
pub(super) fn fits(head: &[u8]) -> bool {
    head.split(|&byte| byte == b'\n').any(|line| line.starts_with(b"#Q "))
}

/// Reads them.
pub(super) struct Blocks {
    defaults: Defaults,
    /// The line after the block before, which begins the next one.
    ahead: Option<Line>,
}

impl Blocks {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { defaults, ahead: None }
    }
}

impl Parser for Blocks {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        let Some(first) = (match self.ahead.take() {
            Some(line) => Some(line),
            None => next_filled(input)?,
        }) else {
            return Ok(None);
        };
        let mut block = Block::begin(&first);
        while let Some(line) = input.next_line(MAX_RECORD)? {
            if starts(&line.bytes) {
                self.ahead = Some(line);
                break;
            }
            block.push(&line);
        }
        Ok(Some(Found::at(&first, block.finish(&self.defaults))))
    }
}

/// The next line that is not blank.
fn next_filled(input: &mut Input) -> io::Result<Option<Line>> {
    while let Some(line) = input.next_line(MAX_RECORD)? {
        if !line.bytes.trim_ascii().is_empty() {
            return Ok(Some(line));
        }
    }
    Ok(None)
}

fn starts(line: &[u8]) -> bool {
    marked(line, b"#Q").is_some()
}

/// The rest of a line that begins with the mark and a blank.
fn marked<'a>(line: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(mark)? {
        [] => Some(&[]),
        [b' ' | b'\t', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// A question that is being read.
#[derive(Default)]
struct Block {
    stem: String,
    answer: Option<String>,
    options: Vec<String>,
    /// Whether a line was not UTF-8.
    repaired: bool,
    size: usize,
    /// Why no question can be made of it.
    problem: Option<Parsed>,
}

impl Block {
    fn begin(line: &Line) -> Self {
        let mut block = Self::default();
        match marked(&line.bytes, b"#Q") {
            Some(stem) if block.fits(line) => block.stem = block.decode(stem),
            Some(_) => {}
            None => block.problem = Some(Parsed::rejected("stray_text", "this is before the first question")),
        }
        block
    }

    fn push(&mut self, line: &Line) {
        if self.problem.is_some() || !self.fits(line) {
            return;
        }
        let bytes = line.bytes.as_slice();
        if self.answer.is_none() {
            if let Some(answer) = marked(bytes, b"^") {
                self.answer = Some(self.decode(answer));
            } else {
                let more = self.decode(bytes);
                self.stem.push('\n');
                self.stem.push_str(&more);
            }
        } else if let Some(option) = letter(self.options.len()).and_then(|letter| marked(bytes, &[letter])) {
            let option = self.decode(option);
            self.options.push(option);
        } else if !bytes.trim_ascii().is_empty() {
            let message = format!("line {} is neither an option nor a new question", line.number);
            self.problem = Some(Parsed::rejected("stray_text", message));
        }
    }

    /// Counts the line; when the limit is passed, what was kept is let go.
    fn fits(&mut self, line: &Line) -> bool {
        self.size += line.bytes.len();
        let fits = !line.cut && self.size <= MAX_RECORD;
        if !fits {
            *self = Self { problem: Some(Parsed::too_large()), ..Self::default() };
        }
        fits
    }

    fn decode(&mut self, bytes: &[u8]) -> String {
        let (text, repaired) = decode(bytes);
        self.repaired |= repaired;
        text
    }

    fn finish(self, defaults: &Defaults) -> Parsed {
        if let Some(problem) = self.problem {
            return problem;
        }
        let answers = Answers::Choice { options: self.options, right: self.answer.unwrap_or_default() };
        let fixes = if self.repaired { vec![Fix::Encoding] } else { Vec::new() };
        Draft { fixes, ..Draft::new(self.stem, answers, defaults) }.finish()
    }
}

/// Letter of the option with this index.
fn letter(index: usize) -> Option<u8> {
    (b'A'..=b'Z').nth(index)
}
