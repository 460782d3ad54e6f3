//! Means and scenes: the shim, file systems of our own, and the databases that faults happen to.

use std::cell::OnceCell;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use trivia_domain::memory::SeededRandom;
use trivia_domain::model::BackupKind;
use trivia_domain::ports::{BackupService, MaintenancePort, Repositories};
use trivia_infrastructure::schema;

use super::check::{Promises, facts};
use super::child::{Running, Start};
use super::drive::{DATABASE, DOUBLE, LEAVING, Operation, STEPS, backups, open, options};
use super::play::{self, Request, player};

/// Writers of all scenes.
const WRITERS: i64 = 4;
/// Bytes of a file system that loses its power.
const IMAGE: u64 = 48 << 20;
/// How long a file system may be busy, and between two looks.
const LETTING_GO: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(10);

/// What all rows share.
pub(crate) struct Lab {
    scratch: TempDir,
    runtime: Runtime,
    pub(crate) seed: u64,
    driver: PathBuf,
    shim: PathBuf,
    scenes: [OnceCell<Scene>; 4],
}

/// A database that a fault can happen to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Setting {
    /// Closed in good order, with three backups.
    Played,
    /// The same after the death of a process: there is a log.
    Crashed,
    /// At an earlier schema.
    Old,
    /// A dead process, and pages of garbage.
    Damaged,
}

/// It, and what was promised in it.
pub(crate) struct Scene {
    dir: PathBuf,
    promises: Promises,
}

