use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use trivia_domain::StoreResult;
use trivia_domain::model::{Board, Calendar, Page, Tally, UserId, UserProfile};
use trivia_domain::ports::{UnitOfWork, execute};

use super::Game;
use super::game::{WorkFuture, together, user_id, work};
use super::model::{Player, Rules, What};

pub(crate) async fn s1_concurrent_awards_all_count(game: Game) {
    let user = game.user(1).await;
    let receipts = together(20, |_| {
        let game = game.clone();
        async move { game.award(user, 10).await.unwrap() }
    })
    .await;
    assert_eq!(game.points(user).await, 200);
    let mut seen: Vec<_> = receipts.iter().map(|receipt| (receipt.seq, receipt.total_points.get())).collect();
    seen.sort_unstable();
    assert_eq!(seen, (1..=20).map(|seq| (seq, 10 * i64::try_from(seq).unwrap())).collect::<Vec<_>>());
    for board in game.boards() {
        let standing = game.store.rankings().standing(board, user).await.unwrap().unwrap();
        assert_eq!((standing.rank, standing.points.get()), (1, 200));
    }
}

pub(crate) async fn l4_many_players_end_as_in_some_order(game: Game) {
    const ROUNDS: usize = 25;
    let questions = game.statements(3).await;
    let players = together(8, |at| {
        let (game, questions) = (game.clone(), questions.clone());
        async move {
            let id = i64::try_from(at).unwrap();
            let user = game.user(id).await;
            let created_at = game.profile(user).await.created_at;
            let mut player = Player::new(user, created_at);
            for round in 0..ROUNDS {
                // everybody moves the clock of all
                game.wait(TimeDelta::milliseconds(1));
                let (what, receipt) = if (at + round) % 5 == 0 {
                    (What::Award(3), game.award(user, 3).await.unwrap())
                } else {
                    let correct = (at * round) % 4 != 1;
                    let receipt = game.play(user, questions[round % 3], correct).await;
                    let points = receipt.points.get();
                    (What::answer(correct, points), receipt)
                };
                assert_eq!(receipt.seq, round as u64 + 1);
                player.play(receipt.at, what);
            }
            player
        }
    })
    .await;
    let definitions = game.store.achievements().definitions().await.unwrap();
    let rules = Rules { definitions, calendar: Calendar::default() };
    let (mut asked, mut right) = (0, 0);
    for player in players {
        let expected = player.replay(&rules);
        assert_eq!(game.profile(player.user).await, expected.profile);
        asked += expected.profile.questions_answered;
        right += expected.profile.questions_correct;
    }
    let counted = game.all_questions().await;
    assert_eq!(counted.iter().map(|question| question.times_asked).sum::<u64>(), asked);
    assert_eq!(counted.iter().map(|question| question.times_correct).sum::<u64>(), right);
}

pub(crate) async fn l4_a_players_ledger_is_in_order_of_submission(game: Game) {
    let results = together(6, |at| {
        let game = game.clone();
        async move {
            let user = game.user(i64::try_from(at).unwrap()).await;
            let mut last = None;
            for seq in 1..=30 {
                let receipt = game.award(user, 1).await.unwrap();
                assert_eq!((receipt.seq, receipt.total_points.get()), (seq, i64::try_from(seq).unwrap()));
                // an acknowledged move is seen by whoever looks afterwards
                assert_eq!(game.profile(user).await.last_seq, seq);
                assert!(last <= Some(receipt.at));
                last = Some(receipt.at);
            }
            user
        }
    })
    .await;
    for user in results {
        assert_eq!(game.points(user).await, 30);
    }
}

/// Points of somebody who gave this many answers, all right, easy and quick: with the bonuses for streaks.
fn points_after(answers: u64) -> i64 {
    let bonuses = [(5, 50), (10, 100), (20, 250), (50, 50)];
    let paid = bonuses.iter().filter(|(at_least, _)| answers >= *at_least).map(|(_, bonus)| bonus);
    i64::try_from(answers).unwrap() * 10 + paid.sum::<i64>()
}

#[track_caller]
fn assert_whole(profile: &UserProfile) {
    let answers = profile.last_seq;
    assert_eq!(
        (profile.questions_answered, profile.questions_correct, profile.current_streak, profile.best_streak),
        (answers, answers, answers, answers)
    );
    assert_eq!(profile.total_points.get(), points_after(answers));
    assert_eq!(profile.points_reached_at.is_some(), answers > 0);
}

fn sum<'a>(tallies: impl Iterator<Item = &'a Tally>) -> (u64, u64, i64) {
    tallies.fold((0, 0, 0), |(answered, correct, points), tally| {
        (answered + tally.answered, correct + tally.correct, points + tally.points.get())
    })
}

/// Players who only give right answers, while `look` is called again and again.
async fn play_and_look<F>(game: &Game, look: impl Fn(Game) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    const PLAYERS: usize = 4;
    let questions = game.statements(2).await;
    for id in 0..PLAYERS {
        game.user(i64::try_from(id).unwrap()).await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let looker = {
        let (game, done) = (game.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            while !done.load(Ordering::Relaxed) {
                look(game.clone()).await;
                tokio::task::yield_now().await;
            }
            look(game).await;
        })
    };
    together(PLAYERS, |at| {
        let (game, questions) = (game.clone(), questions.clone());
        async move {
            for round in 0..24 {
                game.play(user_id(i64::try_from(at).unwrap()), questions[round % 2], true).await;
            }
        }
    })
    .await;
    done.store(true, Ordering::Relaxed);
    looker.await.unwrap();
    for id in 0..PLAYERS {
        assert_eq!(game.profile(user_id(i64::try_from(id).unwrap())).await.last_seq, 24);
    }
}

