//! Rows to models and back. A row that the model refuses is reported with its table and id.

use std::fmt::Display;
use std::str::FromStr;

use chrono::NaiveDate;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use trivia_domain::model::{
    AchievementDefinition, AnswerFact, Category, ChallengeAttempt, ChallengeId, ChallengeKind, ChallengeQuestion,
    ChannelId, Closing, ContentKey, DayKey, Fact, GameSession, IdempotencyKey, InChallenge, Language, LedgerEntry,
    Pack, PackPart, PeriodScore, Points, Question, QuestionBody, QuestionContent, QuestionId, QuestionKind,
    QuestionReport, Receipt, ReportId, ReportNote, SessionId, SessionQuestion, Settlement, StemKey, Tag, Tally,
    UserAchievement, UserId, UserProfile,
};
use trivia_domain::play::Revision;
use trivia_domain::{StoreError, StoreResult};

use crate::entity::{
    achievement_definitions, challenge_attempts, challenge_questions, closed_periods, game_sessions, ledger, packs,
    question_counters, question_reports, question_tags, questions, rankings, session_questions, user_achievements,
    user_tallies, users,
};
use crate::error::bad_row;

/// Reads the columns of one row and says which row it was when one is wrong.
struct Row<'a> {
    table: &'static str,
    id: &'a dyn Display,
}

impl Row<'_> {
    fn take<T>(&self, value: StoreResult<T>) -> StoreResult<T> {
        value.map_err(|error| bad_row(self.table, self.id, error))
    }

    fn parse<T: FromStr<Err = StoreError>>(&self, text: &str) -> StoreResult<T> {
        self.take(text.parse())
    }

    fn count(&self, value: i64) -> StoreResult<u64> {
        u64::try_from(value).map_err(|_| bad_row(self.table, self.id, format!("{value} is negative")))
    }

    fn small<T: TryFrom<i64>>(&self, value: i64) -> StoreResult<T> {
        T::try_from(value).map_err(|_| bad_row(self.table, self.id, format!("{value} is out of range")))
    }

    fn json<T: DeserializeOwned>(&self, value: Json) -> StoreResult<T> {
        serde_json::from_value(value).map_err(|error| bad_row(self.table, self.id, error))
    }

    fn challenge(&self, kind: Option<String>, starts_on: Option<NaiveDate>) -> StoreResult<Option<ChallengeId>> {
        match (kind, starts_on) {
            (Some(kind), Some(starts_on)) => {
                Ok(Some(ChallengeId { kind: self.parse(&kind)?, starts_on: DayKey::new(starts_on) }))
            }
            (None, None) => Ok(None),
            _ => Err(bad_row(self.table, self.id, "half a challenge")),
        }
    }

    fn needed<T>(&self, value: Option<T>, column: &str) -> StoreResult<T> {
        value.ok_or_else(|| bad_row(self.table, self.id, format!("{column} is missing")))
    }
}

/// The kind of a session without a challenge.
const NORMAL: &str = "normal";

/// A count as the database keeps it; no count reaches 2^63.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> StoreResult<Json> {
    serde_json::to_value(value).map_err(|error| StoreError::backend("writing JSON", error))
}

impl TryFrom<users::Model> for UserProfile {
    type Error = StoreError;

    fn try_from(row: users::Model) -> StoreResult<Self> {
        let here = Row { table: "users", id: &row.user_id };
        Ok(Self {
            user_id: here.take(UserId::new(row.user_id))?,
            last_seq: here.count(row.last_seq)?,
            total_points: here.take(Points::new(row.total_points))?,
            points_reached_at: row.points_reached_at,
            questions_answered: here.count(row.questions_answered)?,
            questions_correct: here.count(row.questions_correct)?,
            current_streak: here.count(row.current_streak)?,
            best_streak: here.count(row.best_streak)?,
            day_streak: here.count(row.day_streak)?,
            best_day_streak: here.count(row.best_day_streak)?,
            last_day: row.last_day.map(DayKey::new),
            last_played: row.last_played,
            preferred_difficulty: row.preferred_difficulty.as_deref().map(|text| here.parse(text)).transpose()?,
            daily_challenges: here.count(row.daily_challenges)?,
            weekly_challenges: here.count(row.weekly_challenges)?,
            daily_challenge_completed: row.daily_challenge_completed.map(DayKey::new),
            weekly_challenge_completed: row.weekly_challenge_completed.map(DayKey::new),
            time_zone: here.parse(&row.time_zone)?,
            created_at: row.created_at,
        })
    }
}

