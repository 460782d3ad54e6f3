//! The rules once more, as naively as possible: every number is counted anew from the list of what a
//! player did. Slow, and written apart from the fold, so that both are not wrong in the same way.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Utc};
use trivia_domain::model::{
    AchievementDefinition, AchievementId, AchievementRule, Board, Calendar, ChallengeAnswer, ChallengeAttempt,
    ChallengeId, ChallengeKind, DayKey, Difficulty, Period, Points, QuestionId, SessionId, Tally, TimeZone,
    UserAchievement, UserId, UserProfile,
};
use uuid::Uuid;

/// What an operator decided.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) definitions: Vec<AchievementDefinition>,
    pub(crate) calendar: Calendar,
}

impl Rules {
    /// The day of an instant, for boards and challenges.
    pub(crate) fn day(&self, at: DateTime<Utc>) -> DayKey {
        self.calendar.zone.day(at)
    }

    /// First day of a period: goes back until one starts.
    pub(crate) fn start(&self, period: Period, day: DayKey) -> DayKey {
        let starts = |day: &DayKey| match period {
            Period::Day => true,
            Period::Week => {
                let weekday = day.date().weekday().to_string().to_lowercase();
                self.calendar.week_start.to_string().starts_with(&weekday)
            }
            Period::Month => day.date().day() == 1,
        };
        let mut before = std::iter::successors(Some(day), |day| day.date().pred_opt().map(DayKey::new));
        before.find(starts).unwrap()
    }

    /// The challenge of an instant.
    pub(crate) fn challenge(&self, kind: ChallengeKind, at: DateTime<Utc>) -> ChallengeId {
        let period = if kind == ChallengeKind::Daily { Period::Day } else { Period::Week };
        ChallengeId { kind, starts_on: self.start(period, self.day(at)) }
    }
}

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
    pub(crate) session: SessionId,
    pub(crate) question: QuestionId,
    /// The challenge that it belongs to, and how many questions that has.
    pub(crate) challenge: Option<(ChallengeId, usize)>,
}

impl Answer {
    /// Whether one player cannot have given both.
    fn excludes(&self, other: &Self) -> bool {
        let same_challenge =
            self.challenge.is_some() && self.challenge.map(|(id, _)| id) == other.challenge.map(|(id, _)| id);
        self.question == other.question && (self.session == other.session || same_challenge)
    }
}

impl What {
    /// An answer to an easy statement of a normal session.
    pub(crate) fn answer(correct: bool, points: i64) -> Self {
        let (difficulty, category) = (Difficulty::Easy, "General");
        let (session, question) = (SessionId::new(Uuid::nil()), QuestionId::new(0).unwrap());
        Self::Answer(Answer { correct, points, difficulty, category, session, question, challenge: None })
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
    /// The day where the player was.
    pub(crate) day: DayKey,
    pub(crate) what: What,
}

impl Event {
    fn answer(&self) -> Option<&Answer> {
        if let What::Answer(answer) = &self.what { Some(answer) } else { None }
    }
}

/// A player and all that he did, in order.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    pub(crate) user: UserId,
    pub(crate) zone: TimeZone,
    created_at: DateTime<Utc>,
    pub(crate) events: Vec<Event>,
}

/// What must be stored about a player.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expected {
    pub(crate) profile: UserProfile,
    /// In the order in which they were unlocked.
    pub(crate) achievements: Vec<UserAchievement>,
    /// What the last event unlocked.
    pub(crate) unlocked: Vec<AchievementId>,
}

fn answers(events: &[Event]) -> impl DoubleEndedIterator<Item = (&Event, &Answer)> {
    events.iter().filter_map(|event| event.answer().map(|answer| (event, answer)))
}

fn count(events: &[Event], wanted: impl Fn(&Answer) -> bool) -> u64 {
    answers(events).filter(|(_, answer)| wanted(answer)).count() as u64
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
    for (event, _) in answers(events) {
        if days.iter().all(|earlier| *earlier < event.day) {
            days.push(event.day);
        }
    }
    days
}

/// How many of these events a player did before he last started over, and that one.
fn cleared(events: &[Event]) -> usize {
    events.iter().rposition(|event| matches!(event.what, What::Reset)).map_or(0, |reset| reset + 1)
}

