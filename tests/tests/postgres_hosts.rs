//! Several hosts: writes follow the primary, whatever happens to it, and nothing that was acknowledged is lost with a
//! synchronous standby (L5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use trivia_domain::StoreError;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{Board, IdempotencyKey, Points, Receipt, UserId};
use trivia_domain::ports::{AwardRequest, Clock, MaintenancePort, RandomSource, Repositories};
use trivia_infrastructure::{Database, DatabaseOptions, SystemClock, SystemRandom, schema};
use trivia_tests::pair::{Host, Pair};

use Host::{First, Second};

/// How often the primary is killed.
const FAILOVERS: usize = 20;
/// After a promotion everybody writes again within this time.
const HEALED: Duration = Duration::from_secs(10);
const PLAYERS: i64 = 8;
/// Acknowledgements of a player before the primary is killed, at most, and after the promotion.
const BEFORE: u64 = 40;
const AFTER: u64 = 5;

async fn open(options: DatabaseOptions) -> Database {
    try_open(options).await.unwrap()
}

async fn try_open(options: DatabaseOptions) -> Result<Database, StoreError> {
    Database::open(options, Arc::new(SystemClock), Arc::new(SystemRandom)).await
}

fn id(user: i64) -> UserId {
    UserId::new(user).unwrap()
}

fn award(user: i64) -> AwardRequest {
    let key = IdempotencyKey::generate(SystemClock.now(), &SystemRandom);
    AwardRequest { key, user_id: id(user), points: Points::small(1), reason: "a test".to_owned() }
}

/// What may be said while there is no primary.
fn is_for_later(error: &StoreError) -> bool {
    matches!(error, StoreError::OutcomeUnknown { .. } | StoreError::Unreachable { .. } | StoreError::Busy { .. })
}

/// Asks until there is a receipt.
async fn insist(database: &Database, request: &AwardRequest) -> Receipt {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match database.play().award(request.clone()).await {
            Ok(receipt) => return receipt,
            Err(error) => assert!(is_for_later(&error) && Instant::now() < until, "{error}"),
        }
    }
}

/// Players who never pause, on one database that is opened once.
struct Game {
    database: Database,
    done: Arc<AtomicBool>,
    acknowledged: mpsc::UnboundedReceiver<Acknowledged>,
    players: JoinSet<()>,
    promised: Vec<Acknowledged>,
}

struct Acknowledged {
    request: AwardRequest,
    receipt: Receipt,
    at: Instant,
}

impl Game {
    async fn begin(options: DatabaseOptions) -> Self {
        let database = open(options).await;
        let done = Arc::new(AtomicBool::new(false));
        let (acknowledge, acknowledged) = mpsc::unbounded_channel();
        let mut players = JoinSet::new();
        for player in 1..=PLAYERS {
            let (database, done, acknowledge) = (database.clone(), Arc::clone(&done), acknowledge.clone());
            database.users().get_or_create(id(player)).await.unwrap();
            players.spawn(async move {
                let mut seq = 0;
                while !done.load(Ordering::Relaxed) {
                    let request = award(player);
                    let receipt = insist(&database, &request).await;
                    seq += 1;
                    assert_eq!(receipt.seq, seq, "each counts once, and none is lost");
                    acknowledge.send(Acknowledged { request, receipt, at: Instant::now() }).unwrap();
                }
            });
        }
        // somebody who only looks
        let (looking, finished) = (database.clone(), Arc::clone(&done));
        players.spawn(async move {
            while !finished.load(Ordering::Relaxed) {
                match looking.users().get(id(1)).await {
                    Ok(_) => tokio::task::yield_now().await,
                    Err(error) => assert!(is_for_later(&error), "{error}"),
                }
            }
        });
        Self { database, done, acknowledged, players, promised: Vec::new() }
    }

    /// Waits for so many more acknowledgements of all players together.
    async fn wait_for(&mut self, more: u64) {
        for _ in 0..more {
            let next = tokio::select! {
                next = self.acknowledged.recv() => next.unwrap(),
                failed = self.players.join_next() => panic!("a player has given up: {failed:?}"),
            };
            self.promised.push(next);
        }
    }

