//! `trivia-db` from outside: what it prints, how it ends, what it leaves behind.

mod bench;
mod commands;
mod faults;
mod games;
mod settings;
