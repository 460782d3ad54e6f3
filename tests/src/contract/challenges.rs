use chrono::TimeDelta;
use trivia_domain::model::{
    Badge, Challenge, ChallengeAnswer, ChallengeAttempt, ChallengeId, ChallengeKind, ChallengeQuestion, Difficulty,
    GameSession, Given, Language, Points, QuestionId, UserId,
};
use trivia_domain::ports::{Clock, StartChallenge, execute};
use trivia_domain::{Refusal, StoreError};

use super::Game;
use super::content::{statement, statement_of};
use super::game::{WorkFuture, achievement_id, assert_missing, channel_id, day, refusal, together, user_id, work};

use ChallengeKind::{Daily, Weekly};

impl Game {
    async fn present(&self, kind: ChallengeKind) -> ChallengeId {
        self.store.challenges().present(kind).await.unwrap()
    }

    async fn challenge(&self, id: ChallengeId) -> Option<Challenge> {
        self.store.challenges().find(id).await.unwrap()
    }

    async fn attempt(&self, user: UserId, id: ChallengeId) -> Option<ChallengeAttempt> {
        self.store.challenges().attempt(user, id).await.unwrap()
    }

    async fn attempts(&self, user: UserId, kind: ChallengeKind) -> Vec<ChallengeAttempt> {
        self.store.challenges().history(user, kind, 1_000).await.unwrap()
    }
}

fn asked(session: &GameSession) -> Vec<QuestionId> {
    session.questions.iter().map(|asked| asked.question_id).collect()
}

pub(crate) async fn l11_a_challenge_is_the_same_for_everybody_and_for_ever(game: Game) {
    let ids = game.statements(12).await;
    for kind in ChallengeKind::ALL {
        let id = game.present(kind).await;
        assert_eq!(id, ChallengeId { kind, starts_on: day(if kind == Daily { "2026-03-04" } else { "2026-03-02" }) });
        assert_eq!(game.challenge(id).await, None, "nobody has started it");
        let first = game.start_challenge_anywhere(game.user(1).await, kind).await;
        let fixed = asked(&first);
        assert_eq!((first.challenge, fixed.len()), (Some(id), kind.size() as usize));
        let questions = fixed.iter().map(|id| ChallengeQuestion { question_id: *id, version: 1 }).collect();
        let expected = Challenge { id, questions, created_at: game.clock.now() };
        assert_eq!(game.challenge(id).await, Some(expected.clone()));

        // other questions, and none of these
        game.statements(20).await;
        for question in ids.iter().chain(&fixed) {
            game.store.questions().retire(*question).await.unwrap();
        }
        for user in 1..=3 {
            game.wait(TimeDelta::minutes(1));
            let session = game.start_challenge_anywhere(game.user(user).await, kind).await;
            assert_eq!(asked(&session), fixed);
        }
        assert_eq!(game.challenge(id).await, Some(expected));
    }
}

pub(crate) async fn l11_concurrent_first_askers_fix_one_set(game: Game) {
    game.statements(50).await;
    for kind in ChallengeKind::ALL {
        let sessions = together(16, |at| {
            let game = game.clone();
            async move {
                let user = game.user(i64::try_from(at).unwrap()).await;
                game.start_challenge_anywhere(user, kind).await
            }
        })
        .await;
        let fixed = game.challenge(game.present(kind).await).await.unwrap();
        for session in sessions {
            assert!(asked(&session).into_iter().eq(fixed.questions.iter().map(|question| question.question_id)));
        }
    }
}

