//! The data of the benchmarks: scratch databases, players, questions, games.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, NaiveDate, SecondsFormat, TimeDelta, Utc};
use rusqlite::{Connection, params};
use tempfile::TempDir;
use trivia_domain::StoreResult;
use trivia_domain::model::{Board, DayKey, Period};
use trivia_domain::model::{
    Category, ChannelId, Cursor, Difficulty, Given, IdempotencyKey, OpeningBalance, OpeningWeek, Points, QuestionBody,
    QuestionContent, QuestionId, SessionId, TimeLimit, UserId, WeekStart,
};
use trivia_domain::ports::{
    AddOutcome, AnswerSubmission, Clock, MaintenancePort, RandomSource, Repositories, StartSession, UnitOfWork, Work,
    execute,
};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, Durability, SystemClock, SystemRandom, schema};

/// Questions that are added at once, as the importer does.
pub(crate) const CHUNK: u64 = 500;
/// Sessions that are live while answers are measured; each asks one question.
const SESSIONS: u64 = 64;
/// Options of each question.
const OPTIONS: u64 = 4;
/// Percent of answers that are right.
const SKILL: u64 = 60;
/// Categories of the questions.
const CATEGORIES: u64 = 20;

/// A folder on the disk of the build that goes away in the end.
pub(crate) struct Scratch {
    dir: TempDir,
    /// First day of the week in which the benchmark started.
    monday: NaiveDate,
}

impl Scratch {
    /// Makes it inside the folder of the build: that is a real disk, which `/tmp` need not be.
    pub(crate) fn new() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let target = program.ancestors().nth(2).expect("it lies in target/PROFILE");
        let dir = tempfile::Builder::new().prefix("bench-").tempdir_in(target).expect("the folder can be made");
        let today = SystemClock.now().date_naive();
        let monday = today - Days::new(today.weekday().num_days_from_monday().into());
        Self { dir, monday }
    }

    /// Where a file of this name is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An empty database with the schema of the library.
    pub(crate) async fn empty(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        remove(&path);
        schema::up(&options(&path, Durability::Full), None).await.expect("the schema can be made");
        path
    }

    /// A database with players, made once.
    pub(crate) async fn players(&self, number: u64) -> PathBuf {
        let path = self.path(&format!("players-{number}.db"));
        if !path.exists() {
            eprintln!("  filling {number} players");
            self.empty(&format!("players-{number}.db")).await;
            self.fill_players(&path, number).await;
        }
        path
    }

    /// A database with questions, made once; their ids are 1 to `number`.
    pub(crate) async fn questions(&self, number: u64) -> PathBuf {
        let path = self.path(&format!("questions-{number}.db"));
        if !path.exists() {
            eprintln!("  filling {number} questions");
            self.empty(&format!("questions-{number}.db")).await;
            let database = open(&path, Durability::Normal).await;
            // larger steps than the importer's: this is not measured
            add_questions(&database, number, 10 * CHUNK).await;
            close(&database).await;
        }
        path
    }

    /// Fills in players as if they came from the system before: each has an opening balance, with points
    /// of all time and of this week. All that follows from the balance must be written here, too.
    async fn fill_players(&self, path: &Path, number: u64) {
        let mut connection = Connection::open(path).expect("the database opens");
        connection
            .execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -1000000; PRAGMA foreign_keys = ON")
            .expect("pragmas can be set");
        let transaction = connection.transaction().expect("a transaction begins");
        let mut user = transaction
            .prepare(
                "INSERT INTO users (user_id, last_seq, total_points, points_reached_at, created_at) \
                 VALUES (?1, 1, ?2, ?3, ?3)",
            )
            .expect("the columns exist");
        let mut ranking = transaction
            .prepare(
                "INSERT INTO rankings (user_id, period, starts_on, points, reached_at) VALUES (?1, 'week', ?2, ?3, ?4)",
            )
            .expect("the columns exist");
        let mut ledger = transaction
            .prepare(
                "INSERT INTO ledger (user_id, seq, key, kind, at, day, points, total_points, streak, opening) \
                 VALUES (?1, 1, ?2, 'opening', ?3, ?4, ?5, ?5, 0, ?6)",
            )
            .expect("the columns exist");
        let midnight = instant(self.midnight());
        for id in 1..=number {
            let player = self.player(id);
            let (id, points) = (player.id.get(), player.points.get());
            let opening = OpeningBalance {
                total_points: player.points,
                weekly: vec![OpeningWeek {
                    week_start: WeekStart::new(self.monday).expect("it is a Monday"),
                    points: player.points,
                }],
                ..OpeningBalance::default()
            };
            let opening = serde_json::to_string(&opening).expect("a balance is JSON");
            let key = IdempotencyKey::generate(player.at, &SystemRandom).get();
            let at = instant(player.at);
            user.execute(params![id, points, at]).expect("a user can be written");
            ranking.execute(params![id, day(self.monday), points, midnight]).expect("a ranking can be written");
            ledger.execute(params![id, key, at, day(self.monday), points, opening]).expect("a fact can be written");
        }
        drop((user, ranking, ledger));
        transaction.commit().expect("it commits");
        drop(connection);
        // the proof that nothing is missing: the library itself compares all numbers with the ledger
        if number <= 10_000 {
            let database = open(path, Durability::Full).await;
            let drift = database.verify().await.expect("it can be compared");
            assert!(drift.is_empty(), "fill_players must write more: {drift:?}");
            close(&database).await;
        }
    }

    fn midnight(&self) -> DateTime<Utc> {
        self.monday.and_hms_opt(0, 0, 0).expect("every day has a midnight").and_utc()
    }

    /// What [`Self::players`] writes about a player: most have few points, some have many, many have equally many.
    pub(crate) fn player(&self, id: u64) -> Player {
        let chance = (mix(id) >> 11) as f64 / (1_u64 << 53) as f64;
        let points = 10 * (1 + (-2_000.0 * (1.0 - chance).ln()) as i64);
        let later = TimeDelta::microseconds(i64::try_from(id).expect("a small number"));
        Player {
            id: user(id),
            points: Points::new(points).expect("points are not negative"),
            at: self.midnight() + later,
        }
    }

    /// The board of this week.
    pub(crate) fn week(&self) -> Board {
        Board::Period { period: Period::Week, start: DayKey::new(self.monday) }
    }
}

