//! Group commit: the moves that wait are judged together and share one transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};
use trivia_domain::play::{Command, Outcome};
use trivia_domain::{StoreError, StoreResult};

use super::core::Core;
use super::projector::{SLICE, project};
use super::retry::Patience;
use super::transaction::{Needs, Transaction};
use crate::error::repeat;
use crate::read_model::{Effects, Whose};
use crate::repository::moves::{self, Applied, Projection, Trust};

/// Most moves of one transaction.
const BATCH: usize = 256;
/// Players whose facts may wait before batches take along as many as they can.
const PENDING: usize = 16_384;
/// Moves whose facts may wait: the first read after a crash folds them again.
const FACTS: u128 = 65_536;
/// Fewer players are not worth the statements.
const FEW: usize = 32;
/// After how long without a move facts wait no longer.
const IDLE: Duration = Duration::from_millis(10);
/// Times that a constraint may stop a batch on a server, before it is taken for something else.
const RACES: u32 = 5;
/// How long the writer leaves a projection alone that has failed.
const REST: Duration = Duration::from_secs(1);

/// A move and who waits for it.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) at: DateTime<Utc>,
    pub(crate) reply: oneshot::Sender<StoreResult<Outcome>>,
}

/// Serves moves until nobody can send one any more. A batch is what waits: a single caller is
/// never delayed to form one. What follows from the facts is projected when there is nothing else to do;
/// while moves come without a pause, batches take a share of what waits along.
pub(crate) async fn run(core: Arc<Core>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(BATCH);
    let (mut last, mut moves, mut rest) = (Instant::now(), 0, Instant::now());
    loop {
        let received = jobs.recv_many(&mut batch, BATCH);
        let received = match core.model.waiting() {
            0 => Ok(received.await),
            _ => tokio::time::timeout(IDLE, received).await,
        };
        match received {
            Ok(0) => return,
            Ok(received) => {
                moves += received;
                let along = share(core.model.waiting(), moves, last.elapsed(), core.options.projection_delay);
                if along > 0 {
                    (last, moves) = (Instant::now(), 0);
                }
                let waiting = std::mem::take(&mut batch);
                // a task of its own, so that a panic fails this batch and not the writer
                if let Err(error) = tokio::spawn(serve(Arc::clone(&core), waiting, along)).await {
                    tracing::error!(%error, "a batch of moves failed");
                }
            }
            Err(_) if Instant::now() >= rest => {
                (last, moves) = (Instant::now(), 0);
                if let Err(error) = project(&core, Whose::Everybody, last).await {
                    // nothing is lost: the facts are in the ledger
                    tracing::warn!(%error, "what follows from the newest facts could not be stored yet");
                    rest = Instant::now() + REST;
                }
            }
            Err(_) => {}
        }
    }
}

/// How many of the players who wait a batch takes along after so many moves and so much time: so many that
/// none waits longer than the delay or [`FACTS`] moves, but not a few each time, since a statement costs more
/// than a row.
fn share(waiting: usize, moves: usize, since: Duration, delay: Duration) -> usize {
    if waiting > PENDING {
        return SLICE;
    }
    let by_time = waiting as u128 * since.as_micros() / delay.as_micros().max(1);
    let by_moves = waiting as u128 * moves as u128 / FACTS;
    let due = usize::try_from(by_time.max(by_moves)).unwrap_or(SLICE).min(SLICE);
    if due < FEW { 0 } else { due }
}

async fn serve(core: Arc<Core>, jobs: Vec<Job>, along: usize) {
    let moves: Vec<_> = jobs.iter().map(|job| (&job.command, job.at)).collect();
    match commit(&core, &moves, along).await {
        Ok(outcomes) => {
            for (job, outcome) in jobs.into_iter().zip(outcomes) {
                // a caller who has gone away can ask again with the same key
                let _ = job.reply.send(outcome);
            }
        }
        Err(error @ StoreError::Backend { .. }) if jobs.len() > 1 => {
            tracing::warn!(%error, moves = jobs.len(), "a batch failed, its moves are tried one by one");
            for job in jobs {
                let alone = commit(&core, &[(&job.command, job.at)], 0).await;
                let _ = job.reply.send(alone.and_then(|mut outcomes| {
                    outcomes.pop().unwrap_or_else(|| Err(StoreError::backend("a move", "it has no outcome")))
                }));
            }
        }
        Err(error) => {
            for job in jobs {
                let _ = job.reply.send(Err(repeat(&error)));
            }
        }
    }
}

