//! Harm that is done on purpose: the harness must see it.

use rusqlite::Connection;
use trivia_domain::memory::SeededRandom;

use super::check::{check, facts};
use super::drive::{DATABASE, DOUBLE};
use super::lab::{Lab, Setting};
use super::play::{Line, Request, Told, player};
use super::row::{Ran, Row, Total};

/// What is done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Control {
    /// An acknowledged fact is deleted.
    Deleted,
    /// A counter is changed.
    Changed,
    /// An acknowledgement is forged.
    Forged,
    /// A fact that was refused is there.
    Refused,
}

impl Row for Control {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, _: u64) -> Ran {
        let (dir, mut promises) = lab.scene(Setting::Played);
        let alter = |sql: &str| {
            let connection = Connection::open(dir.join(DATABASE)).expect("it opens");
            let changed = connection.execute(sql, []).expect("it can be changed");
            assert!(changed > 0, "{sql}");
        };
        let mut harms = Vec::new();
        match self {
            Self::Deleted => {
                alter("DELETE FROM ledger WHERE rowid = (SELECT rowid FROM ledger ORDER BY at DESC LIMIT 1)")
            }
            Self::Changed => alter("UPDATE users SET total_points = total_points + 1 WHERE user_id = 100"),
            Self::Forged => {
                let Request::Award { key, user, .. } = Request::award(100, &SeededRandom::new(99)) else {
                    unreachable!()
                };
                harms.extend(promises.hear(&Line::Acknowledged { key, user, seq: 9_999 }));
            }
            Self::Refused => {
                let ledger = facts(&dir).expect("a ledger");
                let known = ledger.iter().find(|(_, (user, _))| *user == player(DOUBLE)).expect("there is one");
                let error = Told {
                    kind: "busy".to_owned(),
                    text: "the database is busy".to_owned(),
                    hint: "try again".to_owned(),
                };
                promises.expect(Default::default());
                harms.extend(promises.hear(&Line::Refused { key: *known.0, error }));
            }
        }
        harms.extend(lab.block(check(&dir, &mut promises)));
        Ran { cases: 1, harms, what: format!("{self:?}").to_lowercase() }
    }
}
