//! Question files of other people become questions of the store.
//!
//! A file is read once, from front to back, and never held in memory as a whole (but for YAML, which has a
//! limit of its own). Each record in it ends as accepted (perhaps with fixes), duplicate, contradiction or
//! rejected; nothing is dropped without a line in the report.
//!
//! To add a format: write a file with a `fits` for the first bytes of a file and a `Parser` that
//! fills `Draft`s, then name it in [`Format`] and its two `match`es.

mod addition;
mod aiken;
mod columns;
mod draft;
mod encoding;
mod error;
mod files;
pub mod formulas;
mod gift;
mod input;
mod jsonl;
mod markup;
mod moodle;
mod opentdb;
mod opentriviaqa;
mod redbot;
mod report;
mod run;
mod scored;
mod table;
#[cfg(test)]
mod tests;

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use trivia_domain::model::{Category, Labels, Language, Pack, QuestionContent};

pub use self::columns::Columns;
use self::draft::{Defaults, Outcome};
pub use self::error::ImportError;
use self::input::{Input, Line};
pub use self::report::{Counts, Diagnostic, FileReport, ImportReport, Level};
pub use self::run::{ImportOptions, Progress, import};

/// Longest record in bytes: any valid question fits, even when JSON escapes each of its characters.
const MAX_RECORD: usize = 1024 * 1024;

/// The formats that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// The project's own JSON Lines: one question a line.
    Jsonl,
    /// JSON of the Open Trivia Database.
    #[value(name = "opentdb")]
    OpenTdb,
    /// Text files of OpenTriviaQA.
    #[value(name = "opentriviaqa")]
    OpenTriviaQa,
    /// Moodle XML.
    MoodleXml,
    /// GIFT, the text format of Moodle.
    Gift,
    /// Aiken: lettered options and a line with the right letter.
    Aiken,
    /// YAML lists of Red-DiscordBot: questions with accepted answers.
    Redbot,
    /// A table with commas or semicolons, with a header or with `--columns`.
    Csv,
    /// The same with tabs.
    Tsv,
}

impl Format {
    /// The name as it is given on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::OpenTdb => "opentdb",
            Self::OpenTriviaQa => "opentriviaqa",
            Self::MoodleXml => "moodle-xml",
            Self::Gift => "gift",
            Self::Aiken => "aiken",
            Self::Redbot => "redbot",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
        }
    }

    /// The format of a file that starts with these bytes.
    fn detect(head: &[u8]) -> Option<Self> {
        let head = head.strip_prefix(input::BOM).unwrap_or(head);
        Self::value_variants().iter().copied().find(|format| match format {
            Self::Jsonl => jsonl::fits(head),
            Self::OpenTdb => opentdb::fits(head),
            Self::OpenTriviaQa => opentriviaqa::fits(head),
            Self::MoodleXml => moodle::fits(head),
            Self::Gift => gift::fits(head),
            Self::Aiken => aiken::fits(head),
            Self::Redbot => redbot::fits(head),
            Self::Csv => table::fits_csv(head),
            Self::Tsv => table::fits_tsv(head),
        })
    }

    /// The format of a file whose content says nothing: of those that nothing else has the names of.
    fn by_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "gift" => Some(Self::Gift),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            _ => None,
        }
    }

    fn parser(self, path: &Path, assumed: &Assumed) -> Box<dyn Parser> {
        let category = assumed.category.as_ref().map_or_else(|| draft::category(path), ToString::to_string);
        let pack = assumed.pack.as_ref().map(|pack| pack.name().clone());
        let defaults = Defaults { category, language: assumed.language.clone(), pack };
        match self {
            Self::Jsonl => Box::new(jsonl::Lines::new(defaults.pack)),
            Self::OpenTdb => Box::new(opentdb::Results::new(defaults)),
            Self::OpenTriviaQa => Box::new(opentriviaqa::Blocks::new(defaults)),
            Self::MoodleXml => Box::new(moodle::Quiz::new(defaults)),
            Self::Gift => Box::new(gift::Blocks::new(defaults)),
            Self::Aiken => Box::new(aiken::Blocks::new(defaults)),
            Self::Redbot => Box::new(redbot::List::new(defaults, draft::pack_name(path))),
            Self::Csv => Box::new(table::Rows::new(None, defaults, assumed.columns.clone())),
            Self::Tsv => Box::new(table::Rows::new(Some(b'\t'), defaults, assumed.columns.clone())),
        }
    }
}

/// What the caller knows about files that do not say it themselves.
#[derive(Debug, Clone, Default)]
pub struct Assumed {
    /// Category of questions without one; by default the name of the file.
    pub category: Option<Category>,
    /// Language of questions without one.
    pub language: Language,
    /// Where in a table what is; by default its header says so.
    pub columns: Option<Columns>,
    /// A pack that all questions belong to, besides those that the files name. What is said here of it goes
    /// in the place of what is known.
    pub pack: Option<Pack>,
}

