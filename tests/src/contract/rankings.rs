use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::{
    Accuracy, Board, Calendar, Cursor, DayKey, LeaderboardEntry, LeaderboardPage, Period, Points, Standing, UserId,
};
use trivia_domain::ports::{Clock, RandomSource};

use super::Game;
use super::game::{assert_invalid, user_id};
use super::snapshot::boards;

impl Game {
    async fn page(&self, board: Board, after: Option<Cursor>, limit: u32) -> LeaderboardPage {
        self.store.rankings().page(board, after, limit).await.unwrap()
    }

    /// All entries of a board in one page.
    pub(super) async fn board(&self, board: Board) -> Vec<LeaderboardEntry> {
        let page = self.page(board, None, 10_000).await;
        assert_eq!(page.total, page.entries.len() as u64);
        assert_eq!(page.next, None);
        page.entries
    }

    async fn standing(&self, board: Board, user: UserId) -> Option<Standing> {
        self.store.rankings().standing(board, user).await.unwrap()
    }

    async fn around(&self, board: Board, user: UserId, radius: u32) -> Vec<LeaderboardEntry> {
        self.store.rankings().around(board, user, radius).await.unwrap()
    }

    /// Rank and player of each entry.
    async fn ranks(&self, board: Board) -> Vec<(u64, i64)> {
        self.board(board).await.iter().map(|entry| (entry.rank, entry.user_id.get())).collect()
    }

    /// Walks a board in pages of `limit`.
    async fn walk(&self, board: Board, limit: u32) -> Vec<LeaderboardEntry> {
        let mut entries = Vec::new();
        let mut after = None;
        loop {
            let page = self.page(board, after, limit).await;
            assert!(page.entries.len() <= limit as usize);
            entries.extend(page.entries);
            assert!(entries.len() as u64 <= page.total, "the pages go on for ever");
            after = page.next;
            if after.is_none() {
                return entries;
            }
        }
    }
}

pub(crate) async fn t6_an_empty_board_is_empty(game: Game) {
    let user = game.user(1).await;
    for board in game.boards() {
        let empty = LeaderboardPage { entries: vec![], total: 0, next: None };
        assert_eq!(game.page(board, None, 10).await, empty);
        assert_eq!(game.standing(board, user).await, None);
        assert_eq!(game.around(board, user, 5).await, []);
    }
    assert_eq!(game.store.rankings().weekly_history(user, 10).await.unwrap(), []);
}

pub(crate) async fn t6_one_player_is_alone_on_the_board(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    game.play(user, question, true).await;
    game.wait(TimeDelta::seconds(1));
    game.play(user, question, false).await;
    for board in game.boards() {
        let entry = LeaderboardEntry {
            rank: 1,
            user_id: user,
            points: Points::small(10),
            reached_at: game.clock.now() - TimeDelta::seconds(1),
            questions_answered: 2,
            questions_correct: 1,
            accuracy: Accuracy::of(1, 2),
            current_streak: 0,
        };
        for limit in [1, 10] {
            let page = game.page(board, None, limit).await;
            assert_eq!(page, LeaderboardPage { entries: vec![entry.clone()], total: 1, next: None });
        }
        assert_eq!(game.standing(board, user).await, Some(Standing { rank: 1, total: 1, points: Points::small(10) }));
        for radius in [0, 3, u32::MAX] {
            assert_eq!(game.around(board, user, radius).await, std::slice::from_ref(&entry));
        }
    }
}

pub(crate) async fn t6_all_equal_points_share_the_first_rank(game: Game) {
    for id in [5, 3, 9, 1, 7] {
        let user = game.user(id).await;
        game.award(user, 10).await.unwrap();
    }
    for board in game.boards() {
        assert_eq!(game.ranks(board).await, [1, 3, 5, 7, 9].map(|id| (1, id)), "at the same instant the id decides");
        for id in [1, 3, 5, 7, 9] {
            assert_eq!(game.standing(board, user_id(id)).await.unwrap().rank, 1);
        }
    }
}

