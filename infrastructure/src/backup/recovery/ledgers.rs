//! The facts of players: what the base has, then what was salvaged, without holes.
//!
//! A lost fact would make all later ones of its player worthless, because the fold takes them by their numbers.
//! So an award of no points, with a reason that says so, holds its place. The receipts of the facts behind it tell
//! what the player had by then: where two of them agree, the award gives the points that are missing.

use std::ops::Range;

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder, Statement,
};
use trivia_domain::StoreResult;
use trivia_domain::model::{Fact, IdempotencyKey, LedgerEntry, Points, Receipt, UserId};
use trivia_domain::play::{PlayerState, RuleBook, fold};

use super::merge::{Target, list, number, places, run, statement};
use super::tables::Shape;
use crate::entity::{ledger, merges, users};
use crate::error::During;
use crate::random::SystemRandom;
use crate::repository::{erasing, rows, rule_book};

const ACTION: &str = "merging ledgers";
/// Players whose ledgers are merged together.
const PLAYERS: usize = 100;
/// Behind a longer hole a fact needs another that agrees with it: its number may be damaged.
const UNCONFIRMED: i64 = 16;
/// What the ledger says of a fact that is lost.
const REASON: &str = "holds the place of a fact that was lost to damage";

/// A salvaged fact that the base does not have.
#[derive(FromQueryResult)]
struct Candidate {
    place: i64,
    user_id: i64,
    seq: i64,
    at: DateTime<Utc>,
    points: i64,
    total_points: i64,
    /// An answer that unlocked nothing: it gave its points and no others.
    plain: bool,
}

impl Candidate {
    /// Whether the totals of two facts say that this one comes next.
    const fn follows(&self, seq: i64, total_points: i64) -> bool {
        self.seq == seq + 1 && self.total_points == total_points + self.points
    }
}

/// The newest fact so far.
#[derive(Clone, Copy)]
struct Last {
    seq: i64,
    at: DateTime<Utc>,
    total_points: i64,
}

