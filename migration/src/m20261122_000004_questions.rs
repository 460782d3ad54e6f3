//! Questions with an identity, versions, and a place in their group; their counters apart.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::*;
use sea_orm_migration::sea_orm::{DbBackend, FromQueryResult, Statement};
use serde_json::{Value as Json, json};
use trivia_domain::model::{
    Category, ContentKey, Difficulty, Points, QuestionBody, QuestionContent, QuestionKind, fold_identity,
};

use crate::m20261122_000003_sessions::{create_session_questions, session_questions_by_question};
use crate::original::{self, Problems, QUESTIONS, Row, UNKNOWN, drop_all, instant_text, move_away};
use crate::quarantine::{self, Note};
use crate::rows;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let carries = original::is_possible(manager);
        if carries {
            move_away(db, "questions", "questions_v1").await?;
        }
        create_questions(manager).await?;
        create_question_versions(manager).await?;
        create_question_groups(manager).await?;
        create_question_counters(manager).await?;
        if carries {
            carry_over(db).await?;
            keep_sequence(db, "questions_v1").await?;
            point_sessions_at_new_questions(manager).await?;
            return drop_all(manager, &["questions_v1"]).await;
        }
        create_session_questions(manager).await?;
        manager.create_index(session_questions_by_question()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        const CHILDREN: [&str; 3] = ["question_counters", "question_groups", "question_versions"];
        let db = manager.get_connection();
        if !original::is_possible(manager) {
            drop_all(manager, &CHILDREN).await?;
            return drop_all(manager, &["session_questions", "questions"]).await;
        }
        move_away(db, "questions", "questions_v2").await?;
        original::create(db, &QUESTIONS).await?;
        put_back(db).await?;
        carry_back(db).await?;
        keep_sequence(db, "questions_v2").await?;
        point_sessions_at_new_questions(manager).await?;
        quarantine::clear(db, &QUESTIONS).await?;
        drop_all(manager, &CHILDREN).await?;
        drop_all(manager, &["questions_v2"]).await
    }
}

fn one_of_difficulties() -> Expr {
    Expr::col("difficulty").is_in(Difficulty::ALL.map(Difficulty::as_str))
}

fn one_of_kinds() -> Expr {
    Expr::col("question_type").is_in(QuestionKind::ALL.map(QuestionKind::as_str))
}

fn to_questions(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create().from(table, "question_id").to("questions", "id").take()
}

async fn create_questions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("questions")
        .col(big_pk_auto("id"))
        .col(big_integer("version").check(Expr::col("version").gte(1)))
        .col(ColumnDef::new("content_key").blob().not_null().unique_key())
        .col(ColumnDef::new("stem_key").blob().not_null())
        .col(text("language"))
        .col(text("category"))
        .col(text("difficulty").check(one_of_difficulties()))
        .col(text("question_type").check(one_of_kinds()))
        .col(text("question_text"))
        .col(text("correct_answer"))
        .col(json_null("options"))
        .col(json_null("answer_variations"))
        .col(text_null("explanation"))
        .col(big_integer_null("point_value").check(Expr::col("point_value").gt(0)))
        .col(big_integer_null("ordinal").check(Expr::col("ordinal").gte(0)))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("retired_at"))
        .index(Index::create().unique().col("category").col("difficulty").col("question_type").col("ordinal"))
        .check(Expr::cust("(ordinal IS NULL) = (retired_at IS NOT NULL)"))
        .take();
    manager.create_table(table).await?;
    manager.create_index(Index::create().name("idx_questions_stem").table("questions").col("stem_key").take()).await
}

async fn create_question_versions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("question_versions")
        .col(big_integer("question_id"))
        .col(big_integer("version").check(Expr::col("version").gte(1)))
        .col(json("content"))
        .col(timestamp_with_time_zone("replaced_at"))
        .primary_key(Index::create().col("question_id").col("version"))
        .foreign_key(&mut to_questions("question_versions"))
        .take();
    manager.create_table(table).await
}