pub(crate) async fn l21_concurrent_challenges_leave_one_live_session(game: Game) {
    let user = game.user(1).await;
    game.statements(20).await;
    let results = together(12, |at| {
        let game = game.clone();
        async move { game.try_challenge(1, user, ChallengeKind::ALL[at % 2]).await }
    })
    .await;
    let (started, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(started.len(), 1);
    let session = started.into_iter().next().unwrap().unwrap();
    assert_eq!(game.store.sessions().live(channel_id(1)).await.unwrap().as_ref(), Some(&session));
    for result in refused {
        assert_eq!(refusal(result), Refusal::ChannelOccupied);
    }
    // nobody but the one who started has drawn anything
    let drawn = session.challenge.unwrap();
    let other = if drawn.kind == Daily { Weekly } else { Daily };
    assert!(game.challenge(drawn).await.is_some());
    assert_eq!(game.challenge(game.present(other).await).await, None);
}

pub(crate) async fn l11_a_week_asks_two_easy_two_medium_and_one_hard_question(game: Game) {
    for level in Difficulty::ALL {
        for n in 0..6 {
            game.add(statement_of(&format!("{level} {n}"), "Test", level)).await;
        }
    }
    let session = game.start_challenge(1, game.user(1).await, Weekly).await;
    let mut levels = Vec::new();
    for question in asked(&session) {
        levels.push(game.store.questions().get(question).await.unwrap().content.difficulty());
    }
    use Difficulty::{Easy, Hard, Medium};
    assert_eq!(levels, [Easy, Easy, Medium, Medium, Hard]);
}

pub(crate) async fn t10_a_challenge_is_not_made_of_too_few_questions(game: Game) {
    let user = game.user(1).await;
    let refused = |kind, available, wanted| {
        let game = game.clone();
        async move {
            let result = game.try_challenge(1, user, kind).await;
            assert_eq!(refusal(result), Refusal::NotEnoughQuestions { available, wanted });
            let id = game.present(kind).await;
            assert_eq!(game.challenge(id).await, None, "nothing is fixed");
        }
    };
    refused(Daily, 0, 1).await;
    let ids = game.statements(5).await;
    game.store.questions().retire(ids[0]).await.unwrap();
    refused(Weekly, 4, 5).await;
    game.store.questions().restore(ids[0]).await.unwrap();
    let session = game.start_challenge(1, user, Weekly).await;
    let mut all = asked(&session);
    all.sort_unstable();
    assert_eq!(all, ids, "none comes twice");
    // once it is fixed, it can be played whatever is left
    for question in ids {
        game.store.questions().retire(question).await.unwrap();
    }
    game.start_challenge(2, user, Weekly).await;
    refused(Daily, 0, 1).await;
}

pub(crate) async fn s5_a_week_that_began_in_the_month_before_works(game: Game) {
    let user = game.user(1).await;
    game.statements(5).await;
    game.set_clock("2025-10-02T12:00:00Z");
    let id = game.present(Weekly).await;
    assert_eq!(id.starts_on, day("2025-09-29"));
    game.play_challenge(user, Weekly, &[true; 5]).await;
    let attempt = game.attempt(user, id).await.unwrap();
    assert_eq!((attempt.badge(), attempt.completed_at), (Some(Badge::Perfect), Some(game.clock.now())));
    assert_eq!(game.profile(user).await.weekly_challenges, 1);
}

pub(crate) async fn s6_twelve_restarts_give_one_daily_question(game: Game) {
    let user = game.user(1).await;
    game.statements(100).await;
    game.set_clock("2026-03-05T00:00:00Z");
    let first = asked(&game.start_challenge(1, user, Daily).await);
    for _ in 0..11 {
        game.wait(TimeDelta::hours(2));
        assert_eq!(asked(&game.start_challenge(1, user, Daily).await), first);
    }
    game.set_clock("2026-03-05T23:59:59.999999Z");
    assert_eq!(asked(&game.start_challenge(1, user, Daily).await), first);
    // and days differ: of ten others not all can ask the same by chance
    let mut others = Vec::new();
    for _ in 0..10 {
        game.wait(TimeDelta::days(1));
        others.push(asked(&game.start_challenge(1, user, Daily).await));
    }
    assert!(others.iter().any(|other| *other != first));
}

pub(crate) async fn l11_a_player_has_one_attempt_that_survives_sessions(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    game.statements(5).await;
    let id = game.present(Weekly).await;
    let first = game.start_challenge(1, ann, Weekly).await;
    let ids = asked(&first);
    assert_eq!(game.attempt(ann, id).await, None, "starting is not answering");
    game.answer(ann, &first, false).await.unwrap();
    let first = game.store.play().advance(first.id, 0).await.unwrap();
    let receipt = game.answer(ann, &first, true).await.unwrap();
    game.store.play().finish(first.id).await.unwrap();

    // in another channel, days later: what is answered stays answered, the rest is open
    game.wait(TimeDelta::days(3));
    let mut session = game.start_challenge(2, ann, Weekly).await;
    let before = game.snapshot().await;
    assert_eq!(refusal(game.answer(ann, &session, true).await), Refusal::AlreadyAnswered);
    assert_eq!(game.snapshot().await, before);
    game.answer(bob, &session, true).await.unwrap();
    session = game.store.play().advance(session.id, 0).await.unwrap();
    assert_eq!(refusal(game.answer(ann, &session, true).await), Refusal::AlreadyAnswered);
    let answer = |at: usize, correct: bool| ChallengeAnswer {
        question_id: ids[at],
        correct,
        points: if correct { receipt.points } else { Points::ZERO },
    };
    let mut expected = ChallengeAttempt::new(ann, id, 5);
    expected.answers = vec![answer(0, false), answer(1, true)];
    assert_eq!(game.attempt(ann, id).await, Some(expected.clone()));
    for at in 2..5 {
        session = game.store.play().advance(session.id, at - 1).await.unwrap();
        assert_eq!(game.profile(ann).await.weekly_challenges, 0);
        game.answer(ann, &session, true).await.unwrap();
        expected.answers.push(answer(at, true));
    }
    expected.completed_at = Some(game.clock.now());
    assert_eq!((game.attempt(ann, id).await, expected.badge()), (Some(expected), Some(Badge::Excellent)));
    assert_eq!(game.attempt(bob, id).await.unwrap().answers, [answer(0, true)]);
    assert_eq!((game.profile(ann).await.weekly_challenges, game.profile(bob).await.weekly_challenges), (1, 0));

    let again = game.start_challenge(3, ann, Weekly).await;
    assert_eq!(refusal(game.answer(ann, &again, true).await), Refusal::AlreadyAnswered);
    // outside the challenge the same question is another matter
    let normal = game.start(4, ann, &ids[..1]).await;
    game.answer(ann, &normal, true).await.unwrap();
    assert_eq!(game.attempts(ann, Weekly).await.len(), 1);
}

pub(crate) async fn l11_two_channels_at_once_count_one_answer(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    let id = game.present(Daily).await;
    let sessions = [game.start_challenge(1, user, Daily).await, game.start_challenge(2, user, Daily).await];
    let results = together(16, |at| {
        let (game, session) = (game.clone(), sessions[at % 2].clone());
        async move { game.answer(user, &session, true).await }
    })
    .await;
    let (counted, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(counted.len(), 1);
    for result in refused {
        assert_eq!(refusal(result), Refusal::AlreadyAnswered);
    }
    let profile = game.profile(user).await;
    assert_eq!((profile.daily_challenges, profile.questions_answered, profile.total_points.get()), (1, 1, 20));
    assert_eq!(game.attempt(user, id).await.unwrap().answers.len(), 1);
    assert_eq!(game.store.questions().get(question).await.unwrap().times_asked, 1);
}

pub(crate) async fn l11_a_retry_of_a_challenge_answer_gets_its_receipt(game: Game) {
    let user = game.user(1).await;
    game.statements(1).await;
    let session = game.start_challenge(1, user, Daily).await;
    let submission = game.submission(user, &session, Given::Truth(true));
    let receipt = game.store.play().submit_answer(submission.clone()).await.unwrap();
    game.wait(TimeDelta::days(2));
    assert_eq!(game.store.play().submit_answer(submission).await.unwrap(), receipt);
    assert_eq!(game.profile(user).await.daily_challenges, 1);
}

pub(crate) async fn l11_history_is_kept_newest_first(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    game.statements(5).await;
    let mut expected = Vec::new();
    for days in [0, 1, 1, 12] {
        game.wait(TimeDelta::days(days));
        game.play_challenge(ann, Daily, &[days == 1]).await;
        let id = game.present(Daily).await;
        expected.insert(0, game.attempt(ann, id).await.unwrap());
    }
    game.play_challenge(ann, Weekly, &[true; 5]).await;
    game.play_challenge(bob, Weekly, &[false; 5]).await;
    let starts: Vec<_> = expected.iter().map(|attempt| attempt.challenge.starts_on.to_string()).collect();
    assert_eq!(starts, ["2026-03-18", "2026-03-06", "2026-03-05", "2026-03-04"]);
    // starting over takes no history away
    for _ in 0..2 {
        assert_eq!(game.attempts(ann, Daily).await, expected);
        assert_eq!(game.store.challenges().history(ann, Daily, 2).await.unwrap(), expected[..2]);
        assert_eq!(game.store.challenges().history(ann, Daily, 0).await.unwrap(), []);
        assert_eq!((game.attempts(ann, Weekly).await.len(), game.attempts(bob, Weekly).await.len()), (1, 1));
        assert_eq!(game.attempts(bob, Daily).await, []);
        game.reset(ann).await;
    }
    assert_eq!(game.attempts(user_id(404), Daily).await, []);
    assert_eq!(game.attempt(user_id(404), expected[0].challenge).await, None);
}

pub(crate) async fn l11_starting_over_gives_no_second_attempt(game: Game) {
    let user = game.user(1).await;
    game.statements(5).await;
    game.play_challenge(user, Daily, &[false]).await;
    let weekly = game.start_challenge(1, user, Weekly).await;
    game.answer(user, &weekly, true).await.unwrap();
    game.reset(user).await;
    let daily = game.start_challenge(2, user, Daily).await;
    assert_eq!(refusal(game.answer(user, &daily, true).await), Refusal::AlreadyAnswered);
    // what is left can be answered, and completes the challenge
    game.store.play().finish(weekly.id).await.unwrap();
    let mut session = game.start_challenge(1, user, Weekly).await;
    assert_eq!(refusal(game.answer(user, &session, true).await), Refusal::AlreadyAnswered);
    for at in 0..4 {
        session = game.store.play().advance(session.id, at).await.unwrap();
        game.answer(user, &session, true).await.unwrap();
    }
    let profile = game.profile(user).await;
    assert_eq!((profile.weekly_challenges, profile.daily_challenges, profile.questions_answered), (1, 0, 4));
    assert_eq!(game.attempts(user, Weekly).await[0].answers.len(), 5);
}

pub(crate) async fn s12_a_weekly_challenge_counts_each_answer_by_itself(game: Game) {
    game.statements(5).await;
    for (user, right, badge) in (1..).zip([0, 2, 3, 4, 5]).map(|(user, right)| {
        (user, right, [None, None, None, Some(Badge::Good), Some(Badge::Excellent), Some(Badge::Perfect)][right])
    }) {
        let user = game.user(user).await;
        let answers: Vec<bool> = (0..5).map(|at| at < right).collect();
        let receipts = game.play_challenge(user, Weekly, &answers).await;
        assert!(receipts.iter().zip(answers).all(|(receipt, correct)| receipt.correct == Some(correct)));
        let profile = game.profile(user).await;
        assert_eq!((profile.questions_answered, profile.questions_correct), (5, right as u64));
        assert_eq!((profile.weekly_challenges, profile.daily_challenges), (1, 0), "none right is completed as well");
        assert_eq!(profile.weekly_challenge_completed, Some(day("2026-03-04")));
        assert_eq!(profile.daily_challenge_completed, None);
        let attempt = game.attempts(user, Weekly).await.remove(0);
        assert_eq!((attempt.correct(), attempt.badge()), (right, badge));
    }
}

pub(crate) async fn s12_a_challenge_counts_when_its_last_question_is_answered(game: Game) {
    let user = game.user(1).await;
    game.statements(5).await;
    let mut session = game.start_challenge(1, user, Weekly).await;
    for at in 0..5 {
        assert_eq!(game.profile(user).await.weekly_challenges, 0);
        assert_eq!(game.attempts(user, Weekly).await.pop().and_then(|attempt| attempt.completed_at), None);
        game.answer(user, &session, false).await.unwrap();
        session = game.store.play().advance(session.id, at).await.unwrap();
    }
    assert_eq!(game.profile(user).await.weekly_challenges, 1);
}

pub(crate) async fn s13_challenges_are_counted_beyond_one(game: Game) {
    let user = game.user(1).await;
    game.statements(1).await;
    for day in 1..=10 {
        game.play_challenge(user, Daily, &[true]).await;
        assert_eq!(game.profile(user).await.daily_challenges, day);
        game.wait(TimeDelta::days(1));
    }
    assert_eq!(game.profile(user).await.daily_challenge_completed, Some(day("2026-03-13")));
    let achievements = game.store.achievements().of(user).await.unwrap();
    assert!(achievements.iter().any(|a| a.achievement_id == achievement_id("daily_challenger") && a.seq == 10));
}

pub(crate) async fn l7_challenges_multiply_and_ignore_time(game: Game) {
    let user = game.user(1).await;
    for n in 0..5 {
        game.add(statement_of(&format!("Medium {n}"), "Test", Difficulty::Medium)).await;
    }
    for (kind, channel, points) in [(Daily, 1, 40), (Weekly, 2, 60)] {
        let session = game.start_challenge(channel, user, kind).await;
        game.wait(TimeDelta::seconds(29));
        assert_eq!(game.answer(user, &session, true).await.unwrap().points.get(), points);
        let wrong = game.user(2).await;
        assert_eq!(game.answer(wrong, &session, false).await.unwrap().points.get(), 0);
    }
}

pub(crate) async fn l11_a_refused_start_draws_nothing(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(5).await;
    let live = game.start(1, user, &ids[..1]).await;
    for kind in ChallengeKind::ALL {
        assert_eq!(refusal(game.try_challenge(1, user, kind).await), Refusal::ChannelOccupied);
        assert_missing(game.try_challenge(2, user_id(404), kind).await, "user");
        assert_eq!(game.challenge(game.present(kind).await).await, None);
    }
    assert_eq!(game.store.sessions().live(live.channel_id).await.unwrap(), Some(live));
    // an overdue session gives way
    game.wait(TimeDelta::seconds(31));
    game.start_challenge(1, user, Daily).await;
}

pub(crate) async fn l2_a_failed_work_draws_no_challenge(game: Game) {
    let user = game.user(1).await;
    game.statements(5).await;
    let failing = {
        let game = game.clone();
        work(move |uow| -> WorkFuture<'_, ()> {
            let game = game.clone();
            Box::pin(async move {
                let request = StartChallenge {
                    channel_id: channel_id(1),
                    host: user,
                    kind: Weekly,
                    time_limit: Default::default(),
                };
                let session = uow.play().start_challenge(request).await?;
                let id = session.challenge.unwrap();
                assert_eq!(uow.challenges().present(Weekly).await?, id);
                assert!(uow.challenges().find(id).await?.is_some(), "it sees its own writes");
                uow.play().submit_answer(game.submission(user, &session, Given::Truth(true))).await?;
                assert_eq!(uow.challenges().attempt(user, id).await?.unwrap().answers.len(), 1);
                assert_eq!(uow.challenges().history(user, Weekly, 5).await?.len(), 1);
                Err(StoreError::invalid("work", "it fails at its end"))
            })
        })
    };
    let before = game.snapshot().await;
    execute(game.store.as_ref(), &failing).await.unwrap_err();
    assert_eq!(game.challenge(game.present(Weekly).await).await, None);
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l11_a_challenge_started_before_midnight_belongs_to_its_day(game: Game) {
    let user = game.user(1).await;
    game.statements(1).await;
    game.set_clock("2026-03-08T23:59:59.999999Z");
    let (yesterday, last_week) = (game.present(Daily).await, game.present(Weekly).await);
    assert_eq!((yesterday.starts_on, last_week.starts_on), (day("2026-03-08"), day("2026-03-02")));
    let session = game.start_challenge(1, user, Daily).await;
    game.wait(TimeDelta::seconds(5));
    let (today, this_week) = (game.present(Daily).await, game.present(Weekly).await);
    assert_eq!((today.starts_on, this_week.starts_on), (day("2026-03-09"), day("2026-03-09")));
    game.answer(user, &session, true).await.unwrap();
    assert!(game.attempt(user, yesterday).await.unwrap().completed_at.is_some());
    assert_eq!((game.attempt(user, today).await, game.challenge(today).await), (None, None));
    // and today's is still to play
    game.play_challenge(user, Daily, &[true]).await;
    assert_eq!(game.profile(user).await.daily_challenges, 2);
}

pub(crate) async fn l17_a_challenge_keeps_the_versions_that_it_began_with(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let question = game.statements(1).await[0];
    game.play_challenge(ann, Daily, &[true]).await;
    game.store.questions().update(question, statement("The opposite", false)).await.unwrap();
    let session = game.start_challenge(1, bob, Daily).await;
    assert_eq!((session.questions[0].question_id, session.questions[0].version), (question, 1));
    assert_eq!(game.answer(bob, &session, true).await.unwrap().correct, Some(true), "all are asked the same");
    game.wait(TimeDelta::days(1));
    assert_eq!(game.start_challenge(2, bob, Daily).await.questions[0].version, 2);
}

pub(crate) async fn l11_new_challenges_have_the_language_that_is_set(game: Game) {
    let icelandic = Language::new("is").unwrap();
    for n in 0..40 {
        let content = statement(&format!("Said {n}"), true);
        game.add(if n % 4 == 0 { content.with_language(icelandic.clone()) } else { content }).await;
    }
    let host = game.user(1).await;
    let rules = game.store.rules();
    assert_eq!(rules.rules().await.unwrap().challenge_language, None);
    rules.set_challenge_language(Some(icelandic.clone())).await.unwrap();
    assert_eq!(rules.rules().await.unwrap().challenge_language, Some(icelandic.clone()));
    for kind in ChallengeKind::ALL {
        let session = game.start_challenge_anywhere(host, kind).await;
        for asked in &session.questions {
            let question = game.store.questions().get(asked.question_id).await.unwrap();
            assert_eq!(*question.content.language(), icelandic);
        }
        // what was started keeps its questions
        rules.set_challenge_language(Some(Language::new("en").unwrap())).await.unwrap();
        let again = game.start_challenge_anywhere(game.user(2).await, kind).await;
        let ids = |session: &GameSession| session.questions.iter().map(|asked| asked.question_id).collect::<Vec<_>>();
        assert_eq!(ids(&again), ids(&session));
        rules.set_challenge_language(Some(icelandic.clone())).await.unwrap();
    }
    game.wait(TimeDelta::weeks(1));
    rules.set_challenge_language(Some(Language::new("de").unwrap())).await.unwrap();
    let refused = refusal(game.try_challenge(1, host, Weekly).await);
    assert_eq!(refused, Refusal::NotEnoughQuestions { available: 0, wanted: 5 });
    rules.set_challenge_language(None).await.unwrap();
    game.start_challenge(1, host, Weekly).await;
}
