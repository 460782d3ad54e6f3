//! Trivia lists of Red-DiscordBot: YAML that maps the text of a question to its accepted answers.
//!
//! ```yaml
//! AUTHOR: Somebody
//! How many days has a week?:
//! - 7
//! - seven
//! ```
//!
//! It is read as events: `7`, `yes` and `null` stay the texts that were written, equal keys are seen, and
//! aliases are refused, not expanded. A list that names its author or describes itself is a pack.

use std::collections::HashSet;
use std::io;
use std::vec::IntoIter;

use granit_parser::{BufferedInput, Event, Options, Parser as Events, ScalarStyle};

use trivia_domain::model::{Pack, PackName, PackPart};

use super::draft::{Answers, Defaults, Draft, one_line};
use super::encoding::{decode, excerpt};
use super::input::Input;
use super::{Fix, Found, MAX_RECORD, Parsed, Parser};

/// Largest file in bytes: unlike others, it is held in memory while it is read.
const MAX_FILE: usize = 8 * 1024 * 1024;
/// Most lists in each other.
const MAX_DEPTH: u8 = 8;
/// Keys that are about the list, and the parts of a pack that they say.
const ABOUT: [(&str, Option<PackPart>); 3] =
    [("AUTHOR", Some(PackPart::Author)), ("DESCRIPTION", Some(PackPart::Title)), ("CONFIG", None)];
/// Longest part that is taken from a list, in characters; the rest is cut off.
const MAX_PART: usize = 200;

/// A key at the start of a line, with a list below it or after it.
pub(super) fn fits(head: &[u8]) -> bool {
    if head.trim_ascii_start().starts_with(b"<") {
        return false;
    }
    let is_filled = |line: &&[u8]| !line.is_empty() && !line.starts_with(b"#");
    let lines: Vec<&[u8]> = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii_end).filter(is_filled).collect();
    let is_key = |line: &[u8]| !line[0].is_ascii_whitespace() && line.ends_with(b":");
    lines.windows(2).any(|pair| is_key(pair[0]) && pair[1].trim_ascii_start().starts_with(b"- "))
        || lines.iter().any(|line| line.ends_with(b"]") && line.windows(3).any(|word| word == b": ["))
}

/// Reads it.
pub(super) struct List {
    defaults: Defaults,
    /// The name of its pack, when the caller says none and the list says something about itself.
    name: Option<PackName>,
    /// Known after the first look at the file.
    file: Option<File>,
    stopped: bool,
}

impl List {
    pub(super) const fn new(defaults: Defaults, name: Option<PackName>) -> Self {
        Self { defaults, name, file: None, stopped: false }
    }
}

impl Parser for List {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        if self.stopped {
            return Ok(None);
        }
        let file = match &mut self.file {
            Some(file) => file,
            empty => match File::read(input)? {
                Ok(file) => {
                    let about = file.about();
                    let file = empty.insert(file);
                    let name = self.defaults.pack.clone().or(self.name.take());
                    if let (Some(parts), Some(name)) = (about, name) {
                        self.defaults.pack = Some(name.clone());
                        let parsed = declared(name, parts);
                        return Ok(Some(Found { line: 1, text: file.lines.start(1), parsed }));
                    }
                    file
                }
                Err(found) => {
                    self.stopped = true;
                    return Ok(Some(found));
                }
            },
        };
        match file.next(&self.defaults) {
            Ok(found) => Ok(found),
            Err(stop) => {
                self.stopped = true;
                Ok(Some(Found { line: stop.line, text: file.lines.start(stop.line), parsed: stop.parsed }))
            }
        }
    }
}

/// What a list says about itself.
fn declared(name: PackName, parts: Vec<(PackPart, String)>) -> Parsed {
    let pack = parts.into_iter().try_fold(Pack::new(name), |pack, (part, text)| {
        let mut text = one_line(&text.replace('\0', ""));
        if let Some((at, _)) = text.char_indices().nth(MAX_PART) {
            text.truncate(at);
        }
        pack.with(part, &text)
    });
    pack.map_or_else(|error| Parsed::rejected("invalid_pack", error.to_string()), Parsed::Pack)
}

/// Why the rest of a file cannot be read.
struct Stop {
    line: u64,
    parsed: Parsed,
}

