use chrono::TimeDelta;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{
    Board, Calendar, ChallengeKind, Closing, IdempotencyKey, Period, TimeZone, UserId, UserProfile, Weekday,
};
use trivia_domain::ports::{Clock, ClosePeriod, RandomSource, execute};
use trivia_domain::{Refusal, StoreError, StoreResult};

use super::Game;
use super::game::{WorkFuture, assert_invalid, assert_missing, day, refusal, together, user_id, work, zone};

const MICROSECOND: TimeDelta = TimeDelta::microseconds(1);

fn calendar(name: &str, week_start: Weekday) -> Calendar {
    Calendar { zone: zone(name), week_start }
}

fn american() -> Calendar {
    calendar("America/New_York", Weekday::Sunday)
}

fn board(period: Period, start: &str) -> Board {
    Board::Period { period, start: day(start) }
}

impl Game {
    async fn set_zone(&self, user: UserId, name: &str) -> UserProfile {
        self.store.users().set_time_zone(user, zone(name)).await.unwrap()
    }

    async fn set_calendar(&self, calendar: Calendar) -> u64 {
        self.store.rules().set_calendar(calendar).await.unwrap()
    }

    /// Points on a board.
    async fn on_board(&self, board: Board, user: UserId) -> Option<i64> {
        let standing = self.store.rankings().standing(board, user).await.unwrap();
        standing.map(|standing| standing.points.get())
    }

    async fn close(&self, key: IdempotencyKey, period: Period, start: &str) -> StoreResult<Closing> {
        self.store.play().close_period(ClosePeriod { key, period, starts_on: day(start) }).await
    }
}

pub(crate) async fn l10_a_time_zone_is_kept(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let others = game.profile(bob).await;
    assert_eq!(others.time_zone, TimeZone::UTC);
    let expected = UserProfile { time_zone: zone("Asia/Kathmandu"), ..game.profile(ann).await };
    for _ in 0..2 {
        assert_eq!(game.set_zone(ann, "Asia/Kathmandu").await, expected);
        assert_eq!(game.profile(ann).await, expected);
    }
    assert_eq!(game.profile(bob).await, others);
    game.reset(ann).await;
    game.award(ann, 1).await.unwrap();
    assert_eq!(game.profile(ann).await.time_zone, expected.time_zone, "starting over is not moving");
    assert_missing(game.store.users().set_time_zone(user_id(404), TimeZone::UTC).await, "user");
    assert_eq!(game.store.users().find(user_id(404)).await.unwrap(), None);
}

