use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Notify, watch};
use trivia_domain::model::{Board, ChallengeKind, GameSession, Given, IdempotencyKey, Page, Points, TimeLimit, UserId};
use trivia_domain::ports::{
    AnswerSubmission, AwardRequest, PickRequest, QuestionFilter, Repositories, StartChallenge, execute,
};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::Game;
use super::content::statement;
use super::game::{WorkFuture, assert_conflict, assert_missing, channel_id, refusal, together, user_id, work, zone};

/// Writes to every repository: a new player, a new question, a retired one, a session, an answer, an award,
/// a time zone, a challenge.
async fn write_everything(game: &Game, store: &dyn Repositories) -> StoreResult<(UserId, GameSession)> {
    let user = store.users().get_or_create(user_id(77)).await?.user_id;
    store.questions().add(vec![statement("From a work.", true)]).await?;
    let filter = QuestionFilter::default();
    let pick = PickRequest { filter, count: 1, exclude: Vec::new(), seed: 1, scope: None };
    let question = store.questions().pick(&pick).await?.remove(0);
    store.questions().retire(question.id).await?;
    store.questions().update(question.id, statement("Changed by a work.", true)).await?;
    let session = store.play().start_session(game.request(1, user, &[question.id])).await?;
    let submission = game.submission(user, &session, Given::Truth(true));
    store.play().submit_answer(submission).await?;
    store.play().award(game.award_request(user, 7)).await?;
    store.users().set_time_zone(user, zone("Europe/Berlin")).await?;
    let (channel_id, kind, time_limit) = (channel_id(2), ChallengeKind::Daily, TimeLimit::default());
    store.play().start_challenge(StartChallenge { channel_id, host: user, kind, time_limit }).await?;
    Ok((user, session))
}

pub(crate) async fn a_work_returns_its_result_and_sees_its_own_writes(game: Game) {
    game.statements(3).await;
    let busy = {
        let game = game.clone();
        work(move |uow| -> WorkFuture<'_, GameSession> {
            let game = game.clone();
            Box::pin(async move {
                let (user, session) = write_everything(&game, uow).await?;
                let profile = uow.users().get(user).await?;
                assert_eq!((profile.total_points.get(), profile.last_seq), (17, 2));
                assert_eq!(profile.time_zone, zone("Europe/Berlin"));
                let challenge = uow.challenges().present(ChallengeKind::Daily).await?;
                assert!(uow.challenges().find(challenge).await?.is_some());
                assert_eq!(uow.sessions().live(channel_id(1)).await?, Some(session.clone()));
                assert_eq!(uow.sessions().get(session.id).await?, session);
                for board in game.boards() {
                    assert_eq!(uow.rankings().standing(board, user).await?.map(|standing| standing.rank), Some(1));
                }
                assert_eq!(uow.users().breakdown(user).await?.recent.len(), 1);
                let question = uow.questions().get(session.questions[0].question_id).await?;
                assert_eq!((question.times_asked, question.version), (1, 2));
                let size: u64 = uow.questions().groups().await?.iter().map(|group| group.size).sum();
                assert_eq!(size, 3);
                Ok(session)
            })
        })
    };
    let session = execute(game.store.as_ref(), &busy).await.unwrap();
    assert_eq!(game.store.sessions().live(channel_id(1)).await.unwrap(), Some(session));
    assert_eq!(game.points(user_id(77)).await, 17);
}

pub(crate) async fn l2_a_failed_work_leaves_nothing(game: Game) {
    game.statements(3).await;
    let user = game.user(1).await;
    let before = game.snapshot().await;
    let doomed = {
        let game = game.clone();
        work(move |uow| -> WorkFuture<'_, ()> {
            let game = game.clone();
            Box::pin(async move {
                write_everything(&game, uow).await?;
                uow.play().award(game.award_request(user, 7)).await?;
                Err(Refusal::NotOpen.into())
            })
        })
    };
    for _ in 0..3 {
        assert_eq!(refusal(execute(game.store.as_ref(), &doomed).await), Refusal::NotOpen, "its own error");
        assert_eq!(game.snapshot().await, before);
    }
    // what was taken back can be done afterwards
    write_everything(&game, game.store.as_ref()).await.unwrap();
    assert_eq!(game.points(user_id(77)).await, 17);
}

