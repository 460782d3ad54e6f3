//! The pure fold: state and fact in, new state out.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveTime, Utc};

use super::RuleBook;
use crate::error::{StoreError, StoreResult};
use crate::model::{
    AchievementId, AnswerFact, Calendar, Category, ChallengeAnswer, ChallengeAttempt, ChallengeId, ChallengeKind,
    DayKey, Difficulty, Fact, InChallenge, LedgerEntry, OpeningBalance, Period, PeriodScore, Points, Receipt, Tally,
    UserAchievement, UserId, UserProfile,
};

/// What a tally is kept for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// Answers of one difficulty.
    Difficulty(Difficulty),
    /// Answers of one category.
    Category(Category),
}

/// Everything about one player that follows from the ledger.
///
/// A store may hold only a part of `tallies`, `scores` and `challenges` here: what the facts to come touch.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayerState {
    /// The profile.
    pub profile: UserProfile,
    /// Achievements that the player has.
    pub achievements: BTreeMap<AchievementId, UserAchievement>,
    /// Sums per difficulty and category.
    pub tallies: BTreeMap<Dimension, Tally>,
    /// Sums per period, by its first day.
    pub scores: BTreeMap<(Period, DayKey), PeriodScore>,
    /// Attempts at challenges.
    pub challenges: BTreeMap<ChallengeId, ChallengeAttempt>,
}

impl PlayerState {
    /// A player who has not played.
    #[must_use]
    pub fn new(user_id: UserId, created_at: DateTime<Utc>) -> Self {
        Self {
            profile: UserProfile::new(user_id, created_at),
            achievements: BTreeMap::new(),
            tallies: BTreeMap::new(),
            scores: BTreeMap::new(),
            challenges: BTreeMap::new(),
        }
    }

    fn add_points(&mut self, points: Points, at: DateTime<Utc>) -> StoreResult<()> {
        if points > Points::ZERO {
            self.profile.total_points = self.profile.total_points.plus(points)?;
            self.profile.points_reached_at = Some(at);
        }
        Ok(())
    }