pub(crate) async fn l13_ranks_are_1_2_2_4(game: Game) {
    for (id, points) in [(1, 30), (2, 20), (3, 20), (4, 10), (5, 10), (6, 10), (7, 5)] {
        let user = game.user(id).await;
        game.wait(TimeDelta::seconds(1));
        game.award(user, points).await.unwrap();
    }
    for board in game.boards() {
        assert_eq!(game.ranks(board).await, [(1, 1), (2, 2), (2, 3), (4, 4), (4, 5), (4, 6), (7, 7)]);
    }
}

pub(crate) async fn s10_equal_points_are_listed_by_who_was_first_then_by_id(game: Game) {
    // each gets 20 points; who had them first is listed first, whatever the order of ids and of creation
    for id in [4, 2, 3, 1] {
        game.user(id).await;
    }
    for (id, points) in [(3, 10), (1, 20), (2, 10), (4, 5), (4, 15), (2, 10), (3, 10)] {
        game.wait(TimeDelta::microseconds(1));
        game.award(user_id(id), points).await.unwrap();
    }
    // nothing gained, nothing changed
    game.wait(TimeDelta::seconds(1));
    game.award(user_id(1), 0).await.unwrap();
    let question = game.statements(1).await[0];
    game.play(user_id(1), question, false).await;
    for board in game.boards() {
        assert_eq!(game.ranks(board).await, [(1, 1), (1, 4), (1, 2), (1, 3)]);
    }
    for id in [12, 11] {
        let user = game.user(id).await;
        game.award(user, 20).await.unwrap();
    }
    for board in game.boards() {
        assert_eq!(game.ranks(board).await, [(1, 1), (1, 4), (1, 2), (1, 3), (1, 11), (1, 12)]);
    }
}

/// Gives 40 players points, many of them equal; returns (points, reached_at, id) in the order of the board.
async fn crowd(game: &Game, seed: u64) -> Vec<(Reverse<i64>, chrono::DateTime<chrono::Utc>, i64)> {
    let random = SeededRandom::new(seed);
    let mut expected = BTreeMap::new();
    for _ in 0..90 {
        let id = i64::try_from(random.next_u64() % 40).unwrap();
        let points = i64::try_from(random.next_u64() % 3).unwrap() * 10;
        if random.next_u64().is_multiple_of(2) {
            game.wait(TimeDelta::microseconds(1));
        }
        let user = game.user(id).await;
        game.award(user, points).await.unwrap();
        if points > 0 {
            let (total, reached_at) = expected.entry(id).or_insert((0, game.clock.now()));
            *total += points;
            *reached_at = game.clock.now();
        }
    }
    let mut order: Vec<_> = expected.into_iter().map(|(id, (points, at))| (Reverse(points), at, id)).collect();
    order.sort_unstable();
    order
}

pub(crate) async fn l13_page_standing_and_around_agree(game: Game) {
    for seed in 0..3 {
        let game = game.fresh().await;
        let order = crowd(&game, seed).await;
        for board in game.boards() {
            let entries = game.board(board).await;
            let listed: Vec<_> =
                entries.iter().map(|e| (Reverse(e.points.get()), e.reached_at, e.user_id.get())).collect();
            assert_eq!(listed, order, "{board}");
            for entry in &entries {
                let better = order.iter().filter(|(Reverse(points), ..)| *points > entry.points.get()).count();
                assert_eq!(entry.rank, better as u64 + 1);
            }
            for limit in [1, 3, 7, 40, 1_000] {
                assert_eq!(game.walk(board, limit).await, entries, "{board} in pages of {limit}");
            }
            for (at, entry) in entries.iter().enumerate() {
                let standing = Standing { rank: entry.rank, total: entries.len() as u64, points: entry.points };
                assert_eq!(game.standing(board, entry.user_id).await, Some(standing));
                for radius in [0, 1, 4, 100] {
                    let first = at.saturating_sub(radius);
                    let end = (at + radius + 1).min(entries.len());
                    let around = game.around(board, entry.user_id, u32::try_from(radius).unwrap()).await;
                    assert_eq!(around, entries[first..end], "{board} around {} by {radius}", entry.user_id);
                }
            }
        }
    }
}

