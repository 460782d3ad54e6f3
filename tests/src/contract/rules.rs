use std::borrow::Cow;

use chrono::{DateTime, TimeDelta, Utc};
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{AchievementDefinition, AchievementRule, Difficulty, Points, UserAchievement, UserId};
use trivia_domain::play::RuleBook;
use trivia_domain::ports::{AchievementProgress, Clock, GrantRequest, RandomSource};
use trivia_domain::{Refusal, StoreResult};

use super::Game;
use super::content::statement_of;
use super::game::{achievement_id, assert_invalid, assert_missing, definition, refusal, together, user_id};

const STEP: TimeDelta = TimeDelta::seconds(1);

impl Game {
    async fn define(&self, definition: AchievementDefinition) -> StoreResult<u64> {
        self.store.rules().define_achievement(definition).await
    }

    async fn retire(&self, id: &str) -> StoreResult<()> {
        self.store.rules().retire_achievement(&achievement_id(id)).await
    }

    /// When a player unlocked an achievement, and what it paid.
    async fn unlocked_at(&self, user: UserId, id: &str) -> Option<(DateTime<Utc>, i64)> {
        let mut owned = self.store.achievements().of(user).await.unwrap();
        owned.retain(|achievement| achievement.achievement_id == achievement_id(id));
        assert!(owned.len() <= 1, "{owned:?}");
        owned.pop().map(|UserAchievement { unlocked_at, bonus, .. }| (unlocked_at, bonus.get()))
    }

    /// Awards one point after another; returns the instants at which they were reached.
    async fn collect(&self, user: UserId, points: usize) -> Vec<DateTime<Utc>> {
        let mut reached = Vec::new();
        for _ in 0..points {
            self.wait(STEP);
            self.award(user, 1).await.unwrap();
            reached.push(self.clock.now());
        }
        reached
    }
}

fn answered(id: &str, at_least: u64, bonus: u32) -> AchievementDefinition {
    definition(id, AchievementRule::Answered { at_least }, bonus)
}

/// For points; below a thousand the built-in achievements for points are out of reach.
fn collector(at_least: u64, bonus: u32) -> AchievementDefinition {
    definition("collector", AchievementRule::TotalPoints { at_least }, bonus)
}

pub(crate) async fn l9_definitions_are_stored_and_shown(game: Game) {
    let user = game.user(1).await;
    let rules = game.store.rules();
    assert_eq!(rules.rules().await.unwrap(), RuleBook::default());
    let new = AchievementDefinition {
        name: "Über \"alles\" 🏁".into(),
        bonus: Points::new(i64::MAX).unwrap(),
        ..answered("first_answer", 1, 0)
    };
    assert_eq!(game.define(new.clone()).await.unwrap(), 0, "nobody has it");
    assert_eq!(game.define(new.clone()).await.unwrap(), 0);
    let book = rules.rules().await.unwrap();
    assert_eq!(book.catalog.revisions().len(), 19, "defined again as it is, it is the same");
    assert_eq!(book.catalog.get(&new.id), Some(&new));
    let definitions = game.store.achievements().definitions().await.unwrap();
    assert_eq!((definitions.len(), definitions.last()), (19, Some(&new)));
    let progress = game.store.achievements().progress(user).await.unwrap().pop().unwrap();
    assert_eq!(progress, AchievementProgress { definition: new.clone(), reached: 0, target: 1, unlocked: false });

    // another name is another revision, other blanks are not
    game.wait(STEP);
    let renamed = AchievementDefinition { name: "First".into(), ..new.clone() };
    for name in ["First", " First\t"] {
        game.define(AchievementDefinition { name: name.into(), ..new.clone() }).await.unwrap();
    }
    let book = rules.rules().await.unwrap();
    assert_eq!(book.catalog.get(&new.id), Some(&renamed));
    let retired: Vec<_> = book.catalog.revisions().iter().filter_map(|revision| revision.retired_at).collect();
    assert_eq!((book.catalog.revisions().len(), retired), (20, vec![game.clock.now()]));
    game.retire("first_answer").await.unwrap();
    assert_eq!(game.store.achievements().definitions().await.unwrap().len(), 18);
    assert_eq!(rules.rules().await.unwrap().catalog.revisions().len(), 20);
}

