//! Tables: CSV with commas or semicolons, and TSV.
//!
//! The first row names the columns, unless the caller says where what is. Fields are never split: `AC/DC`,
//! `1/2` and `a; b` are one answer each.

use std::io;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use trivia_domain::model::{Difficulty, Language, Points, fold_identity};

use super::columns::{Columns, Layout, Role};
use super::draft::{Answers, Defaults, Draft, one_line};
use super::encoding::decode;
use super::input::Input;
use super::{Fix, Found, MAX_RECORD, Parsed, Parser, formulas};

/// Most columns of a table.
pub(super) const MAX_FIELDS: usize = 256;

/// A header with commas or semicolons that names a question and an answer.
pub(super) fn fits_csv(head: &[u8]) -> bool {
    names_columns(head, b',') || names_columns(head, b';')
}

/// The same with tabs.
pub(super) fn fits_tsv(head: &[u8]) -> bool {
    names_columns(head, b'\t')
}

fn names_columns(head: &[u8], delimiter: u8) -> bool {
    Layout::named(&first_row(head, delimiter), None).is_some()
}

/// The fields of the first line that is not blank.
fn first_row(head: &[u8], delimiter: u8) -> Vec<String> {
    let mut row = Row::default();
    let mut lines = head.split_inclusive(|&byte| byte == b'\n');
    let Some(line) = lines.find(|line| !line.trim_ascii().is_empty()) else { return Vec::new() };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).build();
    let (taken, _) = row.read(&mut reader, line);
    if !row.whole {
        row.read(&mut reader, &line[taken..]);
    }
    row.fields().0
}

/// Reads the rows.
pub(super) struct Rows {
    defaults: Defaults,
    /// Not known before the first row of a CSV.
    delimiter: Option<u8>,
    columns: Option<Columns>,
    /// Known after the header.
    layout: Option<Layout>,
    reader: Reader,
    begun: bool,
    stopped: bool,
}

impl Rows {
    pub(super) fn new(delimiter: Option<u8>, defaults: Defaults, columns: Option<Columns>) -> Self {
        let layout = columns.as_ref().and_then(Layout::numbered);
        Self { defaults, delimiter, columns, layout, reader: Reader::new(), begun: false, stopped: false }
    }
}

impl Parser for Rows {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        if self.stopped {
            return Ok(None);
        }
        let line = skip_line_ends(input)?;
        if !self.begun {
            self.begin(input)?;
        }
        let Some(mut row) = self.row(input)? else { return Ok(None) };
        let parsed = match &mut self.layout {
            None => return self.header(line, &row, input),
            Some(layout) => parse(&mut row, layout, &self.defaults),
        };
        Ok(Some(Found::new(line, &row.text(), parsed)))
    }
}

impl Rows {
    /// Finds out what separates the fields: what gives a header, else what gives more of them.
    fn begin(&mut self, input: &mut Input) -> io::Result<()> {
        let delimiter = match self.delimiter {
            Some(delimiter) => delimiter,
            None => input.take_from(|ahead| {
                let fields = |delimiter| {
                    let row = first_row(ahead, delimiter);
                    (Layout::named(&row, self.columns.as_ref()).is_some(), row.len())
                };
                (0, if fields(b';') > fields(b',') { b';' } else { b',' })
            })?,
        };
        self.reader = ReaderBuilder::new().delimiter(delimiter).build();
        self.begun = true;
        Ok(())
    }

    /// The next row.
    fn row(&mut self, input: &mut Input) -> io::Result<Option<Row>> {
        let mut row = Row::default();
        while !row.whole {
            let ended = input.take_from(|ahead| row.read(&mut self.reader, ahead))?;
            if ended {
                return Ok(None);
            }
        }
        Ok(Some(row))
    }

