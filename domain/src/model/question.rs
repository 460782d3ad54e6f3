//! Questions: what is asked, what is right, and when two are the same.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::names::{define_names, define_text};
use super::text::{self, fold_identity, fold_match};
use super::{Accuracy, Category, Difficulty, Points, QuestionId};
use crate::error::{StoreError, StoreResult};

/// Longest stem or explanation, in characters.
const MAX_TEXT: usize = 20_000;
/// Longest option or answer, in characters.
const MAX_ANSWER: usize = 1_000;
/// Most options: each gets a letter.
const MAX_OPTIONS: usize = 26;

/// The three kinds of question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// One option of several is right.
    MultipleChoice,
    /// A statement is true or false.
    TrueFalse,
    /// The player types the answer.
    FillBlank,
}

define_names!(
    QuestionKind,
    "kind",
    MultipleChoice = "multiple_choice",
    TrueFalse = "true_false",
    FillBlank = "fill_blank"
);

/// Language of a question: a BCP 47 tag such as `en` or `pt-br`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(String);

define_text!(Language);

impl Language {
    /// Builds a language tag.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] unless it is 2 to 35 ASCII letters, digits and hyphens.
    pub fn new(tag: &str) -> StoreResult<Self> {
        let valid = (2..=35).contains(&tag.len())
            && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && tag.as_bytes()[0].is_ascii_alphabetic();
        if !valid {
            return Err(StoreError::invalid("language", format!("{tag:?} is not a language tag")));
        }
        Ok(Self(tag.to_ascii_lowercase()))
    }
}

impl Default for Language {
    fn default() -> Self {
        Self("en".to_owned())
    }
}

/// What is asked and what is right. Only [`QuestionContent`] holds one, and checks it first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionBody {
    /// 2 to 26 options that differ, one of them right.
    MultipleChoice {
        /// The options in their written order ("all of the above" needs it).
        options: Vec<String>,
        /// Index of the right one.
        correct: usize,
    },
    /// A statement.
    TrueFalse {
        /// Whether it is true.
        answer: bool,
    },
    /// A typed answer.
    FillBlank {
        /// The answer that is shown.
        answer: String,
        /// Others that count as right.
        variations: Vec<String>,
    },
}

impl QuestionBody {
    /// A choice whose right option is given by its text.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when no option has that text.
    pub fn choice(options: Vec<String>, answer: &str) -> StoreResult<Self> {
        let correct = options
            .iter()
            .position(|option| option == answer)
            .ok_or_else(|| StoreError::invalid("answer", format!("{answer:?} is not one of the options")))?;
        Ok(Self::MultipleChoice { options, correct })
    }

    fn checked(self) -> StoreResult<Self> {
        match self {
            Self::MultipleChoice { options, correct } => {
                let options = options
                    .iter()
                    .map(|option| text::checked("option", option, MAX_ANSWER))
                    .collect::<StoreResult<Vec<_>>>()?;
                if !(2..=MAX_OPTIONS).contains(&options.len()) {
                    let reason = format!("{} given, 2 to {MAX_OPTIONS} are possible", options.len());
                    return Err(StoreError::invalid("options", reason));
                }
                if correct >= options.len() {
                    return Err(StoreError::invalid("answer", "it is not one of the options"));
                }
                if let Some(twice) =
                    options.iter().enumerate().find(|(at, o)| options[..*at].contains(o)).map(|(_, o)| o)
                {
                    return Err(StoreError::invalid("options", format!("{twice:?} is there twice")));
                }
                Ok(Self::MultipleChoice { options, correct })
            }
            Self::TrueFalse { .. } => Ok(self),
            Self::FillBlank { answer, variations } => {
                let answer = text::checked("answer", &answer, MAX_ANSWER)?;
                let variations = variations
                    .iter()
                    .map(|variation| text::checked("variation", variation, MAX_ANSWER))
                    .collect::<StoreResult<Vec<_>>>()?;
                Ok(Self::FillBlank { answer, variations })
            }
        }
    }
}

/// Everything about a question but its place in a store: always valid.
/// Its JSON form is a line of the project's own question files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct QuestionContent {
    body: QuestionBody,
    text: String,
    category: Category,
    difficulty: Difficulty,
    language: Language,
    explanation: Option<String>,
    points: Option<Points>,
}

