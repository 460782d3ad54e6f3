//! `play`: a game in the terminal.

use std::io::{self, BufRead};
use std::time::Duration;

use clap::value_parser;
use rand::seq::SliceRandom;
use serde::Serialize;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use trivia_domain::model::{
    AchievementId, Board, Category, ChannelId, DayKey, Difficulty, GameSession, Given, IdempotencyKey, Period, Points,
    Question, QuestionBody, QuestionContent, Receipt, SessionKind, Standing, TimeLimit, UserId,
};
use trivia_domain::ports::{
    AnswerSubmission, PickOwner, PickRequest, PickScope, QuestionFilter, Repositories, StartSession, Store,
    WhenExhausted,
};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::{CommandResult, Verdict};
use crate::chance::seeded;
use crate::error::Failure;
use crate::output::{Output, printable};
use crate::wiring::App;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Who plays
    #[arg(long, value_name = "ID", default_value = "1")]
    user: UserId,
    /// How many questions
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=100))]
    questions: u32,
    /// Only this category
    #[arg(long)]
    category: Option<Category>,
    /// Only this difficulty: easy, medium or hard
    #[arg(long)]
    difficulty: Option<Difficulty>,
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
    let mut input = Input::new()?;
    let (end, report) = app
        .with_database(async |database| {
            let mut game = Game::start(app, database, args).await?;
            let played = game.play(&mut input, output).await;
            // in any case, so that the channel is free
            database.play().finish(game.session.id).await?;
            let end = played?;
            Ok((end, game.report().await?))
        })
        .await?;
    if end != End::Complete {
        writeln!(output, "\nStopped early; what you answered is counted.")?;
    }
    tell(&report, output)?;
    output.report(&report)?;
    Ok(if end == End::Interrupted { Verdict::Interrupted } else { Verdict::Good })
}

/// A session of one player in a channel of his own.
struct Game<'a> {
    app: &'a App,
    store: &'a dyn Store,
    user: UserId,
    seed: u64,
    session: GameSession,
    questions: Vec<Question>,
    score: Score,
}

impl<'a> Game<'a> {
    async fn start(app: &'a App, store: &'a dyn Store, args: &Args) -> Result<Self, Failure> {
        let seed = args.seed.unwrap_or_else(|| app.random.next_u64());
        let user = store.users().get_or_create(args.user).await?.user_id;
        let filter = QuestionFilter { category: args.category.clone(), difficulty: args.difficulty, kind: None };
        // nobody is asked the same twice while there is something new
        let scope = PickScope { of: PickOwner::Player(user), exhausted: WhenExhausted::ReuseOldest };
        let pick = PickRequest { filter, count: args.questions, exclude: Vec::new(), seed, scope: Some(scope) };
        let questions = store.questions().pick(&pick).await.map_err(|error| match error {
            StoreError::Refused(refusal @ Refusal::NotEnoughQuestions { .. }) => Failure::new(
                refusal.to_string(),
                "ask for fewer with --questions, or for another category or difficulty",
            ),
            other => other.into(),
        })?;
        let request = StartSession {
            channel_id: ChannelId::new(user.get())?,
            host: user,
            kind: SessionKind::Normal,
            questions: questions.iter().map(|question| question.id).collect(),
            time_limit: TimeLimit::new(Duration::from_secs(args.time_limit))?,
        };
        let session = match store.play().start_session(request.clone()).await {
            // a game whose terminal was closed
            Err(StoreError::Refused(Refusal::ChannelOccupied)) => {
                if let Some(left) = store.sessions().live(request.channel_id).await? {
                    store.play().finish(left.id).await?;
                }
                store.play().start_session(request).await?
            }
            other => other?,
        };
        Ok(Self { app, store, user, seed, session, questions, score: Score::default() })
    }

