//! Everything derived about players, as the fold sees it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, SelectStatement};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IdenStatic, IntoActiveModel, Iterable,
    PrimaryKeyToColumn, QueryFilter, QueryResult, QueryTrait,
};
use trivia_domain::StoreResult;
use trivia_domain::model::{
    AchievementId, Category, ChallengeId, DayKey, Period, Tally, UserAchievement, UserId, UserProfile,
};
use trivia_domain::play::{Dimension, PlayerState};

use super::portions::portions;
use super::rows::{self, stored};
use super::score_counts::{self, ALL_TIME, Counts};
use super::together::{self, models};
use crate::entity::{challenge_attempts, rankings, user_achievements, user_tallies, users};
use crate::error::{During, bad_row};

const LOADING: &str = "loading players";

/// The stored names of a dimension.
pub(super) fn dimension_columns(dimension: &Dimension) -> (&'static str, &str) {
    match dimension {
        Dimension::Difficulty(difficulty) => ("difficulty", difficulty.as_str()),
        Dimension::Category(category) => ("category", category.as_str()),
    }
}

fn dimension(row: &user_tallies::Model) -> StoreResult<Dimension> {
    let bad = |error: trivia_domain::StoreError| bad_row("user_tallies", row.user_id, error);
    match row.dimension.as_str() {
        "difficulty" => row.name.parse().map(Dimension::Difficulty).map_err(bad),
        "category" => Category::new(&row.name).map(Dimension::Category).map_err(bad),
        other => Err(bad_row("user_tallies", row.user_id, format!("{other:?} is not a dimension"))),
    }
}

/// All tallies of a player.
pub(super) async fn tallies(connection: &impl ConnectionTrait, id: UserId) -> StoreResult<BTreeMap<Dimension, Tally>> {
    let rows = user_tallies::Entity::find()
        .filter(user_tallies::Column::UserId.eq(id.get()))
        .all(connection)
        .await
        .during("reading tallies")?;
    rows.iter().map(|row| Ok((dimension(row)?, Tally::try_from(row)?))).collect()
}

/// What a player has unlocked.
pub(super) async fn achievements(connection: &impl ConnectionTrait, id: UserId) -> StoreResult<Vec<UserAchievement>> {
    user_achievements::Entity::find()
        .filter(user_achievements::Column::UserId.eq(id.get()))
        .all(connection)
        .await
        .during("reading achievements")?
        .into_iter()
        .map(UserAchievement::try_from)
        .collect()
}

/// How much of the tallies, scores and attempts of players is wanted.
pub(super) enum Part<'a> {
    /// Everything.
    Whole,
    /// Tallies of all difficulties and of `categories`, scores of `periods`, attempts at `challenges`.
    Touched {
        categories: &'a BTreeSet<Category>,
        periods: &'a BTreeSet<(Period, DayKey)>,
        challenges: &'a BTreeSet<ChallengeId>,
    },
}

impl Part<'_> {
    /// What finds the tallies, the scores and, where they are wanted, the attempts of players.
    fn selects(&self, ids: &BTreeSet<UserId>) -> Vec<SelectStatement> {
        let wanted = || ids.iter().map(|id| id.get());
        let tallies = user_tallies::Entity::find()
            .filter(user_tallies::Column::UserId.is_in(wanted()))
            .filter(self.tallies())
            .into_query();
        let scores = rankings::Entity::find()
            .filter(rankings::Column::UserId.is_in(wanted()))
            .filter(self.scores())
            .into_query();
        let attempts = self.attempts().map(|attempts| {
            challenge_attempts::Entity::find()
                .filter(challenge_attempts::Column::UserId.is_in(wanted()))
                .filter(attempts)
                .into_query()
        });
        [tallies, scores].into_iter().chain(attempts).collect()
    }

    fn tallies(&self) -> Condition {
        match self {
            Self::Whole => Condition::all(),
            Self::Touched { categories, .. } => Condition::any()
                .add(user_tallies::Column::Dimension.eq("difficulty"))
                .add(user_tallies::Column::Name.is_in(categories.iter().map(Category::as_str))),
        }
    }

    fn scores(&self) -> Condition {
        match self {
            Self::Whole => Condition::all(),
            Self::Touched { periods, .. } => Period::ALL.into_iter().fold(Condition::any(), |any, period| {
                let starts = periods.iter().filter(|(of, _)| *of == period).map(|(_, start)| start.date());
                let of_period = Condition::all()
                    .add(rankings::Column::Period.eq(period.as_str()))
                    .add(rankings::Column::StartsOn.is_in(starts));
                any.add(of_period)
            }),
        }
    }

    fn attempts(&self) -> Option<Condition> {
        match self {
            Self::Whole => Some(Condition::all()),
            Self::Touched { challenges, .. } if challenges.is_empty() => None,
            Self::Touched { challenges, .. } => {
                let wanted = challenges.iter().map(|id| (id.kind.as_str(), id.starts_on.date()));
                let columns = [challenge_attempts::Column::Kind, challenge_attempts::Column::StartsOn];
                Some(Condition::all().add(Expr::tuple(columns.map(Expr::col)).in_tuples(wanted)))
            }
        }
    }
}