pub(crate) async fn l10_days_turn_at_the_players_midnight(game: Game) {
    let question = game.statements(1).await[0];
    // instant, day there, days in a row
    type Fact = (&'static str, &'static str, u64);
    let cases: [(&str, &[Fact]); 8] = [
        (
            "Pacific/Kiritimati",
            &[
                ("2026-03-04T09:59:59.999999Z", "2026-03-04", 1),
                ("2026-03-04T10:00:00Z", "2026-03-05", 2),
                ("2026-03-05T09:59:59.999999Z", "2026-03-05", 2),
                ("2026-03-05T10:00:00Z", "2026-03-06", 3),
            ],
        ),
        (
            "Pacific/Pago_Pago",
            &[
                ("2026-03-04T10:59:59.999999Z", "2026-03-03", 1),
                ("2026-03-04T11:00:00Z", "2026-03-04", 2),
                ("2026-03-06T10:59:59.999999Z", "2026-03-05", 3),
                ("2026-03-07T11:00:00Z", "2026-03-07", 1),
            ],
        ),
        (
            // the night in which the clock goes forward: that day has 23 hours
            "Europe/Berlin",
            &[
                ("2026-03-28T22:59:59.999999Z", "2026-03-28", 1),
                ("2026-03-28T23:00:00Z", "2026-03-29", 2),
                ("2026-03-29T01:00:00Z", "2026-03-29", 2),
                ("2026-03-29T21:59:59.999999Z", "2026-03-29", 2),
                ("2026-03-29T22:00:00Z", "2026-03-30", 3),
            ],
        ),
        (
            // the night in which it goes back: that day has 25 hours
            "Europe/Berlin",
            &[
                ("2026-10-24T21:59:59.999999Z", "2026-10-24", 1),
                ("2026-10-24T22:00:00Z", "2026-10-25", 2),
                ("2026-10-25T00:30:00Z", "2026-10-25", 2),
                ("2026-10-25T01:30:00Z", "2026-10-25", 2),
                ("2026-10-25T22:59:59.999999Z", "2026-10-25", 2),
                ("2026-10-25T23:00:00Z", "2026-10-26", 3),
            ],
        ),
        (
            "America/New_York",
            &[
                ("2026-03-08T04:59:59.999999Z", "2026-03-07", 1),
                ("2026-03-08T05:00:00Z", "2026-03-08", 2),
                ("2026-03-09T03:59:59.999999Z", "2026-03-08", 2),
                ("2026-03-09T04:00:00Z", "2026-03-09", 3),
            ],
        ),
        (
            "America/New_York",
            &[
                ("2026-11-01T03:59:59.999999Z", "2026-10-31", 1),
                ("2026-11-01T04:00:00Z", "2026-11-01", 2),
                ("2026-11-02T04:59:59.999999Z", "2026-11-01", 2),
                ("2026-11-02T05:00:00Z", "2026-11-02", 3),
            ],
        ),
        (
            "Europe/Berlin",
            &[
                ("2028-02-28T22:59:59.999999Z", "2028-02-28", 1),
                ("2028-02-28T23:00:00Z", "2028-02-29", 2),
                ("2028-02-29T23:00:00Z", "2028-03-01", 3),
            ],
        ),
        (
            "Pacific/Kiritimati",
            &[
                ("2026-12-31T09:59:59.999999Z", "2026-12-31", 1),
                ("2026-12-31T10:00:00Z", "2027-01-01", 2),
                ("2027-01-01T10:00:00Z", "2027-01-02", 3),
            ],
        ),
    ];
    for (id, (name, facts)) in (1..).zip(cases) {
        let user = game.user(id).await;
        game.set_zone(user, name).await;
        for (instant, there, streak) in facts {
            game.set_clock(instant);
            game.play(user, question, true).await;
            let profile = game.profile(user).await;
            assert_eq!((profile.last_day, profile.day_streak), (Some(day(there)), *streak), "{instant} in {name}");
        }
    }
}

pub(crate) async fn l10_a_late_fact_changes_no_streak(game: Game) {
    let question = game.statements(1).await[0];
    for (id, name) in (1..).zip(["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"]) {
        let user = game.user(id).await;
        game.set_zone(user, name).await;
        game.set_clock("2026-03-28T12:00:00Z");
        for _ in 0..3 {
            game.wait(TimeDelta::days(1));
            game.play(user, question, true).await;
        }
        let before = game.profile(user).await;
        assert_eq!((before.day_streak, before.best_day_streak), (3, 3));
        for days in [1, 1, 30] {
            game.wait(TimeDelta::days(-days));
            game.play(user, question, true).await;
            let profile = game.profile(user).await;
            assert_eq!((profile.day_streak, profile.best_day_streak), (3, 3), "{name}");
            assert_eq!((profile.last_day, profile.last_played), (before.last_day, before.last_played));
        }
    }
}

pub(crate) async fn l10_another_zone_rewrites_no_earlier_day(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    let play = |instant: &'static str| {
        let game = game.clone();
        async move {
            game.set_clock(instant);
            game.play(user, question, true).await;
            let profile = game.profile(user).await;
            (profile.last_day.unwrap().to_string(), profile.day_streak)
        }
    };
    assert_eq!(play("2026-03-04T12:00:00Z").await, ("2026-03-04".to_owned(), 1));
    let before = game.profile(user).await;
    let moved = game.set_zone(user, "Pacific/Kiritimati").await;
    assert_eq!(moved, UserProfile { time_zone: moved.time_zone, ..before });
    // the same moment is tomorrow there
    assert_eq!(play("2026-03-04T12:00:00Z").await, ("2026-03-05".to_owned(), 2));
    game.set_zone(user, "Pacific/Pago_Pago").await;
    assert_eq!(play("2026-03-05T10:00:00Z").await, ("2026-03-05".to_owned(), 2), "the 4th there, late");
    assert_eq!(play("2026-03-06T10:00:00Z").await, ("2026-03-05".to_owned(), 2), "the 5th again");
    assert_eq!(play("2026-03-06T11:00:00Z").await, ("2026-03-06".to_owned(), 3));
    let facts = game.store.people().export(user).await.unwrap().facts;
    let days: Vec<_> = facts.iter().map(|fact| fact.entry.day.to_string()).collect();
    assert_eq!(days, ["2026-03-04", "2026-03-05", "2026-03-04", "2026-03-05", "2026-03-06"]);
    // boards go by the calendar of the store
    assert_eq!(game.on_board(board(Period::Day, "2026-03-04"), user).await, Some(20));
    assert_eq!(game.on_board(board(Period::Day, "2026-03-05"), user).await, Some(10));
    assert_eq!(game.on_board(board(Period::Day, "2026-03-06"), user).await, Some(20));
}