/// What a player did since he last started over.
fn current(events: &[Event]) -> &[Event] {
    &events[cleared(events)..]
}

/// When challenges of a kind were completed since the player last started over. What was answered before
/// counts for that, too.
fn completions(events: &[Event], kind: ChallengeKind) -> Vec<DateTime<Utc>> {
    let is_last = |at: usize| {
        let challenge = events[at].answer().and_then(|answer| answer.challenge);
        challenge
            .filter(|(id, _)| id.kind == kind)
            .is_some_and(|(_, size)| count(&events[..=at], |answer| answer.challenge == challenge) == size as u64)
    };
    (cleared(events)..events.len()).filter(|at| is_last(*at)).map(|at| events[at].at).collect()
}

impl Player {
    pub(crate) fn new(user: UserId, created_at: DateTime<Utc>) -> Self {
        Self { user, zone: TimeZone::UTC, created_at, events: Vec::new() }
    }

    pub(crate) fn play(&mut self, at: DateTime<Utc>, what: What) {
        self.events.push(Event { at, day: self.zone.day(at), what });
    }

    /// Sums over the answers that are wanted.
    pub(crate) fn tally(&self, wanted: impl Fn(&Answer) -> bool) -> Tally {
        tally(&self.events, wanted)
    }

    /// The last ten answers, newest first.
    pub(crate) fn recent(&self) -> Vec<(bool, i64, DateTime<Utc>)> {
        answers(&self.events).rev().take(10).map(|(event, answer)| (answer.correct, answer.points, event.at)).collect()
    }

    /// Points, answers, right answers and when the points were reached within a period.
    pub(crate) fn on_board(&self, board: Board, rules: &Rules) -> Option<(i64, u64, u64, DateTime<Utc>)> {
        let Board::Period { period, start } = board else { return None };
        let within = |event: &&Event| rules.start(period, rules.day(event.at)) == start;
        let events: Vec<Event> = current(&self.events).iter().filter(within).cloned().collect();
        let points: i64 = events.iter().map(|event| event.what.points()).sum();
        let last = events.iter().rfind(|event| event.what.points() > 0)?;
        Some((points, count(&events, |_| true), count(&events, |answer| answer.correct), last.at))
    }

    /// Attempts at challenges of a kind, newest first.
    pub(crate) fn attempts(&self, kind: ChallengeKind) -> Vec<ChallengeAttempt> {
        let mut attempts = BTreeMap::new();
        for (event, answer) in answers(&self.events) {
            let Some((id, size)) = answer.challenge.filter(|(id, _)| id.kind == kind) else { continue };
            let size = u32::try_from(size).unwrap();
            let attempt = attempts.entry(id).or_insert_with(|| ChallengeAttempt::new(self.user, id, size));
            let points = Points::new(answer.points).unwrap();
            attempt.answers.push(ChallengeAnswer { question_id: answer.question, correct: answer.correct, points });
            attempt.completed_at = (attempt.answers.len() == size as usize).then_some(event.at);
        }
        attempts.into_values().rev().collect()
    }

    /// Both players as one, and what one player could not have done: what somebody did before starting over
    /// comes first, because it must not clear what the other did.
    pub(crate) fn merge(into: &Self, from: &Self) -> (Self, Vec<Answer>) {
        // each in its own order, whoever's next event is the earlier one first
        let (mut mine, mut theirs) = (current(&into.events).to_vec(), current(&from.events).to_vec());
        let mut counting = Vec::new();
        while !mine.is_empty() || !theirs.is_empty() {
            let is_theirs = mine.is_empty() || theirs.first().is_some_and(|event| event.at < mine[0].at);
            counting.push(if is_theirs { theirs.remove(0) } else { mine.remove(0) });
        }
        let before = |player: &Self| player.events[..cleared(&player.events)].to_vec();
        let (mut events, mut dropped): (Vec<Event>, _) = (Vec::new(), Vec::new());
        for event in [before(from), before(into), counting].concat() {
            match event.answer() {
                Some(answer) if answers(&events).any(|(_, earlier)| earlier.excludes(answer)) => {
                    dropped.push(answer.clone());
                }
                _ => events.push(event),
            }
        }
        let created_at = into.created_at.min(from.created_at);
        (Self { user: into.user, zone: into.zone, created_at, events }, dropped)
    }