impl From<&UserProfile> for users::Model {
    fn from(profile: &UserProfile) -> Self {
        Self {
            user_id: profile.user_id.get(),
            last_seq: stored(profile.last_seq),
            total_points: profile.total_points.get(),
            points_reached_at: profile.points_reached_at,
            questions_answered: stored(profile.questions_answered),
            questions_correct: stored(profile.questions_correct),
            current_streak: stored(profile.current_streak),
            best_streak: stored(profile.best_streak),
            day_streak: stored(profile.day_streak),
            best_day_streak: stored(profile.best_day_streak),
            last_day: profile.last_day.map(DayKey::date),
            last_played: profile.last_played,
            preferred_difficulty: profile.preferred_difficulty.map(|level| level.as_str().to_owned()),
            daily_challenges: stored(profile.daily_challenges),
            weekly_challenges: stored(profile.weekly_challenges),
            daily_challenge_completed: profile.daily_challenge_completed.map(DayKey::date),
            weekly_challenge_completed: profile.weekly_challenge_completed.map(DayKey::date),
            time_zone: profile.time_zone.as_str().to_owned(),
            created_at: profile.created_at,
        }
    }
}

/// The content of a row of `questions`.
pub(crate) fn content(row: &questions::Model) -> StoreResult<QuestionContent> {
    let here = Row { table: "questions", id: &row.id };
    let body = match here.parse(&row.question_type)? {
        QuestionKind::MultipleChoice => {
            let options = here.json(here.needed(row.options.clone(), "options")?)?;
            here.take(QuestionBody::choice(options, &row.correct_answer))?
        }
        QuestionKind::TrueFalse => match row.correct_answer.as_str() {
            "true" => QuestionBody::TrueFalse { answer: true },
            "false" => QuestionBody::TrueFalse { answer: false },
            other => return Err(bad_row(here.table, here.id, format!("{other:?} is not true or false"))),
        },
        QuestionKind::FillBlank => {
            let variations = match row.answer_variations.clone() {
                Some(variations) => here.json(variations)?,
                None => Vec::new(),
            };
            QuestionBody::FillBlank { answer: row.correct_answer.clone(), variations }
        }
    };
    let category = here.take(Category::new(&row.category))?;
    let content = here.take(QuestionContent::new(body, &row.question_text, category, here.parse(&row.difficulty)?))?;
    let content = here.take(content.with_explanation(row.explanation.as_deref().unwrap_or_default()))?;
    Ok(content
        .with_points(here.take(Points::new(row.point_value.unwrap_or_default()))?)
        .with_language(here.take(Language::new(&row.language))?))
}

/// A question from its row and its counters.
pub(super) fn question((row, counters): (questions::Model, Option<question_counters::Model>)) -> StoreResult<Question> {
    let here = Row { table: "questions", id: &row.id };
    let (asked, correct) = counters.map_or((0, 0), |counters| (counters.times_asked, counters.times_correct));
    Ok(Question {
        id: here.take(QuestionId::new(row.id))?,
        version: here.small(row.version)?,
        content: content(&row)?,
        times_asked: here.count(asked)?,
        times_correct: here.count(correct)?,
        created_at: row.created_at,
        retired_at: row.retired_at,
    })
}

/// The columns of `questions` that hold the content, whose keys the caller knows; the others are left to the caller.
pub(crate) fn content_columns(
    content: &QuestionContent,
    content_key: ContentKey,
    stem_key: StemKey,
) -> StoreResult<questions::ActiveModel> {
    use sea_orm::ActiveValue::Set;

    let (options, variations) = match content.body() {
        QuestionBody::MultipleChoice { options, .. } => (Some(json(options)?), None),
        QuestionBody::FillBlank { variations, .. } if !variations.is_empty() => (None, Some(json(variations)?)),
        QuestionBody::TrueFalse { .. } | QuestionBody::FillBlank { .. } => (None, None),
    };
    Ok(questions::ActiveModel {
        content_key: Set(content_key.0.to_vec()),
        stem_key: Set(stem_key.0.to_vec()),
        language: Set(content.language().as_str().to_owned()),
        category: Set(content.category().as_str().to_owned()),
        difficulty: Set(content.difficulty().as_str().to_owned()),
        question_type: Set(content.kind().as_str().to_owned()),
        question_text: Set(content.text().to_owned()),
        correct_answer: Set(content.answer().to_owned()),
        options: Set(options),
        answer_variations: Set(variations),
        explanation: Set(content.explanation().map(str::to_owned)),
        point_value: Set(content.points().map(Points::get)),
        ..Default::default()
    })
}

