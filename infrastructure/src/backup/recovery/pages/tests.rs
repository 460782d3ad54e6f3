//! Every number that chance gives comes from a fixed seed, which is in the output of a failed test.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::fs::File;
use std::io::Cursor;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params};

use super::*;

/// Tables as the migrations make them, one `WITHOUT ROWID`, and one that the caller does not describe.
const SCHEMA: &str = "
CREATE TABLE users (user_id integer NOT NULL PRIMARY KEY, last_seq integer NOT NULL DEFAULT 0,
    total_points integer NOT NULL DEFAULT 0, points_reached_at timestamp_with_timezone_text NULL,
    questions_answered integer NOT NULL, questions_correct integer NOT NULL, last_day date_text NULL,
    preferred_difficulty text NULL, time_zone text NOT NULL DEFAULT 'UTC', created_at timestamp_with_timezone_text NOT NULL);
CREATE TABLE questions (id integer NOT NULL PRIMARY KEY AUTOINCREMENT, version integer NOT NULL,
    content_key blob NOT NULL UNIQUE, category text NOT NULL, question_text text NOT NULL, correct_answer text NOT NULL,
    options json_text NULL, explanation text NULL, ordinal integer NULL, created_at timestamp_with_timezone_text NOT NULL);
CREATE TABLE game_sessions (id uuid_text NOT NULL PRIMARY KEY, channel_id integer NOT NULL, host_id integer NULL,
    kind text NOT NULL, challenge_on date_text NULL, status text NOT NULL, time_limit_ms integer NOT NULL,
    started_at timestamp_with_timezone_text NOT NULL, ended_at timestamp_with_timezone_text NULL);
CREATE TABLE ledger (user_id integer NOT NULL, seq integer NOT NULL, key uuid_text NOT NULL, kind text NOT NULL,
    at timestamp_with_timezone_text NOT NULL, day date_text NOT NULL, points integer NOT NULL,
    total_points integer NOT NULL, session_id uuid_text NULL, question_id integer NULL, given json_text NULL,
    correct boolean NULL, opening json_text NULL, PRIMARY KEY (user_id, seq), UNIQUE (user_id, key));
CREATE TABLE rankings (user_id integer NOT NULL, period text NOT NULL, starts_on date_text NOT NULL,
    points integer NOT NULL, answered integer NOT NULL, share real NOT NULL, reached_at timestamp_with_timezone_text NOT NULL,
    PRIMARY KEY (user_id, period, starts_on));
CREATE TABLE picks (number integer NOT NULL, owner text NOT NULL, owner_id integer NOT NULL,
    question_id integer NOT NULL, note text NULL, PRIMARY KEY (owner, owner_id, question_id)) WITHOUT ROWID;
CREATE TABLE challenges (kind text NOT NULL, starts_on date_text NOT NULL, created_at text NOT NULL,
    PRIMARY KEY (kind, starts_on));
CREATE TABLE schema_version (version varchar NOT NULL PRIMARY KEY, applied_at integer NOT NULL);
CREATE INDEX idx_users_points ON users (total_points);
CREATE INDEX idx_ledger_question ON ledger (question_id);
CREATE INDEX idx_game_sessions_channel ON game_sessions (channel_id, started_at);
";

/// `name:kind` of each column, with `!` for those that are never empty.
fn table(name: &str, key: Key, columns: &str) -> Table {
    let columns: Vec<_> = columns
        .split_whitespace()
        .map(|column| {
            let (name, kind) = column.split_once(':').unwrap();
            let letter = kind.trim_end_matches('!');
            let kinds =
                [("i", Kind::Integer), ("r", Kind::Real), ("t", Kind::Text), ("b", Kind::Blob), ("a", Kind::Any)];
            let not_null = kind.ends_with('!');
            let kind = kinds.iter().find(|(known, _)| *known == letter).unwrap().1;
            Column { name: name.to_owned(), kind, not_null }
        })
        .collect();
    Table { name: name.to_owned(), fewest: columns.len(), columns, key }
}

fn tables() -> Vec<Table> {
    vec![
        table(
            "users",
            Key::Column(0),
            "user_id:i! last_seq:i! total_points:i! points_reached_at:t questions_answered:i! questions_correct:i! last_day:t preferred_difficulty:t time_zone:t! created_at:t!",
        ),
        table(
            "questions",
            Key::Column(0),
            "id:i! version:i! content_key:b! category:t! question_text:t! correct_answer:t! options:t explanation:t ordinal:i created_at:t!",
        ),
        table(
            "game_sessions",
            Key::Rowid,
            "id:b! channel_id:i! host_id:i kind:t! challenge_on:t status:t! time_limit_ms:i! started_at:t! ended_at:t",
        ),
        table(
            "ledger",
            Key::Rowid,
            "user_id:i! seq:i! key:b! kind:t! at:t! day:t! points:i! total_points:i! session_id:b question_id:i given:t correct:i opening:t",
        ),
        table("rankings", Key::Rowid, "user_id:i! period:t! starts_on:t! points:i! answered:i! share:r! reached_at:t!"),
        table("picks", Key::Without(vec![1, 2, 3, 0, 4]), "number:i! owner:t! owner_id:i! question_id:i! note:t"),
        table("challenges", Key::Rowid, "kind:t! starts_on:t! created_at:t!"),
    ]
}