pub(crate) async fn l10_a_zone_that_is_set_while_others_answer_is_kept(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    together(12, |at| {
        let game = game.clone();
        async move {
            if at == 5 {
                game.set_zone(user, "Europe/Berlin").await;
                assert_eq!(game.profile(user).await.time_zone, zone("Europe/Berlin"));
            } else {
                game.play(user, question, true).await;
            }
        }
    })
    .await;
    let profile = game.profile(user).await;
    assert_eq!((profile.time_zone, profile.questions_answered), (zone("Europe/Berlin"), 11));
}

pub(crate) async fn l12_facts_land_in_the_periods_of_the_calendar(game: Game) {
    // instant, first day of the day, week and month in New York with weeks from Sunday
    let cases = [
        ("2026-03-07T12:00:00Z", ["2026-03-07", "2026-03-01", "2026-03-01"]),
        ("2026-03-08T04:59:59.999999Z", ["2026-03-07", "2026-03-01", "2026-03-01"]),
        ("2026-03-08T05:00:00Z", ["2026-03-08", "2026-03-08", "2026-03-01"]),
        ("2026-03-09T03:59:59.999999Z", ["2026-03-08", "2026-03-08", "2026-03-01"]),
        ("2026-03-09T04:00:00Z", ["2026-03-09", "2026-03-08", "2026-03-01"]),
        ("2026-11-01T03:59:59.999999Z", ["2026-10-31", "2026-10-25", "2026-10-01"]),
        ("2026-11-01T04:00:00Z", ["2026-11-01", "2026-11-01", "2026-11-01"]),
        ("2026-11-02T04:59:59.999999Z", ["2026-11-01", "2026-11-01", "2026-11-01"]),
        ("2027-01-01T04:59:59.999999Z", ["2026-12-31", "2026-12-27", "2026-12-01"]),
        ("2027-01-01T05:00:00Z", ["2027-01-01", "2026-12-27", "2027-01-01"]),
        ("2028-03-01T04:59:59.999999Z", ["2028-02-29", "2028-02-27", "2028-02-01"]),
    ];
    assert_eq!(game.set_calendar(american()).await, 0);
    assert_eq!(game.store.rules().rules().await.unwrap().calendar, american());
    for (id, (instant, starts)) in (1..).zip(cases) {
        let user = game.user(id).await;
        game.set_clock(instant);
        game.award(user, 5).await.unwrap();
        for (period, start) in Period::ALL.into_iter().zip(starts) {
            assert_eq!(game.on_board(board(period, start), user).await, Some(5), "{period} of {instant}");
        }
        let week = game.store.rankings().weekly_history(user, 9).await.unwrap();
        assert_eq!(week.iter().map(|week| week.week_start).collect::<Vec<_>>(), [day(starts[1])]);
    }
    assert_eq!(game.on_board(board(Period::Day, "2026-03-07"), user_id(3)).await, None);
}

pub(crate) async fn l13_a_rank_change_goes_by_the_calendar(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    game.set_calendar(american()).await;
    // two weeks that meet at a Sunday in New York
    for (instant, of_ann, of_bob) in [("2026-03-08T04:59:59.999999Z", 1, 2), ("2026-03-08T05:00:00Z", 2, 1)] {
        game.set_clock(instant);
        game.award(ann, of_ann).await.unwrap();
        game.award(bob, of_bob).await.unwrap();
    }
    for (period, date, expected) in [
        (Period::Week, "2026-03-08", Some(1)),
        (Period::Week, "2026-03-14", Some(1)),
        (Period::Week, "2026-03-07", None),
        (Period::Week, "2026-03-15", None),
        (Period::Day, "2026-03-08", Some(1)),
        (Period::Month, "2026-03-08", None),
    ] {
        let change = |user| {
            let game = game.clone();
            async move { game.store.rankings().rank_change(period, day(date), user).await.unwrap() }
        };
        assert_eq!(
            (change(ann).await, change(bob).await),
            (expected, expected.map(|change| -change)),
            "{period} {date}"
        );
    }
}

