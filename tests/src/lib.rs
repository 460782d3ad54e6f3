//! What every store must do, as tests: see [`contract`].
//!
//! A backend joins by two steps in a file of `tests/tests/`: implement [`contract::Backend`] and call
//! [`store_contract_tests!`](crate::store_contract_tests) with it.

pub mod contract;