async fn create_question_groups(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("question_groups")
        .col(text("category"))
        .col(text("difficulty").check(one_of_difficulties()))
        .col(text("question_type").check(one_of_kinds()))
        .col(big_integer("size").check(Expr::col("size").gte(0)))
        .primary_key(Index::create().col("category").col("difficulty").col("question_type"))
        .take();
    manager.create_table(table).await
}

async fn create_question_counters(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let table = Table::create()
        .table("question_counters")
        .col(big_integer("question_id").primary_key())
        .col(big_integer("times_asked").default(0).check(Expr::col("times_asked").gte(0)))
        .col(big_integer("times_correct").default(0).check(Expr::col("times_correct").gte(0)))
        .col(big_integer("opening_asked").default(0).check(Expr::col("opening_asked").gte(0)))
        .col(big_integer("opening_correct").default(0).check(Expr::col("opening_correct").gte(0)))
        .foreign_key(&mut to_questions("question_counters"))
        .check(Expr::col("times_correct").lte(Expr::col("times_asked")))
        .check(Expr::col("opening_asked").lte(Expr::col("times_asked")))
        .check(Expr::col("opening_correct").lte(Expr::col("times_correct")))
        .take();
    manager.create_table(table).await
}

/// The columns that make up what a question says.
const CONTENT: [&str; 9] = [
    "question_text",
    "question_type",
    "difficulty",
    "category",
    "correct_answer",
    "options",
    "answer_variations",
    "explanation",
    "point_value",
];

/// A question of the original as we hold it.
struct OldQuestion {
    id: i64,
    content: QuestionContent,
    times_asked: i64,
    times_correct: i64,
    created_at: DateTime<Utc>,
}

impl OldQuestion {
    fn read(row: &Row) -> Result<(Self, Problems), String> {
        let mut problems = Problems::default();
        let content = read_content(row)?;
        let times_asked = problems.or(row.count("times_asked"), 0);
        let mut times_correct = problems.or(row.count("times_correct"), 0);
        if times_correct > times_asked {
            problems.add(format!("times_correct {times_correct} is more than times_asked {times_asked}"));
            times_correct = times_asked;
        }
        let created_at = problems.or(row.instant("created_at"), None).unwrap_or(UNKNOWN);
        let question = Self { id: row.id("id")?, content, times_asked, times_correct, created_at };
        let carried = question.carried().original();
        for column in CONTENT {
            let (was, is) = (comparable(row, column), comparable(&carried, column));
            if was != is {
                problems.add(format!("{column} {was} is kept as {is}"));
            }
        }
        Ok((question, problems))
    }

    /// The row that `down` finds while nobody has changed the question.
    fn carried(&self) -> Question {
        let content = &self.content;
        let (options, answer_variations) = lists(content);
        Question {
            id: self.id,
            question_text: content.text().to_owned(),
            question_type: content.kind().to_string(),
            difficulty: content.difficulty().to_string(),
            category: content.category().to_string(),
            correct_answer: content.answer().to_owned(),
            options,
            answer_variations,
            explanation: content.explanation().map(str::to_owned),
            point_value: content.points().map(Points::get),
            times_asked: Some(self.times_asked),
            times_correct: Some(self.times_correct),
            created_at: self.created_at,
        }
    }
}

/// A column as far as it means something: lists whatever their spelling, nothing like an empty text or 0.
fn comparable(row: &Row, column: &str) -> Json {
    match row.get(column) {
        Json::String(text) if text.is_empty() => Json::Null,
        Json::Number(number) if number.as_i64() == Some(0) => Json::Null,
        Json::String(text) if matches!(column, "options" | "answer_variations") => match serde_json::from_str(text) {
            Ok(Json::Array(items)) if items.is_empty() => Json::Null,
            Ok(list) => list,
            Err(_) => json!(text),
        },
        other => other.clone(),
    }
}

