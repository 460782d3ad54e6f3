//! What is kept in memory is never anything but what is stored: every answer from memory is compared with
//! the one that a transaction reads from the file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;
use trivia_domain::StoreResult;
use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::model::{
    Board, Calendar, IdempotencyKey, LeaderboardEntry, Period, Points, Standing, UserId, UserProfile, Weekday,
};
use trivia_domain::ports::{
    AwardRequest, Clock, MaintenancePort, Repositories, ResetRequest, Store, UnitOfWork, Work, execute,
};
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl, schema};

const PLAYERS: i64 = 12;

struct Home {
    dir: TempDir,
    clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
}

impl Home {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new("2026-03-04T12:00:00Z".parse().unwrap()));
        let home = Self { dir: tempfile::tempdir().unwrap(), clock, random: Arc::new(SeededRandom::new(5)) };
        schema::up(&home.options(), None).await.unwrap();
        home
    }

    fn options(&self) -> DatabaseOptions {
        DatabaseOptions::new(DatabaseUrl::of_file(self.dir.path().join("trivia.db")))
    }

    /// A handle with connections and a memory of its own, as another process has.
    async fn open(&self) -> Database {
        Database::open(self.options(), self.clock.clone(), self.random.clone()).await.unwrap()
    }

    fn key(&self) -> IdempotencyKey {
        IdempotencyKey::generate(self.clock.now(), self.random.as_ref())
    }

    async fn award(&self, store: &dyn Repositories, user: i64, points: i64) {
        let (key, user_id, points) = (self.key(), id(user), Points::new(points).unwrap());
        let reason = "read model".to_owned();
        store.play().award(AwardRequest { key, user_id, points, reason }).await.unwrap();
    }

    async fn boards(&self, database: &Database) -> Vec<Board> {
        let calendar = database.rules().rules().await.unwrap().calendar;
        let day = calendar.day(self.clock.now());
        let mut boards: Vec<_> = Period::ALL.iter().map(|period| calendar.board(*period, day)).collect();
        boards.push(Board::AllTime);
        boards
    }
}

fn id(user: i64) -> UserId {
    UserId::new(user).unwrap()
}

/// What there is to know about a board and about everybody.
#[derive(Debug, PartialEq)]
struct View {
    entries: Vec<LeaderboardEntry>,
    total: u64,
    pages: Vec<LeaderboardEntry>,
    standings: Vec<Option<Standing>>,
    around: Vec<Vec<LeaderboardEntry>>,
    profiles: Vec<Option<UserProfile>>,
}

async fn view(repositories: &dyn Repositories, board: Board) -> StoreResult<View> {
    let rankings = repositories.rankings();
    let page = rankings.page(board, None, 100).await?;
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = rankings.page(board, after, 3).await?;
        pages.extend(page.entries);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let (mut standings, mut around, mut profiles) = (Vec::new(), Vec::new(), Vec::new());
    for user in (0..=PLAYERS).map(id) {
        standings.push(rankings.standing(board, user).await?);
        around.push(rankings.around(board, user, 2).await?);
        profiles.push(repositories.users().find(user).await?);
    }
    Ok(View { entries: page.entries, total: page.total, pages, standings, around, profiles })
}

/// Reads in a transaction, which asks the file.
struct Look(Board);

#[async_trait]
impl Work for Look {
    type Output = View;

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<View> {
        view(uow, self.0).await
    }
}

async fn compare(database: &Database, boards: &[Board]) {
    for board in boards {
        let stored = execute(database, &Look(*board)).await.unwrap();
        // asked twice, a board moves into memory; from then on it must be right there
        for _ in 0..3 {
            assert_eq!(view(database, *board).await.unwrap(), stored, "{board}");
        }
    }
}

/// Several awards in one transaction.
struct Gifts<'a>(&'a Home, Vec<(i64, i64)>);