fn words(rng: &mut ChaCha8Rng, length: usize) -> String {
    const LETTERS: [&str; 12] = ["a", "e", "n", "r", "s", "t", "o", " ", "þ", "ö", "€", "日"];
    let mut text = String::new();
    while text.len() < length {
        text.push_str(LETTERS[rng.random_range(0..LETTERS.len())]);
    }
    text
}

fn instant(rng: &mut ChaCha8Rng) -> String {
    let (day, hour, minute) = (rng.random_range(1..29), rng.random_range(0..24), rng.random_range(0..60));
    format!(
        "2026-{:02}-{day:02}T{hour:02}:{minute:02}:00.{:06}+00:00",
        rng.random_range(1..12),
        rng.random_range(0..999_999)
    )
}

/// Players, answers and the rest in the order in which a game writes them.
fn fill(db: &mut Connection, rng: &mut ChaCha8Rng, players: i64) {
    for chunk in 0..(players + 49) / 50 {
        let tx = db.transaction().unwrap();
        for user in chunk * 50..players.min(chunk * 50 + 50) {
            let id = 80_351_110_224_678_912 + user * 7_919;
            tx.execute(
                "INSERT INTO users VALUES (?,?,?,?,?,?,?,?,?,?)",
                params![
                    id,
                    user % 9,
                    rng.random_range(0..90_000),
                    instant(rng),
                    7,
                    user % 2,
                    (user % 3 == 0).then_some("2026-11-02"),
                    (user % 4 == 0).then_some("easy"),
                    "Atlantic/Reykjavik",
                    instant(rng)
                ],
            )
            .unwrap();
            for seq in 1..=5 {
                let key: [u8; 16] = rng.random();
                let session: [u8; 16] = rng.random();
                let opening = (seq == 1 && user % 50 == 0).then(|| words(rng, 9_000));
                tx.execute(
                    "INSERT INTO ledger VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    params![
                        id,
                        seq,
                        key,
                        "answer",
                        instant(rng),
                        "2026-11-02",
                        seq * 10,
                        seq * 30,
                        (seq > 1).then_some(session),
                        rng.random_range(1..900),
                        r#"{"choice":1}"#,
                        seq % 2,
                        opening
                    ],
                )
                .unwrap();
            }
            for (period, on) in [("day", "2026-11-02"), ("week", "2026-11-02")] {
                let share = if user % 4 == 0 { 1.0 } else { rng.random::<f64>() };
                tx.execute(
                    "INSERT INTO rankings VALUES (?,?,?,?,?,?,?)",
                    params![id, period, on, user, 3, share, instant(rng)],
                )
                .unwrap();
            }
            let note = (user % 100 == 0).then(|| words(rng, 3_000));
            tx.execute(
                "INSERT INTO picks VALUES (?,?,?,?,?)",
                params![user, "player", id, rng.random_range(1..900), note],
            )
            .unwrap();
            if user % 4 == 0 {
                let (key, uuid): ([u8; 32], [u8; 16]) = (rng.random(), rng.random());
                let explanation = (user % 80 == 0).then(|| words(rng, 6_000));
                tx.execute(
                    "INSERT INTO questions (version, content_key, category, question_text, correct_answer, options, explanation, ordinal, created_at) VALUES (?,?,?,?,?,?,?,?,?)",
                    params![1, key, "History", words(rng, 90), words(rng, 12), r#"["a","b"]"#, explanation, user / 4, instant(rng)],
                )
                .unwrap();
                tx.execute(
                    "INSERT INTO game_sessions VALUES (?,?,?,?,?,?,?,?,?)",
                    params![
                        uuid,
                        rng.random_range(1..600),
                        id,
                        "normal",
                        None::<String>,
                        "finished",
                        30_000,
                        instant(rng),
                        instant(rng)
                    ],
                )
                .unwrap();
            }
            if user % 80 == 0 {
                tx.execute("INSERT INTO challenges VALUES ('daily', ?, ?)", params![format!("d{user}"), instant(rng)])
                    .unwrap();
            }
        }
        tx.commit().unwrap();
    }
    for version in 0..10 {
        db.execute("INSERT INTO schema_version VALUES (?, 1790000000)", [format!("m{version}")]).unwrap();
    }
}

