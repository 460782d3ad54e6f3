//! `simulate`: load through the public ports, and the proof that nothing was lost.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use clap::value_parser;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use tokio::task::{JoinError, JoinSet};
use trivia_domain::model::{
    ChannelId, GameSession, Given, IdempotencyKey, Question, QuestionBody, QuestionContent, Receipt, TimeLimit, UserId,
};
use trivia_domain::ports::{
    AnswerSubmission, PickRequest, QuestionFilter, RandomSource, StartSession, Store, UnitOfWork, Work, execute,
};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::{CommandResult, Verdict};
use crate::chance::{SeededRandom, seeded};
use crate::error::Failure;
use crate::output::Output;
use crate::wiring::App;

/// Questions of one session.
const QUESTIONS: u32 = 10;
/// Players who answer at the same time in one session.
const LANES: usize = 4;
/// Players that are created in one transaction.
const BATCH: usize = 500;
/// Attempts with the same key while the outcome is unknown or the database busy.
const ATTEMPTS: u32 = 5;
/// Percent of answers that are right.
const SKILL: u32 = 60;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Players
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000_000))]
    players: u32,
    /// Answers, over all players
    #[arg(long, value_name = "M", default_value_t = 10_000)]
    answers: u64,
    /// Answers that are on their way at the same time
    #[arg(long, value_name = "C", default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    concurrency: u32,
    /// Decides who answers what
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Append the key, player and number of every acknowledged answer to this file
    #[arg(long, value_name = "FILE")]
    ack_log: Option<PathBuf>,
}

#[derive(Serialize)]
struct Report {
    answers: u64,
    acknowledged: u64,
    rejected: u64,
    /// Answers that the profiles of the players gained.
    counted: u64,
    lossless: bool,
    seconds: f64,
    p50_us: u64,
    p99_us: u64,
    /// Acknowledged answers a second.
    throughput: f64,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let acknowledgements = args.ack_log.as_deref().map(AckLog::open).transpose()?;
    let report =
        app.with_database(async |database| load(app, args, Arc::new(database.clone()), acknowledgements).await).await?;
    let style = output.style();
    writeln!(
        output,
        "{} answers in {:.2} s: {} acknowledged, {} rejected",
        HumanCount(report.answers),
        report.seconds,
        HumanCount(report.acknowledged),
        HumanCount(report.rejected)
    )?;
    writeln!(
        output,
        "{:.0} answers a second, half of them within {} us, 99 % within {} us",
        report.throughput, report.p50_us, report.p99_us
    )?;
    if report.lossless {
        writeln!(output, "{} every acknowledged answer is counted, and nothing else", style.good("lossless:"))?;
    } else {
        let Report { counted, acknowledged, .. } = report;
        writeln!(output, "{} {counted} answers are counted, {acknowledged} were acknowledged", style.bad("wrong:"))?;
    }
    output.report(&report)?;
    Ok(Verdict::of(report.lossless))
}

async fn load(
    app: &App,
    args: &Args,
    store: Arc<dyn Store>,
    acknowledgements: Option<AckLog>,
) -> Result<Report, Failure> {
    let available: u64 = store.questions().groups().await?.iter().map(|group| group.size).sum();
    if available == 0 {
        return Err(Failure::new("there are no questions to ask", "run `trivia-db init` or `trivia-db import`"));
    }
    let mut random = seeded(args.seed);
    // far from the ids of real players
    let base = i64::from(random.next_u32()) << 30;
    let players = (0..i64::from(args.players)).map(|n| UserId::new(base + n)).collect::<StoreResult<Vec<_>>>()?;
    let before = answered(store.as_ref(), &players).await?;

    let bar = ProgressBar::new(args.answers);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {human_pos} of {human_len} answers, {per_sec}") {
        bar.set_style(style);
    }
    let simulation = Arc::new(Simulation {
        app: app.clone(),
        store: Arc::clone(&store),
        questions: QUESTIONS.min(u32::try_from(available).unwrap_or(QUESTIONS)),
        tickets: AtomicU64::new(args.answers),
        acknowledgements,
        bar: bar.clone(),
    });
    let started = Instant::now();
    let tally = simulation.play_everywhere(&players, args.concurrency as usize, base, &mut random).await?;
    let seconds = started.elapsed().as_secs_f64();
    bar.finish_and_clear();

    let counted = answered(store.as_ref(), &players).await? - before;
    let Tally { acknowledged, rejected, mut latencies } = tally;
    latencies.sort_unstable();
    let percentile = |percent: usize| {
        let place = latencies.len().saturating_sub(1) * percent / 100;
        latencies.get(place).map_or(0, |latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX))
    };
    Ok(Report {
        answers: acknowledged + rejected,
        acknowledged,
        rejected,
        counted,
        lossless: counted == acknowledged,
        seconds,
        p50_us: percentile(50),
        p99_us: percentile(99),
        throughput: acknowledged as f64 / seconds.max(f64::EPSILON),
    })
}

