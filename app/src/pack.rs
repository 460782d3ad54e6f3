//! The questions that come with the program.

use trivia_domain::StoreResult;
use trivia_domain::model::{Pack, PackName, PackPart, QuestionContent};

/// One file a category, in the form of the project's own question files.
const FILES: [&str; 14] = [
    include_str!("../pack/art-and-architecture.jsonl"),
    include_str!("../pack/film-and-television.jsonl"),
    include_str!("../pack/food-and-drink.jsonl"),
    include_str!("../pack/geography.jsonl"),
    include_str!("../pack/history.jsonl"),
    include_str!("../pack/language.jsonl"),
    include_str!("../pack/literature.jsonl"),
    include_str!("../pack/mathematics.jsonl"),
    include_str!("../pack/music.jsonl"),
    include_str!("../pack/mythology.jsonl"),
    include_str!("../pack/nature.jsonl"),
    include_str!("../pack/science.jsonl"),
    include_str!("../pack/sport.jsonl"),
    include_str!("../pack/technology.jsonl"),
];

/// All of them, file by file.
///
/// # Errors
/// When a file of the pack is broken, which its test excludes.
pub(crate) fn bundled() -> serde_json::Result<Vec<QuestionContent>> {
    FILES.iter().flat_map(|file| file.lines()).map(serde_json::from_str).collect()
}

/// The pack that they make.
///
/// # Errors
/// When what is said here breaks a rule of the model, which its test excludes.
pub(crate) fn about() -> StoreResult<Pack> {
    Pack::new(PackName::new("trivia-store")?)
        .with(PackPart::Title, "Questions of trivia-store")?
        .with(PackPart::Author, "the authors of trivia-store")?
        .with(PackPart::Licence, "MIT OR Apache-2.0")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use trivia_domain::model::{Difficulty, QuestionBody, QuestionKind};

    use super::*;

    #[test]
    fn the_pack_has_enough_of_everything() {
        assert!(about().is_ok());
        let all = bundled().unwrap();
        let categories: HashSet<_> = all.iter().map(QuestionContent::category).collect();
        assert!(all.len() >= 300, "{} questions", all.len());
        assert!(categories.len() >= 10, "{} categories", categories.len());
        for (at, file) in FILES.iter().enumerate() {
            let file: Vec<QuestionContent> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            for kind in QuestionKind::ALL {
                assert!(file.iter().any(|question| question.kind() == kind), "file {at} has no {kind}");
            }
            for difficulty in Difficulty::ALL {
                assert!(file.iter().any(|question| question.difficulty() == difficulty), "file {at}: no {difficulty}");
            }
        }
    }

    #[test]
    fn no_two_questions_of_the_pack_are_alike() {
        let all = bundled().unwrap();
        let contents: HashSet<_> = all.iter().map(QuestionContent::content_key).collect();
        let stems: HashSet<_> = all.iter().map(QuestionContent::stem_key).collect();
        assert_eq!((contents.len(), stems.len()), (all.len(), all.len()));
    }

    #[test]
    fn every_typed_answer_of_the_pack_is_right() {
        for question in bundled().unwrap() {
            let QuestionBody::FillBlank { answer, variations } = question.body() else { continue };
            for text in std::iter::once(answer).chain(variations) {
                let given = question.read(text);
                assert_eq!(given.and_then(|given| question.is_right(&given)), Some(true), "{text} in {question:?}");
            }
        }
    }
}
