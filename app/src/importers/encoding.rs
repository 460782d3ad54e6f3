//! Lines whose encoding is not known.

/// Longest [`excerpt`], in characters.
const EXCERPT: usize = 160;

/// windows-1252 from 0x80 to 0x9f; what it leaves open is U+FFFD.
const UPPER_CONTROLS: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}', '\u{fffd}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

/// The text of a line and whether some of its bytes were not UTF-8.
///
/// Where UTF-8 was once taken for windows-1252, the bytes that windows-1252 leaves open became `?`.
/// The right quote (E2 80 9D) can be restored; of a Greek or Cyrillic letter it is only known that
/// there was one. All other bytes that are not UTF-8 are windows-1252.
pub(super) fn decode(line: &[u8]) -> (String, bool) {
    let mut text = String::with_capacity(line.len());
    let mut repaired = false;
    let mut cut = None;
    for chunk in line.utf8_chunks() {
        let mut valid = chunk.valid();
        if let Some(broken) = cut.take() {
            match (lost_letter(broken), valid.strip_prefix('?')) {
                (Some(letter), Some(rest)) => {
                    text.push(letter);
                    valid = rest;
                }
                _ => text.extend(broken.iter().copied().map(windows_1252)),
            }
        }
        text.push_str(valid);
        if !chunk.invalid().is_empty() {
            cut = Some(chunk.invalid());
            repaired = true;
        }
    }
    text.extend(cut.unwrap_or_default().iter().copied().map(windows_1252));
    (text, repaired)
}

/// How a record starts, for people: one line of at most 160 characters.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    // four bytes are the most that a character has
    let (text, _) = decode(&bytes[..bytes.len().min(4 * EXCERPT)]);
    let line = text.trim_start().lines().next().unwrap_or_default().trim_end();
    match line.char_indices().nth(EXCERPT) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// What stood where these bytes are followed by `?`.
const fn lost_letter(broken: &[u8]) -> Option<char> {
    match broken {
        [0xe2, 0x80] => Some('\u{201d}'),
        [0xce..=0xd1] => Some('\u{fffd}'),
        _ => None,
    }
}

const fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9f => UPPER_CONTROLS[(byte - 0x80) as usize],
        _ => byte as char,
    }
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn each_line_is_decoded_by_what_it_holds() {
        let cases: [(&[u8], &str, bool); 8] = [
            ("“Café” – ύ".as_bytes(), "“Café” – ύ", false),
            (b"Pen\xe9lope Cruz", "Penélope Cruz", true),
            (b"the \x93Treble\x94 \x85 60\xa2 \x96", "the “Treble” … 60¢ –", true),
            (b"\xe2\x80\x9cBadger State\xe2\x80?, was", "“Badger State”, was", true),
            (b"\xcf\x86\xcf?\xcf\x83\xce\xb9\xcf\x82", "φ\u{fffd}σις", true),
            (b"Caf\xe9?", "Café?", true),
            (b"cut \xe2\x80", "cut â€", true),
            (b"\x81", "\u{fffd}", true),
        ];
        for (bytes, text, repaired) in cases {
            assert_eq!(decode(bytes), (text.to_owned(), repaired));
        }
    }
}
