use chrono::TimeDelta;
use trivia_domain::Refusal;
use trivia_domain::model::{Difficulty, Given, Points, SessionId, SessionStatus, UserId};
use trivia_domain::ports::{AnswerSubmission, AwardRequest, Clock, GrantRequest, ResetRequest};
use uuid::Uuid;

use super::Game;
use super::content::{choice, statement, statement_of, typed};
use super::game::{achievement_id, assert_missing, question_id, refusal, together, user_id};

const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

impl Game {
    /// The number of answers, right answers, points and the streak of a player.
    async fn score(&self, user: UserId) -> (u64, u64, i64, u64) {
        let profile = self.profile(user).await;
        (profile.questions_answered, profile.questions_correct, profile.total_points.get(), profile.current_streak)
    }
}

pub(crate) async fn l7_quick_answers_earn_more(game: Game) {
    let host = game.user(0).await;
    let questions = [
        (game.add(statement_of("Easy", "Test", Difficulty::Easy)).await, [10, 9, 8, 7, 6, 5, 5]),
        (game.add(statement_of("Medium", "Test", Difficulty::Medium)).await, [20, 18, 16, 14, 12, 10, 10]),
        (game.add(statement_of("Hard", "Test", Difficulty::Hard)).await, [30, 27, 24, 21, 18, 15, 15]),
    ];
    for (question, expected) in questions {
        let session = game.start_anywhere(host, &[question]).await;
        for (user, points) in (1..).zip(expected) {
            let user = game.user(question.get() * 100 + user).await;
            let receipt = game.answer(user, &session, true).await.unwrap();
            assert_eq!((receipt.correct, receipt.points.get()), (Some(true), points));
            assert_eq!(receipt.total_points.get(), points);
            assert_eq!(game.score(user).await, (1, 1, points, 1));
            game.wait(TimeDelta::seconds(5));
        }
    }
    let session = game.start_anywhere(host, &[questions[2].0]).await;
    let receipt = game.answer(host, &session, false).await.unwrap();
    assert_eq!((receipt.correct, receipt.points), (Some(false), Points::ZERO));
    assert_eq!(game.score(host).await, (1, 0, 0, 0));
}

pub(crate) async fn l7_a_questions_own_value_wins(game: Game) {
    let user = game.user(1).await;
    let valued = statement("Valued", true).with_points(Points::small(1_000));
    let tiny = statement("Tiny", true).with_points(Points::small(1));
    let (valued, tiny) = (game.add(valued).await, game.add(tiny).await);
    let session = game.start(1, user, &[valued, tiny]).await;
    game.wait(TimeDelta::seconds(7) + MICROSECOND);
    assert_eq!(game.answer(user, &session, true).await.unwrap().points.get(), 859);
    let session = game.store.play().advance(session.id, 0).await.unwrap();
    game.wait(TimeDelta::seconds(30));
    assert_eq!(game.answer(user, &session, true).await.unwrap().points.get(), 1, "never below one");
}

pub(crate) async fn l7_streaks_grow_and_break(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    for (correct, streak, best) in
        [(true, 1, 1), (true, 2, 2), (true, 3, 3), (false, 0, 3), (true, 1, 3), (true, 2, 3), (false, 0, 3)]
    {
        assert_eq!(game.play(user, question, correct).await.streak, streak);
        let profile = game.profile(user).await;
        assert_eq!((profile.current_streak, profile.best_streak), (streak, best));
    }
    // what is not an answer leaves the streak alone
    game.play(user, question, true).await;
    assert_eq!(game.award(user, 5).await.unwrap().streak, 1);
    assert_eq!(game.grant(user, "hot_streak").await.unwrap().streak, 1);
    assert_eq!(game.profile(user).await.current_streak, 1);
}

pub(crate) async fn l7_the_preferred_difficulty_follows(game: Game) {
    let user = game.user(1).await;
    assert_eq!(game.profile(user).await.preferred_difficulty, None);
    let mut ids = Vec::new();
    for (difficulty, name) in Difficulty::ALL.into_iter().zip(["Easy", "Medium", "Hard"]) {
        ids.push(game.add(statement_of(name, "Test", difficulty)).await);
    }
    let (easy, medium, hard) = (Difficulty::Easy, Difficulty::Medium, Difficulty::Hard);
    for (at, correct, expected) in
        [(2, true, hard), (2, false, medium), (1, true, medium), (1, false, easy), (0, false, easy), (0, true, easy)]
    {
        game.play(user, ids[at], correct).await;
        assert_eq!(game.profile(user).await.preferred_difficulty, Some(expected));
    }
}

