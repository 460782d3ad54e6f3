//! Bytes that nobody meant well. The corpus is that of the fuzzers; without them, `cargo xtask fuzz` runs
//! these tests with more rounds.

use clap::ValueEnum;
use proptest::prelude::*;
use trivia_domain::ports::RandomSource;

use super::super::MAX_RECORD;
use super::*;

/// Damaged copies that are read of each file of the corpus, unless `TRIVIA_FUZZ_ROUNDS` says another number.
const ROUNDS: u64 = 100;

/// What formats have a meaning for.
const WORDS: [&str; 36] = [
    "\"results\":[",
    "\"kind\":",
    "#Q ",
    "\n^ ",
    "\nA ",
    "&#",
    "&amp;",
    "{",
    "}",
    "[",
    "]",
    "=",
    "~",
    "####",
    "::",
    "\\",
    "$CATEGORY:",
    "//",
    "%50%",
    "->",
    "..",
    "ANSWER: ",
    "A. ",
    "\n\n",
    "\r",
    "- ",
    ": ",
    "? ",
    "*a",
    "&a ",
    "|\n",
    "\"",
    ",",
    "<question>",
    "</question>",
    "<![CDATA[",
];

/// Reads the bytes; every record must have a line that is there.
fn read(format: Format, bytes: &[u8]) {
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
    for found in found(format, bytes, &Assumed::default()) {
        assert!((1..=lines).contains(&found.line), "line {} of {lines}", found.line);
        assert!(found.text.chars().count() <= 161 && !found.text.contains('\n'));
    }
}

/// The files from which fuzzers of a format begin.
fn corpus(format: Format) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(format.as_str());
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Changes some bytes, in one of the ways of fuzzers.
fn damage(file: &mut Vec<u8>, other: &[u8], random: &SeededRandom) {
    let up_to = |end: usize| (random.next_u64() % (end as u64 + 1)) as usize;
    for _ in 0..=up_to(7) {
        let at = up_to(file.len());
        let end = (at + up_to(40)).min(file.len());
        match up_to(5) {
            0 => {
                file.drain(at..end);
            }
            1 => file.insert(at, up_to(255) as u8),
            2 => {
                let word = WORDS[up_to(WORDS.len() - 1)].repeat(up_to(6));
                file.splice(at..at, word.into_bytes());
            }
            3 => {
                let piece = file[at..end].repeat(up_to(20));
                file.splice(at..at, piece);
            }
            4 => {
                let from = up_to(other.len());
                let piece = other[from..(from + 100).min(other.len())].to_vec();
                file.splice(at..end, piece);
            }
            _ => {
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= 1 << up_to(7);
                }
            }
        }
    }
}

#[test]
fn l19_no_damage_to_the_corpus_makes_a_parser_panic() {
    let rounds = std::env::var("TRIVIA_FUZZ_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    for format in Format::value_variants() {
        let corpus = corpus(*format);
        assert!(corpus.len() >= 2, "{}", format.as_str());
        for (number, file) in corpus.iter().enumerate() {
            read(*format, file);
            let random = SeededRandom::new(number as u64);
            for round in 0..rounds {
                let mut file = file.clone();
                damage(&mut file, &corpus[round as usize % corpus.len()], &random);
                read(*format, &file);
            }
        }
    }
}

#[test]
fn l19_what_repeats_without_end_takes_no_longer_than_it_is() {
    for (format, before, repeated) in [
        (Format::MoodleXml, "<quiz><question type='shortanswer'><questiontext><text><![CDATA[", "<a \"'"),
        (Format::MoodleXml, "<quiz>", "<question>"),
        (Format::MoodleXml, "<quiz><question>", "<a>"),
        (Format::MoodleXml, "<quiz><question>", "&a;"),
        (Format::Gift, "a{", "=~%50%####->"),
        (Format::Gift, "[html]", "<!--<a'"),
        (Format::Gift, "", "::"),
        (Format::Gift, "", "$CATEGORY: a/b//c\n"),
        (Format::Aiken, "a\n", "A. a\n"),
        (Format::Aiken, "", "a\nANSWER: A\n"),
        (Format::Redbot, "", "[{a: "),
        (Format::Redbot, "", "- "),
        (Format::Redbot, "", "? "),
        (Format::Redbot, "a: ", "\n"),
        (Format::Redbot, "a: \"", "\\n b\n"),
        (Format::Redbot, "a: |\n", " b\n\n"),
        (Format::Redbot, "", "a: &b [*b]\n"),
        (Format::Redbot, "", "# a\n"),
        (Format::Csv, "question,answer\n\"", "\"\"\n"),
        (Format::Csv, "question,answer\n", ","),
        (Format::Csv, "", "\n"),
        (Format::Tsv, "question\tanswer\n", "a\tb\n"),
        (Format::OpenTdb, "{\"results\":[", "{\"a\":["),
        (Format::OpenTriviaQa, "#Q a\n^ a\n", "A a\n"),
        (Format::Jsonl, "{\"kind\":", "{\"a\":"),
    ] {
        let file = format!("{before}{}", repeated.repeat(MAX_RECORD / 2 / repeated.len()));
        // a square of the size would take hours
        read(format, file.as_bytes());
    }
}

proptest! {
    #[test]
    fn l19_no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        for format in Format::value_variants() {
            read(*format, &bytes);
        }
        Format::detect(&bytes);
    }

    #[test]
    fn l19_no_structure_makes_a_parser_panic(words in proptest::collection::vec(0..WORDS.len() + 2, 0..100)) {
        let text: String = words.iter().map(|word| WORDS.get(*word).copied().unwrap_or("a ")).collect();
        for format in Format::value_variants() {
            read(*format, text.as_bytes());
        }
        Format::detect(text.as_bytes());
    }
}
