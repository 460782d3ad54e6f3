//! The power of a file system is cut while four writers play: what is not on its disk by then never gets there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use trivia_domain::ports::RandomSource;

use super::check::{Harm, Kind, check};
use super::child::{Fault, Running, Start};
use super::drive::Operation;
use super::lab::{Lab, Mount, Setting, copy_dir};
use super::play::below;
use super::row::{Ran, Row, Total};

/// Power cuts of an ext4 file system of our own.
#[derive(Default)]
pub(crate) struct Power {
    /// With `synchronous=NORMAL`.
    normal: bool,
    /// With syncs that do nothing.
    lie: bool,
    means: Option<(PathBuf, Mount)>,
}

impl Power {
    pub(crate) fn new(normal: bool, lie: bool) -> Self {
        Self { normal, lie, means: None }
    }
}

impl Row for Power {
    fn prepare(&mut self, lab: &Lab) -> Result<Total, String> {
        let name = format!("power-{}-{}", u8::from(self.normal), u8::from(self.lie));
        let (cutter, mount) = (lab.cutter()?, lab.image(&name)?);
        // a dry run: some kernels do not know this
        cut(&cutter, &mount)?;
        mount.again()?;
        self.means = Some((cutter, mount));
        Ok(Total::Endless)
    }

    fn run(&mut self, lab: &Lab, case: u64) -> Ran {
        let random = lab.chance("power", case);
        let (cutter, mount) = self.means.as_ref().expect("it is prepared");
        let dir = mount.at.join("case");
        let mut promises = lab.scene_in(Setting::Played, &dir);
        // the scene itself is on the disk
        let synced = Command::new("sync").arg("-f").arg(&dir).status();
        assert!(synced.is_ok_and(|status| status.success()), "the scene can be synced");
        // long games meet checkpoints, too
        let acknowledged = if below(&random, 8) == 0 { 300 + below(&random, 500) } else { 5 + below(&random, 80) };
        let longer = Duration::from_micros(below(&random, 5_000));
        let mut start = Start { normal: self.normal, ..Start::new(Operation::Play, random.next_u64()) };
        if self.lie {
            start = start.with(Fault { calls: "", lie: true, ..Fault::default() });
        }
        let mut child = Running::start(lab, &dir, &start);
        child.hear_acknowledgements(acknowledged as usize);
        std::thread::sleep(longer);
        // what was heard by now was acknowledged before; what comes later may have been so after
        let before = Instant::now();
        let mut harms = Vec::new();
        harms.extend(cut(cutter, mount).err().map(|error| Harm::new(Kind::Manners, error)));
        let mut ended = child.kill();
        let heard = ended.heard.len();
        ended.forget_after(before);
        harms.extend(ended.tell(&mut promises));
        harms.extend(mount.again().err().map(|error| Harm::new(Kind::Corrupt, error)));
        // the library keeps the index of a log open for a while, and the file system must go once more
        let found = lab.path("found");
        // it may not be there
        let _ = fs::remove_dir_all(&found);
        copy_dir(&dir, &found);
        harms.extend(lab.block(check(&found, &mut promises)));
        Ran { cases: 1, harms, what: format!("power cut after {acknowledged} acknowledgements ({heard} lines)") }
    }
}

fn cut(cutter: &PathBuf, mount: &Mount) -> Result<(), String> {
    let output = Command::new(cutter).arg(&mount.at).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}
