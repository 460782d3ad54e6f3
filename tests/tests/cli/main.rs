//! `trivia-db` from outside: what it prints, how it ends, what it leaves behind.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole crate is test code")]

mod bench;
mod commands;
mod faults;
mod games;
mod settings;