    fn header(&mut self, line: u64, row: &Row, input: &mut Input) -> io::Result<Option<Found>> {
        let (header, _) = row.fields();
        let Some(layout) = Layout::named(&header, self.columns.as_ref()) else {
            self.stopped = true;
            let message = "the first row does not name a column for the question and one for the answer";
            return Ok(Some(Found::new(line, &row.text(), Parsed::rejected("no_header", message))));
        };
        let unread = header.iter().enumerate().filter(|(at, _)| layout.is_unread(*at));
        let unread: Vec<String> = unread.map(|(_, name)| format!("{name:?}")).collect();
        self.layout = Some(layout);
        if unread.is_empty() {
            return self.next(input);
        }
        let message = format!("what these columns hold is not known: {}", unread.join(", "));
        let parsed = Parsed::Note { code: "unread_columns", message, done: "left them out" };
        Ok(Some(Found::new(line, &row.text(), parsed)))
    }
}

/// Goes past the ends of blank lines and says which line is next.
fn skip_line_ends(input: &mut Input) -> io::Result<u64> {
    while matches!(input.peek()?, Some(b'\r' | b'\n')) {
        input.next_byte()?;
    }
    Ok(input.line())
}

/// A row that is being read.
#[derive(Default)]
struct Row {
    /// The fields without quotes, one after the other.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Quotes and line ends in the file, to see one that is not closed.
    quotes: usize,
    lines: usize,
    size: usize,
    whole: bool,
    at_end: bool,
    problem: Option<Parsed>,
}

impl Row {
    /// Reads on, and says how many bytes and whether the file has ended before the row began.
    fn read(&mut self, reader: &mut Reader, ahead: &[u8]) -> (usize, bool) {
        let mut output = [0; 4 * 1024];
        let mut ends = [0; 64];
        let (result, taken, written, ended) = reader.read_record(ahead, &mut output, &mut ends);
        self.quotes += ahead[..taken].iter().filter(|byte| **byte == b'"').count();
        self.lines += ahead[..taken].iter().filter(|byte| **byte == b'\n').count();
        self.size += taken;
        if self.size > MAX_RECORD || self.ends.len() + ended > MAX_FIELDS {
            let fields = self.ends.len() + ended;
            self.bytes.truncate(MAX_RECORD);
            self.problem.get_or_insert_with(|| match fields > MAX_FIELDS {
                true => Parsed::rejected("too_many_fields", format!("the row has more than {MAX_FIELDS} fields")),
                false => Parsed::too_large(),
            });
        } else {
            self.bytes.extend_from_slice(&output[..written]);
            self.ends.extend_from_slice(&ends[..ended]);
        }
        self.at_end = ahead.is_empty();
        self.whole = matches!(result, ReadRecordResult::Record);
        (taken, matches!(result, ReadRecordResult::End))
    }

    /// The fields, and whether some bytes were not UTF-8.
    fn fields(&self) -> (Vec<String>, bool) {
        let mut repaired = false;
        let mut start = 0;
        let fields = self.ends.iter().map(|&end| {
            let (text, mended) = decode(self.bytes.get(start..end).unwrap_or_default());
            repaired |= mended;
            start = end;
            text
        });
        (fields.collect(), repaired)
    }

    /// How it starts, for people.
    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut start = 0;
        for &end in self.ends.iter().take(16) {
            let field = self.bytes.get(start..end).unwrap_or_default();
            text.extend_from_slice(if text.is_empty() { b"" } else { b" | " });
            text.extend_from_slice(&field[..field.len().min(200)]);
            start = end;
        }
        text
    }
}

fn parse(row: &mut Row, layout: &mut Layout, defaults: &Defaults) -> Parsed {
    if let Some(problem) = row.problem.take() {
        return problem;
    }
    // inside of a field that is not quoted, one quote is a character like others
    if row.at_end && row.lines > 0 && row.quotes % 2 == 1 {
        return Parsed::rejected("unclosed_quote", "a quote that opens here is not closed up to the end of the file");
    }
    let (fields, repaired) = row.fields();
    if layout.width == 0 {
        layout.width = fields.len();
    }
    if fields.len() > layout.width {
        let message = format!("the row has {} fields, {} are expected", fields.len(), layout.width);
        return Parsed::rejected("too_many_fields", message);
    }
    let is_escaped = layout.one(Role::Formulas, &fields) == Some(formulas::COLUMN.1);
    let fields = if is_escaped { fields.into_iter().map(formulas::unescape).collect() } else { fields };
    match draft(&fields, layout, defaults) {
        Ok(mut draft) => {
            if repaired {
                draft.fixes.push(Fix::Encoding);
            }
            draft.finish()
        }
        Err(rejected) => rejected,
    }
}

