//! The importers of `trivia-db`, for its command line, for other programs and for fuzzers.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod importers;