/// Answers that these players have given; those who are new are created.
async fn answered(store: &dyn Store, players: &[UserId]) -> Result<u64, Failure> {
    let mut sum = 0;
    for batch in players.chunks(BATCH) {
        sum += execute(store, &Meet(batch)).await?;
    }
    Ok(sum)
}

/// Creates players who are new and adds up what all have answered.
struct Meet<'a>(&'a [UserId]);

#[async_trait]
impl Work for Meet<'_> {
    type Output = u64;

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<u64> {
        let mut sum = 0;
        for player in self.0 {
            sum += uow.users().get_or_create(*player).await?.questions_answered;
        }
        Ok(sum)
    }
}

/// What all tasks share.
struct Simulation {
    app: App,
    store: Arc<dyn Store>,
    /// Questions of one session.
    questions: u32,
    /// Answers that are still to be given.
    tickets: AtomicU64,
    acknowledgements: Option<AckLog>,
    bar: ProgressBar,
}

/// What became of answers.
#[derive(Default)]
struct Tally {
    acknowledged: u64,
    rejected: u64,
    latencies: Vec<Duration>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.rejected += other.rejected;
        self.latencies.extend(other.latencies);
    }
}

impl Simulation {
    /// Spreads the players over channels and plays in all of them until the answers are used up.
    async fn play_everywhere(
        self: &Arc<Self>,
        players: &[UserId],
        concurrency: usize,
        base: i64,
        random: &mut ChaCha8Rng,
    ) -> Result<Tally, Failure> {
        let channels = concurrency.div_ceil(LANES).min(players.len());
        let mut tasks = JoinSet::new();
        for channel in 0..channels {
            let group: Vec<UserId> = players.iter().skip(channel).step_by(channels).copied().collect();
            // the lanes of all channels together are the wanted concurrency
            let lanes = (concurrency / channels + usize::from(channel < concurrency % channels)).min(group.len());
            let id = ChannelId::new(base + i64::try_from(channel).unwrap_or_default())?;
            let (simulation, random) = (Arc::clone(self), seeded(random.next_u64()));
            tasks.spawn(async move { simulation.play_in(id, &group, lanes, random).await });
        }
        collect(&mut tasks).await
    }

