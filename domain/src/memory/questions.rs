use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{State, Tables};
use crate::error::{StoreError, StoreResult};
use crate::model::{
    Category, ContentKey, Difficulty, Labels, Language, Pack, PackName, Page, Question, QuestionContent, QuestionId,
    QuestionKind, StemKey, Tag,
};
use crate::play::choose;
use crate::ports::{AddOutcome, PickOwner, PickRequest, QuestionFilter, QuestionGroup, QuestionRepository};

type Group = (Category, Difficulty, QuestionKind, Language);

fn group_of(content: &QuestionContent) -> Group {
    (content.category().clone(), content.difficulty(), content.kind(), content.language().clone())
}

/// The newest versions of all questions, and what finds them.
#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    questions: BTreeMap<QuestionId, Question>,
    /// What can be picked; the place in a group is the question's ordinal.
    groups: BTreeMap<Group, Vec<QuestionId>>,
    by_content: HashMap<ContentKey, QuestionId>,
    by_stem: HashMap<StemKey, BTreeSet<QuestionId>>,
    pub(super) packs: BTreeMap<PackName, Pack>,
    labels: BTreeMap<QuestionId, Labels>,
}

impl Shelf {
    /// Adds to the counters of questions: how often they were answered, and answered right.
    pub(super) fn count(&mut self, counters: &BTreeMap<QuestionId, (u64, u64)>) {
        for (id, (asked, correct)) in counters {
            if let Some(question) = self.questions.get_mut(id) {
                question.times_asked += asked;
                question.times_correct += correct;
            }
        }
    }

    /// Takes back an answer that was counted.
    pub(super) fn uncount(&mut self, id: QuestionId, correct: bool) {
        if let Some(question) = self.questions.get_mut(&id) {
            question.times_asked -= 1;
            question.times_correct -= u64::from(correct);
        }
    }

    /// Sizes of the groups, in order.
    pub(super) fn groups(&self) -> Vec<QuestionGroup> {
        let groups = self.groups.iter().map(|((category, difficulty, kind, language), ids)| QuestionGroup {
            category: category.clone(),
            difficulty: *difficulty,
            kind: *kind,
            language: language.clone(),
            size: ids.len() as u64,
        });
        groups.collect()
    }

    /// How many questions a pack has.
    pub(super) fn size_of(&self, pack: &PackName) -> u64 {
        self.labels.values().filter(|labels| labels.packs.contains(pack)).count() as u64
    }

    fn is_meant(&self, filter: &QuestionFilter, question: &Question) -> bool {
        let content = &question.content;
        let none = Labels::default();
        filter.matches(content.category(), content.difficulty(), content.kind(), content.language())
            && filter.matches_labels(self.labels.get(&question.id).unwrap_or(&none))
    }

    /// What can be picked, in the order of places: with a label in the order of ids, else group by group.
    fn matching(&self, filter: &QuestionFilter) -> Vec<QuestionId> {
        if filter.is_by_label() {
            let open = self.questions.values().filter(|question| question.retired_at.is_none());
            return open.filter(|question| self.is_meant(filter, question)).map(|question| question.id).collect();
        }
        let groups = self.groups.iter();
        let groups = groups.filter(|((category, difficulty, kind, language), _)| {
            filter.matches(category, *difficulty, *kind, language)
        });
        groups.flat_map(|(_, ids)| ids).copied().collect()
    }

    /// Adds labels, all or none.
    fn label(&mut self, labels: Vec<(QuestionId, Labels)>) -> StoreResult<()> {
        for (id, labels) in &labels {
            self.get(*id)?;
            if let Some(unknown) = labels.packs.iter().find(|name| !self.packs.contains_key(name)) {
                return Err(StoreError::missing("pack", unknown));
            }
        }
        for (id, Labels { tags, packs }) in labels {
            let known = self.labels.entry(id).or_default();
            known.tags.extend(tags);
            known.packs.extend(packs);
        }
        Ok(())
    }

    pub(super) fn get(&self, id: QuestionId) -> StoreResult<&Question> {
        self.questions.get(&id).ok_or_else(|| StoreError::missing("question", id))
    }