pub(crate) async fn l13_around_contains_the_player_once_inside_a_tie(game: Game) {
    for id in 0..30 {
        let user = game.user(id).await;
        game.award(user, if id == 15 { 20 } else { 10 }).await.unwrap();
    }
    for board in game.boards() {
        let entries = game.board(board).await;
        for (at, entry) in entries.iter().enumerate() {
            let around = game.around(board, entry.user_id, 2).await;
            assert_eq!(around.iter().filter(|other| other.user_id == entry.user_id).count(), 1);
            assert_eq!(around, entries[at.saturating_sub(2)..(at + 3).min(30)]);
        }
    }
}

pub(crate) async fn t7_players_without_points_are_on_no_board(game: Game) {
    let question = game.statements(1).await[0];
    let (winner, idle, wrong, reset) = (game.user(1).await, game.user(2).await, game.user(3).await, game.user(4).await);
    game.play(winner, question, true).await;
    game.award(idle, 0).await.unwrap();
    game.play(wrong, question, false).await;
    game.play(reset, question, true).await;
    game.reset(reset).await;
    for board in game.boards() {
        assert_eq!(game.ranks(board).await, [(1, 1)]);
        for user in [idle, wrong, reset, user_id(404)] {
            assert_eq!(game.standing(board, user).await, None);
            assert_eq!(game.around(board, user, 3).await, []);
        }
    }
    assert_eq!(game.store.rankings().weekly_history(user_id(404), 3).await.unwrap(), []);
}

pub(crate) async fn t8_boards_hold_the_largest_points(game: Game) {
    let room = 10_000;
    for (id, points) in [(1, i64::MAX - room), (2, i64::MAX - room - 1), (3, i64::MAX - room), (4, 1)] {
        let user = game.user(id).await;
        game.wait(TimeDelta::microseconds(1));
        game.award(user, points).await.unwrap();
    }
    for board in game.boards() {
        assert_eq!(game.ranks(board).await, [(1, 1), (1, 3), (3, 2), (4, 4)]);
        assert_eq!(game.walk(board, 1).await, game.board(board).await);
        let points = game.standing(board, user_id(1)).await.unwrap().points.get();
        assert_eq!(points - game.standing(board, user_id(2)).await.unwrap().points.get(), 1);
    }
    assert_eq!(game.standing(game.boards()[1], user_id(1)).await.unwrap().points.get(), i64::MAX - room);
}

pub(crate) async fn l14_pages_join_without_gaps(game: Game) {
    // a tie of ten crosses the borders of all pages
    for id in 0..20 {
        let user = game.user(id).await;
        game.award(user, if id % 2 == 0 { 50 } else { 100 - id }).await.unwrap();
    }
    for board in game.boards() {
        let entries = game.board(board).await;
        assert_eq!(entries.len(), 20);
        for limit in 1..=21 {
            assert_eq!(game.walk(board, limit).await, entries, "{board} in pages of {limit}");
        }
        let exact = game.page(board, None, 20).await;
        assert_eq!(exact.next, None, "no empty page follows");
        // a cursor travels as text
        let page = game.page(board, None, 7).await;
        let cursor: Cursor = page.next.unwrap().to_string().parse().unwrap();
        assert_eq!(game.page(board, Some(cursor), 3).await.entries, entries[7..10]);
    }
}

pub(crate) async fn l14_pages_hold_while_others_play(game: Game) {
    for id in 0..60 {
        let user = game.user(id).await;
        game.award(user, 10 + id % 7).await.unwrap();
    }
    for board in game.boards() {
        let random = SeededRandom::new(11);
        let mut moved = BTreeSet::new();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = game.page(board, after, 6).await;
            seen.extend(page.entries.iter().map(|entry| entry.user_id.get()));
            assert!(seen.len() <= 70, "the pages go on for ever");
            after = page.next;
            if after.is_none() {
                break;
            }
            for _ in 0..3 {
                game.wait(TimeDelta::microseconds(1));
                // some of the players are new
                let id = i64::try_from(random.next_u64() % 70).unwrap();
                let user = game.user(id).await;
                game.award(user, i64::try_from(random.next_u64() % 5).unwrap() + 1).await.unwrap();
                moved.insert(id);
            }
        }
        let different: BTreeSet<_> = seen.iter().copied().collect();
        assert_eq!(different.len(), seen.len(), "{board}: nobody appears twice");
        for id in (0..60).filter(|id| !moved.contains(id)) {
            assert!(different.contains(&id), "{board}: {id} did not move and was skipped");
        }
    }
}

