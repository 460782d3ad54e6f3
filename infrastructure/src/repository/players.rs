//! Everything derived about players, as the fold sees it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter};
use trivia_domain::StoreResult;
use trivia_domain::model::{Category, DayKey, Period, Tally, UserAchievement, UserId, UserProfile};
use trivia_domain::play::{Dimension, PlayerState};

use crate::entity::{rankings, user_achievements, user_tallies, users};
use crate::error::{During, bad_row};

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

/// The players with these ids who exist: profiles and achievements in full, tallies of all
/// difficulties and of `categories`, scores of the periods that hold one of `days`.
pub(super) async fn load(
    connection: &impl ConnectionTrait,
    ids: &BTreeSet<UserId>,
    categories: &BTreeSet<Category>,
    days: &BTreeSet<DayKey>,
) -> StoreResult<HashMap<UserId, PlayerState>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let wanted = || ids.iter().map(|id| id.get());
    let mut players = HashMap::with_capacity(ids.len());
    let profiles = users::Entity::find()
        .filter(users::Column::UserId.is_in(wanted()))
        .all(connection)
        .await
        .during("loading users")?;
    for row in profiles {
        let profile = UserProfile::try_from(row)?;
        let state = PlayerState::new(profile.user_id, profile.created_at);
        players.insert(profile.user_id, PlayerState { profile, ..state });
    }
    let unlocked = user_achievements::Entity::find()
        .filter(user_achievements::Column::UserId.is_in(wanted()))
        .all(connection)
        .await
        .during("loading achievements")?;
    for row in unlocked {
        let unlocked = UserAchievement::try_from(row)?;
        if let Some(state) = players.get_mut(&unlocked.user_id) {
            state.achievements.insert(unlocked.achievement_id.clone(), unlocked);
        }
    }
    let touched = Condition::any()
        .add(user_tallies::Column::Dimension.eq("difficulty"))
        .add(user_tallies::Column::Name.is_in(categories.iter().map(Category::as_str)));
    let tallies = user_tallies::Entity::find()
        .filter(user_tallies::Column::UserId.is_in(wanted()))
        .filter(touched)
        .all(connection)
        .await
        .during("loading tallies")?;
    for row in tallies {
        if let Some(state) = UserId::new(row.user_id).ok().and_then(|id| players.get_mut(&id)) {
            state.tallies.insert(dimension(&row)?, Tally::try_from(&row)?);
        }
    }
    let mut periods = Condition::any();
    for period in Period::ALL {
        let starts: BTreeSet<_> = days.iter().map(|day| period.start(*day).date()).collect();
        periods = periods.add(
            Condition::all()
                .add(rankings::Column::Period.eq(period.as_str()))
                .add(rankings::Column::StartsOn.is_in(starts)),
        );
    }
    let scores = rankings::Entity::find()
        .filter(rankings::Column::UserId.is_in(wanted()))
        .filter(periods)
        .all(connection)
        .await
        .during("loading scores")?;
    for row in scores {
        let period = row.period.parse().map_err(|error| bad_row("rankings", row.user_id, error))?;
        if let Some(state) = UserId::new(row.user_id).ok().and_then(|id| players.get_mut(&id)) {
            state.scores.insert((period, DayKey::new(row.starts_on)), (&row).try_into()?);
        }
    }
    Ok(players)
}