/// A file in memory.
struct File {
    lines: Lines,
    /// Lines that were not UTF-8, in order.
    repaired: Vec<u64>,
    /// That of the last event, and of the last text.
    line: u64,
    last_text: u64,
    events: Events<'static, BufferedInput<IntoIter<char>>>,
    keys: HashSet<String>,
    /// Whether a map of questions is being read.
    inside: bool,
    found: bool,
}

/// The lines of a file, to be shown one after the other.
struct Lines {
    text: String,
    /// How many there are.
    count: u64,
    /// The line that was shown last, and where it starts.
    line: u64,
    at: usize,
}

impl Lines {
    /// How a line starts, for people; it is never before the last one that was asked for.
    fn start(&mut self, line: u64) -> String {
        while self.line < line
            && let Some(length) = self.text[self.at..].find('\n')
        {
            self.at += length + 1;
            self.line += 1;
        }
        let rest = &self.text.as_bytes()[self.at..];
        excerpt(rest.split(|&byte| byte == b'\n').next().unwrap_or_default())
    }
}

/// A text or a list, with its line.
enum Node {
    Text(String),
    /// Texts, or why it is no list of texts.
    List(Result<Vec<String>, Parsed>),
    Refused(Parsed),
    /// The end of the map that it is in.
    End,
}

impl File {
    fn read(input: &mut Input) -> io::Result<Result<Self, Found>> {
        let (mut text, mut repaired, mut count) = (String::new(), Vec::new(), 0);
        while let Some(line) = input.next_line(MAX_FILE)? {
            let (decoded, mended) = decode(&line.bytes);
            if text.len() + decoded.len() >= MAX_FILE {
                let message = format!("a YAML file may have at most {MAX_FILE} bytes");
                return Ok(Err(Found::new(1, text.as_bytes(), Parsed::rejected("too_large", message))));
            }
            if mended {
                repaired.push(line.number);
            }
            text.push_str(&decoded);
            text.push('\n');
            count = line.number;
        }
        Ok(Ok(Self::over(text, count, repaired)))
    }

    /// Begins to read a text.
    fn over(text: String, count: u64, repaired: Vec<u64>) -> Self {
        let mut options = Options::default();
        options.flow_nesting_limit = usize::from(MAX_DEPTH);
        options.block_nesting_limit = usize::from(MAX_DEPTH);
        let characters: Vec<char> = text.chars().collect();
        let events = Events::new_from_iter_with_options(characters.into_iter(), options);
        let lines = Lines { text, count, line: 1, at: 0 };
        Self { lines, repaired, line: 1, last_text: 1, events, keys: HashSet::new(), inside: false, found: false }
    }

    /// What the list says about itself, from a first look at all of it; `None` when it says nothing.
    fn about(&self) -> Option<Vec<(PackPart, String)>> {
        let mut look = Self::over(self.lines.text.clone(), self.lines.count, Vec::new());
        let mut parts = Vec::new();
        // where it cannot be read any further is told when the questions are read
        while let Ok(true) = look.enter() {
            while let Ok((_, key)) = look.node()
                && !matches!(key, Node::End)
            {
                let Ok((_, value)) = look.node() else { break };
                let Node::Text(key) = key else { continue };
                let part = ABOUT.iter().find(|(about, _)| *about == key).and_then(|(_, part)| *part);
                let text = match value {
                    Node::Text(text) => text,
                    Node::List(Ok(texts)) => texts.join(", "),
                    _ => continue,
                };
                if let Some(part) = part
                    && !text.trim().is_empty()
                {
                    parts.push((part, text));
                }
            }
        }
        (!parts.is_empty()).then_some(parts)
    }

    /// The next question.
    fn next(&mut self, defaults: &Defaults) -> Result<Option<Found>, Stop> {
        loop {
            if !self.inside && !self.enter()? {
                return Ok(None);
            }
            let (line, key) = self.node()?;
            if matches!(key, Node::End) {
                self.inside = false;
                continue;
            }
            let (_, value) = self.node()?;
            let parsed = match (key, value) {
                (Node::Text(key), _) if ABOUT.iter().any(|(about, _)| *about == key) => continue,
                (Node::Refused(problem), _) | (_, Node::Refused(problem)) | (_, Node::List(Err(problem))) => problem,
                (Node::Text(key), Node::List(Ok(accepted))) => self.question(line, key, accepted, defaults),
                (Node::Text(key), Node::Text(answer)) => self.question(line, key, vec![answer], defaults),
                _ => Parsed::rejected("no_text", "the question is no text"),
            };
            return Ok(Some(Found { line, text: self.lines.start(line), parsed }));
        }
    }

