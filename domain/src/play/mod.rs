//! The rules of the game, in one place.
//!
//! A move comes in as a [`Command`]. The [`WorkingSet`] judges it against what is stored and, when the
//! rules allow it, appends a fact; [`fold()`] turns the fact into the player's new state. The hot write
//! path, the in-memory store and the tests all run this code, so no rule exists twice.

mod achievements;
mod challenges;
mod command;
mod fold;
mod merge;
mod picking;
mod reports;
mod review;
mod rule_book;
mod rules;
mod working_set;

pub use achievements::{Catalog, Revision};
pub use challenges::challenge_picks;
pub use command::{Command, Outcome, Touched};
pub use fold::{Dimension, PlayerState, fold};
pub use merge::{Merged, merge};
pub use picking::{Choice, choose, draw};
pub use reports::unite_reports;
pub use review::{Doubt, Review};
pub use rule_book::RuleBook;
pub use rules::{RULE_VERSION, points_for};
pub use working_set::{Changes, WorkingSet, question_counts};