/// A session from its row and those of its questions, in their order.
pub(crate) fn session(row: game_sessions::Model, asked: Vec<session_questions::Model>) -> StoreResult<GameSession> {
    let here = Row { table: "game_sessions", id: &row.id };
    let questions = asked
        .into_iter()
        .map(|asked| {
            Ok(SessionQuestion {
                question_id: here.take(QuestionId::new(asked.question_id))?,
                version: here.small(asked.version)?,
                opened_at: asked.opened_at,
            })
        })
        .collect::<StoreResult<_>>()?;
    Ok(GameSession {
        id: SessionId::new(row.id),
        channel_id: here.take(ChannelId::new(row.channel_id))?,
        host: here.take(row.host_id.map(UserId::new).transpose())?,
        challenge: here.challenge(Some(row.kind).filter(|kind| kind != NORMAL), row.challenge_on)?,
        status: here.parse(&row.status)?,
        time_limit: here.take(here.count(row.time_limit_ms)?.try_into())?,
        questions,
        position: here.small(row.position)?,
        started_at: row.started_at,
        ended_at: row.ended_at,
    })
}

impl From<&GameSession> for game_sessions::Model {
    fn from(session: &GameSession) -> Self {
        Self {
            id: session.id.get(),
            channel_id: session.channel_id.get(),
            host_id: session.host.map(UserId::get),
            kind: session.challenge.map_or(NORMAL, |challenge| challenge.kind.as_str()).to_owned(),
            challenge_on: session.challenge.map(|challenge| challenge.starts_on.date()),
            status: session.status.as_str().to_owned(),
            time_limit_ms: stored(session.time_limit.millis()),
            position: stored(session.position as u64),
            started_at: session.started_at,
            ended_at: session.ended_at,
        }
    }
}

impl TryFrom<user_achievements::Model> for UserAchievement {
    type Error = StoreError;

    fn try_from(row: user_achievements::Model) -> StoreResult<Self> {
        let here = Row { table: "user_achievements", id: &row.user_id };
        Ok(Self {
            user_id: here.take(UserId::new(row.user_id))?,
            achievement_id: here.parse(&row.achievement_id)?,
            seq: here.count(row.seq)?,
            unlocked_at: row.unlocked_at,
            bonus: here.take(Points::new(row.bonus))?,
        })
    }
}

/// A definition of an achievement from its row.
pub(crate) fn revision(row: achievement_definitions::Model) -> StoreResult<Revision> {
    let here = Row { table: "achievement_definitions", id: &row.revision };
    let definition = AchievementDefinition {
        id: here.parse(&row.achievement_id)?,
        name: row.name.into(),
        emoji: row.emoji.into(),
        category: here.parse(&row.category)?,
        rule: here.json(row.rule)?,
        bonus: here.take(Points::new(row.bonus))?,
        hidden: row.hidden,
    };
    Ok(Revision { definition: here.take(definition.checked())?, retired_at: row.retired_at })
}

/// The row of a definition.
pub(super) fn revision_row(revision: &Revision, number: i64) -> StoreResult<achievement_definitions::Model> {
    let AchievementDefinition { id, name, emoji, category, rule, bonus, hidden } = &revision.definition;
    Ok(achievement_definitions::Model {
        revision: number,
        achievement_id: id.to_string(),
        name: name.to_string(),
        emoji: emoji.to_string(),
        category: category.as_str().to_owned(),
        rule: json(rule)?,
        bonus: bonus.get(),
        hidden: *hidden,
        retired_at: revision.retired_at,
    })
}

/// A question of a challenge from its row.
pub(crate) fn challenge_question(row: challenge_questions::Model) -> StoreResult<ChallengeQuestion> {
    let here = Row { table: "challenge_questions", id: &row.question_id };
    Ok(ChallengeQuestion {
        question_id: here.take(QuestionId::new(row.question_id))?,
        version: here.small(row.version)?,
    })
}

/// A closed period from its row.
pub(crate) fn closing(row: closed_periods::Model) -> StoreResult<Closing> {
    let here = Row { table: "closed_periods", id: &row.starts_on };
    Ok(Closing {
        period: here.parse(&row.period)?,
        starts_on: DayKey::new(row.starts_on),
        key: IdempotencyKey::new(row.key),
        closed_at: row.closed_at,
        players: here.count(row.players)?,
    })
}

/// The row of a closed period.
pub(super) fn closing_row(closing: &Closing) -> closed_periods::Model {
    closed_periods::Model {
        period: closing.period.as_str().to_owned(),
        starts_on: closing.starts_on.date(),
        key: closing.key.get(),
        closed_at: closing.closed_at,
        players: stored(closing.players),
    }
}