pub(crate) async fn l14_a_cursor_belongs_to_one_board(game: Game) {
    for id in 0..5 {
        let user = game.user(id).await;
        game.award(user, 10).await.unwrap();
    }
    let boards = game.boards();
    for board in boards {
        let cursor = game.page(board, None, 2).await.next.unwrap();
        assert_eq!(cursor.board, board);
        for other in boards.into_iter().filter(|other| *other != board) {
            assert_invalid(game.store.rankings().page(other, Some(cursor), 2).await, "cursor");
        }
        let text = cursor.to_string();
        for tampered in [&text[1..], &format!("{text}0/"), &text.replace('/', ":"), &text.replacen("10", "-10", 1), ""]
        {
            assert_invalid(tampered.parse::<Cursor>(), "cursor");
        }
    }
    // of a week that starts on another day than the weeks here
    let tuesday: Cursor = "week:2026-03-03/10/1772625600000000/1".parse().unwrap();
    for board in boards {
        assert_invalid(game.store.rankings().page(board, Some(tuesday), 2).await, "cursor");
    }
}

pub(crate) async fn t14_a_cursor_of_last_week_stays_in_last_week(game: Game) {
    for id in 0..6 {
        let user = game.user(id).await;
        game.award(user, 10 + id).await.unwrap();
    }
    let last_week = game.boards()[2];
    let entries = game.board(last_week).await;
    let cursor = game.page(last_week, None, 2).await.next;
    game.wait(TimeDelta::days(7));
    for id in 0..6 {
        game.award(user_id(id), 100).await.unwrap();
    }
    let this_week = game.boards()[2];
    assert_ne!(this_week, last_week);
    assert_invalid(game.store.rankings().page(this_week, cursor, 2).await, "cursor");
    let rest = game.page(last_week, cursor, 10).await;
    assert_eq!((rest.entries, rest.total), (entries[2..].to_vec(), 6), "a week that is over stays as it was");
}

pub(crate) async fn s7_a_wrong_answer_earns_no_weekly_points(game: Game) {
    let (right, wrong) = (game.user(1).await, game.user(2).await);
    let question = game.statements(1).await[0];
    game.play(right, question, true).await;
    for _ in 0..5 {
        game.play(wrong, question, false).await;
    }
    for board in game.boards() {
        assert_eq!(game.ranks(board).await, [(1, 1)]);
    }
    game.award(wrong, 5).await.unwrap();
    let week = game.boards()[2];
    let entry = game.board(week).await.into_iter().find(|entry| entry.user_id == wrong).unwrap();
    assert_eq!((entry.rank, entry.points.get(), entry.questions_answered, entry.questions_correct), (2, 5, 5, 0));
}

pub(crate) async fn s9_a_top_list_is_not_changed_by_other_callers(game: Game) {
    crowd(&game, 1).await;
    for board in game.boards() {
        let top = game.page(board, None, 3).await;
        let last = game.board(board).await.pop().unwrap();
        game.around(board, last.user_id, 2).await;
        game.standing(board, last.user_id).await;
        game.page(board, top.next, 1).await;
        assert_eq!(game.page(board, None, 3).await, top);
        let longer = game.page(board, None, 10).await;
        assert_eq!(longer.entries[..3], top.entries);
        assert_eq!(game.page(board, None, 3).await, top);
    }
    // and what changed is seen at once
    let loser = game.board(Board::AllTime).await.pop().unwrap();
    game.award(loser.user_id, 500).await.unwrap();
    for board in game.boards() {
        assert_eq!(game.page(board, None, 3).await.entries[0].user_id, loser.user_id);
    }
}