fn create(path: &Path, settings: &str) -> Connection {
    let db = Connection::open(path).unwrap();
    db.execute_batch(settings).unwrap();
    db.execute_batch(SCHEMA).unwrap();
    db
}

fn values(row: &rusqlite::Row<'_>, columns: usize) -> Vec<Value> {
    let value = |column| match row.get_ref(column).unwrap() {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(whole) => Value::Integer(whole),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => Value::Text(String::from_utf8(text.to_vec()).unwrap()),
        ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
    };
    (0..columns).map(value).collect()
}

type Rows = HashMap<(usize, String), usize>;

/// All rows as SQLite reads them.
fn truth(db: &Connection, tables: &[Table]) -> Rows {
    let mut rows = Rows::new();
    for (position, table) in tables.iter().enumerate() {
        let mut select = db.prepare(&format!("SELECT * FROM {}", table.name)).unwrap();
        let mut found = select.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            *rows.entry((position, format!("{:?}", values(row, table.columns.len())))).or_default() += 1;
        }
    }
    rows
}

fn walk(bytes: &[u8], log: Option<&[u8]>, tables: &[Table]) -> (Vec<Row>, Report) {
    let mut pages = Pages::open(Cursor::new(bytes), log.map(Cursor::new), tables).unwrap();
    let mut rows = Vec::new();
    let Ok(report) = pages.walk(|row| {
        rows.push(row);
        Ok::<_, Infallible>(())
    });
    (rows, report)
}

fn key(row: &Row) -> (usize, String) {
    (row.table, format!("{:?}", row.values))
}

/// A database, what is in it, and where.
struct Whole {
    bytes: Vec<u8>,
    truth: Rows,
    /// Page and row.
    rows: Vec<(u32, (usize, String))>,
    roots: Vec<(String, usize)>,
}

static WHOLE: LazyLock<Whole> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("whole.db");
    let mut db = create(&path, "");
    fill(&mut db, &mut ChaCha8Rng::seed_from_u64(1), 3_100);
    let truth = truth(&db, &tables());
    let roots = db
        .prepare("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    drop(db);
    let bytes = std::fs::read(path).unwrap();
    let (rows, report) = walk(&bytes, None, &tables());
    println!("{} rows, {} pages, {report:?}", truth.values().sum::<usize>(), bytes.len() / 4096);
    let rows = rows.iter().map(|row| (row.page, key(row))).collect();
    Whole { bytes, truth, rows, roots }
});

struct Score {
    /// Percent of all rows that are exactly right.
    right: f64,
    /// Percent of all rows whose leaf page is whole, overflow aside.
    home: f64,
    /// Rows that never were.
    wrong: usize,
    report: Report,
}

/// Walks through damaged bytes. A row on whole pages must come, unless bits flipped (`pages` is `None`).
fn score(bytes: &[u8], damaged: Option<&HashSet<usize>>) -> Score {
    let whole = &*WHOLE;
    let (rows, report) = walk(bytes, None, &tables());
    let found: HashSet<_> = rows.iter().filter(|row| row.origin < Origin::Free).map(key).collect();
    let right: usize = whole.truth.iter().filter(|(row, _)| found.contains(*row)).map(|(_, count)| count).sum();
    let is_whole = |page: u32| damaged.is_none_or(|damaged| !damaged.contains(&(page as usize)));
    let home = 100.0 * whole.rows.iter().filter(|(page, _)| is_whole(*page)).count() as f64 / whole.rows.len() as f64;
    let wrong = found.iter().filter(|row| !whole.truth.contains_key(*row)).count();
    assert_eq!(rows.len(), report.tables.iter().map(|table| (table.rows + table.free_rows) as usize).sum::<usize>());
    if damaged.is_some() {
        for (page, key) in &whole.rows {
            let has_overflow = key.1.len() > 3_000 || key.0 == 5 && key.1.len() > 900;
            if !has_overflow && is_whole(*page) {
                assert!(found.contains(key), "lost from page {page}: {}", key.1);
            }
        }
    }
    Score { right: 100.0 * right as f64 / whole.truth.values().sum::<usize>() as f64, home, wrong, report }
}

/// Prints mean and worst of several runs, and compares the mean with the table of the faults.
fn judge(damage: &str, column: f64, most_wrong: usize, scores: &[Score]) {
    let mean = |of: fn(&Score) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    let (right, home) = (mean(|score| score.right), mean(|score| score.home));
    let worst = scores.iter().map(|score| score.right).fold(100.0, f64::min);
    let wrong = scores.iter().map(|score| score.wrong).max().unwrap();
    let runs = scores.len();
    println!(
        "FIGURE {damage:<32} column {column:>6.2}  mean {right:>7.3}  worst {worst:>7.3}  rows on whole pages {home:>7.3}  runs {runs}  wrong rows <= {wrong}"
    );
    assert!(right >= column, "{damage}: {right} instead of {column}");
    assert!(wrong <= most_wrong, "{damage}: {wrong} rows that never were");
}