/// Our options and variations; none is null.
fn lists(content: &QuestionContent) -> (Option<Json>, Option<Json>) {
    match content.body() {
        QuestionBody::MultipleChoice { options, .. } => (Some(json!(options)), None),
        QuestionBody::FillBlank { variations, .. } if !variations.is_empty() => (None, Some(json!(variations))),
        QuestionBody::TrueFalse { .. } | QuestionBody::FillBlank { .. } => (None, None),
    }
}

fn read_content(row: &Row) -> Result<QuestionContent, String> {
    let required = |column| row.text(column)?.ok_or_else(|| format!("{column} is missing"));
    let refused = |error: trivia_domain::StoreError| error.to_string();
    let category = Category::new(required("category")?).map_err(refused)?;
    let difficulty: Difficulty = required("difficulty")?.parse().map_err(refused)?;
    let answer = required("correct_answer")?;
    let body = match required("question_type")?.parse().map_err(refused)? {
        QuestionKind::MultipleChoice => {
            let options = list(row, "options")?;
            let correct = correct_option(&options, answer)
                .ok_or_else(|| format!("correct_answer {answer:?} is not one of the options"))?;
            QuestionBody::MultipleChoice { options, correct }
        }
        QuestionKind::TrueFalse => QuestionBody::TrueFalse { answer: truth(answer)? },
        QuestionKind::FillBlank => {
            QuestionBody::FillBlank { answer: answer.to_owned(), variations: list(row, "answer_variations")? }
        }
    };
    let points = Points::new(row.count("point_value")?).map_err(refused)?;
    let content = QuestionContent::new(body, required("question_text")?, category, difficulty).map_err(refused)?;
    let content = content.with_explanation(row.text("explanation")?.unwrap_or_default()).map_err(refused)?;
    Ok(content.with_points(points))
}

/// A list in JSON; none is empty. The original wrote texts, people also numbers.
fn list(row: &Row, column: &str) -> Result<Vec<String>, String> {
    let Some(text) = row.text(column)?.filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let item = |item: Json| match item {
        Json::String(text) => Ok(text),
        Json::Number(number) => Ok(number.to_string()),
        other => Err(format!("{column} holds {other}")),
    };
    match serde_json::from_str(text) {
        Ok(Json::Array(items)) => items.into_iter().map(item).collect(),
        _ => Err(format!("{column} {text:?} is not a list")),
    }
}

/// The text of an option in its exact form, else in a form that only one option has, else its index.
fn correct_option(options: &[String], answer: &str) -> Option<usize> {
    if let Some(exact) = options.iter().position(|option| option == answer) {
        return Some(exact);
    }
    let folded = fold_identity(answer);
    let mut alike = options.iter().enumerate().filter(|(_, option)| fold_identity(option) == folded);
    match (alike.next(), alike.next()) {
        (Some((only, _)), None) => Some(only),
        (Some(_), Some(_)) => None,
        (None, _) => answer.trim().parse().ok().filter(|index| *index < options.len()),
    }
}

/// The words that the original's matcher took for true and false.
fn truth(answer: &str) -> Result<bool, String> {
    match answer.trim().to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" | "correct" | "right" => Ok(true),
        "false" | "f" | "no" | "n" | "0" | "incorrect" | "wrong" => Ok(false),
        _ => Err(format!("correct_answer {answer:?} is neither true nor false")),
    }
}

