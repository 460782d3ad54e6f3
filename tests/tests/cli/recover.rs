//! `recover` on the command line.

use std::fs;

use crate::bench::{Bench, has_fields};

#[test]
fn recover_asks_looks_and_recovers() {
    let bench = Bench::ready();
    bench.run(["simulate", "--players", "5", "--answers", "200"]).expect(0);
    let whole = bench.json(["recover", "--dry-run"]);
    assert_eq!(whole["source"], "nothing");
    bench.json(["backup", "create"]);
    bench.run(["simulate", "--players", "5", "--answers", "100", "--seed", "2"]).expect(0);
    let facts = bench.json(["stats"])["ledger_count"].clone();
    let database = bench.path("data/trivia.db");
    let mut bytes = fs::read(&database).unwrap();
    bytes[..100].fill(0);
    fs::write(&database, &bytes).unwrap();

    bench.run(["recover"]).expect_error(2, &["confirmation", "--yes"]);
    bench.run(["stats"]).expect_error(1, &["damaged", "trivia-db recover"]);
    let look = bench.command(["recover", "--dry-run", "--json"]).output().unwrap();
    let look = crate::bench::Ended(look);
    assert_eq!(look.expect(3).document()["source"], "backup");
    assert_eq!(fs::read(&database).unwrap(), bytes);

    let ended = bench.run(["recover", "--yes"]);
    let text = ended.expect(0).stdout();
    for word in ["ledger", "rescued", "From backup", "The way back"] {
        assert!(text.contains(word), "{word:?} is not in:\n{text}");
    }
    assert_eq!(bench.json(["stats"])["ledger_count"], facts);
    assert_eq!(bench.json(["recover", "--yes"])["source"], "nothing");

    fs::write(&database, &bytes).unwrap();
    let report = bench.json(["recover", "--yes"]);
    has_fields(
        &report,
        &["source", "rescued", "lost", "quarantined", "tables", "forensics", "set_aside", "new_backup"],
    );
    assert_eq!(report["new_backup"]["kind"], "recovered");
    // the evidence outlives the backups
    bench.json(["backup", "prune", "--keep", "1"]);
    assert!(fs::read_dir(report["forensics"].as_str().map(|path| bench.path(path)).unwrap()).unwrap().count() > 1);
}
