//! Questions to play with.

use trivia_domain::model::{Category, Difficulty, QuestionBody, QuestionContent};

pub(crate) fn category(name: &str) -> Category {
    Category::new(name).unwrap()
}

fn build(body: QuestionBody, stem: &str) -> QuestionContent {
    QuestionContent::new(body, stem, category("General"), Difficulty::Easy).unwrap()
}

/// An easy statement.
pub(crate) fn statement(stem: &str, answer: bool) -> QuestionContent {
    build(QuestionBody::TrueFalse { answer }, stem)
}

/// A true statement of this category and difficulty.
pub(crate) fn statement_of(stem: &str, name: &str, difficulty: Difficulty) -> QuestionContent {
    QuestionContent::new(QuestionBody::TrueFalse { answer: true }, stem, category(name), difficulty).unwrap()
}

/// An easy choice.
pub(crate) fn choice(stem: &str, options: &[&str], answer: &str) -> QuestionContent {
    build(QuestionBody::choice(options.iter().map(ToString::to_string).collect(), answer).unwrap(), stem)
}

/// An easy question with a typed answer.
pub(crate) fn typed(stem: &str, answer: &str, variations: &[&str]) -> QuestionContent {
    let variations = variations.iter().map(ToString::to_string).collect();
    build(QuestionBody::FillBlank { answer: answer.to_owned(), variations }, stem)
}
