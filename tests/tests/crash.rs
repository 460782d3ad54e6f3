//! Laws L5 and L1 with the real program: what it acknowledged outlives `kill -9`, and two processes on one
//! database count each answer once. The target `crash_postgres` has the same on a server.
//!
//! The plan of a run follows from a seed, which is printed; `TRIVIA_TEST_SEED` repeats it. The rest of the
//! chance is the machine's: which instruction is the last is decided anew each time.

#[path = "cli/bench.rs"]
#[expect(dead_code, reason = "the tests of the command line use the rest of it")]
mod bench;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, Statement};
use serde_json::Value as Json;
use tokio::task::JoinSet;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{
    AchievementId, ChannelId, Given, IdempotencyKey, Page, Points, Question, QuestionBody, QuestionId, Receipt,
    SessionId, TimeLimit, UserId,
};
use trivia_domain::ports::{
    AnswerSubmission, MaintenancePort, QuestionFilter, RandomSource, Repositories, StartSession,
};
use trivia_infrastructure::{Database, DatabaseOptions, SystemClock, SystemRandom};
use uuid::Uuid;

use bench::{Bench, ON_A_SERVER};

/// Repeats the plan of an earlier run.
const SEED: &str = "TRIVIA_TEST_SEED";
/// Processes that are killed.
const ROUNDS: usize = 100;
/// Groups of players: a group is met again by later processes, with the sessions that the dead have left.
const GROUPS: u64 = 8;
/// After which of ten rounds `check` is run.
const CHECKED: usize = 5;
/// Retries of acknowledged answers in a round; those without acknowledgement are all retried.
const RETRIES: usize = 2;

/// What a server calls the connections of the program that is killed.
const CONDEMNED: &str = "condemned";

// --- what was promised and what is there ---------------------------------------------------------

/// A request of a player.
type Request = (UserId, IdempotencyKey);

/// The number of the fact of each request.
type Facts = BTreeMap<Request, u64>;

/// Reads a log of acknowledgements. Only whole lines count: a line without its end is one that the process
/// was writing when it died, so nobody who reads lines was told.
fn acknowledgements(log: &str) -> Vec<(Request, u64)> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let parse = |line: &str| {
        let [key, user, seq] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line:?} in the log") };
        ((user.parse().unwrap(), key.parse().unwrap()), seq.parse().unwrap())
    };
    whole.lines().map(parse).collect()
}

/// Acknowledged answers that the ledger does not have, or has with another number.
fn broken_promises<'a>(promised: impl IntoIterator<Item = (&'a Request, &'a u64)>, ledger: &Facts) -> Vec<String> {
    let mut broken = Vec::new();
    for ((user, key), seq) in promised {
        match ledger.get(&(*user, *key)) {
            Some(stored) if stored == seq => {}
            Some(stored) => broken.push(format!("{user}: {key} was acknowledged as {seq} and is {stored}")),
            None => broken.push(format!("{user}: {key} was acknowledged as {seq} and is lost")),
        }
    }
    broken
}

#[derive(FromQueryResult)]
struct FactRow {
    user_id: i64,
    seq: i64,
    key: Uuid,
}

async fn ledger(connection: &DatabaseConnection) -> Facts {
    let sql = "SELECT user_id, seq, key FROM ledger";
    let sql = Statement::from_string(connection.get_database_backend(), sql);
    let rows = FactRow::find_by_statement(sql).all(connection).await;
    let fact = |row: FactRow| {
        let request = (UserId::new(row.user_id).unwrap(), IdempotencyKey::new(row.key));
        (request, u64::try_from(row.seq).unwrap())
    };
    rows.unwrap().into_iter().map(fact).collect()
}