    /// What is stored after the last event.
    pub(crate) fn replay(&self, rules: &Rules) -> Expected {
        let mut expected = self.nothing();
        for seq in 1..=self.events.len() {
            self.step(seq, &mut expected, rules);
        }
        expected
    }

    /// What is stored before the first event.
    pub(crate) fn nothing(&self) -> Expected {
        let profile = UserProfile { time_zone: self.zone, ..UserProfile::new(self.user, self.created_at) };
        Expected { profile, achievements: Vec::new(), unlocked: Vec::new() }
    }

    /// What is stored after event number `seq`, counted from the start. Only achievements depend on what was
    /// there when they were unlocked.
    pub(crate) fn step(&self, seq: usize, expected: &mut Expected, rules: &Rules) {
        let events = &self.events[..seq];
        let event = &events[seq - 1];
        let Expected { profile, achievements, unlocked } = expected;
        let is_reset = matches!(event.what, What::Reset);
        if is_reset {
            achievements.clear();
            profile.points_reached_at = None;
        }
        let without_bonuses: i64 = current(events).iter().map(|event| event.what.points()).sum();
        let paid = |achievements: &[UserAchievement]| -> i64 { achievements.iter().map(|a| a.bonus.get()).sum() };
        *profile = self.profile(events, without_bonuses + paid(achievements), profile.points_reached_at, rules);

        let granted = rules.definitions.iter().filter(|d| matches!(&event.what, What::Grant(id) if *id == d.id));
        let earned = rules.definitions.iter().filter(|d| has_earned(events, d.rule, profile));
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
        profile.total_points = Points::new(without_bonuses + paid(achievements)).unwrap();
        let gained = event.what.points() + paid(&achievements[achievements.len() - unlocked.len()..]);
        if gained > 0 {
            profile.points_reached_at = Some(event.at);
        }
    }

    fn profile(&self, all: &[Event], total: i64, reached_at: Option<DateTime<Utc>>, rules: &Rules) -> UserProfile {
        let events = current(all);
        let (current_streak, best_streak) = streaks(events);
        let days = days(events);
        let day_runs = runs(&days, |earlier, later| later.follows(*earlier));
        let [daily, weekly] = [ChallengeKind::Daily, ChallengeKind::Weekly].map(|kind| completions(all, kind));
        UserProfile {
            user_id: self.user,
            last_seq: all.len() as u64,
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
            last_played: answers(all).map(|(event, _)| event.at).max(),
            preferred_difficulty: answers(all).next_back().map(|(_, answer)| {
                match (answer.correct, answer.difficulty) {
                    (true, difficulty) => difficulty,
                    (false, Difficulty::Hard) => Difficulty::Medium,
                    (false, _) => Difficulty::Easy,
                }
            }),
            daily_challenges: daily.len() as u64,
            weekly_challenges: weekly.len() as u64,
            daily_challenge_completed: daily.last().map(|at| rules.day(*at)),
            weekly_challenge_completed: weekly.last().map(|at| rules.day(*at)),
            time_zone: self.zone,
            created_at: self.created_at,
        }
    }
}

fn tally(events: &[Event], wanted: impl Fn(&Answer) -> bool) -> Tally {
    let events = current(events);
    let points = answers(events).filter(|(_, answer)| wanted(answer)).map(|(_, answer)| answer.points).sum();
    Tally {
        answered: count(events, &wanted),
        correct: count(events, |answer| answer.correct && wanted(answer)),
        points: Points::new(points).unwrap(),
    }
}

fn has_earned(events: &[Event], rule: AchievementRule, profile: &UserProfile) -> bool {
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
            tally(events, |answer| answer.difficulty == difficulty).correct >= at_least
        }
        AchievementRule::DailyChallenges { at_least } => profile.daily_challenges >= at_least,
        AchievementRule::WeeklyChallenges { at_least } => profile.weekly_challenges >= at_least,
        _ => panic!("a rule that the model does not know: {rule:?}"),
    }
}