async fn carry_over(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    // what the original counted is also what the ledger starts from
    const COUNTERS: [&str; 5] = ["question_id", "times_asked", "times_correct", "opening_asked", "opening_correct"];
    const QUESTION: [&str; 16] = [
        "id",
        "version",
        "content_key",
        "stem_key",
        "language",
        "category",
        "difficulty",
        "question_type",
        "question_text",
        "correct_answer",
        "options",
        "answer_variations",
        "explanation",
        "point_value",
        "ordinal",
        "created_at",
    ];
    let mut known: HashMap<ContentKey, i64> = HashMap::new();
    let mut groups: BTreeMap<(String, Difficulty, QuestionKind), i64> = BTreeMap::new();
    let mut reader = original::Reader::new(&QUESTIONS, "questions_v1", &[]);
    loop {
        let chunk = reader.next(db).await?;
        if chunk.is_empty() {
            break;
        }
        let (mut questions, mut counters, mut notes) = (Vec::new(), Vec::new(), Vec::new());
        for row in chunk {
            let (question, problems) = match OldQuestion::read(&row) {
                Ok(read) => read,
                Err(problem) => {
                    notes.push(Note::new(&QUESTIONS, row, problem, false));
                    continue;
                }
            };
            let content = &question.content;
            if let Some(first) = known.get(&content.content_key()) {
                notes.push(Note::new(&QUESTIONS, row, format!("same as question {first}"), false));
                continue;
            }
            known.insert(content.content_key(), question.id);
            if let Some(problem) = problems.into_line() {
                notes.push(Note::new(&QUESTIONS, row, problem, true));
            }
            let group = (content.category().to_string(), content.difficulty(), content.kind());
            let size = groups.entry(group).or_default();
            let (options, variations) = lists(content);
            questions.push(vec![
                question.id.into(),
                1.into(),
                content.content_key().0.to_vec().into(),
                content.stem_key().0.to_vec().into(),
                content.language().as_str().into(),
                content.category().as_str().into(),
                content.difficulty().as_str().into(),
                content.kind().as_str().into(),
                content.text().into(),
                content.answer().into(),
                options.into(),
                variations.into(),
                content.explanation().map(str::to_owned).into(),
                content.points().map(Points::get).into(),
                (*size).into(),
                question.created_at.into(),
            ]);
            let (asked, correct) = (question.times_asked, question.times_correct);
            counters.push(vec![question.id.into(), asked.into(), correct.into(), asked.into(), correct.into()]);
            *size += 1;
        }
        rows::insert(db, "questions", &QUESTION, questions).await?;
        rows::insert(db, "question_counters", &COUNTERS, counters).await?;
        quarantine::write(db, &QUESTIONS, notes).await?;
    }
    let groups = groups.into_iter().map(|((category, difficulty, kind), size)| {
        vec![category.into(), difficulty.as_str().into(), kind.as_str().into(), size.into()]
    });
    let columns = ["category", "difficulty", "question_type", "size"];
    rows::insert(db, "question_groups", &columns, groups.collect()).await
}

/// Ids of questions are never given twice, so the table goes on where `from` stopped.
async fn keep_sequence(db: &impl ConnectionTrait, from: &str) -> Result<(), DbErr> {
    db.execute_unprepared("DELETE FROM sqlite_sequence WHERE name = 'questions'").await?;
    let go_on = "INSERT INTO sqlite_sequence (name, seq) SELECT 'questions', seq FROM sqlite_sequence WHERE name = ?";
    db.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, go_on, [from.into()])).await?;
    Ok(())
}

/// Creates `session_questions` again, since its reference has followed the questions that were moved
/// away. A session loses a question that is in quarantine, as the original's ON DELETE SET NULL
/// would have it, and gets it back when the question is put back.
async fn point_sessions_at_new_questions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let db = manager.get_connection();
    move_away(db, "session_questions", "session_questions_old").await?;
    create_session_questions(manager).await?;
    for statement in [
        "INSERT INTO session_questions (session_id, position, question_id, version, opened_at) \
         SELECT session_id, position, question_id, version, opened_at FROM session_questions_old \
         WHERE question_id IN (SELECT id FROM questions)",
        "INSERT INTO session_questions (session_id, position, question_id, version, opened_at) \
         SELECT unhex(source_id), content ->> 'position', content ->> 'question_id', content ->> 'version', \
                content ->> 'opened_at' \
         FROM quarantine \
         WHERE source = 'session_questions' AND unhex(source_id) IN (SELECT id FROM game_sessions) \
               AND content ->> 'question_id' IN (SELECT id FROM questions)",
        "DELETE FROM quarantine WHERE source = 'session_questions'",
        "INSERT INTO quarantine (source, source_id, problem, content, repaired) \
         SELECT 'session_questions', hex(session_id), 'question ' || question_id || ' is in quarantine', \
                json_object('position', position, 'question_id', question_id, 'version', version, \
                            'opened_at', opened_at), FALSE \
         FROM session_questions_old WHERE question_id NOT IN (SELECT id FROM questions)",
    ] {
        db.execute_unprepared(statement).await?;
    }
    manager.create_index(session_questions_by_question()).await?;
    drop_all(manager, &["session_questions_old"]).await
}

