use std::collections::BTreeMap;

use chrono::TimeDelta;
use trivia_domain::model::{Difficulty, Page, Points, Tally, UserProfile};
use trivia_domain::ports::Clock;

use super::Game;
use super::content::{category, statement_of};
use super::game::{assert_missing, together, user_id};

pub(crate) async fn missing_users_are_missing(game: Game) {
    let nobody = user_id(404);
    let users = game.store.users();
    assert_eq!(users.find(nobody).await.unwrap(), None);
    assert_missing(users.get(nobody).await, "user");
    assert_missing(users.breakdown(nobody).await, "user");
    assert_eq!(users.list(Page::first(10)).await.unwrap(), []);
}

pub(crate) async fn a_user_is_created_once_and_stays(game: Game) {
    let created_at = game.clock.now();
    let users = game.store.users();
    let first = users.get_or_create(user_id(1)).await.unwrap();
    assert_eq!(first, UserProfile::new(user_id(1), created_at));
    game.wait(TimeDelta::days(1));
    assert_eq!(users.get_or_create(user_id(1)).await.unwrap(), first);
    assert_eq!(users.get(user_id(1)).await.unwrap(), first);
    assert_eq!(users.find(user_id(1)).await.unwrap(), Some(first));
    assert_eq!(users.breakdown(user_id(1)).await.unwrap(), Default::default());
}

pub(crate) async fn s2_l22_concurrent_get_or_create_makes_one_player(game: Game) {
    let profiles = together(32, |_| {
        let game = game.clone();
        async move {
            // each call has a time of its own: equal results come from one insert
            game.wait(TimeDelta::seconds(1));
            game.store.users().get_or_create(user_id(7)).await.unwrap()
        }
    })
    .await;
    for profile in &profiles {
        assert_eq!(profile, &profiles[0]);
    }
    assert_eq!(game.store.users().list(Page::first(10)).await.unwrap(), [profiles[0].clone()]);
}

pub(crate) async fn t9_user_ids_zero_one_and_the_largest_round_trip(game: Game) {
    let ids = [0, 1, i64::MAX - 1, i64::MAX];
    for (id, points) in ids.into_iter().zip(1..) {
        let user = game.user(id).await;
        assert_eq!(user.get(), id);
        assert_eq!(game.award(user, points).await.unwrap().user_id, user);
        assert_eq!(game.points(user).await, points, "of user {id}");
    }
    let listed = game.store.users().list(Page::first(10)).await.unwrap();
    assert_eq!(listed.iter().map(|profile| profile.user_id.get()).collect::<Vec<_>>(), ids);
    let page = game.store.rankings().page(game.boards()[0], None, 10).await.unwrap();
    assert_eq!(
        page.entries.iter().map(|entry| entry.user_id.get()).collect::<Vec<_>>(),
        [i64::MAX, i64::MAX - 1, 1, 0]
    );
}

pub(crate) async fn users_are_listed_in_pages_in_order_of_id(game: Game) {
    let mut expected: Vec<i64> = (0..25).map(|n| (n * 37) % 101).collect();
    for id in &expected {
        game.user(*id).await;
    }
    expected.sort_unstable();
    for limit in [1, 4, 25, 100] {
        let mut seen = Vec::new();
        let mut page = Page::first(limit);
        loop {
            let profiles = game.store.users().list(page).await.unwrap();
            assert!(profiles.len() <= limit as usize);
            let Some(last) = profiles.last() else { break };
            page = Page::after(last.user_id.get(), limit);
            seen.extend(profiles.iter().map(|profile| profile.user_id.get()));
            assert!(seen.len() <= expected.len(), "the pages go on for ever");
        }
        assert_eq!(seen, expected, "in pages of {limit}");
    }
    assert_eq!(game.store.users().list(Page::first(0)).await.unwrap(), []);
    assert_eq!(game.store.users().list(Page::after(i64::MAX, 10)).await.unwrap(), []);
}

pub(crate) async fn a_breakdown_has_sums_and_the_last_ten_answers(game: Game) {
    let user = game.user(1).await;
    let mut by_difficulty = BTreeMap::<Difficulty, Tally>::new();
    let mut by_category = BTreeMap::new();
    let mut answers = Vec::new();
    for n in 0..13_usize {
        let difficulty = Difficulty::ALL[n % 3];
        let name = ["Art", "Ärzte", "art"][n % 2 + n % 3 / 2];
        let question = game.add(statement_of(&format!("Sum {n}"), name, difficulty)).await;
        game.wait(TimeDelta::milliseconds(1));
        let correct = n % 4 != 0;
        let receipt = game.play(user, question, correct).await;
        let points = if correct { difficulty.base_points() } else { Points::ZERO };
        by_difficulty.entry(difficulty).or_default().add(correct, points).unwrap();
        by_category.entry(category(name)).or_insert(Tally::default()).add(correct, points).unwrap();
        answers.push((question, correct, points, receipt.at));
    }
    // an award is no answer
    game.award(user, 5).await.unwrap();

    let breakdown = game.store.users().breakdown(user).await.unwrap();
    assert_eq!(breakdown.by_difficulty, by_difficulty);
    assert_eq!(breakdown.by_category, by_category);
    let recent: Vec<_> = breakdown.recent.iter().map(|a| (a.question_id, a.correct, a.points, a.at)).collect();
    assert_eq!(recent, answers.into_iter().rev().take(10).collect::<Vec<_>>());
}
