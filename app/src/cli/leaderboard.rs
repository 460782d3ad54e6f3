//! `leaderboard`: who leads.

use chrono::{DateTime, Utc};
use clap::{ValueEnum, value_parser};
use serde::Serialize;
use trivia_domain::model::{Board, Calendar, DayKey, LeaderboardEntry, Period, UserId};
use trivia_domain::ports::Store;

use super::{CommandResult, Verdict, calendar};
use crate::error::Failure;
use crate::output::{Column, Output, count};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Points of which time
    #[arg(long, value_enum, default_value_t = Span::AllTime)]
    period: Span,
    /// A day of that time, such as 2026-03-31 [default: today, by the calendar of the store]
    #[arg(long, value_name = "DATE")]
    at: Option<DayKey>,
    /// Most lines
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Show this player with those before and after
    #[arg(long, value_name = "USER")]
    around: Option<UserId>,
}

impl Args {
    /// The top of the present board.
    pub(super) const fn top(period: Span) -> Self {
        Self { period, at: None, limit: 10, around: None }
    }
}

/// The time that a board covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Span {
    /// All points, bonuses included
    AllTime,
    /// One day
    Daily,
    /// Seven days
    Weekly,
    /// A calendar month
    Monthly,
}

impl Span {
    /// The name on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AllTime => "all-time",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// Its length; `None` without an end.
    const fn period(self) -> Option<Period> {
        match self {
            Self::AllTime => None,
            Self::Daily => Some(Period::Day),
            Self::Weekly => Some(Period::Week),
            Self::Monthly => Some(Period::Month),
        }
    }

    /// The board of the time that holds `day`.
    pub(super) fn board(self, calendar: &Calendar, day: DayKey) -> Board {
        self.period().map_or(Board::AllTime, |period| calendar.board(period, day))
    }
}

/// A stretch of a board. `to` is its last day.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Report {
    period: Span,
    from: Option<DayKey>,
    to: Option<DayKey>,
    pub(super) entries: Vec<LeaderboardEntry>,
    pub(super) total: u64,
    /// By how many ranks the player in the middle stands better than in the period before.
    rank_change: Option<i64>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let now = app.clock.now();
    let report = app.with_database(async |database| load(database, args, now).await).await?;
    match (report.from, report.to) {
        (Some(from), Some(to)) if from != to => writeln!(output, "{from} to {to}")?,
        (Some(day), _) => writeln!(output, "{day}")?,
        _ => {}
    }
    match args.around {
        Some(user) if report.entries.is_empty() => writeln!(output, "Player {user} has no points here yet.")?,
        None if report.entries.is_empty() => writeln!(output, "Nobody has points here yet.")?,
        _ => {
            table(&report.entries, |user| user.to_string(), output)?;
            writeln!(output, "{} of {} players", report.entries.len(), report.total)?;
        }
    }
    if let (Some(user), Some(change)) = (args.around, report.rank_change) {
        writeln!(output, "Player {user}: {}", compared(change))?;
    }
    output.report(&report)?;
    Ok(Verdict::Good)
}

/// Reads a stretch of a board: its top, or the surroundings of a player.
pub(super) async fn load(store: &dyn Store, args: &Args, now: DateTime<Utc>) -> Result<Report, Failure> {
    let calendar = calendar::present(store).await?;
    let day = args.at.unwrap_or_else(|| calendar.day(now));
    let (period, board, rankings) = (args.period, args.period.board(&calendar, day), store.rankings());
    let top = rankings.page(board, None, args.limit).await?;
    let entries = match args.around {
        // as many before as after, the player in the middle
        Some(user) => rankings.around(board, user, (args.limit - 1) / 2).await?,
        None => top.entries,
    };
    let rank_change = match (args.around, period.period()) {
        (Some(user), Some(period)) => rankings.rank_change(period, day, user).await?,
        _ => None,
    };
    let (from, to) = match board {
        Board::AllTime => (None, None),
        Board::Period { period, start } => (Some(start), period.end(start).date().pred_opt().map(DayKey::new)),
    };
    Ok(Report { period, from, to, entries, total: top.total, rank_change })
}

/// A change of rank for people.
fn compared(change: i64) -> String {
    let ranks = count(usize::try_from(change.unsigned_abs()).unwrap_or(usize::MAX), "rank");
    match change {
        0 => "the same rank as in the period before".to_owned(),
        1.. => format!("{ranks} better than in the period before"),
        _ => format!("{ranks} worse than in the period before"),
    }
}

/// Lines of a board; `name` turns a player into what people call them.
pub(super) fn table(
    entries: &[LeaderboardEntry],
    name: impl Fn(UserId) -> String,
    output: &mut Output,
) -> Result<(), Failure> {
    let columns = [
        Column::right("rank"),
        Column::left("player"),
        Column::right("points"),
        Column::right("answered"),
        Column::right("right"),
        Column::right("accuracy"),
        Column::right("streak"),
    ];
    let row = |entry: &LeaderboardEntry| {
        vec![
            entry.rank.to_string(),
            name(entry.user_id),
            entry.points.to_string(),
            entry.questions_answered.to_string(),
            entry.questions_correct.to_string(),
            entry.accuracy.to_string(),
            entry.current_streak.to_string(),
        ]
    };
    output.table(&columns, entries.iter().map(row).collect())
}
