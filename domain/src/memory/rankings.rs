use std::cmp::Reverse;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{State, Tables};
use crate::error::{StoreError, StoreResult};
use crate::model::{
    Board, Cursor, DayKey, LeaderboardEntry, LeaderboardPage, Period, Points, Standing, Tally, UserId, WeeklyRanking,
};
use crate::play::PlayerState;
use crate::ports::RankingRepository;

/// The order of a board: most points, then who reached them first, then the smaller id.
type Place = (Reverse<Points>, DateTime<Utc>, UserId);

fn place(entry: &LeaderboardEntry) -> Place {
    (Reverse(entry.points), entry.reached_at, entry.user_id)
}

/// What a player has on a board; `None` without points.
fn score(player: &PlayerState, board: Board) -> Option<(Tally, DateTime<Utc>)> {
    let profile = &player.profile;
    let (tally, reached_at) = match board {
        Board::AllTime => {
            let tally = Tally {
                answered: profile.questions_answered,
                correct: profile.questions_correct,
                points: profile.total_points,
            };
            (tally, profile.points_reached_at?)
        }
        Board::Period { period, start } => {
            let score = player.scores.get(&(period, start))?;
            (score.tally, score.reached_at)
        }
    };
    (tally.points > Points::ZERO).then_some((tally, reached_at))
}

impl State {
    /// All lines of a board, best first.
    pub(super) fn board(&self, board: Board) -> Vec<LeaderboardEntry> {
        let mut entries: Vec<_> = self
            .play
            .players
            .values()
            .filter_map(|player| {
                let (tally, reached_at) = score(player, board)?;
                Some(LeaderboardEntry {
                    rank: 0,
                    user_id: player.profile.user_id,
                    points: tally.points,
                    reached_at,
                    questions_answered: tally.answered,
                    questions_correct: tally.correct,
                    accuracy: tally.accuracy(),
                    current_streak: player.profile.current_streak,
                })
            })
            .collect();
        entries.sort_unstable_by_key(place);
        let (mut rank, mut last) = (0, None);
        for (entry, at) in entries.iter_mut().zip(1..) {
            if last != Some(entry.points) {
                (rank, last) = (at, Some(entry.points));
            }
            entry.rank = rank;
        }
        entries
    }
}

#[async_trait]
impl RankingRepository for Tables {
    async fn page(&self, board: Board, after: Option<Cursor>, limit: u32) -> StoreResult<LeaderboardPage> {
        if let Some(other) = after.map(|cursor| cursor.board).filter(|other| *other != board) {
            return Err(StoreError::invalid("cursor", format!("it belongs to the board {other}, not to {board}")));
        }
        let mut entries = self.read().board(board);
        let total = entries.len() as u64;
        if let Some(cursor) = after {
            let seen = (Reverse(cursor.points), cursor.reached_at, cursor.user_id);
            entries.retain(|entry| place(entry) > seen);
        }
        let is_last = entries.len() <= limit as usize;
        entries.truncate(limit as usize);
        let next = entries.last().filter(|_| !is_last).map(|last| Cursor {
            board,
            points: last.points,
            reached_at: last.reached_at,
            user_id: last.user_id,
        });
        Ok(LeaderboardPage { entries, total, next })
    }

    async fn standing(&self, board: Board, user: UserId) -> StoreResult<Option<Standing>> {
        let entries = self.read().board(board);
        let entry = entries.iter().find(|entry| entry.user_id == user);
        Ok(entry.map(|entry| Standing { rank: entry.rank, total: entries.len() as u64, points: entry.points }))
    }

    async fn around(&self, board: Board, user: UserId, radius: u32) -> StoreResult<Vec<LeaderboardEntry>> {
        let entries = self.read().board(board);
        let Some(at) = entries.iter().position(|entry| entry.user_id == user) else { return Ok(Vec::new()) };
        let radius = radius as usize;
        let first = at.saturating_sub(radius);
        Ok(entries.into_iter().skip(first).take(at - first + 1 + radius).collect())
    }

    async fn rank_change(&self, period: Period, day: DayKey, user: UserId) -> StoreResult<Option<i64>> {
        let state = self.read();
        let calendar = state.rules.calendar;
        let rank = |start| {
            let entries = state.board(Board::Period { period, start });
            entries.iter().find(|entry| entry.user_id == user).and_then(|entry| i64::try_from(entry.rank).ok())
        };
        let start = calendar.start(period, day);
        let (Some(now), Some(before)) = (rank(start), rank(calendar.before(period, start))) else { return Ok(None) };
        Ok(Some(before - now))
    }

    async fn weekly_history(&self, user: UserId, limit: u32) -> StoreResult<Vec<WeeklyRanking>> {
        let state = self.read();
        let Some(player) = state.play.players.get(&user) else { return Ok(Vec::new()) };
        let weeks = player.scores.iter().rev().filter(|((period, _), _)| *period == Period::Week);
        let history = weeks.take(limit as usize).map(|((period, start), score)| {
            let entries = state.board(Board::Period { period: *period, start: *start });
            WeeklyRanking {
                user_id: user,
                week_start: *start,
                points: score.tally.points,
                rank: entries.iter().find(|entry| entry.user_id == user).map(|entry| entry.rank),
            }
        });
        Ok(history.collect())
    }
}