    fn question(&mut self, line: u64, key: String, accepted: Vec<String>, defaults: &Defaults) -> Parsed {
        let first = self.repaired.partition_point(|repaired| *repaired < line);
        let is_repaired = self.repaired.get(first).is_some_and(|repaired| *repaired <= self.last_text);
        let mut fixes = if is_repaired { vec![Fix::Encoding] } else { Vec::new() };
        if !self.keys.insert(key.clone()) {
            fixes.push(Fix::EqualKeys);
        }
        Draft { fixes, ..Draft::new(key, Answers::Typed(accepted), defaults) }.finish()
    }

    /// Goes into the map of the next document; whether there is one.
    fn enter(&mut self) -> Result<bool, Stop> {
        loop {
            let (event, line) = self.event()?;
            match event {
                Event::MappingStart(..) => {
                    self.inside = true;
                    self.found = true;
                    return Ok(true);
                }
                Event::StreamEnd if self.found => return Ok(false),
                Event::StreamEnd => {
                    return Err(Stop { line, parsed: Parsed::rejected("no_questions", "there are no questions") });
                }
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                _ => {
                    let message = "the file does not map questions to answers";
                    return Err(Stop { line, parsed: Parsed::rejected("no_questions", message) });
                }
            }
        }
    }

    /// The next node, whole.
    fn node(&mut self) -> Result<(u64, Node), Stop> {
        let (event, line) = self.event()?;
        let node = match event {
            Event::Scalar(text, ..) => Node::Text(text.into_owned()),
            Event::SequenceStart(..) => Node::List(self.list()?),
            Event::MappingEnd => Node::End,
            Event::MappingStart(..) => {
                self.skip()?;
                Node::Refused(Parsed::rejected("no_list", "there is a map in the place of a list of answers"))
            }
            _ => Node::Refused(Parsed::rejected("alias", "a reference to another place of the file is not followed")),
        };
        Ok((line, node))
    }

    /// The texts up to the end of a list that has begun.
    fn list(&mut self) -> Result<Result<Vec<String>, Parsed>, Stop> {
        let (mut texts, mut size, mut problem) = (Vec::new(), 0, None);
        loop {
            let (event, _) = self.event()?;
            let refused = match event {
                Event::SequenceEnd => break,
                Event::Scalar(text, ..) => {
                    size += text.len();
                    if size <= MAX_RECORD {
                        texts.push(text.into_owned());
                        continue;
                    }
                    texts.clear();
                    Parsed::too_large()
                }
                Event::SequenceStart(..) | Event::MappingStart(..) => {
                    self.skip()?;
                    Parsed::rejected("no_list", "an answer is no text; perhaps it needs quotes")
                }
                _ => Parsed::rejected("alias", "a reference to another place of the file is not followed"),
            };
            problem.get_or_insert(refused);
        }
        Ok(problem.map_or(Ok(texts), Err))
    }

    /// Goes past the rest of a list or map that has begun.
    fn skip(&mut self) -> Result<(), Stop> {
        let mut depth = 1;
        while depth > 0 {
            match self.event()?.0 {
                Event::SequenceStart(..) | Event::MappingStart(..) => depth += 1,
                Event::SequenceEnd | Event::MappingEnd => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }

    fn event(&mut self) -> Result<(Event<'static>, u64), Stop> {
        let (line, result) = match self.events.next_event() {
            // an empty place is a `~` that nobody wrote
            Some(Ok((Event::Scalar(_, ScalarStyle::Plain, id, tag), span))) if span.is_empty() => {
                (span.start.line(), Ok(Event::Scalar("".into(), ScalarStyle::Plain, id, tag)))
            }
            Some(Ok((event, span))) => (span.start.line(), Ok(event)),
            Some(Err(error)) => {
                let message = format!("the file cannot be read from here on: {}", error.info());
                (error.marker().line(), Err(Parsed::rejected("invalid_yaml", message)))
            }
            // a parser that has nothing more to say has said the end of the stream before
            None => (usize::MAX, Err(Parsed::rejected("truncated", "the file ends too early"))),
        };
        self.line = (line as u64).clamp(self.line, self.lines.count.max(self.line));
        if matches!(result, Ok(Event::Scalar(..))) {
            self.last_text = self.line;
        }
        result.map(|event| (event, self.line)).map_err(|parsed| Stop { line: self.line, parsed })
    }
}
