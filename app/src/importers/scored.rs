//! Answers that are worth a share of the points, as Moodle has them.

use super::Fix;
use super::Parsed;
use super::draft::{Answers, note};

/// An answer, right or not.
pub(super) struct Scored {
    pub(super) text: String,
    /// Percent of the points.
    pub(super) share: f64,
    pub(super) feedback: String,
}

impl Scored {
    fn is_right(&self) -> bool {
        self.share >= 100.0
    }

    fn is_partly_right(&self) -> bool {
        self.share > 0.0 && !self.is_right()
    }
}

/// Answers and what is told with the right one.
pub(super) struct Told {
    pub(super) answers: Answers,
    pub(super) explanation: String,
}

/// Options of which one is right.
pub(super) fn choice(scored: Vec<Scored>, fixes: &mut Vec<Fix>) -> Result<Told, Parsed> {
    let right = scored.iter().filter(|option| option.is_right()).count();
    let partly = scored.iter().filter(|option| option.is_partly_right()).count();
    if right > 1 || (right == 0 && partly > 1) {
        return Err(Parsed::rejected("several_right", "more than one option is right"));
    }
    let explanation = explanation(&scored, fixes);
    let right = scored.iter().find(|option| option.is_right()).map(|option| option.text.clone()).unwrap_or_default();
    let options = scored.into_iter().map(|option| option.text).collect();
    Ok(Told { answers: Answers::Choice { options, right }, explanation })
}

/// Accepted answers; those that are not wholly right are left out.
pub(super) fn typed(scored: Vec<Scored>, fixes: &mut Vec<Fix>) -> Told {
    let explanation = explanation(&scored, fixes);
    let accepted = scored.iter().filter(|answer| answer.is_right()).filter_map(|answer| literal(&answer.text, fixes));
    Told { answers: Answers::Typed(accepted.collect()), explanation }
}

/// The feedback of what is right; that other feedback is lost is noted.
fn explanation(scored: &[Scored], fixes: &mut Vec<Fix>) -> String {
    if scored.iter().any(Scored::is_partly_right) {
        note(Fix::PartialCredit, fixes);
    }
    let mut told = scored.iter().filter(|answer| answer.is_right()).map(|answer| answer.feedback.as_str());
    let kept = told.find(|feedback| !feedback.is_empty()).unwrap_or_default();
    if scored.iter().any(|answer| !answer.feedback.is_empty() && answer.feedback != kept) {
        note(Fix::Feedback, fixes);
    }
    kept.to_owned()
}

/// The text of an accepted answer, unless it is a pattern: `*` is any text, `\*` a star.
fn literal(text: &str, fixes: &mut Vec<Fix>) -> Option<String> {
    if text.replace("\\*", "").contains('*') {
        note(Fix::Wildcard, fixes);
        return None;
    }
    Some(text.replace("\\*", "*"))
}

/// A question that cannot be asked by the three kinds of this store.
pub(super) fn unsupported(kind: &str) -> Parsed {
    Parsed::rejected("unsupported_type", format!("questions of the type {kind} cannot be asked"))
}

/// A number that may differ from the right one.
pub(super) fn range() -> Parsed {
    Parsed::rejected("numerical_range", "the answer is a range of numbers, and a typed answer is compared as text")
}