/// Players whose ledger and sums are not of the same moment: a part of a move was stored. `check` compares
/// far more; this is quick enough for each round.
async fn halves(connection: &DatabaseConnection) -> Vec<String> {
    // newer facts than a player's row shows wait to be projected
    let sql = "WITH facts AS (SELECT user_id, COUNT(*) AS n, MAX(seq) AS last, SUM(CASE WHEN correct THEN 1 ELSE 0 END) AS correct, \
               MAX(l.total_points) AS points FROM ledger l JOIN users USING (user_id) WHERE seq <= last_seq GROUP BY user_id) \
               SELECT CAST(u.user_id AS TEXT) AS what FROM users u LEFT JOIN facts f ON f.user_id = u.user_id \
               WHERE u.last_seq <> COALESCE(f.last, 0) OR u.last_seq <> COALESCE(f.n, 0) \
               OR u.questions_answered <> COALESCE(f.n, 0) OR u.questions_correct <> COALESCE(f.correct, 0) \
               OR u.total_points <> COALESCE(f.points, 0) \
               OR (SELECT COALESCE(SUM(answered), 0) FROM user_tallies t WHERE t.user_id = u.user_id) \
                  <> 2 * u.questions_answered \
               OR (SELECT COALESCE(SUM(points), 0) FROM rankings r WHERE r.user_id = u.user_id AND r.period = 'week') \
                  + (SELECT COALESCE(SUM(bonus), 0) FROM user_achievements a WHERE a.user_id = u.user_id) \
                  <> u.total_points \
               UNION ALL SELECT 'question ' || l.question_id FROM ledger l \
               LEFT JOIN question_counters c ON c.question_id = l.question_id GROUP BY l.question_id \
               HAVING COUNT(*) <> COALESCE(MAX(c.times_asked), 0) \
               UNION ALL SELECT DISTINCT user_id || ', whose facts wait unlisted,' FROM ledger JOIN users USING (user_id) \
               WHERE seq > last_seq AND user_id NOT IN (SELECT user_id FROM unprojected)";
    let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| format!("{} is half there", row.try_get::<String>("", "what").unwrap())).collect()
}

/// Players whose facts wait.
async fn unprojected(connection: &DatabaseConnection) -> Vec<i64> {
    let sql = "SELECT user_id FROM unprojected";
    let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "user_id").unwrap()).collect()
}

#[derive(FromQueryResult)]
struct AnswerRow {
    seq: i64,
    at: DateTime<Utc>,
    points: i64,
    total_points: i64,
    streak: i64,
    unlocked: Option<Json>,
    session_id: Uuid,
    question_id: i64,
    given: Json,
    correct: bool,
}

