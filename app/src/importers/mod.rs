//! Question files of other people become questions of the store.
//!
//! A file is read once, from front to back, and never held in memory as a whole. Each record in it
//! ends as accepted (perhaps with fixes), duplicate, contradiction or rejected; nothing is dropped
//! without a line in the report.
//!
//! To add a format: write a file with a `fits` for the first bytes of a file and a [`Parser`] that
//! fills [`Draft`](draft::Draft)s, then name it in [`Format`] and its two `match`es.

mod draft;
mod encoding;
mod error;
mod files;
mod input;
mod jsonl;
mod opentdb;
mod opentriviaqa;
mod report;
mod run;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use trivia_domain::model::QuestionContent;

pub(crate) use self::error::ImportError;
use self::input::Input;
pub(crate) use self::report::{Diagnostic, ImportReport};
pub(crate) use self::run::{ImportOptions, import};

/// Longest record in bytes: any valid question fits, even when JSON escapes each of its characters.
const MAX_RECORD: usize = 1024 * 1024;

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The project's own JSON Lines: one question a line.
    Jsonl,
    /// JSON of the Open Trivia Database.
    #[value(name = "opentdb")]
    OpenTdb,
    /// Text files of OpenTriviaQA.
    #[value(name = "opentriviaqa")]
    OpenTriviaQa,
}

impl Format {
    /// The format of a file that starts with these bytes.
    fn detect(head: &[u8]) -> Option<Self> {
        let head = head.strip_prefix(input::BOM).unwrap_or(head);
        Self::value_variants().iter().copied().find(|format| match format {
            Self::Jsonl => jsonl::fits(head),
            Self::OpenTdb => opentdb::fits(head),
            Self::OpenTriviaQa => opentriviaqa::fits(head),
        })
    }

    fn parser(self, path: &Path) -> Box<dyn Parser> {
        match self {
            Self::Jsonl => Box::new(jsonl::Lines),
            Self::OpenTdb => Box::new(opentdb::Results::default()),
            Self::OpenTriviaQa => Box::new(opentriviaqa::Blocks::new(path)),
        }
    }
}

/// Reads the records of one format.
trait Parser: Send {
    /// The next record and the line where it starts; `None` at the end. Bad input is a rejected
    /// record, only a failing disk is an error.
    fn next(&mut self, input: &mut Input) -> io::Result<Option<(u64, Parsed)>>;
}

/// One record of a file.
#[derive(Debug)]
struct Record {
    place: Place,
    parsed: Parsed,
}

/// Where a record is.
#[derive(Debug)]
struct Place {
    file: Arc<str>,
    line: u64,
    /// Its number in the file, when another one begins on the same line before it.
    number: Option<u64>,
}

impl Place {
    fn says(&self, code: &'static str, message: &str) -> Diagnostic {
        let message = match self.number {
            Some(number) => format!("record {number}: {message}"),
            None => message.to_owned(),
        };
        Diagnostic { file: self.file.to_string(), line: self.line, code, message }
    }
}

/// What became of a record before the store saw it.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// A question.
    Ok { content: Box<QuestionContent>, fixes: Vec<Fix> },
    /// No question can be made of it.
    Rejected { code: &'static str, message: String },
}

impl Parsed {
    fn rejected(code: &'static str, message: impl Into<String>) -> Self {
        Self::Rejected { code, message: message.into() }
    }

    /// A record that is no JSON, or not the JSON that is wanted.
    fn bad_json(code: &'static str, error: &serde_json::Error) -> Self {
        let message = error.to_string();
        // the line is counted from the start of the record, which helps nobody
        let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason);
        Self::rejected(code, reason)
    }

    fn too_large() -> Self {
        Self::rejected("too_large", format!("the record is larger than {MAX_RECORD} bytes"))
    }
}

/// What was changed to make a record valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fix {
    Encoding,
    Nul,
    Blanks,
    EmptyOption,
    EqualOptions,
    Normalised,
}

impl Fix {
    const fn code(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Nul => "nul",
            Self::Blanks => "blanks",
            Self::EmptyOption => "empty_option",
            Self::EqualOptions => "equal_options",
            Self::Normalised => "normalised",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Encoding => "bytes that are not UTF-8 were read as windows-1252 or as a cut sequence",
            Self::Nul => "NUL characters were removed",
            Self::Blanks => "outer or repeated blanks were removed",
            Self::EmptyOption => "an empty option was dropped",
            Self::EqualOptions => "of equal options one was kept",
            Self::Normalised => "a value was brought to the form in which it is stored",
        }
    }
}
