use trivia_domain::Refusal;
use trivia_domain::model::{AchievementRule, Given, Points, UserProfile};
use trivia_domain::ports::{AwardRequest, ResetRequest};

use super::Game;
use super::game::{assert_invalid, assert_missing, refusal, together, user_id};

impl Game {
    /// Points that are paid once somebody has very many points.
    async fn bonuses_for_points(&self) -> i64 {
        let definitions = self.store.achievements().definitions().await.unwrap();
        let for_points = |rule| matches!(rule, AchievementRule::TotalPoints { .. });
        definitions.iter().filter(|definition| for_points(definition.rule)).map(|d| d.bonus.get()).sum()
    }
}

pub(crate) async fn an_award_counts_and_names_what_is_wrong(game: Game) {
    let user = game.user(1).await;
    let receipt = game.award(user, 15).await.unwrap();
    assert_eq!((receipt.seq, receipt.points.get(), receipt.total_points.get()), (1, 15, 15));
    assert_eq!((receipt.correct, receipt.streak, receipt.unlocked), (None, 0, vec![]));
    assert_eq!(game.award(user, 0).await.unwrap().total_points.get(), 15);
    let profile = game.profile(user).await;
    assert_eq!((profile.total_points.get(), profile.questions_answered, profile.last_played), (15, 0, None));

    assert_missing(game.award(user_id(404), 1).await, "user");
    for reason in ["", " \n", &"x".repeat(201), "a\0b"] {
        let request = AwardRequest { reason: reason.to_owned(), ..game.award_request(user, 1) };
        assert_invalid(game.store.play().award(request).await, "reason");
    }
    assert_eq!(game.profile(user).await, profile);
    let longest = AwardRequest { reason: "ß".repeat(200), ..game.award_request(user, 1) };
    assert_eq!(game.store.play().award(longest).await.unwrap().seq, 3);
}

pub(crate) async fn l1_concurrent_retries_of_an_award_count_once(game: Game) {
    let user = game.user(1).await;
    let request = game.award_request(user, 10);
    let receipts = together(32, |_| {
        let (game, request) = (game.clone(), request.clone());
        async move { game.store.play().award(request).await.unwrap() }
    })
    .await;
    assert!(receipts.iter().all(|receipt| receipt == &receipts[0]));
    assert_eq!(game.points(user).await, 10);
}

pub(crate) async fn l6_points_that_would_overflow_are_refused(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(1).await;
    // alone it would fit, with the bonuses that it unlocks it does not
    assert_eq!(refusal(game.award(user, i64::MAX).await), Refusal::Overflow);
    assert_eq!(game.profile(user).await, UserProfile::new(user, game.profile(user).await.created_at));
    assert_eq!(game.store.achievements().of(user).await.unwrap(), []);

    game.award(user, i64::MAX - game.bonuses_for_points().await).await.unwrap();
    assert_eq!(game.points(user).await, i64::MAX);
    let session = game.start(1, user, &ids).await;
    let before = game.snapshot().await;
    let refused = game.award_request(user, 1);
    assert_eq!(refusal(game.store.play().award(refused.clone()).await), Refusal::Overflow);
    assert_eq!(refusal(game.answer(user, &session, true).await), Refusal::Overflow);
    assert_eq!(game.snapshot().await, before);

    // what gives no points fits, and the refused key is still free
    game.answer(user, &session, false).await.unwrap();
    let nothing = AwardRequest { points: Points::ZERO, ..refused };
    assert_eq!(game.store.play().award(nothing).await.unwrap().total_points.get(), i64::MAX);
}

pub(crate) async fn t8_points_near_the_largest_number_stay_exact(game: Game) {
    let user = game.user(1).await;
    game.award(user, i64::MAX - game.bonuses_for_points().await - 25).await.unwrap();
    assert_eq!(game.points(user).await, i64::MAX - 25);
    let question = game.statements(1).await[0];
    let receipt = game.play(user, question, true).await;
    assert_eq!(receipt.total_points.get(), i64::MAX - 15);
    assert_eq!(game.award(user, 14).await.unwrap().total_points.get(), i64::MAX - 1);
    assert_eq!(refusal(game.award(user, 2).await), Refusal::Overflow);
    assert_eq!(game.award(user, 1).await.unwrap().total_points.get(), i64::MAX);
}