fn garbage(bytes: &mut [u8], rng: &mut ChaCha8Rng, page: usize) {
    let range = (page - 1) * 4096..page * 4096;
    rng.fill(&mut bytes[range]);
}

#[test]
fn a_whole_file_gives_every_row_once_down_its_trees() {
    let whole = &*WHOLE;
    let (rows, report) = walk(&whole.bytes, None, &tables());
    let mut found = Rows::new();
    for row in &rows {
        assert_eq!(row.origin, Origin::Tree);
        *found.entry(key(row)).or_default() += 1;
    }
    assert!(found == whole.truth);
    assert!(report.header && report.freelist && report.ambiguous.is_empty(), "{report:?}");
    assert_eq!((report.unreadable.len(), report.page_size), (0, 4096));
    assert!(report.tables.iter().all(|table| table.damaged == 0));
    // the table that is not described
    assert!(report.foreign.len() <= 2, "{report:?}");
}

fn sector(seed: u64, places: std::ops::Range<usize>) -> Score {
    println!("seed {seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = WHOLE.bytes.clone();
    let page = rng.random_range(0..bytes.len() / 4096);
    bytes[page * 4096 + rng.random_range(places) * 512..][..512].fill(0);
    score(&bytes, Some(&HashSet::from([page + 1])))
}

#[test]
fn one_sector() {
    judge("sector without a page header", 99.98, 2, &(0..2).map(|seed| sector(seed, 1..8)).collect::<Vec<_>>());
    // a zeroed stretch of bytes that are no text stays unseen: at most the rows at both ends
    // what is behind the header of a page cannot be told from rows that were deleted
    judge("sector with a page header", 99.6, 2, &(0..1).map(|seed| sector(seed, 0..1)).collect::<Vec<_>>());
    judge("any sector", 99.96, 2, &(0..2).map(|seed| sector(seed, 0..8)).collect::<Vec<_>>());
}

#[test]
fn flipped_bits() {
    let scores: Vec<_> = (0..3)
        .map(|seed| {
            println!("seed {seed}");
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut bytes = WHOLE.bytes.clone();
            for _ in 0..100 {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            score(&bytes, None)
        })
        .collect();
    judge("100 bit flips", 99.73, 72, &scores);
}

/// A small database: bytes and rows.
fn small(settings: &str, prepare: impl FnOnce(&Path)) -> (Vec<u8>, Rows) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("small.db");
    prepare(&path);
    let mut db = create(&path, settings);
    fill(&mut db, &mut ChaCha8Rng::seed_from_u64(2), 150);
    let healthy: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(healthy, "ok");
    let truth = truth(&db, &tables());
    drop(db);
    (std::fs::read(path).unwrap(), truth)
}

#[test]
fn bits_of_the_header() {
    let (mut bytes, truth) = small("", |_| {});
    for bit in (0..800).step_by(7) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(is(&walk(&bytes, None, &tables()).0, &truth), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
}

#[test]
fn reserved_bytes() {
    // SQLite keeps what an empty database says
    let (bytes, truth) = small("", |path| {
        Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 1").unwrap();
        let mut bytes = std::fs::read(path).unwrap();
        bytes[20] = 32;
        bytes[105..107].copy_from_slice(&(4096_u16 - 32).to_be_bytes());
        std::fs::write(path, bytes).unwrap();
    });
    assert_eq!(bytes[20], 32);
    let (rows, report) = walk(&bytes, None, &tables());
    assert!(is(&rows, &truth) && report.unreadable.is_empty());
}

#[test]
fn a_tenth_of_the_pages() {
    let scores: Vec<_> = (0..3)
        .map(|seed| {
            println!("seed {seed}");
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut bytes = WHOLE.bytes.clone();
            let pages = bytes.len() / 4096;
            let mut damaged = HashSet::new();
            while damaged.len() < pages / 10 {
                damaged.insert(rng.random_range(1..=pages));
            }
            for page in &damaged {
                garbage(&mut bytes, &mut rng, *page);
            }
            score(&bytes, Some(&damaged))
        })
        .collect();
    // the column's loss beyond the tenth itself, whichever pages chance takes
    let home = scores.iter().map(|score| score.home).sum::<f64>() / scores.len() as f64;
    judge("10 % of pages garbage", (home - 0.17).min(89.83), 0, &scores);
}

#[test]
fn roots() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut all = WHOLE.bytes.clone();
    let mut of_users = WHOLE.bytes.clone();
    for (name, root) in &WHOLE.roots {
        garbage(&mut all, &mut rng, *root);
        if name == "users" {
            garbage(&mut of_users, &mut rng, *root);
            judge("root page of users", 100.0, 0, &[score(&of_users, Some(&HashSet::from([*root])))]);
        }
    }
    let damaged = WHOLE.roots.iter().map(|(_, root)| *root).collect();
    judge("all root pages", 99.73, 0, &[score(&all, Some(&damaged))]);
}

#[test]
fn header_and_first_page() {
    let mut bytes = WHOLE.bytes.clone();
    bytes[..100].fill(0);
    let zeroed = score(&bytes, Some(&HashSet::new()));
    assert!(!zeroed.report.header && zeroed.report.page_size == 4096);
    judge("header zeroed", 100.0, 0, &[zeroed]);
    let scores: Vec<_> = (0..2)
        .map(|seed| {
            garbage(&mut bytes, &mut ChaCha8Rng::seed_from_u64(seed), 1);
            score(&bytes, Some(&HashSet::from([1])))
        })
        .collect();
    judge("page 1 garbage", 100.0, 0, &scores);
}

#[test]
fn cut() {
    let bytes = &WHOLE.bytes[..WHOLE.bytes.len() * 3 / 4];
    let damaged = (bytes.len() / 4096 + 1..=WHOLE.bytes.len() / 4096).collect();
    judge("truncated to 75 %", 55.0, 0, &[score(bytes, Some(&damaged))]);
}

#[test]
fn every_page_size_is_guessed_and_every_encoding_is_read() {
    for size in (9..=16).map(|bits| 1 << bits) {
        for encoding in ["UTF-16le", "UTF-16be", "UTF-8"] {
            let settings = format!("PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}';");
            let (mut bytes, truth) = small(&settings, |_| {});
            let (rows, report) = walk(&bytes, None, &tables());
            assert!(is(&rows, &truth), "{size} {encoding}");
            assert!(report.page_size == size && report.unreadable.is_empty(), "{report:?}");
            if encoding == "UTF-8" {
                bytes[..100].fill(0);
                let (rows, report) = walk(&bytes, None, &tables());
                assert_eq!(report.page_size, size);
                assert!(is(&rows, &truth), "{size}");
            }
        }
    }
}

/// Two tables of the same shape, and one that got a column later.
#[test]
fn shapes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shapes.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "CREATE TABLE cats (name text NOT NULL, legs integer NOT NULL);
         CREATE TABLE dogs (name text NOT NULL, legs integer NOT NULL);
         CREATE TABLE owls (name text NOT NULL);
         INSERT INTO cats VALUES ('Tom', 4), ('Kit', 3); INSERT INTO dogs VALUES ('Rex', 4);
         INSERT INTO owls VALUES ('Hoot'); ALTER TABLE owls ADD COLUMN seen text; INSERT INTO owls VALUES ('Ula', 'may');",
    )
    .unwrap();
    drop(db);
    let mut bytes = std::fs::read(&path).unwrap();
    let mut owls = table("owls", Key::Rowid, "name:t! seen:t");
    owls.fewest = 1;
    let tables = [table("cats", Key::Rowid, "name:t! legs:i!"), table("dogs", Key::Rowid, "name:t! legs:i!"), owls];
    let (rows, _) = walk(&bytes, None, &tables);
    let owls: Vec<_> = rows.iter().filter(|row| row.table == 2).map(|row| row.values.clone()).collect();
    assert_eq!(owls, [vec![Value::Text("Hoot".into())], vec![Value::Text("Ula".into()), Value::Text("may".into())]]);
    bytes[100..4096].fill(0xee);
    let (rows, report) = walk(&bytes, None, &tables);
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row.table == 2 && row.origin == Origin::Orphan));
    let places: Vec<_> = report.ambiguous.iter().map(|ambiguous| (ambiguous.page, &*ambiguous.tables)).collect();
    assert_eq!(places, [(2, &[0, 1][..]), (3, &[0, 1])]);
    let mut pages = Pages::open(Cursor::new(&bytes[..]), None, &tables).unwrap();
    let mut names = Vec::new();
    let Ok(found) = pages.read_as(2, 0, |row| {
        names.push((row.table, row.rowid, row.values[0].clone()));
        Ok::<_, Infallible>(())
    });
    assert_eq!(names, [(0, Some(1), Value::Text("Tom".into())), (0, Some(2), Value::Text("Kit".into()))]);
    assert_eq!((found.rows, found.damaged), (2, 0));
}

