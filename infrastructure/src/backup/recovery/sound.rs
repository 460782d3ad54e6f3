//! Whether our models can read a salvaged row: a flipped bit in a text would stop whoever reads it later.

use sea_orm::{FromQueryResult, QueryResult};
use trivia_domain::model::{Language, QuestionContent, TimeZone, UserProfile, Weekday};
use trivia_domain::{StoreError, StoreResult};

use crate::entity::{
    achievement_definitions, challenge_questions, challenges, closed_periods, erasures, game_sessions, ledger, merges,
    pack_questions, packs, picks, question_counters, question_reports, question_tags, question_versions, questions,
    rule_book, session_questions, users,
};
use crate::error::{During, bad_row};
use crate::repository::rows;

/// What is wrong with a row of a table, if anything is.
pub(super) fn sound(table: &str, row: &QueryResult) -> StoreResult<()> {
    match table {
        "achievement_definitions" => rows::revision(read::<achievement_definitions::Model>(row)?).map(drop),
        "challenge_questions" => rows::challenge_question(read::<challenge_questions::Model>(row)?).map(drop),
        "challenges" => read::<challenges::Model>(row).map(drop),
        "closed_periods" => rows::closing(read::<closed_periods::Model>(row)?).map(drop),
        "erasures" => read::<erasures::Model>(row).map(drop),
        "game_sessions" => rows::session(read::<game_sessions::Model>(row)?, Vec::new()).map(drop),
        "ledger" => rows::ledger_entry(read::<ledger::Model>(row)?).map(drop),
        "merges" => read::<merges::Model>(row).map(drop),
        "pack_questions" => read::<pack_questions::Model>(row).map(drop),
        "packs" => rows::pack(read::<packs::Model>(row)?).map(drop),
        "picks" => read::<picks::Model>(row).map(drop),
        "question_counters" => read::<question_counters::Model>(row).map(drop),
        "question_reports" => rows::report(read::<question_reports::Model>(row)?).map(drop),
        "question_tags" => rows::tag(&read::<question_tags::Model>(row)?).map(drop),
        "question_versions" => {
            let row: question_versions::Model = read(row)?;
            let content = serde_json::from_value::<QuestionContent>(row.content);
            content.map(drop).map_err(|error| bad_row("question_versions", row.question_id, error))
        }
        "questions" => {
            let row: questions::Model = read(row)?;
            let content = rows::content(&row)?;
            // the keys are digests of the content: they vouch for all of it that identifies the question
            let is_whole = content.content_key().0[..] == row.content_key && content.stem_key().0[..] == row.stem_key;
            if is_whole { Ok(()) } else { Err(bad_row("questions", row.id, "its keys are not those of its content")) }
        }
        "rule_book" => {
            let row: rule_book::Model = read(row)?;
            let bad = |error: StoreError| bad_row("rule_book", row.id, error);
            row.zone.parse::<TimeZone>().map_err(bad)?;
            row.week_start.parse::<Weekday>().map_err(bad)?;
            row.challenge_language.map(|language| Language::new(&language)).transpose().map(drop).map_err(bad)
        }
        "session_questions" => read::<session_questions::Model>(row).map(drop),
        "users" => UserProfile::try_from(read::<users::Model>(row)?).map(drop),
        // of the original, and without a model
        _ => Ok(()),
    }
}

fn read<M: FromQueryResult>(row: &QueryResult) -> StoreResult<M> {
    M::from_query_result(row, "").during("reading a salvaged row")
}
