//! The trivia game itself: models, rules and the ports that a storage layer must offer.
//!
//! This crate does no I/O and knows no runtime and no ORM. A game-logic service depends on it alone:
//!
//! - [`model`]: entities and value objects; an invalid value cannot be built.
//! - [`play`]: the rules of the game and the pure fold that turns facts into profiles, streaks,
//!   rankings and achievements. Every store uses this one.
//! - [`ports`]: the traits that adapters implement, each with its promises.
//! - `mock` (feature): mockall mocks of every port, a hand-written unit of work for tests, and
//!   `memory`, a complete store without a database.
//!
//! ```
//! use trivia_domain::model::{Difficulty, Question, QuestionContent};
//!
//! let content: QuestionContent = serde_json::from_str(
//!     r#"{"kind":"true_false","category":"Science","difficulty":"easy",
//!         "question":"Water boils at a lower temperature on a high mountain.","answer":true}"#,
//! )?;
//! assert_eq!(content.difficulty(), Difficulty::Easy);
//! assert_eq!(content.base_points().get(), 10);
//! # Ok::<(), serde_json::Error>(())
//! ```
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod error;
#[cfg(feature = "mock")]
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
pub mod model;
pub mod play;
pub mod ports;

pub use error::{Refusal, StoreError, StoreResult};
