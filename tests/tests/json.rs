//! Every model survives its JSON form.

use std::fmt::Debug;

use serde_json::{Value, json};
use trivia_domain::model::{
    AchievementDefinition, AchievementId, AdoptionReport, AnswerFact, BackupManifest, Badge, Board, Calendar,
    Challenge, ChallengeAttempt, ChallengeId, ChallengeKind, Closing, Cursor, DayKey, Difficulty, Fact, GameSession,
    Given, InChallenge, Labels, LedgerEntry, OpeningBalance, OriginalBackup, OriginalExport, Pack, Period, PeriodScore,
    PersonalRecord, Points, QuestionReport, Receipt, RecoveryReport, ReportReason, Tally, TimeZone, UserAchievement,
    UserProfile, Weekday, WeeklyRanking,
};
use trivia_domain::play::{Catalog, Revision, RuleBook};
use trivia_domain::ports::{ListedPack, QuestionFilter, ReportedQuestion};

fn survives<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + Debug>(value: Value) -> T {
    let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"));
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written, value);
    assert_eq!(serde_json::from_value::<T>(written).unwrap(), read);
    read
}

const AT: &str = "2026-03-04T12:00:00.000001Z";
const ID: &str = "019575d0-0000-7000-8000-000000000001";

fn profile(user_id: &str) -> Value {
    json!({
        "user_id": user_id, "last_seq": 3, "total_points": 30, "points_reached_at": AT,
        "questions_answered": 2, "questions_correct": 1, "current_streak": 0, "best_streak": 1, "day_streak": 1,
        "best_day_streak": 1, "last_day": "2026-03-04", "last_played": AT, "preferred_difficulty": "hard",
        "daily_challenges": 0, "weekly_challenges": 0, "daily_challenge_completed": null,
        "weekly_challenge_completed": null, "time_zone": "Atlantic/Reykjavik", "created_at": AT,
    })
}

fn session() -> Value {
    json!({
        "id": ID, "channel_id": "0", "host": "1", "challenge": null, "status": "live", "time_limit": 30_000,
        "questions": [{"question_id": "7", "version": 1, "opened_at": AT}], "position": 0, "started_at": AT,
        "ended_at": null,
    })
}

fn attempt() -> Value {
    json!({
        "user_id": "1", "challenge": {"kind": "weekly", "starts_on": "2026-03-01"}, "size": 5,
        "answers": [{"question_id": "7", "correct": true, "points": 90}], "completed_at": null,
    })
}

fn report(settled: Value) -> Value {
    json!({
        "id": "3", "question_id": "7", "version": 2, "user_id": "1", "reason": "wrong_answer", "note": "It is a.",
        "reported_at": AT, "settled": settled,
    })
}

fn definition() -> Value {
    json!({
        "id": "night_owl", "name": "Night Owl", "emoji": "🦉", "category": "accuracy",
        "rule": {"rule": "accuracy", "percent": 80, "answered": 100}, "bonus": 5, "hidden": true,
    })
}

#[test]
fn every_model_survives_json() {
    survives::<RecoveryReport>(json!({
        "source": "salvage", "dry_run": false, "problems": ["it is empty"], "backup": null,
        "tables": [{
            "table": "ledger", "base": 0, "salvaged": 3, "merged": 2, "quarantined": 1, "damaged": 1, "placeholders": 1,
            "rows": 3,
        }],
        "rescued": 2, "lost": 1, "quarantined": 1, "unreadable_pages": 4, "forensics": "f", "quarantine": "q",
        "set_aside": "s", "new_backup": null,
    }));
    let odd = json!([{"table": "users", "id": "7", "problem": "odd", "taken": true}]);
    for clock in ["-07:00", "Europe/Berlin"] {
        survives::<AdoptionReport>(json!({
            "database": "d", "users": 1, "questions": 2, "achievements": 3, "rankings": 4, "sessions": 5,
            "clock": clock, "repaired": odd, "original": null, "backup": null,
        }));
    }
    survives::<OriginalExport>(json!({
        "file": "f", "users": 1, "questions": 2, "achievements": 3, "rankings": 4, "sessions": 5, "clock": "UTC",
        "changed": odd,
    }));
    for notes in ["none", "lines", "json", "unreadable"] {
        survives::<OriginalBackup>(json!({
            "path": "p", "kind": "daily", "created_at": null, "bytes": 1, "notes": notes, "rows": {"users": 1},
            "ok": false, "problems": ["cut"],
        }));
    }
    survives::<UserProfile>(profile("9223372036854775807"));
    for (host, challenge) in
        [(json!("1"), json!(null)), (json!(null), json!({"kind": "daily", "starts_on": "2026-03-04"}))]
    {
        let mut session = session();
        (session["host"], session["challenge"]) = (host, challenge);
        survives::<GameSession>(session);
    }
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
        "format": 3, "id": "trivia_manual_1", "kind": "pre_restore", "reason": "", "sequence": 1, "created_at": AT,
        "tool": "t", "schema_version": "m", "bytes": 1, "sha256": "0", "rows": {"users": 1}, "content": {"users": "0"},
        "ledger": {"facts": 3, "newest": AT},
        "packed": {"compression": "zstd", "encryption": "age", "bytes": 1, "sha256": "1"},
    }));
    survives::<Labels>(json!({"tags": ["a b", "c#"], "packs": ["opentdb"]}));
    survives::<Pack>(json!({"name": "p"}));
    survives::<ListedPack>(json!({
        "name": "p", "title": "t", "source": "s", "author": "a", "licence": "CC0-1.0", "attribution": "two\nlines",
        "questions": 3,
    }));
    survives::<QuestionFilter>(json!({
        "category": "A", "difficulty": "hard", "kind": "true_false", "language": "is", "tag": "a b", "pack": "p",
    }));
    for given in [json!({"choice": 2}), json!({"truth": false}), json!({"text": "Pelé"})] {
        survives::<Given>(given);
    }
    survives::<Closing>(json!({
        "period": "week", "starts_on": "2026-03-01", "key": ID, "closed_at": AT, "players": 3,
    }));
}

