//! The syntax of GIFT: what a block of lines says, before it is asked whether our questions can say it.

use super::super::draft::one_line;

/// What a block holds.
#[derive(Debug, PartialEq)]
pub(super) struct Item {
    /// What a comment above says is its id.
    pub(super) id: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) title: Option<String>,
    /// With `_____` in the place of answers that stand in it.
    pub(super) stem: Rich,
    pub(super) embedded: bool,
    pub(super) answers: Answers,
    pub(super) general_feedback: Option<Rich>,
}

/// Text and how it is written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rich {
    pub(super) format: Format,
    pub(super) text: String,
}

/// How a text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Moodle,
    Plain,
    Html,
    Markdown,
}

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Answers {
    /// Nothing.
    Description,
    /// A text that a person reads.
    Essay,
    /// Whether it is true, and two feedbacks.
    Truth { answer: bool, feedback: [Option<Rich>; 2] },
    /// Accepted answers.
    Short(Vec<Choice<Rich>>),
    /// Options.
    Choice(Vec<Choice<Rich>>),
    /// Pairs.
    Matching(Vec<(Rich, String)>),
    /// Numbers; `None` stands for any other.
    Numerical(Vec<Choice<Option<Number>>>),
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(super) struct Choice<T> {
    /// Whether `=` stands before it.
    pub(super) right: bool,
    /// Percent of the points.
    pub(super) weight: Option<f64>,
    pub(super) value: T,
    pub(super) feedback: Option<Rich>,
}

/// A number as it is written, and what is accepted.
#[derive(Debug, PartialEq)]
pub(super) struct Number {
    /// The number, when there is one in the middle.
    pub(super) written: Option<String>,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Why a block says nothing: a code, and a message.
pub(super) type Failed = (&'static str, String);

/// A character, and whether a backslash stood before it.
type Sign = (char, bool);

/// The category of a line `$CATEGORY: path`.
pub(super) fn category(line: &str) -> Option<&str> {
    line.trim().strip_prefix("$CATEGORY:").map(str::trim)
}

/// Whether a line is a comment.
pub(super) fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// Reads one block: lines without a blank one.
pub(super) fn parse(block: &str) -> Result<Option<Item>, Failed> {
    let (mut id, mut tags) = (None, Vec::new());
    let mut lines = Vec::new();
    for line in block.lines() {
        if is_comment(line) {
            id = marks(line, "id").pop().or(id);
            tags.extend(marks(line, "tag"));
        } else {
            lines.push(line);
        }
    }
    let signs = unescape(&lines.join("\n"));
    let signs = trim(&signs);
    if signs.is_empty() {
        return Ok(None);
    }
    let (title, rest) = title(signs)?;
    let (format, rest) = format(rest, Format::Moodle);
    let Some(open) = find(rest, &['{']) else {
        if find(rest, &['}']).is_some() {
            return Err(("unclosed_answers", "there is a } without a {".to_owned()));
        }
        let stem = rich(format, rest);
        let answers = Answers::Description;
        return Ok(Some(Item { id, tags, title, stem, embedded: false, answers, general_feedback: None }));
    };
    let inner = &rest[open + 1..];
    let close = find(inner, &['}']).ok_or_else(|| ("unclosed_answers", "the answers have no }".to_owned()))?;
    let (before, after) = (trim(&rest[..open]), trim(&inner[close + 1..]));
    if find(after, &['{', '}']).is_some() || find(&inner[..close], &['{']).is_some() {
        return Err(("several_answers", "the question has answers at two places".to_owned()));
    }
    let embedded = !after.is_empty();
    let (before, after) = (plain(format, before), plain(format, after));
    let text = if embedded { format!("{before} _____ {after}").trim().to_owned() } else { before };
    let (inner, general) = match split_general(&inner[..close]) {
        Some((inner, general)) => (inner, feedback(format, general)),
        None => (&inner[..close], None),
    };
    let answers = answers(format, trim(inner))?;
    let stem = Rich { format, text };
    Ok(Some(Item { id, tags, title, stem, embedded, answers, general_feedback: general }))
}

/// The values of `[name:value]` in a comment.
fn marks(line: &str, name: &str) -> Vec<String> {
    let inner = line.split('[').skip(1).filter_map(|part| part.split(']').next());
    inner.filter_map(|mark| mark.strip_prefix(name)?.strip_prefix(':')).map(|value| value.trim().to_owned()).collect()
}

/// Takes the backslashes away that make a sign an ordinary character.
fn unescape(text: &str) -> Vec<Sign> {
    let mut signs = Vec::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let escaped = match (character, characters.peek()) {
            ('\\', Some('n')) => Some('\n'),
            ('\\', Some(sign @ ('~' | '=' | '#' | '{' | '}' | ':' | '\\'))) => Some(*sign),
            _ => None,
        };
        match escaped {
            Some(sign) => {
                characters.next();
                signs.push((sign, true));
            }
            None => signs.push((character, false)),
        }
    }
    signs
}

/// Where the first of these signs is that is no ordinary character.
fn find(signs: &[Sign], wanted: &[char]) -> Option<usize> {
    signs.iter().position(|(sign, escaped)| !escaped && wanted.contains(sign))
}

/// Where two signs follow each other.
fn find_pair(signs: &[Sign], first: char, second: char) -> Option<usize> {
    signs.windows(2).position(|pair| pair == [(first, false), (second, false)])
}

fn trim(mut signs: &[Sign]) -> &[Sign] {
    while let [(sign, _), rest @ ..] = signs
        && sign.is_whitespace()
    {
        signs = rest;
    }
    while let [rest @ .., (sign, _)] = signs
        && sign.is_whitespace()
    {
        signs = rest;
    }
    signs
}

/// `::Title::` at the start.
fn title(signs: &[Sign]) -> Result<(Option<String>, &[Sign]), Failed> {
    let [(':', false), (':', false), rest @ ..] = signs else { return Ok((None, signs)) };
    let end = find_pair(rest, ':', ':').ok_or_else(|| ("unclosed_title", "the title has no second ::".to_owned()))?;
    Ok((Some(plain(Format::Plain, &rest[..end])), trim(&rest[end + 2..])))
}

/// `[html]` and the like at the start.
fn format(signs: &[Sign], default: Format) -> (Format, &[Sign]) {
    let signs = trim(signs);
    for (name, format) in [
        ("[html]", Format::Html),
        ("[markdown]", Format::Markdown),
        ("[plain]", Format::Plain),
        ("[moodle]", Format::Moodle),
    ] {
        let length = name.len();
        if signs.len() >= length && signs.iter().map(|(sign, _)| *sign).take(length).eq(name.chars()) {
            return (format, trim(&signs[length..]));
        }
    }
    (default, signs)
}

/// The text; where line ends mean nothing, they are blanks, unless they are written as `\n`.
fn plain(format: Format, signs: &[Sign]) -> String {
    let text = || signs.iter().map(|(sign, _)| *sign);
    match format {
        Format::Html | Format::Markdown => text().collect::<String>().trim().to_owned(),
        Format::Moodle | Format::Plain => {
            let parts = signs.split(|sign| *sign == ('\n', true));
            let lines = parts.map(|part| one_line(&part.iter().map(|(sign, _)| *sign).collect::<String>()));
            lines.collect::<Vec<_>>().join("\n").trim().to_owned()
        }
    }
}

fn rich(default: Format, signs: &[Sign]) -> Rich {
    let (format, signs) = format(signs, default);
    Rich { format, text: plain(format, signs) }
}

fn feedback(default: Format, signs: &[Sign]) -> Option<Rich> {
    Some(rich(default, signs)).filter(|feedback| !feedback.text.is_empty())
}

/// What is before and after `####`.
fn split_general(signs: &[Sign]) -> Option<(&[Sign], &[Sign])> {
    let at = signs.windows(4).position(|four| four.iter().all(|sign| *sign == ('#', false)))?;
    Some((&signs[..at], &signs[at + 4..]))
}

fn answers(format: Format, signs: &[Sign]) -> Result<Answers, Failed> {
    if signs.is_empty() {
        return Ok(Answers::Essay);
    }
    if let [('#', false), rest @ ..] = signs {
        return numerical(format, trim(rest));
    }
    if let Some(truth) = truth(format, signs) {
        return Ok(truth);
    }
    let (stray, choices) = choices(format, signs);
    if choices.is_empty() {
        // the only accepted answer needs no sign
        let (value, told) = split_feedback(format, stray);
        let only = Choice { right: true, weight: None, value: rich(format, value), feedback: told };
        return Ok(Answers::Short(vec![only]));
    }
    if !stray.is_empty() {
        return Err(("stray_text", "there is text before the first = or ~ of the answers".to_owned()));
    }
    let all_right = choices.iter().all(|choice| choice.right);
    if all_right && choices.iter().all(|choice| find_pair(choice.value, '-', '>').is_some()) {
        let pairs = choices.iter().filter_map(|choice| {
            let at = find_pair(choice.value, '-', '>')?;
            Some((rich(format, &choice.value[..at]), plain(Format::Moodle, trim(&choice.value[at + 2..]))))
        });
        return Ok(Answers::Matching(pairs.collect()));
    }
    let choices = choices.into_iter().map(|choice| Choice {
        right: choice.right,
        weight: choice.weight,
        value: rich(format, choice.value),
        feedback: choice.feedback,
    });
    let choices = choices.collect();
    Ok(if all_right { Answers::Short(choices) } else { Answers::Choice(choices) })
}

/// `TRUE`, `F` and so on, with up to two feedbacks.
fn truth(format: Format, signs: &[Sign]) -> Option<Answers> {
    let mut parts = signs.split(|sign| *sign == ('#', false));
    let answer = match plain(Format::Plain, parts.next()?).to_ascii_uppercase().as_str() {
        "T" | "TRUE" => true,
        "F" | "FALSE" => false,
        _ => return None,
    };
    let mut next = || parts.next().and_then(|part| feedback(format, part));
    Some(Answers::Truth { answer, feedback: [next(), next()] })
}

/// What is before the first answer, and the answers.
fn choices(format: Format, signs: &[Sign]) -> (&[Sign], Vec<Choice<&[Sign]>>) {
    let first = find(signs, &['=', '~']).unwrap_or(signs.len());
    let (stray, mut rest) = signs.split_at(first);
    let mut choices = Vec::new();
    while let [(sign, _), after @ ..] = rest {
        let end = find(after, &['=', '~']).unwrap_or(after.len());
        let (weight, value) = weight(trim(&after[..end]));
        let (value, told) = split_feedback(format, value);
        choices.push(Choice { right: *sign == '=', weight, value: trim(value), feedback: told });
        rest = &after[end..];
    }
    (trim(stray), choices)
}

/// `%50%` at the start.
fn weight(signs: &[Sign]) -> (Option<f64>, &[Sign]) {
    let none = (None, signs);
    let [('%', false), rest @ ..] = signs else { return none };
    let Some(end) = find(rest, &['%']) else { return none };
    match plain(Format::Plain, &rest[..end]).parse() {
        Ok(weight) => (Some(weight), trim(&rest[end + 1..])),
        Err(_) => none,
    }
}

fn split_feedback(format: Format, signs: &[Sign]) -> (&[Sign], Option<Rich>) {
    match find(signs, &['#']) {
        Some(at) => (&signs[..at], feedback(format, &signs[at + 1..])),
        None => (signs, None),
    }
}

fn numerical(format: Format, signs: &[Sign]) -> Result<Answers, Failed> {
    let (alone, found) = choices(format, signs);
    if !found.is_empty() && !alone.is_empty() {
        return Err(("stray_text", "there is text before the first = or ~ of the answers".to_owned()));
    }
    if found.is_empty() {
        let (value, told) = split_feedback(format, alone);
        let value = Some(number(value)?);
        return Ok(Answers::Numerical(vec![Choice { right: true, weight: None, value, feedback: told }]));
    }
    let read = |choice: Choice<&[Sign]>| {
        let value = if choice.value.is_empty() { None } else { Some(number(choice.value)?) };
        Ok(Choice { right: choice.right, weight: choice.weight, value, feedback: choice.feedback })
    };
    found.into_iter().map(read).collect::<Result<_, Failed>>().map(Answers::Numerical)
}

/// `7`, `7:0.5` or `6.5..7.5`.
fn number(signs: &[Sign]) -> Result<Number, Failed> {
    let text = plain(Format::Plain, signs);
    let finite = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let bad = || ("no_number", format!("{text:?} is no number"));
    if let Some((low, high)) = text.split_once("..") {
        let (low, high) = (finite(low).ok_or_else(bad)?, finite(high).ok_or_else(bad)?);
        return Ok(Number { written: None, low, high });
    }
    let (middle, tolerance) = text.split_once(':').unwrap_or((&text, "0"));
    let (number, tolerance) = (finite(middle).ok_or_else(bad)?, finite(tolerance).ok_or_else(bad)?.abs());
    Ok(Number { written: Some(middle.trim().to_owned()), low: number - tolerance, high: number + tolerance })
}