/// A few days of play, the same on every store.
async fn random_play(game: &Game) {
    let random = SeededRandom::new(4);
    let mut ids = Vec::new();
    for level in Difficulty::ALL {
        ids.push(game.add(statement_of(&format!("{level}"), "Test", level)).await);
    }
    for _ in 0..120 {
        game.wait(TimeDelta::minutes(i64::try_from(random.next_u64() % 300).unwrap()));
        let user = game.user(i64::try_from(random.next_u64() % 4).unwrap()).await;
        match random.next_u64() % 12 {
            0 => drop(game.award(user, 7).await.unwrap()),
            1 => drop(game.grant(user, "super_fan").await.unwrap()),
            2 => drop(game.reset(user).await),
            n => drop(game.play(user, ids[n as usize % 3], n > 4).await),
        }
    }
}

pub(crate) async fn l9_a_definition_that_comes_later_equals_one_from_the_start(game: Game) {
    use AchievementRule as Rule;
    let definitions: Vec<_> = (1..)
        .zip([
            Rule::Streak { at_least: 3 },
            Rule::DayStreak { at_least: 2 },
            Rule::TotalPoints { at_least: 100 },
            Rule::Answered { at_least: 6 },
            Rule::Accuracy { percent: 60, answered: 5 },
            Rule::DifficultyCorrect { difficulty: Difficulty::Hard, at_least: 2 },
        ])
        .map(|(n, rule)| definition(&format!("new_{n}"), rule, 20 * n))
        .collect();
    let (early, late) = (game.fresh().await, game.fresh().await);
    for definition in &definitions {
        assert_eq!(early.define(definition.clone()).await.unwrap(), 0);
    }
    random_play(&early).await;
    random_play(&late).await;
    for definition in &definitions {
        let changed = late.define(definition.clone()).await.unwrap();
        let mut owners = 0;
        for id in 0..4 {
            owners += u64::from(late.unlocked_at(user_id(id), definition.id.as_str()).await.is_some());
        }
        assert_eq!(changed, owners, "{}", definition.id);
        assert!(owners > 0, "nobody has {}", definition.id);
    }
    assert_eq!(late.snapshot().await, early.snapshot().await);
    early.verify().await;
    late.verify().await;
}

pub(crate) async fn t15_a_lowered_threshold_pays_nobody_twice(game: Game) {
    let (ann, bob, cid) = (game.user(1).await, game.user(2).await, game.user(3).await);
    game.define(collector(5, 100)).await.unwrap();
    let of_ann = game.collect(ann, 6).await;
    let of_bob = game.collect(bob, 4).await;
    game.collect(cid, 1).await;
    game.wait(STEP);
    assert_eq!(game.define(collector(3, 100)).await.unwrap(), 2, "both have reached it earlier");
    assert_eq!(game.unlocked_at(ann, "collector").await, Some((of_ann[2], 100)), "by what she did");
    assert_eq!(game.unlocked_at(bob, "collector").await, Some((of_bob[2], 100)));
    assert_eq!(game.unlocked_at(cid, "collector").await, None);
    assert_eq!([game.points(ann).await, game.points(bob).await, game.points(cid).await], [106, 104, 1]);
}

pub(crate) async fn t15_a_raised_threshold_takes_nothing_away(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    game.define(collector(3, 100)).await.unwrap();
    let of_ann = game.collect(ann, 3).await;
    game.collect(bob, 2).await;
    game.wait(STEP);
    assert_eq!(game.define(collector(5, 100)).await.unwrap(), 0);
    assert_eq!(game.unlocked_at(ann, "collector").await, Some((of_ann[2], 100)));
    let of_bob = game.collect(bob, 3).await;
    assert_eq!(game.unlocked_at(bob, "collector").await, Some((of_bob[2], 100)), "at five now");
    game.collect(ann, 10).await;
    assert_eq!([game.points(ann).await, game.points(bob).await], [113, 105]);
}

