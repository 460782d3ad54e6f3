use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use trivia_domain::model::{
    Challenge, ChallengeAttempt, ChallengeId, ChallengeKind, ChallengeQuestion, Language, UserId,
};
use trivia_domain::play::{WorkingSet, challenge_picks};
use trivia_domain::ports::ChallengeRepository;
use trivia_domain::{StoreError, StoreResult};

use super::{Repository, picking, questions, rows, rule_book};
use crate::entity::{challenge_attempts, challenge_questions, challenges};
use crate::error::During;
use crate::read_model::Whose;

#[async_trait]
impl ChallengeRepository for Repository {
    async fn present(&self, kind: ChallengeKind) -> StoreResult<ChallengeId> {
        let core = self.scope.core();
        let snapshot = self.scope.snapshot("reading the calendar").await?;
        let rules = rule_book::current(core, &*snapshot).await?;
        Ok(ChallengeId::at(kind, core.clock.now(), &rules.calendar))
    }

    async fn find(&self, id: ChallengeId) -> StoreResult<Option<Challenge>> {
        let snapshot = self.scope.snapshot("finding a challenge").await?;
        find(&*snapshot, id).await
    }

    async fn attempt(&self, user: UserId, id: ChallengeId) -> StoreResult<Option<ChallengeAttempt>> {
        self.scope.settle(Whose::Player(user)).await?;
        let reading = self.scope.read("reading an attempt at a challenge").await?;
        let key = (user.get(), id.kind.as_str().to_owned(), id.starts_on.date());
        let found = challenge_attempts::Entity::find_by_id(key).all(&reading.connection()).await;
        found.during("reading an attempt at a challenge")?.pop().map(rows::attempt).transpose()
    }

    async fn history(&self, user: UserId, kind: ChallengeKind, limit: u32) -> StoreResult<Vec<ChallengeAttempt>> {
        self.scope.settle(Whose::Player(user)).await?;
        let reading = self.scope.read("reading attempts at challenges").await?;
        challenge_attempts::Entity::find()
            .filter(challenge_attempts::Column::UserId.eq(user.get()))
            .filter(challenge_attempts::Column::Kind.eq(kind.as_str()))
            .order_by_desc(challenge_attempts::Column::StartsOn)
            .limit(u64::from(limit))
            .all(&reading.connection())
            .await
            .during("reading attempts at challenges")?
            .into_iter()
            .map(rows::attempt)
            .collect()
    }
}

async fn find(connection: &impl ConnectionTrait, id: ChallengeId) -> StoreResult<Option<Challenge>> {
    let key = (id.kind.as_str().to_owned(), id.starts_on.date());
    let found = challenges::Entity::find_by_id(key).all(connection).await.during("finding a challenge")?.pop();
    let Some(challenge) = found else { return Ok(None) };
    let asked = challenge_questions::Entity::find()
        .filter(challenge_questions::Column::Kind.eq(id.kind.as_str()))
        .filter(challenge_questions::Column::StartsOn.eq(id.starts_on.date()))
        .order_by_asc(challenge_questions::Column::Position)
        .all(connection)
        .await
        .during("finding the questions of a challenge")?;
    let questions = asked.into_iter().map(rows::challenge_question).collect::<StoreResult<_>>()?;
    Ok(Some(Challenge { id, questions, created_at: challenge.created_at }))
}

/// Loads challenges, and draws those that nobody has started.
pub(super) async fn load(
    connection: &impl ConnectionTrait,
    wanted: &BTreeMap<ChallengeId, u64>,
    language: Option<&Language>,
    set: &mut WorkingSet,
) -> StoreResult<()> {
    let mut drawn = HashMap::new();
    for (id, seed) in wanted {
        if let Some(challenge) = find(connection, *id).await? {
            set.challenges.insert(*id, challenge);
            continue;
        }
        let questions = match draw(connection, id.kind, language, *seed).await {
            Ok(questions) => Ok(questions),
            Err(StoreError::Refused(refusal)) => Err(refusal),
            Err(error) => return Err(error),
        };
        drawn.insert(*id, questions);
    }
    set.drawn = drawn;
    Ok(())
}

async fn draw(
    connection: &impl ConnectionTrait,
    kind: ChallengeKind,
    language: Option<&Language>,
    seed: u64,
) -> StoreResult<Vec<ChallengeQuestion>> {
    let groups = questions::Groups::load(connection).await?.sizes();
    let mut drawn = Vec::new();
    for pick in challenge_picks(kind, language, &groups, seed)? {
        let picked = picking::pick(connection, &pick).await?;
        drawn.extend(
            picked
                .into_iter()
                .map(|question| ChallengeQuestion { question_id: question.id, version: question.version }),
        );
    }
    Ok(drawn)
}

/// Stores challenges that are new; somebody else's for the same days would break the primary key.
pub(super) async fn store(connection: &impl ConnectionTrait, new: &[Challenge]) -> StoreResult<()> {
    for challenge in new {
        let ChallengeId { kind, starts_on } = challenge.id;
        let row = challenges::Model {
            kind: kind.as_str().to_owned(),
            starts_on: starts_on.date(),
            created_at: challenge.created_at,
        };
        challenges::Entity::insert(row.into_active_model())
            .exec_without_returning(connection)
            .await
            .during("storing a challenge")?;
        let asked = challenge.questions.iter().enumerate().map(|(position, asked)| {
            challenge_questions::Model {
                kind: kind.as_str().to_owned(),
                starts_on: starts_on.date(),
                position: rows::stored(position as u64),
                question_id: asked.question_id.get(),
                version: asked.version.into(),
            }
            .into_active_model()
        });
        challenge_questions::Entity::insert_many(asked)
            .exec_without_returning(connection)
            .await
            .during("storing the questions of a challenge")?;
    }
    Ok(())
}
