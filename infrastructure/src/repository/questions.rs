use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QueryResult, QuerySelect, QueryTrait,
};
use trivia_domain::model::{
    Category, ContentKey, Difficulty, Labels, Language, Page, Question, QuestionContent, QuestionId, QuestionKind,
    StemKey, Tag,
};
use trivia_domain::ports::{AddOutcome, PickRequest, QuestionFilter, QuestionGroup, QuestionRepository};
use trivia_domain::{StoreError, StoreResult};

use super::picking::pick;
use super::{Repository, labels, rows};
use crate::database::{Needs, unless_lost};
use crate::entity::{question_counters, question_groups, question_versions, questions};
use crate::error::{During, bad_row};
use crate::read_model::Effects;

/// Rows of one insert: seventeen values each stay below SQLite's limit of 32,766.
pub(super) const CHUNK: usize = 500;

#[async_trait]
impl QuestionRepository for Repository {
    async fn find(&self, id: QuestionId) -> StoreResult<Option<Question>> {
        let reading = self.scope.read("finding a question").await?;
        find(&reading.connection(), id).await
    }

    async fn get(&self, id: QuestionId) -> StoreResult<Question> {
        QuestionRepository::find(self, id).await?.ok_or_else(|| StoreError::missing("question", id))
    }

    async fn version(&self, id: QuestionId, version: u32) -> StoreResult<QuestionContent> {
        let snapshot = self.scope.snapshot("reading a version of a question").await?;
        if let Some(newest) = find(&*snapshot, id).await?.filter(|question| question.version == version) {
            return Ok(newest.content);
        }
        let content = earlier(&*snapshot, id, version).await?;
        content.ok_or_else(|| StoreError::missing("version of a question", format!("{id}/{version}")))
    }

    async fn list(&self, filter: &QuestionFilter, page: Page) -> StoreResult<Vec<Question>> {
        let action = "listing questions";
        if let Some(replica) = self.scope.replica(action).await
            && let Some(questions) = unless_lost(list(&*replica, filter, page).await)
        {
            return questions;
        }
        list(&self.scope.read(action).await?.connection(), filter, page).await
    }

    async fn groups(&self) -> StoreResult<Vec<QuestionGroup>> {
        let reading = self.scope.read("reading question groups").await?;
        let groups = Groups::load(&reading.connection()).await?;
        Ok(groups.sizes())
    }

    async fn pick(&self, request: &PickRequest) -> StoreResult<Vec<Question>> {
        if request.scope.is_none() {
            let snapshot = self.scope.snapshot("picking questions").await?;
            return pick(&*snapshot, request).await;
        }
        let writing = self.scope.write("picking questions without repeats", Needs::Nothing, Effects::NONE).await?;
        let picked = pick(&*writing, request).await?;
        writing.commit().await?;
        Ok(picked)
    }

    async fn add(&self, contents: Vec<QuestionContent>) -> StoreResult<Vec<AddOutcome>> {
        if contents.is_empty() {
            return Ok(Vec::new());
        }
        // before anything is written: nobody waits for it
        let candidates: Vec<_> = contents.iter().map(Candidate::new).collect();
        let writing = self.scope.write("adding questions", Needs::Alone, Effects::NONE).await?;
        let mut groups = Groups::load(&*writing).await?;
        let mut outcomes = Vec::with_capacity(contents.len());
        for chunk in candidates.chunks(CHUNK) {
            outcomes.extend(add(&*writing, &mut groups, chunk, self.scope.core().clock.now()).await?);
        }
        groups.store(&*writing).await?;
        writing.commit().await?;
        Ok(outcomes)
    }

    async fn update(&self, id: QuestionId, content: QuestionContent) -> StoreResult<Question> {
        let writing = self.scope.write("updating a question", Needs::Alone, Effects::NONE).await?;
        let row = row(&*writing, id).await?;
        if rows::content(&row)? != content {
            let now = self.scope.core().clock.now();
            replace(&*writing, &row, &content, now).await?;
        }
        let updated = find(&*writing, id).await?.ok_or_else(|| StoreError::missing("question", id))?;
        writing.commit().await?;
        Ok(updated)
    }