pub(crate) async fn l6_a_bonus_that_would_overflow_refuses_the_whole_answer(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(1).await;
    for _ in 0..4 {
        game.play(user, ids[0], true).await;
    }
    let room = 20;
    game.award(user, i64::MAX - game.bonuses_for_points().await - 40 - room).await.unwrap();
    assert_eq!(game.points(user).await, i64::MAX - room);
    // the fifth right answer fits, the bonus for five in a row does not
    let session = game.start(1, user, &ids).await;
    let before = game.snapshot().await;
    let submission = game.submission(user, &session, Given::Truth(true));
    assert_eq!(refusal(game.store.play().submit_answer(submission).await), Refusal::Overflow);
    assert_eq!(game.snapshot().await, before);
    let receipt = game.answer(user, &session, false).await.unwrap();
    assert_eq!((receipt.seq, receipt.streak), (6, 0));
}

pub(crate) async fn a_reset_clears_the_player_and_keeps_the_facts(game: Game) {
    let (user, other) = (game.user(1).await, game.user(2).await);
    let question = game.statements(1).await[0];
    for _ in 0..6 {
        game.play(user, question, true).await;
    }
    game.play(other, question, true).await;
    let before = game.profile(user).await;
    assert_eq!((before.total_points.get(), before.current_streak), (110, 6));
    let other_before = game.profile(other).await;

    let request = ResetRequest { key: game.key(), user_id: user };
    let receipt = game.store.play().reset(request.clone()).await.unwrap();
    assert_eq!((receipt.seq, receipt.total_points.get(), receipt.streak), (7, 0, 0));
    let expected = UserProfile {
        last_seq: 7,
        last_played: before.last_played,
        preferred_difficulty: before.preferred_difficulty,
        ..UserProfile::new(user, before.created_at)
    };
    assert_eq!(game.profile(user).await, expected);
    assert_eq!(game.store.achievements().of(user).await.unwrap(), []);
    let breakdown = game.store.users().breakdown(user).await.unwrap();
    assert!(breakdown.by_difficulty.is_empty() && breakdown.by_category.is_empty());
    assert_eq!(breakdown.recent.len(), 6, "these are facts");
    assert_eq!(game.profile(other).await, other_before);
    assert_eq!(game.store.questions().get(question).await.unwrap().times_asked, 7);

    // playing on starts from nothing; a retry of the reset does not clear again
    for _ in 0..5 {
        game.play(user, question, true).await;
    }
    assert_eq!(game.store.play().reset(request).await.unwrap(), receipt);
    let after = game.profile(user).await;
    assert_eq!((after.last_seq, after.questions_answered, after.total_points.get()), (12, 5, 100), "paid again");
    assert_eq!(game.store.achievements().of(user).await.unwrap()[0].seq, 12);
    let tally = game.store.users().breakdown(user).await.unwrap().by_difficulty.into_values().next().unwrap();
    assert_eq!((tally.answered, tally.correct, tally.points.get()), (5, 5, 50));
    assert_missing(game.store.play().reset(ResetRequest { key: game.key(), user_id: user_id(404) }).await, "user");
}

pub(crate) async fn l1_a_retry_from_before_a_reset_pays_nothing(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(1).await;
    let session = game.start(1, user, &ids).await;
    let award = game.award_request(user, 10);
    let awarded = game.store.play().award(award.clone()).await.unwrap();
    let submission = game.submission(user, &session, Given::Truth(true));
    let answered = game.store.play().submit_answer(submission.clone()).await.unwrap();
    game.reset(user).await;
    assert_eq!(game.store.play().award(award).await.unwrap(), awarded);
    assert_eq!(game.store.play().submit_answer(submission).await.unwrap(), answered);
    assert_eq!(refusal(game.answer(user, &session, true).await), Refusal::AlreadyAnswered);
    assert_eq!(game.points(user).await, 0);
}