/// Puts the questions back that were kept in quarantine only.
async fn put_back(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut reader = quarantine::Reader::new(&QUESTIONS, false);
    loop {
        let chunk = reader.next(db).await?;
        if chunk.is_empty() {
            return Ok(());
        }
        QUESTIONS.insert(db, &chunk).await?;
    }
}

#[derive(FromQueryResult)]
struct Question {
    id: i64,
    question_text: String,
    question_type: String,
    difficulty: String,
    category: String,
    correct_answer: String,
    options: Option<Json>,
    answer_variations: Option<Json>,
    explanation: Option<String>,
    point_value: Option<i64>,
    times_asked: Option<i64>,
    times_correct: Option<i64>,
    created_at: DateTime<Utc>,
}

impl Question {
    /// The row of the original.
    fn original(&self) -> Row {
        Row::new([
            ("id", json!(self.id)),
            ("question_text", json!(self.question_text)),
            ("question_type", json!(self.question_type)),
            ("difficulty", json!(self.difficulty)),
            ("category", json!(self.category)),
            ("correct_answer", json!(self.correct_answer)),
            ("options", json!(self.options.as_ref().map(Json::to_string))),
            ("answer_variations", json!(self.answer_variations.as_ref().map(Json::to_string))),
            ("explanation", json!(self.explanation)),
            ("point_value", json!(self.point_value.unwrap_or(0))),
            ("times_asked", json!(self.times_asked.unwrap_or(0))),
            ("times_correct", json!(self.times_correct.unwrap_or(0))),
            ("created_at", json!(Some(self.created_at).filter(|at| *at != UNKNOWN).map(instant_text))),
        ])
    }
}

impl Question {
    /// The row of the original with what was put right when it was carried over, unless the question
    /// was edited since: an old index means nothing beside new options.
    fn original_like(&self, original: &Row) -> Row {
        let current = self.original();
        let Ok((old, _)) = OldQuestion::read(original) else { return current };
        let carried = old.carried().original();
        let is_edited = CONTENT.iter().any(|column| current.get(column) != carried.get(column));
        if is_edited { current } else { current.restored(original, &carried) }
    }
}

async fn carry_back(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let mut after = i64::MIN;
    loop {
        let sql = format!(
            "SELECT id, question_text, question_type, difficulty, category, correct_answer, options, \
                    answer_variations, explanation, point_value, times_asked, times_correct, created_at \
             FROM questions_v2 LEFT JOIN question_counters ON question_id = id \
             WHERE id > ? ORDER BY id LIMIT {}",
            rows::CHUNK
        );
        let select = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into()]);
        let questions = Question::find_by_statement(select).all(db).await?;
        let Some(last) = questions.last() else { return Ok(()) };
        after = last.id;
        let originals = quarantine::originals(db, &QUESTIONS, questions.iter().map(|question| question.id)).await?;
        let rows = questions.iter().map(|question| match originals.get(&question.id) {
            Some(original) => question.original_like(original),
            None => question.original(),
        });
        QUESTIONS.insert(db, &rows.collect::<Vec<_>>()).await?;
    }
}