pub(crate) async fn l2_a_reader_never_sees_a_half(game: Game) {
    play_and_look(&game, |game| async move {
        let store = game.store.as_ref();
        for profile in store.users().list(Page::first(10)).await.unwrap() {
            assert_whole(&profile);
            let user = profile.user_id;
            let breakdown = store.users().breakdown(user).await.unwrap();
            let (answered, correct, points) = sum(breakdown.by_difficulty.values());
            assert_eq!(sum(breakdown.by_category.values()), (answered, correct, points));
            assert_eq!((correct, points), (answered, i64::try_from(answered).unwrap() * 10));
            assert_eq!(breakdown.recent.len() as u64, answered.min(10));
            assert!(answered >= profile.questions_answered, "what was seen once stays seen");
            let streaks = store.achievements().of(user).await.unwrap().len();
            assert!(streaks >= [5, 10, 20].into_iter().filter(|at_least| answered >= *at_least).count());
        }
        for board in game.boards() {
            let page = store.rankings().page(board, None, 10).await.unwrap();
            assert_eq!(page.total, page.entries.len() as u64);
            for (at, entry) in page.entries.iter().enumerate() {
                let answers = entry.questions_answered;
                let expected = match board {
                    Board::AllTime => points_after(answers),
                    Board::Period { .. } => i64::try_from(answers).unwrap() * 10,
                };
                assert_eq!((entry.points.get(), entry.questions_correct), (expected, answers));
                let better = page.entries.iter().filter(|other| other.points > entry.points).count();
                assert_eq!(entry.rank, better as u64 + 1);
                assert!(page.entries[..at].iter().all(|other| other.user_id != entry.user_id));
            }
        }
        for question in game.all_questions().await {
            assert_eq!(question.times_asked, question.times_correct);
        }
    })
    .await;
}

/// All that can be compared about one player at one moment.
async fn look_at(uow: &dyn UnitOfWork, boards: [Board; 4], user: UserId) -> StoreResult<()> {
    let profile = uow.users().get(user).await?;
    assert_whole(&profile);
    let answers = profile.questions_answered;
    let breakdown = uow.users().breakdown(user).await?;
    let expected = (answers, answers, i64::try_from(answers).unwrap() * 10);
    assert_eq!(sum(breakdown.by_difficulty.values()), expected);
    assert_eq!(sum(breakdown.by_category.values()), expected);
    for board in boards {
        let standing = uow.rankings().standing(board, user).await?;
        let points = if board == Board::AllTime { profile.total_points.get() } else { expected.2 };
        assert_eq!(standing.map_or(0, |standing| standing.points.get()), points, "{board}");
    }
    let bonuses: i64 = uow.achievements().of(user).await?.iter().map(|achievement| achievement.bonus.get()).sum();
    assert_eq!(expected.2 + bonuses, profile.total_points.get());
    Ok(())
}

pub(crate) async fn l2_a_reading_work_sees_one_moment(game: Game) {
    play_and_look(&game, |game| async move {
        let boards = game.boards();
        let look = work(move |uow| -> WorkFuture<'_, ()> {
            Box::pin(async move {
                let profiles = uow.users().list(Page::first(10)).await?;
                for profile in &profiles {
                    look_at(uow, boards, profile.user_id).await?;
                }
                let answered: u64 = profiles.iter().map(|profile| profile.questions_answered).sum();
                let questions = uow.questions().list(&Default::default(), Page::first(10)).await?;
                assert_eq!(questions.iter().map(|question| question.times_asked).sum::<u64>(), answered);
                Ok(())
            })
        });
        execute(game.store.as_ref(), &look).await.unwrap();
    })
    .await;
}

pub(crate) async fn l2_concurrent_counters_lose_nothing(game: Game) {
    let question = game.statements(1).await[0];
    together(16, |at| {
        let game = game.clone();
        async move {
            let user = game.user(i64::try_from(at).unwrap()).await;
            for round in 0..5 {
                game.play(user, question, (at + round) % 2 == 0).await;
            }
        }
    })
    .await;
    let question = game.store.questions().get(question).await.unwrap();
    assert_eq!((question.times_asked, question.times_correct), (80, 40));
    let profiles = game.store.users().list(Page::first(100)).await.unwrap();
    assert_eq!(profiles.iter().map(|profile| profile.questions_answered).sum::<u64>(), 80);
    assert_eq!(profiles.iter().map(|profile| profile.questions_correct).sum::<u64>(), 40);
    assert_eq!(profiles.iter().map(|profile| profile.total_points.get()).sum::<i64>(), 400);
    let day = game.boards()[1];
    let entries = game.board(day).await;
    assert_eq!(entries.iter().map(|entry| entry.points.get()).sum::<i64>(), 400);
    assert_eq!(entries.iter().map(|entry| entry.questions_answered).sum::<u64>(), 80);
}