    async fn retire(&self, id: QuestionId) -> StoreResult<()> {
        let writing = self.scope.write("retiring a question", Needs::Alone, Effects::NONE).await?;
        let row = row(&*writing, id).await?;
        if row.retired_at.is_none() {
            let mut groups = Groups::load(&*writing).await?;
            let retired_at = self.scope.core().clock.now();
            set_place(&*writing, row.id, None, Some(retired_at)).await?;
            close_gap(&*writing, &mut groups, &row).await?;
            groups.store(&*writing).await?;
        }
        writing.commit().await
    }

    async fn restore(&self, id: QuestionId) -> StoreResult<()> {
        let writing = self.scope.write("restoring a question", Needs::Alone, Effects::NONE).await?;
        let row = row(&*writing, id).await?;
        if row.retired_at.is_some() {
            let mut groups = Groups::load(&*writing).await?;
            let ordinal = groups.append(&GroupKey::of(&rows::content(&row)?));
            set_place(&*writing, row.id, Some(ordinal), None).await?;
            groups.store(&*writing).await?;
        }
        writing.commit().await
    }

    async fn labels(&self, ids: &[QuestionId]) -> StoreResult<BTreeMap<QuestionId, Labels>> {
        let snapshot = self.scope.snapshot("reading labels").await?;
        labels::load(&*snapshot, ids).await
    }

    async fn label(&self, added: Vec<(QuestionId, Labels)>) -> StoreResult<()> {
        if added.is_empty() {
            return Ok(());
        }
        let writing = self.scope.write("labelling questions", Needs::Alone, Effects::NONE).await?;
        labels::add(&*writing, &added).await?;
        writing.commit().await
    }

    async fn set_tags(&self, id: QuestionId, tags: BTreeSet<Tag>) -> StoreResult<()> {
        let writing = self.scope.write("tagging a question", Needs::Alone, Effects::NONE).await?;
        labels::set_tags(&*writing, id, &tags).await?;
        writing.commit().await
    }
}

/// Ordinals that each language has of one category, difficulty and kind: a question's ordinal is its dense place
/// in its group, counted from where its language begins.
pub(crate) const BLOCK: i64 = 1 << 32;

/// What is picked from together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupKey {
    pub(super) category: Category,
    pub(super) difficulty: Difficulty,
    pub(super) kind: QuestionKind,
    pub(super) language: Language,
}

impl GroupKey {
    pub(super) fn of(content: &QuestionContent) -> Self {
        Self {
            category: content.category().clone(),
            difficulty: content.difficulty(),
            kind: content.kind(),
            language: content.language().clone(),
        }
    }

    pub(super) fn parse(category: &str, difficulty: &str, kind: &str, language: &str) -> StoreResult<Self> {
        Ok(Self {
            category: Category::new(category)?,
            difficulty: difficulty.parse()?,
            kind: kind.parse()?,
            language: Language::new(language)?,
        })
    }

    fn group(self, size: u64) -> QuestionGroup {
        let Self { category, difficulty, kind, language } = self;
        QuestionGroup { category, difficulty, kind, language, size }
    }

    pub(super) fn matches(&self, filter: &QuestionFilter) -> bool {
        filter.matches(&self.category, self.difficulty, self.kind, &self.language)
    }

    /// Whether both share their ordinals.
    fn is_beside(&self, other: &Self) -> bool {
        self.category == other.category && self.difficulty == other.difficulty && self.kind == other.kind
    }

    /// The question with an ordinal, which says the language too.
    pub(super) fn at(&self, ordinal: i64) -> Condition {
        Condition::all()
            .add(questions::Column::Category.eq(self.category.as_str()))
            .add(questions::Column::Difficulty.eq(self.difficulty.as_str()))
            .add(questions::Column::QuestionType.eq(self.kind.as_str()))
            .add(questions::Column::Ordinal.eq(ordinal))
    }
}

/// The places of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// The ordinal of its first question: a multiple of [`BLOCK`].
    pub(super) first: i64,
    pub(super) size: u64,
}

impl Places {
    /// The ordinal behind the last one.
    const fn end(self) -> i64 {
        self.first.saturating_add_unsigned(self.size)
    }
}

/// All groups; there are nine for each category and language, so they are read whole.
pub(super) struct Groups(pub(super) BTreeMap<GroupKey, Places>);

