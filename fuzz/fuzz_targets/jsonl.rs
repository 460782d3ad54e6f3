//! Reads bytes as the project's own JSON Lines.
#![no_main]

use std::io::Cursor;

use trivia_app::importers::{Format, count};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    count(Format::Jsonl, Cursor::new(bytes.to_vec())).expect("bytes in memory can be read");
});