#[test]
fn deleted_rows_do_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deleted.db");
    let mut db = create(&path, "PRAGMA secure_delete = OFF;");
    fill(&mut db, &mut ChaCha8Rng::seed_from_u64(3), 600);
    db.execute_batch(
        "DELETE FROM ledger; DELETE FROM rankings WHERE user_id % 2; DELETE FROM picks WHERE number > 300;",
    )
    .unwrap();
    let truth = truth(&db, &tables());
    let free: usize = db.query_row("PRAGMA freelist_count", [], |row| row.get::<_, i64>(0)).unwrap() as usize;
    drop(db);
    let whole = std::fs::read(&path).unwrap();
    let mut headless = whole.clone();
    headless[..100].fill(0);
    let mut garbled = whole.clone();
    garbage(&mut garbled, &mut ChaCha8Rng::seed_from_u64(4), 1);
    for (name, bytes) in [("whole", whole), ("headless", headless), ("garbled", garbled)] {
        let (rows, report) = walk(&bytes, None, &tables());
        let live: HashSet<_> = rows.iter().filter(|row| row.origin < Origin::Free).map(key).collect();
        assert!(live == truth.keys().cloned().collect(), "{name}");
        assert_eq!(report.freelist, name == "whole");
        assert!(free > 100 && report.tables[3].free_rows > 1_000 && report.tables[3].rows == 0, "{free} {report:?}");
    }
}