pub(crate) async fn t15_one_that_comes_back_pays_nobody_twice(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    game.define(collector(3, 100)).await.unwrap();
    let of_ann = game.collect(ann, 3).await;
    game.retire("collector").await.unwrap();
    assert_eq!(game.unlocked_at(ann, "collector").await, Some((of_ann[2], 100)), "whoever has it keeps it");
    assert_eq!(game.points(ann).await, 103);
    let of_bob = game.collect(bob, 4).await;
    assert_eq!(game.unlocked_at(bob, "collector").await, None, "nobody can earn it");
    game.wait(STEP);
    assert_eq!(game.define(collector(3, 100)).await.unwrap(), 1);
    assert_eq!(game.unlocked_at(ann, "collector").await, Some((of_ann[2], 100)));
    assert_eq!(game.unlocked_at(bob, "collector").await, Some((of_bob[2], 100)), "as if it had never been away");
    assert_eq!([game.points(ann).await, game.points(bob).await], [103, 104]);
}

pub(crate) async fn t15_a_changed_bonus_is_for_those_to_come(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    game.define(collector(3, 100)).await.unwrap();
    let of_ann = game.collect(ann, 3).await;
    game.wait(STEP);
    assert_eq!(game.define(collector(3, 50)).await.unwrap(), 0);
    let of_bob = game.collect(bob, 3).await;
    assert_eq!(game.unlocked_at(ann, "collector").await, Some((of_ann[2], 100)));
    assert_eq!(game.unlocked_at(bob, "collector").await, Some((of_bob[2], 50)));
    assert_eq!([game.points(ann).await, game.points(bob).await], [103, 53]);
    // given by hand it pays what it pays now
    let cid = game.user(3).await;
    assert_eq!(game.grant(cid, "collector").await.unwrap().total_points.get(), 50);
}

pub(crate) async fn t15_whoever_has_one_keeps_it_when_the_clock_goes_back(game: Game) {
    let user = game.user(1).await;
    game.define(collector(3, 100)).await.unwrap();
    let reached = game.collect(user, 3).await;
    game.wait(TimeDelta::hours(-1));
    game.define(collector(5, 100)).await.unwrap();
    assert_eq!(game.unlocked_at(user, "collector").await, Some((reached[2], 100)), "it costs more now");
    game.retire("collector").await.unwrap();
    game.define(answered("another", 1, 0)).await.unwrap();
    assert_eq!(game.unlocked_at(user, "collector").await, Some((reached[2], 100)), "nobody can earn it");
    assert_eq!(game.points(user).await, 103);
}

pub(crate) async fn l9_a_hidden_one_shows_once_it_is_unlocked(game: Game) {
    let user = game.user(1).await;
    let hidden = AchievementDefinition { hidden: true, ..collector(3, 10) };
    game.define(hidden.clone()).await.unwrap();
    let shown = || {
        let game = game.clone();
        async move {
            let progress = game.store.achievements().progress(user).await.unwrap();
            progress.into_iter().find(|progress| progress.definition.id == achievement_id("collector"))
        }
    };
    game.collect(user, 2).await;
    assert_eq!(shown().await, None);
    game.collect(user, 1).await;
    let expected = AchievementProgress { definition: hidden, reached: 3, target: 3, unlocked: true };
    assert_eq!(shown().await, Some(expected));
}