#[test]
fn every_rule_survives_json() {
    survives::<Vec<AchievementDefinition>>(
        serde_json::to_value(Catalog::default().definitions().collect::<Vec<_>>()).unwrap(),
    );
    survives::<AchievementDefinition>(definition());
    survives::<Revision>(json!({"definition": definition(), "retired_at": AT}));
    survives::<TimeZone>(json!("America/Argentina/Buenos_Aires"));
    for week_start in Weekday::ALL {
        survives::<Calendar>(json!({"zone": "UTC", "week_start": week_start.to_string()}));
    }
    let book: RuleBook = survives(json!({
        "catalog": [
            {"definition": definition(), "retired_at": AT},
            {"definition": definition(), "retired_at": null},
        ],
        "calendar": {"zone": "America/New_York", "week_start": "sunday"},
        "challenge_language": "pt-br",
    }));
    assert_eq!(book.catalog.definitions().count(), 1);
    survives::<RuleBook>(serde_json::to_value(RuleBook::default()).unwrap());
}

#[test]
fn every_challenge_survives_json() {
    for kind in ChallengeKind::ALL {
        survives::<ChallengeId>(json!({"kind": kind.to_string(), "starts_on": "2026-03-04"}));
    }
    survives::<Challenge>(json!({
        "id": {"kind": "weekly", "starts_on": "2026-03-02"},
        "questions": [{"question_id": "9223372036854775807", "version": 2}], "created_at": AT,
    }));
    survives::<ChallengeAttempt>(attempt());
    for badge in Badge::ALL {
        survives::<Badge>(json!(badge.to_string()));
    }
}

#[test]
fn every_report_survives_json() {
    for reason in ReportReason::ALL {
        survives::<ReportReason>(json!(reason.to_string()));
    }
    for settled in [json!(null), json!({"outcome": "dismissed", "at": AT})] {
        survives::<QuestionReport>(report(settled));
    }
    survives::<ReportedQuestion>(json!({
        "question_id": "7", "open": 3, "reasons": {"unclear": 2, "other": 1}, "since": AT,
    }));
    let mut long = report(json!(null));
    long["note"] = json!("x".repeat(501));
    assert!(serde_json::from_value::<QuestionReport>(long).is_err());
}

#[test]
fn a_personal_record_survives_json() {
    let entry = json!({
        "user_id": "1", "seq": 1, "key": ID, "at": AT, "day": "2026-03-05", "fact": {"fact": "reset"},
    });
    let receipt = json!({
        "user_id": "1", "key": ID, "seq": 1, "at": AT, "correct": null, "points": 0, "total_points": 0, "streak": 0,
        "unlocked": [],
    });
    let score = json!({"tally": {"answered": 2, "correct": 1, "points": 10}, "reached_at": AT});
    survives::<PersonalRecord>(json!({
        "profile": profile("1"),
        "breakdown": {
            "by_difficulty": {"easy": {"answered": 2, "correct": 1, "points": 10}},
            "by_category": {"Nature": {"answered": 2, "correct": 1, "points": 10}},
            "recent": [{"question_id": "7", "correct": true, "points": 10, "at": AT}],
        },
        "facts": [{"entry": entry, "receipt": receipt}],
        "achievements": [
            {"user_id": "1", "achievement_id": "hot_streak", "seq": 5, "unlocked_at": AT, "bonus": 50},
        ],
        "scores": [
            ["all_time", score],
            [{"period": {"period": "week", "start": "2026-03-01"}}, score],
        ],
        "challenges": [attempt()],
        "sessions": [session()],
        "picks": ["7", "8"],
        "reports": [report(json!(null)), report(json!({"outcome": "accepted", "at": AT}))],
        "originals": ["{}"],
        "exported_at": AT,
    }));
}

#[test]
fn every_fact_survives_json() {
    let answer: AnswerFact = survives(json!({
        "session_id": ID, "question_id": "7", "question_version": 2, "difficulty": "easy",
        "category": "Nature", "given": {"choice": 0}, "correct": true, "points": 10, "rule_version": 1,
        "elapsed_us": 5,
    }));
    let id = ChallengeId { kind: ChallengeKind::Weekly, starts_on: "2026-03-02".parse().unwrap() };
    let in_challenge = AnswerFact { challenge: Some(InChallenge { id, size: 5 }), ..answer.clone() };
    let facts = [
        Fact::Answer(answer),
        Fact::Answer(in_challenge),
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
    let [daily, weekly, monthly] = Period::ALL.map(|period| Calendar::default().board(period, day));
    for board in [Board::AllTime, daily, weekly, monthly] {
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
    refused(serde_json::from_value::<AchievementId>(json!("Not An Id")).map(drop));
    refused(serde_json::from_value::<Cursor>(json!("week:2026-02-30/1/1/1")).map(drop));
    refused(serde_json::from_value::<TimeZone>(json!("Mars/Olympus")).map(drop));
    refused(serde_json::from_value::<Calendar>(json!({"zone": "UTC", "week_start": "someday"})).map(drop));
    refused(serde_json::from_value::<ChallengeId>(json!({"kind": "monthly", "starts_on": "2026-03-01"})).map(drop));
    refused(serde_json::from_value::<Tally>(json!({"answered": -1, "correct": 0, "points": 0})).map(drop));
}
