//! One board in memory, in its order, with ranks in logarithmic time.

use std::cmp::Reverse;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use hashlink::DefaultHashBuilder;
use trivia_domain::model::{Accuracy, Board, Cursor, LeaderboardEntry, LeaderboardPage, Points, Standing, UserId};
use trivia_domain::{StoreError, StoreResult};

use super::Changed;

/// Lines of a part; a full one is split in two.
const PART: usize = 128;
/// Parts of a block, whose lines are counted.
const BLOCK: usize = 128;

/// A line of a board without its rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) user_id: UserId,
    pub(crate) points: Points,
    pub(crate) reached_at: DateTime<Utc>,
    pub(crate) answered: u64,
    pub(crate) correct: u64,
    pub(crate) current_streak: u64,
}

/// The order of a board: most points, then who reached them first, then the smaller id.
type Place = (Reverse<Points>, DateTime<Utc>, UserId);

/// A part, and the index of a line in it.
type Position = (usize, usize);

impl Line {
    const fn place(&self) -> Place {
        (Reverse(self.points), self.reached_at, self.user_id)
    }
}

impl From<&Line> for LeaderboardEntry {
    /// The entry of a line whose rank is not known yet.
    fn from(line: &Line) -> Self {
        Self {
            rank: 0,
            user_id: line.user_id,
            points: line.points,
            reached_at: line.reached_at,
            questions_answered: line.answered,
            questions_correct: line.correct,
            accuracy: Accuracy::of(line.correct, line.answered),
            current_streak: line.current_streak,
        }
    }
}

/// Lines with more points.
fn better(lines: &[Line], points: Points) -> usize {
    lines.partition_point(|line| line.points > points)
}

/// The lines of a part, and those of them with more points than its last.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    lines: usize,
    better: usize,
}

impl Size {
    fn sum(sizes: &[Self]) -> usize {
        sizes.iter().map(|size| size.lines).sum()
    }
}

/// All lines of a board in order, in parts of limited size, so that one can be moved without moving all.
#[derive(Debug, Default)]
pub(crate) struct Ladder {
    parts: Vec<Vec<Line>>,
    /// The last points of each part, side by side: looking for points in the parts would miss the cache each time.
    points: Vec<Points>,
    /// The last place of each part, to find a place among parts with the same last points.
    lasts: Vec<Place>,
    /// Side by side like the points. Points that are the last of a part are ranked without a look at its lines.
    sizes: Vec<Size>,
    /// Lines of each block of parts, so that counting them does not visit every part.
    blocks: Vec<usize>,
    // ids are made by the application, so a fast hash will do
    places: HashMap<UserId, Place, DefaultHashBuilder>,
}

impl Ladder {
    /// Takes lines that are in order.
    pub(crate) fn new(lines: &[Line]) -> Self {
        let places = lines.iter().map(|line| (line.user_id, line.place())).collect();
        let mut ladder = Self { places, ..Self::default() };
        // half full, so that the next lines do not split each of them
        for (at, lines) in lines.chunks(PART / 2).enumerate() {
            ladder.insert_part(at, lines.to_vec());
        }
        ladder.count();
        ladder
    }

    /// After a part has come or gone.
    fn count(&mut self) {
        self.blocks.clear();
        self.blocks.extend(self.sizes.chunks(BLOCK).map(Size::sum));
    }

    /// The parts are to be counted then.
    fn insert_part(&mut self, at: usize, lines: Vec<Line>) {
        let Some(last) = lines.last() else { return };
        self.points.insert(at, last.points);
        self.lasts.insert(at, last.place());
        self.sizes.insert(at, Size::default());
        self.parts.insert(at, lines);
        self.measure(at);
    }

    /// After the lines of a part have changed.
    fn measure(&mut self, at: usize) {
        let lines = &self.parts[at];
        let Some(last) = lines.last() else { return };
        self.points[at] = last.points;
        self.lasts[at] = last.place();
        self.sizes[at] = Size { lines: lines.len(), better: better(lines, last.points) };
    }

    /// Brings a player to where he is after a transaction.
    pub(super) fn change(&mut self, board: Board, changed: &Changed) {
        let profile = &changed.profile;
        let user_id = profile.user_id;
        let score = match board {
            Board::AllTime => {
                let (answered, correct) = (profile.questions_answered, profile.questions_correct);
                profile.points_reached_at.map(|at| (profile.total_points, at, answered, correct))
            }
            Board::Period { period, start } => {
                let score = changed.scores.iter().find(|(key, _)| *key == (period, start)).map(|(_, score)| score);
                match score {
                    Some(score) => {
                        Some((score.tally.points, score.reached_at, score.tally.answered, score.tally.correct))
                    }
                    None if changed.cleared => None,
                    // nothing happened on this board
                    None => return self.set_streak(user_id, profile.current_streak),
                }
            }
        };
        self.remove(user_id);
        if let Some((points, reached_at, answered, correct)) = score.filter(|score| score.0 > Points::ZERO) {
            let current_streak = profile.current_streak;
            self.insert(Line { user_id, points, reached_at, answered, correct, current_streak });
        }
    }

