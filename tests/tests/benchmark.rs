//! The benchmark runs to its end, at sizes that say nothing about speed. Its peers check in it that they
//! have counted the same as we have.

use std::fs;
use std::process::Command;

use serde_json::Value as Json;

#[test]
fn the_quick_benchmark_measures_every_target() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("targets.json");
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).arg("--quick").arg("--json").arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Json = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(report["machine"].is_object());
    let targets = report["targets"].as_array().unwrap();
    assert!(targets.len() > 15, "{targets:?}");
    for target in targets {
        // a peer that is not there has no ratio
        assert!(target["name"].is_string() && target["target"].is_number(), "{target}");
        assert!(target["ratio"].is_null() || target["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{target}");
    }
}