impl Groups {
    pub(super) async fn load(connection: &impl ConnectionTrait) -> StoreResult<Self> {
        let rows = question_groups::Entity::find().all(connection).await.during("reading question groups")?;
        let groups = rows.into_iter().map(|row| {
            let key = GroupKey::parse(&row.category, &row.difficulty, &row.question_type, &row.language)
                .map_err(|error| bad_row("question_groups", &row.category, error))?;
            let size = u64::try_from(row.size).map_err(|error| bad_row("question_groups", &row.category, error))?;
            Ok((key, Places { first: row.first_ordinal, size }))
        });
        groups.collect::<StoreResult<_>>().map(Self)
    }

    /// Those that have questions.
    pub(super) fn sizes(self) -> Vec<QuestionGroup> {
        let sizes = self.0.into_iter().map(|(key, places)| (key, places.size));
        sizes.filter(|(_, size)| *size > 0).map(|(key, size)| key.group(size)).collect()
    }

    /// Takes the next ordinal of a group.
    fn append(&mut self, key: &GroupKey) -> i64 {
        if !self.0.contains_key(key) {
            self.0.insert(key.clone(), Places { first: self.next_block(key), size: 0 });
        }
        self.0.get_mut(key).map_or(0, |places| {
            places.size += 1;
            places.end() - 1
        })
    }

    /// Where a language begins that has no questions yet: behind all others beside it.
    fn next_block(&self, key: &GroupKey) -> i64 {
        let before = self.0.range(..key).rev().take_while(|(other, _)| other.is_beside(key));
        let after = self.0.range(key..).take_while(|(other, _)| other.is_beside(key));
        before.chain(after).map(|(_, places)| places.first + BLOCK).max().unwrap_or(0)
    }

    async fn store(&self, connection: &impl ConnectionTrait) -> StoreResult<()> {
        use question_groups::Column;

        let rows: Vec<_> = self
            .0
            .iter()
            .map(|(key, places)| {
                question_groups::Model {
                    category: key.category.as_str().to_owned(),
                    difficulty: key.difficulty.as_str().to_owned(),
                    question_type: key.kind.as_str().to_owned(),
                    language: key.language.as_str().to_owned(),
                    first_ordinal: places.first,
                    size: rows::stored(places.size),
                }
                .into_active_model()
            })
            .collect();
        let key = [Column::Category, Column::Difficulty, Column::QuestionType, Column::Language];
        let replace = OnConflict::columns(key).update_column(Column::Size).to_owned();
        for rows in rows.chunks(CHUNK) {
            question_groups::Entity::insert_many(rows.to_vec())
                .on_conflict(replace.clone())
                .exec_without_returning(connection)
                .await
                .during("storing question groups")?;
        }
        Ok(())
    }
}

pub(super) fn matching(filter: &QuestionFilter) -> Condition {
    labels::labelled(filter)
        .add_option(filter.category.as_ref().map(|category| questions::Column::Category.eq(category.as_str())))
        .add_option(filter.difficulty.map(|difficulty| questions::Column::Difficulty.eq(difficulty.as_str())))
        .add_option(filter.kind.map(|kind| questions::Column::QuestionType.eq(kind.as_str())))
        .add_option(filter.language.as_ref().map(|language| questions::Column::Language.eq(language.as_str())))
}

/// What a version that was replaced says.
pub(super) async fn earlier(
    connection: &impl ConnectionTrait,
    id: QuestionId,
    version: u32,
) -> StoreResult<Option<QuestionContent>> {
    let found = question_versions::Entity::find_by_id((id.get(), i64::from(version)))
        .all(connection)
        .await
        .during("reading a version of a question")?
        .pop();
    let content = found.map(|row| serde_json::from_value(row.content)).transpose();
    content.map_err(|error| bad_row("question_versions", id, error))
}

async fn list(connection: &impl ConnectionTrait, filter: &QuestionFilter, page: Page) -> StoreResult<Vec<Question>> {
    questions::Entity::find()
        .find_also_related(question_counters::Entity)
        .filter(questions::Column::Id.gt(page.after.unwrap_or(-1)))
        .filter(matching(filter))
        .order_by_asc(questions::Column::Id)
        .limit(u64::from(page.limit))
        .all(connection)
        .await
        .during("listing questions")?
        .into_iter()
        .map(rows::question)
        .collect()
}

