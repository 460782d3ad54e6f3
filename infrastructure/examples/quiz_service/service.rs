//! A small quiz service. It knows the ports of the domain and no database.

use std::sync::Arc;

use trivia_domain::model::{ChannelId, GameSession, IdempotencyKey, Question, TimeLimit, UserId};
use trivia_domain::ports::{AnswerSubmission, Clock, PickRequest, QuestionFilter, RandomSource, StartSession, Store};
use trivia_domain::{Refusal, StoreError, StoreResult};

/// What the service says to a player.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The answer counted.
    Counted { correct: bool, points: i64, total: i64 },
    /// It was no answer to this question: ask again.
    NotUnderstood,
    /// The player had answered before.
    TooLate(Refusal),
}

/// Games in channels.
pub(crate) struct QuizService {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
}

impl QuizService {
    pub(crate) fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, random: Arc<dyn RandomSource>) -> Self {
        Self { store, clock, random }
    }

    /// Starts a game with `count` questions in a channel and returns it with its first question.
    pub(crate) async fn start(
        &self,
        channel: ChannelId,
        host: UserId,
        count: u32,
    ) -> StoreResult<(GameSession, Question)> {
        self.store.users().get_or_create(host).await?;
        let request = PickRequest {
            filter: QuestionFilter::default(),
            count,
            exclude: vec![],
            seed: self.random.next_u64(),
            scope: None,
        };
        let questions = self.store.questions().pick(&request).await?;
        let session = StartSession {
            channel_id: channel,
            host,
            questions: questions.iter().map(|question| question.id).collect(),
            time_limit: TimeLimit::default(),
        };
        let session = self.store.play().start_session(session).await?;
        let first = questions.into_iter().next().ok_or_else(|| StoreError::invalid("count", "it is zero"))?;
        Ok((session, first))
    }

    /// Handles what a player wrote about the open question.
    pub(crate) async fn answer(
        &self,
        session: &GameSession,
        question: &Question,
        user: UserId,
        text: &str,
    ) -> StoreResult<Reply> {
        let Some(given) = question.content.read(text) else { return Ok(Reply::NotUnderstood) };
        self.store.users().get_or_create(user).await?;
        let submission = AnswerSubmission {
            key: IdempotencyKey::generate(self.clock.now(), &*self.random),
            user_id: user,
            session_id: session.id,
            question_id: question.id,
            given,
        };
        match self.store.play().submit_answer(submission).await {
            Ok(receipt) => Ok(Reply::Counted {
                correct: receipt.correct == Some(true),
                points: receipt.points.get(),
                total: receipt.total_points.get(),
            }),
            Err(StoreError::Refused(refusal)) => Ok(Reply::TooLate(refusal)),
            Err(other) => Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use trivia_domain::mock::MockUnitOfWork;
    use trivia_domain::model::{Points, QuestionId, Receipt, SessionId, SessionQuestion, SessionStatus, UserProfile};
    use trivia_domain::ports::{MockClock, MockRandomSource};

    use super::*;

    fn question() -> Question {
        let content = r#"{"kind":"fill_blank","category":"Nature","difficulty":"easy",
            "question":"What do bees make?","answer":"honey"}"#;
        Question {
            id: QuestionId::new(1).unwrap(),
            version: 1,
            content: serde_json::from_str(content).unwrap(),
            times_asked: 0,
            times_correct: 0,
            created_at: DateTime::UNIX_EPOCH,
            retired_at: None,
        }
    }

    fn session() -> GameSession {
        GameSession {
            id: SessionId::new(uuid::Uuid::nil()),
            channel_id: ChannelId::new(1).unwrap(),
            host: Some(UserId::new(7).unwrap()),
            challenge: None,
            status: SessionStatus::Live,
            time_limit: TimeLimit::default(),
            questions: vec![SessionQuestion { question_id: question().id, version: 1, opened_at: None }],
            position: 0,
            started_at: DateTime::UNIX_EPOCH,
            ended_at: None,
        }
    }

    fn service(store: MockUnitOfWork) -> QuizService {
        let (mut clock, mut random) = (MockClock::new(), MockRandomSource::new());
        clock.expect_now().return_const(DateTime::UNIX_EPOCH);
        random.expect_next_u64().return_const(1_u64);
        QuizService::new(Arc::new(store), Arc::new(clock), Arc::new(random))
    }

    #[tokio::test]
    async fn a_right_answer_is_counted() {
        let mut store = MockUnitOfWork::new();
        store.users.expect_get_or_create().returning(|id| Ok(UserProfile::new(id, DateTime::UNIX_EPOCH)));
        store.play.expect_submit_answer().returning(|submission| {
            Ok(Receipt {
                user_id: submission.user_id,
                key: submission.key,
                seq: 1,
                at: DateTime::UNIX_EPOCH,
                correct: Some(true),
                points: Points::small(10),
                total_points: Points::small(30),
                streak: 1,
                unlocked: vec![],
            })
        });
        let reply = service(store).answer(&session(), &question(), UserId::new(7).unwrap(), "Honey!").await.unwrap();
        assert_eq!(reply, Reply::Counted { correct: true, points: 10, total: 30 });
    }

    #[tokio::test]
    async fn a_second_answer_is_refused_politely() {
        let mut store = MockUnitOfWork::new();
        store.users.expect_get_or_create().returning(|id| Ok(UserProfile::new(id, DateTime::UNIX_EPOCH)));
        store.play.expect_submit_answer().returning(|_| Err(Refusal::AlreadyAnswered.into()));
        let reply = service(store).answer(&session(), &question(), UserId::new(7).unwrap(), "honey").await.unwrap();
        assert_eq!(reply, Reply::TooLate(Refusal::AlreadyAnswered));
    }

    #[tokio::test]
    async fn silence_is_no_answer() {
        // no expectation is set: any call to the store would fail the test
        let reply = service(MockUnitOfWork::new()).answer(&session(), &question(), UserId::new(7).unwrap(), "  ").await;
        assert_eq!(reply.unwrap(), Reply::NotUnderstood);
    }
}