/// An attempt at a challenge from its row.
pub(super) fn attempt(row: challenge_attempts::Model) -> StoreResult<ChallengeAttempt> {
    let here = Row { table: "challenge_attempts", id: &row.user_id };
    let kind: ChallengeKind = here.parse(&row.kind)?;
    Ok(ChallengeAttempt {
        user_id: here.take(UserId::new(row.user_id))?,
        challenge: ChallengeId { kind, starts_on: DayKey::new(row.starts_on) },
        size: here.small(row.size)?,
        answers: here.json(row.answers)?,
        completed_at: row.completed_at,
    })
}

/// The row of an attempt at a challenge.
pub(super) fn attempt_row(attempt: &ChallengeAttempt) -> StoreResult<challenge_attempts::Model> {
    Ok(challenge_attempts::Model {
        user_id: attempt.user_id.get(),
        kind: attempt.challenge.kind.as_str().to_owned(),
        starts_on: attempt.challenge.starts_on.date(),
        size: attempt.size.into(),
        answers: json(&attempt.answers)?,
        completed_at: attempt.completed_at,
    })
}

impl TryFrom<&user_tallies::Model> for Tally {
    type Error = StoreError;

    fn try_from(row: &user_tallies::Model) -> StoreResult<Self> {
        let here = Row { table: "user_tallies", id: &row.user_id };
        Ok(Self {
            answered: here.count(row.answered)?,
            correct: here.count(row.correct)?,
            points: here.take(Points::new(row.points))?,
        })
    }
}

impl TryFrom<&rankings::Model> for PeriodScore {
    type Error = StoreError;

    fn try_from(row: &rankings::Model) -> StoreResult<Self> {
        let here = Row { table: "rankings", id: &row.user_id };
        Ok(Self {
            tally: Tally {
                answered: here.count(row.answered)?,
                correct: here.count(row.correct)?,
                points: here.take(Points::new(row.points))?,
            },
            reached_at: row.reached_at,
        })
    }
}

/// The row of a fact.
pub(crate) fn ledger_row(entry: &LedgerEntry, receipt: &Receipt) -> StoreResult<ledger::Model> {
    let unlocked = if receipt.unlocked.is_empty() { None } else { Some(json(&receipt.unlocked)?) };
    let mut row = ledger::Model {
        user_id: entry.user_id.get(),
        seq: stored(entry.seq),
        key: entry.key.get(),
        kind: String::new(),
        at: entry.at,
        day: entry.day.date(),
        points: receipt.points.get(),
        total_points: receipt.total_points.get(),
        streak: stored(receipt.streak),
        unlocked,
        session_id: None,
        question_id: None,
        question_version: None,
        difficulty: None,
        category: None,
        given: None,
        correct: None,
        rule_version: None,
        elapsed_us: None,
        challenge_kind: None,
        challenge_on: None,
        challenge_size: None,
        achievement_id: None,
        reason: None,
        opening: None,
    };
    let kind = match &entry.fact {
        Fact::Answer(answer) => {
            row.session_id = Some(answer.session_id.get());
            row.question_id = Some(answer.question_id.get());
            row.question_version = Some(answer.question_version.into());
            row.difficulty = Some(answer.difficulty.as_str().to_owned());
            row.category = Some(answer.category.as_str().to_owned());
            row.given = Some(json(&answer.given)?);
            row.correct = Some(answer.correct);
            row.rule_version = Some(answer.rule_version.into());
            row.elapsed_us = Some(stored(answer.elapsed_us));
            row.challenge_kind = answer.challenge.map(|challenge| challenge.id.kind.as_str().to_owned());
            row.challenge_on = answer.challenge.map(|challenge| challenge.id.starts_on.date());
            row.challenge_size = answer.challenge.map(|challenge| challenge.size.into());
            "answer"
        }
        Fact::Award { reason, .. } => {
            row.reason = Some(reason.clone());
            "award"
        }
        Fact::Grant { achievement_id } => {
            row.achievement_id = Some(achievement_id.to_string());
            "grant"
        }
        Fact::Opening(balance) => {
            row.opening = Some(json(balance)?);
            "opening"
        }
        Fact::Reset => "reset",
        other => return Err(StoreError::backend("storing a fact", format!("{other:?} has no row"))),
    };
    kind.clone_into(&mut row.kind);
    Ok(row)
}