/// A log with three commits that is not checkpointed: file, log, and what was true after each commit.
fn logged() -> (Vec<u8>, Vec<u8>, Vec<(Rows, u64)>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logged.db");
    let wal = dir.path().join("logged.db-wal");
    let mut db = create(&path, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;");
    fill(&mut db, &mut ChaCha8Rng::seed_from_u64(5), 300);
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut states = vec![(truth(&db, &tables()), 0)];
    for commit in 1..=3 {
        db.execute("UPDATE users SET total_points = total_points + 1000000, time_zone = ?", [format!("zone {commit}")])
            .unwrap();
        states.push((truth(&db, &tables()), (std::fs::metadata(&wal).unwrap().len() - 32) / (4096 + 24)));
    }
    (std::fs::read(&path).unwrap(), std::fs::read(&wal).unwrap(), states)
}

fn is(rows: &[Row], truth: &Rows) -> bool {
    rows.iter().map(key).collect::<HashSet<_>>() == truth.keys().cloned().collect()
}

#[test]
fn the_log_wins_up_to_its_last_trusted_commit() {
    let (file, log, states) = logged();
    let (rows, report) = walk(&file, Some(&log), &tables());
    let all = states[3].1;
    assert_eq!(report.wal, Some(Wal { header: true, used: all, unused: 0, stale: 0 }));
    assert!(is(&rows, &states[3].0));
    let (rows, report) = walk(&file, None, &tables());
    assert!(is(&rows, &states[0].0) && report.wal.is_none());

    for seed in 0..20 {
        println!("seed {seed}");
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // cut
        let length = rng.random_range(32..log.len());
        let frames = (length as u64 - 32) / 4120;
        let (truth, used) = states.iter().rfind(|(_, used)| *used <= frames).unwrap();
        let (rows, report) = walk(&file, Some(&log[..length]), &tables());
        assert!(is(&rows, truth));
        let wal = report.wal.unwrap();
        assert!(wal.used == *used && wal.unused - (frames - used) <= 1, "{wal:?}");
        // one bit
        let mut flipped = log.clone();
        let at = rng.random_range(32..log.len());
        flipped[at] ^= 1 << rng.random_range(0..8);
        let (truth, used) = states.iter().rfind(|(_, used)| *used <= (at as u64 - 32) / 4120).unwrap();
        let (rows, report) = walk(&file, Some(&flipped), &tables());
        assert!(is(&rows, truth));
        let wal = report.wal.unwrap();
        assert_eq!((wal.used, wal.unused + wal.stale), (*used, all - used));
        // the header of the log
        let mut headless = log.clone();
        headless[rng.random_range(0..32)] ^= 1 << rng.random_range(0..8);
        let (rows, report) = walk(&file, Some(&headless), &tables());
        assert!(is(&rows, &states[0].0) && report.wal == Some(Wal::default()));
    }
}

#[test]
fn frames_of_an_earlier_log_are_stale_and_the_log_alone_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stale.db");
    let mut db = create(&path, "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;");
    fill(&mut db, &mut ChaCha8Rng::seed_from_u64(6), 100);
    let before = truth(&db, &tables());
    let log = std::fs::read(dir.path().join("stale.db-wal")).unwrap();
    let (rows, report) = walk(&[], Some(&log), &tables());
    assert!(is(&rows, &before) && report.header && report.wal.unwrap().unused == 0);
    db.execute_batch("PRAGMA wal_checkpoint(RESTART); DELETE FROM users WHERE last_seq = 3;").unwrap();
    let after = truth(&db, &tables());
    let log = std::fs::read(dir.path().join("stale.db-wal")).unwrap();
    let (rows, report) = walk(&std::fs::read(&path).unwrap(), Some(&log), &tables());
    let wal = report.wal.unwrap();
    assert!(wal.used > 0 && wal.unused == 0 && wal.stale > 0, "{wal:?}");
    assert!(is(&rows, &after));
}

