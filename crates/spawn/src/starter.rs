//! The agent's side of a keeper's start: a keeper program that runs already and forks itself for each run.
//!
//! A program's start costs more than a keeper does afterwards: its pages, its C library, which asks the processor some
//! forty questions that a virtual machine answers slowly. The *starter* has that behind it. It holds nothing of any run,
//! so it does not matter when it is killed: keepers are children of the agent, as if the agent had started them, and
//! the next run gets another starter. So it also ends by itself when for half a minute nothing was asked of it.
//!
//! A keeper gets ready, up to the last step before the run's first record, while the agent writes down what it has
//! decided; it goes on when it is told to. If nobody tells it, it ends without a trace. Of a run it is given the spec (a
//! memory file), the open state file, by whose lock it is known to live, and its end of the *line*: the agent tells it
//! there to go, and it hangs up once the run has started.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, MemfdFlags, flock, memfd_create};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, send, sendmsg, socketpair,
};
use rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};

use crate::keeper_process::Keeper;
use crate::spec::{RunSpec, SPEC_VERSION};
use crate::state::{self, RunState, STATE_FILE};

/// So many starters in a row that end before their first answer are one program that cannot do it.
const TRIES: u32 = 3;
/// The longest wait for a starter's answer, which takes a fraction of a millisecond.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a keeper was not started.
#[derive(Debug)]
pub enum SpawnError {
    /// This run directory has a keeper that lives.
    KeeperAlive,
    /// The run of this directory has started, or failed to, before: it is not run twice.
    AlreadyRan(Box<RunState>),
    /// The starter ended meanwhile. Nothing was executed, and nothing will be of this attempt.
    Interrupted,
    /// Something else failed; what.
    Io(&'static str, io::Error),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeeperAlive => f.write_str("the run has a live keeper"),
            Self::AlreadyRan(_) => f.write_str("the run has been started before"),
            Self::Interrupted => f.write_str("what starts keepers ended meanwhile"),
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

fn at(what: &'static str) -> impl Fn(io::Error) -> SpawnError {
    move |error| SpawnError::Io(what, error)
}

/// Starts keepers. Clones share one process, which is started with the first run, and again should it be killed.
#[derive(Clone, Debug)]
pub struct Starter {
    program: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Which process it is, counted from 1.
    generation: u64,
    running: Option<Running>,
    /// How many of the last ones ended before they had answered.
    barren: u32,
    /// Keepers that were not wanted, and are to be reaped when they have ended.
    unwanted: Vec<Pid>,
}

#[derive(Debug)]
struct Running {
    process: Child,
    socket: OwnedFd,
    asked: u64,
    answered: u64,
    /// What was answered and not yet asked after: a process number, or an error number below zero.
    answers: BTreeMap<u64, i32>,
    /// Whose keeper is not wanted any more.
    withdrawn: BTreeSet<u64>,
}

/// A keeper that waits for the word to go on. Dropped, it ends without a trace.
#[derive(Debug)]
pub struct Ready {
    inner: Arc<Mutex<Inner>>,
    generation: u64,
    ticket: u64,
    line: Option<OwnedFd>,
}

impl Starter {
    /// Keepers are this program.
    pub fn new(program: PathBuf) -> Self {
        Self { program, inner: Arc::default() }
    }

    /// The number of the process that was started last, for showing.
    pub fn pid(&self) -> Option<u32> {
        lock(&self.inner).running.as_ref().map(|running| running.process.id())
    }

    /// Gets a keeper ready for a run. The run directory exists and is the run's own; it is used again only by a run that
    /// nothing has been recorded of.
    pub fn ready(&self, run_dir: &Path, spec: &RunSpec) -> Result<Ready, SpawnError> {
        // A keeper's working directory is not ours.
        let run_dir = std::path::absolute(run_dir).map_err(at("run directory"))?;
        let state = claim(&run_dir)?;
        let spec = memory_file(spec).map_err(at("run spec"))?;
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let (line, keepers_line) = pair.map_err(|error| at("socket")(error.into()))?;
        let descriptors = [spec.as_fd(), state.as_fd(), keepers_line.as_fd()];
        let mut inner = lock(&self.inner);
        inner.unwanted.retain(|pid| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
        let ticket = match inner.order(&self.program, &run_dir, &descriptors) {
            // It had had nothing to do for long, and has not taken this.
            Err(SpawnError::Interrupted) => inner.order(&self.program, &run_dir, &descriptors)?,
            ordered => ordered?,
        };
        let generation = inner.generation;
        Ok(Ready { inner: Arc::clone(&self.inner), generation, ticket, line: Some(line) })
    }
}

/// Opens the state file of a run that nothing is recorded of, and takes its lock, which goes to the keeper with the open
/// file: at no moment is a keeper on its way without it.
fn claim(run_dir: &Path) -> Result<File, SpawnError> {
    let path = run_dir.join(STATE_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(at("state file"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(SpawnError::KeeperAlive),
        Err(error) => return Err(at("lock")(error.into())),
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(at("state file"))?;
    match state::parse(&bytes).map_err(at("state file"))? {
        RunState::Nothing => Ok(file),
        ran => Err(SpawnError::AlreadyRan(Box::new(ran))),
    }
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

impl Ready {
    /// Lets the run begin. Returns when the keeper process exists, not when the child does.
    pub fn go(mut self) -> Result<Keeper, SpawnError> {
        let mut inner = lock(&self.inner);
        let pid = inner.answer(self.generation, self.ticket)?;
        let Some(line) = self.line.take() else { return Err(SpawnError::Interrupted) };
        // Ours and not waited for, so the number is still its own.
        let exit = pidfd_open(pid, PidfdFlags::NONBLOCK).ok();
        // From here on the run may have begun, and nothing may fail. One that was killed meanwhile is seen to be gone.
        let _ = send(&line, b"g", SendFlags::NOSIGNAL);
        Ok(Keeper::new(pid, exit, line))
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        if self.line.take().is_some() {
            lock(&self.inner).withdraw(self.generation, self.ticket);
        }
    }
}

impl Inner {
    /// Orders a keeper; the number of the order.
    fn order(
        &mut self,
        program: &Path,
        run_dir: &Path,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<u64, SpawnError> {
        self.make_sure_it_runs(program)?;
        let Some(running) = &mut self.running else { return Err(SpawnError::Interrupted) };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(descriptors));
        let words = [IoSlice::new(run_dir.as_os_str().as_bytes())];
        match sendmsg(&running.socket, &words, &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => {
                running.asked += 1;
                Ok(running.asked)
            }
            Err(Errno::PIPE | Errno::CONNRESET) => Err(self.over()),
            Err(error) => Err(at("keeper program")(error.into())),
        }
    }

    fn make_sure_it_runs(&mut self, program: &Path) -> Result<(), SpawnError> {
        if self.running.is_some() {
            return Ok(());
        }
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (socket, starters) = pair.map_err(|error| at("socket")(error.into()))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))
            .map_err(|error| at("socket")(error.into()))?;
        // Its parent is this process for as long as this lives, and keepers are made children of that parent.
        let process = Command::new(program)
            .arg(SPEC_VERSION.to_string())
            .env_clear()
            .current_dir("/")
            .stdin(starters)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(at("keeper program"))?;
        self.generation += 1;
        let (answers, withdrawn) = (BTreeMap::new(), BTreeSet::new());
        self.running = Some(Running { process, socket, asked: 0, answered: 0, answers, withdrawn });
        Ok(())
    }

    /// The process number of the keeper with this ticket.
    fn answer(&mut self, generation: u64, ticket: u64) -> Result<Pid, SpawnError> {
        let Some(running) = self.running.as_mut().filter(|_| self.generation == generation) else {
            return Err(SpawnError::Interrupted);
        };
        while running.answered < ticket {
            let mut bytes = [0; 4];
            match recv(&running.socket, &mut bytes, RecvFlags::empty()) {
                Ok((4, _)) => {}
                Err(Errno::INTR) => continue,
                // It ended, or it is stuck.
                Ok(_) | Err(_) => return Err(self.over()),
            }
            running.answered += 1;
            self.barren = 0;
            let answer = i32::from_ne_bytes(bytes);
            if !running.withdrawn.remove(&running.answered) {
                running.answers.insert(running.answered, answer);
            } else if let Some(pid) = Pid::from_raw(answer.max(0)) {
                self.unwanted.push(pid);
            }
        }
        let answer = running.answers.remove(&ticket).unwrap_or(0);
        Pid::from_raw(answer.max(0))
            .ok_or_else(|| at("keeper process")(io::Error::from_raw_os_error(-answer)))
    }

    fn withdraw(&mut self, generation: u64, ticket: u64) {
        let Some(running) = self.running.as_mut().filter(|_| self.generation == generation) else { return };
        match running.answers.remove(&ticket) {
            Some(answer) => self.unwanted.extend(Pid::from_raw(answer.max(0))),
            None if ticket > running.answered => {
                running.withdrawn.insert(ticket);
            }
            None => {}
        }
    }

    /// Is done with a starter that does not answer.
    fn over(&mut self) -> SpawnError {
        let answered = self.running.take().is_some_and(|running| running.answered > 0);
        self.barren += u32::from(!answered);
        if self.barren < TRIES {
            return SpawnError::Interrupted;
        }
        self.barren = 0;
        at("keeper program")(io::Error::new(io::ErrorKind::BrokenPipe, "it ends before it has started any"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It would end by itself, as nobody is left to ask it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}