impl Target<'_> {
    /// Takes all facts. At most `holes` of them may be missing between others: more were not lost, and a number
    /// that says so is a damaged one.
    pub(super) async fn take_ledgers(&mut self, shape: &Shape, mut holes: i64, now: DateTime<Utc>) -> StoreResult<()> {
        let other = "SELECT s.place FROM salvage.ledger s JOIN main.ledger m ON m.user_id = s.user_id AND m.seq = s.seq \
                     WHERE m.key IS NOT s.key OR m.points IS NOT s.points OR m.kind IS NOT s.kind \
                     OR m.question_id IS NOT s.question_id OR m.correct IS NOT s.correct ORDER BY 1";
        for place in places(self.connection, other).await? {
            self.refuse(shape, place, "the base has another fact under this number").await?;
        }
        self.stand_in_for_players(holes > 0).await?;
        // before holes are counted: a damaged number of a player would use them up
        let of_nobody =
            "SELECT place FROM salvage.ledger WHERE user_id NOT IN (SELECT user_id FROM main.users) ORDER BY 1";
        for place in places(self.connection, of_nobody).await? {
            self.refuse(shape, place, "there is no such player").await?;
        }
        let rules = rule_book::load(self.connection).await?;
        // receipts from before a change of the rules say what was true then
        let are_original = number(self.connection, "SELECT revision AS number FROM main.rule_book").await? == 1;
        let players = "SELECT DISTINCT s.user_id AS place FROM salvage.ledger s JOIN main.users USING (user_id) WHERE s.seq > \
                       COALESCE((SELECT MAX(m.seq) FROM main.ledger m WHERE m.user_id = s.user_id), 0) ORDER BY 1";
        let players = places(self.connection, players).await?;
        for chunk in players.chunks(PLAYERS) {
            let chosen = self.choose(shape, chunk, &mut holes, are_original).await?;
            let taken = self.insert(shape, &chosen).await?;
            self.merged.took("ledger", taken);
            for &id in chunk {
                while !self.close_holes(shape, id, &rules, are_original, now).await? {}
            }
        }
        Ok(())
    }

    /// The facts of some players that go on from the base.
    async fn choose(
        &mut self,
        shape: &Shape,
        players: &[i64],
        holes: &mut i64,
        are_original: bool,
    ) -> StoreResult<Vec<i64>> {
        let select = format!(
            "SELECT s.place FROM salvage.ledger s WHERE s.user_id IN ({}) AND s.seq > \
             COALESCE((SELECT MAX(m.seq) FROM main.ledger m WHERE m.user_id = s.user_id), 0)",
            list(players)
        );
        let sound = self.sound_ones(shape, places(self.connection, select).await?).await?;
        let mut candidates = Vec::with_capacity(sound.len());
        for chunk in sound.chunks(1_000) {
            let select = format!(
                "SELECT place, user_id, seq, at, points, total_points, \
                 kind = 'answer' AND unlocked IS NULL AS plain FROM salvage.ledger WHERE place IN ({})",
                list(chunk)
            );
            let found = Candidate::find_by_statement(statement(self.connection, select)).all(self.connection).await;
            candidates.extend(found.during(ACTION)?);
        }
        candidates.sort_by_key(|fact| (fact.user_id, fact.seq, fact.place));
        let mut chosen = Vec::with_capacity(candidates.len());
        for own in candidates.chunk_by(|a, b| a.user_id == b.user_id) {
            let Some(id) = own.first().map(|fact| fact.user_id) else { continue };
            let mut last = self.last(id).await?;
            let mut line: Vec<&Candidate> = Vec::with_capacity(own.len());
            let mut numbers = own.chunk_by(|a, b| a.seq == b.seq).peekable();
            while let Some(same) = numbers.next() {
                let follows = |fact: &&Candidate| last.is_some_and(|last| fact.follows(last.seq, last.total_points));
                // a page that was moved may be found twice; a damaged number may be that of another fact
                let Some(best) = same.iter().find(follows).or(same.first()) else { continue };
                let confirmed = numbers
                    .peek()
                    .is_some_and(|next| next.iter().any(|next| next.follows(best.seq, best.total_points)));
                let missing = best.seq - last.map_or(0, |last| last.seq) - 1;
                let problem = match last {
                    _ if missing > *holes => Some("more facts are missing before it than can be lost"),
                    _ if missing > UNCONFIRMED && !confirmed => Some("it stands alone behind a hole"),
                    Some(last) if missing > 0 && best.at < last.at && !confirmed => {
                        Some("it is older than a fact before it")
                    }
                    _ => None,
                };
                if let Some(problem) = problem {
                    self.refuse(shape, best.place, problem).await?;
                    continue;
                }
                *holes -= missing;
                last = Some(Last { seq: best.seq, at: best.at, total_points: best.total_points });
                line.push(best);
            }
            let wrong: Vec<_> =
                if are_original { line.windows(4).filter_map(wrong_points).collect() } else { Vec::new() };
            for &place in &wrong {
                self.refuse(shape, place, "its points are not those that the receipts around it tell").await?;
            }
            chosen.extend(line.iter().map(|fact| fact.place).filter(|place| !wrong.contains(place)));
        }
        Ok(chosen)
    }

    /// The newest fact that the base has of a player.
    async fn last(&self, id: i64) -> StoreResult<Option<Last>> {
        let newest = ledger::Entity::find()
            .filter(ledger::Column::UserId.eq(id))
            .order_by_desc(ledger::Column::Seq)
            .one(self.connection)
            .await
            .during(ACTION)?;
        Ok(newest.map(|row| Last { seq: row.seq, at: row.at, total_points: row.total_points }))
    }

    /// Makes players for ledgers whose player is lost. A single fact may have a damaged number, unless it is a first
    /// one; and whoever was merged into another player stays away.
    async fn stand_in_for_players(&mut self, something_is_lost: bool) -> StoreResult<()> {
        let first = if something_is_lost { "MIN(seq) = 1" } else { "FALSE" };
        let lost = format!(
            "SELECT user_id AS place FROM salvage.ledger WHERE user_id >= 0 \
             AND user_id NOT IN (SELECT user_id FROM main.users) GROUP BY user_id \
             HAVING COUNT(DISTINCT seq) > 1 OR {first} ORDER BY 1"
        );
        let lost = places(self.connection, lost).await?;
        if lost.is_empty() {
            return Ok(());
        }
        let mergers = merges::Entity::find().all(self.connection).await.during(ACTION)?;
        for id in lost {
            if UserId::new(id).is_err() || mergers.iter().any(|merger| erasing::is_merged(merger, id)) {
                continue;
            }
            let insert = "INSERT INTO main.users (user_id, time_zone, created_at) \
                          SELECT user_id, 'UTC', MIN(at) FROM salvage.ledger WHERE user_id = ? GROUP BY user_id";
            let insert = Statement::from_sql_and_values(self.connection.get_database_backend(), insert, [id.into()]);
            self.connection.execute_raw(insert).await.during(ACTION)?;
            // a damaged time would stop whoever reads the player
            if users::Entity::find_by_id(id).one(self.connection).await.is_err() {
                run(self.connection, format!("DELETE FROM main.users WHERE user_id = {id}")).await?;
                continue;
            }
            self.merged.held_a_place("users", 1);
        }
        Ok(())
    }

    /// Folds a ledger and puts awards where facts are missing; `false` when a fact was refused that left a hole.
    async fn close_holes(
        &mut self,
        shape: &Shape,
        id: i64,
        rules: &RuleBook,
        are_original: bool,
        now: DateTime<Utc>,
    ) -> StoreResult<bool> {
        let facts = ledger::Entity::find()
            .filter(ledger::Column::UserId.eq(id))
            .order_by_asc(ledger::Column::Seq)
            .all(self.connection)
            .await
            .during(ACTION)?;
        let facts = facts.into_iter().map(rows::ledger_entry).collect::<StoreResult<Vec<_>>>()?;
        let Some((first, _)) = facts.first() else { return Ok(true) };
        let mut state = PlayerState::new(first.user_id, first.at);
        for (at, (entry, receipt)) in facts.iter().enumerate() {
            let hole = state.profile.last_seq + 1..entry.seq;
            if !hole.is_empty() {
                let before = at.checked_sub(1).and_then(|before| facts.get(before));
                let confirmed = are_original && facts.get(at + 1).is_some_and(|next| confirms(receipt, next));
                let mut fillers = fillers(before.map_or(entry, |(before, _)| before), hole, entry, now);
                if confirmed {
                    let had = before.map_or(Points::ZERO, |(_, told)| told.total_points);
                    give_points(&mut fillers, &state, had, (entry, receipt), rules)?;
                }
                let mut rows = Vec::with_capacity(fillers.len());
                for filler in fillers {
                    let receipt = fold(&mut state, &filler, rules)?;
                    rows.push(rows::ledger_row(&filler, &receipt)?.into_active_model());
                }
                self.merged.held_a_place("ledger", rows.len() as u64);
                for rows in rows.chunks(1_000) {
                    let insert = ledger::Entity::insert_many(rows.to_vec()).exec_without_returning(self.connection);
                    insert.await.during(ACTION)?;
                }
            }
            if let Err(error) = fold(&mut state, entry, rules) {
                self.take_back(shape, entry, &error.to_string()).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Refuses a fact that the fold does not take.
    async fn take_back(&mut self, shape: &Shape, entry: &LedgerEntry, reason: &str) -> StoreResult<()> {
        let fact = format!("user_id = {} AND seq = {}", entry.user_id.get(), entry.seq);
        for place in places(self.connection, format!("SELECT place FROM salvage.ledger WHERE {fact} LIMIT 1")).await? {
            self.refuse(shape, place, reason).await?;
        }
        run(self.connection, format!("DELETE FROM main.ledger WHERE {fact}")).await.map(drop)
    }

    /// Players who went into others since the backup: the ledger of such a player was written anew, so it is that
    /// of the base or the salvaged one, and never a mixture.
    pub(super) async fn follow_merges(&mut self, shape: &Shape, ledgers: &Shape) -> StoreResult<()> {
        let select = "SELECT s.place, s.user_id, s.fingerprint, s.salt FROM salvage.merges s WHERE NOT EXISTS \
                      (SELECT 1 FROM main.merges m WHERE m.user_id = s.user_id AND m.fingerprint = s.fingerprint)";
        let found = self.connection.query_all_raw(statement(self.connection, select)).await.during(ACTION)?;
        let base_only =
            "SELECT user_id AS place FROM main.users WHERE user_id NOT IN (SELECT user_id FROM salvage.users)";
        let base_only = if found.is_empty() { Vec::new() } else { places(self.connection, base_only).await? };
        for row in found {
            let place: i64 = row.try_get("", "place").during(ACTION)?;
            let merger = erasing::Merger::from_query_result(&row, "").during(ACTION)?;
            let into = merger.user_id;
            let base =
                number(self.connection, &format!("SELECT MAX(seq) AS number FROM main.ledger WHERE user_id = {into}"))
                    .await?;
            let whole = number(
                self.connection,
                &format!(
                    "SELECT COUNT(DISTINCT seq) = MAX(seq) AND MIN(seq) = 1 AND MAX(seq) >= {base} AS number \
                     FROM salvage.ledger WHERE user_id = {into}"
                ),
            )
            .await?;
            if whole == 1 {
                let from: Vec<_> = base_only.iter().filter(|id| erasing::is_merged(&merger, **id)).copied().collect();
                self.forget(&list(&from), into).await?;
                run(self.connection, format!("DELETE FROM main.ledger WHERE user_id = {into}")).await?;
                continue;
            }
            let reason =
                "two players were merged since the backup, and the ledger of both is not whole; merge them again";
            self.refuse(shape, place, reason).await?;
            run(self.connection, format!("DELETE FROM salvage.merges WHERE place = {place}")).await?;
            let facts = format!("SELECT place FROM salvage.ledger WHERE user_id = {into} ORDER BY 1");
            for place in places(self.connection, facts).await? {
                self.refuse(ledgers, place, reason).await?;
            }
            run(self.connection, format!("DELETE FROM salvage.ledger WHERE user_id = {into}")).await?;
        }
        Ok(())
    }

    /// Lets the base name a player no more who is another one by now, as merging them did.
    async fn forget(&self, from: &str, into: i64) -> StoreResult<()> {
        for statement in [
            format!("DELETE FROM main.users WHERE user_id IN ({from})"),
            format!("DELETE FROM main.picks WHERE owner_id IN ({from})"),
            format!("DELETE FROM main.game_sessions WHERE channel_id IN ({from})"),
            format!("UPDATE main.game_sessions SET host_id = {into} WHERE host_id IN ({from})"),
            format!(
                "DELETE FROM main.quarantine WHERE content ->> 'user_id' IN ({from}) OR content ->> 'channel_id' IN ({from})"
            ),
        ] {
            run(self.connection, statement).await?;
        }
        Ok(())
    }

    /// Facts at the end of ledgers that the players' rows knew of.
    pub(super) async fn lost_at_the_end(&self, most: i64) -> StoreResult<u64> {
        let sql = format!(
            "SELECT SUM(missing) AS number FROM (SELECT MAX(s.last_seq) - COALESCE((SELECT MAX(m.seq) FROM main.ledger m \
             WHERE m.user_id = s.user_id), 0) AS missing FROM salvage.users s GROUP BY s.user_id) \
             WHERE missing BETWEEN 1 AND {most}"
        );
        Ok(u64::try_from(number(self.connection, &sql).await?).unwrap_or(0))
    }
}

/// The third of four facts in a row, if the totals of all say that its points are wrong.
fn wrong_points(four: &[&Candidate]) -> Option<i64> {
    let [a, b, c, d] = four else { return None };
    let leads = |to: &Candidate, from: &Candidate| to.follows(from.seq, from.total_points);
    let is_wrong = leads(b, a) && c.seq == b.seq + 1 && c.plain && !leads(c, b) && leads(d, c);
    is_wrong.then_some(c.place)
}

/// Whether the receipt of the next fact agrees with one about the points that the player had.
fn confirms(receipt: &Receipt, (next, told): &(LedgerEntry, Receipt)) -> bool {
    let is_next = next.seq == receipt.seq + 1 && told.unlocked.is_empty();
    is_next && told.total_points.get() == receipt.total_points.get() + told.points.get()
}

/// What holds the places of lost facts before another.
fn fillers(before: &LedgerEntry, hole: Range<u64>, after: &LedgerEntry, now: DateTime<Utc>) -> Vec<LedgerEntry> {
    let filler = |seq| LedgerEntry {
        user_id: after.user_id,
        seq,
        key: IdempotencyKey::generate(now, &SystemRandom),
        at: before.at,
        day: before.day,
        fact: award(Points::ZERO),
    };
    hole.map(filler).collect()
}

fn award(points: Points) -> Fact {
    Fact::Award { points, reason: REASON.to_owned() }
}

/// Lets the last of the fillers give what the player was told to have after the next fact.
fn give_points(
    fillers: &mut [LedgerEntry],
    state: &PlayerState,
    had: Points,
    (after, told): (&LedgerEntry, &Receipt),
    rules: &RuleBook,
) -> StoreResult<()> {
    if let Some(first) = fillers.first_mut().filter(|_| told.total_points < had) {
        // only starting over takes points away
        first.fact = Fact::Reset;
    }
    let mut state = state.clone();
    for entry in fillers.iter().chain([after]) {
        // what the fold does not take is refused where it is folded for good
        let Ok(_) = fold(&mut state, entry, rules) else { return Ok(()) };
    }
    let missing = told.total_points.get() - state.profile.total_points.get();
    if let Some(last) = fillers.last_mut().filter(|last| missing > 0 && last.fact != Fact::Reset) {
        last.fact = award(Points::new(missing)?);
    }
    Ok(())
}
