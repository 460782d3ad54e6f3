//! Questions with their tags and packs, which come into the store together or not at all.

use std::collections::BTreeSet;

use async_trait::async_trait;
use trivia_domain::StoreResult;
use trivia_domain::model::{Labels, Pack, PackPart, QuestionContent};
use trivia_domain::ports::{AddOutcome, Store, UnitOfWork, Work, execute};

/// Where questions go: each addition by itself, or all of them in one work.
#[derive(Clone, Copy)]
pub(super) enum Target<'a> {
    Store(&'a dyn Store),
    Work(&'a dyn UnitOfWork),
}

impl Target<'_> {
    /// Writes an addition.
    pub(super) async fn take(self, addition: &Addition) -> StoreResult<Added> {
        match self {
            Self::Store(store) => execute(store, addition).await,
            Self::Work(uow) => addition.run(uow).await,
        }
    }
}

/// What is added together.
#[derive(Default)]
pub(super) struct Addition {
    /// What the caller says about a pack; it goes in the place of what is known.
    pub(super) said: Option<Pack>,
    /// What files say about packs; what is known stays.
    pub(super) declared: Vec<Pack>,
    pub(super) questions: Vec<(QuestionContent, Labels)>,
}

/// What became of an addition.
pub(super) struct Added {
    /// Of each question.
    pub(super) outcomes: Vec<AddOutcome>,
    /// Of each declared pack: which parts were known otherwise.
    pub(super) kept: Vec<Vec<PackPart>>,
}

#[async_trait]
impl Work for Addition {
    type Output = Added;

    async fn run(&self, uow: &dyn UnitOfWork) -> StoreResult<Added> {
        let packs = uow.packs();
        if let Some(said) = &self.said {
            let known = packs.find(said.name()).await?;
            packs.put(known.map_or_else(|| said.clone(), |known| known.changed_by(said))).await?;
        }
        let mut kept = Vec::with_capacity(self.declared.len());
        for declared in &self.declared {
            let known = packs.find(declared.name()).await?.unwrap_or_else(|| Pack::new(declared.name().clone()));
            kept.push(known.differences(declared).collect());
            packs.put(known.completed_by(declared)).await?;
        }
        let named: BTreeSet<_> = self.questions.iter().flat_map(|(_, labels)| &labels.packs).collect();
        for name in named {
            if packs.find(name).await?.is_none() {
                packs.put(Pack::new(name.clone())).await?;
            }
        }
        let contents = self.questions.iter().map(|(content, _)| content.clone()).collect();
        let outcomes = uow.questions().add(contents).await?;
        let labelled = outcomes.iter().zip(&self.questions).filter(|(_, (_, labels))| !labels.is_empty());
        let labelled = labelled.map(|(outcome, (_, labels))| (outcome.question(), labels.clone()));
        uow.questions().label(labelled.collect()).await?;
        Ok(Added { outcomes, kept })
    }
}
