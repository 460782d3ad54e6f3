//! Databases of the original that nobody meant well. The corpus is that of the fuzzer; without it, `cargo xtask fuzz`
//! runs this test with more rounds.

#[path = "../../fuzz/adopting.rs"]
mod adopting;

use std::fs;
use std::panic::{catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use trivia_domain::memory::SeededRandom;
use trivia_domain::ports::RandomSource;

/// Damaged copies that are adopted of each file of the corpus, unless `TRIVIA_FUZZ_ROUNDS` says another number.
const ROUNDS: u64 = 20;
/// More than one attempt takes, whatever the machine is doing.
const PATIENCE: Duration = Duration::from_secs(50);

/// Numbers that mean something in a page, and words of a schema.
const WORDS: [&[u8]; 22] = [
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x05",
    b"\x0a",
    b"\x0d",
    b"\x7f\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x01",
    b"\x00\x00\x00\x02",
    b"\x81\x80\x80\x80\x80\x80\x80\x80\x00",
    b"CREATE TABLE",
    b"CREATE VIEW users AS SELECT 1",
    b"CREATE INDEX idx_users_last_played ON users (hex(last_played))",
    b"GENERATED ALWAYS AS (1)",
    b"sqlite_autoindex_",
    b"users",
    b"NULL",
    b"9223372036854775807",
    b"[\"a\", [[[[",
    b"\xc3\x28",
    b"9999-12-31 23:59:59.999999",
];

/// Changes some bytes, but not how many there are: they are pages.
fn damage(file: &mut [u8], random: &SeededRandom) {
    let below = |end: usize| (random.next_u64() % end as u64) as usize;
    for _ in 0..=below(6) {
        let at = below(file.len());
        match below(4) {
            0 => file[at] ^= 1 << below(8),
            1 => file[at] = below(256) as u8,
            2 => {
                let word = WORDS[below(WORDS.len())];
                let end = (at + word.len()).min(file.len());
                file[at..end].copy_from_slice(&word[..end - at]);
            }
            // a piece of another place, often a whole page
            _ => {
                let length = [4, 40, 512][below(3)].min(file.len() - at);
                let from = below(file.len() - length + 1);
                file.copy_within(from..from + length, at);
            }
        }
    }
}

#[test]
fn l20_no_damage_to_the_corpus_makes_an_adoption_panic_or_run_on() {
    let rounds = std::env::var("TRIVIA_FUZZ_ROUNDS").ok().map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/adopt");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    let (mut taken, mut refused) = (0, 0);
    for (number, path) in paths.iter().enumerate() {
        let file = fs::read(path).unwrap();
        let report = adopting::adopt(&file).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(report.users > 0, "{}", path.display());
        let random = SeededRandom::new(number as u64);
        for round in 0..rounds {
            let mut file = file.clone();
            damage(&mut file, &random);
            let started = Instant::now();
            match catch_unwind(|| adopting::adopt(&file)) {
                Ok(Ok(_)) => taken += 1,
                Ok(Err(_)) => refused += 1,
                Err(panic) => {
                    let found = std::env::temp_dir().join(format!("adopt-{number}-{round}"));
                    fs::write(&found, &file).unwrap();
                    eprintln!("hint: the input is in {}; add it to fuzz/corpus/adopt", found.display());
                    resume_unwind(panic);
                }
            }
            assert!(started.elapsed() < PATIENCE, "{} {round} took {:?}", path.display(), started.elapsed());
        }
    }
    eprintln!("{taken} damaged databases were taken over, {refused} were refused");
    // else the damage is too little or too much to find anything
    assert!(taken > 0 && refused > taken, "{taken} taken, {refused} refused");
}