/// The players with these ids who exist: profiles and achievements, and a part of the rest.
pub(super) async fn load(
    connection: &impl ConnectionTrait,
    ids: &BTreeSet<UserId>,
    part: Part<'_>,
) -> StoreResult<HashMap<UserId, Arc<PlayerState>>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted = || ids.iter().map(|id| id.get());
    let profiles = users::Entity::find().filter(users::Column::UserId.is_in(wanted())).into_query();
    let unlocked =
        user_achievements::Entity::find().filter(user_achievements::Column::UserId.is_in(wanted())).into_query();
    let selects = [profiles, unlocked].into_iter().chain(part.selects(ids));
    let mut answers = together::query_all(connection, selects, LOADING).await?;
    let mut players = HashMap::with_capacity(ids.len());
    for row in models::<users::Model>(answers.next(), LOADING)? {
        let profile = UserProfile::try_from(row)?;
        let state = PlayerState::new(profile.user_id, profile.created_at);
        players.insert(profile.user_id, Arc::new(PlayerState { profile, ..state }));
    }
    for row in models::<user_achievements::Model>(answers.next(), LOADING)? {
        let unlocked = UserAchievement::try_from(row)?;
        if let Some(state) = players.get_mut(&unlocked.user_id) {
            Arc::make_mut(state).achievements.insert(unlocked.achievement_id.clone(), unlocked);
        }
    }
    add_part(&mut players, answers)?;
    Ok(players)
}

/// Adds a part of the rest to these players. What they have stays: it may be newer.
pub(super) async fn load_part(
    connection: &impl ConnectionTrait,
    players: &mut HashMap<UserId, Arc<PlayerState>>,
    ids: &BTreeSet<UserId>,
    part: Part<'_>,
) -> StoreResult<()> {
    if ids.is_empty() {
        return Ok(());
    }
    add_part(players, together::query_all(connection, part.selects(ids), LOADING).await?)
}

/// Adds what [`Part::selects`] found.
fn add_part(
    players: &mut HashMap<UserId, Arc<PlayerState>>,
    mut answers: impl Iterator<Item = Vec<QueryResult>>,
) -> StoreResult<()> {
    for row in models::<user_tallies::Model>(answers.next(), LOADING)? {
        if let Some(state) = UserId::new(row.user_id).ok().and_then(|id| players.get_mut(&id)) {
            Arc::make_mut(state).tallies.entry(dimension(&row)?).or_insert(Tally::try_from(&row)?);
        }
    }
    for row in models::<rankings::Model>(answers.next(), LOADING)? {
        let period = row.period.parse().map_err(|error| bad_row("rankings", row.user_id, error))?;
        if let Some(state) = UserId::new(row.user_id).ok().and_then(|id| players.get_mut(&id)) {
            Arc::make_mut(state).scores.entry((period, DayKey::new(row.starts_on))).or_insert((&row).try_into()?);
        }
    }
    for row in models::<challenge_attempts::Model>(answers.next(), LOADING)? {
        let attempt = rows::attempt(row)?;
        if let Some(state) = players.get_mut(&attempt.user_id) {
            Arc::make_mut(state).challenges.entry(attempt.challenge).or_insert(attempt);
        }
    }
    Ok(())
}