    async fn play(&mut self, input: &mut Input, output: &mut Output) -> Result<End, Failure> {
        let style = output.style();
        writeln!(output, "{}", style.faint("Answer by letter or by text; Ctrl-D ends the game."))?;
        for (at, question) in self.questions.clone().iter().enumerate() {
            let shown = Shown::new(&question.content, self.seed.wrapping_add(at as u64))?;
            self.ask(at, &shown, output)?;
            let given = loop {
                write!(output, "> ")?;
                output.flush()?;
                let line = match input.line().await {
                    Line::Text(line) => line,
                    Line::End => return Ok(End::Stopped),
                    Line::Interrupted => return Ok(End::Interrupted),
                };
                match shown.read(&line) {
                    Some(given) => break given,
                    None => writeln!(output, "That is not one of the answers; {}.", shown.hint())?,
                }
            };
            match self.answer(question, given).await {
                Ok(receipt) => self.tell_result(&question.content, &receipt, output)?,
                Err(StoreError::Refused(Refusal::Late { late_by_ms })) => {
                    let seconds = late_by_ms / 1_000 + 1;
                    writeln!(output, "{} by {seconds} s: {}", style.bad("Too late"), answer(&question.content))?;
                }
                Err(StoreError::Refused(Refusal::SessionOver)) => {
                    writeln!(output, "This game was ended by another one of the same player.")?;
                    return Ok(End::Stopped);
                }
                Err(error) => return Err(error.into()),
            }
            self.session = self.store.play().advance(self.session.id, at).await?;
        }
        Ok(End::Complete)
    }

    fn ask(&self, at: usize, shown: &Shown, output: &mut Output) -> Result<(), Failure> {
        let style = output.style();
        let content = &shown.content;
        writeln!(output, "\n{}", style.strong(format_args!("Question {} of {}", at + 1, self.questions.len())))?;
        let about = format!(
            "{}, {}, {} points, {} s",
            printable(content.category().as_str()),
            content.difficulty(),
            content.base_points(),
            self.session.time_limit.millis() / 1_000
        );
        writeln!(output, "{}\n{}", style.faint(about), printable(content.text()))?;
        match content.body() {
            QuestionBody::MultipleChoice { options, .. } => {
                for (letter, option) in ('a'..='z').zip(options) {
                    writeln!(output, "  {letter}) {}", printable(option))?;
                }
                Ok(())
            }
            QuestionBody::TrueFalse { .. } => writeln!(output, "  true or false?"),
            QuestionBody::FillBlank { .. } => Ok(()),
        }
    }

    async fn answer(&mut self, question: &Question, given: Given) -> StoreResult<Receipt> {
        let submission = AnswerSubmission {
            key: IdempotencyKey::generate(self.app.clock.now(), self.app.random.as_ref()),
            user_id: self.user,
            session_id: self.session.id,
            question_id: question.id,
            given,
        };
        let receipt = self.store.play().submit_answer(submission).await?;
        self.score.answered += 1;
        self.score.correct += usize::from(receipt.correct == Some(true));
        self.score.points += receipt.points.get();
        self.score.best_streak = self.score.best_streak.max(receipt.streak);
        self.score.unlocked.extend(receipt.unlocked.iter().cloned());
        Ok(receipt)
    }

    fn tell_result(&self, content: &QuestionContent, receipt: &Receipt, output: &mut Output) -> Result<(), Failure> {
        let style = output.style();
        if receipt.correct == Some(true) {
            writeln!(output, "{} +{} points, streak {}", style.good("Right!"), receipt.points, receipt.streak)?;
        } else {
            writeln!(output, "{} {}", style.bad("Wrong:"), answer(content))?;
        }
        if let Some(explanation) = content.explanation() {
            writeln!(output, "{}", style.faint(printable(explanation)))?;
        }
        let definitions = self.store.achievements().definitions();
        for one in definitions.iter().filter(|definition| receipt.unlocked.contains(&definition.id)) {
            writeln!(output, "{} {} unlocked: +{} points", one.emoji, style.strong(&one.name), one.bonus)?;
        }
        Ok(())
    }

    async fn report(self) -> Result<Report, Failure> {
        let rankings = self.store.rankings();
        let week = Board::of(Period::Week, DayKey::of(self.app.clock.now()));
        Ok(Report {
            user_id: self.user,
            asked: self.questions.len(),
            score: self.score,
            total_points: self.store.users().get(self.user).await?.total_points,
            all_time: rankings.standing(Board::AllTime, self.user).await?,
            weekly: rankings.standing(week, self.user).await?,
        })
    }
}

fn answer(content: &QuestionContent) -> String {
    format!("the answer is {}", printable(content.answer()))
}

