use std::time::Duration;

use chrono::TimeDelta;
use trivia_domain::model::{
    ChallengeId, ChallengeKind, GameSession, Given, Page, SessionId, SessionQuestion, SessionStatus, TimeLimit,
};
use trivia_domain::ports::{Clock, StartChallenge, StartSession};
use trivia_domain::{Refusal, StoreResult};
use uuid::Uuid;

use super::Game;
use super::game::{assert_invalid, assert_missing, channel_id, question_id, refusal, together, user_id};

const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

impl Game {
    async fn session(&self, id: SessionId) -> GameSession {
        self.store.sessions().get(id).await.unwrap()
    }

    async fn live(&self, channel: i64) -> Option<GameSession> {
        self.store.sessions().live(channel_id(channel)).await.unwrap()
    }

    async fn try_start(&self, request: StartSession) -> StoreResult<GameSession> {
        self.store.play().start_session(request).await
    }
}

pub(crate) async fn missing_sessions_are_missing(game: Game) {
    let nothing = SessionId::new(Uuid::from_u128(404));
    assert_eq!(game.store.sessions().find(nothing).await.unwrap(), None);
    assert_missing(game.store.sessions().get(nothing).await, "session");
    assert_eq!(game.live(1).await, None);
    let play = game.store.play();
    assert_missing(play.advance(nothing, 0).await, "session");
    assert_missing(play.finish(nothing).await, "session");
    assert_missing(play.expire(nothing).await, "session");
}

pub(crate) async fn a_started_session_reads_back_whole(game: Game) {
    let host = game.user(1).await;
    let questions = game.statements(3).await;
    let started_at = game.clock.now();
    let time_limit = TimeLimit::from_millis(1_500).unwrap();
    let asked = |question_id, opened_at| SessionQuestion { question_id, version: 1, opened_at };
    let normal = GameSession {
        id: SessionId::new(Uuid::nil()),
        channel_id: channel_id(1),
        host: Some(host),
        challenge: None,
        status: SessionStatus::Live,
        time_limit,
        questions: vec![asked(questions[0], Some(started_at)), asked(questions[1], None), asked(questions[2], None)],
        position: 0,
        started_at,
        ended_at: None,
    };
    let session = game.try_start(StartSession { time_limit, ..game.request(1, host, &questions) }).await.unwrap();
    let mut expected = vec![GameSession { id: session.id, ..normal.clone() }];
    assert_eq!(session, expected[0]);
    let kind = ChallengeKind::Daily;
    let request = StartChallenge { channel_id: channel_id(2), host, kind, time_limit };
    let session = game.store.play().start_challenge(request).await.unwrap();
    expected.push(GameSession {
        id: session.id,
        channel_id: channel_id(2),
        challenge: Some(ChallengeId { kind, starts_on: "2026-03-04".parse().unwrap() }),
        // which one is by chance
        questions: vec![asked(session.questions[0].question_id, Some(started_at))],
        ..normal
    });
    assert_eq!(session, expected[1]);
    assert_ne!(expected[0].id, expected[1].id, "each has an id of its own");
    for (expected, channel) in expected.into_iter().zip(1..) {
        assert_eq!(game.session(expected.id).await, expected);
        assert_eq!(game.store.sessions().find(expected.id).await.unwrap(), Some(expected.clone()));
        assert_eq!(game.live(channel).await, Some(expected));
    }
}

pub(crate) async fn a_session_needs_a_host_and_different_known_questions(game: Game) {
    let host = game.user(1).await;
    let known = game.statements(2).await;
    let unknown = question_id(i64::MAX);
    assert_missing(game.try_start(game.request(1, user_id(404), &known)).await, "user");
    assert_missing(game.try_start(game.request(1, host, &[known[0], unknown])).await, "question");
    assert_invalid(game.try_start(game.request(1, host, &[])).await, "session");
    assert_invalid(game.try_start(game.request(1, host, &[known[0], known[1], known[0]])).await, "session");
    assert_eq!(game.live(1).await, None);
    assert!(game.try_start(game.request(1, host, &known)).await.is_ok());
}

pub(crate) async fn a_retired_question_can_still_be_asked(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(1).await;
    game.store.questions().retire(ids[0]).await.unwrap();
    let session = game.start(1, host, &ids).await;
    assert_eq!(game.answer(host, &session, true).await.unwrap().correct, Some(true));
}

