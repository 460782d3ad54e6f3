//! The rules once more, as naively as possible: every number is counted anew from the list of what a
//! player did. Slow, and written apart from the fold, so that both are not wrong in the same way.

use chrono::{DateTime, Utc};
use trivia_domain::model::{
    AchievementDefinition, AchievementId, AchievementRule, Board, DayKey, Difficulty, Points, SessionKind, Tally,
    UserAchievement, UserId, UserProfile,
};

/// What a player did.
#[derive(Debug, Clone)]
pub(crate) enum What {
    Answer(Answer),
    Award(i64),
    Grant(AchievementId),
    Reset,
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) correct: bool,
    pub(crate) points: i64,
    pub(crate) difficulty: Difficulty,
    pub(crate) category: &'static str,
    /// The challenge that it completes.
    pub(crate) completes: Option<SessionKind>,
}

impl What {
    /// An answer to an easy statement of a normal session.
    pub(crate) fn answer(correct: bool, points: i64) -> Self {
        let (difficulty, category) = (Difficulty::Easy, "General");
        Self::Answer(Answer { correct, points, difficulty, category, completes: None })
    }

    /// Points without bonuses.
    pub(crate) fn points(&self) -> i64 {
        match self {
            Self::Answer(answer) => answer.points,
            Self::Award(points) => *points,
            Self::Grant(_) | Self::Reset => 0,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) at: DateTime<Utc>,
    pub(crate) what: What,
}

/// A player and all that he did, in order.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    pub(crate) user: UserId,
    created_at: DateTime<Utc>,
    pub(crate) events: Vec<Event>,
}

/// What must be stored about a player.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) profile: UserProfile,
    /// In the order in which they were unlocked.
    pub(crate) achievements: Vec<UserAchievement>,
    /// What the last event unlocked.
    pub(crate) unlocked: Vec<AchievementId>,
}

fn count(events: &[Event], wanted: impl Fn(&Answer) -> bool) -> u64 {
    answers(events).filter(|(_, answer)| wanted(answer)).count() as u64
}

fn answers(events: &[Event]) -> impl DoubleEndedIterator<Item = (DateTime<Utc>, &Answer)> {
    events.iter().filter_map(|event| match &event.what {
        What::Answer(answer) => Some((event.at, answer)),
        _ => None,
    })
}

/// Lengths of the runs of items that go together, in order.
fn runs<T>(items: &[T], together: impl Fn(&T, &T) -> bool) -> Vec<u64> {
    items.chunk_by(together).map(|run| run.len() as u64).collect()
}

/// The last run of right answers, and the longest one.
fn streaks(events: &[Event]) -> (u64, u64) {
    let right: Vec<bool> = answers(events).map(|(_, answer)| answer.correct).collect();
    let current = right.iter().rev().take_while(|right| **right).count() as u64;
    let best = right.split(|right| !right).map(<[bool]>::len).max().unwrap_or(0) as u64;
    (current, best)
}

/// The days with an answer; late answers for earlier days change nothing.
fn days(events: &[Event]) -> Vec<DayKey> {
    let mut days: Vec<DayKey> = Vec::new();
    for (at, _) in answers(events) {
        let day = DayKey::of(at);
        if days.iter().all(|earlier| *earlier < day) {
            days.push(day);
        }
    }
    days
}

impl Player {
    pub(crate) fn new(user: UserId, created_at: DateTime<Utc>) -> Self {
        Self { user, created_at, events: Vec::new() }
    }

    /// What the player did since he last started over.
    fn current(&self) -> &[Event] {
        let resets = self.events.iter().rposition(|event| matches!(event.what, What::Reset));
        &self.events[resets.map_or(0, |at| at + 1)..]
    }

    /// Sums over the answers that are wanted.
    pub(crate) fn tally(&self, wanted: impl Fn(&Answer) -> bool) -> Tally {
        let events = self.current();
        let points = answers(events).filter(|(_, answer)| wanted(answer)).map(|(_, answer)| answer.points).sum();
        Tally {
            answered: count(events, &wanted),
            correct: count(events, |answer| answer.correct && wanted(answer)),
            points: Points::new(points).unwrap(),
        }
    }

    /// The last ten answers, newest first.
    pub(crate) fn recent(&self) -> Vec<(bool, i64, DateTime<Utc>)> {
        answers(&self.events).rev().take(10).map(|(at, answer)| (answer.correct, answer.points, at)).collect()
    }

    /// Points, answers, right answers and when the points were reached within a period.
    pub(crate) fn on_board(&self, board: Board) -> Option<(i64, u64, u64, DateTime<Utc>)> {
        let Board::Period { period, start } = board else { return None };
        let within = |event: &&Event| period.start(DayKey::of(event.at)) == start;
        let events: Vec<Event> = self.current().iter().filter(within).cloned().collect();
        let points: i64 = events.iter().map(|event| event.what.points()).sum();
        let last = events.iter().rfind(|event| event.what.points() > 0)?;
        Some((points, count(&events, |_| true), count(&events, |answer| answer.correct), last.at))
    }

