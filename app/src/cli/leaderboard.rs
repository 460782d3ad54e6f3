//! `leaderboard`: who leads.

use clap::{ValueEnum, value_parser};
use serde::Serialize;
use trivia_domain::model::{Board, DayKey, LeaderboardEntry, Period, UserId};
use trivia_domain::ports::{RankingRepository, Repositories};

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Column, Output};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Points of which time
    #[arg(long, value_enum, default_value_t = Span::AllTime)]
    period: Span,
    /// A day of that time, such as 2026-03-31 [default: today, UTC]
    #[arg(long, value_name = "DATE")]
    at: Option<DayKey>,
    /// Most lines
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Show this player with those before and after
    #[arg(long, value_name = "USER")]
    around: Option<UserId>,
}

/// The time that a board covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Span {
    /// All points, bonuses included
    AllTime,
    /// One day
    Daily,
    /// Monday to Sunday
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

    /// The board of the time that holds `day`.
    pub(super) fn board(self, day: DayKey) -> Board {
        match self {
            Self::AllTime => Board::AllTime,
            Self::Daily => Board::of(Period::Day, day),
            Self::Weekly => Board::of(Period::Week, day),
            Self::Monthly => Board::of(Period::Month, day),
        }
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
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let day = args.at.unwrap_or_else(|| DayKey::of(app.clock.now()));
    let report = app
        .with_database(async |database| load(database.rankings(), args.period, day, args.limit, args.around).await)
        .await?;
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
    output.report(&report)?;
    Ok(Verdict::Good)
}

/// Reads a stretch of a board: its top, or the surroundings of a player.
pub(super) async fn load(
    rankings: &dyn RankingRepository,
    period: Span,
    day: DayKey,
    limit: u32,
    around: Option<UserId>,
) -> Result<Report, Failure> {
    let board = period.board(day);
    let top = rankings.page(board, None, limit).await?;
    let entries = match around {
        // as many before as after, the player in the middle
        Some(user) => rankings.around(board, user, (limit - 1) / 2).await?,
        None => top.entries,
    };
    let (from, to) = match board {
        Board::AllTime => (None, None),
        Board::Period { period, start } => (Some(start), period.end(start).date().pred_opt().map(DayKey::new)),
    };
    Ok(Report { period, from, to, entries, total: top.total })
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
