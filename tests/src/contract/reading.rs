use chrono::TimeDelta;
use trivia_domain::model::{ChallengeKind, Page, Period, SessionId};
use trivia_domain::ports::{PickRequest, QuestionFilter};
use uuid::Uuid;

use super::Game;
use super::game::{channel_id, question_id, user_id};

pub(crate) async fn l15_reading_never_writes(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(5).await;
    for (id, correct) in ids.iter().zip([true, false, true]) {
        game.play(user, *id, correct).await;
    }
    // an overdue session: whoever looks at it must not end it
    game.start(1, user, &ids).await;
    game.wait(TimeDelta::minutes(5));
    let before = game.snapshot().await;

    let nobody = user_id(404);
    let store = game.store.as_ref();
    store.users().find(nobody).await.unwrap();
    store.users().get(nobody).await.unwrap_err();
    store.users().breakdown(nobody).await.unwrap_err();
    store.achievements().of(nobody).await.unwrap();
    store.achievements().progress(nobody).await.unwrap_err();
    store.sessions().find(SessionId::new(Uuid::from_u128(1))).await.unwrap();
    store.sessions().live(channel_id(404)).await.unwrap();
    store.sessions().list_live(Page::first(10)).await.unwrap();
    store.questions().find(question_id(404)).await.unwrap();
    for seed in 0..10 {
        let pick = PickRequest { filter: QuestionFilter::default(), count: 5, exclude: Vec::new(), seed, scope: None };
        store.questions().pick(&pick).await.unwrap();
    }
    for board in game.boards() {
        for user in [user, nobody] {
            store.rankings().standing(board, user).await.unwrap();
            store.rankings().around(board, user, 5).await.unwrap();
        }
        store.rankings().page(board, None, 1).await.unwrap();
    }
    store.rankings().weekly_history(nobody, 5).await.unwrap();
    for kind in ChallengeKind::ALL {
        let present = store.challenges().present(kind).await.unwrap();
        store.challenges().find(present).await.unwrap();
        store.challenges().attempt(user, present).await.unwrap();
        store.challenges().history(nobody, kind, 5).await.unwrap();
    }
    for period in Period::ALL {
        store.rankings().rank_change(period, "2026-03-04".parse().unwrap(), user).await.unwrap();
    }
    store.achievements().definitions().await.unwrap();
    store.rules().rules().await.unwrap();
    store.people().export(user).await.unwrap();
    store.people().export(nobody).await.unwrap_err();
    store.users().list(Page::after(0, 5)).await.unwrap();

    // on the next day, week and month, too, until the clock is set back
    game.wait(TimeDelta::days(40));
    game.snapshot().await;
    game.wait(TimeDelta::days(-40));
    assert_eq!(game.snapshot().await, before);
}
