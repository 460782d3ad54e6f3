//! Text that is written for a browser, and paths of categories, as Moodle has them.

use html_escape::decode_html_entities;

use super::Fix;
use super::draft::note;

/// Elements that begin a line of their own.
const BLOCKS: [&str; 16] =
    ["address", "blockquote", "br", "div", "dd", "dt", "h1", "h2", "h3", "h4", "li", "ol", "p", "pre", "tr", "ul"];
/// Elements that show what a text cannot.
const MEDIA: [&str; 8] = ["audio", "canvas", "embed", "iframe", "img", "object", "svg", "video"];
/// Elements whose content nobody reads.
const SILENT: [&str; 2] = ["script", "style"];

/// The text of HTML: tags and comments are gone, entities are decoded once.
pub(super) fn text_of(html: &str, fixes: &mut Vec<Fix>) -> String {
    if !html.contains(['<', '&']) {
        return html.to_owned();
    }
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((before, after)) = rest.split_once('<') {
        text.push_str(before);
        let Some(tag) = Tag::read(after) else {
            // a sign of comparison
            text.push('<');
            rest = after;
            if after.contains('>') {
                continue;
            }
            // no tag can come any more: to look again at each sign would take the square of the time
            break;
        };
        note(Fix::Markup, fixes);
        if MEDIA.contains(&tag.name.as_str()) {
            note(Fix::Media, fixes);
        }
        if BLOCKS.contains(&tag.name.as_str()) {
            text.push('\n');
        }
        rest = tag.rest;
        if !tag.closes && SILENT.contains(&tag.name.as_str()) {
            rest = rest.find("</").map_or("", |end| &rest[end..]);
        }
    }
    text.push_str(rest);
    decode_html_entities(&text).into_owned()
}

/// A tag or a comment.
struct Tag<'a> {
    /// In lower case; empty for a comment.
    name: String,
    closes: bool,
    /// What comes after it.
    rest: &'a str,
}

impl<'a> Tag<'a> {
    /// Reads what follows a `<`.
    fn read(after: &'a str) -> Option<Self> {
        if let Some(comment) = after.strip_prefix("!--") {
            let rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            return Some(Self { name: String::new(), closes: false, rest });
        }
        let (closes, inner) = after.strip_prefix('/').map_or((false, after), |inner| (true, inner));
        let length = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
        if length == 0 || !inner.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = end_of_tag(inner).or_else(|| inner.find('>'))?;
        Some(Self { name: inner[..length].to_ascii_lowercase(), closes, rest: &inner[end + 1..] })
    }
}

/// Where the `>` is that is not in quotes.
fn end_of_tag(tag: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in tag.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// The innermost category of a path such as `$course$/top/History/Rome`; `//` is a slash in a name.
pub(super) fn innermost(path: &str) -> Option<String> {
    let path = path.replace("//", "\0");
    let mut names = path.split('/').map(|name| name.replace('\0', "/").trim().to_owned());
    let named = |name: &String| !name.is_empty() && name != "top" && !(name.starts_with('$') && name.ends_with('$'));
    names.rfind(named).map(|name| name.chars().take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_text_once() {
        let cases = [
            ("plain", "plain", vec![]),
            ("a &lt; b &amp;amp; c", "a < b &amp; c", vec![]),
            ("1 < 2 > 0 <3", "1 < 2 > 0 <3", vec![]),
            ("<b>C&#43;&#43;</b>", "C++", vec![Fix::Markup]),
            ("<p>One</p><p title=\"a>b\">two<br/>three</p>", "\nOne\n\ntwo\nthree\n", vec![Fix::Markup]),
            ("see <IMG src='x.png'> and <!-- not <b> this -->that", "see  and that", vec![Fix::Markup, Fix::Media]),
            ("<style>p { a: b }</style>x<script>y()", "x", vec![Fix::Markup]),
            ("&lt;b&gt; is bold", "<b> is bold", vec![]),
            ("open <a href=\"", "open <a href=\"", vec![]),
            ("<!-- no end", "", vec![Fix::Markup]),
        ];
        for (html, text, expected) in cases {
            let mut fixes = Vec::new();
            assert_eq!((text_of(html, &mut fixes).as_str(), fixes), (text, expected), "{html}");
        }
    }

    #[test]
    fn the_innermost_name_is_the_category() {
        for (path, name) in [
            ("$course$/top/History/Rome", Some("Rome")),
            ("$course$/top/AC//DC", Some("AC/DC")),
            (" Sport ", Some("Sport")),
            ("$course$/top", None),
            ("", None),
        ] {
            assert_eq!(innermost(path).as_deref(), name, "{path}");
        }
    }
}