#[test]
fn the_caller_can_stop() {
    let mut pages = Pages::open(Cursor::new(&WHOLE.bytes[..]), None, &tables()).unwrap();
    let mut left = 10;
    let stopped = pages.walk(|_| {
        left -= 1;
        if left == 0 { Err("enough") } else { Ok(()) }
    });
    assert_eq!(stopped, Err("enough"));
}

#[test]
fn a_file_is_read_and_small_ones_are_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("copy.db");
    std::fs::write(&path, &WHOLE.bytes).unwrap();
    let mut pages = Pages::open(File::open(&path).unwrap(), None, &tables()).unwrap();
    let mut rows = 0;
    let report = pages
        .walk(|_| {
            rows += 1;
            Ok::<_, io::Error>(())
        })
        .unwrap();
    assert_eq!(rows, WHOLE.rows.len());
    assert_eq!(report.tables[0].rows, 3_100);
    for length in [0, 1, 15, 99, 100, 107, 108, 511, 512, 4095] {
        walk(&WHOLE.bytes[..length], Some(&WHOLE.bytes[..length]), &tables());
    }
    walk(&[], None, &[]);
}

#[test]
fn a_damaged_cell_costs_one_row() {
    let (mut bytes, truth) = small("", |_| {});
    let (rows, _) = walk(&bytes, None, &tables());
    let page = rows.iter().find(|row| row.table == 0).unwrap().page as usize;
    let start = (page - 1) * 4096;
    let pointer = |cell: usize| start + 8 + 2 * cell;
    let cell = start + usize::from(u16::from_be_bytes([bytes[pointer(3)], bytes[pointer(3) + 1]]));
    // the length of a row, and pointers: out of the page, into the header, to another row's cell
    bytes[cell] ^= 1;
    bytes[pointer(5)..pointer(5) + 2].copy_from_slice(&[0xff, 0xff]);
    bytes[pointer(6)..pointer(6) + 2].copy_from_slice(&[0, 9]);
    let other = [bytes[pointer(8)], bytes[pointer(8) + 1]];
    bytes[pointer(7)..pointer(7) + 2].copy_from_slice(&other);
    let (found, report) = walk(&bytes, None, &tables());
    let found: HashSet<_> = found.iter().map(key).collect();
    assert_eq!(rows.iter().filter(|row| !found.contains(&key(row))).count(), 4);
    assert!(found.iter().all(|row| truth.contains_key(row)));
    // a cell that two pointers lead to is one cell
    assert_eq!(report.tables[0].damaged, 3);
}

#[test]
fn chains_that_lead_nowhere_cost_their_rows() {
    let (whole, truth) = small("PRAGMA page_size = 512;", |_| {});
    let trees: HashSet<_> = walk(&whole, None, &tables()).0.iter().map(|row| row.page as usize).collect();
    for seed in 0..4 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = whole.clone();
        let pages = bytes.len() / 512;
        for page in 2..=pages {
            let start = (page - 1) * 512;
            // the last one only at the end of its chain
            let is_last = bytes[start..start + 4] == [0; 4];
            if !trees.contains(&page) && bytes[start] == 0 && (seed < 3 || is_last) {
                let next = [page, rng.random_range(1..=pages), pages + 1, page + 1][seed as usize];
                bytes[start..start + 4].copy_from_slice(&(next as u32).to_be_bytes());
            }
        }
        let (rows, report) = walk(&bytes, None, &tables());
        let found: HashSet<_> = rows.iter().map(key).collect();
        assert!(found.iter().all(|row| truth.contains_key(row)));
        assert!(truth.keys().all(|row| row.1.len() > 300 || found.contains(row)));
        assert!(found.iter().all(|row| row.1.len() < 700), "no chain has a right end");
        let damaged: u64 = report.tables.iter().map(|table| table.damaged).sum();
        assert_eq!(damaged as usize, truth.len() - found.len(), "seed {seed}");
        assert!(damaged > 5 && report.unreadable.len() > 50, "{report:?}");
    }
}

#[test]
fn roots_that_lead_astray_hide_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("astray.db");
    let mut db = create(&path, "");
    fill(&mut db, &mut ChaCha8Rng::seed_from_u64(9), 150);
    let truth = truth(&db, &tables());
    let root = "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = ?) WHERE name = ?";
    db.execute_batch("PRAGMA writable_schema = ON").unwrap();
    for (from, to) in [("picks", "sqlite_autoindex_questions_1"), ("ledger", "users"), ("rankings", "challenges")] {
        db.execute(root, [from, to]).unwrap();
    }
    drop(db);
    assert!(is(&walk(&std::fs::read(&path).unwrap(), None, &tables()).0, &truth));
}