    fn set_streak(&mut self, user: UserId, streak: u64) {
        let Some(place) = self.places.get(&user) else { return };
        let (part, at) = self.find(place);
        if let Some(line) = self.parts.get_mut(part).and_then(|lines| lines.get_mut(at)) {
            line.current_streak = streak;
        }
    }

    fn remove(&mut self, user: UserId) {
        let Some(place) = self.places.remove(&user) else { return };
        let (part, at) = self.find(&place);
        self.parts[part].remove(at);
        if self.parts[part].is_empty() {
            self.parts.remove(part);
            self.points.remove(part);
            self.lasts.remove(part);
            self.sizes.remove(part);
            self.count();
        } else {
            self.measure(part);
            self.blocks[part / BLOCK] -= 1;
        }
    }

    fn insert(&mut self, line: Line) {
        self.places.insert(line.user_id, line.place());
        if self.parts.is_empty() {
            self.insert_part(0, vec![line]);
            return self.count();
        }
        let (mut part, mut at) = self.find(&line.place());
        if part == self.parts.len() {
            part -= 1;
            at = self.sizes[part].lines;
        }
        let lines = &mut self.parts[part];
        lines.insert(at, line);
        if lines.len() < PART {
            self.measure(part);
            self.blocks[part / BLOCK] += 1;
        } else {
            let second = lines.split_off(PART / 2);
            self.measure(part);
            self.insert_part(part + 1, second);
            self.count();
        }
    }

    /// The first part with a line that has these points or fewer.
    fn part(&self, points: Points) -> usize {
        self.points.partition_point(|last| *last > points)
    }

    /// The first line at a place or after it.
    fn find(&self, place: &Place) -> Position {
        let Reverse(points) = place.0;
        let first = self.part(points);
        let ties = self.points[first..].partition_point(|last| *last == points);
        let part = first + self.lasts[first..first + ties].partition_point(|last| last < place);
        let Some(lines) = self.parts.get(part) else { return (part, 0) };
        // whoever has the place is looked for line by line: a search would wait for memory at each step
        let at = lines.iter().position(|line| line.user_id == place.2).filter(|at| lines[*at].place() == *place);
        (part, at.unwrap_or_else(|| lines.partition_point(|line| line.place() < *place)))
    }

    /// Lines before a position.
    fn before(&self, (part, at): Position) -> usize {
        let block = part / BLOCK;
        let in_block = Size::sum(&self.sizes[block * BLOCK..part]);
        self.blocks[..block].iter().sum::<usize>() + in_block + at
    }

    /// The position some lines further up, or the first one.
    fn up(&self, (mut part, mut at): Position, mut lines: usize) -> Position {
        while lines > at && part > 0 {
            lines -= at;
            part -= 1;
            at = self.sizes[part].lines;
        }
        (part, at.saturating_sub(lines))
    }

    /// Lines from a position on.
    fn from(&self, (part, at): Position) -> impl Iterator<Item = &Line> {
        self.parts[part..].iter().flatten().skip(at)
    }

    /// Competition rank of these points: one more than there are lines with more.
    fn rank(&self, points: Points) -> u64 {
        let part = self.part(points);
        let at = match self.points.get(part) {
            Some(last) if *last == points => self.sizes[part].better,
            Some(_) => better(&self.parts[part], points),
            None => 0,
        };
        1 + self.before((part, at)) as u64
    }

    fn total(&self) -> u64 {
        self.places.len() as u64
    }

    /// At most `count` lines from a position on, with their ranks; `first` lines are before it.
    fn entries(&self, position: Position, first: usize, count: usize) -> Vec<LeaderboardEntry> {
        let count = count.min(self.places.len() - first);
        let mut entries: Vec<LeaderboardEntry> = Vec::with_capacity(count);
        // the ranks follow: with little to do for each line, the processor fetches many at once
        entries.extend(self.from(position).take(count).map(LeaderboardEntry::from));
        let Some(best) = entries.first() else { return entries };
        let (mut points, mut rank) = (best.points, self.rank(best.points));
        for (entry, number) in entries.iter_mut().zip(first as u64 + 1..) {
            if entry.points != points {
                (points, rank) = (entry.points, number);
            }
            entry.rank = rank;
        }
        entries
    }