fn tell(report: &Report, output: &mut Output) -> Result<(), Failure> {
    let style = output.style();
    let Report { asked, score, total_points, .. } = report;
    writeln!(
        output,
        "\n{}",
        style.strong(format_args!("{} of {asked} right, {} points", score.correct, score.points))
    )?;
    writeln!(output, "Player {} has {total_points} points now.", report.user_id)?;
    for (board, standing) in [("of all time", report.all_time), ("this week", report.weekly)] {
        if let Some(Standing { rank, total, .. }) = standing {
            writeln!(output, "Rank {rank} of {total} {board}")?;
        }
    }
    Ok(())
}

/// A question as it is shown: its options in another order.
struct Shown {
    content: QuestionContent,
    /// For each option that is shown its index in the question.
    order: Vec<usize>,
}

impl Shown {
    fn new(content: &QuestionContent, seed: u64) -> Result<Self, Failure> {
        let QuestionBody::MultipleChoice { options, correct } = content.body() else {
            return Ok(Self { content: content.clone(), order: Vec::new() });
        };
        let mut order: Vec<usize> = (0..options.len()).collect();
        // "all of the above" needs its place
        if !options.iter().any(|option| option.to_lowercase().contains("of the above")) {
            order.shuffle(&mut seeded(seed));
        }
        let body = QuestionBody::MultipleChoice {
            options: order.iter().map(|at| options[*at].clone()).collect(),
            correct: order.iter().position(|at| at == correct).unwrap_or_default(),
        };
        let content = QuestionContent::new(body, content.text(), content.category().clone(), content.difficulty())?
            .with_points(content.base_points());
        Ok(Self { content, order })
    }

    /// What a line means for the question in its own order.
    fn read(&self, line: &str) -> Option<Given> {
        match self.content.read(line)? {
            Given::Choice(shown) => self.order.get(shown).copied().map(Given::Choice),
            other => Some(other),
        }
    }

    fn hint(&self) -> String {
        match self.order.len() {
            0 if matches!(self.content.body(), QuestionBody::TrueFalse { .. }) => "type true or false".to_owned(),
            0 => "type a word".to_owned(),
            options => {
                let last = ('a'..='z').nth(options - 1).unwrap_or('z');
                format!("type a letter from a to {last}")
            }
        }
    }
}

/// Lines from the terminal.
struct Input {
    lines: mpsc::UnboundedReceiver<String>,
    interrupt: Signal,
}

/// What came from the terminal.
enum Line {
    Text(String),
    End,
    Interrupted,
}

impl Input {
    fn new() -> Result<Self, Failure> {
        let interrupt = signal(SignalKind::interrupt())
            .map_err(|error| Failure::because("cannot listen for Ctrl-C", "report this as a defect", error))?;
        let (sender, lines) = mpsc::unbounded_channel();
        // a thread of its own: a read from a terminal cannot be called off
        std::thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            let mut line = Vec::new();
            while stdin.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        Ok(Self { lines, interrupt })
    }

    async fn line(&mut self) -> Line {
        tokio::select! {
            line = self.lines.recv() => line.map_or(Line::End, Line::Text),
            _ = self.interrupt.recv() => Line::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(options: &str, answer: &str) -> QuestionContent {
        let line = format!(
            r#"{{"kind":"multiple_choice","category":"T","difficulty":"easy","question":"?","options":{options},"answer":"{answer}"}}"#
        );
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn a_letter_means_the_option_that_is_shown_beside_it() {
        let question = content(r#"["one","two","three","four"]"#, "three");
        for seed in 0..50 {
            let shown = Shown::new(&question, seed).unwrap();
            let QuestionBody::MultipleChoice { options, .. } = shown.content.body() else { panic!("no options") };
            for (letter, option) in ('a'..='z').zip(options) {
                let right = shown.read(&letter.to_string()).and_then(|given| question.is_right(&given));
                assert_eq!(right, Some(option == "three"), "{letter}) {option}");
            }
            assert_eq!(shown.read("three"), Some(Given::Choice(2)));
            assert_eq!(shown.read("5"), None);
        }
    }

    #[test]
    fn an_option_that_speaks_of_the_others_keeps_its_place() {
        let question = content(r#"["one","two","All of the above"]"#, "one");
        for seed in 0..50 {
            assert_eq!(Shown::new(&question, seed).unwrap().order, [0, 1, 2]);
        }
    }
}