pub(crate) async fn l1_concurrent_retries_count_once(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(1).await;
    let session = game.start(1, user, &ids).await;
    let submission = game.submission(user, &session, Given::Truth(true));
    let receipts = together(32, |_| {
        let (game, submission) = (game.clone(), submission.clone());
        async move {
            // each try has a time of its own: equal receipts are one receipt
            game.wait(TimeDelta::milliseconds(1));
            game.store.play().submit_answer(submission).await.unwrap()
        }
    })
    .await;
    for receipt in &receipts {
        assert_eq!(receipt, &receipts[0]);
    }
    assert_eq!((receipts[0].seq, receipts[0].key), (1, submission.key));
    let profile = game.profile(user).await;
    assert_eq!((profile.last_seq, profile.questions_answered, profile.current_streak), (1, 1, 1));
    assert_eq!(profile.total_points, receipts[0].points);
    assert_eq!(game.store.questions().get(ids[0]).await.unwrap().times_asked, 1);
    assert_eq!(game.store.users().breakdown(user).await.unwrap().recent.len(), 1);
}

pub(crate) async fn l1_the_first_answer_is_final(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(2).await;
    let session = game.start(1, ann, &ids).await;
    game.answer(ann, &session, false).await.unwrap();
    let before = game.snapshot().await;
    for truth in [true, false] {
        assert_eq!(refusal(game.answer(ann, &session, truth).await), Refusal::AlreadyAnswered);
    }
    assert_eq!(game.snapshot().await, before);
    // final for this player, question and session only
    game.answer(bob, &session, true).await.unwrap();
    let next = game.store.play().advance(session.id, 0).await.unwrap();
    game.answer(ann, &next, true).await.unwrap();
    let elsewhere = game.start(2, ann, &ids).await;
    game.answer(ann, &elsewhere, true).await.unwrap();
    assert_eq!(game.score(ann).await, (3, 2, 20, 2));
}

