//! `demo`: a whole life in ten steps, on a scratch database, by a clock of its own.

use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use chrono::{DateTime, Utc};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use trivia_domain::StoreResult;
use trivia_domain::model::{
    AchievementId, BackupInfo, BackupKind, ChallengeKind, ChannelId, DayKey, Difficulty, GameSession, Given,
    IdempotencyKey, Question, QuestionBody, QuestionId, Receipt, TimeLimit, UserId,
};
use trivia_domain::ports::{
    AddOutcome, AnswerSubmission, Clock, HealthStatus, MaintenancePort, PickRequest, QuestionFilter, StartChallenge,
    StartSession, Store,
};

use super::leaderboard::{self, Span};
use super::{CommandResult, Verdict, check, health, init, stats};
use crate::chance::{SeededRandom, seeded};
use crate::error::Failure;
use crate::output::{Column, Output, count, printable};
use crate::scratch::Scratch;
use crate::wiring::App;

/// Thursday, 5 March 2026, 20:00 UTC: seven evenings reach into the week after.
const FIRST_EVENING: i64 = 1_772_740_800;
const DAY: i64 = 86_400;
const EVENINGS: i64 = 7;
const QUESTIONS: u32 = 10;
/// Questions that are added at once.
const BATCH: usize = 26;
/// Players and, in percent, how often they know the answer to an easy question.
const CAST: [(i64, &str, u32); 5] =
    [(1815, "Ada", 94), (1906, "Grace", 90), (1912, "Alan", 84), (1918, "Katherine", 88), (1930, "Edsger", 76)];

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Decides who knows what
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

/// What happened, for programs.
#[derive(Serialize)]
struct Report {
    seed: u64,
    questions: usize,
    answers: u64,
    leaderboard: leaderboard::Report,
    weekly: leaderboard::Report,
    achievements: Vec<Unlocked>,
    backup: BackupInfo,
    problems: Vec<String>,
    /// Whether the restored board is the one before the damage.
    identical: bool,
    health: HealthStatus,
    seconds: f64,
}

/// An achievement that somebody unlocked.
#[derive(Serialize)]
struct Unlocked {
    player: &'static str,
    achievement: AchievementId,
    on: DayKey,
}

pub(super) async fn run(app: &App, args: &Args, output: &mut Output) -> CommandResult {
    let started = Instant::now();
    let scratch = Scratch::new(app.random.as_ref())?;
    let clock = Arc::new(StageClock::new(FIRST_EVENING));
    let random = Arc::new(SeededRandom::new(args.seed));
    let app = app.moved_to(scratch.path()).rehearsal(Arc::clone(&clock) as Arc<dyn Clock>, random);
    let mut stage = Stage { app, clock, random: seeded(args.seed), asked: Vec::new(), step: 0 };

    let style = output.style();
    writeln!(output, "{}", style.strong("trivia-db: a whole life in ten steps"))?;
    writeln!(output, "{}", style.faint("On a scratch database that is deleted at the end; your data is not touched."))?;
    stage.new_database(output).await?;
    let questions = stage.questions(output).await?;
    let mut played = stage.first_evening(output).await?;
    played.extend(stage.more_evenings(output).await?);
    let before = stage.board(Span::AllTime).await?;
    leaderboard::table(&before.entries, name, output)?;
    let achievements = stage.achievements(&played, output).await?;
    let weekly = stage.this_week(output).await?;
    let backup = stage.backup(output).await?;
    let problems = stage.damage(output).await?;
    let after = stage.restore(&backup, output).await?;
    let identical = before == after;
    let outcome = if identical { style.good("the same board") } else { style.bad("another board") };
    writeln!(output, "  Compared with the board before the accident: {outcome}.")?;
    let health = stage.health(output).await?;

    let seconds = started.elapsed().as_secs_f64();
    writeln!(output, "\n{} in {seconds:.1} s. Now yours:", style.strong("That was a life"))?;
    writeln!(output, "  trivia-db init     creates a database that stays")?;
    writeln!(output, "  trivia-db play     asks you the questions")?;
    writeln!(output, "  trivia-db --help   shows the rest")?;
    let answers = played.len() as u64;
    output.report(&Report {
        seed: args.seed,
        questions,
        answers,
        leaderboard: after,
        weekly,
        achievements,
        backup,
        problems,
        identical,
        health,
        seconds,
    })?;
    Ok(Verdict::of(identical && health < HealthStatus::Critical))
}

/// One answer of the demo.
struct Played {
    player: usize,
    question: QuestionId,
    receipt: Receipt,
}

/// The scratch database, its time and its chance.
struct Stage {
    app: App,
    clock: Arc<StageClock>,
    random: ChaCha8Rng,
    /// Questions that nobody is asked again.
    asked: Vec<QuestionId>,
    step: u32,
}

