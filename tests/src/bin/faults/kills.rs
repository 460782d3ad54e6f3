//! `kill -9` at random while four writers play.

use std::time::{Duration, Instant};

use trivia_domain::ports::RandomSource;

use super::check::check;
use super::child::{Running, Start};
use super::drive::Operation;
use super::lab::{Lab, Setting};
use super::play::below;
use super::row::{Ran, Row, Total};

/// Deaths of one database: each process finds what the one before has left.
const LIVES: u64 = 5;

/// Processes that are killed; a case is one database and all of its deaths.
pub(crate) struct Kills;

impl Row for Kills {
    fn prepare(&mut self, _: &Lab) -> Result<Total, String> {
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let random = lab.chance("kill", case);
        let (dir, mut promises) = lab.scene(Setting::Played);
        let (mut harms, mut what) = (Vec::new(), String::new());
        for life in 1..=LIVES {
            // some die while they open, some after the log went into the file
            let acknowledged = match below(&random, 10) {
                0 => 0,
                1 => 150 + below(&random, 100),
                _ => below(&random, 60),
            };
            let longer = Duration::from_micros(below(&random, if acknowledged == 0 { 40_000 } else { 6_000 }));
            let normal = below(&random, 2) == 1;
            what = format!("life {life}, killed {longer:?} after {acknowledged} acknowledgements");
            let mut child =
                Running::start(lab, &dir, &Start { normal, ..Start::new(Operation::Play, random.next_u64()) });
            child.hear_acknowledgements(acknowledged as usize);
            let reached = Instant::now();
            while reached.elapsed() < longer {
                std::hint::spin_loop();
            }
            let ended = child.kill();
            harms.extend(ended.tell(&mut promises));
            harms.extend(lab.block(check(&dir, &mut promises)));
            if !harms.is_empty() {
                break;
            }
        }
        Ran { cases: LIVES, harms, what }
    }
}
