//! Picking: reads what the domain needs to choose places, and remembers what it chose.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, Select,
};
use trivia_domain::model::{Question, QuestionId};
use trivia_domain::play::choose;
use trivia_domain::ports::{PickOwner, PickRequest, QuestionFilter};
use trivia_domain::{StoreError, StoreResult};

use super::labels::Labelled;
use super::questions::{CHUNK, GroupKey, Groups, Places};
use super::rows;
use crate::dialect;
use crate::entity::{picks, question_counters, questions};
use crate::error::{During, bad_row};

/// Places that one query looks up.
const PROBES: usize = 32;
/// Excluded questions are looked up beforehand when more than one of so many that match may be excluded.
const RARE: usize = 16;

/// Lets the domain choose places, reads the questions there, and remembers them when the request has a
/// scope. The cost follows what is wanted, and what was picked for the owner before; what is excluded
/// counts only when it is much of what matches.
pub(super) async fn pick(connection: &impl ConnectionTrait, request: &PickRequest) -> StoreResult<Vec<Question>> {
    if let Some(scope) = request.scope {
        let (owner, id) = columns(scope.of);
        dialect::lock_owner(connection, owner, id).await?;
    }
    let pool = Candidates::load(connection, &request.filter).await?;
    let size = pool.size();
    let seen = match request.scope {
        Some(scope) => pool.seen(connection, scope.of).await?,
        None => Vec::new(),
    };
    let seen_places: Vec<u64> = seen.iter().filter_map(|(_, place)| *place).collect();
    let few = RARE * request.exclude.len() + seen.len() + request.count as usize;
    let mut excluded = HashSet::new();
    if few as u64 > size {
        excluded = pool.excluded(connection, &request.exclude).await?;
    }
    let unwanted: HashSet<_> = request.exclude.iter().collect();
    let (choice, picked) = loop {
        let choice = choose(size, &excluded, &seen_places, request)?;
        let picked = pool.questions(connection, &choice.places).await?;
        // the order of a draw does not depend on what is excluded, so it is enough to know which of the drawn are
        let drawn = choice.places.iter().zip(&picked).filter(|(_, question)| unwanted.contains(&question.id));
        let known = excluded.len();
        excluded.extend(drawn.map(|(place, _)| *place));
        if excluded.len() == known {
            break (choice, picked);
        }
    };
    if let Some(scope) = request.scope {
        if choice.starts_over {
            forget(connection, scope.of, &seen).await?;
        }
        remember(connection, scope.of, &picked).await?;
    }
    Ok(picked)
}

/// A question that matches, and its place unless it is retired.
pub(super) type Placed = (i64, Option<u64>);

/// The questions that a filter means, each that can be picked with a place.
enum Candidates<'a> {
    Grouped(Pool<'a>),
    Labelled(Labelled),
}

impl<'a> Candidates<'a> {
    async fn load(connection: &impl ConnectionTrait, filter: &'a QuestionFilter) -> StoreResult<Self> {
        if filter.is_by_label() {
            return Labelled::load(connection, filter).await.map(Self::Labelled);
        }
        Pool::load(connection, filter).await.map(Self::Grouped)
    }

    const fn size(&self) -> u64 {
        match self {
            Self::Grouped(pool) => pool.size,
            Self::Labelled(labelled) => labelled.size(),
        }
    }

    async fn excluded(&self, connection: &impl ConnectionTrait, ids: &[QuestionId]) -> StoreResult<HashSet<u64>> {
        match self {
            Self::Grouped(pool) => pool.excluded(connection, ids).await,
            Self::Labelled(labelled) => Ok(labelled.excluded(ids)),
        }
    }

    async fn seen(&self, connection: &impl ConnectionTrait, owner: PickOwner) -> StoreResult<Vec<Placed>> {
        match self {
            Self::Grouped(pool) => pool.seen(connection, owner).await,
            Self::Labelled(labelled) => labelled.seen(connection, owner).await,
        }
    }