/// Judges the moves in order, stores what they changed, and commits; only then is anybody told. They are
/// taken for new ones first; when that fails, most likely because one of them is not, all are looked up.
async fn commit(
    core: &Arc<Core>,
    moves: &[(&Command, DateTime<Utc>)],
    mut along: usize,
) -> StoreResult<Vec<StoreResult<Outcome>>> {
    let (mut trust, mut patience, mut races, mut is_unknown) = (Trust::New, Patience::new(core), 0, false);
    loop {
        let error = match attempt(core, moves, along, trust).await {
            Ok(outcomes) => return Ok(outcomes),
            Err(error) => error,
        };
        let again = match &error {
            StoreError::Backend { .. } if trust == Trust::New => true,
            // another host was first with a channel or a challenge
            StoreError::Backend { .. } if core.is_shared() && races < RACES => {
                races += 1;
                true
            }
            // whatever was stored is found by its key or its session
            StoreError::OutcomeUnknown { .. } if core.is_shared() => {
                is_unknown = true;
                patience.another().await
            }
            error => patience.suffices(error).await,
        };
        if !again {
            let reason = || format!("the commit was lost, and then {error}");
            return Err(if is_unknown { StoreError::OutcomeUnknown { reason: reason() } } else { error });
        }
        (trust, along) = (Trust::Nothing, 0);
    }
}

