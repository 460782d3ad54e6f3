//! `trivia-db` from outside: what it prints, how it ends, what it leaves behind.

mod adopt;
mod bench;
mod challenges;
mod commands;
mod faults;
mod games;
mod import;
mod packs;
mod people;
mod places;
mod questions;
mod recover;
mod rules;
#[path = "../s3_server/mod.rs"]
mod s3_server;
mod serve;
mod settings;
