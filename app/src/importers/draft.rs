//! A question as a file has it, before it is known to be one.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use trivia_domain::StoreResult;
use trivia_domain::model::{
    Category, Difficulty, Labels, Language, PackName, Points, QuestionBody, QuestionContent, QuestionKind, Tag,
    fold_identity,
};

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
    /// What the file calls it: options `True` and `False` are no statement when it is a choice.
    pub(super) kind: Option<QuestionKind>,
    /// Tags, also several in one text.
    pub(super) tags: Vec<String>,
    /// Names of packs, also several in one text.
    pub(super) packs: Vec<String>,
    /// A pack whose name is known to be good.
    pub(super) pack: Option<PackName>,
    /// What the parser had to mend already.
    pub(super) fixes: Vec<Fix>,
}

/// What holds for each question of a file that says nothing else.
#[derive(Debug, Clone)]
pub(super) struct Defaults {
    pub(super) category: String,
    pub(super) language: Language,
    pub(super) pack: Option<PackName>,
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
            kind: None,
            tags: Vec::new(),
            packs: Vec::new(),
            pack: defaults.pack.clone(),
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
            Answers::Choice { options, right } => choice(&options, &right, self.kind, fixes)?,
            Answers::Truth(answer) => QuestionBody::TrueFalse { answer },
            Answers::Typed(accepted) => typed(&accepted, fixes)?,
        };
        let mut labels = labels(&self.tags, &self.packs, fixes);
        labels.packs.extend(self.pack);
        let content = || -> StoreResult<QuestionContent> {
            let content = QuestionContent::new(body, &self.text, Category::new(&self.category)?, self.difficulty)?
                .with_explanation(&self.explanation)?;
            Ok(content.with_points(self.points).with_language(self.language))
        };
        match content() {
            Ok(content) => Ok(Parsed::Ok { content: Box::new(content), labels, fixes: self.fixes }),
            Err(error) => Err(Parsed::rejected("invalid_question", error.to_string())),
        }
    }
}

fn choice(
    options: &[String],
    right: &str,
    kind: Option<QuestionKind>,
    fixes: &mut Vec<Fix>,
) -> Result<QuestionBody, Parsed> {
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
        Some(answer) if kind != Some(QuestionKind::MultipleChoice) => Ok(QuestionBody::TrueFalse { answer }),
        _ => QuestionBody::choice(options, &right)
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

/// The tags and packs that texts name; each text may hold several. What cannot be used is noted.
pub(super) fn labels(tags: &[String], packs: &[String], fixes: &mut Vec<Fix>) -> Labels {
    Labels { tags: each(tags, Tag::new, fixes), packs: each(packs, PackName::new, fixes) }
}

fn each<T: Ord>(texts: &[String], build: fn(&str) -> StoreResult<T>, fixes: &mut Vec<Fix>) -> BTreeSet<T> {
    let parts = texts.iter().flat_map(|text| text.split(Tag::SEPARATORS)).filter(|part| !part.trim().is_empty());
    let built = parts.filter_map(|part| build(part).map_err(|_| note(Fix::Label, fixes)).ok());
    built.collect()
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

/// A pack by the name of a file: `For kids (2).yaml` is `for-kids-2`. `None` when no letter or digit is in it.
pub(super) fn pack_name(path: &Path) -> Option<PackName> {
    let stem = fold_identity(&path.file_stem()?.to_string_lossy());
    let words = stem.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words.collect::<Vec<_>>().join("-").chars().take(PackName::MAX).collect();
    PackName::new(name.trim_end_matches('-')).ok()
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

    use super::{category, pack_name};

    #[test]
    fn the_file_name_is_the_category() {
        for (file, name) in
            [("a/science-technology", "Science Technology"), ("for_kids.txt", "For Kids"), ("-", "General")]
        {
            assert_eq!(category(Path::new(file)), name);
        }
    }

    #[test]
    fn the_file_name_is_the_name_of_a_pack() {
        for (file, name) in
            [("a/For kids (2).yaml", Some("for-kids-2")), ("Ís.yml", Some("ís")), ("題", Some("題")), ("-.-", None)]
        {
            assert_eq!(pack_name(Path::new(file)).as_ref().map(ToString::to_string).as_deref(), name);
        }
        let long = pack_name(Path::new(&format!("{} b", "a".repeat(49)))).unwrap();
        assert_eq!(long.as_str(), "a".repeat(49));
    }
}
