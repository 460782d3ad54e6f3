use chrono::{DateTime, SubsecRound, Utc};
use trivia_domain::ports::Clock;

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    fn now(&self) -> DateTime<Utc> {
        // whole microseconds: what both engines store
        Utc::now().trunc_subsecs(6)
    }
}
