//! A question as a file has it, before it is known to be one.

use std::collections::HashSet;

use trivia_domain::StoreResult;
use trivia_domain::model::{Category, Difficulty, QuestionBody, QuestionContent, fold_identity};

use super::{Fix, Parsed};

/// Raw values of a record.
pub(super) struct Draft {
    /// The stem, perhaps of several lines.
    pub(super) text: String,
    /// The options in their written order.
    pub(super) options: Vec<String>,
    /// The right option.
    pub(super) answer: String,
    pub(super) category: String,
    pub(super) difficulty: Difficulty,
    /// What the parser had to mend already.
    pub(super) fixes: Vec<Fix>,
}

impl Draft {
    /// Mends what can be mended and builds the question.
    pub(super) fn finish(mut self) -> Parsed {
        self.text = clean(&self.text, stem, &mut self.fixes);
        self.answer = clean(&self.answer, one_line, &mut self.fixes);
        self.category = clean(&self.category, one_line, &mut self.fixes);
        self.options = self.options.iter().map(|option| clean(option, one_line, &mut self.fixes)).collect();
        if self.text.is_empty() {
            return Parsed::rejected("empty_question", "the question has no text");
        }
        if self.answer.is_empty() {
            return Parsed::rejected("no_answer", "no right answer is given");
        }
        self.drop_options();
        if self.options.len() < 2 {
            return Parsed::rejected("too_few_options", "fewer than two options are left");
        }
        if !self.options.contains(&self.answer) {
            return Parsed::rejected("answer_not_an_option", "the right answer is not one of the options");
        }
        match self.content() {
            Ok(content) => Parsed::Ok { content: Box::new(content), fixes: self.fixes },
            Err(error) => Parsed::rejected("invalid_question", error.to_string()),
        }
    }

    fn drop_options(&mut self) {
        // a set, because a hostile record may have a hundred thousand options
        let mut seen = HashSet::new();
        self.options.retain(|option| {
            let fix = if option.is_empty() {
                Fix::EmptyOption
            } else if seen.insert(option.clone()) {
                return true;
            } else {
                Fix::EqualOptions
            };
            note(fix, &mut self.fixes);
            false
        });
    }

    fn content(&self) -> StoreResult<QuestionContent> {
        let body = match self.truth() {
            Some(answer) => QuestionBody::TrueFalse { answer },
            None => QuestionBody::choice(self.options.clone(), &self.answer)?,
        };
        QuestionContent::new(body, &self.text, Category::new(&self.category)?, self.difficulty)
    }

    /// The answer when the options are True and False.
    fn truth(&self) -> Option<bool> {
        let mut folded: Vec<String> = self.options.iter().map(|option| fold_identity(option)).collect();
        folded.sort_unstable();
        (folded == ["false", "true"]).then(|| fold_identity(&self.answer) == "true")
    }
}

fn clean(text: &str, blanks: fn(&str) -> String, fixes: &mut Vec<Fix>) -> String {
    let without_nul = text.replace('\0', "");
    if without_nul != text {
        note(Fix::Nul, fixes);
    }
    let clean = blanks(&without_nul);
    if clean != without_nul {
        note(Fix::Blanks, fixes);
    }
    clean
}

/// Each kind of fix is told once a record.
fn note(fix: Fix, fixes: &mut Vec<Fix>) {
    if !fixes.contains(&fix) {
        fixes.push(fix);
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As [`one_line`] for each line, without empty lines at both ends.
fn stem(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n").trim().to_owned()
}
