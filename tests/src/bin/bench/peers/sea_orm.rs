//! SeaORM as its documentation shows it: a pool of five, `begin`, find, change, save. Rows that are changed are locked
//! when they are found, which means something on a server only.

use std::path::Path;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr,
    EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, TransactionTrait,
};
use trivia_domain::ports::{AnswerSubmission, Clock};
use trivia_infrastructure::{Durability, SystemClock};

use super::entity::{
    game_sessions, ledger, question_counters, questions, rankings, session_questions, user_tallies, users,
};
use super::{Asked, Judged, periods};

/// Opens a pool of five.
pub(crate) async fn open(path: &Path, durability: Durability) -> DatabaseConnection {
    let synchronous = match durability {
        Durability::Full => SqliteSynchronous::Full,
        Durability::Normal => SqliteSynchronous::Normal,
    };
    let mut options = ConnectOptions::new(format!("sqlite://{}", path.display()));
    options.max_connections(5).sqlx_logging(false).map_sqlx_sqlite_opts(move |sqlite| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
    });
    Database::connect(options).await.expect("the database opens")
}

/// The same on a server.
pub(crate) async fn open_on_a_server(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(5).sqlx_logging(false);
    Database::connect(options).await.expect("the database opens")
}

/// Counts an answer with the reads and writes of [`super::rusqlite::answer`].
pub(crate) async fn answer(database: &DatabaseConnection, submission: AnswerSubmission) -> Result<(), DbErr> {
    let refused = || DbErr::Custom("the answer is refused".to_owned());
    let transaction = database.begin().await?;
    let (user, session) = (submission.user_id.get(), submission.session_id.get());
    let at = SystemClock.now();
    let known = ledger::Entity::find()
        .filter(ledger::Column::UserId.eq(user))
        .filter(ledger::Column::Key.eq(submission.key.get()))
        .one(&transaction)
        .await?;
    if known.is_some() {
        return transaction.commit().await;
    }
    let game = game_sessions::Entity::find_by_id(session).one(&transaction).await?.ok_or_else(refused)?;
    let open = session_questions::Entity::find_by_id((session, game.position)).one(&transaction).await?;
    let open = open.filter(|open| open.question_id == submission.question_id.get()).ok_or_else(refused)?;
    let question = questions::Entity::find_by_id(open.question_id).one(&transaction).await?.ok_or_else(refused)?;
    if game.status != "live" {
        return Err(refused());
    }
    let asked = Asked {
        difficulty: question.difficulty,
        correct_answer: question.correct_answer,
        options: question.options.map(|options| options.to_string()).unwrap_or_default(),
        point_value: question.point_value,
        opened_at: open.opened_at.ok_or_else(refused)?,
        time_limit_ms: game.time_limit_ms,
    };
    let judged = asked.judge(&submission.given, at).ok_or_else(refused)?;
    let Judged { correct, points, elapsed_us, preferred } = judged;
    let before = users::Entity::find_by_id(user).lock_exclusive().one(&transaction).await?.ok_or_else(refused)?;
    let (seq, today) = (before.last_seq + 1, at.date_naive());
    let streak = if correct { before.current_streak + 1 } else { 0 };
    let total = before.total_points + points;
    let fact = ledger::ActiveModel {
        user_id: Set(user),
        seq: Set(seq),
        key: Set(submission.key.get()),
        kind: Set("answer".to_owned()),
        at: Set(at),
        day: Set(today),
        points: Set(points),
        total_points: Set(total),
        streak: Set(streak),
        session_id: Set(Some(session)),
        question_id: Set(Some(open.question_id)),
        question_version: Set(Some(open.version)),
        difficulty: Set(Some(asked.difficulty.clone())),
        category: Set(Some(question.category.clone())),
        given: Set(Some(serde_json::to_value(&submission.given).expect("an answer is JSON"))),
        correct: Set(Some(correct)),
        rule_version: Set(Some(1)),
        elapsed_us: Set(Some(elapsed_us)),
    };
    fact.insert(&transaction).await?;
    let day_streak = match before.last_day {
        Some(last) if last == today => before.day_streak,
        Some(last) if last.succ_opt() == Some(today) => before.day_streak + 1,
        _ => 1,
    };
    let (best_streak, best_day_streak) = (before.best_streak.max(streak), before.best_day_streak.max(day_streak));
    let (answered, right) = (before.questions_answered + 1, before.questions_correct + i64::from(correct));
    let mut player = before.into_active_model();
    player.last_seq = Set(seq);
    player.total_points = Set(total);
    if points > 0 {
        player.points_reached_at = Set(Some(at));
    }
    player.questions_answered = Set(answered);
    player.questions_correct = Set(right);
    player.current_streak = Set(streak);
    player.best_streak = Set(best_streak);
    player.day_streak = Set(day_streak);
    player.best_day_streak = Set(best_day_streak);
    player.last_day = Set(Some(today));
    player.last_played = Set(Some(at));
    player.preferred_difficulty = Set(Some(preferred.to_owned()));
    player.update(&transaction).await?;
    tally(&transaction, user, "difficulty", asked.difficulty, &judged).await?;
    tally(&transaction, user, "category", question.category, &judged).await?;
    for (period, starts_on) in periods(today) {
        let key = (user, period.to_owned(), starts_on);
        match rankings::Entity::find_by_id(key).lock_exclusive().one(&transaction).await? {
            Some(row) => {
                let (points, answered) = (row.points + points, row.answered + 1);
                let right = row.correct + i64::from(correct);
                let mut row = row.into_active_model();
                row.points = Set(points);
                row.answered = Set(answered);
                row.correct = Set(right);
                if judged.points > 0 {
                    row.reached_at = Set(at);
                }
                row.update(&transaction).await?;
            }
            None => {
                let row = rankings::Model {
                    user_id: user,
                    period: period.to_owned(),
                    starts_on,
                    points,
                    answered: 1,
                    correct: i64::from(correct),
                    reached_at: at,
                };
                rankings::Entity::insert(row.into_active_model()).exec_without_returning(&transaction).await?;
            }
        }
    }
    let question_id = open.question_id;
    match question_counters::Entity::find_by_id(question_id).lock_exclusive().one(&transaction).await? {
        Some(row) => {
            let (asked, right) = (row.times_asked + 1, row.times_correct + i64::from(correct));
            let mut row = row.into_active_model();
            row.times_asked = Set(asked);
            row.times_correct = Set(right);
            row.update(&transaction).await?;
        }
        None => {
            let row = question_counters::Model { question_id, times_asked: 1, times_correct: i64::from(correct) };
            question_counters::Entity::insert(row.into_active_model()).exec_without_returning(&transaction).await?;
        }
    }
    transaction.commit().await
}

async fn tally(
    transaction: &DatabaseTransaction,
    user_id: i64,
    dimension: &str,
    name: String,
    judged: &Judged,
) -> Result<(), DbErr> {
    let key = (user_id, dimension.to_owned(), name.clone());
    let right = i64::from(judged.correct);
    match user_tallies::Entity::find_by_id(key).lock_exclusive().one(transaction).await? {
        Some(row) => {
            let (answered, correct, points) = (row.answered + 1, row.correct + right, row.points + judged.points);
            let mut row = row.into_active_model();
            row.answered = Set(answered);
            row.correct = Set(correct);
            row.points = Set(points);
            row.update(transaction).await?;
        }
        None => {
            let row = user_tallies::Model {
                user_id,
                dimension: dimension.to_owned(),
                name,
                answered: 1,
                correct: right,
                points: judged.points,
            };
            user_tallies::Entity::insert(row.into_active_model()).exec_without_returning(transaction).await?;
        }
    }
    Ok(())
}
