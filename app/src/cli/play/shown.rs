//! A question on the screen.

use rand::seq::SliceRandom;
use trivia_domain::model::{Given, QuestionBody, QuestionContent};

use crate::chance::seeded;
use crate::error::Failure;

/// A question as it is shown: its options in another order.
pub(super) struct Shown {
    pub(super) content: QuestionContent,
    /// For each option that is shown its index in the question.
    order: Vec<usize>,
}

impl Shown {
    /// The same order for the same seed.
    pub(super) fn new(content: &QuestionContent, seed: u64) -> Result<Self, Failure> {
        let QuestionBody::MultipleChoice { options, correct } = content.body() else {
            return Ok(Self { content: content.clone(), order: Vec::new() });
        };
        let mut order: Vec<usize> = (0..options.len()).collect();
        // "all of the above" needs its place
        if !options.iter().any(|option| option.to_lowercase().contains("of the above")) {
            order.shuffle(&mut seeded(seed));
        }
        let body = QuestionBody::MultipleChoice {
            options: order.iter().map(|at| options[*at].clone()).collect(),
            correct: order.iter().position(|at| at == correct).unwrap_or_default(),
        };
        let content = QuestionContent::new(body, content.text(), content.category().clone(), content.difficulty())?
            .with_points(content.base_points());
        Ok(Self { content, order })
    }

    /// What a line means for the question in its own order.
    pub(super) fn read(&self, line: &str) -> Option<Given> {
        match self.content.read(line)? {
            Given::Choice(shown) => self.order.get(shown).copied().map(Given::Choice),
            other => Some(other),
        }
    }

    /// What can be typed.
    pub(super) fn hint(&self) -> String {
        match self.order.len() {
            0 if matches!(self.content.body(), QuestionBody::TrueFalse { .. }) => "type true or false".to_owned(),
            0 => "type a word".to_owned(),
            options => {
                let last = ('a'..='z').nth(options - 1).unwrap_or('z');
                format!("type a letter from a to {last}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(options: &str, answer: &str) -> QuestionContent {
        let line = format!(
            r#"{{"kind":"multiple_choice","category":"T","difficulty":"easy","question":"?","options":{options},"answer":"{answer}"}}"#
        );
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_letter_means_the_option_that_is_shown_beside_it() {
        let question = content(r#"["one","two","three","four"]"#, "three");
        for seed in 0..50 {
            let shown = Shown::new(&question, seed).unwrap();
            let QuestionBody::MultipleChoice { options, .. } = shown.content.body() else { panic!("no options") };
            for (letter, option) in ('a'..='z').zip(options) {
                let right = shown.read(&letter.to_string()).and_then(|given| question.is_right(&given));
                assert_eq!(right, Some(option == "three"), "{letter}) {option}");
            }
            assert_eq!(shown.read("three"), Some(Given::Choice(2)));
            assert_eq!(shown.read("5"), None);
        }
    }

    #[test]
    fn an_option_that_speaks_of_the_others_keeps_its_place() {
        let question = content(r#"["one","two","All of the above"]"#, "one");
        for seed in 0..50 {
            assert_eq!(Shown::new(&question, seed).unwrap().order, [0, 1, 2]);
        }
    }
}
