use async_trait::async_trait;

use super::{State, Tables};
use crate::error::{StoreError, StoreResult};
use crate::model::{Board, ChallengeKind, ChallengeQuestion, Closing, GameSession, Question, Receipt, SessionId};
use crate::play::{Command, Outcome, Touched, challenge_picks, question_counts};
use crate::ports::{
    AnswerSubmission, AwardRequest, ClosePeriod, GrantRequest, PlayPort, ResetRequest, StartChallenge, StartSession,
};

impl Tables {
    /// Judges a move and keeps what follows from it, at one instant that is read under the lock:
    /// so the order of the ledger is the order of its times.
    fn play_move(&self, command: &Command) -> StoreResult<Outcome> {
        let mut state = self.write();
        let at = self.clock.now();
        let mut touched = Touched::default();
        touched.add(command, at, &state.rules.calendar);
        state.prepare(&touched)?;
        let State { play, rules, questions, .. } = &mut *state;
        let outcome = play.apply(command, at, rules)?;
        questions.count(&question_counts(play.take_changes().entries.iter().map(|(entry, _)| entry)));
        Ok(outcome)
    }
}

impl State {
    /// Looks up what a move needs that is not kept ready: what a new challenge would ask, and how many
    /// players a period has.
    fn prepare(&mut self, touched: &Touched) -> StoreResult<()> {
        for (id, seed) in &touched.challenges {
            if self.play.challenges.contains_key(id) {
                continue;
            }
            let drawn = match self.draw(id.kind, *seed) {
                Ok(questions) => Ok(questions),
                Err(StoreError::Refused(refusal)) => Err(refusal),
                Err(error) => return Err(error),
            };
            self.play.drawn.insert(*id, drawn);
        }
        for (period, start) in &touched.periods {
            let players = self.board(Board::Period { period: *period, start: *start }).len() as u64;
            self.play.ranked.insert((*period, *start), players);
        }
        Ok(())
    }

    fn draw(&self, kind: ChallengeKind, seed: u64) -> StoreResult<Vec<ChallengeQuestion>> {
        let mut drawn = Vec::new();
        let language = self.rules.challenge_language.as_ref();
        for pick in challenge_picks(kind, language, &self.questions.groups(), seed)? {
            let asked = |question: Question| ChallengeQuestion { question_id: question.id, version: question.version };
            drawn.extend(self.pick(&pick)?.into_iter().map(asked));
        }
        Ok(drawn)
    }
}

#[async_trait]
impl PlayPort for Tables {
    async fn start_session(&self, request: StartSession) -> StoreResult<GameSession> {
        let id = SessionId::generate(self.clock.now(), self.random.as_ref());
        self.play_move(&Command::Start { id, request })?.session()
    }

    async fn start_challenge(&self, request: StartChallenge) -> StoreResult<GameSession> {
        let id = SessionId::generate(self.clock.now(), self.random.as_ref());
        let seed = self.random.next_u64();
        self.play_move(&Command::StartChallenge { id, seed, request })?.session()
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

    async fn close_period(&self, request: ClosePeriod) -> StoreResult<Closing> {
        self.play_move(&Command::Close(request))?.closing()
    }
}