pub(crate) async fn s23_a_dropped_work_leaves_nothing(game: Game) {
    game.statements(3).await;
    let user = game.user(1).await;
    for round in 1..=3 {
        let before = game.snapshot().await;
        let written = Arc::new(Notify::new());
        let stuck = {
            let (game, written) = (game.clone(), Arc::clone(&written));
            work(move |uow| -> WorkFuture<'_, ()> {
                let (game, written) = (game.clone(), Arc::clone(&written));
                Box::pin(async move {
                    write_everything(&game, uow).await?;
                    written.notify_one();
                    std::future::pending().await
                })
            })
        };
        let store = game.store.clone();
        let task = tokio::spawn(async move { execute(store.as_ref(), &stuck).await });
        written.notified().await;
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(game.snapshot().await, before);
        // the next one commits its own writes and nothing else
        assert_eq!(game.award(user, 1).await.unwrap().seq, round);
        assert_eq!(game.store.users().find(user_id(77)).await.unwrap(), None);
        assert_eq!(game.store.questions().groups().await.unwrap()[0].size, 3);
    }
}

pub(crate) async fn l2_a_panicking_work_leaves_nothing(game: Game) {
    game.statements(3).await;
    let user = game.user(1).await;
    let before = game.snapshot().await;
    let broken = {
        let game = game.clone();
        work(move |uow| -> WorkFuture<'_, ()> {
            let game = game.clone();
            Box::pin(async move {
                write_everything(&game, uow).await?;
                std::panic::resume_unwind(Box::new("on purpose"))
            })
        })
    };
    let store = game.store.clone();
    let task = tokio::spawn(async move { execute(store.as_ref(), &broken).await });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(game.snapshot().await, before);
    assert_eq!(game.award(user, 1).await.unwrap().seq, 1);
}

pub(crate) async fn a_work_is_isolated_until_it_ends(game: Game) {
    game.statements(3).await;
    game.user(1).await;
    let before = game.snapshot().await;
    let written = Arc::new(Notify::new());
    let (go, gone) = watch::channel(false);
    let slow = {
        let (game, written) = (game.clone(), Arc::clone(&written));
        work(move |uow| -> WorkFuture<'_, ()> {
            let (game, written, mut gone) = (game.clone(), Arc::clone(&written), gone.clone());
            Box::pin(async move {
                write_everything(&game, uow).await?;
                written.notify_one();
                gone.wait_for(|gone| *gone).await.expect("the sender lives");
                Ok(())
            })
        })
    };
    let store = game.store.clone();
    let task = tokio::spawn(async move { execute(store.as_ref(), &slow).await });
    written.notified().await;
    assert_eq!(game.snapshot().await, before, "nobody else sees it before it ends");
    go.send(true).unwrap();
    task.await.unwrap().unwrap();
    assert_ne!(game.snapshot().await, before);
    assert_eq!(game.points(user_id(77)).await, 17);
}

