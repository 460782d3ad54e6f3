//! Tags and packs of questions, and picking among the questions that have them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sea_orm::sea_query::{OnConflict, Query, SelectStatement};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use trivia_domain::model::{Labels, PackName, Question, QuestionId, Tag};
use trivia_domain::ports::{PickOwner, QuestionFilter};
use trivia_domain::{StoreError, StoreResult};

use super::picking::{Placed, picked_for};
use super::questions::{CHUNK, matching};
use super::rows;
use crate::entity::{pack_questions, packs, question_counters, question_tags, questions};
use crate::error::{During, bad_row};

/// The questions that have the labels of a filter.
pub(super) fn labelled(filter: &QuestionFilter) -> Condition {
    let tagged = |tag: &Tag| -> SelectStatement {
        Query::select()
            .column(question_tags::Column::QuestionId)
            .from(question_tags::Entity)
            .and_where(question_tags::Column::Tag.eq(tag.as_str()))
            .take()
    };
    let packed = |name: &PackName| -> SelectStatement {
        let pack = Query::select()
            .column(packs::Column::Id)
            .from(packs::Entity)
            .and_where(packs::Column::Name.eq(name.as_str()))
            .take();
        Query::select()
            .column(pack_questions::Column::QuestionId)
            .from(pack_questions::Entity)
            .and_where(pack_questions::Column::PackId.in_subquery(pack))
            .take()
    };
    Condition::all()
        .add_option(filter.tag.as_ref().map(|tag| questions::Column::Id.in_subquery(tagged(tag))))
        .add_option(filter.pack.as_ref().map(|name| questions::Column::Id.in_subquery(packed(name))))
}

/// Reads the labels of questions.
pub(super) async fn load(
    connection: &impl ConnectionTrait,
    ids: &[QuestionId],
) -> StoreResult<BTreeMap<QuestionId, Labels>> {
    let mut labels: BTreeMap<QuestionId, Labels> = BTreeMap::new();
    for ids in ids.chunks(CHUNK) {
        let wanted = || ids.iter().map(|id| id.get());
        let tags = question_tags::Entity::find()
            .filter(question_tags::Column::QuestionId.is_in(wanted()))
            .all(connection)
            .await
            .during("reading tags")?;
        for row in tags {
            let id = QuestionId::new(row.question_id)?;
            labels.entry(id).or_default().tags.insert(rows::tag(&row)?);
        }
        let packed: Vec<(i64, String)> = pack_questions::Entity::find()
            .select_only()
            .column(pack_questions::Column::QuestionId)
            .column(packs::Column::Name)
            .inner_join(packs::Entity)
            .filter(pack_questions::Column::QuestionId.is_in(wanted()))
            .into_tuple()
            .all(connection)
            .await
            .during("reading packs of questions")?;
        for (id, name) in packed {
            let name = name.parse().map_err(|error: StoreError| bad_row("packs", &name, error))?;
            labels.entry(QuestionId::new(id)?).or_default().packs.insert(name);
        }
    }
    Ok(labels)
}

/// Adds labels; what is there stays.
pub(super) async fn add(connection: &impl ConnectionTrait, labels: &[(QuestionId, Labels)]) -> StoreResult<()> {
    let ids: Vec<_> = labels.iter().map(|(id, _)| *id).collect();
    require_questions(connection, &ids).await?;
    let names: BTreeSet<_> = labels.iter().flat_map(|(_, labels)| &labels.packs).collect();
    let packs = pack_ids(connection, &names).await?;
    let tag = |id: QuestionId, tag: &Tag| question_tags::Model { question_id: id.get(), tag: tag.as_str().to_owned() };
    let tags: Vec<_> = labels.iter().flat_map(|(id, labels)| labels.tags.iter().map(|one| tag(*id, one))).collect();
    insert_tags(connection, tags).await?;
    let mut members = Vec::new();
    for (id, labels) in labels {
        for name in &labels.packs {
            let pack_id = *packs.get(name.as_str()).ok_or_else(|| StoreError::missing("pack", name))?;
            members.push(pack_questions::Model { pack_id, question_id: id.get() }.into_active_model());
        }
    }
    let same = OnConflict::columns([pack_questions::Column::PackId, pack_questions::Column::QuestionId])
        .do_nothing()
        .to_owned();
    for members in members.chunks(CHUNK) {
        pack_questions::Entity::insert_many(members.to_vec())
            .on_conflict(same.clone())
            .exec_without_returning(connection)
            .await
            .during("adding questions to packs")?;
    }
    Ok(())
}

/// Puts these tags in the place of all tags of a question.
pub(super) async fn set_tags(
    connection: &impl ConnectionTrait,
    id: QuestionId,
    tags: &BTreeSet<Tag>,
) -> StoreResult<()> {
    require_questions(connection, &[id]).await?;
    question_tags::Entity::delete_many()
        .filter(question_tags::Column::QuestionId.eq(id.get()))
        .exec(connection)
        .await
        .during("removing tags")?;
    let row = |tag: &Tag| question_tags::Model { question_id: id.get(), tag: tag.as_str().to_owned() };
    insert_tags(connection, tags.iter().map(row).collect()).await
}