/// Rows about players to write, each once.
#[derive(Default)]
pub(super) struct PlayerRows {
    profiles: BTreeMap<UserId, users::ActiveModel>,
    achievements: BTreeMap<(UserId, AchievementId), user_achievements::ActiveModel>,
    tallies: BTreeMap<(UserId, Dimension), user_tallies::ActiveModel>,
    scores: BTreeMap<(UserId, Period, DayKey), rankings::ActiveModel>,
    attempts: BTreeMap<(UserId, ChallengeId), challenge_attempts::ActiveModel>,
}

impl PlayerRows {
    /// Adds everything about a player.
    pub(super) fn whole(&mut self, player: &PlayerState) -> StoreResult<()> {
        self.profile(player);
        player.achievements.keys().for_each(|id| self.achievement(player, id));
        player.tallies.keys().for_each(|dimension| self.tally(player, dimension));
        player.scores.keys().for_each(|(period, start)| self.score(player, *period, *start));
        player.challenges.keys().try_for_each(|id| self.attempt(player, *id))
    }

    pub(super) fn profile(&mut self, player: &PlayerState) {
        let row = users::Model::from(&player.profile).into_active_model();
        self.profiles.insert(player.profile.user_id, row);
    }

    pub(super) fn achievement(&mut self, player: &PlayerState, id: &AchievementId) {
        let Some(achievement) = player.achievements.get(id) else { return };
        let row = user_achievements::Model {
            user_id: achievement.user_id.get(),
            achievement_id: id.to_string(),
            seq: stored(achievement.seq),
            unlocked_at: achievement.unlocked_at,
            bonus: achievement.bonus.get(),
        };
        self.achievements.insert((achievement.user_id, id.clone()), row.into_active_model());
    }

    pub(super) fn tally(&mut self, player: &PlayerState, dimension: &Dimension) {
        let Some(tally) = player.tallies.get(dimension) else { return };
        let (kind, name) = dimension_columns(dimension);
        let user = player.profile.user_id;
        let row = user_tallies::Model {
            user_id: user.get(),
            dimension: kind.to_owned(),
            name: name.to_owned(),
            answered: stored(tally.answered),
            correct: stored(tally.correct),
            points: tally.points.get(),
        };
        self.tallies.insert((user, dimension.clone()), row.into_active_model());
    }

    pub(super) fn score(&mut self, player: &PlayerState, period: Period, start: DayKey) {
        let Some(score) = player.scores.get(&(period, start)) else { return };
        let user = player.profile.user_id;
        let row = rankings::Model {
            user_id: user.get(),
            period: period.as_str().to_owned(),
            starts_on: start.date(),
            points: score.tally.points.get(),
            answered: stored(score.tally.answered),
            correct: stored(score.tally.correct),
            reached_at: score.reached_at,
        };
        self.scores.insert((user, period, start), row.into_active_model());
    }

    pub(super) fn attempt(&mut self, player: &PlayerState, id: ChallengeId) -> StoreResult<()> {
        if let Some(attempt) = player.challenges.get(&id) {
            self.attempts.insert((attempt.user_id, id), rows::attempt_row(attempt)?.into_active_model());
        }
        Ok(())
    }

    /// Writes all rows; those that are there already are replaced.
    pub(super) async fn store(self, connection: &impl ConnectionTrait) -> StoreResult<()> {
        let counts = self.counts(connection).await?;
        store(connection, self.profiles, "storing profiles").await?;
        store(connection, self.achievements, "storing achievements").await?;
        store(connection, self.tallies, "storing tallies").await?;
        store(connection, self.scores, "storing rankings").await?;
        store(connection, self.attempts, "storing attempts at challenges").await?;
        counts.store(connection).await
    }