    fn score(
        &mut self,
        at: DateTime<Utc>,
        calendar: &Calendar,
        mut change: impl FnMut(&mut Tally) -> StoreResult<()>,
    ) -> StoreResult<()> {
        for period in Period::ALL {
            let score = self
                .scores
                .entry((period, calendar.start_at(period, at)))
                .or_insert_with(|| PeriodScore { tally: Tally::default(), reached_at: at });
            let before = score.tally.points;
            change(&mut score.tally)?;
            if score.tally.points > before {
                score.reached_at = at;
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: &AnswerFact, entry: &LedgerEntry, calendar: &Calendar) -> StoreResult<()> {
        let (correct, points, at, day) = (answer.correct, answer.points, entry.at, entry.day);
        self.add_points(points, at)?;
        self.score(at, calendar, |tally| tally.add(correct, points))?;
        for dimension in [Dimension::Difficulty(answer.difficulty), Dimension::Category(answer.category.clone())] {
            self.tallies.entry(dimension).or_default().add(correct, points)?;
        }
        let profile = &mut self.profile;
        profile.questions_answered += 1;
        profile.questions_correct += u64::from(correct);
        profile.current_streak = if correct { profile.current_streak + 1 } else { 0 };
        profile.best_streak = profile.best_streak.max(profile.current_streak);
        profile.last_played = profile.last_played.max(Some(at));
        profile.preferred_difficulty = Some(if correct { answer.difficulty } else { answer.difficulty.easier() });
        if profile.last_day.is_none_or(|last| day > last) {
            let continues = profile.last_day.is_some_and(|last| day.follows(last));
            profile.day_streak = if continues { profile.day_streak + 1 } else { 1 };
            profile.best_day_streak = profile.best_day_streak.max(profile.day_streak);
            profile.last_day = Some(day);
        }
        if let Some(challenge) = answer.challenge {
            self.attempt(challenge, answer, at, calendar.day(at));
        }
        Ok(())
    }

    /// Counts an answer of a challenge; the last one completes it.
    fn attempt(&mut self, challenge: InChallenge, answer: &AnswerFact, at: DateTime<Utc>, day: DayKey) {
        let InChallenge { id, size } = challenge;
        let user = self.profile.user_id;
        let attempt = self.challenges.entry(id).or_insert_with(|| ChallengeAttempt::new(user, id, size));
        let AnswerFact { question_id, correct, points, .. } = *answer;
        attempt.answers.push(ChallengeAnswer { question_id, correct, points });
        if attempt.answers.len() < attempt.size as usize {
            return;
        }
        attempt.completed_at = Some(at);
        let profile = &mut self.profile;
        match id.kind {
            ChallengeKind::Daily => {
                profile.daily_challenges += 1;
                profile.daily_challenge_completed = Some(day);
            }
            ChallengeKind::Weekly => {
                profile.weekly_challenges += 1;
                profile.weekly_challenge_completed = Some(day);
            }
        }
    }

    /// Gives an achievement once and pays its bonus.
    fn unlock(&mut self, id: &AchievementId, bonus: Points, entry: &LedgerEntry) -> StoreResult<bool> {
        if self.achievements.contains_key(id) {
            return Ok(false);
        }
        self.add_points(bonus, entry.at)?;
        let unlocked = UserAchievement {
            user_id: entry.user_id,
            achievement_id: id.clone(),
            seq: entry.seq,
            unlocked_at: entry.at,
            bonus,
        };
        self.achievements.insert(id.clone(), unlocked);
        Ok(true)
    }

    fn open(&mut self, balance: &OpeningBalance, entry: &LedgerEntry, calendar: &Calendar) -> StoreResult<()> {
        self.add_points(balance.total_points, entry.at)?;
        let profile = &mut self.profile;
        profile.questions_answered += balance.questions_answered;
        profile.questions_correct += balance.questions_correct;
        profile.current_streak = balance.current_streak;
        // a player into whom another was merged has been there before
        profile.best_streak = profile.best_streak.max(balance.best_streak);
        profile.last_played = profile.last_played.max(balance.last_played);
        profile.preferred_difficulty = balance.preferred_difficulty.or(profile.preferred_difficulty);
        profile.daily_challenge_completed = profile.daily_challenge_completed.max(balance.daily_challenge_completed);
        profile.weekly_challenge_completed = profile.weekly_challenge_completed.max(balance.weekly_challenge_completed);
        for week in &balance.weekly {
            let monday = DayKey::new(week.week_start.date());
            // nobody knows when, so equal points of a carried week stand in order of the player's id
            let reached_at = monday.date().and_time(NaiveTime::MIN).and_utc();
            let score = self
                .scores
                .entry((Period::Week, calendar.start(Period::Week, monday)))
                .or_insert_with(|| PeriodScore { tally: Tally::default(), reached_at });
            score.tally.points = score.tally.points.plus(week.points)?;
        }
        for achievement in &balance.achievements {
            if self.achievements.contains_key(&achievement.achievement_id) {
                continue;
            }
            let unlocked = UserAchievement {
                user_id: entry.user_id,
                achievement_id: achievement.achievement_id.clone(),
                seq: entry.seq,
                unlocked_at: achievement.unlocked_at,
                // what it paid is part of the points
                bonus: Points::ZERO,
            };
            self.achievements.insert(unlocked.achievement_id.clone(), unlocked);
        }
        Ok(())
    }

    fn reset(&mut self) {
        let fresh = UserProfile {
            last_seq: self.profile.last_seq,
            last_played: self.profile.last_played,
            preferred_difficulty: self.profile.preferred_difficulty,
            time_zone: self.profile.time_zone,
            ..UserProfile::new(self.profile.user_id, self.profile.created_at)
        };
        let challenges = std::mem::take(&mut self.challenges);
        *self = Self { profile: fresh, challenges, ..Self::new(self.profile.user_id, self.profile.created_at) };
    }
}

/// Applies one entry of the ledger to a player's state and says what the player is told.
///
/// Bonuses of achievements that one fact unlocks do not unlock others by the same fact.
///
/// # Errors
/// [`StoreError::Corrupt`] when the entry is not the player's next one,
/// [`Refusal::Overflow`](crate::Refusal::Overflow) when points do not fit. The state is then unusable.
pub fn fold(state: &mut PlayerState, entry: &LedgerEntry, rules: &RuleBook) -> StoreResult<Receipt> {
    let expected = state.profile.last_seq + 1;
    if entry.seq != expected || entry.user_id != state.profile.user_id {
        return Err(StoreError::Corrupt {
            what: format!("ledger of user {}", state.profile.user_id),
            reason: format!("entry {} follows where {expected} was expected", entry.seq),
        });
    }
    state.profile.last_seq = entry.seq;
    let RuleBook { catalog, calendar, .. } = rules;
    let mut due = Vec::new();
    let (mut correct, mut points) = (None, Points::ZERO);
    match &entry.fact {
        Fact::Answer(answer) => {
            (correct, points) = (Some(answer.correct), answer.points);
            state.answer(answer, entry, calendar)?;
        }
        Fact::Award { points: awarded, .. } => {
            points = *awarded;
            state.add_points(points, entry.at)?;
            state.score(entry.at, calendar, |tally| {
                tally.points = tally.points.plus(points)?;
                Ok(())
            })?;
        }
        Fact::Grant { achievement_id } => {
            due.push((achievement_id, catalog.bonus_at(achievement_id, entry.at)));
        }
        Fact::Opening(balance) => {
            points = balance.total_points;
            state.open(balance, entry, calendar)?;
        }
        Fact::Reset => state.reset(),
    }
    if !matches!(entry.fact, Fact::Reset | Fact::Opening(_)) {
        due.extend(catalog.earned_by(state, entry.at).into_iter().map(|definition| (&definition.id, definition.bonus)));
    }
    let mut unlocked = Vec::new();
    for (id, bonus) in due {
        if state.unlock(id, bonus, entry)? {
            unlocked.push(id.clone());
        }
    }
    Ok(Receipt {
        user_id: entry.user_id,
        key: entry.key,
        seq: entry.seq,
        at: entry.at,
        correct,
        points,
        total_points: state.profile.total_points,
        streak: state.profile.current_streak,
        unlocked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{IdempotencyKey, OpeningAchievement, OpeningWeek, WeekStart};

    fn entry(state: &PlayerState, fact: Fact) -> LedgerEntry {
        let at = DateTime::UNIX_EPOCH;
        let seq = state.profile.last_seq + 1;
        let key = IdempotencyKey::new(uuid::Uuid::from_u128(seq.into()));
        LedgerEntry { user_id: state.profile.user_id, seq, key, at, day: DayKey::of(at), fact }
    }

    fn id(name: &str) -> AchievementId {
        AchievementId::new(name).unwrap()
    }

    #[test]
    fn l9_a_bonus_unlocks_others_only_with_the_next_fact() {
        let rules = RuleBook::default();
        let mut state = PlayerState::new(UserId::new(1).unwrap(), DateTime::UNIX_EPOCH);
        let grant = entry(&state, Fact::Grant { achievement_id: id("super_fan") });
        let receipt = fold(&mut state, &grant, &rules).unwrap();
        assert_eq!((receipt.total_points.get(), receipt.unlocked), (1_000, vec![id("super_fan")]));

        let award = entry(&state, Fact::Award { points: Points::ZERO, reason: "next".to_owned() });
        let receipt = fold(&mut state, &award, &rules).unwrap();
        assert_eq!((receipt.total_points.get(), receipt.unlocked), (1_100, vec![id("point_collector")]));
    }

    #[test]
    fn s3_an_achievement_pays_once() {
        let rules = RuleBook::default();
        let mut state = PlayerState::new(UserId::new(1).unwrap(), DateTime::UNIX_EPOCH);
        for _ in 0..3 {
            let grant = entry(&state, Fact::Grant { achievement_id: id("hot_streak") });
            fold(&mut state, &grant, &rules).unwrap();
        }
        assert_eq!(state.profile.total_points.get(), 50);
        assert_eq!(state.achievements.len(), 1);
        assert_eq!(state.achievements[&id("hot_streak")].seq, 1);
    }

    #[test]
    fn l3_an_opening_gives_what_it_lists_and_pays_nothing() {
        let rules = RuleBook::default();
        let mut state = PlayerState::new(UserId::new(1).unwrap(), DateTime::UNIX_EPOCH);
        let week_start = WeekStart::new("2025-09-08".parse().unwrap()).unwrap();
        let unlocked_at = "2025-09-09T16:18:12Z".parse().unwrap();
        let balance = OpeningBalance {
            total_points: Points::small(340),
            best_streak: 5,
            weekly: vec![OpeningWeek { week_start, points: Points::small(100) }],
            achievements: vec![OpeningAchievement { achievement_id: id("hot_streak"), unlocked_at }],
            ..OpeningBalance::default()
        };
        let opening = entry(&state, Fact::Opening(balance));
        let receipt = fold(&mut state, &opening, &rules).unwrap();
        assert_eq!((receipt.points.get(), receipt.total_points.get(), receipt.unlocked), (340, 340, vec![]));
        let tally = Tally { points: Points::small(100), ..Tally::default() };
        let reached_at = "2025-09-08T00:00:00Z".parse().unwrap();
        let week = (Period::Week, DayKey::new(week_start.date()));
        assert_eq!(state.scores, BTreeMap::from([(week, PeriodScore { tally, reached_at })]));
        let unlocked = &state.achievements[&id("hot_streak")];
        assert_eq!((unlocked.seq, unlocked.unlocked_at, unlocked.bonus), (1, unlocked_at, Points::ZERO));

        let grant = entry(&state, Fact::Grant { achievement_id: id("hot_streak") });
        let receipt = fold(&mut state, &grant, &rules).unwrap();
        assert_eq!((receipt.total_points.get(), receipt.unlocked.contains(&id("hot_streak"))), (340, false));
    }

    #[test]
    fn l3_a_ledger_with_a_gap_or_of_another_player_is_corrupt() {
        let rules = RuleBook::default();
        let mut state = PlayerState::new(UserId::new(1).unwrap(), DateTime::UNIX_EPOCH);
        let good = entry(&state, Fact::Reset);
        for bad in [
            LedgerEntry { seq: 2, ..good.clone() },
            LedgerEntry { seq: 0, ..good.clone() },
            LedgerEntry { user_id: UserId::new(2).unwrap(), ..good },
        ] {
            assert!(matches!(fold(&mut state, &bad, &rules), Err(StoreError::Corrupt { .. })));
        }
    }
}
