//! Moodle XML: a `quiz` with a `question` for each question.
//!
//! The questions are cut out by their tags and each is parsed by itself: a broken one costs only itself, and
//! none is larger than the limit. A document type is refused, and with it every entity that a file could define.

use std::io;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};

use super::draft::{Answers, Defaults, Draft, note};
use super::encoding::decode;
use super::input::Input;
use super::markup::{innermost, text_of};
use super::scored::{self, Scored, Told};
use super::{Fix, Found, MAX_RECORD, Parsed, Parser};

/// Deepest element inside of a question.
const MAX_DEPTH: usize = 32;
/// Longest tag that is told apart outside of questions.
const MAX_TAG: usize = 4 * 1024;

/// A quiz.
pub(super) fn fits(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"<") && head.windows(5).any(|word| word == b"<quiz")
}

/// Reads it.
pub(super) struct Quiz {
    defaults: Defaults,
    /// A question that begins inside of another, with its line.
    begun: Option<(u64, Vec<u8>)>,
    found: bool,
    stopped: bool,
}

impl Quiz {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { defaults, begun: None, found: false, stopped: false }
    }
}

impl Parser for Quiz {
    fn next(&mut self, input: &mut Input) -> io::Result<Option<Found>> {
        loop {
            if self.stopped {
                return Ok(None);
            }
            let (line, begin) = match self.begun.take() {
                Some(begun) => begun,
                None => match self.seek(input)? {
                    Seek::Question(line, tag) => (line, tag),
                    Seek::Problem(found) => return Ok(Some(found)),
                    Seek::End => return Ok(None),
                },
            };
            let element = self.element(input, begin)?;
            let parsed = match element.problem {
                Some(problem) => problem,
                None => match self.parse(&element.bytes) {
                    Ok(None) => continue,
                    Ok(Some(parsed)) | Err(parsed) => parsed,
                },
            };
            return Ok(Some(Found::new(line, &element.bytes, parsed)));
        }
    }
}

/// What comes next in a file.
enum Seek {
    /// The line and the tag of a question.
    Question(u64, Vec<u8>),
    Problem(Found),
    End,
}

/// The bytes of a question.
struct Element {
    /// Up to the limit.
    bytes: Vec<u8>,
    problem: Option<Parsed>,
}

impl Quiz {
    /// Goes to the next question.
    fn seek(&mut self, input: &mut Input) -> io::Result<Seek> {
        loop {
            while input.peek()?.is_some_and(|byte| byte != b'<') {
                input.next_byte()?;
            }
            let line = input.line();
            let mut piece = Piece { bytes: Vec::new(), limit: MAX_TAG };
            match piece.read(input)? {
                Markup::Start(name) if name == b"question" => {
                    self.found = true;
                    return Ok(Seek::Question(line, piece.bytes));
                }
                Markup::Start(name) if name == b"quiz" => self.found = true,
                Markup::DocumentType => {
                    self.stopped = true;
                    let message = "the file has a document type, which could define entities without end";
                    let parsed = Parsed::rejected("document_type", message);
                    return Ok(Seek::Problem(Found::new(line, &piece.bytes, parsed)));
                }
                Markup::End if self.found => return Ok(Seek::End),
                Markup::End => {
                    self.stopped = true;
                    let parsed = Parsed::rejected("no_quiz", "there is no quiz in the file");
                    return Ok(Seek::Problem(Found::new(line, &[], parsed)));
                }
                _ => {}
            }
        }
    }

    /// Reads a question up to its end; `bytes` are its tag.
    fn element(&mut self, input: &mut Input, bytes: Vec<u8>) -> io::Result<Element> {
        let mut piece = Piece { bytes, limit: MAX_RECORD };
        if piece.bytes.ends_with(b"/>") {
            return Ok(Element { bytes: piece.bytes, problem: None });
        }
        loop {
            while let Some(byte) = input.peek()?.filter(|byte| *byte != b'<') {
                input.next_byte()?;
                piece.push(byte);
            }
            let (line, before) = (input.line(), piece.bytes.len());
            let broken = |message: &str| Some(Parsed::rejected("invalid_xml", message));
            let problem = match piece.read(input)? {
                Markup::Close(name) if name == b"question" => None,
                Markup::Start(name) if name == b"question" => {
                    let tag = piece.bytes.split_off(before);
                    // a tag that was cut is not worth to be looked at again
                    self.begun = (!tag.is_empty()).then_some((line, tag));
                    broken("the question is not closed before the next one")
                }
                Markup::DocumentType => broken("there is a document type in the question"),
                Markup::End => {
                    self.stopped = true;
                    Some(Parsed::rejected("truncated", "the file ends in the middle of the question"))
                }
                _ => continue,
            };
            let problem = if piece.bytes.len() >= MAX_RECORD { Some(Parsed::too_large()) } else { problem };
            return Ok(Element { bytes: piece.bytes, problem });
        }
    }
}

