//! Points, tallies and accuracy.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Refusal, StoreError, StoreResult};

/// Points of a player or a question: 0 to 2^63-1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Points(i64);

impl Points {
    /// No points.
    pub const ZERO: Self = Self(0);

    /// Builds an amount.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when it is negative.
    pub fn new(value: i64) -> StoreResult<Self> {
        if value < 0 {
            return Err(StoreError::invalid("points", format!("{value} is negative")));
        }
        Ok(Self(value))
    }

    /// An amount that is known to be small when the program is built.
    #[must_use]
    pub const fn small(value: u32) -> Self {
        Self(value as i64)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The sum.
    ///
    /// # Errors
    /// [`Refusal::Overflow`] when it does not fit; points never wrap.
    pub fn plus(self, other: Self) -> StoreResult<Self> {
        self.0.checked_add(other.0).map(Self).ok_or(Refusal::Overflow.into())
    }
}

impl TryFrom<i64> for Points {
    type Error = StoreError;
    fn try_from(value: i64) -> StoreResult<Self> {
        Self::new(value)
    }
}

impl From<Points> for i64 {
    fn from(points: Points) -> Self {
        points.0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts of answers and the points that they gave, for one slice of a player's history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Answers given.
    pub answered: u64,
    /// Right ones among them.
    pub correct: u64,
    /// Points from them, without bonuses.
    pub points: Points,
}

impl Tally {
    /// Adds one answer.
    ///
    /// # Errors
    /// [`Refusal::Overflow`] when the points do not fit.
    pub fn add(&mut self, correct: bool, points: Points) -> StoreResult<()> {
        self.points = self.points.plus(points)?;
        self.answered += 1;
        self.correct += u64::from(correct);
        Ok(())
    }

    /// Share of right answers.
    #[must_use]
    pub fn accuracy(&self) -> Accuracy {
        Accuracy::of(self.correct, self.answered)
    }
}

/// Share of right answers in percent, 0.0 when there is none.
///
/// ```
/// use trivia_domain::model::Accuracy;
/// assert_eq!(Accuracy::of(1, 3).to_string(), "33.3 %");
/// assert_eq!(Accuracy::of(0, 0).percent(), 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Accuracy(f64);

impl Accuracy {
    /// `correct` of `answered` in percent.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
    pub fn of(correct: u64, answered: u64) -> Self {
        if answered == 0 { Self(0.0) } else { Self(correct as f64 * 100.0 / answered as f64) }
    }

    /// Percent, 0 to 100.
    #[must_use]
    pub const fn percent(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Accuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} %", self.0)
    }
}
