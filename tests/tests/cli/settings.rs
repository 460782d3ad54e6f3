//! Where settings come from, and what happens to wrong ones.

use crate::bench::{Bench, Ended};

fn database(bench: &Bench, args: &[&str], variables: &[(&str, &str)]) -> String {
    let output = bench.command(args).args(["init", "--json"]).envs(variables.iter().copied()).output().unwrap();
    let ended = Ended(output);
    ended.expect(0).document()["database"].as_str().unwrap().to_owned()
}

#[test]
fn flag_before_environment_before_dotenv_before_file_before_default() {
    let bench = Bench::empty();
    assert_eq!(database(&bench, &[], &[]), "sqlite://data/trivia.db");
    bench.write("trivia.toml", "database_url = \"sqlite://file.db\"\n");
    assert_eq!(database(&bench, &[], &[]), "sqlite://file.db");
    bench.write(".env", "DATABASE_URL=sqlite://dotenv.db\n");
    assert_eq!(database(&bench, &[], &[]), "sqlite://dotenv.db");
    let plain = ("DATABASE_URL", "sqlite://plain.db");
    assert_eq!(database(&bench, &[], &[plain]), "sqlite://plain.db");
    let prefixed = ("TRIVIA_DATABASE_URL", "sqlite://prefixed.db");
    assert_eq!(database(&bench, &[], &[plain, prefixed]), "sqlite://prefixed.db");
    let flag = ["--database-url", "sqlite://flag.db"];
    assert_eq!(database(&bench, &flag, &[plain, prefixed]), "sqlite://flag.db");
}

#[test]
fn an_empty_variable_is_not_set() {
    let bench = Bench::empty();
    assert_eq!(database(&bench, &[], &[("DATABASE_URL", ""), ("TRIVIA_READERS", "")]), "sqlite://data/trivia.db");
}

#[test]
fn flags_may_stand_before_and_after_the_command() {
    let bench = Bench::empty();
    bench.run(["--database-url", "sqlite://x.db", "init"]).expect(0);
    bench.run(["stats", "--database-url", "sqlite://x.db"]).expect(0);
}

#[test]
fn backups_are_beside_the_database_unless_a_folder_is_named() {
    let bench = Bench::empty();
    bench.run(["init", "--database-url", "sqlite://here/x.db"]).expect(0);
    assert!(bench.path("here/backups").is_dir());
    bench.run(["init", "--database-url", "sqlite://there/x.db", "--backup-dir", "copies"]).expect(0);
    assert!(bench.path("copies").is_dir() && !bench.path("there/backups").exists());
}

#[test]
fn a_file_that_is_named_must_exist() {
    let bench = Bench::empty();
    bench.run(["--config", "none.toml", "stats"]).expect_error(1, &["none.toml"]);
    bench.write("other.toml", "database_url = \"sqlite://other.db\"\n");
    assert_eq!(database(&bench, &["--config", "other.toml"], &[]), "sqlite://other.db");
}

#[test]
fn a_typo_is_an_error_that_names_the_key_and_its_place() {
    let bench = Bench::empty();
    let ended = Ended(bench.command(["stats"]).env("TRIVIA_DATABSE_URL", "x").output().unwrap());
    ended.expect_error(1, &["databse_url", "environment"]);
    let ended = Ended(bench.command(["stats"]).env("TRIVIA_LOG__LEVEL", "x").output().unwrap());
    ended.expect_error(1, &["log", "environment"]);
    bench.write("trivia.toml", "bakup_dir = \"x\"\n");
    bench.run(["stats"]).expect_error(1, &["bakup_dir", "trivia.toml"]);
    bench.write("trivia.toml", "durability = \"half\"\n");
    bench.run(["stats"]).expect_error(1, &["half", "trivia.toml"]);
    bench.write("trivia.toml", "readers = \n");
    bench.run(["stats"]).expect_error(1, &["trivia.toml", "line 1"]);
}

#[test]
fn variables_of_the_tests_are_ignored() {
    let bench = Bench::empty();
    assert_eq!(database(&bench, &[], &[("TRIVIA_TEST_REQUIRE_ALL", "1")]), "sqlite://data/trivia.db");
}

#[test]
fn an_engine_that_is_not_built_in_is_refused_without_showing_the_password() {
    let bench = Bench::empty();
    let ended = bench.run(["--database-url", "postgres://me:canary@host/db", "stats"]);
    ended.expect_error(1, &["postgres"]);
    assert!(!ended.stderr().contains("canary"));
}

#[test]
fn logs_are_json_when_asked_for() {
    let bench = Bench::empty();
    let output = bench.command(["init", "-v"]).env("TRIVIA_LOG_FORMAT", "json").output().unwrap();
    let logs = Ended(output).expect(0).stderr();
    assert!(!logs.is_empty());
    for line in logs.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

#[test]
fn without_a_terminal_there_are_no_colours() {
    let bench = Bench::ready();
    for command in [["health", "-vv"], ["play", "--seed=1"], ["migrate", "status"], ["nonsense", "-v"]] {
        let ended = bench.run(command);
        assert!(!ended.stdout().contains('\u{1b}') && !ended.stderr().contains('\u{1b}'), "{command:?}");
    }
}