/// A piece of markup.
enum Markup {
    Start(Vec<u8>),
    Close(Vec<u8>),
    DocumentType,
    /// A comment, marked text or an instruction.
    Other,
    /// The end of the file.
    End,
}

/// Bytes up to a limit.
struct Piece {
    bytes: Vec<u8>,
    limit: usize,
}

impl Piece {
    fn push(&mut self, byte: u8) {
        if self.bytes.len() < self.limit {
            self.bytes.push(byte);
        }
    }

    /// Reads a piece of markup. The next byte is `<`, or the file is at its end.
    fn read(&mut self, input: &mut Input) -> io::Result<Markup> {
        if input.peek()?.is_none() {
            return Ok(Markup::End);
        }
        // enough to tell what it is
        let mut head = Vec::new();
        let mut quote = None;
        let mut last = [0; 3];
        while let Some(byte) = input.next_byte()? {
            self.push(byte);
            if head.len() < 64 {
                head.push(byte);
            }
            last = [last[1], last[2], byte];
            let ended = if head.starts_with(b"<!--") {
                head.len() > 6 && last == *b"-->"
            } else if head.starts_with(b"<![CDATA[") {
                last == *b"]]>"
            } else if head.starts_with(b"<?") {
                last[1..] == *b"?>"
            } else if head.starts_with(b"<!DOCTYPE") {
                return Ok(Markup::DocumentType);
            } else {
                match (quote, byte) {
                    (None, b'>') => true,
                    (None, b'"' | b'\'') => {
                        quote = Some(byte);
                        false
                    }
                    (Some(open), _) if open == byte => {
                        quote = None;
                        false
                    }
                    _ => false,
                }
            };
            if ended {
                return Ok(kind(&head));
            }
        }
        Ok(Markup::End)
    }
}

fn kind(head: &[u8]) -> Markup {
    let name = |rest: &[u8]| {
        let length = rest.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'));
        rest[..length.unwrap_or(rest.len())].to_vec()
    };
    match head {
        [b'<', b'!' | b'?', ..] => Markup::Other,
        [b'<', b'/', rest @ ..] => Markup::Close(name(rest)),
        [b'<', rest @ ..] => Markup::Start(name(rest)),
        _ => Markup::Other,
    }
}

/// What a question element says.
#[derive(Default)]
struct Fields {
    kind: String,
    category: String,
    stem: Written,
    general: Written,
    answers: Vec<Answer>,
    media: bool,
    tags: Vec<String>,
}

#[derive(Default)]
struct Written {
    text: String,
    format: Option<String>,
}

#[derive(Default)]
struct Answer {
    written: Written,
    feedback: Written,
    /// Percent of the points.
    share: f64,
    tolerance: String,
}

impl Quiz {
    /// The question of an element; `None` when it names a category.
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<Parsed>, Parsed> {
        let (xml, repaired) = decode(bytes);
        let mut fixes = if repaired { vec![Fix::Encoding] } else { Vec::new() };
        let fields = Fields::read(&xml)?;
        if fields.kind == "category" {
            if let Some(name) = innermost(&fields.category) {
                self.defaults.category = name;
            }
            return Ok(None);
        }
        if fields.media {
            note(Fix::Media, &mut fixes);
        }
        let told = fields.told(&mut fixes)?;
        let general = fields.general.text(true, &mut fixes);
        let draft = Draft::new(fields.stem.text(true, &mut fixes), told.answers, &self.defaults);
        let parts = [told.explanation.trim(), general.trim()];
        let explanation = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
        Ok(Some(Draft { fixes, explanation, tags: fields.tags, ..draft }.finish()))
    }
}

