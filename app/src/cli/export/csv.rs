//! Questions as a table that spreadsheets open and `import` reads back.

use std::fmt::Display;

use trivia_app::importers::formulas;
use trivia_domain::model::{Labels, Question, QuestionBody};

use super::questions::Survey;
use crate::error::Failure;

/// Columns beside those of options and variations.
const FIXED: usize = 11;
/// Most columns that `import` reads.
const MAX: usize = 256;
/// Between several tags or packs in one field.
const SEPARATOR: &str = "; ";

/// A table wide enough for all questions.
pub(super) struct Table {
    options: usize,
    variations: usize,
}

impl Table {
    pub(super) fn new(survey: &Survey) -> Result<Self, Failure> {
        let Survey { options, variations, .. } = *survey;
        if FIXED + options + variations > MAX {
            let message =
                format!("a question has {variations} other accepted answers, too many for the columns of a table");
            return Err(Failure::new(message, "export to JSON Lines, without --format csv"));
        }
        Ok(Self { options, variations })
    }

    pub(super) fn header(&self) -> String {
        let names = ["kind", "category", "difficulty", "language", "question", "answer"].map(str::to_owned);
        let numbered = |name: &'static str, count: usize| (1..=count).map(move |number| format!("{name} {number}"));
        let names = names.into_iter().chain(numbered("option", self.options));
        let names = names.chain(numbered("variation", self.variations));
        let rest = ["explanation", "points", "tags", "packs", formulas::COLUMN.0];
        line(names.chain(rest.map(str::to_owned)))
    }

    pub(super) fn row(&self, question: &Question, labels: &Labels) -> Result<String, Failure> {
        let content = &question.content;
        let (options, variations): (&[String], &[String]) = match content.body() {
            QuestionBody::MultipleChoice { options, .. } => (options, &[]),
            QuestionBody::TrueFalse { .. } => (&[], &[]),
            QuestionBody::FillBlank { variations, .. } => (&[], variations),
        };
        if options.len() > self.options || variations.len() > self.variations {
            let message = format!("question {} was changed while it was exported", question.id);
            return Err(Failure::new(message, "export again"));
        }
        let filled = |texts: &[String], width: usize| {
            let empty = width - texts.len();
            texts.iter().cloned().chain((0..empty).map(|_| String::new())).collect::<Vec<_>>()
        };
        let mut fields = vec![
            content.kind().to_string(),
            content.category().to_string(),
            content.difficulty().to_string(),
            content.language().to_string(),
            content.text().to_owned(),
            content.answer().to_owned(),
        ];
        fields.extend(filled(options, self.options));
        fields.extend(filled(variations, self.variations));
        fields.push(content.explanation().unwrap_or_default().to_owned());
        fields.push(content.points().map(|points| points.to_string()).unwrap_or_default());
        fields.push(joined(&labels.tags));
        fields.push(joined(&labels.packs));
        let has_formula = fields.iter().any(|field| formulas::is_formula(field));
        if has_formula {
            fields = fields.into_iter().map(formulas::escape).collect();
        }
        fields.push(if has_formula { formulas::COLUMN.1.to_owned() } else { String::new() });
        Ok(line(fields))
    }
}

fn joined<'a, T: Display + 'a>(names: impl IntoIterator<Item = &'a T>) -> String {
    names.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(SEPARATOR)
}

/// A line of RFC 4180, without its end. Semicolons and tabs are quoted, too: some programs separate by them.
fn line(fields: impl IntoIterator<Item = String>) -> String {
    let quoted = |field: String| {
        if field.contains(['"', ',', ';', '\t', '\n', '\r']) {
            format!("\"{}\"", field.replace('"', "\"\""))
        } else {
            field
        }
    };
    fields.into_iter().map(quoted).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_stands_in_quotes() {
        let fields = ["a", "b,c", "d;e", "\"f\"", "g\nh", ""].map(str::to_owned);
        assert_eq!(line(fields), "a,\"b,c\",\"d;e\",\"\"\"f\"\"\",\"g\nh\",");
    }

    #[test]
    fn the_fixed_columns_are_counted() {
        let table = Table { options: 0, variations: 0 };
        assert_eq!(table.header().split(',').count(), FIXED);
    }
}
