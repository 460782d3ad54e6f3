//! The system that this project replaces: its tables, its rows, and taking over its database.
//!
//! It knew SQLite only, so everything here does nothing on another engine.

mod row;
mod text;
mod transfer;

use std::collections::HashMap;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement, TransactionSession, TransactionTrait};

pub(crate) use row::{Problems, Reader, Row, existing};
pub(crate) use text::{UNKNOWN, instant_text};
pub use transfer::{Counts, TakenOver, give_back, take_over};

use crate::Migrator;
use crate::m20261122_000001_original_schema::Migration as OriginalSchema;

/// Name of the version table, the original's and ours.
pub(crate) const VERSION_TABLE: &str = "schema_version";

/// One of its tables.
pub(crate) struct OriginalTable {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its integer primary key.
    pub(crate) key: &'static str,
    /// All its columns.
    pub(crate) columns: &'static [&'static str],
    create: &'static str,
    indexes: &'static [&'static str],
}

pub(crate) const USERS: OriginalTable = OriginalTable {
    name: "users",
    key: "user_id",
    columns: &[
        "user_id",
        "total_points",
        "questions_answered",
        "questions_correct",
        "current_streak",
        "best_streak",
        "last_played",
        "daily_challenge_completed",
        "weekly_challenge_completed",
        "preferred_difficulty",
        "created_at",
    ],
    create: "CREATE TABLE users (
        user_id INTEGER PRIMARY KEY,
        total_points INTEGER DEFAULT 0,
        questions_answered INTEGER DEFAULT 0,
        questions_correct INTEGER DEFAULT 0,
        current_streak INTEGER DEFAULT 0,
        best_streak INTEGER DEFAULT 0,
        last_played TIMESTAMP,
        daily_challenge_completed DATE,
        weekly_challenge_completed DATE,
        preferred_difficulty TEXT,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    )",
    indexes: &[
        "CREATE INDEX idx_users_total_points ON users (total_points DESC)",
        "CREATE INDEX idx_users_last_played ON users (last_played)",
    ],
};

pub(crate) const QUESTIONS: OriginalTable = OriginalTable {
    name: "questions",
    key: "id",
    columns: &[
        "id",
        "question_text",
        "question_type",
        "difficulty",
        "category",
        "correct_answer",
        "options",
        "answer_variations",
        "explanation",
        "point_value",
        "times_asked",
        "times_correct",
        "created_at",
    ],
    create: "CREATE TABLE questions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        question_text TEXT NOT NULL,
        question_type TEXT NOT NULL CHECK (question_type IN ('multiple_choice', 'true_false', 'fill_blank')),
        difficulty TEXT NOT NULL CHECK (difficulty IN ('easy', 'medium', 'hard')),
        category TEXT NOT NULL,
        correct_answer TEXT NOT NULL,
        options TEXT, -- JSON for multiple choice options
        answer_variations TEXT, -- JSON for fill-in-blank variations
        explanation TEXT,
        point_value INTEGER DEFAULT 0,
        times_asked INTEGER DEFAULT 0,
        times_correct INTEGER DEFAULT 0,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    )",
    indexes: &[
        "CREATE INDEX idx_questions_difficulty ON questions (difficulty)",
        "CREATE INDEX idx_questions_category ON questions (category)",
        "CREATE INDEX idx_questions_type ON questions (question_type)",
    ],
};

pub(crate) const USER_ACHIEVEMENTS: OriginalTable = OriginalTable {
    name: "user_achievements",
    key: "id",
    columns: &["id", "user_id", "achievement_id", "unlocked_at"],
    create: "CREATE TABLE user_achievements (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id INTEGER NOT NULL,
        achievement_id TEXT NOT NULL,
        unlocked_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE,
        UNIQUE(user_id, achievement_id)
    )",
    indexes: &["CREATE INDEX idx_user_achievements_user_id ON user_achievements (user_id)"],
};