/// Weeks of play, the same on every store.
async fn random_play(game: &Game) {
    let random = SeededRandom::new(9);
    let question = game.statements(1).await[0];
    for _ in 0..120 {
        game.wait(TimeDelta::minutes(i64::try_from(random.next_u64() % 1_500).unwrap() - 100));
        let user = game.user(i64::try_from(random.next_u64() % 5).unwrap()).await;
        match random.next_u64() % 20 {
            0 => drop(game.reset(user).await),
            1..=5 => drop(game.award(user, 3).await.unwrap()),
            n => drop(game.play(user, question, n > 8).await),
        }
    }
}

/// All boards of the weeks of [`random_play`], under every calendar.
async fn all_boards(game: &Game) -> Vec<trivia_domain::model::LeaderboardEntry> {
    let mut entries = Vec::new();
    let mut start = day("2026-02-20");
    while start < day("2026-05-20") {
        for period in Period::ALL {
            entries.extend(game.board(Board::Period { period, start }).await);
        }
        start = Period::Day.end(start);
    }
    entries
}

pub(crate) async fn l12_a_calendar_that_comes_later_gives_the_same_boards(game: Game) {
    let (early, late) = (game.fresh().await, game.fresh().await);
    early.set_calendar(american()).await;
    random_play(&early).await;
    random_play(&late).await;
    let monday = (late.snapshot().await, all_boards(&late).await);
    assert_eq!(late.set_calendar(american()).await, 5);
    assert_eq!(late.set_calendar(american()).await, 0, "it is set already");
    let sunday = (early.snapshot().await, all_boards(&early).await);
    assert_eq!((late.snapshot().await, all_boards(&late).await), sunday);
    assert_ne!(sunday.1, monday.1);
    late.verify().await;
    // and back
    assert_eq!(late.set_calendar(Calendar::default()).await, 5);
    assert_eq!((late.snapshot().await, all_boards(&late).await), monday);
    early.verify().await;
}

pub(crate) async fn l12_a_late_fact_lands_in_its_own_period(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    game.set_clock("2026-03-02T00:00:00Z");
    game.award(ann, 10).await.unwrap();
    let closing = game.close(game.key(), Period::Week, "2026-02-23").await.unwrap();
    assert_eq!(closing.players, 0);
    // the clock goes back: a fact of the week that is closed
    game.wait(-MICROSECOND);
    game.award(bob, 30).await.unwrap();
    assert_eq!(game.on_board(board(Period::Week, "2026-02-23"), bob).await, Some(30));
    assert_eq!(game.on_board(board(Period::Week, "2026-03-02"), bob).await, None);
    assert_eq!(game.on_board(board(Period::Month, "2026-03-01"), bob).await, Some(30));
    assert_eq!(game.close(game.key(), Period::Week, "2026-02-23").await.unwrap(), closing, "closed is closed");
}

pub(crate) async fn l12_a_period_is_closed_once(game: Game) {
    let (ann, bob, cid) = (game.user(1).await, game.user(2).await, game.user(3).await);
    game.award(ann, 10).await.unwrap();
    game.award(bob, 10).await.unwrap();
    game.award(cid, 0).await.unwrap();
    for (period, start, end) in [
        (Period::Day, "2026-03-04", "2026-03-05T00:00:00Z"),
        (Period::Week, "2026-03-02", "2026-03-09T00:00:00Z"),
        (Period::Month, "2026-03-01", "2026-04-01T00:00:00Z"),
    ] {
        game.set_clock(end);
        game.wait(-MICROSECOND);
        let early = game.key();
        assert_eq!(refusal(game.close(early, period, start).await), Refusal::PeriodNotOver);
        game.wait(MICROSECOND);
        let closings = together(8, |_| {
            let game = game.clone();
            async move {
                let key = game.key();
                (key, game.close(key, period, start).await.unwrap())
            }
        })
        .await;
        let (winner, closing) =
            closings.iter().find(|(key, closing)| closing.key == *key).expect("one has won").clone();
        let expected = Closing { period, starts_on: day(start), key: winner, closed_at: game.clock.now(), players: 2 };
        assert_eq!(closing, expected);
        assert!(closings.iter().all(|(_, closing)| *closing == expected), "all are told the same");
        assert_eq!(closings.iter().filter(|(key, _)| *key == winner).count(), 1);

        // after a crash, and for whoever comes late
        game.wait(TimeDelta::days(100));
        for key in [winner, early, game.key()] {
            assert_eq!(game.close(key, period, start).await.unwrap(), expected);
        }
        game.set_clock("2026-03-04T13:00:00Z");
        assert_eq!(game.close(game.key(), period, start).await.unwrap(), expected, "also when the clock goes back");
    }
}

