use std::collections::BTreeMap;

use chrono::TimeDelta;
use trivia_domain::model::{AchievementId, Points, UserAchievement, UserId};
use trivia_domain::play::Catalog;
use trivia_domain::ports::{AchievementProgress, Clock, GrantRequest};

use super::Game;
use super::game::{achievement_id, assert_missing, together, user_id};

impl Game {
    async fn unlocked(&self, user: UserId) -> Vec<AchievementId> {
        let achievements = self.store.achievements().of(user).await.unwrap();
        achievements.into_iter().map(|achievement| achievement.achievement_id).collect()
    }
}

pub(crate) async fn l9_the_built_in_achievements_are_the_18_of_the_original(game: Game) {
    let definitions = game.store.achievements().definitions().await.unwrap();
    assert_eq!(definitions, Catalog::default().definitions().cloned().collect::<Vec<_>>());
    assert_eq!(definitions.len(), 18);
    let user = game.user(1).await;
    let progress = game.store.achievements().progress(user).await.unwrap();
    let shown: Vec<_> = progress.iter().map(|progress| progress.definition.clone()).collect();
    assert_eq!(shown, definitions);
    assert!(progress.iter().all(|progress| progress.reached == 0 && !progress.unlocked));
    assert_eq!(game.unlocked(user_id(404)).await, []);
    assert_missing(game.store.achievements().progress(user_id(404)).await, "user");
}

pub(crate) async fn l9_an_achievement_unlocks_at_its_threshold(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    for n in 1..=20 {
        game.wait(TimeDelta::milliseconds(1));
        let receipt = game.play(user, question, true).await;
        let expected: &[&str] = match n {
            5 => &["hot_streak"],
            10 => &["galaxy_expert"],
            20 => &["unstoppable"],
            _ => &[],
        };
        assert_eq!(receipt.unlocked, expected.iter().map(|id| achievement_id(id)).collect::<Vec<_>>(), "answer {n}");
        if n == 5 {
            assert_eq!((receipt.points.get(), receipt.total_points.get()), (10, 100));
            let expected = UserAchievement {
                user_id: user,
                achievement_id: achievement_id("hot_streak"),
                seq: 5,
                unlocked_at: game.clock.now(),
                bonus: Points::small(50),
            };
            assert_eq!(game.store.achievements().of(user).await.unwrap(), [expected]);
        }
    }
    assert_eq!(game.points(user).await, 20 * 10 + 50 + 100 + 250);
    // breaking the streak takes nothing away, a new one pays nothing
    game.play(user, question, false).await;
    for _ in 0..5 {
        assert_eq!(game.play(user, question, true).await.unlocked, []);
    }
    assert_eq!(game.unlocked(user).await.len(), 3);
}

pub(crate) async fn l9_a_bonus_unlocks_others_only_with_the_next_fact(game: Game) {
    let user = game.user(1).await;
    // 950 from an award and answers, and the bonus of 50, make the thousand that point_collector needs
    game.award(user, 900).await.unwrap();
    let question = game.statements(1).await[0];
    for n in 1..=5 {
        let receipt = game.play(user, question, true).await;
        assert_eq!(receipt.unlocked, if n == 5 { vec![achievement_id("hot_streak")] } else { vec![] });
    }
    assert_eq!(game.points(user).await, 1_000);
    assert_eq!(game.award(user, 0).await.unwrap().unlocked, [achievement_id("point_collector")]);
    assert_eq!(game.points(user).await, 1_100);
    let granted = game.grant(game.user(2).await, "super_fan").await.unwrap();
    assert_eq!((granted.total_points.get(), granted.unlocked), (1_000, vec![achievement_id("super_fan")]));
}

pub(crate) async fn s3_eight_concurrent_answers_unlock_once(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    let receipts = together(8, |_| {
        let game = game.clone();
        async move { game.play(user, question, true).await }
    })
    .await;
    let unlocking: Vec<_> = receipts.iter().filter(|receipt| !receipt.unlocked.is_empty()).collect();
    assert_eq!(unlocking.len(), 1);
    assert_eq!(unlocking[0].seq, 5);
    assert_eq!(game.points(user).await, 8 * 10 + 50);
    assert_eq!(game.unlocked(user).await, [achievement_id("hot_streak")]);
}

