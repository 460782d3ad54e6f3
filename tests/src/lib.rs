//! What every store must do, as tests: see [`contract`].
//!
//! A backend joins by two steps in a file of `tests/tests/`: implement [`contract::Backend`] and call
//! [`store_contract_tests!`](crate::store_contract_tests) with it.

pub mod contract;
#[cfg(feature = "postgres")]
pub mod pair;
#[cfg(feature = "postgres")]
pub mod postgres;

use std::path::Path;

use trivia_domain::memory::{ManualClock, SeededRandom};
use trivia_domain::ports::MaintenancePort;
use trivia_infrastructure::{Database, DatabaseOptions, DatabaseUrl};

/// L3 after a test: every derived number of a database follows from its ledger. A file that the test has
/// broken, removed or locked on purpose is passed over.
///
/// # Panics
/// When a number differs.
pub fn assert_verified(database: &Path) {
    let options = DatabaseOptions::new(DatabaseUrl::of_file(database));
    let clock = std::sync::Arc::new(ManualClock::new(chrono::DateTime::UNIX_EPOCH));
    let verify = async move {
        let database = Database::open(options, clock, std::sync::Arc::new(SeededRandom::new(0))).await.ok()?;
        let drifts = database.verify().await.ok()?;
        database.close().await.ok()?;
        Some(drifts)
    };
    // a thread of its own: tests end inside of a runtime
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(verify);
    let drifts = std::thread::scope(|scope| scope.spawn(run).join().unwrap());
    assert_eq!(drifts.unwrap_or_default(), [], "L3: a number does not follow from the ledger");
}
