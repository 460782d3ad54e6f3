//! Law L5 on PostgreSQL: what was acknowledged outlives a crash of the server, what was not is settled by asking
//! again, and the stores go on by themselves. Alone in its file: the server of a test process is shared by its tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use trivia_domain::StoreError;
use trivia_domain::model::{IdempotencyKey, Points, Receipt, UserId};
use trivia_domain::ports::{AwardRequest, Clock, MaintenancePort, Repositories};
use trivia_infrastructure::{Database, SystemClock, SystemRandom};
use trivia_tests::postgres::Server;

/// How often the server crashes.
const CRASHES: usize = 5;
/// Acknowledgements before each crash.
const BETWEEN: usize = 40;
const PLAYERS: i64 = 8;

/// Asks until there is a receipt.
async fn insist(host: &Database, request: &AwardRequest) -> Receipt {
    loop {
        match host.play().award(request.clone()).await {
            Ok(receipt) => return receipt,
            Err(StoreError::OutcomeUnknown { .. } | StoreError::Unreachable { .. } | StoreError::Busy { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l5_a_crash_of_the_server_loses_nothing_acknowledged() {
    let Some(server) = Server::shared() else { return };
    let scratch = server.database().await;
    let open = async || Database::open(scratch.options(), Arc::new(SystemClock), Arc::new(SystemRandom)).await.unwrap();
    let hosts = [open().await, open().await];
    let done = Arc::new(AtomicBool::new(false));
    let (acknowledge, mut acknowledged) = mpsc::unbounded_channel();
    let mut players = JoinSet::new();
    for player in 0..PLAYERS {
        let user_id = UserId::new(player).unwrap();
        let (host, done) = (hosts[usize::try_from(player % 2).unwrap()].clone(), Arc::clone(&done));
        let acknowledge = acknowledge.clone();
        host.users().get_or_create(user_id).await.unwrap();
        players.spawn(async move {
            let mut seq = 0;
            while !done.load(Ordering::Relaxed) {
                let key = IdempotencyKey::generate(SystemClock.now(), &SystemRandom);
                let request = AwardRequest { key, user_id, points: Points::small(1), reason: "a test".to_owned() };
                let receipt = insist(&host, &request).await;
                seq += 1;
                assert_eq!(receipt.seq, seq, "each counts once");
                acknowledge.send((request, receipt)).unwrap();
            }
            seq
        });
    }
    let mut promised = Vec::new();
    for _ in 0..CRASHES {
        for _ in 0..BETWEEN {
            promised.push(acknowledged.recv().await.unwrap());
        }
        tokio::task::spawn_blocking(|| server.crash_and_restart()).await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    let facts: u64 = players.join_all().await.into_iter().sum();
    acknowledged.close();
    while let Some(more) = acknowledged.recv().await {
        promised.push(more);
    }
    assert_eq!(promised.len() as u64, facts);
    // the stores that were open all the time and a new one agree
    let fresh = open().await;
    for (at, (request, receipt)) in promised.iter().enumerate() {
        let host = [&hosts[0], &hosts[1], &fresh][at % 3];
        assert_eq!(insist(host, request).await, *receipt, "a promise was broken");
    }
    let stats = fresh.stats().await.unwrap();
    assert_eq!(stats.ledger_count, facts, "nothing is there twice");
    assert_eq!(fresh.verify().await.unwrap(), []);
}
