//! `user show`: everything about a player.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use clap::ValueEnum;
use serde::Serialize;
use trivia_domain::model::{
    Accuracy, AchievementId, Badge, ChallengeKind, DayKey, Standing, Tally, UserId, UserProfile,
};
use trivia_domain::ports::{AchievementProgress, Store, UserBreakdown};

use crate::cli::leaderboard::Span;
use crate::cli::{CommandResult, Verdict, calendar};
use crate::error::Failure;
use crate::output::{Column, Output, printable};
use crate::wiring::App;

/// Weekly challenges whose badges are shown.
const WEEKS: u32 = 10;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The player's id
    id: UserId,
}

/// Everything about a player.
#[derive(Serialize)]
struct Report {
    profile: UserProfile,
    accuracy: Accuracy,
    breakdown: UserBreakdown,
    achievements: Vec<Achievement>,
    /// By board; only those where the player has points.
    ranks: BTreeMap<&'static str, Standing>,
    /// Of the last weekly challenges, newest first.
    badges: Vec<Won>,
}

/// A badge of a weekly challenge.
#[derive(Serialize)]
struct Won {
    starts_on: DayKey,
    badge: Badge,
}

/// How far the player is with an achievement.
#[derive(Serialize)]
struct Achievement {
    #[serde(flatten)]
    progress: AchievementProgress,
    unlocked_at: Option<DateTime<Utc>>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let now = app.clock.now();
    let report = app.with_database(async |database| load(database, args.id, now).await).await?;
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

async fn load(store: &dyn Store, id: UserId, now: DateTime<Utc>) -> Result<Report, Failure> {
    let profile = store.users().get(id).await?;
    let breakdown = store.users().breakdown(id).await?;
    let unlocked: BTreeMap<AchievementId, DateTime<Utc>> =
        store.achievements().of(id).await?.into_iter().map(|one| (one.achievement_id, one.unlocked_at)).collect();
    let achievements = store.achievements().progress(id).await?.into_iter().map(|progress| {
        let unlocked_at = unlocked.get(&progress.definition.id).copied();
        Achievement { progress, unlocked_at }
    });
    let achievements = achievements.collect();
    let calendar = calendar::present(store).await?;
    let mut ranks = BTreeMap::new();
    for span in Span::value_variants() {
        let board = span.board(&calendar, calendar.day(now));
        if let Some(standing) = store.rankings().standing(board, id).await? {
            ranks.insert(span.name(), standing);
        }
    }
    let weeks = store.challenges().history(id, ChallengeKind::Weekly, WEEKS).await?;
    let won = |badge, starts_on| Won { starts_on, badge };
    let badges = weeks.iter().filter_map(|week| Some(won(week.badge()?, week.challenge.starts_on))).collect();
    let accuracy = profile.accuracy();
    Ok(Report { profile, accuracy, breakdown, achievements, ranks, badges })
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    let profile = &report.profile;
    writeln!(output, "{}", style.strong(format_args!("Player {}", profile.user_id)))?;
    writeln!(
        output,
        "{} points from {} answers, {} right ({})",
        profile.total_points, profile.questions_answered, profile.questions_correct, report.accuracy
    )?;
    writeln!(output, "streak {} (best {})", profile.current_streak, profile.best_streak)?;
    writeln!(output, "days in a row {} (best {})", profile.day_streak, profile.best_day_streak)?;
    writeln!(output, "time zone {}", profile.time_zone)?;
    writeln!(output, "challenges done: {} daily, {} weekly", profile.daily_challenges, profile.weekly_challenges)?;
    for Won { starts_on, badge } in &report.badges {
        writeln!(output, "badge {badge} for the week of {starts_on}")?;
    }
    for (board, standing) in &report.ranks {
        writeln!(output, "{board}: rank {} of {} with {} points", standing.rank, standing.total, standing.points)?;
    }
    let difficulties = report.breakdown.by_difficulty.iter().map(|(name, tally)| slice(name.as_str(), tally));
    let categories = report.breakdown.by_category.iter().map(|(name, tally)| slice(&printable(name.as_str()), tally));
    let slices: Vec<_> = difficulties.chain(categories).collect();
    if !slices.is_empty() {
        let columns = ["answered", "right", "accuracy", "points"].map(Column::right);
        let columns: Vec<Column> = [Column::left("difficulty or category")].into_iter().chain(columns).collect();
        output.table(&columns, slices)?;
    }
    let achievements = report.achievements.iter().map(|Achievement { progress, unlocked_at }| {
        let when = unlocked_at.map_or_else(String::new, |at| at.format("%Y-%m-%d").to_string());
        vec![printable(&progress.definition.name), format!("{} of {}", progress.reached, progress.target), when]
    });
    let columns = [Column::left("achievement"), Column::right("progress"), Column::left("unlocked")];
    output.table(&columns, achievements.collect())
}

fn slice(name: &str, tally: &Tally) -> Vec<String> {
    vec![
        name.to_owned(),
        tally.answered.to_string(),
        tally.correct.to_string(),
        tally.accuracy().to_string(),
        tally.points.to_string(),
    ]
}