    async fn play_in(
        self: Arc<Self>,
        channel: ChannelId,
        players: &[UserId],
        lanes: usize,
        mut random: ChaCha8Rng,
    ) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        while self.tickets.load(Ordering::Relaxed) > 0 {
            let request = PickRequest {
                filter: QuestionFilter::default(),
                count: self.questions,
                exclude: Vec::new(),
                seed: random.next_u64(),
                scope: None,
            };
            let questions = self.store.questions().pick(&request).await?;
            let session = self.start(channel, players[0], &questions).await?;
            for (position, question) in questions.into_iter().enumerate() {
                let question = Arc::new(question);
                let mut tasks = JoinSet::new();
                for lane in players.chunks(players.len().div_ceil(lanes)) {
                    let (simulation, question, lane) = (Arc::clone(&self), Arc::clone(&question), lane.to_vec());
                    let (session, random) = (session.id, SeededRandom::new(random.next_u64()));
                    tasks.spawn(async move {
                        let mut tally = Tally::default();
                        for player in lane {
                            if !simulation.take_ticket() {
                                break;
                            }
                            let submission = AnswerSubmission {
                                key: IdempotencyKey::generate(simulation.app.clock.now(), &random),
                                user_id: player,
                                session_id: session,
                                question_id: question.id,
                                given: guess(&question.content, random.next_u64()),
                            };
                            simulation.answer(submission, &mut tally).await?;
                        }
                        Ok(tally)
                    });
                }
                tally.add(collect(&mut tasks).await?);
                self.store.play().advance(session.id, position).await?;
            }
        }
        Ok(tally)
    }

    /// Starts a session; one that an interrupted run has left in the channel is ended first.
    async fn start(&self, channel: ChannelId, host: UserId, questions: &[Question]) -> Result<GameSession, Failure> {
        let request = StartSession {
            channel_id: channel,
            host,
            questions: questions.iter().map(|question| question.id).collect(),
            time_limit: TimeLimit::new(Duration::from_secs(600))?,
        };
        match self.store.play().start_session(request.clone()).await {
            Err(StoreError::Refused(Refusal::ChannelOccupied)) => {
                if let Some(left) = self.store.sessions().live(channel).await? {
                    self.store.play().finish(left.id).await?;
                }
                Ok(self.store.play().start_session(request).await?)
            }
            other => Ok(other?),
        }
    }

    fn take_ticket(&self) -> bool {
        self.tickets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Submits an answer as a client does: with the same key until the outcome is known.
    async fn answer(&self, submission: AnswerSubmission, tally: &mut Tally) -> Result<(), Failure> {
        let started = Instant::now();
        let mut attempt = 1;
        let receipt = loop {
            match self.store.play().submit_answer(submission.clone()).await {
                Ok(receipt) => break receipt,
                Err(StoreError::Refused(_)) => {
                    tally.rejected += 1;
                    return Ok(());
                }
                Err(StoreError::Busy { .. } | StoreError::OutcomeUnknown { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        };
        tally.latencies.push(started.elapsed());
        if let Some(log) = &self.acknowledgements {
            log.write(&receipt)?;
        }
        tally.acknowledged += 1;
        self.bar.inc(1);
        Ok(())
    }
}

/// Adds up what tasks return; the first failure ends all of them.
async fn collect(tasks: &mut JoinSet<Result<Tally, Failure>>) -> Result<Tally, Failure> {
    let stopped = |error: JoinError| Failure::because("a task stopped", "report this as a defect", error);
    let mut sum = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        sum.add(tally.map_err(stopped)??);
    }
    Ok(sum)
}

/// A right or wrong answer of the kind that the question asks for.
fn guess(content: &QuestionContent, seed: u64) -> Given {
    let mut random = seeded(seed);
    let right = random.random_ratio(SKILL, 100);
    match content.body() {
        QuestionBody::MultipleChoice { correct, .. } if right => Given::Choice(*correct),
        QuestionBody::MultipleChoice { options, correct } => {
            Given::Choice((correct + random.random_range(1..options.len())) % options.len())
        }
        QuestionBody::TrueFalse { answer } => Given::Truth(*answer == right),
        QuestionBody::FillBlank { answer, .. } if right => Given::Text(answer.clone()),
        QuestionBody::FillBlank { .. } => Given::Text("no idea".to_owned()),
    }
}

/// Where acknowledged answers are written down, one a line: key, player, number.
struct AckLog(Mutex<File>);

impl AckLog {
    fn open(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        file.map(|file| Self(Mutex::new(file))).map_err(|error| unwritten(path.display(), error))
    }

    /// The line has left this process when this returns.
    fn write(&self, receipt: &Receipt) -> Result<(), Failure> {
        let line = format!("{} {} {}\n", receipt.key, receipt.user_id, receipt.seq);
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(line.as_bytes()).map_err(|error| unwritten("the log of acknowledgements", error))
    }
}

fn unwritten(what: impl std::fmt::Display, error: std::io::Error) -> Failure {
    Failure::because(format!("cannot write {what}"), "check the directory, permissions and space", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guesses_are_of_the_right_kind_and_mostly_right() {
        for line in [
            r#"{"kind":"multiple_choice","category":"T","difficulty":"easy","question":"?","options":["a","b"],"answer":"b"}"#,
            r#"{"kind":"true_false","category":"T","difficulty":"easy","question":"?","answer":false}"#,
            r#"{"kind":"fill_blank","category":"T","difficulty":"easy","question":"?","answer":"x"}"#,
        ] {
            let content: QuestionContent = serde_json::from_str(line).unwrap();
            let right = (0..1_000).filter(|seed| content.is_right(&guess(&content, *seed)).unwrap()).count();
            assert!((500..700).contains(&right), "{right} of 1000 right: {line}");
        }
    }
}
