//! Two players who are one person.

use std::collections::HashSet;

use super::{PlayerState, RuleBook, fold};
use crate::error::StoreResult;
use crate::model::{Fact, LedgerEntry, Receipt, UserProfile};

/// What two players become.
#[derive(Debug, Clone)]
pub struct Merged {
    /// The player who stays.
    pub state: PlayerState,
    /// All facts under that player, numbered anew, each with what its receipt would have been.
    pub entries: Vec<(LedgerEntry, Receipt)>,
    /// Facts that would not have been: second answers to a question of a session or a challenge, and
    /// second requests with one key.
    pub dropped: Vec<LedgerEntry>,
}

/// Puts the facts of `from` among those of `into` as if one player had played all of them, in order of
/// time, those of `into` first where times are equal.
///
/// What somebody had before a reset of his own comes first and stays cleared: a reset takes nothing from
/// the other one.
///
/// # Errors
/// [`Refusal::Overflow`](crate::Refusal::Overflow) when the points of both do not fit.
pub fn merge(
    into: &UserProfile,
    into_facts: Vec<LedgerEntry>,
    from: &UserProfile,
    from_facts: Vec<LedgerEntry>,
    rules: &RuleBook,
) -> StoreResult<Merged> {
    let (cleared_from, from_facts) = split_at_last_reset(from_facts);
    let (cleared_into, into_facts) = split_at_last_reset(into_facts);
    let counting = in_order_of_time(into_facts, from_facts);

    let mut state = PlayerState::new(into.user_id, into.created_at.min(from.created_at));
    state.profile.time_zone = into.time_zone;
    let (mut entries, mut dropped) = (Vec::new(), Vec::new());
    let (mut keys, mut in_session, mut in_challenge) = (HashSet::new(), HashSet::new(), HashSet::new());
    for mut entry in cleared_from.into_iter().chain(cleared_into).chain(counting) {
        let is_new = keys.insert(entry.key)
            && match &entry.fact {
                Fact::Answer(answer) => {
                    let challenge = answer.challenge.map(|challenge| (challenge.id, answer.question_id));
                    in_session.insert((answer.session_id, answer.question_id))
                        && challenge.is_none_or(|answered| in_challenge.insert(answered))
                }
                _ => true,
            };
        if !is_new {
            dropped.push(entry);
            continue;
        }
        entry.user_id = into.user_id;
        entry.seq = state.profile.last_seq + 1;
        let receipt = fold(&mut state, &entry, rules)?;
        entries.push((entry, receipt));
    }
    Ok(Merged { state, entries, dropped })
}

/// Puts two ledgers together; each keeps its own order, also where a clock went back.
fn in_order_of_time(one: Vec<LedgerEntry>, other: Vec<LedgerEntry>) -> Vec<LedgerEntry> {
    let mut both = Vec::with_capacity(one.len() + other.len());
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    while let Some(mine) = one.peek() {
        match other.next_if(|theirs| theirs.at < mine.at) {
            Some(theirs) => both.push(theirs),
            None => both.extend(one.next()),
        }
    }
    both.extend(other);
    both
}

/// Facts up to the last reset, and those that count.
fn split_at_last_reset(mut facts: Vec<LedgerEntry>) -> (Vec<LedgerEntry>, Vec<LedgerEntry>) {
    let cleared = facts.iter().rposition(|entry| entry.fact == Fact::Reset).map_or(0, |reset| reset + 1);
    let counting = facts.split_off(cleared);
    (facts, counting)
}
