//! The agent's view of keepers: starting one, knowing whether it lives, finding it again.
//!
//! Whether a keeper lives is told by a lock on `keeper.lock` in the run directory, never by a process number. The
//! agent takes the lock and hands it over with the open file, so at no moment is a keeper on its way without it. The
//! keeper gets its spec as standard input (a memory file), the lock as standard output, and as standard error a pipe
//! that it closes once the run has started: those three are set without a fork of the agent's, which may be large.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::fs::{FlockOperation, MemfdFlags, flock, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::process::ProcessId;
use crate::spec::RunSpec;
use crate::state::{self, RunState};

/// The name of the lock file in a run directory.
pub const LOCK_FILE: &str = "keeper.lock";

/// Why a keeper was not started.
#[derive(Debug)]
pub enum SpawnError {
    /// This run directory has a keeper that lives.
    KeeperAlive,
    /// The run of this directory has started, or failed to, before: it is not run twice.
    AlreadyRan(Box<RunState>),
    /// Something else failed; what.
    Io(&'static str, io::Error),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeeperAlive => f.write_str("the run has a live keeper"),
            Self::AlreadyRan(_) => f.write_str("the run has been started before"),
            Self::Io(what, _) => write!(f, "cannot start a keeper: {what}"),
        }
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// A keeper that this process started. Dropping it leaves the keeper alone.
#[derive(Debug)]
pub struct Keeper {
    child: Child,
    exit: Option<OwnedFd>,
    started: OwnedFd,
}

/// A run directory as found, with what tells whether its keeper lives.
#[derive(Debug)]
pub struct Found {
    /// Whether the keeper lives. If not, `state` is final.
    pub alive: bool,
    /// A pidfd of the live keeper, readable when it ends. None for some moments after it was started: look again.
    pub exit: Option<OwnedFd>,
    /// What the state file says. Read after looking at the lock.
    pub state: RunState,
}

/// Starts a keeper for a run. The run directory exists and is the run's own; it is used again only by a run that
/// nothing has been recorded of. Returns when the keeper process exists, not when the child does.
pub fn spawn(keeper_binary: &Path, run_dir: &Path, spec: &RunSpec) -> Result<Keeper, SpawnError> {
    let at = |what: &'static str| move |error: io::Error| SpawnError::Io(what, error);
    let run_dir = fs::canonicalize(run_dir).map_err(at("run directory"))?;
    let path = run_dir.join(LOCK_FILE);
    let lock = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path);
    let lock = lock.map_err(at("lock file"))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(SpawnError::KeeperAlive),
        Err(error) => return Err(at("lock")(error.into())),
    }
    match state::read(&run_dir).map_err(at("state file"))? {
        RunState::Nothing => {}
        ran => return Err(SpawnError::AlreadyRan(Box::new(ran))),
    }
    lock.set_len(0).map_err(at("lock file"))?;
    let (started, keeper_started) = pipe_with(PipeFlags::CLOEXEC).map_err(|e| at("pipe")(e.into()))?;
    let mut command = Command::new(keeper_binary);
    command.arg(&run_dir).env_clear().current_dir("/");
    command.stdin(memory_file(spec).map_err(at("run spec"))?).stdout(lock).stderr(keeper_started);
    let child = command.spawn().map_err(at("keeper program"))?;
    // From here on the run has begun, and nothing may fail. What this closes leaves room for the next descriptor.
    drop(command);
    // Ours and not waited for, so the number is still its own.
    let pid = Pid::from_raw(child.id().cast_signed());
    let exit = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).ok());
    Ok(Keeper { child, exit, started })
}

fn memory_file(spec: &RunSpec) -> io::Result<File> {
    let mut file = File::from(memfd_create("drover-run-spec", MemfdFlags::CLOEXEC)?);
    let mut buffered = io::BufWriter::new(&mut file);
    spec.write_to(&mut buffered)?;
    buffered.flush()?;
    drop(buffered);
    file.rewind()?;
    Ok(file)
}

impl Keeper {
    /// The process number, for showing.
    pub fn pid(&self) -> u32 {
        self.child.id()
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
        (self.started, self.exit, Unreaped(self.child))
    }

    /// Collects a keeper that has ended, so that it does not stay a zombie; true when it has. Does not wait.
    pub fn reap(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }
}

/// A keeper that stays a zombie after its end until it is reaped. Dropping it leaves the keeper alone.
#[derive(Debug)]
pub struct Unreaped(Child);

impl Unreaped {
    /// As [`Keeper::reap`].
    pub fn reap(&mut self) -> io::Result<bool> {
        Ok(self.0.try_wait()?.is_some())
    }
}

/// Looks at one run directory.
pub fn find(run_dir: &Path) -> io::Result<Found> {
    let mut exit = None;
    let mut alive = lock_is_held(run_dir)?;
    if alive && let Some(keeper) = holder(run_dir)? {
        exit = keeper.open()?;
        // It may have ended just before we opened it.
        alive = exit.is_some() || lock_is_held(run_dir)?;
    }
    Ok(Found { alive, exit, state: state::read(run_dir)? })
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

fn lock_is_held(run_dir: &Path) -> io::Result<bool> {
    let file = match File::open(run_dir.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // Shared, so that two who look do not see each other.
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn holder(run_dir: &Path) -> io::Result<Option<ProcessId>> {
    let text = fs::read_to_string(run_dir.join(LOCK_FILE))?;
    let parsed = text.strip_suffix('\n').and_then(|line| {
        let (pid, start_ticks) = line.split_once(' ')?;
        Some(ProcessId { pid: pid.parse().ok()?, start_ticks: start_ticks.parse().ok()? })
    });
    Ok(parsed)
}