pub(crate) async fn l12_a_period_is_over_when_the_calendar_says_so(game: Game) {
    game.set_calendar(american()).await;
    for (period, start, end) in [
        (Period::Day, "2026-03-08", "2026-03-09T04:00:00Z"),
        (Period::Week, "2026-03-08", "2026-03-15T04:00:00Z"),
        (Period::Week, "2026-11-01", "2026-11-08T05:00:00Z"),
        (Period::Month, "2026-12-01", "2027-01-01T05:00:00Z"),
    ] {
        game.set_clock(end);
        game.wait(-MICROSECOND);
        assert_eq!(refusal(game.close(game.key(), period, start).await), Refusal::PeriodNotOver);
        game.wait(MICROSECOND);
        game.close(game.key(), period, start).await.unwrap();
    }
}

pub(crate) async fn l12_only_a_period_that_starts_there_is_closed(game: Game) {
    game.wait(TimeDelta::days(400));
    for (period, start) in [
        (Period::Week, "2026-03-01"),
        (Period::Week, "2026-03-03"),
        (Period::Month, "2026-03-02"),
        (Period::Month, "2026-02-28"),
    ] {
        assert_invalid(game.close(game.key(), period, start).await, "period");
    }
    game.set_calendar(american()).await;
    assert_invalid(game.close(game.key(), Period::Week, "2026-03-02").await, "period");
    game.close(game.key(), Period::Week, "2026-03-01").await.unwrap();
}

pub(crate) async fn l2_a_failed_work_closes_nothing(game: Game) {
    game.wait(TimeDelta::days(30));
    let (period, starts_on) = (Period::Week, day("2026-03-02"));
    let lost = game.key();
    let failing = work(move |uow| -> WorkFuture<'_, ()> {
        Box::pin(async move {
            let closing = uow.play().close_period(ClosePeriod { key: lost, period, starts_on }).await?;
            assert_eq!(closing.key, lost);
            Err(StoreError::invalid("work", "it fails at its end"))
        })
    });
    execute(game.store.as_ref(), &failing).await.unwrap_err();
    let key = game.key();
    assert_eq!(game.close(key, period, "2026-03-02").await.unwrap().key, key);
}

pub(crate) async fn l12_challenges_turn_with_the_calendar(game: Game) {
    let user = game.user(1).await;
    game.statements(5).await;
    game.set_clock("2026-03-08T04:59:59.999999Z");
    let starts = || {
        let game = game.clone();
        async move {
            let mut starts = Vec::new();
            for kind in ChallengeKind::ALL {
                starts.push(game.store.challenges().present(kind).await.unwrap().starts_on.to_string());
            }
            starts
        }
    };
    assert_eq!(starts().await, ["2026-03-08", "2026-03-02"]);
    game.play_challenge(user, ChallengeKind::Daily, &[true]).await;
    game.set_calendar(american()).await;
    assert_eq!(starts().await, ["2026-03-07", "2026-03-01"]);
    game.wait(MICROSECOND);
    assert_eq!(starts().await, ["2026-03-08", "2026-03-08"]);
    // the player's own zone does not matter: there is one challenge for all
    game.set_zone(user, "Pacific/Kiritimati").await;
    let session = game.start_challenge(1, user, ChallengeKind::Daily).await;
    assert_eq!(session.challenge.unwrap().starts_on, day("2026-03-08"));
    assert_eq!(refusal(game.answer(user, &session, true).await), Refusal::AlreadyAnswered, "it kept its day");
    let history = game.store.challenges().history(user, ChallengeKind::Daily, 9).await.unwrap();
    assert_eq!(history.iter().map(|attempt| attempt.challenge.starts_on).collect::<Vec<_>>(), [day("2026-03-08")]);
}