impl QuestionContent {
    /// Builds a question in English without explanation and with the points of its difficulty.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when the text is empty or too long, or the body breaks its rules.
    pub fn new(body: QuestionBody, text: &str, category: Category, difficulty: Difficulty) -> StoreResult<Self> {
        Ok(Self {
            body: body.checked()?,
            text: text::checked_lines("question", text, MAX_TEXT)?,
            category,
            difficulty,
            language: Language::default(),
            explanation: None,
            points: None,
        })
    }

    /// Adds what is told after the answer; an empty text is none.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is too long.
    pub fn with_explanation(mut self, explanation: &str) -> StoreResult<Self> {
        self.explanation = match explanation.trim() {
            "" => None,
            some => Some(text::checked_lines("explanation", some, MAX_TEXT)?),
        };
        Ok(self)
    }

    /// Gives the question a value of its own; 0 means that of its difficulty.
    #[must_use]
    pub fn with_points(mut self, points: Points) -> Self {
        self.points = (points > Points::ZERO).then_some(points);
        self
    }

    /// Sets the language.
    #[must_use]
    pub fn with_language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// What is asked and what is right.
    #[must_use]
    pub const fn body(&self) -> &QuestionBody {
        &self.body
    }

    /// The stem; it may have several lines.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The category.
    #[must_use]
    pub const fn category(&self) -> &Category {
        &self.category
    }

    /// The difficulty.
    #[must_use]
    pub const fn difficulty(&self) -> Difficulty {
        self.difficulty
    }

    /// The language.
    #[must_use]
    pub const fn language(&self) -> &Language {
        &self.language
    }

    /// What is told after the answer.
    #[must_use]
    pub fn explanation(&self) -> Option<&str> {
        self.explanation.as_deref()
    }

    /// The question's own value, if it has one.
    #[must_use]
    pub const fn points(&self) -> Option<Points> {
        self.points
    }

    /// Points before any factor: the own value or that of the difficulty.
    #[must_use]
    pub fn base_points(&self) -> Points {
        self.points.unwrap_or_else(|| self.difficulty.base_points())
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> QuestionKind {
        match self.body {
            QuestionBody::MultipleChoice { .. } => QuestionKind::MultipleChoice,
            QuestionBody::TrueFalse { .. } => QuestionKind::TrueFalse,
            QuestionBody::FillBlank { .. } => QuestionKind::FillBlank,
        }
    }

    /// The right answer in words.
    #[must_use]
    pub fn answer(&self) -> &str {
        match &self.body {
            QuestionBody::MultipleChoice { options, correct } => &options[*correct],
            QuestionBody::TrueFalse { answer: true } => "true",
            QuestionBody::TrueFalse { answer: false } => "false",
            QuestionBody::FillBlank { answer, .. } => answer,
        }
    }

    /// Reads what a player typed; `None` when it is no answer at all, which is not a wrong one.
    ///
    /// A choice is recognised by its exact text, else by its text in another case when only one
    /// option fits, else by its letter. Digits are never positions: an option may be `1995`.
    ///
    /// ```
    /// use trivia_domain::model::{Given, QuestionContent};
    /// let year: QuestionContent = serde_json::from_str(
    ///     r#"{"kind":"multiple_choice","category":"Technology","difficulty":"medium",
    ///         "question":"When did Java appear?","options":["3","1995"],"answer":"1995"}"#,
    /// )?;
    /// assert_eq!(year.read("1995"), Some(Given::Choice(1)));
    /// assert_eq!(year.read("b"), Some(Given::Choice(1)));
    /// assert_eq!(year.read("1"), None);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn read(&self, input: &str) -> Option<Given> {
        let input = input.trim();
        match &self.body {
            QuestionBody::MultipleChoice { options, .. } => read_choice(options, input).map(Given::Choice),
            QuestionBody::TrueFalse { .. } => read_truth(input).map(Given::Truth),
            QuestionBody::FillBlank { .. } => is_typed_answer(input).then(|| Given::Text(input.to_owned())),
        }
    }

