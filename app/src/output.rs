//! The one way to stdout: text for people, or one JSON document.

use std::fmt;
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Stdout, Write};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use crate::error::Failure;

/// Where results go. `writeln!(output, ...)?` is text for people, [`Output::report`] the JSON
/// document; of both only the one that was asked for is printed.
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    people: People,
    style: Style,
}

/// Where text for people goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum People {
    Stdout,
    Stderr,
    Nowhere,
}

impl Output {
    /// Text on stdout, or one JSON document there.
    pub(crate) fn new(json: bool) -> Self {
        let people = if json { People::Nowhere } else { People::Stdout };
        let colours = !json && io::stdout().is_terminal() && wants_colours();
        Self { stdout: BufWriter::new(io::stdout()), people, style: Style { colours } }
    }

    /// Whether one JSON document is wanted.
    pub(crate) fn is_json(&self) -> bool {
        self.people != People::Stdout
    }

    /// How to write for people.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// For a command that asks questions: with `--json` it asks them on stderr.
    pub(crate) fn talk(&mut self) {
        if self.people == People::Nowhere {
            self.people = People::Stderr;
        }
    }

    /// Called by `write!` and `writeln!`.
    pub(crate) fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> Result<(), Failure> {
        match self.people {
            People::Stdout => self.stdout.write_fmt(text).map_err(unwritten),
            People::Stderr => io::stderr().write_fmt(text).map_err(unwritten),
            People::Nowhere => Ok(()),
        }
    }

    /// The result as JSON.
    pub(crate) fn report(&mut self, result: &impl Serialize) -> Result<(), Failure> {
        if !self.is_json() {
            return Ok(());
        }
        self.raw(&document(result)?)
    }

    /// Bytes that are the result themselves.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes).map_err(unwritten)
    }

    /// A table for people.
    pub(crate) fn table(&mut self, columns: &[Column], rows: Vec<Vec<String>>) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(columns.iter().map(|column| column.title));
        table.add_rows(rows);
        for (at, column) in columns.iter().enumerate() {
            if let Some(target) = table.column_mut(at) {
                target.set_cell_alignment(column.alignment);
            }
        }
        writeln!(self, "{}", table.trim_fmt())
    }

    /// Hands everything to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush().map_err(unwritten)
    }
}

/// One JSON document for people and programs.
pub(crate) fn document(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut document = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::because("cannot write the result as JSON", "report this as a defect", error))?;
    document.push(b'\n');
    Ok(document)
}

fn unwritten(error: io::Error) -> Failure {
    match error.kind() {
        ErrorKind::BrokenPipe => Failure::PipeClosed,
        _ => Failure::because("cannot write the result", "look at where stdout goes", error),
    }
}

/// Whether colours are welcome on a terminal: <https://no-color.org>.
pub(crate) fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// One column of a table.
pub(crate) struct Column {
    title: &'static str,
    alignment: CellAlignment,
}

impl Column {
    /// For words.
    pub(crate) const fn left(title: &'static str) -> Self {
        Self { title, alignment: CellAlignment::Left }
    }

    /// For numbers.
    pub(crate) const fn right(title: &'static str) -> Self {
        Self { title, alignment: CellAlignment::Right }
    }
}

/// Colours on a terminal, plain text elsewhere.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    /// A heading.
    pub(crate) fn strong(self, text: impl fmt::Display) -> String {
        self.paint("1", text)
    }

    /// What matters less.
    pub(crate) fn faint(self, text: impl fmt::Display) -> String {
        self.paint("2", text)
    }

    /// Good news.
    pub(crate) fn good(self, text: impl fmt::Display) -> String {
        self.paint("32", text)
    }

    /// Bad news.
    pub(crate) fn bad(self, text: impl fmt::Display) -> String {
        self.paint("31", text)
    }

    fn paint(self, code: &str, text: impl fmt::Display) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// Text from outside without control characters, which could command a terminal; lines stay.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `1 question`, `2 questions`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_cannot_command_a_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a\u{fffd}[2Jb\nc");
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1, "question"), "1 question");
        assert_eq!(count(0, "question"), "0 questions");
    }
}