async fn find(connection: &impl ConnectionTrait, id: QuestionId) -> StoreResult<Option<Question>> {
    let mut found = questions::Entity::find_by_id(id.get())
        .find_also_related(question_counters::Entity)
        .all(connection)
        .await
        .during("finding a question")?;
    found.pop().map(rows::question).transpose()
}

/// The newest version of a question that must be there.
pub(super) async fn require(connection: &impl ConnectionTrait, id: QuestionId) -> StoreResult<i64> {
    let mut found: Vec<i64> = questions::Entity::find_by_id(id.get())
        .select_only()
        .column(questions::Column::Version)
        .into_tuple()
        .all(connection)
        .await
        .during("finding a question")?;
    found.pop().ok_or_else(|| StoreError::missing("question", id))
}

async fn row(connection: &impl ConnectionTrait, id: QuestionId) -> StoreResult<questions::Model> {
    let mut found = questions::Entity::find_by_id(id.get()).all(connection).await.during("finding a question")?;
    found.pop().ok_or_else(|| StoreError::missing("question", id))
}

/// A question that others of a list are compared with.
enum Known {
    Stored(QuestionId),
    /// Index among the new ones of this list.
    New(usize),
}

enum Verdict {
    New { at: usize, contradicts: Option<Known> },
    Duplicate(Known),
}

/// A question to add and what identifies it, which is costly to find out.
struct Candidate<'a> {
    content: &'a QuestionContent,
    content_key: ContentKey,
    stem_key: StemKey,
    truth: String,
}

impl<'a> Candidate<'a> {
    fn new(content: &'a QuestionContent) -> Self {
        Self { content, content_key: content.content_key(), stem_key: content.stem_key(), truth: content.truth() }
    }
}

