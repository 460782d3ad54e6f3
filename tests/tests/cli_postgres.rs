//! The tests of the command line that mean a database of any kind, on a server.

#[path = "cli/bench.rs"]
mod bench;
#[path = "cli/challenges.rs"]
mod challenges;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/games.rs"]
mod games;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/packs.rs"]
mod packs;
#[path = "cli/people.rs"]
mod people;
#[path = "cli/questions.rs"]
mod questions;
#[path = "cli/rules.rs"]
mod rules;
#[path = "cli/serve.rs"]
mod serve;
