//! The quick fault matrix: what `cargo xtask faults --quick` runs, without building it once more.

use std::fs;
use std::process::Command;

use serde_json::Value as Json;

#[test]
#[ignore = "a step of its own in `cargo xtask test`"]
fn the_quick_matrix_holds_and_its_controls_are_caught() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.json");
    let status = Command::new(env!("CARGO_BIN_EXE_faults")).arg("--quick").arg("--json").arg(&file).status().unwrap();
    assert!(status.success(), "a row failed, see above; each case says how to run it again");
    let report: Json = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let rows = report["rows"].as_array().unwrap();
    assert!(rows.len() > 35, "{} rows", rows.len());
    for row in rows.iter().filter(|row| row["skipped"].is_null()) {
        assert!(row["cases"].as_u64().unwrap() > 0, "{row}");
        assert_eq!(row["nature"] == "control", row["harmed"].as_u64().unwrap() > 0, "{row}");
    }
    if std::env::var_os("TRIVIA_TEST_REQUIRE_ALL").is_some() {
        let skipped: Vec<_> = rows.iter().filter(|row| !row["skipped"].is_null()).map(|row| &row["row"]).collect();
        assert!(skipped.is_empty(), "not run: {skipped:?}");
    }
    // these need no means that a machine may lack
    for control in ["c-normal-cut", "c-lie-cut", "c-deleted", "c-changed", "c-forged", "c-refused"] {
        assert!(rows.iter().any(|row| row["row"] == control && row["skipped"].is_null()), "{control}");
    }
}