fn draft(row: &[String], layout: &Layout, defaults: &Defaults) -> Result<Draft, Parsed> {
    let text = layout.one(Role::Question, row).unwrap_or_default();
    let mut draft = Draft::new(text.to_owned(), answers(row, layout)?, defaults);
    if let Some(category) = layout.one(Role::Category, row) {
        draft.category = category.to_owned();
    }
    if let Some(written) = layout.one(Role::Difficulty, row) {
        draft.difficulty = difficulty(written)?;
    }
    let invalid = |error: trivia_domain::StoreError| Parsed::rejected("invalid_question", error.to_string());
    if let Some(language) = layout.one(Role::Language, row) {
        draft.language = Language::new(language).map_err(invalid)?;
    }
    if let Some(points) = layout.one(Role::Points, row) {
        let number: i64 =
            points.parse().map_err(|_| Parsed::rejected("invalid_question", format!("{points:?} is no number")))?;
        draft.points = Points::new(number).map_err(invalid)?;
    }
    draft.explanation = layout.one(Role::Explanation, row).unwrap_or_default().to_owned();
    draft.kind = layout.one(Role::Kind, row).and_then(|kind| fold_identity(kind).parse().ok());
    draft.tags = layout.all(Role::Tags, row).cloned().collect();
    draft.packs = layout.all(Role::Packs, row).cloned().collect();
    Ok(draft)
}

fn answers(row: &[String], layout: &Layout) -> Result<Answers, Parsed> {
    let filled = |role| layout.all(role, row).filter(|field| !field.trim().is_empty()).cloned().collect::<Vec<_>>();
    let right = layout.one(Role::Answer, row).unwrap_or_default().to_owned();
    let (mut options, wrong, variations) = (filled(Role::Option), filled(Role::Wrong), filled(Role::Variation));
    let kind = layout.one(Role::Kind, row).map(fold_identity);
    let typed = matches!(kind.as_deref(), Some("fill_blank" | "typed" | "text" | "short" | "shortanswer" | "open"));
    if options.is_empty() && wrong.is_empty() {
        let truth = match fold_identity(&right).as_str() {
            _ if typed || !variations.is_empty() => None,
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        return Ok(match truth {
            Some(truth) => Answers::Truth(truth),
            None => Answers::Typed([right].into_iter().filter(|answer| !answer.is_empty()).chain(variations).collect()),
        });
    }
    if !wrong.is_empty() {
        if !options.contains(&right) {
            options.push(right.clone());
        }
        options.extend(wrong);
        // the right one must not always be at the same place
        options.sort_unstable();
        return Ok(Answers::Choice { options, right });
    }
    let right = right_option(&options, right);
    Ok(Answers::Choice { options, right })
}

/// The option with this text, else the one with this letter. A number is a text: an option may be `3`.
fn right_option(options: &[String], right: String) -> String {
    let line = one_line(&right);
    if options.iter().any(|option| one_line(option) == line) {
        return right;
    }
    match line.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => {
            let at = usize::from(letter.to_ascii_lowercase() - b'a');
            options.get(at).cloned().unwrap_or(right)
        }
        _ => right,
    }
}

fn difficulty(written: &str) -> Result<Difficulty, Parsed> {
    match fold_identity(written).as_str() {
        "easy" | "1" => Ok(Difficulty::Easy),
        "medium" | "normal" | "2" => Ok(Difficulty::Medium),
        "hard" | "difficult" | "3" => Ok(Difficulty::Hard),
        _ => Err(Parsed::rejected("unknown_difficulty", format!("{written:?} is not easy, medium, hard, 1, 2 or 3"))),
    }
}
