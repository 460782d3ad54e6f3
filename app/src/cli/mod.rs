//! The command line: one file per command.

mod achievements;
mod adopt;
mod backup;
mod calendar;
mod challenges;
mod check;
mod compact;
mod completions;
mod copy;
mod demo;
mod export;
mod health;
mod import;
mod init;
mod leaderboard;
mod migrate;
mod packs;
mod play;
mod questions;
mod rebuild;
mod recover;
mod reset;
mod selftest;
mod serve;
mod simulate;
mod stats;
mod user;
mod verify;

use std::sync::Arc;

use clap::{ArgAction, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::LevelFilter;

use crate::config::{SettingFlags, Settings};
use crate::error::Failure;
use crate::logging;
use crate::output::Output;
use crate::progress::Bar;
use crate::wiring::App;

/// Looks after the database of a trivia game: players, questions, games, leaderboards, backups.
///
/// Settings come from a flag, else the environment (DATABASE_URL, TRIVIA_..., a .env file), else
/// trivia.toml, else a default.
///
/// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a check found something, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "trivia-db", version, max_term_width = 100, after_help = "New here? Run `trivia-db demo`.")]
pub(crate) struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    #[command(flatten)]
    settings: SettingFlags,
    /// Print the result as one JSON document
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more on stderr; twice for still more
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Log errors only, and show no progress
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the database or bring it to the newest version; never loses data
    Init,
    /// Delete all data and start over, after a backup
    Reset(reset::Args),
    /// Try out everything on a scratch database; the real data is not touched
    Test,
    /// Show and change the version of the schema
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Take over a database of the original system, or look at its backups
    Adopt(adopt::Args),
    /// Copy the game to another database, of the same or another engine
    Copy(copy::Args),
    /// Add questions from files and folders
    Import(import::Args),
    /// List, show, tag, report, review, retire and restore questions
    #[command(subcommand)]
    Questions(questions::Command),
    /// Show and describe where questions come from
    #[command(subcommand)]
    Packs(packs::Command),
    /// Write data to a file or to the terminal
    #[command(subcommand)]
    Export(export::Command),
    /// Show, delete and merge players
    #[command(subcommand)]
    User(user::Command),
    /// Show who leads
    Leaderboard(leaderboard::Args),
    /// Show, define and retire what players can unlock
    #[command(subcommand)]
    Achievements(achievements::Command),
    /// Show or set where days turn and weeks start
    Calendar(calendar::Args),
    /// Show the present challenges, or set their language
    Challenges(challenges::Args),
    /// Make, list, verify, restore and delete backups
    #[command(subcommand)]
    Backup(backup::Command),
    /// Check the integrity of the database (exit code 3 when something is wrong)
    Check,
    /// Compare every derived number with the ledger (exit code 3 when one differs)
    Verify,
    /// Compute every derived number anew from the ledger, after a backup
    Rebuild,
    /// Give space that the file does not use back to the file system
    Compact,
    /// Rescue what can be rescued from a damaged database, and from the newest verified backup
    Recover(recover::Args),
    /// Show figures about the database
    Stats,
    /// Say whether all is well and what to do (exit code 3 when critical, 0 with warnings)
    Health,
    /// Do regularly what has to be done (backups, checks, clean-up), and answer health checks over HTTP
    Serve(serve::Args),
    /// Put load on the database and prove that nothing is lost
    Simulate(simulate::Args),
    /// Show a whole life in ten steps on a scratch database: the place to start
    Demo(demo::Args),
    /// Play a game in the terminal
    Play(play::Args),
    /// Print completions for a shell
    Completions(completions::Args),
}

/// How a command ended that did what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Done.
    Good,
    /// Done, and what was checked is not right.
    Bad,
    /// Ended early by Ctrl-C, in good order.
    Interrupted,
}

impl Verdict {
    /// Good or bad.
    fn of(ok: bool) -> Self {
        if ok { Self::Good } else { Self::Bad }
    }
}

/// What every command returns.
pub(crate) type CommandResult = Result<Verdict, Failure>;