    /// What is stored after the last event. Achievements depend on what was there when they were
    /// unlocked, so this goes through all events and counts from the start each time.
    pub(crate) fn replay(&self, definitions: &[AchievementDefinition]) -> Expected {
        let mut profile = UserProfile::new(self.user, self.created_at);
        let mut achievements: Vec<UserAchievement> = Vec::new();
        let mut unlocked = Vec::new();
        for seq in 1..=self.events.len() {
            let event = &self.events[seq - 1];
            let so_far = Self { events: self.events[..seq].to_vec(), ..*self };
            if matches!(event.what, What::Reset) {
                achievements.clear();
                profile.points_reached_at = None;
            }
            let without_bonuses: i64 = so_far.current().iter().map(|event| event.what.points()).sum();
            let paid = |achievements: &[UserAchievement]| -> i64 { achievements.iter().map(|a| a.bonus.get()).sum() };
            profile = so_far.profile(without_bonuses + paid(&achievements), profile.points_reached_at);

            let granted = definitions.iter().filter(|d| matches!(&event.what, What::Grant(id) if *id == d.id));
            let earned = definitions.iter().filter(|d| so_far.has_earned(d.rule, &profile));
            let is_reset = matches!(event.what, What::Reset);
            unlocked.clear();
            for definition in granted.chain(earned).filter(|_| !is_reset).collect::<Vec<_>>() {
                if achievements.iter().all(|owned| owned.achievement_id != definition.id) {
                    unlocked.push(definition.id.clone());
                    achievements.push(UserAchievement {
                        user_id: self.user,
                        achievement_id: definition.id.clone(),
                        seq: seq as u64,
                        unlocked_at: event.at,
                        bonus: definition.bonus,
                    });
                }
            }
            profile.total_points = Points::new(without_bonuses + paid(&achievements)).unwrap();
            let gained = event.what.points() + paid(&achievements[achievements.len() - unlocked.len()..]);
            if gained > 0 {
                profile.points_reached_at = Some(event.at);
            }
        }
        Expected { profile, achievements, unlocked }
    }

    fn profile(&self, total: i64, reached_at: Option<DateTime<Utc>>) -> UserProfile {
        let events = self.current();
        let (current_streak, best_streak) = streaks(events);
        let days = days(events);
        let day_runs = runs(&days, |earlier, later| later.follows(*earlier));
        let challenges = |kind| count(events, |answer| answer.completes == Some(kind));
        let completed = |kind| {
            let last = answers(events).rfind(|(_, answer)| answer.completes == Some(kind));
            last.map(|(at, _)| DayKey::of(at))
        };
        UserProfile {
            user_id: self.user,
            last_seq: self.events.len() as u64,
            total_points: Points::new(total).unwrap(),
            points_reached_at: reached_at,
            questions_answered: count(events, |_| true),
            questions_correct: count(events, |answer| answer.correct),
            current_streak,
            best_streak,
            day_streak: day_runs.last().copied().unwrap_or(0),
            best_day_streak: day_runs.iter().copied().max().unwrap_or(0),
            last_day: days.last().copied(),
            // these two outlive a reset
            last_played: answers(&self.events).map(|(at, _)| at).max(),
            preferred_difficulty: answers(&self.events).next_back().map(|(_, answer)| {
                match (answer.correct, answer.difficulty) {
                    (true, difficulty) => difficulty,
                    (false, Difficulty::Hard) => Difficulty::Medium,
                    (false, _) => Difficulty::Easy,
                }
            }),
            daily_challenges: challenges(SessionKind::Daily),
            weekly_challenges: challenges(SessionKind::Weekly),
            daily_challenge_completed: completed(SessionKind::Daily),
            weekly_challenge_completed: completed(SessionKind::Weekly),
            created_at: self.created_at,
        }
    }

    fn has_earned(&self, rule: AchievementRule, profile: &UserProfile) -> bool {
        match rule {
            AchievementRule::Streak { at_least } => profile.current_streak >= at_least,
            AchievementRule::DayStreak { at_least } => profile.day_streak >= at_least,
            AchievementRule::TotalPoints { at_least } => profile.total_points.get() >= i64::try_from(at_least).unwrap(),
            AchievementRule::Answered { at_least } => profile.questions_answered >= at_least,
            AchievementRule::Accuracy { percent, answered } => {
                profile.questions_answered >= answered
                    && profile.questions_correct * 100 >= percent * profile.questions_answered
            }
            AchievementRule::DifficultyCorrect { difficulty, at_least } => {
                self.tally(|answer| answer.difficulty == difficulty).correct >= at_least
            }
            AchievementRule::DailyChallenges { at_least } => profile.daily_challenges >= at_least,
            AchievementRule::WeeklyChallenges { at_least } => profile.weekly_challenges >= at_least,
            _ => panic!("a rule that the model does not know: {rule:?}"),
        }
    }
}