/// A page of 380 cells of 1,000 bytes, each a few bytes behind the one before.
#[test]
fn cells_that_overlap_do_not_multiply_a_page() {
    let mut bytes = [0x87, 0x6b, 1, 3, 0x8f, 0x5c, 0, 0].repeat(1024);
    bytes[..4096].fill(0);
    bytes[4096..4104].copy_from_slice(&[13, 0, 0, 1, 124, 0, 0, 0]);
    for cell in 0..380_usize {
        let at = 4096 + 8 + 2 * cell;
        bytes[at..at + 2].copy_from_slice(&(776 + 8 * cell as u16).to_be_bytes());
    }
    let table = table("blobs", Key::Rowid, "bytes:b!");
    let (rows, report) = walk(&bytes, None, std::slice::from_ref(&table));
    assert_eq!((rows.len(), report.tables[0].damaged), (4, 376));
}

/// Pages on which everything points everywhere.
#[test]
fn a_hostile_file_takes_no_longer_than_its_size() {
    for size in [512, 4096, 65_536_usize] {
        let mut rng = ChaCha8Rng::seed_from_u64(size as u64);
        let mut bytes = Vec::new();
        while bytes.len() < 4 << 20 {
            let mut page: Vec<u8> = (0..size).map(|_| [1, 2, 3, 9, 13, 12, 0, 25][rng.random_range(0..8)]).collect();
            page[..8].copy_from_slice(&[[13, 13, 5, 10, 2, 0][rng.random_range(0..6)], 0, 0, 0xff, 0xff, 0, 0, 0]);
            for at in (8..size / 2).step_by(2) {
                let pointer = rng.random_range(size / 2..size) as u16;
                page[at..at + 2].copy_from_slice(&pointer.to_be_bytes());
            }
            bytes.extend(page);
        }
        bytes[..100].copy_from_slice(&WHOLE.bytes[..100]);
        bytes[16..18].copy_from_slice(&(if size == 65_536 { 1 } else { size as u16 }).to_be_bytes());
        let began = Instant::now();
        let (rows, report) = walk(&bytes, None, &tables());
        assert_eq!(report.page_size, size);
        println!("FIGURE hostile, pages of {size}: {:?}, {} rows", began.elapsed(), rows.len());
        assert!(began.elapsed().as_secs() < 30 && rows.len() < bytes.len() / 4);
    }
}

#[test]
fn no_bytes_make_it_panic_or_hang() {
    let (file, log, _) = logged();
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small.db");
    let mut db = create(&small, "PRAGMA page_size = 512; PRAGMA secure_delete = OFF;");
    fill(&mut db, &mut ChaCha8Rng::seed_from_u64(8), 40);
    db.execute_batch("DELETE FROM rankings").unwrap();
    drop(db);
    let small = std::fs::read(small).unwrap();
    let mut slowest = std::time::Duration::ZERO;
    for seed in 0..200 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (mut bytes, mut log) = match seed % 4 {
            0 | 1 => (small.clone(), None),
            2 => (file[..8 * 4096].to_vec(), Some(log[..32 + 6 * 4120].to_vec())),
            _ => {
                let mut noise = vec![0; rng.random_range(0..40_000)];
                rng.fill(&mut noise[..]);
                for page in noise.chunks_mut(1024) {
                    page[0] = [2, 5, 10, 13][rng.random_range(0..4)];
                }
                (noise, None)
            }
        };
        for _ in 0..rng.random_range(0..300) {
            if bytes.is_empty() {
                break;
            }
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..6) {
                0 => bytes[at] = rng.random(),
                1 => bytes[at] ^= 1 << rng.random_range(0..8),
                2 => bytes[at] = 0xff,
                // headers of pages and the beginnings of overflow pages
                3 => {
                    let at = (at / 512 * 512 + rng.random_range(0..12)).min(bytes.len() - 1);
                    bytes[at] = rng.random();
                }
                4 => {
                    let from = rng.random_range(0..bytes.len());
                    let length = rng.random_range(0..600).min(bytes.len() - at.max(from));
                    bytes.copy_within(from..from + length, at);
                }
                _ => bytes.truncate(bytes.len() - rng.random_range(0..30).min(bytes.len())),
            }
        }
        if let Some(log) = &mut log {
            let at = rng.random_range(0..log.len());
            log[at] ^= rng.random::<u8>();
        }
        let began = Instant::now();
        let walked = std::panic::catch_unwind(|| walk(&bytes, log.as_deref(), &tables()));
        assert!(walked.is_ok(), "seed {seed}");
        slowest = slowest.max(began.elapsed());
        assert!(began.elapsed().as_secs() < 10, "seed {seed}");
    }
    println!("slowest {slowest:?}");
}
