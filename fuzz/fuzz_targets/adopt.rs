//! Adopts bytes as a database of the original. `adopt_corpus.py` makes the corpus.
#![no_main]

#[path = "../adopting.rs"]
mod adopting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = adopting::adopt(bytes);
});