impl Stage {
    fn heading(&mut self, title: &str, sentence: &str, output: &mut Output) -> Result<(), Failure> {
        self.step += 1;
        let style = output.style();
        writeln!(output, "\n{}", style.strong(format_args!("{}. {title}", self.step)))?;
        writeln!(output, "{}", style.faint(sentence))?;
        // a person sees each step when it happens
        output.flush()
    }

    async fn new_database(&mut self, output: &mut Output) -> Result<(), Failure> {
        self.heading("A new database", "The schema comes step by step; each step can be taken back.", output)?;
        for migration in self.app.migrate_up(None).await? {
            writeln!(output, "  {} {migration}", output.style().good("applied"))?;
        }
        Ok(())
    }

    async fn questions(&mut self, output: &mut Output) -> Result<usize, Failure> {
        self.heading("Questions", "The program brings a pack of its own; no question is stored twice.", output)?;
        let contents = init::bundled()?;
        let bar = ProgressBar::new(contents.len() as u64);
        if let Ok(style) = ProgressStyle::with_template("  {bar:40} {pos} of {len} questions") {
            bar.set_style(style);
        }
        let (added, again) = self
            .app
            .with_database(async |database| {
                let store: &dyn Store = database;
                let mut added = 0;
                for batch in contents.chunks(BATCH) {
                    added += new(&store.questions().add(batch.to_vec()).await?);
                    bar.inc(batch.len() as u64);
                }
                Ok((added, new(&store.questions().add(contents.clone()).await?)))
            })
            .await?;
        bar.finish_and_clear();
        writeln!(output, "  {} added; the same pack once more adds {again}.", count(added, "question"))?;
        Ok(added)
    }

    async fn first_evening(&mut self, output: &mut Output) -> Result<Vec<Played>, Failure> {
        let sentence = "An answer is one transaction: points, streak, boards and achievements.";
        self.heading("An evening with five players", sentence, output)?;
        let (app, clock) = (self.app.clone(), Arc::clone(&self.clock));
        clock.set(FIRST_EVENING);
        let (questions, mut played, again, of_the_day) = app
            .with_database(async |database| {
                let (questions, played, last) = self.evening(database).await?;
                let store: &dyn Store = database;
                let again = match last {
                    Some(last) => Some(store.play().submit_answer(last).await?),
                    None => None,
                };
                Ok((questions, played, again, self.question_of_the_day(database).await?))
            })
            .await?;
        let columns: Vec<Column> =
            [Column::left("question")].into_iter().chain(CAST.iter().map(|(_, name, _)| Column::right(name))).collect();
        let row = |question: &Question| {
            let points = (0..CAST.len()).map(|player| {
                let one = played.iter().find(|one| one.player == player && one.question == question.id);
                one.filter(|one| one.receipt.correct == Some(true))
                    .map_or_else(|| "-".to_owned(), |one| format!("+{}", one.receipt.points))
            });
            [short(question.content.text(), 30)].into_iter().chain(points).collect()
        };
        output.table(&columns, questions.iter().map(row).collect())?;
        if let (Some(last), Some(again)) = (played.last(), again) {
            let who = CAST[last.player].1;
            let verdict = if again == last.receipt { "the same receipt, counted once" } else { "another receipt" };
            writeln!(output, "  {who}'s connection breaks and the last answer is sent again: {verdict}.")?;
        }
        let (question, answers) = of_the_day;
        let knew: Vec<&str> =
            answers.iter().filter(|one| one.receipt.correct == Some(true)).map(|one| CAST[one.player].1).collect();
        writeln!(output, "  The question of the day, once for each: {}", short(question.content.text(), 60))?;
        writeln!(
            output,
            "  Double points for {}.",
            if knew.is_empty() { "nobody".to_owned() } else { knew.join(", ") }
        )?;
        played.extend(answers);
        Ok(played)
    }

    async fn more_evenings(&mut self, output: &mut Output) -> Result<Vec<Played>, Failure> {
        self.heading("Six more evenings", "Equal points share a rank; bonuses of achievements are included.", output)?;
        let app = self.app.clone();
        app.with_database(async |database| {
            let mut all = Vec::new();
            for evening in 1..EVENINGS {
                self.clock.set(FIRST_EVENING + evening * DAY);
                let (_, played, _) = self.evening(database).await?;
                all.extend(played);
            }
            Ok(all)
        })
        .await
    }

