use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::error::StoreResult;
use crate::model::{
    Category, ChannelId, Difficulty, Labels, Language, PackName, Page, Question, QuestionContent, QuestionId,
    QuestionKind, Tag, UserId,
};

/// Questions: a store of its own kind, where the same question is kept once.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait QuestionRepository: Send + Sync {
    /// The newest version, retired or not; `None` when there is no such question.
    async fn find(&self, id: QuestionId) -> StoreResult<Option<Question>>;

    /// The newest version, retired or not.
    ///
    /// Returns `Missing` when there is no such question.
    async fn get(&self, id: QuestionId) -> StoreResult<Question>;

    /// What an earlier version says, or the newest: a session goes on asking the version that it started
    /// with.
    ///
    /// Returns `Missing` when there is no such question or version.
    async fn version(&self, id: QuestionId, version: u32) -> StoreResult<QuestionContent>;

    /// Questions that match, in order of id.
    async fn list(&self, filter: &QuestionFilter, page: Page) -> StoreResult<Vec<Question>>;

    /// Sizes of the groups that can be picked from: category, difficulty, kind and language, without
    /// retired questions, in that order.
    async fn groups(&self) -> StoreResult<Vec<QuestionGroup>>;

    /// Draws questions, each at most once, uniformly over what matches and is neither retired nor
    /// excluded. The same seed on the same questions draws the same.
    ///
    /// With a scope, what was picked for its owner before is left out too, and what is returned is
    /// remembered in the same transaction: two picks at once never give one owner the same question,
    /// and a work that fails forgets its picks. The same seed on the same questions and picks draws
    /// the same. The cost grows with the owner's picks, because all of them are looked up, and not
    /// with the number of all questions.
    ///
    /// With a tag or a pack in the filter the ids of all questions that have it are read, so the cost
    /// grows with their number, too.
    ///
    /// Returns `Refused(NotEnoughQuestions)` when fewer match, or when the scope says so; then nothing
    /// is remembered or forgotten.
    async fn pick(&self, request: &PickRequest) -> StoreResult<Vec<Question>>;

    /// Adds questions, all or none, and says of each what became of it, in the same order.
    /// A question that is there already, retired or not, is not added again; one that contradicts
    /// another is added.
    async fn add(&self, contents: Vec<QuestionContent>) -> StoreResult<Vec<AddOutcome>>;

    /// Replaces the content: the version grows by one, past answers keep theirs. Content equal to
    /// the present one changes nothing.
    ///
    /// Returns `Missing` when there is no such question, `Conflict` when another question has this
    /// content.
    async fn update(&self, id: QuestionId, content: QuestionContent) -> StoreResult<Question>;

    /// Takes the question out of picking; facts about it stay. Retiring twice is retiring once.
    ///
    /// Returns `Missing` when there is no such question.
    async fn retire(&self, id: QuestionId) -> StoreResult<()>;

    /// Puts a retired question back. Restoring twice is restoring once.
    ///
    /// Returns `Missing` when there is no such question.
    async fn restore(&self, id: QuestionId) -> StoreResult<()>;

    /// Tags and packs of questions; those that have none, or do not exist, are left out.
    async fn labels(&self, ids: &[QuestionId]) -> StoreResult<BTreeMap<QuestionId, Labels>>;

    /// Adds tags to questions and questions to packs, all or none; what is there stays. In one work with
    /// [`Self::add`] both happen or neither.
    ///
    /// Returns `Missing` when there is no such question or pack.
    async fn label(&self, labels: Vec<(QuestionId, Labels)>) -> StoreResult<()>;

    /// Puts these tags in the place of all tags of a question.
    ///
    /// Returns `Missing` when there is no such question.
    async fn set_tags(&self, id: QuestionId, tags: BTreeSet<Tag>) -> StoreResult<()>;
}

/// Which questions are meant; an empty filter means all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuestionFilter {
    /// Only this category.
    pub category: Option<Category>,
    /// Only this difficulty.
    pub difficulty: Option<Difficulty>,
    /// Only this kind.
    pub kind: Option<QuestionKind>,
    /// Only this language; `pt` is not `pt-br`.
    pub language: Option<Language>,
    /// Only with this tag.
    #[serde(default)]
    pub tag: Option<Tag>,
    /// Only of this pack.
    #[serde(default)]
    pub pack: Option<PackName>,
}

