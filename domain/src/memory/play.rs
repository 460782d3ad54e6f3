use async_trait::async_trait;

use super::Tables;
use crate::error::StoreResult;
use crate::model::{GameSession, Receipt, SessionId};
use crate::play::{Command, Outcome};
use crate::ports::{AnswerSubmission, AwardRequest, GrantRequest, PlayPort, ResetRequest, StartSession};

impl Tables {
    /// Judges a move and keeps what follows from it, at one instant that is read under the lock:
    /// so the order of the ledger is the order of its times.
    fn play_move(&self, command: &Command) -> StoreResult<Outcome> {
        let mut state = self.write();
        let outcome = state.play.apply(command, self.clock.now(), &self.catalog)?;
        let changes = state.play.take_changes();
        state.questions.count(&changes.counters);
        Ok(outcome)
    }
}

#[async_trait]
impl PlayPort for Tables {
    async fn start_session(&self, request: StartSession) -> StoreResult<GameSession> {
        let id = SessionId::generate(self.clock.now(), self.random.as_ref());
        self.play_move(&Command::Start { id, request })?.session()
    }

    async fn advance(&self, session: SessionId, from: usize) -> StoreResult<GameSession> {
        self.play_move(&Command::Advance { session, from })?.session()
    }

    async fn finish(&self, session: SessionId) -> StoreResult<GameSession> {
        self.play_move(&Command::Finish { session })?.session()
    }

    async fn expire(&self, session: SessionId) -> StoreResult<GameSession> {
        self.play_move(&Command::Expire { session })?.session()
    }

    async fn submit_answer(&self, submission: AnswerSubmission) -> StoreResult<Receipt> {
        self.play_move(&Command::Answer(submission))?.receipt()
    }

    async fn award(&self, request: AwardRequest) -> StoreResult<Receipt> {
        self.play_move(&Command::Award(request))?.receipt()
    }

    async fn grant(&self, request: GrantRequest) -> StoreResult<Receipt> {
        self.play_move(&Command::Grant(request))?.receipt()
    }

    async fn reset(&self, request: ResetRequest) -> StoreResult<Receipt> {
        self.play_move(&Command::Reset(request))?.receipt()
    }
}