    /// Whether the answer is right; `None` when it is not of this question's kind.
    /// Choices are compared by identity, typed answers by [`fold_match`].
    #[must_use]
    pub fn is_right(&self, given: &Given) -> Option<bool> {
        match (&self.body, given) {
            (QuestionBody::MultipleChoice { options, correct }, Given::Choice(choice)) => {
                (*choice < options.len()).then_some(choice == correct)
            }
            (QuestionBody::TrueFalse { answer }, Given::Truth(truth)) => Some(answer == truth),
            (QuestionBody::FillBlank { answer, variations }, Given::Text(typed)) => {
                if !is_typed_answer(typed) {
                    return None;
                }
                let typed = fold_match(typed);
                Some(std::iter::once(answer).chain(variations).any(|right| fold_match(right) == typed))
            }
            _ => None,
        }
    }

    /// Same key, same question: language, stem, options in any order and right answer, each as
    /// [`fold_identity`]. Category, difficulty and explanation do not count.
    #[must_use]
    pub fn content_key(&self) -> ContentKey {
        let mut options: Vec<String> = match &self.body {
            QuestionBody::MultipleChoice { options, .. } => options.iter().map(|o| fold_identity(o)).collect(),
            QuestionBody::TrueFalse { .. } => vec!["false".to_owned(), "true".to_owned()],
            QuestionBody::FillBlank { .. } => Vec::new(),
        };
        options.sort_unstable();
        let stem = fold_identity(&self.text);
        let truth = self.truth();
        let parts = [self.language.as_str(), &stem, &truth];
        ContentKey(digest(parts.into_iter().chain(options.iter().map(String::as_str))))
    }

    /// Same key, same stem in the same language; two of them with another [`Self::truth`] contradict.
    #[must_use]
    pub fn stem_key(&self) -> StemKey {
        StemKey(digest([self.language.as_str(), &fold_identity(&self.text)]))
    }

    /// The right answer as [`fold_identity`].
    #[must_use]
    pub fn truth(&self) -> String {
        fold_identity(self.answer())
    }
}

/// Whether a typed text is an answer at all; a NUL character cannot be stored everywhere.
fn is_typed_answer(typed: &str) -> bool {
    !typed.trim().is_empty() && !typed.contains('\0') && typed.chars().count() <= MAX_ANSWER
}

fn read_choice(options: &[String], input: &str) -> Option<usize> {
    if let Some(exact) = options.iter().position(|option| option == input) {
        return Some(exact);
    }
    let folded = fold_identity(input);
    let mut fitting = options.iter().enumerate().filter(|(_, option)| fold_identity(option) == folded);
    match (fitting.next(), fitting.next()) {
        (Some((only, _)), None) => return Some(only),
        (Some(_), Some(_)) => return None,
        (None, _) => {}
    }
    match input.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => {
            let at = usize::from(letter.to_ascii_lowercase() - b'a');
            (at < options.len()).then_some(at)
        }
        _ => None,
    }
}

fn read_truth(input: &str) -> Option<bool> {
    match fold_match(input).as_str() {
        "true" | "t" | "yes" | "y" | "1" | "correct" | "right" | "\u{2705}" => Some(true),
        "false" | "f" | "no" | "n" | "0" | "incorrect" | "wrong" | "\u{274c}" => Some(false),
        _ => None,
    }
}

/// SHA-256 over the parts, each preceded by its length, so that no two lists run together.
fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

/// Identity of a question's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentKey(
    /// SHA-256.
    pub [u8; 32],
);

/// Identity of a question's stem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StemKey(
    /// SHA-256.
    pub [u8; 32],
);

/// An answer as a player gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Given {
    /// The option with this index in the question's written order, however it was shown.
    Choice(usize),
    /// True or false.
    Truth(bool),
    /// Typed text.
    Text(String),
}

/// A question in a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Its id.
    pub id: QuestionId,
    /// 1 for the first; each edit adds one, and past answers keep theirs.
    pub version: u32,
    /// What it says.
    #[serde(flatten)]
    pub content: QuestionContent,
    /// How often it was answered.
    pub times_asked: u64,
    /// How often the answer was right.
    pub times_correct: u64,
    /// When it came into the store.
    pub created_at: DateTime<Utc>,
    /// Since when it is no longer picked.
    pub retired_at: Option<DateTime<Utc>>,
}