/// A player of [`Scratch::players`].
pub(crate) struct Player {
    pub(crate) id: UserId,
    pub(crate) points: Points,
    /// When the points were reached.
    at: DateTime<Utc>,
}

impl Player {
    /// The player's place on the board of all time.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor { board: Board::AllTime, points: self.points, reached_at: self.at, user_id: self.id }
    }
}

/// An instant as the library stores it.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// A day as the library stores it.
pub(crate) fn day(date: NaiveDate) -> String {
    date.to_string()
}

/// The user with this number.
pub(crate) fn user(number: u64) -> UserId {
    UserId::try_from(number).expect("small numbers are ids")
}

/// Scatters numbers: the same ones on every machine (SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Numbers by chance that a run can repeat; clones share them.
#[derive(Clone, Default)]
pub(crate) struct Chance(Arc<AtomicU64>);

impl Chance {
    /// From 1 to `last`.
    pub(crate) fn up_to(&self, last: u64) -> u64 {
        self.next_u64() % last + 1
    }
}

impl RandomSource for Chance {
    fn next_u64(&self) -> u64 {
        mix(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn options(path: &Path, durability: Durability) -> DatabaseOptions {
    let mut options = DatabaseOptions::new(DatabaseUrl::of_file(path));
    options.durability = durability;
    options
}

/// Opens a database as a program does.
pub(crate) async fn open(path: &Path, durability: Durability) -> Database {
    Database::open(options(path, durability), Arc::new(SystemClock), Arc::new(SystemRandom))
        .await
        .expect("the database opens")
}

/// Closes it; SQLite then empties its log into the file.
pub(crate) async fn close(database: &Database) {
    database.close().await.expect("the database closes");
}

/// Copies a closed database and waits until it is on the disk.
pub(crate) fn copy(from: &Path, to: &Path) {
    remove(to);
    fs::copy(from, to).expect("there is space");
    File::open(to).and_then(|file| file.sync_all()).expect("it can be flushed");
}

/// Removes a database with its log.
pub(crate) fn remove(path: &Path) {
    for ending in ["", "-wal", "-shm", ".migrate.lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        // it need not be there
        let _ = fs::remove_file(name);
    }
}

/// A question with four options that no other number has.
pub(crate) fn question(number: u64) -> QuestionContent {
    let bits = mix(number);
    let options = (0..OPTIONS).map(|option| (bits % 1_000_000 + option * 7).to_string()).collect();
    let body = QuestionBody::MultipleChoice { options, correct: right(number) as usize };
    let text =
        format!("How many grains of rice lie on square {number} of the board that the merchant shows his guests?");
    let category = Category::new(&format!("Category {:02}", bits % CATEGORIES)).expect("the name is valid");
    let difficulty = Difficulty::ALL[(bits % 3) as usize];
    QuestionContent::new(body, &text, category, difficulty)
        .and_then(|content| {
            content.with_explanation("The chronicle tells it, and whoever doubts may count them again.")
        })
        .expect("the question is valid")
}

/// Which option of that question is right.
fn right(number: u64) -> u64 {
    mix(number) % OPTIONS
}

/// Adds the questions with the numbers 1 to `number` through the port.
pub(crate) async fn add_questions(database: &Database, number: u64, chunk: u64) -> Vec<QuestionId> {
    let mut ids = Vec::new();
    for first in (1..=number).step_by(usize::try_from(chunk).expect("a small number")) {
        let contents = (first..=number.min(first + chunk - 1)).map(question).collect();
        for outcome in database.questions().add(contents).await.expect("questions can be added") {
            match outcome {
                AddOutcome::Added { id } => ids.push(id),
                other => panic!("the questions differ, but: {other:?}"),
            }
        }
    }
    ids
}

/// Creates players through the port.
struct Meet(std::ops::RangeInclusive<u64>);

#[async_trait::async_trait]
impl Work for Meet {
    type Output = ();

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<()> {
        for number in self.0.clone() {
            uow.users().get_or_create(user(number)).await?;
        }
        Ok(())
    }
}

/// Games that wait for answers.
pub(crate) struct Field {
    players: u64,
    sessions: Vec<Asking>,
}

/// A session and the question that it asks.
#[derive(Clone, Copy)]
struct Asking {
    session: SessionId,
    question: QuestionId,
    right: u64,
}

impl Field {
    /// Starts games with questions of its own in a database in which there are these players.
    pub(crate) async fn prepare(database: &Database, players: u64) -> Self {
        let questions = add_questions(database, SESSIONS, CHUNK).await;
        let mut sessions = Vec::new();
        for (number, question) in (1..).zip(questions) {
            let request = StartSession {
                channel_id: ChannelId::try_from(number).expect("small numbers are ids"),
                host: user(1),
                questions: vec![question],
                time_limit: TimeLimit::new(Duration::from_secs(86_400)).expect("a day is allowed"),
            };
            let session = database.play().start_session(request).await.expect("the channel is free");
            sessions.push(Asking { session: session.id, question, right: right(number) });
        }
        Self { players, sessions }
    }

    /// A small database with players who have all answered once, and one more who has answered everything, so that
    /// later answers find the rows that they change.
    pub(crate) async fn fill(scratch: &Scratch, name: &str, players: u64) -> (PathBuf, Self) {
        let path = scratch.empty(name).await;
        let database = open(&path, Durability::Normal).await;
        let one_more = players + 1;
        for first in (1..=one_more).step_by(500) {
            execute(&database, &Meet(first..=one_more.min(first + 499))).await.expect("players can be made");
        }
        let field = Arc::new(Self::prepare(&database, players).await);
        for session in 0..SESSIONS {
            let answer = field.answer(session, one_more, mix(session));
            database.play().submit_answer(answer).await.expect("the answer counts");
        }
        let mut callers = Vec::new();
        let next = Arc::new(AtomicU64::new(1));
        for _ in 0..64 {
            let (database, field, next) = (database.clone(), Arc::clone(&field), Arc::clone(&next));
            callers.push(tokio::spawn(async move {
                loop {
                    let player = next.fetch_add(1, Ordering::Relaxed);
                    if player > players {
                        return;
                    }
                    database.play().submit_answer(field.first(player)).await.expect("the answer counts");
                }
            }));
        }
        for caller in callers {
            caller.await.expect("callers do not panic");
        }
        close(&database).await;
        let field = Arc::into_inner(field).expect("nobody else holds it");
        (path, field)
    }

    /// The answer with this number. Neighbours are of different sessions and of different players; after
    /// `players` times the number of sessions they repeat.
    pub(crate) fn submission(&self, number: u64) -> AnswerSubmission {
        // the first session is for `first`
        let session = 1 + number % (SESSIONS - 1);
        // in each session the players take turns from another one on
        let turn = mix(session) % self.players + number / (SESSIONS - 1);
        self.answer(session, turn % self.players + 1, mix(number))
    }

    /// An answer of a player that no [`Self::submission`] is.
    fn first(&self, player: u64) -> AnswerSubmission {
        self.answer(0, player, mix(player))
    }

    fn answer(&self, session: u64, player: u64, chance: u64) -> AnswerSubmission {
        let Asking { session, question, right } = self.sessions[session as usize];
        let choice = if chance % 100 < SKILL { right } else { right + 1 + chance % (OPTIONS - 1) };
        AnswerSubmission {
            key: IdempotencyKey::generate(SystemClock.now(), &SystemRandom),
            user_id: user(player),
            session_id: session,
            question_id: question,
            given: Given::Choice((choice % OPTIONS) as usize),
        }
    }
}