#[async_trait]
impl Work for Gifts<'_> {
    type Output = ();

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<()> {
        for (user, points) in &self.1 {
            uow.users().get_or_create(id(*user)).await?;
            self.0.award(uow, *user, *points).await;
        }
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Step {
    Award { by: usize, user: i64, points: i64 },
    Gifts { by: usize, gifts: Vec<(i64, i64)> },
    Reset { by: usize, user: i64 },
    Zone { by: usize, user: i64 },
    Erase { user: i64 },
    Merge { from: i64, into: i64 },
    Week { start: Weekday },
    Wait { hours: i64 },
}

fn step() -> impl Strategy<Value = Step> {
    // a tie is likely, and the second handle is somebody else
    let (by, user, points) = (0..2_usize, 0..PLAYERS, 0..4_i64);
    prop_oneof![
        12 => (by.clone(), user.clone(), points.clone()).prop_map(|(by, user, points)| Step::Award { by, user, points }),
        3 => (by.clone(), prop::collection::vec((user.clone(), points), 1..5))
            .prop_map(|(by, gifts)| Step::Gifts { by, gifts }),
        2 => (by.clone(), user.clone()).prop_map(|(by, user)| Step::Reset { by, user }),
        1 => (by, user.clone()).prop_map(|(by, user)| Step::Zone { by, user }),
        1 => user.clone().prop_map(|user| Step::Erase { user }),
        1 => (user.clone(), user).prop_map(|(from, into)| Step::Merge { from, into }),
        1 => prop::sample::select(Weekday::ALL.to_vec()).prop_map(|start| Step::Week { start }),
        2 => (0..40_i64).prop_map(|hours| Step::Wait { hours }),
    ]
}

async fn take(home: &Home, handles: &[Database; 2], step: Step) {
    let meet = async |by: usize, user: i64| handles[by].users().get_or_create(id(user)).await.unwrap();
    match step {
        Step::Award { by, user, points } => {
            meet(by, user).await;
            home.award(&handles[by], user, points).await;
        }
        Step::Gifts { by, gifts } => execute(&handles[by], &Gifts(home, gifts)).await.unwrap(),
        Step::Reset { by, user } => {
            meet(by, user).await;
            handles[by].play().reset(ResetRequest { key: home.key(), user_id: id(user) }).await.unwrap();
        }
        Step::Zone { by, user } => {
            meet(by, user).await;
            handles[by].users().set_time_zone(id(user), "Asia/Tokyo".parse().unwrap()).await.unwrap();
        }
        Step::Erase { user } => {
            meet(0, user).await;
            handles[0].people().erase(id(user)).await.unwrap();
        }
        Step::Merge { from, into } if from != into => {
            meet(0, from).await;
            meet(0, into).await;
            handles[0].people().merge(id(from), id(into)).await.unwrap();
        }
        Step::Merge { .. } => {}
        Step::Week { start } => {
            let calendar = Calendar { week_start: start, ..Calendar::default() };
            handles[1].rules().set_calendar(calendar).await.unwrap();
        }
        Step::Wait { hours } => home.clock.advance(TimeDelta::hours(hours)),
    }
}

#[test]
fn l13_memory_and_file_agree_whoever_writes() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 40);
    let ran = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let home = Home::new().await;
            let handles = [home.open().await, home.open().await];
            for (number, step) in steps.into_iter().enumerate() {
                take(&home, &handles, step).await;
                if number % 5 == 4 {
                    let boards = home.boards(&handles[0]).await;
                    for database in &handles {
                        compare(database, &boards).await;
                    }
                }
            }
            for database in &handles {
                assert_eq!(database.verify().await.unwrap(), []);
                database.close().await.unwrap();
            }
        });
        Ok(())
    });
    ran.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_board_is_right_while_it_moves_into_memory() {
    let home = Home::new().await;
    let database = home.open().await;
    for user in 0..PLAYERS {
        database.users().get_or_create(id(user)).await.unwrap();
        home.award(&database, user, 1 + user).await;
    }
    // each reading begins before, while or after the board is read; each must see the award before it
    for round in 0..200 {
        let user = round % PLAYERS;
        home.award(&database, user, 3).await;
        let points = database.users().get(id(user)).await.unwrap().total_points;
        let standing = database.rankings().standing(Board::AllTime, id(user)).await.unwrap().unwrap();
        assert_eq!(standing.points, points, "round {round}");
        let page = database.rankings().page(Board::AllTime, None, 100).await.unwrap();
        assert_eq!(page.entries.iter().find(|entry| entry.user_id == id(user)).unwrap().points, points);
    }
    database.close().await.unwrap();
    assert!(database.users().find(id(0)).await.is_err(), "what is closed does not answer from memory");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_writes_is_seen_at_once() {
    let home = Home::new().await;
    let (here, there) = (home.open().await, home.open().await);
    here.users().get_or_create(id(1)).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut expected = 0;
    while expected < 300 {
        assert!(Instant::now() < deadline, "it is far too slow");
        home.award(&there, 1, 1).await;
        expected += 1;
        let profile = here.users().get(id(1)).await.unwrap();
        assert_eq!(profile.total_points.get(), expected);
        let standing = here.rankings().standing(Board::AllTime, id(1)).await.unwrap().unwrap();
        assert_eq!(standing.points.get(), expected);
    }
    here.close().await.unwrap();
    there.close().await.unwrap();
}

#[tokio::test(flavor = "current_thread")]
async fn a_loop_of_answers_from_memory_lets_others_run() {
    let home = Home::new().await;
    let database = home.open().await;
    database.users().get_or_create(id(1)).await.unwrap();
    let other = tokio::spawn(async {});
    let deadline = Instant::now() + Duration::from_secs(30);
    while !other.is_finished() {
        assert!(Instant::now() < deadline, "the other task has to wait for ever");
        database.users().get(id(1)).await.unwrap();
    }
    database.close().await.unwrap();
}