impl Fields {
    fn read(xml: &str) -> Result<Self, Parsed> {
        let mut fields = Self::default();
        let mut path: Vec<String> = Vec::new();
        let mut reader = Reader::from_str(xml);
        let broken = |message: String| Parsed::rejected("invalid_xml", message);
        loop {
            let event = reader.read_event().map_err(|error| broken(error.to_string()))?;
            match event {
                Event::Start(tag) => {
                    if path.len() >= MAX_DEPTH {
                        return Err(Parsed::rejected(
                            "too_deep",
                            format!("more than {MAX_DEPTH} elements in each other"),
                        ));
                    }
                    let name = tag.name().as_ref().to_owned();
                    path.push(name);
                    fields.enter(&path, &tag)?;
                }
                Event::Empty(tag) => {
                    path.push(tag.name().as_ref().to_owned());
                    fields.enter(&path, &tag)?;
                    path.pop();
                }
                Event::End(_) => {
                    path.pop();
                }
                Event::Text(text) => fields.push(&path, &text.xml_content(XmlVersion::Implicit1_0)),
                Event::CData(text) => fields.push(&path, &text.xml_content(XmlVersion::Implicit1_0)),
                Event::GeneralRef(name) => {
                    let character = name.resolve_char_ref().map_err(|error| broken(error.to_string()))?;
                    match (character, resolve_predefined_entity(&name)) {
                        (Some(character), _) => fields.push(&path, character.encode_utf8(&mut [0; 4])),
                        (None, Some(text)) => fields.push(&path, text),
                        (None, None) => return Err(broken(format!("the entity &{}; is not defined", &*name))),
                    }
                }
                Event::DocType(_) => return Err(broken("there is a document type in the question".to_owned())),
                Event::Eof => return Ok(fields),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    fn enter(&mut self, path: &[String], tag: &BytesStart<'_>) -> Result<(), Parsed> {
        let attribute = |name: &str| -> Result<Option<String>, Parsed> {
            let broken = |error: &dyn std::fmt::Display| Parsed::rejected("invalid_xml", error.to_string());
            let Some(found) = tag.try_get_attribute(name).map_err(|error| broken(&error))? else { return Ok(None) };
            let value = found.normalized_value(XmlVersion::Implicit1_0).map_err(|error| broken(&error))?;
            Ok(Some(value.into_owned()))
        };
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match names.as_slice() {
            ["question"] => self.kind = attribute("type")?.unwrap_or_default(),
            ["question", "questiontext"] => self.stem.format = attribute("format")?,
            ["question", "generalfeedback"] => self.general.format = attribute("format")?,
            ["question", "answer"] => {
                let written = Written { text: String::new(), format: attribute("format")? };
                let share = attribute("fraction")?.and_then(|share| share.trim().parse().ok()).unwrap_or(0.0);
                self.answers.push(Answer { written, share, ..Answer::default() });
            }
            ["question", "answer", "feedback"] => {
                if let Some(answer) = self.answers.last_mut() {
                    answer.feedback.format = attribute("format")?;
                }
            }
            ["question", "tags", "tag"] => self.tags.push(String::new()),
            ["question", "questiontext" | "answer", "file"] => self.media = true,
            _ => {}
        }
        Ok(())
    }

    /// Adds text to where it belongs.
    fn push(&mut self, path: &[String], text: &str) {
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let (answer, tag) = (self.answers.last_mut(), self.tags.last_mut());
        let target = match (names.as_slice(), answer) {
            (["question", "tags", "tag", "text"], _) => match tag {
                Some(tag) => tag,
                None => return,
            },
            (["question", "category", "text"], _) => &mut self.category,
            (["question", "questiontext", "text"], _) => &mut self.stem.text,
            (["question", "generalfeedback", "text"], _) => &mut self.general.text,
            (["question", "answer", "text"], Some(answer)) => &mut answer.written.text,
            (["question", "answer", "feedback", "text"], Some(answer)) => &mut answer.feedback.text,
            (["question", "answer", "tolerance"], Some(answer)) => &mut answer.tolerance,
            _ => return,
        };
        target.push_str(text);
    }

    fn told(&self, fixes: &mut Vec<Fix>) -> Result<Told, Parsed> {
        let mut scored = |html: bool| -> Vec<Scored> {
            let score = |answer: &Answer| Scored {
                text: answer.written.text(html, fixes),
                share: answer.share,
                feedback: answer.feedback.text(true, fixes).trim().to_owned(),
            };
            self.answers.iter().map(score).collect()
        };
        match self.kind.as_str() {
            "multichoice" => {
                let scored = scored(true);
                scored::choice(scored, fixes)
            }
            "shortanswer" => {
                let scored = scored(false);
                Ok(scored::typed(scored, fixes))
            }
            "numerical" => {
                let is_range = |answer: &Answer| !matches!(answer.tolerance.trim().parse(), Ok(0.0) | Err(_));
                if self.answers.iter().any(|answer| answer.share >= 100.0 && is_range(answer)) {
                    return Err(scored::range());
                }
                let scored = scored(false);
                Ok(scored::typed(scored, fixes))
            }
            "truefalse" => {
                let Told { answers, explanation } = {
                    let scored = scored(false);
                    scored::choice(scored, fixes)?
                };
                let Answers::Choice { right, .. } = answers else { return Err(scored::unsupported("truefalse")) };
                match right.trim().to_ascii_lowercase().as_str() {
                    "true" => Ok(Told { answers: Answers::Truth(true), explanation }),
                    "false" => Ok(Told { answers: Answers::Truth(false), explanation }),
                    _ => Err(Parsed::rejected("no_answer", "neither true nor false is right")),
                }
            }
            "" => Err(Parsed::rejected("no_type", "the question has no type")),
            kind => Err(scored::unsupported(kind)),
        }
    }
}

impl Written {
    /// The text as a player reads it; `html` is what it is when the file does not say.
    fn text(&self, html: bool, fixes: &mut Vec<Fix>) -> String {
        let html = self.format.as_deref().map_or(html, |format| format == "html");
        if html { text_of(&self.text, fixes) } else { self.text.clone() }
    }
}