async fn insert_tags(connection: &impl ConnectionTrait, tags: Vec<question_tags::Model>) -> StoreResult<()> {
    let same =
        OnConflict::columns([question_tags::Column::QuestionId, question_tags::Column::Tag]).do_nothing().to_owned();
    for tags in tags.chunks(CHUNK) {
        question_tags::Entity::insert_many(tags.iter().cloned().map(IntoActiveModel::into_active_model))
            .on_conflict(same.clone())
            .exec_without_returning(connection)
            .await
            .during("adding tags")?;
    }
    Ok(())
}

/// Fails with `Missing` when one of the questions does not exist.
async fn require_questions(connection: &impl ConnectionTrait, ids: &[QuestionId]) -> StoreResult<()> {
    for ids in ids.chunks(CHUNK) {
        let known: Vec<i64> = questions::Entity::find()
            .select_only()
            .column(questions::Column::Id)
            .filter(questions::Column::Id.is_in(ids.iter().map(|id| id.get())))
            .into_tuple()
            .all(connection)
            .await
            .during("looking for questions")?;
        let known: HashSet<_> = known.into_iter().collect();
        if let Some(unknown) = ids.iter().find(|id| !known.contains(&id.get())) {
            return Err(StoreError::missing("question", unknown));
        }
    }
    Ok(())
}

async fn pack_ids(connection: &impl ConnectionTrait, names: &BTreeSet<&PackName>) -> StoreResult<HashMap<String, i64>> {
    let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
    let mut ids = HashMap::new();
    for names in names.chunks(CHUNK) {
        let found: Vec<(String, i64)> = packs::Entity::find()
            .select_only()
            .columns([packs::Column::Name, packs::Column::Id])
            .filter(packs::Column::Name.is_in(names.iter().copied()))
            .into_tuple()
            .all(connection)
            .await
            .during("looking for packs")?;
        ids.extend(found);
    }
    Ok(ids)
}

/// The questions that a filter with labels means, in order of id; those that are not retired have places
/// in that order.
pub(super) struct Labelled {
    open: Vec<i64>,
    places: HashMap<i64, Option<u64>>,
}

impl Labelled {
    pub(super) async fn load(connection: &impl ConnectionTrait, filter: &QuestionFilter) -> StoreResult<Self> {
        let found: Vec<(i64, Option<i64>)> = questions::Entity::find()
            .select_only()
            .columns([questions::Column::Id, questions::Column::Ordinal])
            .filter(matching(filter))
            .order_by_asc(questions::Column::Id)
            .into_tuple()
            .all(connection)
            .await
            .during("looking up labelled questions")?;
        let (mut open, mut places) = (Vec::new(), HashMap::with_capacity(found.len()));
        for (id, ordinal) in found {
            places.insert(id, ordinal.map(|_| open.len() as u64));
            open.extend(ordinal.map(|_| id));
        }
        Ok(Self { open, places })
    }

    pub(super) const fn size(&self) -> u64 {
        self.open.len() as u64
    }

    /// The places of excluded questions that match.
    pub(super) fn excluded(&self, ids: &[QuestionId]) -> HashSet<u64> {
        ids.iter().filter_map(|id| *self.places.get(&id.get())?).collect()
    }

    /// What was picked for an owner and matches, the oldest pick first.
    pub(super) async fn seen(&self, connection: &impl ConnectionTrait, owner: PickOwner) -> StoreResult<Vec<Placed>> {
        let history: Vec<i64> =
            picked_for(owner).into_tuple().all(connection).await.during("reading what was picked")?;
        Ok(history.into_iter().filter_map(|id| Some((id, *self.places.get(&id)?))).collect())
    }

    /// The questions at these places, in the same order.
    pub(super) async fn questions(
        &self,
        connection: &impl ConnectionTrait,
        places: &[u64],
    ) -> StoreResult<Vec<Question>> {
        let ids = places.iter().filter_map(|place| self.open.get(usize::try_from(*place).ok()?).copied());
        let ids: Vec<i64> = ids.collect();
        let mut found = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(CHUNK) {
            let rows = questions::Entity::find()
                .find_also_related(question_counters::Entity)
                .filter(questions::Column::Id.is_in(ids.iter().copied()))
                .all(connection)
                .await
                .during("picking questions")?;
            for row in rows {
                found.insert(row.0.id, rows::question(row)?);
            }
        }
        let missing = |id| bad_row("questions", id, "it is gone");
        ids.into_iter().map(|id| found.remove(&id).ok_or_else(|| missing(id))).collect()
    }
}