    /// One session. Players think for some seconds; who is quicker answers first.
    async fn evening(
        &mut self,
        store: &dyn Store,
    ) -> Result<(Vec<Question>, Vec<Played>, Option<AnswerSubmission>), Failure> {
        let pick = PickRequest {
            filter: QuestionFilter::default(),
            count: QUESTIONS,
            exclude: self.asked.clone(),
            seed: self.random.next_u64(),
            scope: None,
        };
        let questions = store.questions().pick(&pick).await?;
        self.asked.extend(questions.iter().map(|question| question.id));
        let players = CAST.iter().map(|(id, ..)| UserId::new(*id)).collect::<StoreResult<Vec<_>>>()?;
        for player in &players {
            store.users().get_or_create(*player).await?;
        }
        let request = StartSession {
            channel_id: ChannelId::new(1)?,
            host: players[0],
            questions: self.asked[self.asked.len() - questions.len()..].to_vec(),
            time_limit: TimeLimit::default(),
        };
        let session = store.play().start_session(request).await?;
        let (mut played, mut last) = (Vec::new(), None);
        for (position, question) in questions.iter().enumerate() {
            let opened_at = self.clock.now();
            let mut turns: Vec<(i64, usize)> =
                (0..CAST.len()).map(|player| (self.random.random_range(900..12_000), player)).collect();
            turns.sort_unstable();
            for (thought_ms, player) in turns {
                self.clock.set_after(opened_at, thought_ms);
                let given = self.guess(CAST[player].2, question);
                let submission = self.submission(players[player], &session, question.id, given);
                let receipt = store.play().submit_answer(submission.clone()).await?;
                played.push(Played { player, question: question.id, receipt });
                last = Some(submission);
            }
            self.clock.set_after(opened_at, 15_000);
            store.play().advance(session.id, position).await?;
        }
        Ok((questions, played, last))
    }

    /// Everybody plays it alone, in a channel of his own.
    async fn question_of_the_day(&mut self, store: &dyn Store) -> Result<(Question, Vec<Played>), Failure> {
        let mut played = Vec::new();
        loop {
            let (id, _, skill) = CAST[played.len()];
            let (host, channel_id) = (UserId::new(id)?, ChannelId::new(id)?);
            let (kind, time_limit) = (ChallengeKind::Daily, TimeLimit::default());
            let request = StartChallenge { channel_id, host, kind, time_limit };
            let session = store.play().start_challenge(request).await?;
            let question = store.questions().get(session.questions[0].question_id).await?;
            let given = self.guess(skill, &question);
            let receipt = store.play().submit_answer(self.submission(host, &session, question.id, given)).await?;
            store.play().finish(session.id).await?;
            played.push(Played { player: played.len(), question: question.id, receipt });
            if played.len() == CAST.len() {
                self.asked.push(question.id);
                return Ok((question, played));
            }
        }
    }

    fn submission(
        &self,
        user_id: UserId,
        session: &GameSession,
        question_id: QuestionId,
        given: Given,
    ) -> AnswerSubmission {
        let key = IdempotencyKey::generate(self.clock.now(), self.app.random.as_ref());
        AnswerSubmission { key, user_id, session_id: session.id, question_id, given }
    }

    fn guess(&mut self, skill: u32, question: &Question) -> Given {
        let skill = skill
            - match question.content.difficulty() {
                Difficulty::Easy => 0,
                Difficulty::Medium => 12,
                Difficulty::Hard => 28,
            };
        let knows = self.random.random_ratio(skill, 100);
        match question.content.body() {
            QuestionBody::MultipleChoice { correct, .. } if knows => Given::Choice(*correct),
            QuestionBody::MultipleChoice { options, correct } => Given::Choice((correct + 1) % options.len()),
            QuestionBody::TrueFalse { answer } => Given::Truth(*answer == knows),
            QuestionBody::FillBlank { answer, .. } if knows => Given::Text(answer.clone()),
            QuestionBody::FillBlank { .. } => Given::Text("no idea".to_owned()),
        }
    }

    async fn board(&self, span: Span) -> Result<leaderboard::Report, Failure> {
        let now = self.clock.now();
        self.app
            .with_database(async |database| leaderboard::load(database, &leaderboard::Args::top(span), now).await)
            .await
    }

    async fn achievements(&mut self, played: &[Played], output: &mut Output) -> Result<Vec<Unlocked>, Failure> {
        let sentence = "Each is unlocked once and pays once, however many answers arrive together.";
        self.heading("Achievements", sentence, output)?;
        let definitions = self
            .app
            .with_database(async |database| {
                let store: &dyn Store = database;
                Ok(store.achievements().definitions().await?)
            })
            .await?;
        let unlocked: Vec<Unlocked> = played
            .iter()
            .flat_map(|Played { player, receipt, .. }| {
                let (player, on) = (CAST[*player].1, DayKey::of(receipt.at));
                receipt.unlocked.iter().map(move |id| Unlocked { player, achievement: id.clone(), on })
            })
            .collect();
        let mut rows = Vec::new();
        for definition in definitions {
            let players: Vec<&str> =
                unlocked.iter().filter(|one| one.achievement == definition.id).map(|one| one.player).collect();
            if !players.is_empty() {
                rows.push(vec![definition.name.to_string(), format!("+{}", definition.bonus), players.join(", ")]);
            }
        }
        let columns = [Column::left("achievement"), Column::right("bonus"), Column::left("unlocked by")];
        output.table(&columns, rows)?;
        Ok(unlocked)
    }