/// An answer as its caller sent it, and the receipt that the ledger holds for it.
async fn recorded(connection: &DatabaseConnection, (user_id, key): Request) -> (AnswerSubmission, Receipt) {
    let sql = "SELECT * FROM ledger WHERE user_id = $1 AND key = $2";
    let values = [user_id.get().into(), key.get().into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    let row = AnswerRow::find_by_statement(statement).one(connection).await.unwrap().unwrap();
    let unlocked = row.unlocked.map(|ids| serde_json::from_value::<Vec<AchievementId>>(ids).unwrap());
    let submission = AnswerSubmission {
        key,
        user_id,
        session_id: SessionId::new(row.session_id),
        question_id: QuestionId::new(row.question_id).unwrap(),
        given: serde_json::from_value(row.given).unwrap(),
    };
    let receipt = Receipt {
        user_id,
        key,
        seq: u64::try_from(row.seq).unwrap(),
        at: row.at,
        correct: Some(row.correct),
        points: Points::new(row.points).unwrap(),
        total_points: Points::new(row.total_points).unwrap(),
        streak: u64::try_from(row.streak).unwrap(),
        unlocked: unlocked.unwrap_or_default(),
    };
    (submission, receipt)
}

async fn open(options: DatabaseOptions) -> Database {
    Database::open(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap()
}

/// `trivia-db check`, which must find nothing.
#[track_caller]
fn check(bench: &Bench) {
    assert_eq!(bench.json(["check"])["ok"], true);
}

// --- L5 ------------------------------------------------------------------------------------------

/// The life and death of one process.
#[derive(Debug)]
struct Round {
    /// Decides who plays.
    group: u64,
    /// Acknowledgements that are awaited.
    acknowledged: usize,
    /// Then it lives a little longer, so that it dies anywhere in the next transaction.
    longer: Duration,
    /// Whether the test has the database open meanwhile: the write-ahead log then outlives the process
    /// that wrote to it. Otherwise the next to open the file repairs it from the log.
    attended: bool,
    /// A killed process does not lose power, so the cheaper setting must do as well; it is most of the rounds.
    durability: &'static str,
}

impl Round {
    fn draw(number: usize, random: &SeededRandom) -> Self {
        let below = |bound: u64| random.next_u64() % bound;
        let acknowledged = match number % 20 {
            // long enough for the log to be copied into the database on the way
            9 => 200 + below(200),
            // before the first answer, mostly while it opens the database
            0 | 10 => 0,
            _ => below(61),
        };
        Self {
            group: below(GROUPS),
            acknowledged: usize::try_from(acknowledged).unwrap(),
            longer: Duration::from_micros(below(if acknowledged == 0 { 60_000 } else { 8_000 })),
            attended: number % 10 != CHECKED && below(2) == 1,
            durability: if below(4) == 0 { "full" } else { "normal" },
        }
    }
}

/// Starts the program, kills it as planned, and returns what it has acknowledged.
fn live_and_die(bench: &Bench, round: &Round) -> Vec<(Request, u64)> {
    let mut child = bench
        .program()
        .args(["simulate", "--players", "20", "--answers", "100000", "--concurrency", "8"])
        // a pipe: each line has left the process when it is read, and reading waits for the next one
        .args(["--ack-log", "/dev/stdout", "--seed", &round.group.to_string()])
        .env("TRIVIA_DURABILITY", round.durability)
        .env("PGAPPNAME", CONDEMNED)
        .stdout(Stdio::piped())
        .stderr(File::create(bench.path("stderr")).unwrap())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut log = String::new();
    for _ in 0..round.acknowledged {
        lines.read_line(&mut log).unwrap();
    }
    let reached = Instant::now();
    while reached.elapsed() < round.longer {
        std::hint::spin_loop();
    }
    // SIGKILL
    child.kill().unwrap();
    // what it said before it died
    lines.read_to_string(&mut log).unwrap();
    let signal = child.wait().unwrap().signal();
    assert_eq!(signal, Some(9), "it ended before: {}", fs::read_to_string(bench.path("stderr")).unwrap());
    acknowledgements(&log)
}

/// Waits until a server has noticed the death: until then it may still store what was sent to it.
async fn buried(connection: &DatabaseConnection) {
    if !ON_A_SERVER {
        return;
    }
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = '{CONDEMNED}'"
    );
    let ask = Statement::from_string(connection.get_database_backend(), sql);
    let until = Instant::now() + Duration::from_secs(60);
    while connection.query_one_raw(ask.clone()).await.unwrap().is_some() {
        assert!(Instant::now() < until, "the server does not notice that the program is gone");
    }
}

/// A seed that is printed and can be given.
fn seed() -> u64 {
    let seed = std::env::var(SEED).map_or_else(|_| SystemRandom.next_u64(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_kill_9_loses_nothing_acknowledged() {
    let started = Instant::now();
    let random = SeededRandom::new(seed());
    let bench = Bench::ready();
    let mut attendant: Option<Database> = None;
    let mut promised = Facts::new();
    let mut known = Facts::new();
    let (mut unacknowledged, mut early, mut checks, mut waited) = (0, 0, 0, 0);
    for number in 0..ROUNDS {
        let round = Round::draw(number, &random);
        match attendant.take() {
            Some(database) if !round.attended => database.close().await.unwrap(),
            None if round.attended => attendant = Some(open(bench.options()).await),
            same => attendant = same,
        }
        let acknowledged = live_and_die(&bench, &round);
        early += usize::from(acknowledged.is_empty());
        for (request, seq) in &acknowledged {
            assert_eq!(promised.insert(*request, *seq), None, "a key was acknowledged twice");
        }
        if number % 10 == CHECKED {
            // the program is the first to open what the dead one has left; in other rounds the library is
            check(&bench);
            checks += 1;
        }
        let database = match attendant.take() {
            Some(database) => database,
            None => open(bench.options()).await,
        };
        let connection = bench.connect().await;
        buried(&connection).await;
        waited += usize::from(!unprojected(&connection).await.is_empty());
        let found = ledger(&connection).await;
        let mut problems = broken_promises(&promised, &found);
        problems.extend(broken_promises(&known, &found));
        problems.extend(halves(&connection).await);
        assert!(problems.is_empty(), "round {number}, {round:?}:\n{}", problems.join("\n"));

        // facts without acknowledgement: their outcome was unknown until now, a retry settles it
        let unknown: Vec<_> = found.keys().filter(|request| !promised.contains_key(request)).copied().collect();
        let unknown: Vec<_> = unknown.into_iter().filter(|request| !known.contains_key(request)).collect();
        unacknowledged += unknown.len();
        let certain = acknowledged.iter().rev().map(|(request, _)| *request).take(RETRIES);
        for request in unknown.iter().copied().chain(certain) {
            let (submission, receipt) = recorded(&connection, request).await;
            assert_eq!(database.play().submit_answer(submission).await.unwrap(), receipt, "round {number}");
        }
        assert_eq!(ledger(&connection).await, found, "a retry counted again in round {number}");
        // a read of everybody shows every fact
        database.users().list(Page::first(100)).await.unwrap();
        assert_eq!(unprojected(&connection).await, Vec::<i64>::new(), "round {number}");
        assert_eq!(halves(&connection).await, Vec::<String>::new(), "round {number}");
        connection.close().await.unwrap();
        known = found;
        attendant = Some(database);
    }
    if let Some(database) = attendant {
        database.close().await.unwrap();
    }
    check(&bench);
    println!(
        "{ROUNDS} processes killed in {:.1} s, {early} of them before their first acknowledgement: {} answers \
         acknowledged, {unacknowledged} in the ledger without, 0 lost, {waited} times facts waited; {} checks",
        started.elapsed().as_secs_f64(),
        promised.len(),
        checks + 1
    );
    assert_eq!(known.len(), promised.len() + unacknowledged);
    // a server stores what follows with the facts
    assert!(if ON_A_SERVER { waited == 0 } else { waited > ROUNDS / 10 }, "{waited} times facts waited");
    assert!(promised.len() > 10 * ROUNDS, "too little was acknowledged to prove anything");
}

// --- L1 ------------------------------------------------------------------------------------------

/// Answers of each of two programs before they are stopped.
const ANSWERS: usize = 300;
/// Tasks of a process that submit the same key.
const TASKS: usize = 8;
/// The URL of the database of [`the_other_process`].
const PLAYGROUND: &str = "TRIVIA_TEST_PLAYGROUND";

/// Submits one answer by many tasks at once; all must get the same receipt.
async fn submit_often(database: &Database, submission: &AnswerSubmission) -> Receipt {
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (handle, submission) = (database.clone(), submission.clone());
        tasks.spawn(async move { handle.play().submit_answer(submission).await.unwrap() });
    }
    let told = tasks.join_all().await;
    assert_eq!(told.len(), TASKS);
    assert!(told.iter().all(|receipt| *receipt == told[0]), "one answer has different receipts: {told:#?}");
    told[0].clone()
}

/// The part of [`l1_two_processes_count_each_answer_once`] that runs in a process of its own.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a child process of another test"]
async fn the_other_process() {
    let url = std::env::var(PLAYGROUND).unwrap();
    let database = open(DatabaseOptions::new(url.parse().unwrap())).await;
    println!("\nready");
    for line in std::io::stdin().lines() {
        let (key, user_id, session_id, question_id, given) = serde_json::from_str(&line.unwrap()).unwrap();
        let submission = AnswerSubmission { key, user_id, session_id, question_id, given };
        let receipt = submit_often(&database, &submission).await;
        println!("\n{}", serde_json::to_string(&receipt).unwrap());
    }
    database.close().await.unwrap();
}

/// A process that submits the same answers as this one.
struct Twin {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Twin {
    fn start(bench: &Bench) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["the_other_process", "--ignored", "--nocapture"])
            .env(PLAYGROUND, bench.options().url.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut twin = Self { child, output };
        while twin.line() != "ready" {}
        twin
    }

    /// What it says next; the test harness talks in between.
    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).unwrap() > 0, "the other process has ended");
        line.trim().to_owned()
    }

    fn send(&mut self, submission: &AnswerSubmission) {
        let AnswerSubmission { key, user_id, session_id, question_id, given } = submission;
        let line = serde_json::to_string(&(key, user_id, session_id, question_id, given)).unwrap();
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn receipt(&mut self) -> Receipt {
        loop {
            let line = self.line();
            if line.starts_with('{') {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }

    fn end(mut self) {
        drop(self.child.stdin.take());
        std::io::copy(&mut self.output, &mut std::io::sink()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// Plays one session; each answer is submitted by many tasks of two processes with one key.
async fn play_twice(database: &Database, twin: &mut Twin, player: UserId, channel: ChannelId) -> Vec<Receipt> {
    let questions = database.questions().list(&QuestionFilter::default(), Page::first(5)).await.unwrap();
    let request = StartSession {
        channel_id: channel,
        host: player,
        questions: questions.iter().map(|question| question.id).collect(),
        time_limit: TimeLimit::new(Duration::from_secs(600)).unwrap(),
    };
    let session = database.play().start_session(request).await.unwrap().id;
    let mut receipts = Vec::new();
    for (position, question) in questions.iter().enumerate() {
        let submission = AnswerSubmission {
            key: IdempotencyKey::new(Uuid::now_v7()),
            user_id: player,
            session_id: session,
            question_id: question.id,
            given: right(question),
        };
        twin.send(&submission);
        let receipt = submit_often(database, &submission).await;
        assert_eq!(twin.receipt(), receipt, "two processes were told different things");
        receipts.push(receipt);
        database.play().advance(session, position).await.unwrap();
    }
    receipts
}

fn right(question: &Question) -> Given {
    match question.content.body() {
        QuestionBody::MultipleChoice { correct, .. } => Given::Choice(*correct),
        QuestionBody::TrueFalse { answer } => Given::Truth(*answer),
        QuestionBody::FillBlank { answer, .. } => Given::Text(answer.clone()),
    }
}

/// A program under load whose acknowledgements are read while it runs.
struct Loaded {
    child: Child,
    acknowledged: Arc<AtomicUsize>,
    log: JoinHandle<String>,
}

impl Loaded {
    fn start(bench: &Bench, seed: u64) -> Self {
        let mut child = bench
            .program()
            .args(["simulate", "--players", "20", "--answers", "1000000", "--concurrency", "8"])
            .args(["--seed", &seed.to_string(), "--ack-log", "/dev/stdout"])
            .env("PGAPPNAME", CONDEMNED)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&acknowledged);
        let log = std::thread::spawn(move || {
            let mut log = String::new();
            while output.read_line(&mut log).unwrap() > 0 {
                seen.fetch_add(1, Ordering::Relaxed);
            }
            log
        });
        Self { child, acknowledged, log }
    }

    fn has_answered(&self) -> bool {
        self.acknowledged.load(Ordering::Relaxed) >= ANSWERS
    }

    /// Kills it while it works; returns what it has acknowledged.
    fn kill(mut self) -> Vec<(Request, u64)> {
        assert!(self.child.try_wait().unwrap().is_none(), "it ended before the others had played");
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        acknowledgements(&self.log.join().unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l1_two_processes_count_each_answer_once() {
    let seed = seed();
    let bench = Bench::ready();
    let loaded = [1, 2].map(|number| Loaded::start(&bench, seed.wrapping_add(number)));
    let mut twin = Twin::start(&bench);
    let database = open(bench.options()).await;
    let player = UserId::new(1).unwrap();
    database.users().get_or_create(player).await.unwrap();

    // all four work on one file at the same time: nobody stops before both programs have answered much
    let mut receipts = Vec::new();
    loop {
        receipts.extend(play_twice(&database, &mut twin, player, ChannelId::new(1).unwrap()).await);
        if loaded.iter().all(Loaded::has_answered) {
            break;
        }
    }
    let mut promised: Facts = loaded.into_iter().flat_map(Loaded::kill).collect();
    twin.end();
    let answers = promised.len();
    promised.extend(receipts.iter().map(|receipt| ((receipt.user_id, receipt.key), receipt.seq)));

    let connection = bench.connect().await;
    buried(&connection).await;
    let found = ledger(&connection).await;
    assert_eq!(broken_promises(&promised, &found), Vec::<String>::new());
    let mine = found.keys().filter(|(user, _)| *user == player).count();
    assert_eq!(mine, receipts.len(), "an answer of two processes counted twice");
    let unknown: Vec<_> = found.keys().filter(|request| !promised.contains_key(request)).copied().collect();
    assert!(unknown.len() <= 2 * TASKS, "{} facts that nobody waited for", unknown.len());
    for request in unknown {
        let (submission, receipt) = recorded(&connection, request).await;
        assert_eq!(database.play().submit_answer(submission).await.unwrap(), receipt);
    }
    assert_eq!(ledger(&connection).await, found, "a retry counted again");
    assert_eq!(halves(&connection).await, Vec::<String>::new());
    connection.close().await.unwrap();
    database.close().await.unwrap();
    check(&bench);
    println!("{answers} answers of two programs, {} of two processes, each {} times", receipts.len(), 2 * TASKS);
}

// --- the proof that these tests can fail ---------------------------------------------------------

#[test]
fn a_torn_line_is_no_acknowledgement() {
    let whole = "01a20428-bee2-7385-9b7b-74ed37181f2a 7 1\n";
    let other = "01a20428-bee3-71a1-98ef-7e5f9ebe0556 7 23\n";
    let read = acknowledgements(whole);
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].0.0.get(), read[0].1), (7, 1));
    for end in 0..other.len() {
        assert_eq!(acknowledgements(&format!("{whole}{}", &other[..end])), read, "{end} bytes of the next line");
    }
    assert_eq!(acknowledgements(&format!("{whole}{other}")).len(), 2);
    assert_eq!(acknowledgements(""), []);
}

#[tokio::test]
async fn what_is_lost_or_half_there_is_noticed() {
    let bench = Bench::ready();
    bench.stays_broken();
    let log = bench.path("ack.log");
    bench.run(["simulate", "--players", "3", "--answers", "30", "--ack-log", log.to_str().unwrap()]).expect(0);
    let look = async || {
        let connection = bench.connect().await;
        let found = (ledger(&connection).await, halves(&connection).await);
        connection.close().await.unwrap();
        found
    };
    let (facts, halves) = look().await;
    let promises = || Facts::from_iter(acknowledgements(&fs::read_to_string(&log).unwrap()));
    let promised = promises();
    assert_eq!(promised, facts);
    assert_eq!((broken_promises(&promised, &facts), halves), (Vec::new(), Vec::new()));

    let ((player, key), _) = promised.first_key_value().unwrap();
    let forged = "01a20428-bee2-7385-9b7b-74ed37181f2a";
    let mut file = OpenOptions::new().append(true).open(&log).unwrap();
    writeln!(file, "{forged} {player} 99").unwrap();
    let [broken] = &broken_promises(&promises(), &facts)[..] else { panic!("the forged line was not noticed") };
    assert!(broken.contains(forged) && broken.ends_with("is lost"), "{broken}");
    writeln!(file, "{key} {player} 98").unwrap();
    assert_eq!(broken_promises(&promises(), &facts).len(), 2, "another number was not noticed");

    // the last fact of a player is gone, with and without what followed from it
    let last = promised.keys().filter(|(user, _)| user == player).count();
    bench.alter(&format!("DELETE FROM ledger WHERE user_id = {player} AND seq = {last}")).await;
    let (facts, halves) = look().await;
    assert_eq!(broken_promises(&promised, &facts).len(), 1);
    assert!(halves.contains(&format!("{player} is half there")), "{halves:?}");
    bench.run(["check"]).expect(3);
    bench.alter(&format!("DELETE FROM users WHERE user_id = {player}")).await;
    assert_eq!(broken_promises(&promised, &look().await.0).len(), last);
}
