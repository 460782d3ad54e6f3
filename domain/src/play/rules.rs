//! Scoring.

use crate::error::{Refusal, StoreResult};
use crate::model::{ChallengeKind, Points};

/// Version of the scoring rule; it is written into each answer.
pub const RULE_VERSION: u16 = 1;

/// Time after which the time penalty stays at its largest, one half.
const FULL_PENALTY_US: u64 = 25_000_000;

/// Points for an answer.
///
/// Wrong answers give 0. In a normal session the base shrinks by 10 % for each five seconds, at most
/// by half, rounded down, and never below 1 point. Challenges ignore time and multiply: the daily by
/// 2, the weekly by 3. (The original computed the same with floating point; this is exact.)
///
/// ```
/// use trivia_domain::model::{ChallengeKind, Points};
/// use trivia_domain::play::points_for;
/// let hard = Points::small(30);
/// assert_eq!(points_for(hard, true, 0, None)?.get(), 30);
/// assert_eq!(points_for(hard, true, 10_000_000, None)?.get(), 24);
/// assert_eq!(points_for(hard, true, 60_000_000, None)?.get(), 15);
/// assert_eq!(points_for(hard, true, 60_000_000, Some(ChallengeKind::Weekly))?.get(), 90);
/// assert_eq!(points_for(hard, false, 0, None)?.get(), 0);
/// # Ok::<(), trivia_domain::StoreError>(())
/// ```
///
/// # Errors
/// [`Refusal::Overflow`] when a multiplied value does not fit.
pub fn points_for(
    base: Points,
    correct: bool,
    elapsed_us: u64,
    challenge: Option<ChallengeKind>,
) -> StoreResult<Points> {
    if !correct {
        return Ok(Points::ZERO);
    }
    let factor = match challenge {
        None => {
            let kept = i128::from(2 * FULL_PENALTY_US - elapsed_us.min(FULL_PENALTY_US));
            let points = i128::from(base.get()) * kept / i128::from(2 * FULL_PENALTY_US);
            return i64::try_from(points.max(1)).map_err(|_| Refusal::Overflow.into()).and_then(Points::new);
        }
        Some(ChallengeKind::Daily) => 2,
        Some(ChallengeKind::Weekly) => 3,
    };
    base.get().checked_mul(factor).ok_or_else(|| Refusal::Overflow.into()).and_then(Points::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(base: u32, seconds: f64) -> i64 {
        let elapsed_us = (seconds * 1e6) as u64;
        points_for(Points::small(base), true, elapsed_us, None).unwrap().get()
    }

    #[test]
    fn l7_points_follow_the_formula_of_the_original() {
        for base in [1, 10, 20, 30, 100] {
            for tenths in 0..400 {
                let seconds = f64::from(tenths) / 10.0;
                let expected = (f64::from(base) * (1.0 - (seconds / 5.0 * 0.1).min(0.5)) + 1e-9).floor().max(1.0);
                assert_eq!(normal(base, seconds), expected as i64, "{base} points after {seconds} s");
            }
        }
    }

    #[test]
    fn l7_challenges_ignore_time_and_multiply() {
        for elapsed in [0, 5_000_000, u64::MAX] {
            let points = |kind| points_for(Points::small(20), true, elapsed, Some(kind)).unwrap().get();
            assert_eq!(points(ChallengeKind::Daily), 40);
            assert_eq!(points(ChallengeKind::Weekly), 60);
        }
    }

    #[test]
    fn l6_points_near_the_limit_are_refused_not_wrapped() {
        let most = Points::new(i64::MAX).unwrap();
        assert_eq!(points_for(most, true, 0, None).unwrap(), most);
        assert!(points_for(most, true, 0, Some(ChallengeKind::Daily)).is_err());
    }
}
