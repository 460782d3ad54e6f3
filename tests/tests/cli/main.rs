//! `trivia-db` from outside: what it prints, how it ends, what it leaves behind.

mod bench;
mod challenges;
mod commands;
mod faults;
mod games;
mod people;
mod recover;
mod rules;
mod serve;
mod settings;