pub(crate) async fn l21_a_channel_has_one_live_session(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(1).await;
    let first = game.start(1, ann, &ids).await;
    let other = game.start(2, ann, &ids).await;
    assert_eq!(refusal(game.try_start(game.request(1, bob, &ids)).await), Refusal::ChannelOccupied);
    // exactly at the deadline there is still time
    game.wait(TimeDelta::seconds(30));
    assert_eq!(refusal(game.try_start(game.request(1, bob, &ids)).await), Refusal::ChannelOccupied);
    assert_eq!(game.live(1).await, Some(first));
    assert_eq!(game.live(2).await, Some(other));
}

pub(crate) async fn l21_concurrent_starts_leave_one_live_session(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(2).await;
    let results = together(16, |_| {
        let (game, ids) = (game.clone(), ids.clone());
        async move { game.try_start(game.request(1, host, &ids)).await }
    })
    .await;
    let (started, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(started.len(), 1);
    assert_eq!(game.live(1).await.as_ref(), started[0].as_ref().ok());
    for result in refused {
        assert_eq!(refusal(result), Refusal::ChannelOccupied);
    }
}

pub(crate) async fn l21_an_overdue_session_gives_way(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(2).await;
    let old = game.start(1, host, &ids).await;
    let deadline = old.deadline().unwrap();
    game.wait(TimeDelta::seconds(30) + MICROSECOND);
    assert_eq!(game.live(1).await, Some(old.clone()), "looking at it does not end it");
    let new = game.start(1, host, &ids).await;
    assert_eq!(game.live(1).await, Some(new));
    let expired = game.session(old.id).await;
    assert_eq!(expired, GameSession { status: SessionStatus::Expired, ended_at: Some(deadline), ..old });

    // many want the channel: one of them gets it
    game.wait(TimeDelta::minutes(1));
    let results = together(8, |_| {
        let (game, ids) = (game.clone(), ids.clone());
        async move { game.try_start(game.request(1, host, &ids)).await.is_ok() }
    })
    .await;
    assert_eq!(results.into_iter().filter(|started| *started).count(), 1);
}

pub(crate) async fn l21_a_session_is_resumed_with_the_remaining_time(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(2).await;
    let session = game.start(1, host, &ids).await;
    game.wait(TimeDelta::milliseconds(12_345) + MICROSECOND);
    let resumed = game.live(1).await.unwrap();
    assert_eq!(resumed, session);
    assert_eq!(resumed.remaining(game.clock.now()), Duration::from_micros(30_000_000 - 12_345_001));
    let receipt = game.answer(host, &resumed, true).await.unwrap();
    assert_eq!(receipt.points.get(), 7, "the time since the opening counts");
}

pub(crate) async fn l21_every_ended_session_frees_its_channel(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(1).await;
    let play = game.store.play();

    let first = game.start(1, host, &ids).await;
    play.finish(first.id).await.unwrap();
    assert_eq!(game.live(1).await, None);

    let second = game.start(1, host, &ids).await;
    play.advance(second.id, 0).await.unwrap();
    assert_eq!(game.live(1).await, None);

    let third = game.start(1, host, &ids).await;
    game.wait(TimeDelta::minutes(1));
    play.expire(third.id).await.unwrap();
    assert_eq!(game.live(1).await, None);

    // ending an old one again does not touch the new one
    let fourth = game.start(1, host, &ids).await;
    for old in [first.id, second.id, third.id] {
        play.finish(old).await.unwrap();
        play.expire(old).await.unwrap();
        play.advance(old, 0).await.unwrap();
    }
    assert_eq!(game.live(1).await, Some(fourth));
}

pub(crate) async fn advancing_opens_the_next_question(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(3).await;
    let session = game.start(1, host, &ids).await;
    game.wait(TimeDelta::seconds(10));
    let second = game.store.play().advance(session.id, 0).await.unwrap();
    let mut expected = session.clone();
    expected.position = 1;
    expected.questions[1].opened_at = Some(game.clock.now());
    assert_eq!(second, expected);
    assert_eq!(game.live(1).await, Some(expected));
    assert_eq!(second.remaining(game.clock.now()), Duration::from_secs(30), "each question has the whole time");
    // an overdue question can be closed as well
    game.wait(TimeDelta::minutes(1));
    game.store.play().advance(session.id, 1).await.unwrap();
    let over = game.store.play().advance(session.id, 2).await.unwrap();
    assert_eq!(over.status, SessionStatus::Finished);
    assert_eq!(over.ended_at, Some(game.clock.now()));
    assert_eq!(game.session(session.id).await, over);
}

pub(crate) async fn advancing_is_idempotent_and_never_skips(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(3).await;
    let session = game.start(1, host, &ids).await;
    let play = game.store.play();
    for from in [1, 2, 3, 99, usize::MAX] {
        assert_invalid(play.advance(session.id, from).await, "position");
    }
    assert_eq!(game.session(session.id).await, session);
    let second = play.advance(session.id, 0).await.unwrap();
    game.wait(TimeDelta::seconds(5));
    assert_eq!(play.advance(session.id, 0).await.unwrap(), second, "a retry changes nothing");
    play.advance(session.id, 1).await.unwrap();
    let over = play.advance(session.id, 2).await.unwrap();
    game.wait(TimeDelta::seconds(5));
    for from in [0, 1, 2] {
        assert_eq!(play.advance(session.id, from).await.unwrap(), over);
    }
    assert_eq!(game.session(session.id).await, over);
}

pub(crate) async fn concurrent_advances_open_one_question(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(20).await;
    let session = game.start(1, host, &ids).await;
    let positions = together(16, |_| {
        let (game, id) = (game.clone(), session.id);
        async move { game.store.play().advance(id, 0).await.unwrap().position }
    })
    .await;
    assert_eq!(positions, [1; 16]);
    assert_eq!(game.session(session.id).await.position, 1);
}

pub(crate) async fn finishing_twice_is_finishing_once(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(3).await;
    let session = game.start(1, host, &ids).await;
    game.wait(TimeDelta::seconds(3));
    let finished = game.store.play().finish(session.id).await.unwrap();
    let expected = GameSession { status: SessionStatus::Finished, ended_at: Some(game.clock.now()), ..session.clone() };
    assert_eq!(finished, expected);
    game.wait(TimeDelta::hours(1));
    assert_eq!(game.store.play().finish(session.id).await.unwrap(), expected);
    assert_eq!(game.store.play().expire(session.id).await.unwrap(), expected, "it is over");
    assert_eq!(game.session(session.id).await, expected);
}

pub(crate) async fn expiring_needs_the_time_to_be_up(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(3).await;
    let session = game.start(1, host, &ids).await;
    let play = game.store.play();
    for step in [TimeDelta::zero(), TimeDelta::seconds(30) - MICROSECOND, MICROSECOND, TimeDelta::hours(-1)] {
        game.wait(step);
        assert_eq!(refusal(play.expire(session.id).await), Refusal::TimeNotUp);
    }
    assert_eq!(game.session(session.id).await, session);
    game.wait(TimeDelta::hours(1) + MICROSECOND);
    let expired = play.expire(session.id).await.unwrap();
    let expected = GameSession { status: SessionStatus::Expired, ended_at: session.deadline(), ..session.clone() };
    assert_eq!(expired, expected);
    game.wait(TimeDelta::hours(1));
    assert_eq!(play.expire(session.id).await.unwrap(), expected);
    assert_eq!(play.finish(session.id).await.unwrap(), expected, "it is over");
    assert_eq!(game.session(session.id).await, expected);
}

pub(crate) async fn live_sessions_are_listed_in_pages_in_order_of_their_channels(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(2).await;
    assert_eq!(game.store.sessions().list_live(Page::first(10)).await.unwrap(), []);
    let mut live = Vec::new();
    for channel in [i64::MAX, 3, 0, 7] {
        live.push(game.start(channel, host, &ids).await);
    }
    game.store.play().finish(live[1].id).await.unwrap();
    live.remove(1);
    live.sort_by_key(|session| session.channel_id);
    // one whose time is up is live until somebody ends it
    game.wait(TimeDelta::hours(1));
    let list = async |page| game.store.sessions().list_live(page).await.unwrap();
    assert_eq!(list(Page::first(10)).await, live);
    assert_eq!(list(Page::first(2)).await, live[..2]);
    assert_eq!(list(Page::after(0, 1)).await, live[1..2]);
    assert_eq!(list(Page::after(7, 10)).await, live[2..]);
    assert_eq!(list(Page::after(i64::MAX, 10)).await, []);
    game.store.play().expire(live[0].id).await.unwrap();
    assert_eq!(list(Page::first(10)).await, live[1..]);
}

pub(crate) async fn s26_an_answer_does_not_lock_the_channel(game: Game) {
    let host = game.user(1).await;
    let ids = game.statements(1).await;
    for round in 0..3 {
        let session = game.start(1, host, &ids).await;
        game.answer(host, &session, round % 2 == 0).await.unwrap();
        game.store.play().advance(session.id, 0).await.unwrap();
    }
    // and nobody has to clean up
    for _ in 0..3 {
        let session = game.start(1, host, &ids).await;
        game.answer(host, &session, true).await.unwrap();
        game.wait(TimeDelta::seconds(31));
    }
}

pub(crate) async fn t9_channel_ids_zero_and_the_largest_work(game: Game) {
    let host = game.user(i64::MAX).await;
    let ids = game.statements(1).await;
    for channel in [0, 1, i64::MAX] {
        let session = game.start(channel, host, &ids).await;
        assert_eq!(game.live(channel).await, Some(session.clone()));
        assert_eq!(session.channel_id.get(), channel);
        game.answer(host, &session, true).await.unwrap();
        game.store.play().finish(session.id).await.unwrap();
        assert_eq!(game.live(channel).await, None);
    }
    assert_eq!(game.profile(host).await.questions_answered, 3);
}

/// Live and ended sessions with answers, awards and a challenge; the first session has ended first.
async fn played(game: &Game) -> Vec<GameSession> {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(5).await;
    let mut ended = Vec::new();
    for at in 0..4 {
        game.wait(TimeDelta::hours(1));
        let session = game.start(1, ann, &ids).await;
        game.answer(ann, &session, true).await.unwrap();
        game.answer(bob, &session, at % 2 == 0).await.unwrap();
        ended.push(game.store.play().finish(session.id).await.unwrap());
    }
    game.play_challenge(bob, ChallengeKind::Weekly, &[true, true, false, true, true]).await;
    game.award(ann, 40).await.unwrap();
    let live = game.start(2, bob, &ids).await;
    game.answer(bob, &live, true).await.unwrap();
    ended
}

pub(crate) async fn l16_s8_forgetting_sessions_changes_no_statistic(game: Game) {
    played(&game).await;
    // they are months old when somebody cleans up
    for days in [0, 200] {
        game.wait(TimeDelta::days(days));
        let before = game.snapshot().await;
        let forgotten = game.store.sessions().forget_ended(game.clock.now() + MICROSECOND).await.unwrap();
        assert_eq!(forgotten, if days == 0 { 5 } else { 0 });
        assert_eq!(game.snapshot().await, before);
    }
    game.wait(TimeDelta::days(-200));
    for board in game.boards() {
        assert_eq!(game.board(board).await.len(), 2, "{board}");
    }
}

pub(crate) async fn l16_only_sessions_that_ended_before_are_forgotten(game: Game) {
    let ended = played(&game).await;
    let live = game.live(2).await.unwrap();
    let sessions = game.store.sessions();
    // the instant itself is not before it
    let before = ended[2].ended_at.unwrap();
    assert_eq!(sessions.forget_ended(before).await.unwrap(), 2);
    for (at, session) in ended.iter().enumerate() {
        let expected = (at >= 2).then(|| session.clone());
        assert_eq!(sessions.find(session.id).await.unwrap(), expected);
    }
    assert_eq!(sessions.forget_ended(before).await.unwrap(), 0, "they are forgotten already");
    // however old, what is live stays, also when its time is up
    game.wait(TimeDelta::days(400));
    assert_eq!(sessions.forget_ended(game.clock.now()).await.unwrap(), 3);
    assert_eq!(game.live(2).await, Some(live));
}

pub(crate) async fn l16_a_forgotten_session_answers_retries_and_nothing_else(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(1).await;
    let session = game.start(1, ann, &ids).await;
    let submission = game.submission(ann, &session, Given::Truth(true));
    let receipt = game.store.play().submit_answer(submission.clone()).await.unwrap();
    game.store.play().finish(session.id).await.unwrap();
    game.wait(TimeDelta::days(1));
    assert_eq!(game.store.sessions().forget_ended(game.clock.now()).await.unwrap(), 1);
    let before = game.snapshot().await;
    let play = game.store.play();
    assert_eq!(play.submit_answer(submission).await.unwrap(), receipt);
    for user in [ann, bob] {
        assert_missing(game.answer(user, &session, true).await, "session");
    }
    assert_missing(play.advance(session.id, 0).await, "session");
    assert_missing(play.finish(session.id).await, "session");
    assert_missing(play.expire(session.id).await, "session");
    assert_missing(game.store.sessions().get(session.id).await, "session");
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l16_forgetting_gives_no_second_attempt(game: Game) {
    let user = game.user(1).await;
    game.statements(1).await;
    game.play_challenge(user, ChallengeKind::Daily, &[false]).await;
    game.wait(TimeDelta::seconds(1));
    assert_eq!(game.store.sessions().forget_ended(game.clock.now()).await.unwrap(), 1);
    let session = game.start_challenge(1, user, ChallengeKind::Daily).await;
    assert_eq!(refusal(game.answer(user, &session, true).await), Refusal::AlreadyAnswered);
}