async fn attempt(
    core: &Arc<Core>,
    moves: &[(&Command, DateTime<Utc>)],
    along: usize,
    trust: Trust,
) -> StoreResult<Vec<StoreResult<Outcome>>> {
    // closing a period counts its players, starting over clears tables
    let is_rare = |command: &Command| matches!(command, Command::Close(_) | Command::Reset(_));
    let at_once = moves.iter().any(|(command, _)| is_rare(command));
    let needs = if at_once { Needs::Everything } else { Needs::AtHand };
    let mut transaction = Transaction::begin(core, "moves", needs, Effects::NONE).await?;
    let waits = !at_once && transaction.is_remembered() && !core.options.projection_delay.is_zero();
    let projection = if waits { Projection::Later } else { Projection::Now };
    transaction.project(along, None).await?;
    let (connection, warm) = transaction.parts();
    let applied = moves::apply(connection, core, moves, warm, trust, projection).await;
    // an error of another kind is looked at again by the attempt that trusts nothing
    if trust == Trust::Nothing || matches!(applied, Err(StoreError::Corrupt { .. })) {
        core.monitor.observe(&applied, || core.clock.now());
    }
    let applied = applied.inspect_err(|error| core.stop_if_damaged(error));
    let Applied { outcomes, effects, number } = applied?;
    transaction.tell(effects);
    if let Some(number) = number {
        transaction.is_commit(number);
    }
    transaction.commit().await?;
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use sea_orm::ConnectionTrait;
    use tempfile::TempDir;
    use trivia_domain::memory::{ManualClock, SeededRandom};
    use trivia_domain::model::{
        Board, Category, ChannelId, Difficulty, GameSession, Given, IdempotencyKey, Points, QuestionBody,
        QuestionContent, QuestionId, Receipt, TimeLimit, UserId,
    };
    use trivia_domain::ports::{
        AddOutcome, AnswerSubmission, AwardRequest, CheckOutcome, Clock, MaintenancePort, Repositories, StartSession,
        Store,
    };

    use super::*;
    use crate::database::{Database, DatabaseOptions, DatabaseUrl, connect_existing};
    use crate::schema;

    /// A clock that can be made to panic where the writer reads it.
    struct Trap {
        clock: ManualClock,
        is_set: AtomicBool,
    }

    impl Clock for Trap {
        fn now(&self) -> DateTime<Utc> {
            assert!(!self.is_set.load(Ordering::SeqCst), "the clock is broken");
            self.clock.now()
        }
    }

    struct Home {
        dir: TempDir,
        clock: Arc<Trap>,
        random: Arc<SeededRandom>,
    }

    impl Home {
        async fn new() -> Self {
            let clock = ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap());
            let clock = Arc::new(Trap { clock, is_set: AtomicBool::new(false) });
            let home = Self { dir: tempfile::tempdir().unwrap(), clock, random: Arc::new(SeededRandom::new(5)) };
            schema::up(&home.options(), None).await.unwrap();
            home
        }

        fn options(&self) -> DatabaseOptions {
            let mut options = DatabaseOptions::new(DatabaseUrl::of_file(self.dir.path().join("trivia.db")));
            options.busy_timeout = Duration::from_millis(20);
            options
        }

        async fn open(&self) -> Database {
            Database::open(self.options(), self.clock.clone(), self.random.clone()).await.unwrap()
        }

        fn award(&self, user: i64, points: i64) -> AwardRequest {
            let key = IdempotencyKey::generate(self.clock.now(), self.random.as_ref());
            AwardRequest { key, user_id: id(user), points: Points::new(points).unwrap(), reason: "a test".to_owned() }
        }

        /// Makes a move behind the back of the writer's loop, so that nothing is projected after it.
        async fn make(&self, database: &Database, request: AwardRequest) -> Receipt {
            let command = Command::Award(request);
            let outcomes = commit(database.core(), &[(&command, self.clock.now())], 0).await.unwrap();
            outcomes.into_iter().next().unwrap().unwrap().receipt().unwrap()
        }
    }

    fn id(user: i64) -> UserId {
        UserId::new(user).unwrap()
    }

    async fn points(database: &Database, user: i64) -> i64 {
        database.users().get(id(user)).await.unwrap().total_points.get()
    }

    /// What SQLite does by itself when it may not write to the file or its log while it opens them.
    async fn only_read(database: &Database) {
        let writer = database.core().writer().await.unwrap();
        writer.connection.execute_unprepared("PRAGMA query_only = ON").await.unwrap();
    }

    /// Whose facts wait, by what is in the file.
    async fn waiting(database: &Database) -> bool {
        let reader = database.core().reader().await.unwrap();
        crate::repository::projection::is_behind(&*reader).await.unwrap()
    }

    #[test]
    fn nobody_waits_longer_than_the_delay() {
        let delay = Duration::from_secs(5);
        assert_eq!(share(0, 1, delay, delay), 0);
        assert_eq!(share(10_000, 1, Duration::from_millis(20), delay), 40);
        assert_eq!(share(10_000, 1, Duration::from_millis(2), delay), 0, "too few");
        assert_eq!(share(10_000, 256, Duration::from_millis(20), delay), 40);
        assert_eq!(share(10_000, 512, Duration::from_millis(20), delay), 78);
        assert_eq!(share(100, 1, delay, delay), 100);
        assert_eq!(share(PENDING, 1, delay, delay), SLICE);
        assert_eq!(share(PENDING + 1, 0, Duration::ZERO, delay), SLICE);
        assert_eq!(share(100, 1, Duration::ZERO, Duration::ZERO), 0);
    }

    #[tokio::test]
    async fn l28_what_is_read_while_nothing_can_be_written_is_not_kept() {
        let home = Home::new().await;
        let first = home.open().await;
        first.users().get_or_create(id(1)).await.unwrap();
        home.make(&first, home.award(1, 7)).await;
        let second = home.open().await;
        only_read(&second).await;
        // too early to open the files anew
        let renewed = |at| *second.core().renewed.lock().unwrap() = at;
        renewed(Some(Instant::now() + Duration::from_secs(3600)));
        let standing = async || second.rankings().standing(Board::AllTime, id(1)).await.unwrap();
        assert_eq!(points(&second, 1).await, 0, "reads go on");
        // often enough for the board to be read into memory
        for _ in 0..5 {
            assert_eq!(standing().await, None);
            tokio::task::yield_now().await;
        }
        renewed(None);
        assert_eq!(points(&second, 1).await, 7);
        assert_eq!(standing().await.map(|standing| standing.points.get()), Some(7));
        assert_eq!(second.verify().await.unwrap(), []);
    }

    #[tokio::test]
    async fn l28_a_writer_that_could_only_read_connects_anew() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        only_read(&database).await;
        home.make(&database, home.award(1, 7)).await;
        assert_eq!(points(&database, 1).await, 7);
        assert_eq!(database.core().monitor.errors(), 0, "nobody noticed");
    }

    #[tokio::test]
    async fn l28_a_check_that_finds_nothing_allows_writing_again_also_while_facts_wait() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        home.make(&database, home.award(1, 7)).await;
        database.core().monitor.stop("the database", "a page could not be read for a moment");
        let error = database.play().award(home.award(1, 5)).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        assert!(waiting(&database).await);
        assert_eq!(database.check().await, CheckOutcome::Ok);
        database.play().award(home.award(1, 5)).await.unwrap();
        assert_eq!(points(&database, 1).await, 12);
        // what is still wrong keeps it stopped
        let other = connect_existing(&home.options()).await.unwrap();
        other.execute_unprepared("UPDATE users SET best_streak = 99").await.unwrap();
        database.core().monitor.stop("the database", "a page could not be read for a moment");
        assert!(matches!(database.check().await, CheckOutcome::Bad { .. }));
        database.play().award(home.award(1, 5)).await.unwrap_err();
    }

    #[tokio::test]
    async fn l28_a_transaction_that_sqlite_ends_by_itself_does_no_harm_to_the_next_one() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        let other = connect_existing(&home.options()).await.unwrap();
        for (points, way) in [(7, "ROLLBACK"), (8, "ABORT")] {
            let sabotage = format!(
                "CREATE TRIGGER {way}_it BEFORE INSERT ON ledger WHEN new.points = {points} \
                 BEGIN SELECT RAISE({way}, 'no'); END"
            );
            other.execute_unprepared(&sabotage).await.unwrap();
        }
        for points in [7, 8] {
            database.play().award(home.award(1, points)).await.unwrap_err();
        }
        for _ in 0..3 {
            database.play().award(home.award(1, 5)).await.unwrap();
        }
        // by the file alone
        let second = home.open().await;
        assert_eq!(points(&second, 1).await, 15);
        assert_eq!(second.verify().await.unwrap(), []);
    }

    #[tokio::test]
    async fn l2_facts_that_wait_are_seen_by_every_read() {
        let home = Home::new().await;
        let database = home.open().await;
        for user in [1, 2] {
            database.users().get_or_create(id(user)).await.unwrap();
            home.make(&database, home.award(user, 10 * user)).await;
        }
        // a profile comes from memory
        assert_eq!(points(&database, 1).await, 10);
        assert!(waiting(&database).await);
        // what is read about one player needs the facts of that one
        assert_eq!(database.people().export(id(1)).await.unwrap().profile.total_points.get(), 10);
        assert!(waiting(&database).await);
        // a board needs all
        let page = database.rankings().page(Board::AllTime, None, 10).await.unwrap();
        assert_eq!(page.entries.iter().map(|entry| entry.points.get()).collect::<Vec<_>>(), [20, 10]);
        assert!(!waiting(&database).await);
        home.make(&database, home.award(1, 5)).await;
        assert!(waiting(&database).await);
        assert_eq!(database.verify().await.unwrap(), []);
        assert_eq!(points(&database, 1).await, 15);
    }

    #[tokio::test]
    async fn l5_a_batch_that_takes_along_whom_it_moves_notes_the_new_fact() {
        let home = Home::new().await;
        let first = home.open().await;
        first.users().get_or_create(id(1)).await.unwrap();
        home.make(&first, home.award(1, 7)).await;
        let command = Command::Award(home.award(1, 3));
        let outcomes = commit(first.core(), &[(&command, home.clock.now())], SLICE).await.unwrap();
        assert!(outcomes[0].is_ok());
        assert!(waiting(&first).await);
        let second = home.open().await;
        assert_eq!(points(&second, 1).await, 10);
        assert_eq!(second.verify().await.unwrap(), []);
    }

    #[tokio::test]
    async fn l5_facts_that_wait_outlive_the_process_and_other_processes_see_them() {
        let home = Home::new().await;
        let first = home.open().await;
        first.users().get_or_create(id(1)).await.unwrap();
        let award = home.award(1, 7);
        let receipt = home.make(&first, award.clone()).await;
        // the first process may be dead by now: nothing but the file is left of it
        let second = home.open().await;
        assert_eq!(points(&second, 1).await, 7);
        assert!(!waiting(&second).await);
        assert_eq!(home.make(&second, award.clone()).await, receipt, "a retry is no second fact");
        home.make(&second, home.award(1, 1)).await;
        assert!(waiting(&second).await);
        // it was alive: what it has at hand is out of date
        home.make(&first, home.award(1, 2)).await;
        for database in [&first, &second] {
            assert_eq!(points(database, 1).await, 10);
            assert_eq!(database.verify().await.unwrap(), []);
        }
    }

    #[tokio::test]
    async fn l3_an_answer_to_a_question_that_the_same_batch_opens_counts_in_its_category() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        let mut questions = Vec::new();
        for (number, category) in ["History", "Space", "Space"].iter().enumerate() {
            let body = QuestionBody::TrueFalse { answer: true };
            let category = Category::new(category).unwrap();
            let content = QuestionContent::new(body, &format!("Number {number}"), category, Difficulty::Easy).unwrap();
            match &database.questions().add(vec![content]).await.unwrap()[..] {
                [AddOutcome::Added { id }] => questions.push(*id),
                other => panic!("{other:?}"),
            }
        }
        let answer = |session: &GameSession, question_id| {
            let key = IdempotencyKey::generate(home.clock.now(), home.random.as_ref());
            let (user_id, session_id) = (id(1), session.id);
            Command::Answer(AnswerSubmission { key, user_id, session_id, question_id, given: Given::Truth(true) })
        };
        let start = async |questions: &[QuestionId]| {
            let channel_id = ChannelId::new(questions.len().try_into().unwrap()).unwrap();
            let (host, questions, time_limit) = (id(1), questions.to_vec(), TimeLimit::default());
            let request = StartSession { channel_id, host, questions, time_limit };
            database.play().start_session(request).await.unwrap()
        };
        let make = async |database: &Database, commands: &[Command]| {
            let moves: Vec<_> = commands.iter().map(|command| (command, home.clock.now())).collect();
            commit(database.core(), &moves, 0).await.unwrap().into_iter().for_each(|outcome| drop(outcome.unwrap()));
        };
        // there is a sum for space, and the process that comes next has not seen it
        let session = start(&questions[2..]).await;
        make(&database, &[answer(&session, questions[2])]).await;
        let session = start(&questions[..2]).await;
        database.close().await.unwrap();
        let database = home.open().await;
        make(&database, &[answer(&session, questions[0])]).await;
        let advance = Command::Advance { session: session.id, from: 0 };
        make(&database, &[advance, answer(&session, questions[1])]).await;
        let sums = database.users().breakdown(id(1)).await.unwrap().by_category;
        assert_eq!(sums.values().map(|tally| tally.answered).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(database.verify().await.unwrap(), []);
    }

    #[tokio::test]
    async fn closing_and_going_back_a_version_leave_nothing_waiting() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        home.make(&database, home.award(1, 7)).await;
        database.close().await.unwrap();
        let database = home.open().await;
        assert!(!waiting(&database).await);
        home.make(&database, home.award(1, 8)).await;
        drop(database);
        schema::down(&home.options(), 1).await.unwrap();
        schema::up(&home.options(), None).await.unwrap();
        let database = home.open().await;
        assert_eq!(points(&database, 1).await, 15);
        assert_eq!(database.verify().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_an_unknown_outcome_and_harms_nobody() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        home.make(&database, home.award(1, 7)).await;
        let transaction = Transaction::begin(database.core(), "a test", Needs::Nothing, Effects::NONE).await.unwrap();
        // a reference to nobody is found at the commit
        transaction.execute_unprepared("PRAGMA defer_foreign_keys = ON").await.unwrap();
        transaction.execute_unprepared("INSERT INTO unprojected VALUES (9)").await.unwrap();
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(error, StoreError::OutcomeUnknown { .. }), "{error}");
        // what waited before still does, and nothing of the failed one is there
        assert_eq!(points(&database, 1).await, 7);
        let award = home.award(1, 3);
        let receipt = database.play().award(award.clone()).await.unwrap();
        assert_eq!(database.play().award(award).await.unwrap(), receipt);
        assert_eq!(points(&database, 1).await, 10);
        assert_eq!(database.verify().await.unwrap(), []);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_caller_who_goes_away_can_ask_again() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        let awards: Vec<_> = (0..50).map(|_| home.award(1, 1)).collect();
        for award in &awards {
            let (database, award) = (database.clone(), award.clone());
            let caller = tokio::spawn(async move { database.play().award(award).await });
            tokio::task::yield_now().await;
            caller.abort();
        }
        for award in awards {
            let receipt = database.play().award(award.clone()).await.unwrap();
            assert_eq!(database.play().award(award).await.unwrap(), receipt);
        }
        assert_eq!(points(&database, 1).await, 50);
        assert_eq!(database.verify().await.unwrap(), []);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_was_told_before_a_shutdown_counts_after_it() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        let awards: Vec<_> = (0..200).map(|_| home.award(1, 1)).collect();
        let callers: Vec<_> = awards
            .iter()
            .cloned()
            .map(|award| {
                let database = database.clone();
                tokio::spawn(async move { database.play().award(award).await })
            })
            .collect();
        home.make(&database, home.award(1, 1)).await;
        database.close().await.unwrap();
        let mut told = Vec::new();
        for caller in callers {
            told.push(caller.await.unwrap().ok());
        }
        let database = home.open().await;
        assert!(!waiting(&database).await);
        for (award, receipt) in awards.into_iter().zip(told) {
            let again = database.play().award(award).await.unwrap();
            assert!(receipt.is_none_or(|receipt| receipt == again));
        }
        assert_eq!(points(&database, 1).await, 201);
        assert_eq!(database.verify().await.unwrap(), []);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_fails_its_batch_and_not_the_writer() {
        let home = Home::new().await;
        let database = home.open().await;
        database.users().get_or_create(id(1)).await.unwrap();
        let (queue, jobs) = mpsc::channel(1);
        let writer = tokio::spawn(run(Arc::clone(database.core()), jobs));
        let award = home.award(1, 3);
        let at = home.clock.now();
        let send = async || {
            let (reply, outcome) = oneshot::channel();
            queue.send(Job { command: Command::Award(award.clone()), at, reply }).await.unwrap();
            outcome.await
        };
        let other = home.open().await;
        let held = Transaction::begin(other.core(), "a test", Needs::Nothing, Effects::NONE).await.unwrap();
        // that the file is busy is noted with the time
        home.clock.is_set.store(true, Ordering::SeqCst);
        assert!(send().await.is_err(), "nobody says that it was counted");
        home.clock.is_set.store(false, Ordering::SeqCst);
        drop(held);
        send().await.unwrap().unwrap();
        assert_eq!(points(&database, 1).await, 3);
        assert_eq!(database.verify().await.unwrap(), []);
        drop(queue);
        writer.await.unwrap();
    }
}
