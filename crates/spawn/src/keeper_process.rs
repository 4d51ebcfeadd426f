//! The agent's view of keepers: knowing whether one lives, finding it again.
//!
//! Whether a keeper lives is told by a lock on its state file, never by a process number.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, WaitOptions, waitpid};

use crate::state::{self, RunState, STATE_FILE};

/// A keeper that this process started. Dropping it leaves the keeper alone.
#[derive(Debug)]
pub struct Keeper {
    process: Unreaped,
    exit: Option<OwnedFd>,
    started: OwnedFd,
}

/// A run directory as found, with what tells whether its keeper lives.
#[derive(Debug)]
pub struct Found {
    /// Whether the keeper lives. If not, `state` is final.
    pub alive: bool,
    /// What the state file says. Read after looking at the lock.
    pub state: RunState,
}

impl Keeper {
    pub(crate) fn new(pid: Pid, exit: Option<OwnedFd>, started: OwnedFd) -> Self {
        Self { process: Unreaped(pid), exit, started }
    }

    /// The process number, for showing.
    pub fn pid(&self) -> u32 {
        self.process.0.as_raw_pid().cast_unsigned()
    }

    /// Hangs up (readable, at its end) when the run has started or failed to: read the state then.
    pub fn started_fd(&self) -> BorrowedFd<'_> {
        self.started.as_fd()
    }

    /// A pidfd: readable when the keeper has ended. Read the state then, and call [`Keeper::reap`]. None when this
    /// process has no descriptor to spare: ask [`Keeper::reap`] now and then.
    pub fn exit_fd(&self) -> Option<BorrowedFd<'_>> {
        self.exit.as_ref().map(AsFd::as_fd)
    }

    /// For an event loop that owns what it waits on: the descriptors (started, exit), and what is left to be reaped. A
    /// live run costs its agent one descriptor once it has started.
    pub fn split(self) -> (OwnedFd, Option<OwnedFd>, Unreaped) {
        (self.started, self.exit, self.process)
    }

    /// Collects a keeper that has ended, so that it does not stay a zombie; none when it has not. Does not wait.
    pub fn reap(&mut self) -> io::Result<Option<End>> {
        self.process.reap()
    }
}

/// A keeper that stays a zombie after its end until it is reaped. Dropping it leaves the keeper alone.
#[derive(Debug)]
pub struct Unreaped(Pid);

impl Unreaped {
    /// As [`Keeper::reap`].
    pub fn reap(&mut self) -> io::Result<Option<End>> {
        let reaped = waitpid(Some(self.0), WaitOptions::NOHANG)?;
        Ok(reaped.map(|(_, status)| if status.exited() { End::Own } else { End::Killed }))
    }
}

/// How a keeper ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By itself.
    Own,
    /// By a signal. A child that was to execute its program only then has the keeper's lock for a moment longer.
    Killed,
}

/// Looks at one run directory.
pub fn find(run_dir: &Path) -> io::Result<Found> {
    let mut file = match File::open(run_dir.join(STATE_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Found { alive: false, state: RunState::Nothing });
        }
        Err(error) => return Err(error),
    };
    let alive = is_held(&file)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Found { alive, state: state::parse(&bytes)? })
}

/// A pidfd of the keeper that was found alive, readable when it ends. None if it has ended meanwhile, and for some
/// moments after its start: look again.
pub fn watch(state: &RunState) -> io::Result<Option<OwnedFd>> {
    state.started().map_or(Ok(None), |started| started.keeper.open())
}

/// Looks at every run directory below a directory, in the order of their names. One that cannot be read has an error
/// of its own and hides no other.
pub fn list(runs_dir: &Path) -> io::Result<Vec<(PathBuf, io::Result<Found>)>> {
    let mut dirs = Vec::new();
    for entry in fs::read_dir(runs_dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            dirs.push(entry.path());
        }
    }
    dirs.sort_unstable();
    Ok(dirs.into_iter().map(|dir| (find(&dir), dir)).map(|(found, dir)| (dir, found)).collect())
}

fn is_held(file: &File) -> io::Result<bool> {
    // Shared, so that two who look do not see each other.
    match flock(file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