pub(crate) async fn s11_a_reset_player_leaves_every_board(game: Game) {
    let question = game.statements(1).await[0];
    for id in 1..=3 {
        let user = game.user(id).await;
        for _ in id..=4 {
            game.play(user, question, true).await;
        }
    }
    // something in another period, too
    let before = game.boards();
    game.wait(TimeDelta::days(40));
    for id in 1..=3 {
        game.award(user_id(id), 50 - id).await.unwrap();
    }
    game.reset(user_id(1)).await;
    for board in before.into_iter().chain(game.boards()) {
        assert_eq!(game.ranks(board).await, [(1, 2), (2, 3)], "{board}");
        assert_eq!(game.page(board, None, 1).await.total, 2);
        assert_eq!(game.standing(board, user_id(1)).await, None);
        assert_eq!(game.standing(board, user_id(3)).await.unwrap().rank, 2);
        assert_eq!(game.around(board, user_id(2), 5).await.len(), 2);
    }
    assert_eq!(game.store.rankings().weekly_history(user_id(1), 10).await.unwrap(), []);
    // and comes back with what is earned from now on
    game.play(user_id(1), question, true).await;
    for board in game.boards() {
        assert_eq!(game.standing(board, user_id(1)).await.unwrap().points.get(), 10);
    }
    assert_eq!(game.standing(before[1], user_id(1)).await, None);
}

pub(crate) async fn s14_monthly_boards_show_monthly_accuracy(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    for correct in [true, false, false, false] {
        game.play(user, question, correct).await;
    }
    let march = game.boards();
    game.wait(TimeDelta::days(30));
    game.play(user, question, true).await;
    let april = game.boards();
    for (board, answered, correct) in
        [(march[3], 4, 1), (april[3], 1, 1), (april[1], 1, 1), (april[2], 1, 1), (Board::AllTime, 5, 2)]
    {
        let entry = game.board(board).await.pop().unwrap();
        assert_eq!((entry.questions_answered, entry.questions_correct), (answered, correct), "{board}");
        assert_eq!(entry.accuracy, Accuracy::of(correct, answered), "{board}");
    }
}

pub(crate) async fn bonuses_count_on_the_all_time_board_only(game: Game) {
    let user = game.user(1).await;
    let question = game.statements(1).await[0];
    for _ in 0..5 {
        game.play(user, question, true).await;
    }
    game.grant(user, "super_fan").await.unwrap();
    let [all_time, day, week, month] = game.boards();
    assert_eq!(game.standing(all_time, user).await.unwrap().points.get(), 50 + 50 + 1_000);
    for board in [day, week, month] {
        assert_eq!(game.standing(board, user).await.unwrap().points.get(), 50);
    }
}

pub(crate) async fn t5_facts_land_in_their_own_periods(game: Game) {
    let borders = [
        // a day within a week and a month; week, month and day at once; the end of a year inside a week;
        // a leap day
        ("2026-03-04T23:59:59.999999Z", "2026-03-05T00:00:00Z"),
        ("2026-05-31T23:59:59.999999Z", "2026-06-01T00:00:00Z"),
        ("2026-12-31T23:59:59.999999Z", "2027-01-01T00:00:00Z"),
        ("2028-02-29T23:59:59.999999Z", "2028-03-01T00:00:00Z"),
    ];
    for (id, (before, after)) in (1..).zip(borders) {
        let user = game.user(id).await;
        // the later fact first: it makes no difference
        for (instant, points) in [(after, 3), (before, 5)] {
            game.set_clock(instant);
            game.award(user, points).await.unwrap();
        }
        let day = |instant: &str| DayKey::of(instant.parse().unwrap());
        for period in Period::ALL {
            let calendar = Calendar::default();
            let (first, second) = (calendar.board(period, day(before)), calendar.board(period, day(after)));
            let points = if first == second { (8, 8) } else { (5, 3) };
            let of = |board| game.standing(board, user);
            let found = (of(first).await.unwrap().points.get(), of(second).await.unwrap().points.get());
            assert_eq!(found, points, "{period} of {before}");
        }
        let others = boards(day("2020-02-29T00:00:00Z"));
        assert_eq!(game.standing(others[1], user).await, None);
    }
}