    /// Another question with the same stem that says something else is right.
    fn contradicted_by(&self, content: &QuestionContent) -> Option<QuestionId> {
        let same_stem = self.by_stem.get(&content.stem_key())?;
        let truth = content.truth();
        same_stem.iter().copied().find(|id| self.questions.get(id).is_some_and(|other| other.content.truth() != truth))
    }

    fn insert(&mut self, question: Question) {
        let (id, content) = (question.id, &question.content);
        self.by_content.insert(content.content_key(), id);
        self.by_stem.entry(content.stem_key()).or_default().insert(id);
        self.questions.insert(id, question);
    }

    /// Appends a question to its group.
    fn offer(&mut self, id: QuestionId, group: Group) {
        self.groups.entry(group).or_default().push(id);
    }

    /// Takes a question out of its group; the last one of the group gets its ordinal, so that none is free.
    fn withdraw(&mut self, id: QuestionId, group: &Group) {
        if let Some(ids) = self.groups.get_mut(group) {
            if let Some(at) = ids.iter().position(|other| *other == id) {
                ids.swap_remove(at);
            }
            if ids.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    fn replace(&mut self, id: QuestionId, content: QuestionContent) -> StoreResult<Question> {
        let old = self.get(id)?.clone();
        if old.content == content {
            return Ok(old);
        }
        if let Some(other) = self.by_content.get(&content.content_key()).filter(|other| **other != id) {
            return Err(StoreError::conflict("question", other));
        }
        self.by_content.remove(&old.content.content_key());
        if let Some(same_stem) = self.by_stem.get_mut(&old.content.stem_key()) {
            same_stem.remove(&id);
        }
        let (old_group, group) = (group_of(&old.content), group_of(&content));
        if old.retired_at.is_none() && old_group != group {
            self.withdraw(id, &old_group);
            self.offer(id, group);
        }
        let question = Question { version: old.version + 1, content, ..old };
        self.insert(question.clone());
        Ok(question)
    }

    /// Retires a question at an instant, or restores it; nothing changes when it is so already.
    fn set_retired(&mut self, id: QuestionId, retired_at: Option<DateTime<Utc>>) -> StoreResult<()> {
        let question = self.questions.get_mut(&id).ok_or_else(|| StoreError::missing("question", id))?;
        if question.retired_at.is_some() == retired_at.is_some() {
            return Ok(());
        }
        question.retired_at = retired_at;
        let group = group_of(&question.content);
        match retired_at {
            Some(_) => self.withdraw(id, &group),
            None => self.offer(id, group),
        }
        Ok(())
    }
}

impl State {
    /// Tells the rules of the game which version is the newest and what it says.
    fn publish(&mut self, question: &Question) {
        self.play.versions.insert(question.id, question.version);
        self.play.contents.insert((question.id, question.version), question.content.clone());
    }

    fn add(&mut self, content: QuestionContent, created_at: DateTime<Utc>) -> StoreResult<AddOutcome> {
        if let Some(of) = self.questions.by_content.get(&content.content_key()) {
            return Ok(AddOutcome::Duplicate { of: *of });
        }
        let contradicted = self.questions.contradicted_by(&content);
        let last = self.questions.questions.last_key_value().map_or(0, |(id, _)| id.get());
        let id = QuestionId::try_from(last.unsigned_abs() + 1)?;
        let question =
            Question { id, version: 1, content, times_asked: 0, times_correct: 0, created_at, retired_at: None };
        self.publish(&question);
        self.questions.offer(id, group_of(&question.content));
        self.questions.insert(question);
        Ok(contradicted.map_or(AddOutcome::Added { id }, |with| AddOutcome::Contradiction { id, with }))
    }

    pub(super) fn pick(&self, request: &PickRequest) -> StoreResult<Vec<Question>> {
        let (_, picked) = self.choose(&[], request)?;
        Ok(picked)
    }

    /// Picks without repeats, and remembers what was picked.
    fn pick_for(&mut self, owner: PickOwner, request: &PickRequest) -> StoreResult<Vec<Question>> {
        let mut seen = self.picks.get(&owner).cloned().unwrap_or_default();
        let (starts_over, picked) = self.choose(&seen, request)?;
        if starts_over {
            let shelf = &self.questions;
            seen.retain(|id| !shelf.questions.get(id).is_some_and(|one| shelf.is_meant(&request.filter, one)));
        }
        let fresh: Vec<QuestionId> = picked.iter().map(|question| question.id).collect();
        seen.retain(|id| !fresh.contains(id));
        seen.extend(fresh);
        self.picks.insert(owner, seen);
        Ok(picked)
    }

    /// Whether what matches is to be forgotten, and the questions that are chosen.
    fn choose(&self, seen: &[QuestionId], request: &PickRequest) -> StoreResult<(bool, Vec<Question>)> {
        let shelf = &self.questions;
        let matching = shelf.matching(&request.filter);
        let places: HashMap<QuestionId, u64> = matching.iter().copied().zip(0..).collect();
        let excluded: HashSet<u64> = request.exclude.iter().filter_map(|id| places.get(id)).copied().collect();
        let seen: Vec<u64> = seen.iter().filter_map(|id| places.get(id)).copied().collect();
        let choice = choose(matching.len() as u64, &excluded, &seen, request)?;
        let ids = choice.places.into_iter().filter_map(|place| matching.get(usize::try_from(place).ok()?));
        let picked = ids.map(|id| shelf.get(*id).cloned()).collect::<StoreResult<_>>()?;
        Ok((choice.starts_over, picked))
    }
}

#[async_trait]
impl QuestionRepository for Tables {
    async fn find(&self, id: QuestionId) -> StoreResult<Option<Question>> {
        Ok(self.read().questions.questions.get(&id).cloned())
    }

    async fn get(&self, id: QuestionId) -> StoreResult<Question> {
        self.read().questions.get(id).cloned()
    }

    async fn version(&self, id: QuestionId, version: u32) -> StoreResult<QuestionContent> {
        let state = self.read();
        let content = state.play.contents.get(&(id, version)).cloned();
        content.ok_or_else(|| StoreError::missing("version of a question", format!("{id}/{version}")))
    }

    async fn list(&self, filter: &QuestionFilter, page: Page) -> StoreResult<Vec<Question>> {
        let state = self.read();
        let shelf = &state.questions;
        let rest = shelf.questions.values().filter(|question| page.after.is_none_or(|after| question.id.get() > after));
        let matching = rest.filter(|question| shelf.is_meant(filter, question));
        Ok(matching.take(page.limit as usize).cloned().collect())
    }

    async fn groups(&self) -> StoreResult<Vec<QuestionGroup>> {
        Ok(self.read().questions.groups())
    }

    async fn pick(&self, request: &PickRequest) -> StoreResult<Vec<Question>> {
        match request.scope {
            None => self.read().pick(request),
            Some(scope) => self.write().pick_for(scope.of, request),
        }
    }

    async fn add(&self, contents: Vec<QuestionContent>) -> StoreResult<Vec<AddOutcome>> {
        let mut state = self.write();
        let created_at = self.clock.now();
        contents.into_iter().map(|content| state.add(content, created_at)).collect()
    }

    async fn update(&self, id: QuestionId, content: QuestionContent) -> StoreResult<Question> {
        let mut state = self.write();
        let question = state.questions.replace(id, content)?;
        state.publish(&question);
        Ok(question)
    }

    async fn retire(&self, id: QuestionId) -> StoreResult<()> {
        self.write().questions.set_retired(id, Some(self.clock.now()))
    }

    async fn restore(&self, id: QuestionId) -> StoreResult<()> {
        self.write().questions.set_retired(id, None)
    }

    async fn labels(&self, ids: &[QuestionId]) -> StoreResult<BTreeMap<QuestionId, Labels>> {
        let state = self.read();
        let labels = ids.iter().filter_map(|id| Some((*id, state.questions.labels.get(id)?.clone())));
        Ok(labels.filter(|(_, labels)| !labels.is_empty()).collect())
    }

    async fn label(&self, labels: Vec<(QuestionId, Labels)>) -> StoreResult<()> {
        self.write().questions.label(labels)
    }

    async fn set_tags(&self, id: QuestionId, tags: BTreeSet<Tag>) -> StoreResult<()> {
        let mut state = self.write();
        state.questions.get(id)?;
        state.questions.labels.entry(id).or_default().tags = tags;
        Ok(())
    }
}