    async fn questions(&self, connection: &impl ConnectionTrait, places: &[u64]) -> StoreResult<Vec<Question>> {
        match self {
            Self::Grouped(pool) => pool.questions(connection, places).await,
            Self::Labelled(labelled) => labelled.questions(connection, places).await,
        }
    }
}

/// Where the questions of a group are.
struct Group {
    /// Their places in the pool.
    places: Range<u64>,
    /// The ordinal of the first one.
    first: i64,
}

/// The questions that a filter means: their groups one after the other give each of them a place.
struct Pool<'a> {
    filter: &'a QuestionFilter,
    groups: BTreeMap<GroupKey, Group>,
    size: u64,
}

impl<'a> Pool<'a> {
    async fn load(connection: &impl ConnectionTrait, filter: &'a QuestionFilter) -> StoreResult<Self> {
        let (mut groups, mut size) = (BTreeMap::new(), 0);
        for (key, Places { first, size: count }) in Groups::load(connection).await?.0 {
            if key.matches(filter) {
                groups.insert(key, Group { places: size..size + count, first });
                size += count;
            }
        }
        Ok(Self { filter, groups, size })
    }

    /// The places of excluded questions that match.
    async fn excluded(&self, connection: &impl ConnectionTrait, ids: &[QuestionId]) -> StoreResult<HashSet<u64>> {
        let mut excluded = HashSet::new();
        for ids in ids.chunks(CHUNK) {
            let found = questions::Entity::find()
                .select_only()
                .column(questions::Column::Id)
                .filter(questions::Column::Id.is_in(ids.iter().map(|id| id.get())));
            excluded.extend(self.places(connection, found).await?.into_iter().filter_map(|(_, place)| place));
        }
        Ok(excluded)
    }

    /// What was picked for an owner and matches, the oldest pick first. This reads the owner's whole
    /// history, and of each question in it where it is.
    async fn seen(&self, connection: &impl ConnectionTrait, owner: PickOwner) -> StoreResult<Vec<Placed>> {
        self.places(connection, picked_for(owner).inner_join(questions::Entity)).await
    }

    /// Runs a query that selects ids of questions, and adds their places; those that do not match are
    /// left out here and not in SQL, where it could mislead the planner to go through all that match.
    async fn places<E: EntityTrait>(
        &self,
        connection: &impl ConnectionTrait,
        ids: Select<E>,
    ) -> StoreResult<Vec<Placed>> {
        use questions::Column;

        let found: Vec<(i64, String, String, String, String, Option<i64>)> = ids
            .columns([Column::Category, Column::Difficulty, Column::QuestionType, Column::Language, Column::Ordinal])
            .into_tuple()
            .all(connection)
            .await
            .during("looking up places of questions")?;
        let mut places = Vec::with_capacity(found.len());
        for (id, category, difficulty, kind, language, ordinal) in found {
            let bad = |error: StoreError| bad_row("questions", id, error);
            let key = GroupKey::parse(&category, &difficulty, &kind, &language).map_err(bad)?;
            if key.matches(self.filter) {
                let place = ordinal.map(|ordinal| {
                    let missing = || bad_row("questions", id, format!("its group has no place {ordinal}"));
                    self.place(&key, ordinal).ok_or_else(missing)
                });
                places.push((id, place.transpose()?));
            }
        }
        Ok(places)
    }

    fn place(&self, key: &GroupKey, ordinal: i64) -> Option<u64> {
        let group = self.groups.get(key)?;
        let place = group.places.start.checked_add(u64::try_from(ordinal.checked_sub(group.first)?).ok()?)?;
        group.places.contains(&place).then_some(place)
    }

