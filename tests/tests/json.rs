//! Every model survives its JSON form.

use std::fmt::Debug;

use serde_json::{Value, json};
use trivia_domain::model::{
    AchievementId, AnswerFact, BackupManifest, Board, Cursor, DayKey, Difficulty, Fact, GameSession, Given,
    LedgerEntry, OpeningBalance, Period, PeriodScore, Points, Receipt, Tally, UserAchievement, UserProfile,
    WeeklyRanking,
};
use trivia_domain::play::Catalog;

fn survives<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(value: Value) -> T {
    let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"));
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written, value);
    assert_eq!(serde_json::from_value::<T>(written).unwrap(), read);
    read
}

const AT: &str = "2026-03-04T12:00:00.000001Z";
const ID: &str = "019575d0-0000-7000-8000-000000000001";

#[test]
fn every_model_survives_json() {
    survives::<UserProfile>(json!({
        "user_id": "9223372036854775807", "last_seq": 3, "total_points": 30, "points_reached_at": AT,
        "questions_answered": 2, "questions_correct": 1, "current_streak": 0, "best_streak": 1, "day_streak": 1,
        "best_day_streak": 1, "last_day": "2026-03-04", "last_played": AT, "preferred_difficulty": "hard",
        "daily_challenges": 0, "weekly_challenges": 0, "daily_challenge_completed": null,
        "weekly_challenge_completed": null, "created_at": AT,
    }));
    survives::<GameSession>(json!({
        "id": ID, "channel_id": "0", "host": "1", "kind": "daily", "status": "live", "time_limit": 30_000,
        "questions": [{"question_id": "7", "version": 1, "opened_at": AT}], "position": 0, "started_at": AT,
        "ended_at": null,
    }));
    survives::<UserAchievement>(json!({
        "user_id": "1", "achievement_id": "hot_streak", "seq": 5, "unlocked_at": AT, "bonus": 50,
    }));
    survives::<WeeklyRanking>(json!({"user_id": "1", "week_start": "2026-03-02", "points": 10, "rank": 1}));
    survives::<Receipt>(json!({
        "user_id": "1", "key": ID, "seq": 1, "at": AT, "correct": true, "points": 10, "total_points": 10, "streak": 1,
        "unlocked": ["hot_streak"],
    }));
    survives::<PeriodScore>(json!({"tally": {"answered": 2, "correct": 1, "points": 10}, "reached_at": AT}));
    survives::<BackupManifest>(json!({
        "format": 1, "id": "trivia_manual_1", "kind": "pre_restore", "reason": "", "sequence": 1, "created_at": AT,
        "tool": "t", "schema_version": "m", "bytes": 1, "sha256": "0", "rows": {"users": 1},
    }));
    for given in [json!({"choice": 2}), json!({"truth": false}), json!({"text": "Pelé"})] {
        survives::<Given>(given);
    }
    let catalog = serde_json::to_value(Catalog::default().definitions()).unwrap();
    survives::<Vec<trivia_domain::model::AchievementDefinition>>(catalog);
}

#[test]
fn every_fact_survives_json() {
    let answer: AnswerFact = survives(json!({
        "session_id": ID, "session_kind": "normal", "question_id": "7", "question_version": 2, "difficulty": "easy",
        "category": "Nature", "given": {"choice": 0}, "correct": true, "points": 10, "rule_version": 1,
        "elapsed_us": 5, "completes_challenge": false,
    }));
    let facts = [
        Fact::Answer(answer),
        Fact::Award { points: Points::small(5), reason: "a gift".to_owned() },
        Fact::Grant { achievement_id: AchievementId::new("hot_streak").unwrap() },
        Fact::Opening(OpeningBalance { preferred_difficulty: Some(Difficulty::Hard), ..Default::default() }),
        Fact::Reset,
    ];
    for fact in facts {
        let entry = json!({
            "user_id": "1", "seq": 1, "key": ID, "at": AT, "day": "2026-03-04", "fact": serde_json::to_value(&fact).unwrap(),
        });
        assert_eq!(survives::<LedgerEntry>(entry).fact, fact);
    }
}

#[test]
fn every_board_and_cursor_survives_json() {
    let day: DayKey = "2026-03-04".parse().unwrap();
    for board in
        [Board::AllTime, Board::of(Period::Day, day), Board::of(Period::Week, day), Board::of(Period::Month, day)]
    {
        survives::<Board>(serde_json::to_value(board).unwrap());
        let cursor =
            Cursor { board, points: Points::small(3), reached_at: AT.parse().unwrap(), user_id: "1".parse().unwrap() };
        survives::<Cursor>(serde_json::to_value(cursor).unwrap());
    }
}

#[test]
fn what_breaks_a_rule_is_not_read() {
    let refused = |result: Result<(), serde_json::Error>| assert!(result.is_err());
    refused(serde_json::from_value::<Points>(json!(-1)).map(drop));
    refused(
        serde_json::from_value::<WeeklyRanking>(
            json!({"user_id": "1", "week_start": "2026-03-03", "points": 1, "rank": null}),
        )
        .map(drop),
    );
    refused(serde_json::from_value::<AchievementId>(json!("Not An Id")).map(drop));
    refused(serde_json::from_value::<Cursor>(json!("week:2026-03-03/1/1/1")).map(drop));
    refused(serde_json::from_value::<Tally>(json!({"answered": -1, "correct": 0, "points": 0})).map(drop));
}
