//! GIFT, the text format of Moodle: questions with blank lines in between.
//!
//! ```text
//! ::Title:: Stem {=right ~wrong #feedback ~wrong}
//! ```

mod syntax;
#[cfg(test)]
mod tests;

use std::io;

use self::syntax::{Choice, Item, Number, Rich};
use super::draft::{Answers, Defaults, Draft};
use super::encoding::decode;
use super::input::{Input, Line};
use super::markup::{innermost, text_of};
use super::scored::{self, Scored, Told};
use super::{Fix, Found, MAX_RECORD, Parsed, Parser};

/// A category, or braces with what only answers have in them.
pub(super) fn fits(head: &[u8]) -> bool {
    let (head, _) = decode(head);
    if head.trim_start().starts_with(['<', '[']) {
        return false;
    }
    let answers = |part: &str| {
        let part = part.trim_start();
        let word = part.split(['}', '#']).next().unwrap_or_default().trim().to_ascii_uppercase();
        let number = part.strip_prefix('#').map(str::trim_start);
        let is_number =
            number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit() || "-=~".contains(c)));
        is_number || part.starts_with(['=', '~']) || ["T", "F", "TRUE", "FALSE"].contains(&word.as_str())
    };
    head.lines().any(|line| syntax::category(line).is_some() || line.starts_with("::"))
        || head.split('{').skip(1).any(answers)
}

/// Reads it.
pub(super) struct Blocks {
    defaults: Defaults,
    /// The line after the block before.
    ahead: Option<Line>,
}

impl Blocks {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { defaults, ahead: None }
    }
}

impl Parser for Blocks {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        loop {
            let Some(block) = self.block(input)? else { return Ok(None) };
            if let Some(path) = syntax::category(&block.text) {
                if let Some(name) = innermost(path) {
                    self.defaults.category = name;
                }
                continue;
            }
            let Some(first) = block.first else { continue };
            if block.too_large {
                return Ok(Some(Found::at(&first, Parsed::too_large())));
            }
            let parsed = match syntax::parse(&block.text) {
                Ok(None) => continue,
                Ok(Some(item)) => question(item, block.repaired, &self.defaults),
                Err((code, message)) => Parsed::rejected(code, message),
            };
            return Ok(Some(Found::at(&first, parsed)));
        }
    }
}

/// Lines without a blank one.
#[derive(Default)]
struct Block {
    text: String,
    /// The first one that is no comment.
    first: Option<Line>,
    repaired: bool,
    too_large: bool,
}

impl Blocks {
    fn block(&mut self, input: &mut Input) -> io::Result<Option<Block>> {
        let mut block = Block::default();
        let mut size = 0;
        loop {
            let line = match self.ahead.take() {
                Some(line) => Some(line),
                None => input.next_line(MAX_RECORD)?,
            };
            let Some(line) = line else {
                return Ok((size > 0).then_some(block));
            };
            if line.bytes.trim_ascii().is_empty() && !line.cut {
                if size > 0 {
                    return Ok(Some(block));
                }
                continue;
            }
            let (text, repaired) = decode(&line.bytes);
            // a category is a block of its own, also without blank lines around
            if syntax::category(&text).is_some() {
                if size > 0 {
                    self.ahead = Some(line);
                } else {
                    block.text = text;
                }
                return Ok(Some(block));
            }
            size += text.len() + 1;
            block.repaired |= repaired;
            block.too_large |= line.cut || size > MAX_RECORD;
            if block.too_large {
                block.text.clear();
            } else {
                block.text.push_str(&text);
                block.text.push('\n');
            }
            if block.first.is_none() && !syntax::is_comment(&text) {
                block.first = Some(line);
            }
        }
    }
}

/// Says with our questions what an item says.
fn question(item: Item, repaired: bool, defaults: &Defaults) -> Parsed {
    let mut fixes = if repaired { vec![Fix::Encoding] } else { Vec::new() };
    let general = item.general_feedback.as_ref().map(|told| written(told, &mut fixes)).unwrap_or_default();
    let told = match told(item.answers, &mut fixes) {
        Ok(told) => told,
        Err(rejected) => return rejected,
    };
    let draft = Draft::new(written(&item.stem, &mut fixes), told.answers, defaults);
    let parts = [told.explanation.trim(), general.trim()];
    let explanation = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    Draft { fixes, explanation, tags: item.tags, ..draft }.finish()
}

fn told(answers: syntax::Answers, fixes: &mut Vec<Fix>) -> Result<Told, Parsed> {
    match answers {
        syntax::Answers::Description => Err(scored::unsupported("description")),
        syntax::Answers::Essay => Err(scored::unsupported("essay")),
        syntax::Answers::Matching(_) => Err(scored::unsupported("matching")),
        syntax::Answers::Truth { answer, feedback } => {
            let [of_true, of_false] = feedback.map(|told| told.map(|told| written(&told, fixes)).unwrap_or_default());
            let (kept, other) = if answer { (of_true, of_false) } else { (of_false, of_true) };
            let explanation = match (kept.is_empty(), other.is_empty()) {
                (true, _) => other,
                (false, true) => kept,
                (false, false) => {
                    super::draft::note(Fix::Feedback, fixes);
                    kept
                }
            };
            Ok(Told { answers: Answers::Truth(answer), explanation })
        }
        syntax::Answers::Short(choices) => {
            let scored = choices.iter().map(|choice| score(choice, written(&choice.value, fixes), fixes)).collect();
            Ok(scored::typed(scored, fixes))
        }
        syntax::Answers::Choice(choices) => {
            let scored = choices.iter().map(|choice| score(choice, written(&choice.value, fixes), fixes)).collect();
            scored::choice(scored, fixes)
        }
        syntax::Answers::Numerical(choices) => {
            let mut exact = Vec::new();
            for choice in &choices {
                match &choice.value {
                    Some(number) if is_exact(number) => {
                        let text = number.written.clone().unwrap_or_else(|| number.low.to_string());
                        exact.push(score(choice, text, fixes));
                    }
                    Some(_) if share(choice) >= 100.0 => return Err(scored::range()),
                    Some(_) | None => exact.push(score(choice, String::new(), fixes)),
                }
            }
            Ok(scored::typed(exact, fixes))
        }
    }
}

fn is_exact(number: &Number) -> bool {
    number.low == number.high
}

/// Percent of the points: `=` is all of them and `~` none, unless it is said.
fn share<T>(choice: &Choice<T>) -> f64 {
    choice.weight.unwrap_or(if choice.right { 100.0 } else { 0.0 })
}

fn score<T>(choice: &Choice<T>, text: String, fixes: &mut Vec<Fix>) -> Scored {
    let feedback = choice.feedback.as_ref().map(|told| written(told, fixes)).unwrap_or_default();
    Scored { text, share: share(choice), feedback }
}

/// The text as a player reads it.
fn written(rich: &Rich, fixes: &mut Vec<Fix>) -> String {
    match rich.format {
        syntax::Format::Html => text_of(&rich.text, fixes),
        _ => rich.text.clone(),
    }
}
