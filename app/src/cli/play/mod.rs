//! `play`: a game in the terminal.

mod challenge;
mod game;
mod input;
mod shown;

use clap::value_parser;
use serde::Serialize;
use trivia_domain::model::{AchievementId, Board, ChallengeKind, Period, Points, Standing, UserId};
use trivia_domain::ports::Store;

use self::challenge::Progress;
use self::game::Game;
use self::input::Input;
use super::questions::filter::Filter;
use super::{CommandResult, Verdict, calendar};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Who plays
    #[arg(long, value_name = "ID", default_value = "1")]
    user: UserId,
    /// Play the question of the day, or those of the week: the same for everybody, one attempt each
    #[arg(long, value_name = "KIND", conflicts_with_all = ["questions", "Filter"])]
    challenge: Option<ChallengeKind>,
    /// How many questions
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=100))]
    questions: u32,
    #[command(flatten)]
    filter: Filter,
    /// Seconds to answer a question
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = value_parser!(u64).range(1..=86_400))]
    time_limit: u64,
    /// Decides the questions and the order of the options [default: chance]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

/// How a game went.
#[derive(Debug, Serialize)]
struct Report {
    user_id: UserId,
    asked: usize,
    #[serde(flatten)]
    score: Score,
    total_points: Points,
    /// Place among all players; `None` without points.
    all_time: Option<Standing>,
    /// Place in this week.
    weekly: Option<Standing>,
    /// The challenge that was played.
    challenge: Option<Progress>,
}

/// What was reached in this game.
#[derive(Debug, Default, Serialize)]
struct Score {
    /// Questions that were answered in time.
    answered: usize,
    correct: usize,
    /// Points for the answers, without bonuses.
    points: i64,
    best_streak: u64,
    unlocked: Vec<AchievementId>,
}

/// Why a game ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All questions were asked.
    Complete,
    /// No more input, or the session was ended elsewhere.
    Stopped,
    /// Ctrl-C.
    Interrupted,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    output.talk();
    let (end, report) = app
        .with_database(async |database| {
            let store: &dyn Store = database;
            if let Some(done) = challenge::done_before(store, args).await? {
                return Ok((End::Complete, report(app, store, args.user, 0, Score::default(), Some(done)).await?));
            }
            let mut input = Input::new()?;
            let mut game = Game::start(app, store, args).await?;
            let played = game.play(&mut input, output).await;
            // in any case, so that the channel is free
            store.play().finish(game.session.id).await?;
            let end = played?;
            let challenge = match game.session.challenge {
                Some(id) => Some(challenge::progress(store, args.user, id).await?),
                None => None,
            };
            Ok((end, report(app, store, args.user, game.questions.len(), game.score, challenge).await?))
        })
        .await?;
    if end != End::Complete {
        writeln!(output, "\nStopped early; what you answered is counted.")?;
    }
    tell(&report, output)?;
    output.report(&report)?;
    Ok(if end == End::Interrupted { Verdict::Interrupted } else { Verdict::Good })
}

async fn report(
    app: &App,
    store: &dyn Store,
    user_id: UserId,
    asked: usize,
    score: Score,
    challenge: Option<Progress>,
) -> Result<Report, Failure> {
    let rankings = store.rankings();
    let calendar = calendar::present(store).await?;
    let week = calendar.board(Period::Week, calendar.day(app.clock.now()));
    Ok(Report {
        user_id,
        asked,
        score,
        total_points: store.users().get(user_id).await?.total_points,
        all_time: rankings.standing(Board::AllTime, user_id).await?,
        weekly: rankings.standing(week, user_id).await?,
        challenge,
    })
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    let Report { asked, score, total_points, .. } = report;
    if *asked > 0 {
        let result = format!("{} of {asked} right, {} points", score.correct, score.points);
        writeln!(output, "\n{}", style.strong(result))?;
    }
    if let Some(challenge) = &report.challenge {
        challenge.tell(output)?;
    }
    writeln!(output, "Player {} has {total_points} points now.", report.user_id)?;
    for (board, standing) in [("of all time", report.all_time), ("this week", report.weekly)] {
        if let Some(Standing { rank, total, .. }) = standing {
            writeln!(output, "Rank {rank} of {total} {board}")?;
        }
    }
    Ok(())
}