pub(crate) async fn s3_eight_concurrent_grants_pay_once(game: Game) {
    let user = game.user(1).await;
    let receipts = together(8, |_| {
        let game = game.clone();
        async move { game.grant(user, "perfectionist").await.unwrap() }
    })
    .await;
    assert_eq!(receipts.iter().filter(|receipt| !receipt.unlocked.is_empty()).count(), 1);
    let seqs: BTreeMap<u64, i64> = receipts.iter().map(|r| (r.seq, r.total_points.get())).collect();
    assert_eq!(seqs, (1..=8).map(|seq| (seq, 500)).collect());
    assert_eq!(game.points(user).await, 500);
    assert_eq!(game.unlocked(user).await, [achievement_id("perfectionist")]);
}

pub(crate) async fn s3_grants_and_answers_together_pay_once(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    for _ in 0..4 {
        game.play(user, question, true).await;
    }
    together(8, |at| {
        let game = game.clone();
        async move {
            if at % 2 == 0 {
                game.grant(user, "hot_streak").await.unwrap();
            } else {
                game.play(user, question, true).await;
            }
        }
    })
    .await;
    assert_eq!(game.points(user).await, 8 * 10 + 50);
    assert_eq!(game.unlocked(user).await, [achievement_id("hot_streak")]);
}

pub(crate) async fn grants_name_what_is_missing(game: Game) {
    let user = game.user(1).await;
    assert_missing(game.grant(user_id(404), "hot_streak").await, "user");
    assert_missing(game.grant(user, "no_such_thing").await, "achievement");
    assert_eq!(game.profile(user).await.last_seq, 0);
    let request = GrantRequest { key: game.key(), user_id: user, achievement_id: achievement_id("hot_streak") };
    let receipt = game.store.play().grant(request.clone()).await.unwrap();
    assert_eq!((receipt.points.get(), receipt.total_points.get(), receipt.correct), (0, 50, None));
    assert_eq!(game.store.play().grant(request).await.unwrap(), receipt);
    let again = game.grant(user, "hot_streak").await.unwrap();
    assert_eq!((again.seq, again.total_points.get(), again.unlocked), (2, 50, vec![]));
}

pub(crate) async fn achievements_are_listed_newest_first(game: Game) {
    let user = game.user(1).await;
    game.grant(user, "weekly_warrior").await.unwrap();
    // three thresholds at once: those of one fact are in order of id
    game.award(user, 20_000).await.unwrap();
    game.wait(TimeDelta::days(-1));
    game.grant(user, "easy_master").await.unwrap();
    let expected = ["easy_master", "point_collector", "point_legend", "point_master", "weekly_warrior"];
    assert_eq!(game.unlocked(user).await, expected.map(achievement_id));
}

pub(crate) async fn progress_goes_up_to_the_target(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    let progress = |wanted: &'static str| {
        let game = game.clone();
        async move {
            let all = game.store.achievements().progress(user).await.unwrap();
            let found = all.into_iter().find(|progress| progress.definition.id == achievement_id(wanted)).unwrap();
            let AchievementProgress { reached, target, unlocked, .. } = found;
            (reached, target, unlocked)
        }
    };
    for _ in 0..3 {
        game.play(user, question, true).await;
    }
    assert_eq!(progress("hot_streak").await, (3, 5, false));
    assert_eq!(progress("point_collector").await, (30, 1_000, false));
    assert_eq!(progress("trivia_rookie").await, (3, 50, false));
    assert_eq!(progress("easy_master").await, (3, 100, false));
    assert_eq!(progress("medium_master").await, (0, 100, false));
    assert_eq!(progress("dedicated_fan").await, (1, 7, false));
    assert_eq!(progress("sharp_shooter").await, (3, 100, false));
    game.play(user, question, false).await;
    assert_eq!(progress("hot_streak").await, (0, 5, false));
    game.grant(user, "hot_streak").await.unwrap();
    assert_eq!(progress("hot_streak").await, (5, 5, true), "what is unlocked is complete");
    game.award(user, 50_000).await.unwrap();
    assert_eq!(progress("point_legend").await, (10_000, 10_000, true));
}