pub(crate) const WEEKLY_RANKINGS: OriginalTable = OriginalTable {
    name: "weekly_rankings",
    key: "id",
    columns: &["id", "user_id", "week_start", "points", "rank"],
    create: "CREATE TABLE weekly_rankings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user_id INTEGER NOT NULL,
        week_start DATE NOT NULL,
        points INTEGER DEFAULT 0,
        rank INTEGER,
        FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE,
        UNIQUE(user_id, week_start)
    )",
    indexes: &[
        "CREATE INDEX idx_weekly_rankings_week_start ON weekly_rankings (week_start)",
        "CREATE INDEX idx_weekly_rankings_points ON weekly_rankings (points DESC)",
    ],
};

pub(crate) const GAME_SESSIONS: OriginalTable = OriginalTable {
    name: "game_sessions",
    key: "id",
    columns: &[
        "id",
        "channel_id",
        "user_id",
        "question_id",
        "difficulty",
        "start_time",
        "end_time",
        "is_completed",
        "is_challenge",
    ],
    create: "CREATE TABLE game_sessions (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel_id INTEGER NOT NULL,
        user_id INTEGER NOT NULL,
        question_id INTEGER,
        difficulty TEXT,
        start_time TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        end_time TIMESTAMP,
        is_completed BOOLEAN DEFAULT FALSE,
        is_challenge BOOLEAN DEFAULT FALSE,
        FOREIGN KEY (user_id) REFERENCES users (user_id) ON DELETE CASCADE,
        FOREIGN KEY (question_id) REFERENCES questions (id) ON DELETE SET NULL
    )",
    indexes: &[
        "CREATE INDEX idx_game_sessions_channel_id ON game_sessions (channel_id)",
        "CREATE INDEX idx_game_sessions_active ON game_sessions (is_completed, start_time)",
    ],
};

/// Its tables, parents first.
pub(crate) const TABLES: [&OriginalTable; 5] =
    [&USERS, &QUESTIONS, &USER_ACHIEVEMENTS, &WEEKLY_RANKINGS, &GAME_SESSIONS];

/// What SQLite itself keeps in a database, as [`plain`] has it.
const SQLITES: [&str; 3] = [
    "create table sqlite_sequence(name,seq)",
    "create table sqlite_stat1(tbl,idx,stat)",
    "create table sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
];

const CREATE_VERSION_TABLE: &str = "CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY,
    applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
)";

/// Whether the engine is one on which there can be rows of the original.
pub(crate) fn is_possible(manager: &SchemaManager<'_>) -> bool {
    manager.get_database_backend() == DbBackend::Sqlite
}

/// Creates one of its tables with its indexes.
pub(crate) async fn create(db: &impl ConnectionTrait, table: &OriginalTable) -> Result<(), DbErr> {
    db.execute_unprepared(table.create).await?;
    for index in table.indexes {
        db.execute_unprepared(index).await?;
    }
    Ok(())
}

/// Renames a table and drops its indexes, so that another can be created under its name.
/// References to it follow, so its children keep their rows.
pub(crate) async fn move_away(db: &impl ConnectionTrait, table: &str, to: &str) -> Result<(), DbErr> {
    let indexes = Statement::from_sql_and_values(
        DbBackend::Sqlite,
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        [table.into()],
    );
    for index in db.query_all_raw(indexes).await? {
        let name: String = index.try_get("", "name")?;
        db.execute(Index::drop().name(name)).await?;
    }
    db.execute(Table::rename().table(table.to_owned(), to.to_owned())).await?;
    Ok(())
}

/// Drops tables in the given order, children first.
pub(crate) async fn drop_all(manager: &SchemaManager<'_>, tables: &[&'static str]) -> Result<(), DbErr> {
    for table in tables {
        manager.drop_table(Table::drop().table(*table).take()).await?;
    }
    Ok(())
}

