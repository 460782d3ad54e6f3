//! The backups that the original made: `trivia_<kind>_<time>.db` and some others, with notes in two forms.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value as Json;
use trivia_domain::model::{BackupNotes, OriginalBackup, RowCounts, ServerClock};
use trivia_domain::{StoreError, StoreResult};

use super::super::files::{blocking, failed, read_limited};
use super::SqliteAdoption;
use super::source::Source;

/// Longest notes that are read.
const NOTES_LIMIT: u64 = 1 << 16;

/// What is written beside a backup.
struct Notes {
    form: BackupNotes,
    kind: Option<String>,
    /// What the server's clock showed.
    made_at: Option<NaiveDateTime>,
    /// What they say about the file.
    bytes: Option<u64>,
    rows: RowCounts,
    version: Option<String>,
}

impl SqliteAdoption {
    /// The backups of the original in a directory, newest first, each one looked at as [`Self::adopt`] would.
    /// Files with other names are passed over.
    ///
    /// # Errors
    /// What the system reports about the directory, and `DiskFull` when there is no space for a copy.
    pub async fn original_backups(&self, dir: &Path, server: ServerClock) -> StoreResult<Vec<OriginalBackup>> {
        let directory = dir.to_owned();
        let files = blocking(move || named_by_the_original(&directory)).await?;
        let mut backups = Vec::with_capacity(files.len());
        for file in files {
            backups.push(self.inspect(file, server).await?);
        }
        backups.sort_by(|a: &OriginalBackup, b| (b.created_at, &b.path).cmp(&(a.created_at, &a.path)));
        Ok(backups)
    }

    async fn inspect(&self, file: Named, server: ServerClock) -> StoreResult<OriginalBackup> {
        let Named { path, kind, made_at } = file;
        let at = path.clone();
        let (bytes, notes) = blocking(move || {
            let bytes = fs::metadata(&at).map_err(failed(&at))?.len();
            let mut beside = at.into_os_string();
            beside.push(".meta");
            Ok((bytes, notes(Path::new(&beside))))
        })
        .await?;
        let (rows, mut problems) = match self.rows(&path).await {
            Ok(rows) => (rows, Vec::new()),
            Err(StoreError::Corrupt { reason, .. } | StoreError::Incompatible { reason, .. }) => {
                (RowCounts::new(), vec![reason])
            }
            Err(error @ StoreError::Busy { .. }) => (RowCounts::new(), vec![error.to_string()]),
            Err(error) => return Err(error),
        };
        if problems.is_empty() {
            problems = contradictions(&notes, bytes, &rows);
        }
        let wall = notes.made_at.or(made_at);
        let created_at: Option<DateTime<Utc>> = wall.and_then(|wall| server.readings(wall).first().copied());
        Ok(OriginalBackup {
            path: path.display().to_string(),
            kind: notes.kind.unwrap_or(kind),
            created_at,
            bytes,
            notes: notes.form,
            rows,
            ok: problems.is_empty(),
            problems,
        })
    }

    async fn rows(&self, path: &Path) -> StoreResult<RowCounts> {
        let staging = self.backups.shelf.staging.clone();
        let scratch = blocking(move || staging.drill_place()).await?;
        let source = Source::take(path, scratch.file("files"), &scratch).await?;
        let rows = source.rows.clone();
        blocking(move || {
            drop((source, scratch));
            Ok(rows)
        })
        .await
    }
}

/// A file with a name that the original gives.
struct Named {
    path: PathBuf,
    kind: String,
    made_at: Option<NaiveDateTime>,
}

fn named_by_the_original(dir: &Path) -> StoreResult<Vec<Named>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed(dir))? {
        let path = entry.map_err(failed(dir))?.path();
        let Some((kind, made_at)) = path.file_name().and_then(OsStr::to_str).and_then(parse_name) else { continue };
        // neither links nor directories are backups
        if path.symlink_metadata().map_err(failed(&path))?.is_file() {
            files.push(Named { path, kind, made_at });
        }
    }
    Ok(files)
}