pub(crate) async fn weekly_history_is_newest_first(game: Game) {
    let (ann, bob) = (game.user(1).await, game.user(2).await);
    let question = game.statements(1).await[0];
    game.award(ann, 10).await.unwrap();
    game.award(bob, 20).await.unwrap();
    game.wait(TimeDelta::weeks(1));
    game.award(ann, 30).await.unwrap();
    game.award(bob, 20).await.unwrap();
    game.wait(TimeDelta::weeks(1));
    game.play(ann, question, false).await;
    game.award(bob, 1).await.unwrap();
    // a week without anybody
    game.wait(TimeDelta::weeks(2));
    game.award(bob, 5).await.unwrap();
    game.award(ann, 5).await.unwrap();

    let history = |user, limit| {
        let game = game.clone();
        async move {
            let weeks = game.store.rankings().weekly_history(user, limit).await.unwrap();
            assert!(weeks.iter().all(|week| week.user_id == user));
            weeks.into_iter().map(|w| (w.week_start.to_string(), w.points.get(), w.rank)).collect::<Vec<_>>()
        }
    };
    let week = |monday: &str, points, rank| (monday.to_owned(), points, rank);
    let expected = [
        week("2026-03-30", 5, Some(1)),
        week("2026-03-16", 0, None),
        week("2026-03-09", 30, Some(1)),
        week("2026-03-02", 10, Some(2)),
    ];
    assert_eq!(history(ann, 10).await, expected);
    assert_eq!(history(ann, 2).await, expected[..2]);
    assert_eq!(history(ann, 0).await, []);
    let ranks: Vec<_> = history(bob, 10).await.into_iter().map(|(_, _, rank)| rank).collect();
    assert_eq!(ranks, [Some(1), Some(1), Some(2), Some(1)]);
}

pub(crate) async fn l13_a_rank_change_agrees_with_both_standings(game: Game) {
    let random = SeededRandom::new(5);
    // three months, so that days, weeks and months follow each other
    for _ in 0..150 {
        let user = game.user(i64::try_from(random.next_u64() % 6).unwrap()).await;
        game.award(user, i64::try_from(random.next_u64() % 4).unwrap()).await.unwrap();
        game.wait(TimeDelta::hours(i64::try_from(random.next_u64() % 30).unwrap()));
    }
    let calendar = Calendar::default();
    let (mut changes, mut days) = (BTreeSet::new(), 0);
    for period in Period::ALL {
        let mut start = calendar.start(period, "2026-02-20".parse().unwrap());
        while start.date() < game.clock.now().date_naive() {
            let next = period.end(start);
            for id in (0..6).chain([404]) {
                let rank = |board| {
                    let game = game.clone();
                    async move { game.standing(board, user_id(id)).await.map(|standing| standing.rank) }
                };
                let earlier = rank(calendar.board(period, start)).await;
                let later = rank(calendar.board(period, next)).await;
                let expected = earlier.zip(later).map(|(earlier, later)| earlier as i64 - later as i64);
                // any day of the period will do
                let last = DayKey::new(period.end(next).date().pred_opt().unwrap());
                for day in [next, last] {
                    let change = game.store.rankings().rank_change(period, day, user_id(id)).await.unwrap();
                    assert_eq!(change, expected, "{id} in the {period} of {day}");
                }
                changes.insert(expected);
            }
            (start, days) = (next, days + 1);
        }
    }
    assert!(days > 80 && changes.contains(&None), "{changes:?}");
    assert!([-1, 0, 1].iter().all(|change| changes.contains(&Some(*change))), "{changes:?}");
}

pub(crate) async fn l13_history_agrees_with_the_pages(game: Game) {
    let random = SeededRandom::new(6);
    for _ in 0..60 {
        let user = game.user(i64::try_from(random.next_u64() % 6).unwrap()).await;
        game.award(user, i64::try_from(random.next_u64() % 3).unwrap()).await.unwrap();
        game.wait(TimeDelta::hours(i64::try_from(random.next_u64() % 40).unwrap()));
    }
    let mut ranked = 0;
    for id in 0..6 {
        for week in game.store.rankings().weekly_history(user_id(id), 100).await.unwrap() {
            let entries = game.board(Calendar::default().board(Period::Week, week.week_start)).await;
            let entry = entries.iter().find(|entry| entry.user_id == week.user_id);
            assert_eq!((week.rank, week.points), (entry.map(|e| e.rank), entry.map_or(Points::ZERO, |e| e.points)));
            ranked += usize::from(week.rank.is_some());
        }
    }
    assert!(ranked > 20, "{ranked}");
}