/// A fact and its receipt from their row.
pub(crate) fn ledger_entry(row: ledger::Model) -> StoreResult<(LedgerEntry, Receipt)> {
    let id = format!("({}, {})", row.user_id, row.seq);
    let here = Row { table: "ledger", id: &id };
    let points = here.take(Points::new(row.points))?;
    let fact = match row.kind.as_str() {
        "answer" => {
            let category = here.needed(row.category, "category")?;
            let challenge = match (here.challenge(row.challenge_kind, row.challenge_on)?, row.challenge_size) {
                (Some(id), Some(size)) => Some(InChallenge { id, size: here.small(size)? }),
                (None, None) => None,
                _ => return Err(bad_row(here.table, here.id, "a challenge without a size")),
            };
            Fact::Answer(AnswerFact {
                session_id: SessionId::new(here.needed(row.session_id, "session_id")?),
                question_id: here.take(QuestionId::new(here.needed(row.question_id, "question_id")?))?,
                question_version: here.small(here.needed(row.question_version, "question_version")?)?,
                difficulty: here.parse(&here.needed(row.difficulty, "difficulty")?)?,
                category: here.take(Category::new(&category))?,
                given: here.json(here.needed(row.given, "given")?)?,
                correct: here.needed(row.correct, "correct")?,
                points,
                rule_version: here.small(here.needed(row.rule_version, "rule_version")?)?,
                elapsed_us: here.count(here.needed(row.elapsed_us, "elapsed_us")?)?,
                challenge,
            })
        }
        "award" => Fact::Award { points, reason: row.reason.unwrap_or_default() },
        "grant" => Fact::Grant { achievement_id: here.parse(&here.needed(row.achievement_id, "achievement_id")?)? },
        "opening" => Fact::Opening(here.json(here.needed(row.opening, "opening")?)?),
        "reset" => Fact::Reset,
        other => return Err(bad_row(here.table, here.id, format!("{other:?} is not a kind of fact"))),
    };
    let user_id = here.take(UserId::new(row.user_id))?;
    let key = IdempotencyKey::new(row.key);
    let seq = here.count(row.seq)?;
    let receipt = Receipt {
        user_id,
        key,
        seq,
        at: row.at,
        correct: row.correct,
        points,
        total_points: here.take(Points::new(row.total_points))?,
        streak: here.count(row.streak)?,
        unlocked: row.unlocked.map(|unlocked| here.json(unlocked)).transpose()?.unwrap_or_default(),
    };
    let entry = LedgerEntry { user_id, seq, key, at: row.at, day: DayKey::new(row.day), fact };
    Ok((entry, receipt))
}

/// A pack.
pub(crate) fn pack(row: packs::Model) -> StoreResult<Pack> {
    let here = Row { table: "packs", id: &row.name };
    let said = [
        (PackPart::Title, row.title),
        (PackPart::Source, row.source),
        (PackPart::Author, row.author),
        (PackPart::Licence, row.licence),
        (PackPart::Attribution, row.attribution),
    ];
    let pack = Pack::new(here.parse(&row.name)?);
    let mut said = said.into_iter().filter_map(|(part, text)| Some((part, text?)));
    here.take(said.try_fold(pack, |pack, (part, text)| pack.with(part, &text)))
}

/// A tag.
pub(crate) fn tag(row: &question_tags::Model) -> StoreResult<Tag> {
    Row { table: "question_tags", id: &row.question_id }.parse(&row.tag)
}

/// A report of a player.
pub(crate) fn report(row: question_reports::Model) -> StoreResult<QuestionReport> {
    let here = Row { table: "question_reports", id: &row.id };
    let settled = match (row.outcome.as_deref(), row.settled_at) {
        (Some(outcome), Some(at)) => Some(Settlement { outcome: here.parse(outcome)?, at }),
        (None, None) => None,
        _ => return Err(bad_row(here.table, here.id, "it is settled by half")),
    };
    Ok(QuestionReport {
        id: here.take(ReportId::new(row.id))?,
        question_id: here.take(QuestionId::new(row.question_id))?,
        version: here.small(row.version)?,
        user_id: here.take(UserId::new(row.user_id))?,
        reason: here.parse(&row.reason)?,
        note: here.take(row.note.as_deref().map(ReportNote::new).transpose())?,
        reported_at: row.reported_at,
        settled,
    })
}

/// The row of a report.
pub(super) fn report_row(report: &QuestionReport) -> question_reports::Model {
    question_reports::Model {
        id: report.id.get(),
        question_id: report.question_id.get(),
        version: report.version.into(),
        user_id: report.user_id.get(),
        reason: report.reason.as_str().to_owned(),
        note: report.note.as_ref().map(ReportNote::to_string),
        reported_at: report.reported_at,
        outcome: report.settled.map(|settled| settled.outcome.as_str().to_owned()),
        settled_at: report.settled.map(|settled| settled.at),
    }
}