/// Sent when a file grows beyond the limit of its process: signal(7).
const SIGXFSZ: i32 = 25;

/// Runs a command line.
pub(crate) fn run(cli: Cli, output: &mut Output) -> CommandResult {
    // needs no settings, so it works where they are wrong
    if let Command::Completions(args) = &cli.command {
        return completions::run(args, output);
    }
    let settings = Settings::load(&cli.global.settings)?;
    // the accident of the demo is on purpose: its log would only alarm
    let quiet = matches!(cli.command, Command::Demo(_)) && cli.global.verbose == 0;
    // what a server does is in its log only
    let normal = if cli.command.is_server() { LevelFilter::INFO } else { LevelFilter::WARN };
    logging::start(if quiet { LevelFilter::OFF } else { cli.global.level(normal) }, settings.log_format);
    let mut app = App::new(&settings)?;
    if cli.global.shows_progress() && !cli.command.is_server() {
        app = app.showing(Arc::new(Bar::default()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::because("cannot start the runtime", "look at the limits of this user", error))?;
    let result = runtime.block_on(async {
        // the end of a limit on files is an error then, and not the end of the program
        let _limit = signal(SignalKind::from_raw(SIGXFSZ));
        let handles_interrupts = matches!(cli.command, Command::Play(_)) || cli.command.is_server();
        tokio::select! {
            result = dispatch(&app, cli.command, output) => result,
            () = interrupted(), if !handles_interrupts => Err(Failure::Interrupted),
        }
    });
    // a thread that waits for a line of input would hold up the end
    runtime.shutdown_background();
    result
}

/// Waits for Ctrl-C. The command is dropped then, and open transactions with it.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        // without a handler the system ends the process as always
        std::future::pending().await
    }
}

async fn dispatch(app: &App, command: Command, output: &mut Output) -> CommandResult {
    match command {
        Command::Init => init::run(app, output).await,
        Command::Reset(args) => reset::run(app, &args, output).await,
        Command::Test => selftest::run(app, output).await,
        Command::Migrate(command) => migrate::run(app, &command, output).await,
        Command::Adopt(args) => adopt::run(app, &args, output).await,
        Command::Copy(args) => copy::run(app, &args, output).await,
        Command::Import(args) => import::run(app, &args, output).await,
        Command::Questions(command) => questions::run(app, &command, output).await,
        Command::Packs(command) => packs::run(app, &command, output).await,
        Command::Export(command) => export::run(app, &command, output).await,
        Command::User(command) => user::run(app, &command, output).await,
        Command::Leaderboard(args) => leaderboard::run(app, &args, output).await,
        Command::Achievements(command) => achievements::run(app, &command, output).await,
        Command::Calendar(args) => calendar::run(app, &args, output).await,
        Command::Challenges(args) => challenges::run(app, &args, output).await,
        Command::Backup(command) => backup::run(app, &command, output).await,
        Command::Check => check::run(app, output).await,
        Command::Verify => verify::run(app, output).await,
        Command::Rebuild => rebuild::run(app, output).await,
        Command::Compact => compact::run(app, output).await,
        Command::Recover(args) => recover::run(app, &args, output).await,
        Command::Stats => stats::run(app, output).await,
        Command::Health => health::run(app, output).await,
        Command::Serve(args) => serve::run(app, &args, output).await,
        Command::Simulate(args) => simulate::run(app, &args, output).await,
        Command::Demo(args) => demo::run(app, &args, output).await,
        Command::Play(args) => play::run(app, &args, output).await,
        Command::Completions(args) => completions::run(&args, output),
    }
}

impl Command {
    /// Whether it runs until somebody ends it.
    fn is_server(&self) -> bool {
        matches!(self, Self::Serve(args) if !args.once)
    }
}

impl Global {
    /// Whether somebody looks on; indicatif draws on terminals only.
    fn shows_progress(&self) -> bool {
        !self.json && !self.quiet
    }

    fn level(&self, normal: LevelFilter) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::ERROR,
            (false, 0) => normal,
            (false, 1) => LevelFilter::INFO,
            (false, _) => LevelFilter::DEBUG,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
