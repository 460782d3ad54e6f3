//! Rows as SeaORM sees them: they never leave this crate.
#![allow(missing_docs, unreachable_pub, reason = "the columns are described in the migrations; the macros want `pub`")]

pub(crate) mod achievement_definitions;
pub(crate) mod challenge_attempts;
pub(crate) mod challenge_questions;
pub(crate) mod challenges;
pub(crate) mod closed_periods;
pub(crate) mod erasures;
pub(crate) mod game_sessions;
pub(crate) mod ledger;
pub(crate) mod live_sessions;
pub(crate) mod maintenance_runs;
pub(crate) mod merges;
pub(crate) mod pack_questions;
pub(crate) mod packs;
pub(crate) mod picks;
pub(crate) mod quarantine;
pub(crate) mod question_counters;
pub(crate) mod question_groups;
pub(crate) mod question_reports;
pub(crate) mod question_tags;
pub(crate) mod question_versions;
pub(crate) mod questions;
pub(crate) mod rankings;
pub(crate) mod rule_book;
pub(crate) mod score_counts;
pub(crate) mod session_questions;
pub(crate) mod unprojected;
pub(crate) mod user_achievements;
pub(crate) mod user_tallies;
pub(crate) mod users;
