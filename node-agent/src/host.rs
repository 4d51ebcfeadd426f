//! The host's processes as the agent sees them, so that a simulation can put its own in their place.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use drover_spawn::keeper_process::End;
use drover_spawn::process::Signal;
use drover_spawn::segments::{Item, Reader};
use drover_spawn::users::User;
use drover_spawn::{
    RunSpec, RunState, SpawnError, Started, Starter, Tree, cgroup, keeper_process, segments, starter,
};
use futures_util::future::BoxFuture;
use tokio::io::unix::AsyncFd;

use crate::descriptors::{Descriptors, Place};
use crate::unwritable::is_unwritable;

/// How often a run is looked at that no descriptor tells of.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How soon it is looked again at what is about to change.
const MOMENT: Duration = Duration::from_millis(50);

/// Resolves when there is something new to see of a run.
pub type Watch = BoxFuture<'static, ()>;

/// A run's output being read: the next piece, or none when there is no more for now.
pub trait Output: Send {
    /// Blocks for as long as the disk does.
    fn next(&mut self) -> io::Result<Option<Item>>;
}

impl Output for Reader {
    fn next(&mut self) -> io::Result<Option<Item>> {
        self.poll()
    }
}

/// A run as found.
pub struct Look {
    /// Whether its keeper lives. If not, `state` is final.
    pub alive: bool,
    /// What its state file says.
    pub state: RunState,
}

/// A keeper that waits for the word to go on. Dropped, it ends, and nothing of its run has happened.
pub trait Ready: Send {
    /// Lets the run begin. The watches resolve at the start of the run's process and at the end of its keeper.
    fn go(self: Box<Self>) -> Result<Vec<Watch>, SpawnError>;
}

/// Keepers and process trees of one host. Calls are short, except [`Host::end`].
pub trait Host: Send + Sync {
    /// Gets a keeper ready, which may go on with that while other things are done.
    fn ready(&self, run_dir: &Path, spec: RunSpec) -> Result<Box<dyn Ready>, SpawnError>;
    /// What a login as this user, by name or number, would have in its environment; absent: the agent's own user.
    fn user_variables(&self, user: Option<&str>) -> io::Result<Vec<(&'static str, String)>>;
    /// Looks at a run directory.
    fn look(&self, run_dir: &Path) -> io::Result<Look>;
    /// Watches a keeper that was found alive.
    fn watch(&self, run_dir: &Path) -> io::Result<Watch>;
    /// Signals the main process of a run.
    fn signal(&self, started: &Started, signal: Signal) -> io::Result<()>;
    /// Kills every process of a run, and waits until they are gone. Blocks; false when some are left.
    fn end(&self, run_uid: &str, state: &RunState) -> io::Result<bool>;
    /// The last bytes of a run's output.
    fn tail(&self, run_dir: &Path, bytes: usize) -> io::Result<Vec<u8>>;
    /// Reads a run's output from this record on.
    fn output(&self, run_dir: &Path, from: u64) -> Box<dyn Output>;
}

/// The real host.
#[derive(Clone, Debug)]
pub struct RealHost {
    keeper: PathBuf,
    starter: Starter,
    /// Where the embedded keeper is put, should it not be there.
    install_in: Option<PathBuf>,
    descriptors: Descriptors,
}

impl RealHost {
    /// Starts runs with this keeper program.
    pub fn new(keeper: PathBuf) -> Self {
        let starter = Starter::new(keeper.clone());
        Self { keeper, starter, install_in: None, descriptors: Descriptors::default() }
    }

    /// Starts runs with the embedded keeper, from this directory. On a disk that takes nothing it is not there yet: it
    /// is put there before the first start that needs it.
    pub fn installing(dir: &Path) -> io::Result<Self> {
        match drover_keeper_image::install(dir) {
            Ok(_) => {
                if let Err(error) = drover_keeper_image::remove_others(dir) {
                    tracing::warn!(%error, "keeper programs of other versions stay on disk");
                }
            }
            Err(error) if is_unwritable(&error) => {
                tracing::error!(%error, "the keeper program cannot be written; nothing new starts until it can");
            }
            Err(error) => return Err(error),
        }
        Ok(Self { install_in: Some(dir.to_owned()), ..Self::new(drover_keeper_image::path(dir)) })
    }

