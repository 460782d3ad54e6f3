//! How a challenge stands for a player.

use serde::Serialize;
use trivia_domain::StoreResult;
use trivia_domain::model::{Badge, ChallengeAttempt, ChallengeId, UserId};
use trivia_domain::ports::Store;

use super::Args;
use crate::error::Failure;
use crate::output::Output;

/// How a challenge stands for a player.
#[derive(Debug, Serialize)]
pub(super) struct Progress {
    #[serde(flatten)]
    id: ChallengeId,
    size: u32,
    answered: usize,
    correct: usize,
    /// Points for the answers, without bonuses.
    points: i64,
    /// Every question was answered.
    done: bool,
    badge: Option<Badge>,
    /// It was done in an earlier game.
    done_before: bool,
}

/// The challenge that is wanted, when the player has done it before.
pub(super) async fn done_before(store: &dyn Store, args: &Args) -> StoreResult<Option<Progress>> {
    let Some(kind) = args.challenge else { return Ok(None) };
    let present = store.challenges().present(kind).await?;
    let attempt = store.challenges().attempt(args.user, present).await?;
    let done = attempt.filter(|attempt| attempt.completed_at.is_some());
    Ok(done.map(|attempt| Progress { done_before: true, ..of(&attempt) }))
}

/// How a challenge stands after a game.
pub(super) async fn progress(store: &dyn Store, user: UserId, id: ChallengeId) -> StoreResult<Progress> {
    let attempt = store.challenges().attempt(user, id).await?;
    Ok(of(&attempt.unwrap_or_else(|| ChallengeAttempt::new(user, id, id.kind.size()))))
}

fn of(attempt: &ChallengeAttempt) -> Progress {
    Progress {
        id: attempt.challenge,
        size: attempt.size,
        answered: attempt.answers.len(),
        correct: attempt.correct(),
        points: attempt.answers.iter().map(|answer| answer.points.get()).sum(),
        done: attempt.completed_at.is_some(),
        badge: attempt.badge(),
        done_before: false,
    }
}

impl Progress {
    /// For people.
    pub(super) fn tell(&self, output: &mut Output) -> Result<(), Failure> {
        let Self { id: ChallengeId { kind, starts_on }, size, answered, correct, points, .. } = self;
        let challenge = format!("The {kind} challenge of {starts_on}");
        if !self.done {
            let rest = "play it again in time to answer the rest";
            return writeln!(output, "{challenge} is not done: {answered} of {size} answered; {rest}.");
        }
        let done = if self.done_before { "was done already" } else { "is done" };
        writeln!(output, "{challenge} {done}: {correct} of {size} right, {points} points.")?;
        match self.badge {
            Some(badge) => writeln!(output, "Badge: {}", output.style().strong(badge)),
            None => Ok(()),
        }
    }
}
