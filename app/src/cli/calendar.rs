//! `calendar`: where days turn and weeks start, for boards and challenges.

use serde::Serialize;
use trivia_domain::StoreResult;
use trivia_domain::model::{Calendar, DayKey, Period, TimeZone, Weekday};
use trivia_domain::ports::Store;

use super::{CommandResult, Verdict};
use crate::error::Failure;
use crate::output::{Output, count};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Change it, for the past as well: all boards are computed anew
    Set(Change),
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// Where days turn: an IANA name, such as Atlantic/Reykjavik
    #[arg(long)]
    zone: Option<TimeZone>,
    /// On which day weeks start, such as sunday
    #[arg(long, value_name = "DAY")]
    week_start: Option<Weekday>,
}

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    calendar: Calendar,
    /// The present day in it.
    today: DayKey,
    /// First day of the present week.
    this_week: DayKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    players_changed: Option<u64>,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let (calendar, players_changed) = app
        .with_database(async |database| match &args.command {
            None => Ok((present(database).await?, None)),
            Some(Command::Set(change)) => {
                let (calendar, changed) = set(database, change).await?;
                Ok((calendar, Some(changed)))
            }
        })
        .await?;
    let today = calendar.day(app.clock.now());
    let report = Report { calendar, today, this_week: calendar.start(Period::Week, today), players_changed };
    tell(&report, output)?;
    output.report(&report)?;
    Ok(Verdict::Good)
}

/// The calendar that the store plays by.
pub(super) async fn present(store: &dyn Store) -> StoreResult<Calendar> {
    Ok(store.rules().rules().await?.calendar)
}

async fn set(store: &dyn Store, change: &Change) -> StoreResult<(Calendar, u64)> {
    let before = present(store).await?;
    let calendar = Calendar {
        zone: change.zone.unwrap_or(before.zone),
        week_start: change.week_start.unwrap_or(before.week_start),
    };
    Ok((calendar, store.rules().set_calendar(calendar).await?))
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let Report { calendar, today, this_week, players_changed } = report;
    writeln!(output, "Days turn at midnight in {}, weeks start on {}.", calendar.zone, calendar.week_start)?;
    writeln!(output, "Today is {today}; this week started on {this_week}.")?;
    if let Some(changed) = players_changed {
        let players = count(usize::try_from(*changed).unwrap_or(usize::MAX), "player");
        writeln!(output, "Boards were computed anew; {players} changed.")?;
    }
    Ok(())
}