/// Whether the database was written by the original: its `schema_version` holds integers, ours names.
///
/// # Errors
/// What the database reports.
pub async fn is_original(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Ok(false);
    }
    let versions_are_integers = Statement::from_string(
        DbBackend::Sqlite,
        "SELECT 1 FROM pragma_table_info('schema_version') WHERE name = 'version' AND upper(type) = 'INTEGER'",
    );
    Ok(db.query_one_raw(versions_are_integers).await?.is_some())
}

/// Takes over a database of the original: its `schema_version` becomes ours with step 1 applied, in
/// one transaction. `Migrator::up` then carries its rows along. Make a backup first.
///
/// # Errors
/// [`DbErr::Migration`] when it is not version 1 of the original's schema with exactly its columns
/// (further columns would be lost); nothing is changed then.
pub async fn adopt(db: &(impl ConnectionTrait + TransactionTrait)) -> Result<(), DbErr> {
    let db = db.begin().await?;
    if !is_original(&db).await? {
        return Err(DbErr::Migration("this is not a database of the original system".to_owned()));
    }
    let newest = Statement::from_string(
        DbBackend::Sqlite,
        "SELECT version, CAST(strftime('%s', applied_at) AS INTEGER) AS applied_at FROM schema_version \
         ORDER BY version DESC LIMIT 1",
    );
    let newest = db.query_one_raw(newest).await?;
    let newest = newest.ok_or_else(|| DbErr::Migration("the original database has no version".to_owned()))?;
    let version: i64 = newest.try_get("", "version")?;
    if version != 1 {
        return Err(DbErr::Migration(format!("version {version} of the original's schema is not known")));
    }
    for table in TABLES {
        let columns = columns(&db, table).await?;
        if columns != table.columns {
            return Err(DbErr::Migration(other_columns(table, &columns)));
        }
    }
    let applied_at: Option<i64> = newest.try_get("", "applied_at")?;
    db.execute(Table::drop().table(VERSION_TABLE)).await?;
    Migrator::install(&db).await?;
    let record = Query::insert()
        .into_table(VERSION_TABLE)
        .columns(["version", "applied_at"])
        .values_panic([OriginalSchema.name().into(), applied_at.unwrap_or_default().into()])
        .take();
    db.execute(&record).await?;
    db.commit().await
}

async fn columns(db: &impl ConnectionTrait, table: &OriginalTable) -> Result<Vec<String>, DbErr> {
    let columns = Statement::from_sql_and_values(
        DbBackend::Sqlite,
        "SELECT name FROM pragma_table_info(?) ORDER BY cid",
        [table.name.into()],
    );
    db.query_all_raw(columns).await?.iter().map(|row| row.try_get("", "name")).collect()
}

fn other_columns(table: &OriginalTable, found: &[String]) -> String {
    let (name, found, expected) = (table.name, found.join(", "), table.columns.join(", "));
    format!("table {name} of the original has the columns ({found}) and not ({expected})")
}

/// Its tables, parents first: name, key and all columns.
pub fn tables() -> impl Iterator<Item = (&'static str, &'static str, &'static [&'static str])> {
    TABLES.into_iter().map(|table| (table.name, table.key, table.columns))
}