    /// Waits until each player was acknowledged something after an instant; how long that took.
    async fn heal(&mut self, since: Instant) -> Duration {
        let mut healed = [0; PLAYERS as usize];
        let mut last = since;
        while healed.iter().any(|times| *times < AFTER) {
            self.wait_for(1).await;
            let next = self.promised.last().unwrap();
            if next.at > since {
                let times = &mut healed[usize::try_from(next.receipt.user_id.get() - 1).unwrap()];
                if *times == 0 {
                    last = last.max(next.at);
                }
                *times += 1;
            }
        }
        last - since
    }

    /// Ends the game, and looks whether every promise is kept.
    async fn end(mut self) {
        self.done.store(true, Ordering::Relaxed);
        while let Some(ended) = self.players.join_next().await {
            ended.unwrap();
        }
        self.acknowledged.close();
        while let Some(next) = self.acknowledged.recv().await {
            self.promised.push(next);
        }
        for Acknowledged { request, receipt, .. } in &self.promised {
            assert_eq!(insist(&self.database, request).await, *receipt, "a promise was broken");
        }
        let stats = self.database.stats().await.unwrap();
        assert_eq!(stats.ledger_count, self.promised.len() as u64, "nothing is there twice");
        assert_eq!(self.database.verify().await.unwrap(), []);
        self.database.close().await.unwrap();
    }
}