impl QuestionFilter {
    /// Whether labels decide, and not only what a question says.
    #[must_use]
    pub const fn is_by_label(&self) -> bool {
        self.tag.is_some() || self.pack.is_some()
    }

    /// Whether a question with these labels is meant.
    #[must_use]
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.tag.as_ref().is_none_or(|wanted| labels.tags.contains(wanted))
            && self.pack.as_ref().is_none_or(|wanted| labels.packs.contains(wanted))
    }

    /// Whether a question of this category, difficulty, kind and language is meant.
    ///
    /// ```
    /// use trivia_domain::model::{Category, Difficulty, Language, QuestionKind};
    /// use trivia_domain::ports::QuestionFilter;
    /// let icelandic = QuestionFilter { language: Some(Language::new("is")?), ..QuestionFilter::default() };
    /// let category = Category::new("Nature")?;
    /// let is_asked = |tag| Ok::<_, trivia_domain::StoreError>(icelandic.matches(
    ///     &category, Difficulty::Easy, QuestionKind::TrueFalse, &Language::new(tag)?,
    /// ));
    /// assert!(is_asked("IS")?);
    /// assert!(!is_asked("en")?);
    /// # Ok::<(), trivia_domain::StoreError>(())
    /// ```
    #[must_use]
    pub fn matches(
        &self,
        category: &Category,
        difficulty: Difficulty,
        kind: QuestionKind,
        language: &Language,
    ) -> bool {
        self.category.as_ref().is_none_or(|wanted| wanted == category)
            && self.difficulty.is_none_or(|wanted| wanted == difficulty)
            && self.kind.is_none_or(|wanted| wanted == kind)
            && self.language.as_ref().is_none_or(|wanted| wanted == language)
    }
}

/// What to draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PickRequest {
    /// From which questions.
    pub filter: QuestionFilter,
    /// How many.
    pub count: u32,
    /// Which ones not.
    pub exclude: Vec<QuestionId>,
    /// Chance: take it from a [`RandomSource`](super::RandomSource).
    pub seed: u64,
    /// For whom no question may come twice; `None` remembers nothing.
    pub scope: Option<PickScope>,
}

/// Picking without repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PickScope {
    /// Whose picks are remembered.
    pub of: PickOwner,
    /// What happens when too few questions are left that were not picked before.
    pub exhausted: WhenExhausted,
}

/// Whose picks are remembered; each owner has a memory of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PickOwner {
    /// One player, wherever he plays.
    Player(UserId),
    /// One channel, whoever plays there.
    Channel(ChannelId),
}

/// What happens when fewer questions than wanted match and were not picked before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenExhausted {
    /// The pick is refused.
    Error,
    /// What was not picked before comes first, then what was picked longest ago.
    ReuseOldest,
    /// The owner's picks that match the filter are forgotten, and all that match can be picked again.
    Reset,
}

/// How many questions can be picked of one category, difficulty, kind and language.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QuestionGroup {
    /// The category.
    pub category: Category,
    /// The difficulty.
    pub difficulty: Difficulty,
    /// The kind.
    pub kind: QuestionKind,
    /// The language.
    pub language: Language,
    /// How many.
    pub size: u64,
}

/// What became of a question that was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddOutcome {
    /// It is new.
    Added {
        /// Its id.
        id: QuestionId,
    },
    /// It was there already.
    Duplicate {
        /// The one that stays.
        of: QuestionId,
    },
    /// It is new, and another question with the same stem says that something else is right.
    Contradiction {
        /// Its id.
        id: QuestionId,
        /// The other one; the oldest if there are several.
        with: QuestionId,
    },
}

impl AddOutcome {
    /// The question that is in the store now, new or not.
    #[must_use]
    pub const fn question(self) -> QuestionId {
        match self {
            Self::Added { id } | Self::Duplicate { of: id } | Self::Contradiction { id, .. } => id,
        }
    }
}