/// Kind and time in a name; ours end in a number instead of a time.
fn parse_name(name: &str) -> Option<(String, Option<NaiveDateTime>)> {
    let (rest, made_at) = cut_time(name.strip_suffix(".db")?)?;
    let kind = rest.strip_prefix("trivia_").or_else(|| rest.starts_with("pre_").then_some(rest))?;
    // a recovery point has its time twice
    let kind = cut_time(kind).map_or(kind, |(kind, _)| kind);
    (!kind.is_empty()).then(|| (kind.to_owned(), Some(made_at)))
}

/// Cuts a time off the end of a name.
fn cut_time(name: &str) -> Option<(&str, NaiveDateTime)> {
    let at = name.len().checked_sub("_20251030_040417".len())?;
    let time = name.get(at..)?;
    let time = NaiveDateTime::parse_from_str(time, "_%Y%m%d_%H%M%S").ok()?;
    Some((&name[..at], time))
}

/// The notes beside a backup, which anybody may have written.
fn notes(path: &Path) -> Notes {
    let none = |form| Notes { form, kind: None, made_at: None, bytes: None, rows: RowCounts::new(), version: None };
    let text = match read_limited(path, NOTES_LIMIT) {
        Ok(None) => return none(BackupNotes::None),
        Ok(Some(text)) => String::from_utf8(text).ok(),
        Err(_) => None,
    };
    let Some(text) = text else { return none(BackupNotes::Unreadable) };
    if let Ok(json @ Json::Object(_)) = serde_json::from_str(&text) {
        return of_json(&json);
    }
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let (time, version) = (value("backup_time"), value("schema_version"));
    if time.is_none() && version.is_none() {
        return none(BackupNotes::Unreadable);
    }
    Notes {
        made_at: time.and_then(|time| time.parse().ok()),
        version: version.map(str::to_owned),
        ..none(BackupNotes::Lines)
    }
}

fn of_json(json: &Json) -> Notes {
    let stats = &json["database_stats"];
    let count = |table: &str, key: &str| Some((table.to_owned(), stats[key].as_u64()?));
    let rows = [
        ("users", "users_count"),
        ("questions", "questions_count"),
        ("user_achievements", "user_achievements_count"),
        ("weekly_rankings", "weekly_rankings_count"),
        ("game_sessions", "game_sessions_count"),
    ];
    Notes {
        form: BackupNotes::Json,
        kind: json["backup_type"].as_str().map(str::to_owned),
        made_at: json["created_at"].as_str().and_then(|time| time.parse().ok()),
        bytes: json["backup_size"].as_u64(),
        rows: rows.iter().filter_map(|(table, key)| count(table, key)).collect(),
        version: stats["schema_version"].as_i64().map(|version| version.to_string()),
    }
}

/// Where a file is not what its notes say.
fn contradictions(notes: &Notes, bytes: u64, rows: &RowCounts) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(noted) = notes.bytes.filter(|noted| *noted != bytes) {
        problems.push(format!("it has {bytes} bytes, its notes say {noted}"));
    }
    for (table, noted) in &notes.rows {
        let found = rows.get(table).copied().unwrap_or(0);
        if found != *noted {
            problems.push(format!("table {table} has {found} rows, its notes say {noted}"));
        }
    }
    if let Some(version) = notes.version.as_ref().filter(|version| *version != "1") {
        problems.push(format!("its notes say version {version}"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Option<String> {
        parse_name(name).map(|(kind, _)| kind)
    }

    #[test]
    fn names_of_the_original_are_known() {
        for (name, expected) in [
            ("trivia_backup_20251030_040417.db", "backup"),
            ("trivia_daily_20251031_000503.db", "daily"),
            ("trivia_pre_reset_20251031_000503.db", "pre_reset"),
            ("trivia_recovery_20251031_000503_20251031_000504.db", "recovery"),
            ("pre_restore_backup_20251031_000503.db", "pre_restore_backup"),
            ("pre_migration_v1_20251031_000503.db", "pre_migration_v1"),
        ] {
            assert_eq!(kind(name).as_deref(), Some(expected), "{name}");
        }
        for name in [
            "trivia.db",
            "trivia_20251031_000503.db",
            "trivia_manual_20251101t000000z_000001.db",
            "trivia_daily_20251331_000503.db",
            "trivia_daily_20251031_000503.db.meta",
            "notes_20251031_000503.db",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
    }
}
