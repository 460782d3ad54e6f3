//! The achievements that a store plays by.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Dimension, PlayerState};
use crate::error::{StoreError, StoreResult};
use crate::model::{AchievementCategory, AchievementDefinition, AchievementId, AchievementRule, Difficulty, Points};
use crate::ports::AchievementProgress;

/// One definition of an achievement through its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// What is wanted and paid.
    pub definition: AchievementDefinition,
    /// Facts after this instant do not earn it any more: it was replaced or removed.
    pub retired_at: Option<DateTime<Utc>>,
}

impl Revision {
    fn counts_at(&self, at: DateTime<Utc>) -> bool {
        self.retired_at.is_none_or(|retired| at <= retired)
    }
}

/// The achievements, as revisions in the order in which they are looked at; at most one revision of an
/// id is not retired.
///
/// A revision counts as if it had been there from the start, and until it is retired. So a definition
/// that comes later gives the same as one that was always there, whoever has an achievement keeps it
/// when its threshold is raised or it is removed, and one that comes back pays nobody twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog(Vec<Revision>);

impl Catalog {
    /// Builds a catalog from revisions.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when two revisions of one id are not retired.
    pub fn new(revisions: Vec<Revision>) -> StoreResult<Self> {
        for (at, revision) in revisions.iter().enumerate() {
            let id = &revision.definition.id;
            let is_active = |other: &Revision| other.retired_at.is_none() && other.definition.id == *id;
            if is_active(revision) && revisions[..at].iter().any(is_active) {
                return Err(StoreError::conflict("achievement", id));
            }
        }
        Ok(Self(revisions))
    }

    /// All revisions.
    #[must_use]
    pub fn revisions(&self) -> &[Revision] {
        &self.0
    }

    /// The definitions that are not retired.
    pub fn definitions(&self) -> impl Iterator<Item = &AchievementDefinition> {
        self.0.iter().filter(|revision| revision.retired_at.is_none()).map(|revision| &revision.definition)
    }

    /// The definition with this id that is not retired.
    #[must_use]
    pub fn get(&self, id: &AchievementId) -> Option<&AchievementDefinition> {
        self.definitions().find(|definition| definition.id == *id)
    }

    /// Adds a definition, or replaces the one with its id from now on; `false` when it is there already.
    ///
    /// # Errors
    /// As [`AchievementDefinition::checked`].
    pub fn define(&mut self, definition: AchievementDefinition, at: DateTime<Utc>) -> StoreResult<bool> {
        let definition = definition.checked()?;
        if self.get(&definition.id) == Some(&definition) {
            return Ok(false);
        }
        self.retire(&definition.id, at);
        self.0.push(Revision { definition, retired_at: None });
        Ok(true)
    }

    /// Lets nobody earn this achievement any more; `false` when nobody can already.
    pub fn retire(&mut self, id: &AchievementId, at: DateTime<Utc>) -> bool {
        let active = self.0.iter_mut().find(|revision| revision.definition.id == *id && revision.retired_at.is_none());
        let retired = active.is_some();
        if let Some(revision) = active {
            revision.retired_at = Some(at);
        }
        retired
    }

    /// What an achievement pays that is given by hand.
    pub(super) fn bonus_at(&self, id: &AchievementId, at: DateTime<Utc>) -> Points {
        let counts = |revision: &&Revision| revision.definition.id == *id && revision.counts_at(at);
        self.0.iter().find(counts).map(|revision| revision.definition.bonus).unwrap_or_default()
    }

    /// What the state has earned with a fact of this instant and does not have yet.
    pub(super) fn earned_by<'a>(&'a self, state: &PlayerState, at: DateTime<Utc>) -> Vec<&'a AchievementDefinition> {
        self.0
            .iter()
            .filter(|revision| revision.counts_at(at))
            .map(|revision| &revision.definition)
            .filter(|definition| !state.achievements.contains_key(&definition.id))
            .filter(|definition| {
                let (reached, target) = measure(definition.rule, state);
                reached >= target
            })
            .collect()
    }

    /// How far a state is with every definition that is not retired; hidden ones appear once they are unlocked.
    #[must_use]
    pub fn progress(&self, state: &PlayerState) -> Vec<AchievementProgress> {
        self.definitions()
            .map(|definition| {
                let unlocked = state.achievements.contains_key(&definition.id);
                let (reached, target) = measure(definition.rule, state);
                let reached = if unlocked { target } else { reached.min(target) };
                AchievementProgress { definition: definition.clone(), reached, target, unlocked }
            })
            .filter(|progress| progress.unlocked || !progress.definition.hidden)
            .collect()
    }
}