    /// The questions at these places, in the same order.
    async fn questions(&self, connection: &impl ConnectionTrait, places: &[u64]) -> StoreResult<Vec<Question>> {
        let mut questions = Vec::with_capacity(places.len());
        for places in places.chunks(PROBES) {
            let wanted: Vec<_> = places.iter().filter_map(|place| self.locate(*place)).collect();
            let probed = wanted.iter().fold(Condition::any(), |any, (key, ordinal)| any.add(key.at(*ordinal)));
            let found = questions::Entity::find()
                .find_also_related(question_counters::Entity)
                .filter(probed)
                .all(connection)
                .await
                .during("picking questions")?;
            let mut found: HashMap<_, _> = found
                .into_iter()
                .map(|row| {
                    let ordinal = row.0.ordinal;
                    let question = rows::question(row)?;
                    Ok(((GroupKey::of(&question.content), ordinal), question))
                })
                .collect::<StoreResult<_>>()?;
            for (key, ordinal) in wanted {
                let question = found.remove(&(key.clone(), Some(ordinal))).ok_or_else(|| {
                    let id = format!("{}/{}/{}/{}", key.category, key.difficulty, key.kind, key.language);
                    bad_row("question_groups", id, format!("no question has place {ordinal}"))
                })?;
                questions.push(question);
            }
        }
        Ok(questions)
    }

    /// The group of a place, and the ordinal in it.
    fn locate(&self, place: u64) -> Option<(&GroupKey, i64)> {
        let (key, group) = self.groups.iter().find(|(_, group)| group.places.contains(&place))?;
        Some((key, group.first.checked_add_unsigned(place - group.places.start)?))
    }
}

/// How an owner is stored.
const fn columns(owner: PickOwner) -> (&'static str, i64) {
    match owner {
        PickOwner::Player(id) => ("player", id.get()),
        PickOwner::Channel(id) => ("channel", id.get()),
    }
}

/// The picks of an owner.
fn of(owner: PickOwner) -> Condition {
    let (owner, owner_id) = columns(owner);
    Condition::all().add(picks::Column::Owner.eq(owner)).add(picks::Column::OwnerId.eq(owner_id))
}

/// The ids of the questions that were picked for an owner, the oldest pick first.
pub(super) fn picked_for(owner: PickOwner) -> Select<picks::Entity> {
    picks::Entity::find()
        .select_only()
        .column(picks::Column::QuestionId)
        .filter(of(owner))
        .order_by_asc(picks::Column::Number)
}

async fn forget(connection: &impl ConnectionTrait, owner: PickOwner, seen: &[Placed]) -> StoreResult<()> {
    for seen in seen.chunks(CHUNK) {
        picks::Entity::delete_many()
            .filter(of(owner).add(picks::Column::QuestionId.is_in(seen.iter().map(|(id, _)| *id))))
            .exec(connection)
            .await
            .during("forgetting picks")?;
    }
    Ok(())
}

/// Numbers the questions after all earlier picks of the owner; one that was picked before gets the new number.
async fn remember(connection: &impl ConnectionTrait, owner: PickOwner, picked: &[Question]) -> StoreResult<()> {
    let mut last: Vec<Option<i64>> = picks::Entity::find()
        .select_only()
        .column_as(picks::Column::Number.max(), "last")
        .filter(of(owner))
        .into_tuple()
        .all(connection)
        .await
        .during("reading the last pick")?;
    let last = last.pop().flatten().unwrap_or(0);
    let (owner, owner_id) = columns(owner);
    let picked: Vec<_> = picked
        .iter()
        .zip(last + 1..)
        .map(|(question, number)| {
            picks::Model { owner: owner.to_owned(), owner_id, question_id: question.id.get(), number }
                .into_active_model()
        })
        .collect();
    let renumber = OnConflict::columns([picks::Column::Owner, picks::Column::OwnerId, picks::Column::QuestionId])
        .update_column(picks::Column::Number)
        .to_owned();
    for picked in picked.chunks(CHUNK) {
        picks::Entity::insert_many(picked.to_vec())
            .on_conflict(renumber.clone())
            .exec_without_returning(connection)
            .await
            .during("remembering picks")?;
    }
    Ok(())
}