pub(crate) async fn l9_a_definition_and_answers_at_once_unlock_once(game: Game) {
    let question = game.statements(1).await[0];
    for id in 0..4 {
        game.user(id).await;
    }
    let receipts = together(16, |at| {
        let game = game.clone();
        async move {
            if at < 4 {
                game.define(answered("third", 3, 1_000)).await.unwrap();
                return Vec::new();
            }
            let user = user_id(i64::try_from(at % 4).unwrap());
            vec![game.play(user, question, false).await, game.play(user, question, false).await]
        }
    })
    .await;
    assert_eq!(game.store.rules().rules().await.unwrap().catalog.revisions().len(), 19);
    for id in 0..4 {
        let told = receipts.iter().flatten().filter(|receipt| receipt.user_id == user_id(id));
        let unlocked = told.filter(|receipt| receipt.unlocked.contains(&achievement_id("third"))).count();
        // whoever had three before is not told by a receipt; nobody is told twice
        assert!(unlocked <= 1, "{id}");
        let owned = game.store.achievements().of(user_id(id)).await.unwrap();
        let third: Vec<_> = owned.iter().filter(|a| a.achievement_id == achievement_id("third")).collect();
        assert_eq!(third.iter().map(|a| a.seq).collect::<Vec<_>>(), [3]);
        // 1,000 points unlock a built-in one with the next fact
        assert_eq!(game.points(user_id(id)).await, 1_100);
    }
}

pub(crate) async fn l9_bad_definitions_are_invalid(game: Game) {
    let good = answered("good", 1, 0);
    let long = |count: usize| Cow::Owned("x".repeat(count));
    for name in ["".into(), "  ".into(), "a\0b".into(), long(101)] {
        assert_invalid(game.define(AchievementDefinition { name, ..good.clone() }).await, "name of an achievement");
    }
    for emoji in ["".into(), long(17)] {
        assert_invalid(game.define(AchievementDefinition { emoji, ..good.clone() }).await, "emoji of an achievement");
    }
    use AchievementRule as Rule;
    for rule in [
        Rule::Streak { at_least: 0 },
        Rule::TotalPoints { at_least: 0 },
        Rule::DifficultyCorrect { difficulty: Difficulty::Easy, at_least: 0 },
        Rule::Accuracy { percent: 50, answered: 0 },
        Rule::Accuracy { percent: 101, answered: 5 },
    ] {
        assert_invalid(game.define(AchievementDefinition { rule, ..good.clone() }).await, "rule of an achievement");
    }
    assert_eq!(game.store.rules().rules().await.unwrap(), RuleBook::default());
    let largest = Rule::Answered { at_least: i64::MAX as u64 };
    game.define(AchievementDefinition { name: long(100), emoji: long(16), rule: largest, ..good }).await.unwrap();
}

pub(crate) async fn l9_a_retired_one_cannot_be_granted(game: Game) {
    let user = game.user(1).await;
    assert_missing(game.retire("no_such_thing").await, "achievement");
    game.retire("hot_streak").await.unwrap();
    assert_missing(game.retire("hot_streak").await, "achievement");
    assert_missing(game.grant(user, "hot_streak").await, "achievement");
    assert_eq!(game.profile(user).await.last_seq, 0);
    let question = game.statements(1).await[0];
    game.wait(STEP);
    for _ in 0..5 {
        assert_eq!(game.play(user, question, true).await.unlocked, []);
    }
}

pub(crate) async fn l1_a_retry_of_a_grant_outlives_the_achievement(game: Game) {
    let user = game.user(1).await;
    let request = GrantRequest { key: game.key(), user_id: user, achievement_id: achievement_id("hot_streak") };
    let receipt = game.store.play().grant(request.clone()).await.unwrap();
    game.wait(STEP);
    game.retire("hot_streak").await.unwrap();
    assert_eq!(game.store.play().grant(request).await.unwrap(), receipt);
    assert_eq!(game.points(user).await, 50);
}

pub(crate) async fn l6_a_definition_whose_bonus_does_not_fit_changes_nothing(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let question = game.statements(1).await[0];
    game.play(bob, question, true).await;
    game.play(ann, question, true).await;
    game.award(ann, i64::MAX - 2_000).await.unwrap();
    let before = (game.snapshot().await, game.store.rules().rules().await.unwrap());
    assert_eq!(refusal(game.define(answered("rich", 1, 5_000)).await), Refusal::Overflow);
    assert_eq!((game.snapshot().await, game.store.rules().rules().await.unwrap()), before);
    game.award(bob, 1).await.unwrap();
    assert_eq!(game.points(bob).await, 11);
}
