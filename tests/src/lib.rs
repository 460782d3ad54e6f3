//! What every store must do, as tests: see [`contract`].
//!
//! A backend joins by two steps in a file of `tests/tests/`: implement [`contract::Backend`] and call
//! [`store_contract_tests!`](crate::store_contract_tests) with it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "the whole crate is test code")]

pub mod contract;