impl Lab {
    /// Makes the folder of all cases inside that of the build, which is a real disk, and the shim.
    pub(crate) fn new(seed: u64) -> Result<Self, String> {
        let program = std::env::current_exe().expect("this program has a path");
        let target = program.ancestors().nth(2).expect("it lies in target/PROFILE");
        let scratch = tempfile::Builder::new().prefix("faults-").tempdir_in(target).expect("the folder can be made");
        // a build that comes meanwhile must not change what is driven
        let driver = scratch.path().join("driver");
        fs::copy(&program, &driver).expect("there is space");
        let shim = scratch.path().join("shim.so");
        compile(&["-shared", "-fPIC"], include_str!("shim.c"), &shim)?;
        let runtime = Runtime::new().expect("a runtime starts");
        Ok(Self { scratch, runtime, seed, driver, shim, scenes: Default::default() })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// This program, to be driven.
    pub(crate) fn driver(&self) -> &Path {
        &self.driver
    }

    pub(crate) fn shim(&self) -> &Path {
        &self.shim
    }

    /// Chance that follows from the seed, the row and the case.
    pub(crate) fn chance(&self, row: &str, case: u64) -> SeededRandom {
        let mut bits = self.seed;
        for part in row.bytes().map(u64::from).chain([case]) {
            bits = (bits ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        }
        SeededRandom::new(bits)
    }

    pub(crate) fn block<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A fresh copy of a scene in the folder `case`, and what was promised in it.
    pub(crate) fn scene(&self, setting: Setting) -> (PathBuf, Promises) {
        let dir = self.path("case");
        let promises = self.scene_in(setting, &dir);
        (dir, promises)
    }

    /// The same elsewhere.
    pub(crate) fn scene_in(&self, setting: Setting, dir: &Path) -> Promises {
        let scene = self.scenes[setting as usize].get_or_init(|| self.make(setting));
        // it may not be there
        let _ = fs::remove_dir_all(dir);
        copy_dir(&scene.dir, dir);
        scene.promises.clone()
    }

    fn make(&self, setting: Setting) -> Scene {
        let dir = self.path(&format!("scene-{setting:?}").to_lowercase());
        let promises = match setting {
            Setting::Played => self.played(&dir),
            Setting::Crashed => {
                let mut promises = self.scene_in(Setting::Played, &dir);
                let mut child = Running::start(self, &dir, &Start::new(Operation::Play, 3));
                assert!(child.hear_acknowledgements(40), "the writers play");
                let harms = child.kill().tell(&mut promises);
                assert!(harms.is_empty(), "{harms:?}");
                promises
            }
            Setting::Old => {
                let promises = self.scene_in(Setting::Played, &dir);
                self.block(schema::down(&options(&dir, false), STEPS)).expect("it goes down");
                promises
            }
            Setting::Damaged => {
                let promises = self.scene_in(Setting::Crashed, &dir);
                let file = File::options().write(true).open(dir.join(DATABASE)).expect("it is there");
                let page = file.metadata().expect("it has a size").len() / 4096 / 3;
                file.write_all_at(&[0xa5; 8192], page * 4096).expect("it can be damaged");
                promises
            }
        };
        Scene { dir, promises }
    }

    fn played(&self, dir: &Path) -> Promises {
        fs::create_dir_all(dir).expect("the folder can be made");
        let mut promises = Promises::default();
        self.block(async {
            schema::up(&options(dir, false), None).await.expect("the schema can be made");
            let database = open(dir, false).await.expect("it opens");
            play::furnish(&database, WRITERS).await.expect("it can be furnished");
            let random = SeededRandom::new(2);
            for user in [DOUBLE, LEAVING] {
                database.users().get_or_create(player(user)).await.expect("a player");
                for _ in 0..5 {
                    Request::award(user, &random).send(&database).await.expect("an award");
                }
            }
            database.close().await.expect("it closes");
            backups(dir).create(BackupKind::Initial, "a test").await.expect("a backup");
        });
        for (seed, moves) in [(1, 120), (2, 30)] {
            let start = Start { moves: Some(moves), ..Start::new(Operation::Play, seed) };
            let harms = Running::start(self, dir, &start).end().tell(&mut promises);
            assert!(harms.is_empty(), "{harms:?}");
            self.block(async {
                open(dir, false).await.expect("it opens").close().await.expect("it closes");
                backups(dir).create(BackupKind::Manual, "a test").await.expect("a backup");
            });
        }
        promises.expect(facts(dir).expect("the ledger can be read"));
        promises
    }

    /// The program that cuts the power.
    pub(crate) fn cutter(&self) -> Result<PathBuf, String> {
        let program = self.path("cut");
        if !program.exists() {
            compile(&[], include_str!("cut.c"), &program)?;
        }
        Ok(program)
    }

    /// An ext4 file system in a file.
    pub(crate) fn image(&self, name: &str) -> Result<Mount, String> {
        let image = self.path(&format!("{name}.img"));
        File::create(&image).and_then(|file| file.set_len(IMAGE)).expect("an image can be made");
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        Mount::new(self.path(name), vec!["-o".to_owned(), "loop".to_owned(), image.display().to_string()])
    }

    /// A file system in memory of a size such as `2m`.
    pub(crate) fn small_disk(&self, name: &str, size: &str) -> Result<Mount, String> {
        let options = ["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"].map(str::to_owned);
        Mount::new(self.path(name), options.to_vec())
    }
}

/// A file system that is gone afterwards.
pub(crate) struct Mount {
    pub(crate) at: PathBuf,
    arguments: Vec<String>,
}

impl Mount {
    fn new(at: PathBuf, arguments: Vec<String>) -> Result<Self, String> {
        fs::create_dir_all(&at).expect("the folder can be made");
        let mount = Self { at, arguments };
        mount.mount()?;
        Ok(mount)
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(&self.arguments).arg(&self.at))
    }

    /// Takes it away and brings it back: only what is on the disk is there.
    pub(crate) fn again(&self) -> Result<(), String> {
        let unmount = || run(Command::new("umount").arg(&self.at));
        let started = Instant::now();
        // the system may take a moment to let go of what a dead process had open
        while let Err(error) = unmount() {
            if started.elapsed() > LETTING_GO {
                return Err(error);
            }
            std::thread::sleep(PAUSE);
        }
        self.mount()
    }

    pub(crate) fn change(&self, options: &str) -> Result<(), String> {
        run(Command::new("mount").arg("-o").arg(format!("remount,{options}")).arg(&self.at))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // it may be away
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).stderr(Stdio::null()).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

fn compile(options: &[&str], source: &str, target: &Path) -> Result<(), String> {
    let file = target.with_extension("c");
    fs::write(&file, source).expect("the source can be written");
    run(Command::new("cc").args(["-O1", "-pthread"]).args(options).arg("-o").arg(target).arg(&file))
}

/// Copies files and folders.
pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("it can be read");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("it has a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("there is space");
        }
    }
}
