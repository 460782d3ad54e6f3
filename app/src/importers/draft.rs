//! A question as a file has it, before it is known to be one.

use std::collections::HashSet;
use std::path::Path;

use trivia_domain::StoreResult;
use trivia_domain::model::{Category, Difficulty, Language, Points, QuestionBody, QuestionContent, fold_identity};

use super::{Fix, Parsed};

/// A question, or `Err` with why there is none.
pub(super) type Outcome = Result<Parsed, Parsed>;

/// Raw values of a record.
pub(super) struct Draft {
    /// The stem, perhaps of several lines.
    pub(super) text: String,
    pub(super) answers: Answers,
    pub(super) category: String,
    pub(super) difficulty: Difficulty,
    pub(super) language: Language,
    /// Empty when there is none.
    pub(super) explanation: String,
    pub(super) points: Points,
    /// What the parser had to mend already.
    pub(super) fixes: Vec<Fix>,
}

/// What holds for each question of a file that says nothing else.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) category: String,
    pub(super) language: Language,
}

/// Raw answers of a record.
pub(super) enum Answers {
    /// The options in their written order, and the right one.
    Choice { options: Vec<String>, right: String },
    /// Whether the statement is true.
    Truth(bool),
    /// All that is accepted, what is shown first.
    Typed(Vec<String>),
}

impl Draft {
    /// A question of middling difficulty without what most files do not have.
    pub(super) fn new(text: String, answers: Answers, defaults: &Defaults) -> Self {
        Self {
            text,
            answers,
            category: defaults.category.clone(),
            difficulty: Difficulty::Medium,
            language: defaults.language.clone(),
            explanation: String::new(),
            points: Points::ZERO,
            fixes: Vec::new(),
        }
    }

    /// Mends what can be mended and builds the question.
    pub(super) fn finish(self) -> Parsed {
        self.build().into()
    }

    fn build(mut self) -> Outcome {
        let fixes = &mut self.fixes;
        self.text = clean(&self.text, stem, fixes);
        self.category = clean(&self.category, one_line, fixes);
        self.explanation = clean(&self.explanation, stem, fixes);
        if self.text.is_empty() {
            return Err(Parsed::rejected("empty_question", "the question has no text"));
        }
        let body = match self.answers {
            Answers::Choice { options, right } => choice(&options, &right, fixes)?,
            Answers::Truth(answer) => QuestionBody::TrueFalse { answer },
            Answers::Typed(accepted) => typed(&accepted, fixes)?,
        };
        let content = || -> StoreResult<QuestionContent> {
            let content = QuestionContent::new(body, &self.text, Category::new(&self.category)?, self.difficulty)?
                .with_explanation(&self.explanation)?;
            Ok(content.with_points(self.points).with_language(self.language))
        };
        match content() {
            Ok(content) => Ok(Parsed::Ok { content: Box::new(content), fixes: self.fixes }),
            Err(error) => Err(Parsed::rejected("invalid_question", error.to_string())),
        }
    }
}

fn choice(options: &[String], right: &str, fixes: &mut Vec<Fix>) -> Result<QuestionBody, Parsed> {
    let right = clean(right, one_line, fixes);
    if right.is_empty() {
        return Err(Parsed::rejected("no_answer", "no right answer is given"));
    }
    let options = distinct(options, fixes);
    if options.len() < 2 {
        return Err(Parsed::rejected("too_few_options", "fewer than two options are left"));
    }
    if !options.contains(&right) {
        return Err(Parsed::rejected("answer_not_an_option", "the right answer is not one of the options"));
    }
    match truth(&options, &right) {
        Some(answer) => Ok(QuestionBody::TrueFalse { answer }),
        None => QuestionBody::choice(options, &right)
            .map_err(|error| Parsed::rejected("invalid_question", error.to_string())),
    }
}

fn typed(accepted: &[String], fixes: &mut Vec<Fix>) -> Result<QuestionBody, Parsed> {
    let mut accepted = distinct(accepted, fixes);
    if accepted.is_empty() {
        return Err(Parsed::rejected("no_answer", "no right answer is given"));
    }
    let answer = accepted.remove(0);
    Ok(QuestionBody::FillBlank { answer, variations: accepted })
}

/// The texts without empty and equal ones.
fn distinct(texts: &[String], fixes: &mut Vec<Fix>) -> Vec<String> {
    // a set, because a hostile record may have a hundred thousand of them
    let mut seen = HashSet::new();
    let mut kept = Vec::with_capacity(texts.len());
    for text in texts {
        let text = clean(text, one_line, fixes);
        if text.is_empty() {
            note(Fix::EmptyOption, fixes);
        } else if seen.insert(text.clone()) {
            kept.push(text);
        } else {
            note(Fix::EqualOptions, fixes);
        }
    }
    kept
}

/// The answer when the options are True and False.
fn truth(options: &[String], right: &str) -> Option<bool> {
    let mut folded: Vec<String> = options.iter().map(|option| fold_identity(option)).collect();
    folded.sort_unstable();
    (folded == ["false", "true"]).then(|| fold_identity(right) == "true")
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
pub(super) fn note(fix: Fix, fixes: &mut Vec<Fix>) {
    if !fixes.contains(&fix) {
        fixes.push(fix);
    }
}

/// Every run of blanks is one space.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As [`one_line`] for each line, without empty lines at both ends.
fn stem(text: &str) -> String {
    text.lines().map(one_line).collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// The category by the name of a file: `for-kids` is `For Kids`.
pub(super) fn category(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let words = stem.split(|c: char| c.is_whitespace() || matches!(c, '-' | '_')).filter(|word| !word.is_empty());
    let capitals = words.map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    });
    let name = capitals.collect::<Vec<_>>().join(" ");
    if name.is_empty() { "General".to_owned() } else { name.chars().take(100).collect() }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::category;

    #[test]
    fn the_file_name_is_the_category() {
        for (file, name) in
            [("a/science-technology", "Science Technology"), ("for_kids.txt", "For Kids"), ("-", "General")]
        {
            assert_eq!(category(Path::new(file)), name);
        }
    }
}