/// What a state has reached of a rule, and what is needed.
fn measure(rule: AchievementRule, state: &PlayerState) -> (u64, u64) {
    let profile = &state.profile;
    match rule {
        AchievementRule::Streak { at_least } => (profile.current_streak, at_least),
        AchievementRule::DayStreak { at_least } => (profile.day_streak, at_least),
        AchievementRule::TotalPoints { at_least } => (profile.total_points.get().unsigned_abs(), at_least),
        AchievementRule::Answered { at_least } => (profile.questions_answered, at_least),
        AchievementRule::Accuracy { percent, answered } => {
            let enough = profile.questions_answered >= answered;
            // compared as whole numbers: 80 of 100 is exactly 80 %
            let accurate = u128::from(profile.questions_correct) * 100
                >= u128::from(percent) * u128::from(profile.questions_answered);
            (
                if enough && accurate { answered } else { profile.questions_answered.min(answered.saturating_sub(1)) },
                answered,
            )
        }
        AchievementRule::DifficultyCorrect { difficulty, at_least } => {
            let tally = state.tallies.get(&Dimension::Difficulty(difficulty));
            (tally.map_or(0, |tally| tally.correct), at_least)
        }
        AchievementRule::DailyChallenges { at_least } => (profile.daily_challenges, at_least),
        AchievementRule::WeeklyChallenges { at_least } => (profile.weekly_challenges, at_least),
    }
}

impl Default for Catalog {
    /// The 18 of the original system.
    fn default() -> Self {
        use AchievementCategory as Group;
        use AchievementRule as Rule;
        let rows: [(&'static str, &'static str, &'static str, Group, Rule, u32); 18] = [
            ("hot_streak", "Hot Streak", "🔥", Group::Streaks, Rule::Streak { at_least: 5 }, 50),
            ("galaxy_expert", "Galaxy Expert", "🌌", Group::Streaks, Rule::Streak { at_least: 10 }, 100),
            ("unstoppable", "Unstoppable", "⚡", Group::Streaks, Rule::Streak { at_least: 20 }, 250),
            ("dedicated_fan", "Dedicated Fan", "📅", Group::Dedication, Rule::DayStreak { at_least: 7 }, 200),
            ("super_fan", "Super Fan", "💫", Group::Dedication, Rule::DayStreak { at_least: 30 }, 1000),
            ("point_collector", "Point Collector", "💰", Group::Points, Rule::TotalPoints { at_least: 1_000 }, 100),
            ("point_master", "Point Master", "💎", Group::Points, Rule::TotalPoints { at_least: 5_000 }, 500),
            ("point_legend", "Point Legend", "👑", Group::Points, Rule::TotalPoints { at_least: 10_000 }, 1000),
            ("trivia_rookie", "Trivia Rookie", "🎓", Group::Participation, Rule::Answered { at_least: 50 }, 50),
            ("trivia_veteran", "Trivia Veteran", "🎖️", Group::Participation, Rule::Answered { at_least: 500 }, 300),
            ("trivia_master", "Trivia Master", "🏆", Group::Participation, Rule::Answered { at_least: 1_000 }, 750),
            (
                "sharp_shooter",
                "Sharp Shooter",
                "🎯",
                Group::Accuracy,
                Rule::Accuracy { percent: 80, answered: 100 },
                200,
            ),
            (
                "perfectionist",
                "Perfectionist",
                "💯",
                Group::Accuracy,
                Rule::Accuracy { percent: 90, answered: 200 },
                500,
            ),
            ("easy_master", "Easy Master", "🟢", Group::Difficulty, difficulty_master(Difficulty::Easy), 100),
            ("medium_master", "Medium Master", "🟡", Group::Difficulty, difficulty_master(Difficulty::Medium), 200),
            ("hard_master", "Hard Master", "🔴", Group::Difficulty, difficulty_master(Difficulty::Hard), 400),
            (
                "daily_challenger",
                "Daily Challenger",
                "☀️",
                Group::Challenges,
                Rule::DailyChallenges { at_least: 10 },
                300,
            ),
            ("weekly_warrior", "Weekly Warrior", "⚔️", Group::Challenges, Rule::WeeklyChallenges { at_least: 5 }, 500),
        ];
        Self(
            rows.into_iter()
                .map(|(id, name, emoji, category, rule, bonus)| AchievementDefinition {
                    id: AchievementId::built_in(id),
                    name: Cow::Borrowed(name),
                    emoji: Cow::Borrowed(emoji),
                    category,
                    rule,
                    bonus: Points::small(bonus),
                    hidden: false,
                })
                .map(|definition| Revision { definition, retired_at: None })
                .collect(),
        )
    }
}

const fn difficulty_master(difficulty: Difficulty) -> AchievementRule {
    AchievementRule::DifficultyCorrect { difficulty, at_least: 100 }
}
