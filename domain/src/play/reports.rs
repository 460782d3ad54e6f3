//! Reports of two players who are one.

use crate::model::{QuestionReport, UserId};

/// What one player would have reported who said all of it. Where both have an open report of a question, the
/// later one takes the place of the earlier one; `mine` was said first where times are equal.
#[must_use]
pub fn unite_reports(into: UserId, mine: Vec<QuestionReport>, theirs: Vec<QuestionReport>) -> Vec<QuestionReport> {
    let mut united = mine;
    for theirs in theirs.into_iter().map(|report| QuestionReport { user_id: into, ..report }) {
        let both_open =
            |mine: &&mut QuestionReport| mine.is_open() && theirs.is_open() && mine.question_id == theirs.question_id;
        match united.iter_mut().find(both_open) {
            Some(mine) => {
                let (id, [first, second]) = (mine.id, in_order(mine.clone(), theirs));
                *mine = QuestionReport { id, ..first.followed_by(second) };
            }
            None => united.push(theirs),
        }
    }
    united
}

fn in_order(mine: QuestionReport, theirs: QuestionReport) -> [QuestionReport; 2] {
    if theirs.reported_at < mine.reported_at { [theirs, mine] } else { [mine, theirs] }
}