/// Why a file that a stranger wrote is not to be taken over: it must be exactly version 1 of the original's schema,
/// apart from indexes. Reads the schema and the version, and no row of a table.
///
/// # Errors
/// What the database reports.
pub async fn objection(db: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    let query = |sql: &str| Statement::from_string(DbBackend::Sqlite, sql);
    let (mut found, mut unknown) = (HashMap::new(), None);
    // with more than these one of them is unknown
    let entries = "SELECT type, name, COALESCE(sql, '') AS sql FROM sqlite_schema WHERE type <> 'index' LIMIT 20";
    for entry in db.query_all_raw(query(entries)).await? {
        let (kind, name): (String, String) = (entry.try_get("", "type")?, entry.try_get("", "name")?);
        let declared = plain(&entry.try_get::<String>("", "sql")?);
        // a column of another one may compute something whenever SQLite reads it
        let is_sqlites = kind == "table" && SQLITES.contains(&declared.as_str());
        let is_known = kind == "table" && (name == VERSION_TABLE || TABLES.iter().any(|table| table.name == name));
        if is_known {
            found.insert(name, declared);
        } else if !is_sqlites {
            unknown = Some(format!("it has a {kind} {name}, which the original does not know"));
        }
    }
    let Some(version_table) = found.get(VERSION_TABLE) else {
        return Ok(Some("it is not a database of the original system".to_owned()));
    };
    if !is_original(db).await? {
        return Ok(Some("it is a database of this program already".to_owned()));
    }
    if unknown.is_some() {
        return Ok(unknown);
    }
    if *version_table != plain(CREATE_VERSION_TABLE) {
        return Ok(Some(format!("table {VERSION_TABLE} is not declared as the original did")));
    }
    let newest = db.query_one_raw(query("SELECT CAST(MAX(version) AS TEXT) AS version FROM schema_version")).await?;
    match newest.map(|row| row.try_get::<Option<String>>("", "version")).transpose()?.flatten().as_deref() {
        Some("1") => {}
        Some(version) => return Ok(Some(format!("version {version} of the original's schema is not known"))),
        None => return Ok(Some("it has no version".to_owned())),
    }
    for table in TABLES {
        match found.get(table.name) {
            None => return Ok(Some(format!("it has no table {}", table.name))),
            Some(declared) if *declared == plain(table.create) => {}
            Some(_) => {
                let columns = columns(db, table).await?;
                let other = (columns != table.columns).then(|| other_columns(table, &columns));
                return Ok(Some(
                    other.unwrap_or_else(|| format!("table {} is not declared as the original did", table.name)),
                ));
            }
        }
    }
    Ok(None)
}

/// Drops the indexes that the original did not make: what they compute would be computed for every row.
///
/// # Errors
/// What the database reports.
pub async fn drop_other_indexes(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let known: Vec<String> = TABLES.iter().flat_map(|table| table.indexes).map(|index| plain(index)).collect();
    let indexes = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL";
    for index in db.query_all_raw(Statement::from_string(DbBackend::Sqlite, indexes)).await? {
        let (name, declared): (String, String) = (index.try_get("", "name")?, index.try_get("", "sql")?);
        if !known.contains(&plain(&declared)) {
            db.execute(Index::drop().name(name)).await?;
        }
    }
    Ok(())
}

/// A declaration without comments, and with one blank where there is any.
fn plain(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    let words = lines.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    words.replace(" (", "(").replace("( ", "(").replace(" )", ")")
}

/// The way back from [`adopt`]: gives a database at step 1 the original's own `schema_version`, so
/// that its code opens it.
///
/// # Errors
/// [`DbErr::Migration`] when the database is not at step 1 exactly; nothing is changed then.
pub async fn release(db: &(impl ConnectionTrait + TransactionTrait)) -> Result<(), DbErr> {
    let db = db.begin().await?;
    let applied = Migrator::get_migration_models(&db).await?;
    let at_step_1 = applied.len() == 1 && applied[0].version == OriginalSchema.name();
    if !at_step_1 || db.get_database_backend() != DbBackend::Sqlite {
        return Err(DbErr::Migration("only step 1 is a schema that the original can read".to_owned()));
    }
    db.execute(Table::drop().table(VERSION_TABLE)).await?;
    db.execute_unprepared(CREATE_VERSION_TABLE).await?;
    let record = Statement::from_sql_and_values(
        DbBackend::Sqlite,
        "INSERT INTO schema_version (version, applied_at) VALUES (1, datetime(?, 'unixepoch'))",
        [applied[0].applied_at.into()],
    );
    db.execute_raw(record).await?;
    db.commit().await
}