pub(crate) async fn l1_concurrent_answers_to_one_question_count_once(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(1).await;
    let session = game.start(1, user, &ids).await;
    let results = together(16, |at| {
        let (game, session) = (game.clone(), session.clone());
        async move { game.answer(user, &session, at % 2 == 0).await }
    })
    .await;
    let (counted, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!(counted.len(), 1);
    for result in refused {
        assert_eq!(refusal(result), Refusal::AlreadyAnswered);
    }
    let receipt = counted.into_iter().next().unwrap().unwrap();
    let correct = u64::from(receipt.correct == Some(true));
    assert_eq!(game.score(user).await, (1, correct, receipt.points.get(), correct));
    let question = game.store.questions().get(ids[0]).await.unwrap();
    assert_eq!((question.times_asked, question.times_correct), (1, correct));
}

pub(crate) async fn l1_a_key_belongs_to_one_request(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(2).await;
    let one = game.start(1, user, &ids).await;
    let two = game.start(2, user, &ids).await;
    let play = game.store.play();
    let first = game.submission(user, &one, Given::Truth(true));
    let receipt = play.submit_answer(first.clone()).await.unwrap();
    let award = game.award_request(user, 5);
    let awarded = play.award(award.clone()).await.unwrap();
    let grant = GrantRequest { key: game.key(), user_id: user, achievement_id: achievement_id("hot_streak") };
    let granted = play.grant(grant.clone()).await.unwrap();
    let before = game.snapshot().await;

    let key = first.key;
    for other in [
        AnswerSubmission { given: Given::Truth(false), ..first.clone() },
        AnswerSubmission { session_id: two.id, ..first.clone() },
        AnswerSubmission { question_id: ids[1], ..first.clone() },
        AnswerSubmission { key: award.key, ..first.clone() },
    ] {
        assert_eq!(refusal(play.submit_answer(other).await), Refusal::KeyReused);
    }
    for other in [
        AwardRequest { key, ..award.clone() },
        AwardRequest { points: Points::small(6), ..award.clone() },
        AwardRequest { reason: "another".to_owned(), ..award.clone() },
        AwardRequest { key: grant.key, ..award.clone() },
    ] {
        assert_eq!(refusal(play.award(other).await), Refusal::KeyReused);
    }
    for other in [
        GrantRequest { key, ..grant.clone() },
        GrantRequest { achievement_id: achievement_id("super_fan"), ..grant.clone() },
    ] {
        assert_eq!(refusal(play.grant(other).await), Refusal::KeyReused);
    }
    for key in [key, award.key, grant.key] {
        assert_eq!(refusal(play.reset(ResetRequest { key, user_id: user }).await), Refusal::KeyReused);
    }
    assert_eq!(game.snapshot().await, before);
    assert_eq!(play.submit_answer(first).await.unwrap(), receipt);
    assert_eq!(play.award(award).await.unwrap(), awarded);
    assert_eq!(play.grant(grant).await.unwrap(), granted);
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l1_a_key_belongs_to_one_player(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let ids = game.statements(1).await;
    let session = game.start(1, ann, &ids).await;
    let first = game.submission(ann, &session, Given::Truth(true));
    let second = AnswerSubmission { user_id: bob, given: Given::Truth(false), ..first.clone() };
    let play = game.store.play();
    let of_ann = play.submit_answer(first.clone()).await.unwrap();
    let of_bob = play.submit_answer(second.clone()).await.unwrap();
    assert_eq!((of_ann.user_id, of_ann.correct), (ann, Some(true)));
    assert_eq!((of_bob.user_id, of_bob.correct), (bob, Some(false)));
    assert_eq!(play.submit_answer(second).await.unwrap(), of_bob);
    assert_eq!(play.submit_answer(first).await.unwrap(), of_ann);
    assert_eq!(game.score(ann).await, (1, 1, 10, 1));
    assert_eq!(game.score(bob).await, (1, 0, 0, 0));
}

pub(crate) async fn l1_a_late_retry_gets_the_first_receipt(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(2).await;
    let session = game.start(1, user, &ids).await;
    let submission = game.submission(user, &session, Given::Truth(true));
    let play = game.store.play();
    let receipt = play.submit_answer(submission.clone()).await.unwrap();
    assert_eq!(receipt.at, game.clock.now());
    let next = play.advance(session.id, 0).await.unwrap();
    assert_eq!(play.submit_answer(submission.clone()).await.unwrap(), receipt, "the question is closed");
    game.answer(user, &next, false).await.unwrap();
    game.award(user, 100).await.unwrap();
    play.finish(session.id).await.unwrap();
    game.store.questions().retire(ids[0]).await.unwrap();
    game.store.questions().update(ids[0], statement("Another", false)).await.unwrap();
    game.wait(TimeDelta::days(400));
    let before = game.snapshot().await;
    assert_eq!(play.submit_answer(submission).await.unwrap(), receipt, "the session is over");
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn l1_an_abandoned_request_counts_once(game: Game) {
    let user = game.user(1).await;
    for n in 0..20_u32 {
        let request = game.award_request(user, 10);
        let (store, abandoned) = (game.store.clone(), request.clone());
        let task = tokio::spawn(async move { store.play().award(abandoned).await });
        for _ in 0..n % 5 {
            tokio::task::yield_now().await;
        }
        task.abort();
        let receipt = game.store.play().award(request.clone()).await.unwrap();
        assert_eq!(receipt.seq, u64::from(n) + 1);
        assert_eq!(game.store.play().award(request).await.unwrap(), receipt);
    }
    assert_eq!(game.points(user).await, 200);
}

pub(crate) async fn answers_name_what_is_missing(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(1).await;
    let session = game.start(1, user, &ids).await;
    let good = game.submission(user, &session, Given::Truth(true));
    let play = game.store.play();
    let before = game.snapshot().await;
    let unknown = SessionId::new(Uuid::from_u128(404));
    assert_missing(play.submit_answer(AnswerSubmission { user_id: user_id(404), ..good.clone() }).await, "user");
    assert_missing(play.submit_answer(AnswerSubmission { session_id: unknown, ..good.clone() }).await, "session");
    let question = AnswerSubmission { question_id: question_id(i64::MAX), ..good.clone() };
    assert_missing(play.submit_answer(question).await, "question");
    assert_eq!(game.snapshot().await, before);
    play.submit_answer(good).await.unwrap();
}

pub(crate) async fn answers_to_a_closed_question_are_refused(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(4).await;
    let session = game.start(1, user, &ids[..3]).await;
    let session = game.store.play().advance(session.id, 0).await.unwrap();
    let open = game.submission(user, &session, Given::Truth(true));
    let before = game.snapshot().await;
    // closed, not open yet, not in the session
    for at in [0, 2, 3] {
        let submission = AnswerSubmission { question_id: ids[at], ..open.clone() };
        assert_eq!(refusal(game.store.play().submit_answer(submission).await), Refusal::NotOpen);
    }
    assert_eq!(game.snapshot().await, before);
    game.store.play().submit_answer(open).await.unwrap();
}

pub(crate) async fn answers_after_the_end_are_refused(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(1).await;
    let play = game.store.play();
    for ending in [SessionStatus::Finished, SessionStatus::Expired] {
        let session = game.start(1, user, &ids).await;
        if ending == SessionStatus::Finished {
            play.finish(session.id).await.unwrap();
        } else {
            game.wait(TimeDelta::seconds(31));
            play.expire(session.id).await.unwrap();
        }
        assert_eq!(refusal(game.answer(user, &session, true).await), Refusal::SessionOver);
    }
    assert_eq!(game.score(user).await, (0, 0, 0, 0));
}

pub(crate) async fn l8_what_is_not_readable_is_no_answer(game: Game) {
    let user = game.user(1).await;
    let text = |text: &str| Given::Text(text.to_owned());
    for (content, unreadable, right) in [
        (choice("Which?", &["a", "b"], "b"), vec![Given::Choice(2), Given::Truth(true), text("b")], Given::Choice(1)),
        (statement("So?", true), vec![Given::Choice(0), text("true")], Given::Truth(true)),
        (
            typed("What?", "This", &[]),
            vec![Given::Choice(0), Given::Truth(true), text(" "), text("a\0b"), text(&"x".repeat(1_001))],
            text("this"),
        ),
    ] {
        let question = game.add(content).await;
        let session = game.start_anywhere(user, &[question]).await;
        let before = game.snapshot().await;
        for given in unreadable {
            let submission = game.submission(user, &session, given);
            assert_eq!(refusal(game.store.play().submit_answer(submission).await), Refusal::WrongKind);
        }
        assert_eq!(game.snapshot().await, before);
        let submission = game.submission(user, &session, right);
        assert_eq!(game.store.play().submit_answer(submission).await.unwrap().correct, Some(true), "still open");
    }
    assert_eq!(game.score(user).await, (3, 3, 30, 3));
}

pub(crate) async fn l8_typed_answers_match_by_one_matcher(game: Game) {
    let host = game.user(0).await;
    let long = "x".repeat(1_000);
    let question = game
        .add(typed(
            "Who or what?",
            "The Stra\u{df}e of Pel\u{e9}",
            &["C#", "-1", "Ὀδυσσεύς", "🦊", "می\u{200c}خواهم", &long],
        ))
        .await;
    let session = game.start(1, host, &[question]).await;
    for (user, (input, correct)) in (1..).zip([
        ("the strasse of pele!", true),
        ("STRASSE of PELE\u{301}", true),
        ("strasse pele", false),
        ("c#", true),
        ("C++", false),
        ("C", false),
        ("-1", true),
        ("1", false),
        ("οδυσσευσ", true),
        ("🦊", true),
        ("🐺", false),
        ("میخواهم", true),
        (&long, true),
        ("!", false),
        ("'; DROP TABLE users; --", false),
    ]) {
        let user = game.user(user).await;
        let submission = game.submission(user, &session, Given::Text(input.to_owned()));
        let receipt = game.store.play().submit_answer(submission.clone()).await.unwrap();
        assert_eq!(receipt.correct, Some(correct), "{input:?}");
        assert_eq!(game.store.play().submit_answer(submission).await.unwrap(), receipt, "{input:?} is kept as given");
    }
}

pub(crate) async fn s24_numeric_options_are_no_positions(game: Game) {
    let question = game.add(choice("When did Java appear?", &["2", "1995", "1", "0"], "1995")).await;
    let host = game.user(0).await;
    let session = game.start(1, host, &[question]).await;
    let content = game.store.questions().get(question).await.unwrap().content;
    for (user, (input, correct)) in (1..).zip([("1995", true), ("1", false), ("2", false), ("b", true)]) {
        let user = game.user(user).await;
        let submission = game.submission(user, &session, content.read(input).unwrap());
        assert_eq!(game.store.play().submit_answer(submission).await.unwrap().correct, Some(correct), "{input}");
    }
}

pub(crate) async fn t4_the_deadline_is_exact_to_the_microsecond(game: Game) {
    let users = [game.user(1).await, game.user(2).await, game.user(3).await];
    let ids = game.statements(1).await;
    let session = game.start(1, users[0], &ids).await;
    game.wait(TimeDelta::seconds(30) - MICROSECOND);
    assert_eq!(game.answer(users[0], &session, true).await.unwrap().points.get(), 5);
    game.wait(MICROSECOND);
    assert_eq!(game.answer(users[1], &session, true).await.unwrap().points.get(), 5);
    let before = game.snapshot().await;
    for (step, late_by_ms) in [(1, 1), (999, 1), (1, 2), (998_999, 1_000)] {
        game.wait(TimeDelta::microseconds(step));
        assert_eq!(refusal(game.answer(users[2], &session, true).await), Refusal::Late { late_by_ms });
    }
    assert_eq!(game.snapshot().await, before);
}

pub(crate) async fn t4_a_clock_that_goes_back_harms_nothing(game: Game) {
    let user = game.user(1).await;
    let ids = game.statements(2).await;
    let session = game.start(1, user, &ids).await;
    let opened_at = game.clock.now();
    game.wait(TimeDelta::days(-1));
    let receipt = game.answer(user, &session, true).await.unwrap();
    assert_eq!(receipt.points.get(), 10, "no time went by");
    assert_eq!(receipt.at, opened_at - TimeDelta::days(1));
    game.wait(TimeDelta::days(1));
    let session = game.store.play().advance(session.id, 0).await.unwrap();
    game.answer(user, &session, true).await.unwrap();
    let today = game.profile(user).await;
    assert_eq!((today.day_streak, today.last_played), (2, Some(opened_at)));

    // a late fact changes neither the last day nor the streak of days
    game.wait(TimeDelta::days(-3));
    game.play(user, ids[0], true).await;
    let profile = game.profile(user).await;
    assert_eq!((profile.day_streak, profile.last_day), (2, today.last_day));
    assert_eq!(profile.last_played, Some(opened_at));
    assert_eq!((profile.last_seq, profile.current_streak), (3, 3));
    assert_eq!(profile.total_points.get(), 30);
}

pub(crate) async fn s4_eleven_consecutive_days_are_a_streak_of_eleven(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    // the leap day lies in between
    game.set_clock("2028-02-22T23:59:59.999999Z");
    for day in 1..=11 {
        // the day counts, also with a wrong answer
        game.play(user, question, day % 3 != 0).await;
        let profile = game.profile(user).await;
        assert_eq!((profile.day_streak, profile.best_day_streak), (day, day));
        game.wait(TimeDelta::days(1));
    }
    let profile = game.profile(user).await;
    assert_eq!(profile.last_day.unwrap().to_string(), "2028-03-03");
    let achievements = game.store.achievements().of(user).await.unwrap();
    let fan = achievements.iter().find(|achievement| achievement.achievement_id == achievement_id("dedicated_fan"));
    assert_eq!(fan.expect("seven days unlock it").seq, 7);
}

pub(crate) async fn l10_a_day_streak_ignores_repeats_and_breaks_with_a_gap(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    for (hours, streak, best) in [(0, 1, 1), (1, 1, 1), (23, 2, 2), (24, 3, 3), (1, 3, 3), (48, 1, 3), (24, 2, 3)] {
        game.wait(TimeDelta::hours(hours));
        game.play(user, question, true).await;
        let profile = game.profile(user).await;
        assert_eq!((profile.day_streak, profile.best_day_streak), (streak, best), "{hours} hours later");
    }
    // an award is not playing
    game.wait(TimeDelta::days(1));
    game.award(user, 5).await.unwrap();
    game.wait(TimeDelta::days(1));
    game.play(user, question, true).await;
    assert_eq!(game.profile(user).await.day_streak, 1);
}

pub(crate) async fn t5_days_turn_at_midnight_also_on_leap_days(game: Game) {
    let question = game.statements(1).await[0];
    for (user, (before, after)) in (1..).zip([
        ("2026-03-04T23:59:59.999999Z", "2026-03-05T00:00:00Z"),
        ("2028-02-28T23:59:59.999999Z", "2028-02-29T00:00:00Z"),
        ("2028-02-29T23:59:59.999999Z", "2028-03-01T00:00:00Z"),
        ("2026-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z"),
        ("2027-03-28T00:59:59.999999Z", "2027-03-29T01:00:00Z"),
    ]) {
        let user = game.user(user).await;
        for (instant, streak) in [(before, 1), (after, 2)] {
            game.set_clock(instant);
            game.play(user, question, true).await;
            let profile = game.profile(user).await;
            assert_eq!(profile.day_streak, streak, "{instant}");
            assert_eq!(profile.last_day.unwrap().to_string(), instant[..10]);
            assert_eq!(profile.last_played, Some(game.clock.now()));
        }
    }
}