/// Adds one chunk; the caller stores the groups.
async fn add(
    connection: &impl ConnectionTrait,
    groups: &mut Groups,
    candidates: &[Candidate<'_>],
    now: DateTime<Utc>,
) -> StoreResult<Vec<AddOutcome>> {
    let stems: HashSet<_> = candidates.iter().map(|candidate| candidate.stem_key.0.to_vec()).collect();
    let same_stem = questions::Entity::find()
        .filter(questions::Column::StemKey.is_in(stems))
        .order_by_asc(questions::Column::Id)
        .all(connection)
        .await
        .during("looking for duplicates")?;
    // a duplicate has the same stem, so these rows hold all that matters
    let mut by_content = HashMap::new();
    let mut by_stem: HashMap<_, Vec<(String, Known)>> = HashMap::new();
    for row in &same_stem {
        let (id, content) = (QuestionId::new(row.id)?, rows::content(row)?);
        by_content.insert(content.content_key(), Known::Stored(id));
        by_stem.entry(content.stem_key()).or_default().push((content.truth(), Known::Stored(id)));
    }
    let mut fresh = Vec::new();
    let mut verdicts = Vec::with_capacity(candidates.len());
    for Candidate { content, content_key, stem_key, truth } in candidates {
        if let Some(known) = by_content.get(content_key) {
            verdicts.push(Verdict::Duplicate(known.again()));
            continue;
        }
        let at = fresh.len();
        let others = by_stem.entry(*stem_key).or_default();
        let contradicts = others.iter().find(|(other, _)| other != truth).map(|(_, known)| known.again());
        others.push((truth.clone(), Known::New(at)));
        by_content.insert(*content_key, Known::New(at));
        verdicts.push(Verdict::New { at, contradicts });
        fresh.push(questions::ActiveModel {
            id: NotSet,
            version: Set(1),
            ordinal: Set(Some(groups.append(&GroupKey::of(content)))),
            created_at: Set(now),
            retired_at: Set(None),
            ..rows::content_columns(content, *content_key, *stem_key)?
        });
    }
    let ids = insert(connection, fresh).await?;
    let id = |known: Known| match known {
        Known::Stored(id) => id,
        Known::New(at) => ids[at],
    };
    Ok(verdicts
        .into_iter()
        .map(|verdict| match verdict {
            Verdict::Duplicate(of) => AddOutcome::Duplicate { of: id(of) },
            Verdict::New { at, contradicts: None } => AddOutcome::Added { id: ids[at] },
            Verdict::New { at, contradicts: Some(with) } => AddOutcome::Contradiction { id: ids[at], with: id(with) },
        })
        .collect())
}

impl Known {
    const fn again(&self) -> Self {
        match self {
            Self::Stored(id) => Self::Stored(*id),
            Self::New(at) => Self::New(*at),
        }
    }
}

/// Inserts rows and returns their ids in the same order.
async fn insert(connection: &impl ConnectionTrait, rows: Vec<questions::ActiveModel>) -> StoreResult<Vec<QuestionId>> {
    use questions::Column;

    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let keys: Vec<Vec<u8>> = rows.iter().map(|row| row.content_key.clone().take().unwrap_or_default()).collect();
    let mut insert = questions::Entity::insert_many(rows).into_query();
    // the order of RETURNING is not promised, so the key says whose id it is; whole rows would cost more than to insert
    insert.returning(Query::returning().columns([Column::ContentKey, Column::Id]));
    let inserted = connection.query_all(&insert).await.during("inserting questions")?;
    let ids = inserted.iter().map(QueryResult::try_get_many_by_index);
    let ids: HashMap<Vec<u8>, i64> = ids.collect::<Result<_, _>>().during("inserting questions")?;
    keys.iter()
        .map(|key| {
            let id = ids.get(key).ok_or_else(|| StoreError::backend("inserting questions", "an id is missing"))?;
            QuestionId::new(*id)
        })
        .collect()
}

/// Archives the present content and puts another in its place.
async fn replace(
    connection: &impl ConnectionTrait,
    row: &questions::Model,
    content: &QuestionContent,
    now: DateTime<Utc>,
) -> StoreResult<()> {
    let old = rows::content(row)?;
    let key = content.content_key();
    if key != old.content_key() {
        let others = questions::Entity::find()
            .filter(questions::Column::ContentKey.eq(key.0.to_vec()))
            .all(connection)
            .await
            .during("looking for duplicates")?;
        if let Some(other) = others.first() {
            return Err(StoreError::conflict("question", other.id));
        }
    }
    let archived = question_versions::Model {
        question_id: row.id,
        version: row.version,
        content: rows::json(&old)?,
        replaced_at: now,
    };
    question_versions::Entity::insert(archived.into_active_model())
        .exec_without_returning(connection)
        .await
        .during("keeping the old version")?;
    let mut changed = rows::content_columns(content, key, content.stem_key())?;
    changed.id = Set(row.id);
    changed.version = Set(row.version + 1);
    let (from, to) = (GroupKey::of(&old), GroupKey::of(content));
    if row.retired_at.is_none() && from != to {
        let mut groups = Groups::load(connection).await?;
        changed.ordinal = Set(Some(groups.append(&to)));
        changed.update(connection).await.during("updating a question")?;
        close_gap(connection, &mut groups, row).await?;
        return groups.store(connection).await;
    }
    changed.update(connection).await.during("updating a question")?;
    Ok(())
}

/// Gives the place that `left` had to the last question of its group, and makes the group smaller.
async fn close_gap(connection: &impl ConnectionTrait, groups: &mut Groups, left: &questions::Model) -> StoreResult<()> {
    let key = GroupKey::of(&rows::content(left)?);
    let places = groups.0.get_mut(&key).filter(|places| places.size > 0);
    let places = places.ok_or_else(|| bad_row("questions", left.id, "its group is empty"))?;
    places.size -= 1;
    let last = places.end();
    if left.ordinal != Some(last) {
        questions::Entity::update_many()
            .col_expr(questions::Column::Ordinal, Expr::value(left.ordinal))
            .filter(key.at(last))
            .exec(connection)
            .await
            .during("closing a gap")?;
    }
    Ok(())
}

async fn set_place(
    connection: &impl ConnectionTrait,
    id: i64,
    ordinal: Option<i64>,
    retired_at: Option<DateTime<Utc>>,
) -> StoreResult<()> {
    questions::Entity::update_many()
        .col_expr(questions::Column::Ordinal, Expr::value(ordinal))
        .col_expr(questions::Column::RetiredAt, Expr::value(retired_at))
        .filter(questions::Column::Id.eq(id))
        .exec(connection)
        .await
        .during("moving a question")?;
    Ok(())
}