/// One at a time: a machine that is busy with others takes longer.
async fn alone() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_primary_that_is_killed_takes_nothing_acknowledged_along() {
    let _turn = alone().await;
    let Some(pair) = Pair::start().await else { return };
    let seed = SystemRandom.next_u64();
    println!("seed {seed}");
    let random = SeededRandom::new(seed);
    let mut gaps = Vec::new();
    for round in 0..FAILOVERS {
        if round > 0 {
            pair.renew().await;
        }
        let mut game = Game::begin(pair.options(&[First, Second])).await;
        game.wait_for(1 + random.next_u64() % (BEFORE * PLAYERS as u64)).await;
        pair.kill(First);
        let killed = Instant::now();
        pair.promote(Second);
        let promoted = Instant::now();
        let gap = game.heal(promoted).await;
        println!("round {round}: promoted after {:?}, everybody writes {gap:?} later", promoted - killed);
        assert!(gap < HEALED, "{gap:?}");
        gaps.push(gap);
        game.end().await;
    }
    gaps.sort();
    println!("{FAILOVERS} rounds: median {:?}, worst {:?}", gaps[gaps.len() / 2], gaps[gaps.len() - 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_primary_that_freezes_is_left_and_not_believed_when_it_wakes() {
    let _turn = alone().await;
    let Some(pair) = Pair::start().await else { return };
    let mut game = Game::begin(pair.options(&[First, Second])).await;
    game.wait_for(50).await;
    pair.freeze(First);
    pair.promote(Second);
    let gap = game.heal(Instant::now()).await;
    println!("frozen: everybody writes {gap:?} after the promotion");
    assert!(gap < HEALED, "{gap:?}");
    pair.thaw(First);
    // the old primary takes itself for one; it is named first, and still not followed
    assert_eq!(pair.number(First, "SELECT pg_is_in_recovery()::int::bigint").await, 0);
    game.wait_for(20).await;
    let fresh = open(pair.options(&[First, Second])).await;
    fresh.users().get_or_create(id(100)).await.unwrap();
    assert_eq!(pair.number(Second, "SELECT count(*) FROM users WHERE user_id = 100").await, 1);
    // whoever knows only the old one is promised nothing: its standby does not answer
    let mut lost = pair.options(&[First]);
    lost.busy_timeout = Duration::from_millis(500);
    let lost = open(lost).await;
    let request = award(1);
    let promised = tokio::time::timeout(Duration::from_secs(3), lost.play().award(request)).await;
    assert!(!matches!(promised, Ok(Ok(_))), "a former primary has promised something");
    game.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_primary_that_wakes_in_time_goes_on() {
    let _turn = alone().await;
    let Some(pair) = Pair::start().await else { return };
    let mut options = pair.options(&[First, Second]);
    options.busy_timeout = Duration::from_secs(2);
    let mut game = Game::begin(options).await;
    game.wait_for(50).await;
    pair.freeze(First);
    // a question to a host that is frozen has an end, and says so
    let request = award(1);
    let error = game.database.play().award(request.clone()).await.unwrap_err();
    assert!(is_for_later(&error), "{error}");
    let error = game.database.users().get(id(1)).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Unreachable { .. }) && error.to_string().contains("does not answer"),
        "{error}"
    );
    pair.thaw(First);
    let gap = game.heal(Instant::now()).await;
    println!("thawed: everybody writes {gap:?} later");
    assert!(gap < HEALED, "{gap:?}");
    game.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_hosts_is_searched_for_the_primary() {
    let _turn = alone().await;
    let Some(pair) = Pair::start().await else { return };
    let database = open(pair.options(&[Second, First])).await;
    database.users().get_or_create(id(1)).await.unwrap();
    assert_eq!(insist(&database, &award(1)).await.seq, 1);
    // where nobody writes
    let error = try_open(pair.options(&[Second])).await.err().unwrap();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("standby"), "{error}");
    pair.kill(First);
    let mut impatient = pair.options(&[First, Second]);
    impatient.busy_timeout = Duration::from_millis(200);
    let error = try_open(impatient).await.err().unwrap();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("refused") && error.to_string().contains("a standby"), "{error}");
    // one that is away is no hindrance
    pair.promote(Second);
    let other = open(pair.options(&[First, Second])).await;
    assert_eq!(other.users().get(id(1)).await.unwrap().total_points.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_a_moment_old_is_read_from_a_replica_while_there_is_one() {
    let _turn = alone().await;
    let Some(pair) = Pair::start().await else { return };
    let mut options = pair.options(&[First, Second]);
    options.read_url = Some(pair.options(&[Second]).url);
    let database = open(options).await;
    database.users().get_or_create(id(1)).await.unwrap();
    // what the replica has is not shown by it any more
    pair.number(Second, "SELECT pg_wal_replay_pause() IS NULL").await;
    let until = Instant::now() + HEALED;
    while pair.number(Second, "SELECT (pg_get_wal_replay_pause_state() = 'paused')::int::bigint").await == 0 {
        assert!(Instant::now() < until);
    }
    insist(&database, &award(1)).await;
    let board = async || database.rankings().page(Board::AllTime, None, 10).await.unwrap().entries.len();
    assert_eq!(board().await, 0, "the board of the replica");
    assert_eq!(database.stats().await.unwrap().ledger_count, 0, "the statistics of the replica");
    assert_eq!(database.users().get(id(1)).await.unwrap().total_points.get(), 1, "one's own writes");
    let standing = database.rankings().standing(Board::AllTime, id(1)).await.unwrap();
    assert_eq!(standing.map(|standing| standing.rank), Some(1), "one's own rank");
    pair.kill(Second);
    assert_eq!(board().await, 1, "the board of the primary");
    assert_eq!(database.stats().await.unwrap().ledger_count, 1);
    // one that froze holds nobody up for long
    pair.renew().await;
    let database = {
        let mut options = pair.options(&[First, Second]);
        options.read_url = Some(pair.options(&[Second]).url);
        open(options).await
    };
    assert_eq!(database.rankings().page(Board::AllTime, None, 10).await.unwrap().entries.len(), 0);
    pair.freeze(Second);
    let asked = Instant::now();
    assert_eq!(database.rankings().page(Board::AllTime, None, 10).await.unwrap().entries.len(), 0);
    assert!(asked.elapsed() < HEALED, "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_migrate_at_once_do_no_harm() {
    let _turn = alone().await;
    let Some(pair) = Pair::start().await else { return };
    let options = pair.options(&[First, Second]);
    let newest = schema::status(&options).await.unwrap().applied;
    for _ in 0..3 {
        schema::down(&options, 3).await.unwrap();
        let migrating: JoinSet<_> = (0..4)
            .map(|_| {
                let options = options.clone();
                async move { schema::up(&options, None).await }
            })
            .collect();
        let mut applied = 0;
        for result in migrating.join_all().await {
            match result {
                Ok(steps) => applied += steps.len(),
                Err(error) => assert!(matches!(error, StoreError::Busy { .. }), "{error}"),
            }
        }
        assert_eq!(applied, 3, "each step once");
        assert_eq!(schema::status(&options).await.unwrap().applied, newest);
    }
}