    fn make_sure_of_keeper(&self) -> Result<(), SpawnError> {
        if let Some(dir) = self.install_in.as_ref().filter(|_| !self.keeper.exists()) {
            drover_keeper_image::install(dir).map_err(|error| SpawnError::Io("keeper program", error))?;
        }
        Ok(())
    }
}

/// A keeper of this host that is ready.
struct RealReady {
    keeper: starter::Ready,
    place: Place,
    group: Option<PathBuf>,
    run_dir: PathBuf,
}

impl Ready for RealReady {
    fn go(self: Box<Self>) -> Result<Vec<Watch>, SpawnError> {
        let Self { keeper, place, group, run_dir } = *self;
        let keeper = keeper.go().inspect_err(|_| {
            if let Some(dir) = &group {
                let _ = cgroup::remove(dir);
            }
        })?;
        let (started, exit, mut keeper) = keeper.split();
        let ended = async move {
            let _place = place;
            if let Some(exit) = exit {
                readable(exit).await;
            }
            // Reaped, or it would stay a zombie for as long as the agent lives.
            let end = loop {
                match keeper.reap() {
                    Ok(Some(end)) => break end,
                    // No descriptor was left for it.
                    Ok(None) => tokio::time::sleep(LOOK_AGAIN).await,
                    Err(_) => break End::Own,
                }
            };
            // Its child may hold the run for a moment longer, and by then nobody else would look.
            while end == End::Killed && keeper_process::find(&run_dir).is_ok_and(|found| found.alive) {
                tokio::time::sleep(MOMENT).await;
            }
            // A keeper that was killed leaves it. Where processes are left in it too, whoever ends them removes it.
            if let Some(dir) = group.filter(|_| end == End::Killed) {
                let _ = cgroup::remove(&dir);
            }
        };
        Ok(vec![readable(started), Box::pin(ended)])
    }
}

impl Host for RealHost {
    fn ready(&self, run_dir: &Path, mut spec: RunSpec) -> Result<Box<dyn Ready>, SpawnError> {
        let place = self.descriptors.take().map_err(|error| SpawnError::Io("file descriptors", error))?;
        self.make_sure_of_keeper()?;
        spec.cgroup = cgroup::create(&spec.run_uid);
        let group = spec.cgroup.clone();
        match self.starter.ready(run_dir, &spec) {
            Ok(keeper) => Ok(Box::new(RealReady { keeper, place, group, run_dir: run_dir.to_owned() })),
            Err(error) => {
                if let (SpawnError::Io(..), Some(dir)) = (&error, &group) {
                    let _ = cgroup::remove(dir);
                }
                Err(error)
            }
        }
    }

    fn user_variables(&self, user: Option<&str>) -> io::Result<Vec<(&'static str, String)>> {
        let own = rustix::process::getuid().as_raw().to_string();
        let Some(found) = User::lookup(user.unwrap_or(&own))? else { return Ok(Vec::new()) };
        Ok(vec![
            ("HOME", found.home.display().to_string()),
            ("LOGNAME", found.name.clone()),
            ("USER", found.name),
            ("SHELL", found.shell.display().to_string()),
        ])
    }

    fn look(&self, run_dir: &Path) -> io::Result<Look> {
        let found = keeper_process::find(run_dir)?;
        Ok(Look { alive: found.alive, state: found.state })
    }

    fn watch(&self, run_dir: &Path) -> io::Result<Watch> {
        let Some(exit) = keeper_process::watch(&keeper_process::find(run_dir)?.state)? else {
            // It has just started, or just ended: look again a little later.
            return Ok(Box::pin(tokio::time::sleep(MOMENT)));
        };
        match self.descriptors.take() {
            Ok(place) => Ok(Box::pin(async move {
                let _place = place;
                readable(exit).await;
            })),
            // More live than this agent may hold a descriptor of: these are looked at now and then.
            Err(_) => Ok(Box::pin(tokio::time::sleep(LOOK_AGAIN))),
        }
    }

    fn signal(&self, started: &Started, signal: Signal) -> io::Result<()> {
        started.signal_main(signal).map(drop)
    }

    fn end(&self, run_uid: &str, state: &RunState) -> io::Result<bool> {
        Ok(Tree::of_run(run_uid, state).end()?.left.is_empty())
    }

    fn tail(&self, run_dir: &Path, bytes: usize) -> io::Result<Vec<u8>> {
        segments::tail(run_dir, bytes)
    }

    fn output(&self, run_dir: &Path, from: u64) -> Box<dyn Output> {
        Box::new(Reader::open(run_dir, from))
    }
}

#[expect(
    deprecated,
    reason = "unsound for descriptors that change behind its back; an OwnedFd is one and stays it"
)]
fn readable(fd: OwnedFd) -> Watch {
    Box::pin(async move {
        match AsyncFd::with_interest(fd, tokio::io::Interest::READABLE) {
            Ok(fd) => drop(fd.readable().await),
            // No room for one more descriptor in the poller: look again instead.
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    })
}