impl Question {
    /// Share of right answers.
    #[must_use]
    pub fn success_rate(&self) -> Accuracy {
        Accuracy::of(self.times_correct, self.times_asked)
    }
}

/// The JSON form of a question's content.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    kind: QuestionKind,
    category: Category,
    difficulty: Difficulty,
    question: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
    answer: RecordAnswer,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    variations: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    points: Option<Points>,
    #[serde(default)]
    language: Language,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum RecordAnswer {
    Truth(bool),
    Text(String),
}

impl TryFrom<Record> for QuestionContent {
    type Error = StoreError;

    fn try_from(record: Record) -> StoreResult<Self> {
        let body = match (record.kind, record.answer) {
            (QuestionKind::MultipleChoice, RecordAnswer::Text(answer)) => {
                QuestionBody::choice(record.options, &answer)?
            }
            (QuestionKind::TrueFalse, RecordAnswer::Truth(answer)) => QuestionBody::TrueFalse { answer },
            (QuestionKind::FillBlank, RecordAnswer::Text(answer)) => {
                QuestionBody::FillBlank { answer, variations: record.variations }
            }
            (QuestionKind::TrueFalse, RecordAnswer::Text(_)) => {
                return Err(StoreError::invalid("answer", "a true_false question needs true or false"));
            }
            (_, RecordAnswer::Truth(_)) => {
                return Err(StoreError::invalid("answer", "this kind of question needs a text"));
            }
        };
        Ok(Self::new(body, &record.question, record.category, record.difficulty)?
            .with_explanation(record.explanation.as_deref().unwrap_or_default())?
            .with_points(record.points.unwrap_or_default())
            .with_language(record.language))
    }
}