    pub(super) fn page(&self, board: Board, after: Option<Cursor>, limit: usize) -> StoreResult<LeaderboardPage> {
        let position = match after {
            None => (0, 0),
            Some(cursor) if cursor.board != board => {
                return Err(StoreError::invalid("cursor", "it belongs to another board"));
            }
            Some(cursor) => {
                let seen = (Reverse(cursor.points), cursor.reached_at, cursor.user_id);
                let (part, at) = self.find(&seen);
                let is_there =
                    self.parts.get(part).and_then(|lines| lines.get(at)).is_some_and(|line| line.place() == seen);
                (part, at + usize::from(is_there))
            }
        };
        let first = self.before(position);
        let entries = self.entries(position, first, limit);
        let more = first + entries.len() < self.places.len();
        let next = entries.last().filter(|_| more).map(|last| Cursor {
            board,
            points: last.points,
            reached_at: last.reached_at,
            user_id: last.user_id,
        });
        Ok(LeaderboardPage { entries, total: self.total(), next })
    }

    pub(super) fn standing(&self, user: UserId) -> Option<Standing> {
        let (Reverse(points), ..) = *self.places.get(&user)?;
        Some(Standing { rank: self.rank(points), total: self.total(), points })
    }

    pub(super) fn around(&self, user: UserId, radius: usize) -> Vec<LeaderboardEntry> {
        let Some(place) = self.places.get(&user) else { return Vec::new() };
        let position = self.find(place);
        let (first, at) = (self.up(position, radius), self.before(position));
        let above = at.min(radius);
        self.entries(first, at - above, above.saturating_add(1).saturating_add(radius))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: i64, points: i64, second: i64) -> Line {
        Line {
            user_id: UserId::new(user).unwrap(),
            points: Points::new(points).unwrap(),
            reached_at: DateTime::from_timestamp(second, 0).unwrap(),
            answered: 1,
            correct: 1,
            current_streak: 1,
        }
    }

    /// A generator that needs no crate: Knuth's MMIX multiplier.
    fn numbers(mut seed: u64) -> impl FnMut(u64) -> i64 {
        move |below| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((seed >> 33) % below).unwrap()
        }
    }

    #[test]
    fn l13_a_ladder_is_a_sorted_list_whatever_is_moved() {
        let mut number = numbers(7);
        // some blocks of parts, and ties that fill some parts or a piece of one
        let mut chance = numbers(8);
        let mut points = move || {
            let below = if chance(2) == 0 { 50 } else { 5_000 };
            1 + chance(below)
        };
        let mut sorted: Vec<_> = (0..40_000).map(|user| line(user, points(), number(20))).collect();
        let mut lines: HashMap<i64, Line> = sorted.iter().map(|line| (line.user_id.get(), *line)).collect();
        sorted.sort_unstable_by_key(Line::place);
        let mut ladder = Ladder::new(&sorted);
        for step in 0..60_000 {
            // parts that fill, and parts that empty
            let empties = step >= 20_000;
            let user = if empties { step - 20_000 } else { number(60_000) };
            if empties || number(4) == 0 {
                ladder.remove(UserId::new(user).unwrap());
                lines.remove(&user);
            } else {
                let new = line(user, points(), number(20));
                ladder.remove(new.user_id);
                ladder.insert(new);
                lines.insert(user, new);
            }
            if step % 6_000 != 0 {
                continue;
            }
            let mut sorted: Vec<_> = lines.values().copied().collect();
            sorted.sort_unstable_by_key(Line::place);
            assert!(ladder.from((0, 0)).eq(&sorted));
            assert_eq!(ladder.total(), sorted.len() as u64);
            for (at, line) in sorted.iter().enumerate().step_by(1_009) {
                let better = sorted.iter().filter(|other| other.points > line.points).count() as u64;
                assert_eq!(ladder.standing(line.user_id).unwrap().rank, better + 1);
                let around = ladder.around(line.user_id, 3);
                let expected = &sorted[at.saturating_sub(3)..sorted.len().min(at + 4)];
                assert!(around.iter().map(|entry| entry.user_id).eq(expected.iter().map(|line| line.user_id)));
                for entry in around {
                    assert_eq!(Some(entry.rank), ladder.standing(entry.user_id).map(|standing| standing.rank));
                }
            }
        }
    }

    #[test]
    fn l14_pages_of_a_ladder_join_without_gaps_also_when_the_last_line_has_moved() {
        let lines: Vec<_> = (0..1_500).map(|user| line(user, 2_000 - user / 3, user % 3)).collect();
        let mut ladder = Ladder::new(&lines);
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = ladder.page(Board::AllTime, after, 7).unwrap();
            seen.extend(page.entries.iter().map(|entry| entry.user_id));
            after = page.next;
            let Some(cursor) = after else { break };
            // whoever the cursor names leaves the board
            ladder.remove(cursor.user_id);
        }
        assert!(seen.into_iter().eq(lines.iter().map(|line| line.user_id)));
    }
}
