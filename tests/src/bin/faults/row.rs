//! What a row of the matrix is.

use super::check::Harm;
use super::lab::Lab;

/// How many cases there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    /// So many, and no more.
    Points(u64),
    /// As many as one likes: chance decides.
    Endless,
}

/// One case that was run.
pub(crate) struct Ran {
    /// How many of what the row counts; 0 when the fault was not reached.
    pub(crate) cases: u64,
    pub(crate) harms: Vec<Harm>,
    /// In words, for whoever has to find out.
    pub(crate) what: String,
}

/// Faults of one kind.
pub(crate) trait Row {
    /// Looks for the means and counts the cases; says why it cannot be run.
    fn prepare(&mut self, lab: &Lab) -> Result<Total, String>;

    /// Runs the case with this number, from 0. The same number and seed is the same case.
    fn run(&mut self, lab: &Lab, case: u64) -> Ran;
}
