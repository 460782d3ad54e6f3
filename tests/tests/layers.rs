//! The layer rule, over the real dependency graph.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

struct Graph {
    names: BTreeMap<String, String>,
    edges: BTreeMap<String, Vec<String>>,
    versions: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--locked", "--all-features"])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (mut names, mut versions) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<_>>::new());
        for package in metadata["packages"].as_array().unwrap() {
            names.insert(text(&package["id"]), text(&package["name"]));
            versions.entry(text(&package["name"])).or_default().insert(text(&package["version"]));
        }
        let edges = metadata["resolve"]["nodes"].as_array().unwrap().iter().map(|node| {
            // what only tests of a crate use does not count
            let normal = |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
            let to = node["deps"].as_array().unwrap().iter().filter(normal).map(|dep| text(&dep["pkg"])).collect();
            (text(&node["id"]), to)
        });
        Self { edges: edges.collect(), names, versions }
    }

    /// Names of everything that a crate reaches.
    fn reached_from(&self, name: &str) -> BTreeSet<&str> {
        let start = self.names.iter().find(|(_, found)| *found == name).unwrap().0;
        let (mut open, mut seen) = (vec![start], BTreeSet::new());
        while let Some(id) = open.pop() {
            for next in &self.edges[id] {
                if seen.insert(next.as_str()) {
                    open.push(next);
                }
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

#[test]
fn the_domain_reaches_no_orm_no_driver_and_no_runtime() {
    let graph = Graph::read();
    let reached = graph.reached_from("trivia-domain");
    for forbidden in ["sea-orm", "sea-query", "sqlx", "sqlx-core", "libsqlite3-sys", "tokio", "trivia-infrastructure"] {
        assert!(!reached.contains(forbidden), "trivia-domain reaches {forbidden}");
    }
    // the test can fail: the adapter does reach them
    assert!(graph.reached_from("trivia-infrastructure").contains("sea-orm"));
}

#[test]
fn the_app_names_no_orm() {
    let manifest = include_str!("../../app/Cargo.toml");
    assert!(!manifest.contains("sea-orm"), "the app must speak to ports, not to the ORM");
}

#[test]
fn one_sqlite_is_linked_and_it_is_a_good_one() {
    let graph = Graph::read();
    let versions = &graph.versions["libsqlite3-sys"];
    assert_eq!(versions.len(), 1, "two SQLite in one process drop each other's locks: {versions:?}");
    let minor: u32 = versions.first().unwrap().split('.').nth(1).unwrap().parse().unwrap();
    assert!(minor >= 37, "libsqlite3-sys {versions:?} bundles a SQLite with the WAL-reset defect");
}