    async fn this_week(&mut self, output: &mut Output) -> Result<leaderboard::Report, Failure> {
        let sentence = "A week follows from the time of an answer; nothing runs on Monday at midnight.";
        self.heading("This week", sentence, output)?;
        let board = self.board(Span::Weekly).await?;
        leaderboard::table(&board.entries, name, output)?;
        Ok(board)
    }

    async fn backup(&mut self, output: &mut Output) -> Result<BackupInfo, Failure> {
        self.heading("A backup", "A copy is called a backup only after it was opened and checked.", output)?;
        let info = self.app.backups().create(BackupKind::Manual, "before the accident").await?;
        let rows: u64 = info.manifest.rows.values().sum();
        let size = HumanBytes(info.manifest.bytes);
        writeln!(output, "  {}: {size}, {rows} rows, SHA-256 {:.16}...", info.manifest.id, info.manifest.sha256)?;
        Ok(info)
    }

    async fn damage(&mut self, output: &mut Output) -> Result<Vec<String>, Failure> {
        self.heading(
            "An accident",
            "A quarter of the file is overwritten with noise; `check` has to find it.",
            output,
        )?;
        let bytes = overwrite(self.app.database_path(), &mut self.random)
            .map_err(|error| Failure::because("cannot damage the scratch database", "look at TMPDIR", error))?;
        let problems = check::problems(&self.app).await?;
        let style = output.style();
        writeln!(output, "  {} overwritten, {} found:", HumanBytes(bytes), count(problems.len(), "problem"))?;
        for problem in problems.iter().take(3) {
            writeln!(output, "  {} {}", style.bad("damaged:"), short(problem, 66))?;
        }
        Ok(problems)
    }

    async fn restore(&mut self, backup: &BackupInfo, output: &mut Output) -> Result<leaderboard::Report, Failure> {
        let sentence = "The backup is verified, the damaged file kept, and both swapped in one step.";
        self.heading("The way back", sentence, output)?;
        self.app.backups().restore(&backup.manifest.id).await?;
        let board = self.board(Span::AllTime).await?;
        leaderboard::table(&board.entries, name, output)?;
        Ok(board)
    }

    async fn health(&mut self, output: &mut Output) -> Result<HealthStatus, Failure> {
        self.heading("A last look", "Every check says what it found and what to do about it.", output)?;
        let problems = check::problems(&self.app).await?;
        let (figures, report) =
            self.app.with_database(async |database| Ok((database.stats().await?, database.health().await))).await?;
        stats::tell(&figures, output)?;
        health::tell(&report, output)?;
        Ok(if problems.is_empty() { report.status } else { HealthStatus::Critical })
    }
}

/// Overwrites the third quarter of a file that this process has not open as a database.
fn overwrite(path: &Path, random: &mut ChaCha8Rng) -> io::Result<u64> {
    let file = std::fs::OpenOptions::new().write(true).open(path)?;
    let quarter = file.metadata()?.len() / 4;
    let mut noise = vec![0; usize::try_from(quarter).unwrap_or_default()];
    random.fill_bytes(&mut noise);
    file.write_all_at(&noise, 2 * quarter)?;
    Ok(quarter)
}

fn new(outcomes: &[AddOutcome]) -> usize {
    outcomes.iter().filter(|outcome| !matches!(outcome, AddOutcome::Duplicate { .. })).count()
}

fn name(user: UserId) -> String {
    CAST.iter().find(|(id, ..)| *id == user.get()).map_or_else(|| user.to_string(), |(_, name, _)| (*name).to_owned())
}

/// The beginning of a text, on one line.
fn short(text: &str, chars: usize) -> String {
    let line = printable(text).replace('\n', " ");
    match line.char_indices().nth(chars) {
        Some((end, _)) => format!("{}...", line[..end].trim_end()),
        None => line,
    }
}

/// A clock that shows what it is set to.
struct StageClock(AtomicI64);

impl StageClock {
    fn new(seconds: i64) -> Self {
        Self(AtomicI64::new(seconds * 1_000_000))
    }

    fn set(&self, seconds: i64) {
        self.0.store(seconds * 1_000_000, Ordering::Relaxed);
    }

    fn set_after(&self, earlier: DateTime<Utc>, millis: i64) {
        self.0.store(earlier.timestamp_micros() + millis * 1_000, Ordering::Relaxed);
    }
}

impl Clock for StageClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }
}