pub(crate) async fn a_refused_move_leaves_the_rest_of_a_work(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(2).await;
    let session = game.start(1, user, &ids).await;
    let tolerant = {
        let game = game.clone();
        work(move |uow| -> WorkFuture<'_, ()> {
            let (game, session, ids) = (game.clone(), session.clone(), ids.clone());
            Box::pin(async move {
                uow.play().award(game.award_request(user, 1)).await?;
                assert_missing(uow.play().award(game.award_request(user_id(404), 1)).await, "user");
                assert_eq!(refusal(uow.play().award(game.award_request(user, i64::MAX)).await), Refusal::Overflow);
                let occupied = uow.play().start_session(game.request(1, user, &ids)).await;
                assert_eq!(refusal(occupied), Refusal::ChannelOccupied);
                let not_open =
                    AnswerSubmission { question_id: ids[1], ..game.submission(user, &session, Given::Truth(true)) };
                assert_eq!(refusal(uow.play().submit_answer(not_open).await), Refusal::NotOpen);
                let taken = uow.questions().get(ids[0]).await?.content;
                assert_conflict(uow.questions().update(ids[1], taken).await);
                uow.play().submit_answer(game.submission(user, &session, Given::Truth(true))).await?;
                Ok(())
            })
        })
    };
    execute(game.store.as_ref(), &tolerant).await.unwrap();
    let profile = game.profile(user).await;
    assert_eq!((profile.total_points.get(), profile.last_seq, profile.questions_answered), (11, 2, 1));
}

/// Lets the other tasks run, so that works overlap where the store lets them.
async fn give_way() {
    for _ in 0..5 {
        tokio::task::yield_now().await;
    }
}

/// Reads the points of a player and adds one.
async fn increment(game: &Game, user: UserId, key: IdempotencyKey) -> StoreResult<i64> {
    let add_one = {
        let game = game.clone();
        work(move |uow| -> WorkFuture<'_, i64> {
            let request = AwardRequest { key, ..game.award_request(user, 1) };
            Box::pin(async move {
                let before = uow.users().get(user).await?.total_points;
                give_way().await;
                let after = uow.play().award(request).await?.total_points;
                if after != before.plus(Points::small(1))? {
                    return Err(StoreError::invalid("work", "somebody wrote in between"));
                }
                give_way().await;
                Ok(before.get())
            })
        })
    };
    execute(game.store.as_ref(), &add_one).await
}

pub(crate) async fn a_work_that_is_run_again_counts_once(game: Game) {
    let user = game.user(1).await;
    let seen = together(24, |_| {
        let game = game.clone();
        async move { increment(&game, user, game.key()).await.unwrap() }
    })
    .await;
    let different: BTreeSet<i64> = seen.into_iter().collect();
    assert_eq!(different, (0..24).collect(), "each saw the result of the one before");
    let profile = game.profile(user).await;
    assert_eq!((profile.total_points.get(), profile.last_seq), (24, 24));
}

pub(crate) async fn works_and_plain_moves_do_not_lose_each_other(game: Game) {
    let user = game.user(1).await;
    together(24, |at| {
        let game = game.clone();
        async move {
            if at % 2 == 0 {
                increment(&game, user, game.key()).await.unwrap();
            } else {
                game.award(user, 1).await.unwrap();
                game.statements(1).await;
                game.user(100 + i64::try_from(at).unwrap()).await;
            }
        }
    })
    .await;
    let profile = game.profile(user).await;
    assert_eq!((profile.total_points.get(), profile.last_seq), (24, 24));
    assert_eq!(game.store.questions().groups().await.unwrap()[0].size, 12);
    assert_eq!(game.store.users().list(Page::first(100)).await.unwrap().len(), 13);
    assert_eq!(game.store.rankings().standing(Board::AllTime, user).await.unwrap().unwrap().points.get(), 24);
}

pub(crate) async fn l21_works_cannot_share_a_channel(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(1).await;
    let results = together(8, |_| {
        let (game, ids) = (game.clone(), ids.clone());
        async move {
            let start = {
                let game = game.clone();
                work(move |uow| -> WorkFuture<'_, GameSession> {
                    let request = game.request(1, user, &ids);
                    Box::pin(async move {
                        let session = uow.play().start_session(request).await?;
                        give_way().await;
                        Ok(session)
                    })
                })
            };
            execute(game.store.as_ref(), &start).await
        }
    })
    .await;
    let (started, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(started.len(), 1);
    for result in refused {
        assert_eq!(refusal(result), Refusal::ChannelOccupied);
    }
    let live = game.store.sessions().live(channel_id(1)).await.unwrap();
    assert_eq!(live.as_ref(), started[0].as_ref().ok());
}