    /// What the scores change about the counts of scores, as long as the earlier ones are still stored.
    async fn counts(&self, connection: &impl ConnectionTrait) -> StoreResult<Counts> {
        let mut counts = Counts::default();
        if score_counts::count_themselves(connection) {
            return Ok(counts);
        }
        let points = users::Entity::find().filter(users::Column::UserId.is_in(self.profiles.keys().map(|id| id.get())));
        let starts = || self.scores.keys().map(|(_, _, start)| start.date()).collect::<BTreeSet<_>>();
        let scores = rankings::Entity::find()
            .filter(rankings::Column::UserId.is_in(self.scores.keys().map(|(id, ..)| id.get())))
            .filter(rankings::Column::StartsOn.is_in(starts()));
        let selects = [points.into_query(), scores.into_query()];
        let mut answers = together::query_all(connection, selects, LOADING).await?;
        for row in models::<users::Model>(answers.next(), LOADING)? {
            counts.add(ALL_TIME, NaiveDate::default(), row.total_points, -1);
        }
        for row in models::<rankings::Model>(answers.next(), LOADING)? {
            let period: Period = row.period.parse().map_err(|error| bad_row("rankings", row.user_id, error))?;
            let id = UserId::new(row.user_id)?;
            if self.scores.contains_key(&(id, period, DayKey::new(row.starts_on))) {
                counts.add(&row.period, row.starts_on, row.points, -1);
            }
        }
        for points in self.profiles.values().filter_map(|row| row.total_points.try_as_ref()) {
            counts.add(ALL_TIME, NaiveDate::default(), *points, 1);
        }
        for ((_, period, start), row) in &self.scores {
            if let Some(points) = row.points.try_as_ref() {
                counts.add(period.as_str(), start.date(), *points, 1);
            }
        }
        Ok(counts)
    }
}

/// Inserts rows; where the primary key exists, the other columns are replaced.
async fn store<K, A: ActiveModelTrait + Send>(
    connection: &impl ConnectionTrait,
    rows: BTreeMap<K, A>,
    action: &'static str,
) -> StoreResult<()> {
    type Column<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::Column;
    type PrimaryKey<A> = <<A as ActiveModelTrait>::Entity as EntityTrait>::PrimaryKey;

    let key: Vec<Column<A>> = PrimaryKey::<A>::iter().map(PrimaryKeyToColumn::into_column).collect();
    let is_key = |column: &Column<A>| key.iter().any(|part| part.as_str() == column.as_str());
    let others: Vec<Column<A>> = Column::<A>::iter().filter(|column| !is_key(column)).collect();
    let replace = OnConflict::columns(key).update_columns(others).to_owned();
    for rows in portions(rows.into_values(), connection.get_database_backend()) {
        let stored = A::Entity::insert_many(rows).on_conflict(replace.clone()).exec_without_returning(connection);
        stored.await.during(action)?;
    }
    Ok(())
}

/// Removes what starting over clears: everything derived about a player but the profile and the attempts
/// at challenges.
pub(super) async fn clear(connection: &impl ConnectionTrait, user: UserId) -> StoreResult<()> {
    let user = user.get();
    user_achievements::Entity::delete_many()
        .filter(user_achievements::Column::UserId.eq(user))
        .exec(connection)
        .await
        .during("clearing achievements")?;
    user_tallies::Entity::delete_many()
        .filter(user_tallies::Column::UserId.eq(user))
        .exec(connection)
        .await
        .during("clearing tallies")?;
    let counts = Counts::of_periods(connection, user).await?;
    rankings::Entity::delete_many()
        .filter(rankings::Column::UserId.eq(user))
        .exec(connection)
        .await
        .during("clearing rankings")?;
    counts.store(connection).await
}

/// Replaces everything derived about a player.
pub(super) async fn replace(connection: &impl ConnectionTrait, player: &PlayerState) -> StoreResult<()> {
    let user = player.profile.user_id;
    clear(connection, user).await?;
    challenge_attempts::Entity::delete_many()
        .filter(challenge_attempts::Column::UserId.eq(user.get()))
        .exec(connection)
        .await
        .during("clearing attempts at challenges")?;
    let mut rows = PlayerRows::default();
    rows.whole(player)?;
    rows.store(connection).await
}