impl From<QuestionContent> for Record {
    fn from(content: QuestionContent) -> Self {
        let kind = content.kind();
        let (options, answer, variations) = match content.body {
            QuestionBody::MultipleChoice { options, correct } => {
                let answer = RecordAnswer::Text(options[correct].clone());
                (options, answer, Vec::new())
            }
            QuestionBody::TrueFalse { answer } => (Vec::new(), RecordAnswer::Truth(answer), Vec::new()),
            QuestionBody::FillBlank { answer, variations } => (Vec::new(), RecordAnswer::Text(answer), variations),
        };
        Self {
            kind,
            category: content.category,
            difficulty: content.difficulty,
            question: content.text,
            options,
            answer,
            variations,
            explanation: content.explanation,
            points: content.points,
            language: content.language,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(body: QuestionBody) -> QuestionContent {
        QuestionContent::new(body, "What is it?", Category::new("Test").unwrap(), Difficulty::Easy).unwrap()
    }

    fn choice(options: &[&str], answer: &str) -> QuestionContent {
        content(QuestionBody::choice(options.iter().map(ToString::to_string).collect(), answer).unwrap())
    }

    fn typed(answer: &str, variations: &[&str]) -> QuestionContent {
        let variations = variations.iter().map(ToString::to_string).collect();
        content(QuestionBody::FillBlank { answer: answer.to_owned(), variations })
    }

    #[test]
    fn l8_choices_are_recognised_by_text_then_by_letter_never_by_position() {
        let numbers = choice(&["3", "1995", "0", "2"], "1995");
        for (input, option) in [("1995", 1), ("0", 2), ("2", 3), ("3", 0), ("b", 1), ("D", 3)] {
            assert_eq!(numbers.read(input), Some(Given::Choice(option)), "{input}");
        }
        for input in ["1", "4", "e", "", "b c", "1995.0"] {
            assert_eq!(numbers.read(input), None, "{input:?} is no answer");
        }
    }

    #[test]
    fn l8_a_letter_that_is_an_option_is_that_option() {
        let letters = choice(&["b", "a", "c"], "a");
        assert_eq!(letters.read("a"), Some(Given::Choice(1)));
        assert_eq!(letters.read("B"), Some(Given::Choice(0)));
    }

    #[test]
    fn t1_options_that_differ_in_case_or_punctuation_stay_apart() {
        let languages = choice(&["C", "c", "C#", "C++"], "C#");
        for (input, option) in [("C", 0), ("c", 1), ("c#", 2), ("C++", 3)] {
            assert_eq!(languages.read(input), Some(Given::Choice(option)), "{input}");
        }
        let folded_alike = choice(&["Stra\u{df}e", "Strasse"], "Strasse");
        assert_eq!(folded_alike.read("STRASSE"), None, "it fits both");
        let signed = choice(&["-1", "1"], "-1");
        assert_eq!(signed.read("1"), Some(Given::Choice(1)));
        assert_eq!(signed.is_right(&Given::Choice(1)), Some(false));
    }

    #[test]
    fn l8_answers_of_another_kind_are_no_answers() {
        let (options, truth, text) =
            (choice(&["a", "b"], "a"), QuestionBody::TrueFalse { answer: true }, typed("x", &[]));
        assert_eq!(options.is_right(&Given::Choice(2)), None, "there is no third option");
        assert_eq!(options.is_right(&Given::Text("a".to_owned())), None);
        assert_eq!(content(truth).is_right(&Given::Choice(0)), None);
        assert_eq!(text.is_right(&Given::Truth(true)), None);
    }

    #[test]
    fn l8_any_variation_counts_and_unreadable_text_is_no_answer() {
        let everest = typed("Mount Everest", &["Sagarmatha", "Chomolungma"]);
        for input in ["mount everest", "SAGARMATHA", " chomolungma. "] {
            let given = everest.read(input).unwrap();
            assert_eq!(everest.is_right(&given), Some(true), "{input}");
        }
        assert_eq!(everest.is_right(&Given::Text("K2".to_owned())), Some(false));
        for input in ["", "  ", "a\0b", &"x".repeat(MAX_ANSWER + 1)] {
            assert_eq!(everest.read(input), None, "{input:?}");
            assert_eq!(everest.is_right(&Given::Text(input.to_owned())), None, "{input:?}");
        }
    }

    #[test]
    fn l8_true_and_false_have_many_names() {
        let statement = content(QuestionBody::TrueFalse { answer: false });
        for input in ["true", "T", "yes", "1", "✅", "Correct!"] {
            assert_eq!(statement.read(input), Some(Given::Truth(true)), "{input}");
        }
        for input in ["false", "N", "0", "❌", "wrong"] {
            assert_eq!(statement.read(input), Some(Given::Truth(false)), "{input}");
        }
        assert_eq!(statement.read("maybe"), None);
    }

    #[test]
    fn l17_identity_is_language_stem_options_and_truth() {
        let one = choice(&["C#", "C++", "Java"], "C#");
        assert_eq!(one.content_key(), choice(&["Java", "c++", "C#"], "C#").content_key(), "order and case");
        assert_ne!(one.content_key(), choice(&["C#", "C++", "Java"], "C++").content_key(), "truth");
        assert_ne!(one.content_key(), choice(&["C#", "C", "Java"], "C#").content_key(), "options");
        assert_ne!(one.content_key(), one.clone().with_language(Language::new("de").unwrap()).content_key());
        assert_eq!(one.content_key(), one.clone().with_points(Points::small(99)).content_key());
        assert_eq!(one.stem_key(), choice(&["C#", "C"], "C").stem_key());
        assert_ne!(typed("-1", &[]).content_key(), typed("1", &[]).content_key());
        assert_ne!(typed("a", &[]).content_key(), content(QuestionBody::TrueFalse { answer: true }).content_key());
    }

    #[test]
    fn l17_content_survives_json_and_bad_content_cannot_be_built() {
        let one = choice(&["a", "b"], "b").with_explanation("because\nof it").unwrap().with_points(Points::small(7));
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<QuestionContent>(&json).unwrap(), one);
        let body = |options: &[&str]| QuestionBody::MultipleChoice {
            options: options.iter().map(ToString::to_string).collect(),
            correct: 1,
        };
        let category = Category::new("Test").unwrap();
        for options in [&["a"][..], &["a", "a"], &["a", " a "], &["a", ""], &["a", "b\0"], &["x"; 27]] {
            let refused = QuestionContent::new(body(options), "What?", category.clone(), Difficulty::Easy);
            assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{options:?}");
        }
    }
}