/// Reads the records of one format.
trait Parser: Send {
    /// The next record; `None` at the end. Bad input is a rejected record, only a failing disk is an error.
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>>;
}

/// A record as it is in a file.
#[derive(Debug)]
struct Found {
    /// Line where it starts.
    line: u64,
    /// How it starts, for people.
    text: String,
    parsed: Parsed,
}

impl Found {
    /// A record that starts with these bytes.
    fn new(line: u64, starts: &[u8], parsed: Parsed) -> Self {
        Self { line, text: encoding::excerpt(starts), parsed }
    }

    fn at(line: &Line, parsed: Parsed) -> Self {
        Self::new(line.number, &line.bytes, parsed)
    }
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
    /// Its file among those that are read.
    source: usize,
    file: Arc<str>,
    line: u64,
    /// Its number in the file, when another one begins on the same line before it.
    number: Option<u64>,
    text: String,
}

impl Place {
    fn says(self: &Place, level: Level, code: &'static str, message: &str, done: &str) -> Diagnostic {
        let message = match self.number {
            Some(number) => format!("record {number}: {message}"),
            None => message.to_owned(),
        };
        Diagnostic {
            level,
            file: self.file.to_string(),
            line: self.line,
            text: self.text.clone(),
            code,
            message,
            done: done.to_owned(),
        }
    }
}

/// What became of a record before the store saw it.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    /// A question.
    Ok { content: Box<QuestionContent>, labels: Labels, fixes: Vec<Fix> },
    /// What the file says about a pack.
    Pack(Pack),
    /// No question can be made of it.
    Rejected { code: &'static str, message: String },
    /// No record, but something to know about the file.
    Note { code: &'static str, message: String, done: &'static str },
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

impl From<Outcome> for Parsed {
    fn from(outcome: Outcome) -> Self {
        outcome.unwrap_or_else(|rejected| rejected)
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
    EqualKeys,
    Markup,
    Media,
    Feedback,
    PartialCredit,
    Wildcard,
    Normalised,
    Label,
}

impl Fix {
    const fn code(self) -> &'static str {
        match self {
            Self::Encoding => "encoding",
            Self::Nul => "nul",
            Self::Blanks => "blanks",
            Self::EmptyOption => "empty_option",
            Self::EqualOptions => "equal_options",
            Self::EqualKeys => "equal_keys",
            Self::Markup => "markup",
            Self::Media => "media",
            Self::Feedback => "feedback",
            Self::PartialCredit => "partial_credit",
            Self::Wildcard => "wildcard",
            Self::Normalised => "normalised",
            Self::Label => "label",
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Encoding => "some bytes are not UTF-8",
            Self::Nul => "there are NUL characters",
            Self::Blanks => "there are outer or repeated blanks",
            Self::EmptyOption => "an option is empty",
            Self::EqualOptions => "two options or accepted answers are equal",
            Self::EqualKeys => "the same key is in the file before, where other readers lose one of the two",
            Self::Markup => "the text holds HTML markup",
            Self::Media => "the question has a picture, a sound or another file",
            Self::Feedback => "there is feedback for single answers",
            Self::PartialCredit => "an answer is worth a part of the points",
            Self::Wildcard => "an accepted answer is a pattern with *",
            Self::Normalised => "a value is not in the form in which it is stored",
            Self::Label => "a tag or a name of a pack is empty, too long or has characters that it cannot have",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Encoding => "read them as windows-1252 or as a cut sequence",
            Self::Nul => "removed them",
            Self::Blanks => "removed them",
            Self::EmptyOption => "dropped it",
            Self::EqualOptions => "kept one of them",
            Self::EqualKeys => "read both",
            Self::Markup => "kept the text without it, with entities decoded once",
            Self::Media => "left it out; look whether the text alone can be answered",
            Self::Feedback => "kept that of the right answer as explanation",
            Self::PartialCredit => "took it for wrong",
            Self::Wildcard => "dropped it",
            Self::Normalised => "brought it to that form",
            Self::Label => "left it out",
        }
    }
}

/// How many records of a format are in these bytes; for fuzzers, since no bytes may make it panic.
///
/// # Errors
/// When the bytes cannot be read, as from any reader.
pub fn count(format: Format, bytes: impl Read + Send + 'static) -> io::Result<u64> {
    let mut input = Input::new(bytes)?;
    let mut parser = format.parser(Path::new("fuzz"), &Assumed::default());
    let mut records = 0;
    while parser.next(&mut input)?.is_some() {
        records += 1;
    }
    Ok(records)
}
