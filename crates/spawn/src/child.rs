//! For the keeper alone: starting the child and learning of its end. The keeper has one thread and a small heap, so
//! a plain fork is cheap in it, and allocating between fork and exec is sound.

use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Gid, Pid, Uid, WaitOptions, getppid, set_child_subreaper, set_parent_process_death_signal, setsid, umask,
    waitpid,
};
use rustix::thread::{set_thread_gid, set_thread_groups, set_thread_uid};

use crate::fork::{Side, fork, leave};
use crate::order::Line;
use crate::process::{Clocks, ProcessId, Signal, boot_id};
use crate::spec::RunSpec;
use crate::state::{Outcome, Started, StateFile};
use crate::tree::RUN_UID_VARIABLE;
use crate::users::{Identity, resolve};

mod sys {
    //! The few calls that rustix leaves to a C library.
    use std::ffi::{c_int, c_long};

    #[repr(C)]
    pub(super) struct Rusage {
        pub(super) user: [i64; 2],
        pub(super) system: [i64; 2],
        pub(super) max_rss_kib: c_long,
        pub(super) rest: [c_long; 13],
    }

    unsafe extern "C" {
        pub(super) fn signal(number: c_int, handler: usize) -> usize;
        pub(super) fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut Rusage) -> c_int;
    }

    pub(super) const DEFAULT: usize = 0;
    pub(super) const IGNORE: usize = 1;
    pub(super) const NO_HANG: c_int = 1;
}

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const LAST_SIGNAL: i32 = 64;

/// Where the handler of SIGCHLD writes; -1 before it is installed.
static CHILD_BELL: AtomicI32 = AtomicI32::new(-1);

extern "C" fn ring(_: i32) {
    let fd = CHILD_BELL.load(Ordering::Relaxed);
    if fd >= 0 {
        // SAFETY: the descriptor was put there by `detach`, which leaks it: it is never closed. A full pipe refuses
        // the byte, which is fine: a bell that rings needs no second stroke. rustix makes the bare system call and
        // touches no errno.
        let _ = rustix::io::write(unsafe { BorrowedFd::borrow_raw(fd) }, b"c");
    }
}

/// Makes the calling process one that only forks keepers, and has what they all have: deaf to requests to end, last for
/// the memory killer. What it was given as standard input is returned, and `/dev/null` in its place.
pub(crate) fn become_starter() -> io::Result<OwnedFd> {
    close_on_exec_everything();
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    // Fails only for a process group leader, which then is detached enough.
    let _ = setsid();
    // Only the privileged may; the child gets the old value back.
    let _ = fs::write("/proc/self/oom_score_adj", "-900");
    for number in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE] {
        // SAFETY: ignoring a signal runs no code of ours.
        unsafe { sys::signal(number, sys::IGNORE) };
    }
    // SAFETY: `ring` is async-signal-safe: it loads an atomic and makes one system call.
    unsafe { sys::signal(SIGCHLD, ring as *const () as usize) };
    Ok(socket)
}

/// Makes the calling process, fresh from its starter, a keeper: a session of its own, first in line for orphans. What is
/// returned turns readable when a child ends.
pub fn detach() -> io::Result<OwnedFd> {
    setsid()?;
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    CHILD_BELL.store(write.as_raw_fd(), Ordering::Relaxed);
    std::mem::forget(write);
    Ok(read)
}

/// A descriptor that whoever started us forgot to close must not become a child's.
fn close_on_exec_everything() {
    for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if fd > 2 {
            // SAFETY: borrowed for this one call. If the descriptor is not open (the listing's own), the call fails.
            let _ = fcntl_setfd(unsafe { BorrowedFd::borrow_raw(fd) }, FdFlags::CLOEXEC);
        }
    }
}

/// The child and the keeper's ends of its pipes, which do not block.
#[derive(Debug)]
pub struct Child {
    /// What state file and tree know it by.
    pub id: ProcessId,
    /// Present when the spec has input; to be fed and closed.
    pub stdin: Option<OwnedFd>,
    /// What it writes to descriptor 1.
    pub stdout: OwnedFd,
    /// What it writes to descriptor 2.
    pub stderr: OwnedFd,
}

/// A child of the keeper's that ended.
#[derive(Debug, Clone, Copy)]
pub struct Reaped {
    /// Which.
    pub pid: i32,
    /// How.
    pub outcome: Outcome,
    /// See [`crate::state::Exited`].
    pub user_usec: u64,
    /// See [`crate::state::Exited`].
    pub system_usec: u64,
    /// See [`crate::state::Exited`].
    pub max_rss_bytes: u64,
}

/// Everything that happens between fork and exec.
struct Preparation<'a> {
    state: &'a StateFile,
    line: &'a Line,
    keeper: ProcessId,
    run_uid: String,
    boot_id: String,
    identity: Option<Identity>,
    umask: Option<u32>,
    working_dir: PathBuf,
    cgroup: Option<PathBuf>,
    output_pipes: Vec<u64>,
}

/// Starts the child of a spec, once the agent wants it. `started` is on disk before the program is executed. The error is
/// the reason for the user; if it comes after `started`, the caller records `failed_to_start` over it.
pub fn start(spec: &RunSpec, keeper: ProcessId, state: &StateFile, line: &Line) -> Result<Child, String> {
    let (program, arguments) = spec.argv.split_first().ok_or("the command is empty")?;
    let identity = resolve(spec.user.as_deref(), spec.group.as_deref())?;
    let text = |what: &'static str| move |error: io::Error| format!("{what}: {error}");
    let pipe = |flags| pipe_with(flags).map_err(|error| format!("pipe: {error}"));
    let (complaints, complaint) = pipe(PipeFlags::CLOEXEC)?;
    let (stdout, child_stdout) = pipe(PipeFlags::CLOEXEC)?;
    let (stderr, child_stderr) = pipe(PipeFlags::CLOEXEC)?;
    let (child_stdin, stdin) = match spec.stdin {
        Some(_) => pipe(PipeFlags::CLOEXEC).map(|(read, write)| (Stdio::from(read), Some(write)))?,
        None => (Stdio::null(), None),
    };
    // Only our ends: the flag sits on the open pipe end, and a child may not expect it on its own.
    for ours in [Some(&stdout), Some(&stderr), stdin.as_ref()].into_iter().flatten() {
        rustix::io::ioctl_fionbio(ours, true).map_err(|error| format!("pipe: {error}"))?;
    }
    let preparation = Preparation {
        state,
        line,
        keeper,
        run_uid: spec.run_uid.clone(),
        boot_id: boot_id().map_err(text("boot id"))?,
        output_pipes: vec![
            inode(&child_stdout).map_err(text("pipe"))?,
            inode(&child_stderr).map_err(text("pipe"))?,
        ],
        identity,
        umask: spec.umask,
        working_dir: spec.working_dir.clone().unwrap_or_else(|| "/".into()),
        cgroup: spec.cgroup.clone(),
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.env(RUN_UID_VARIABLE, &spec.run_uid);
    command.stdin(child_stdin).stdout(child_stdout).stderr(child_stderr);
    // SAFETY: the keeper has a single thread.
    let pid = match unsafe { fork(spec.cgroup.as_deref()) }.map_err(text("fork"))? {
        Side::Parent(pid) => pid,
        Side::Child { placed } => {
            let reason = match preparation.take(placed) {
                Ok(()) => refusal(spec, &command.exec()),
                Err((what, error)) => format!("{what}: {error}"),
            };
            let _ = rustix::io::write(&complaint, reason.as_bytes());
            leave()
        }
    };
    // The child's pipe ends and our copy of the complaint pipe, which ends with the exec.
    drop((command, complaint));
    let mut reason = Vec::new();
    let _ = fs::File::from(complaints).read_to_end(&mut reason);
    if !reason.is_empty() {
        let _ = Pid::from_raw(pid).map(|pid| waitpid(Some(pid), WaitOptions::empty()));
        return Err(String::from_utf8_lossy(&reason).into_owned());
    }
    // Not waited for by us yet, so the number cannot be another's, however short it lived.
    let id = ProcessId::of(pid).map_err(text("/proc"))?;
    Ok(Child { id, stdin, stdout, stderr })
}

/// Why a program was not executed, beyond the error number where that alone would mislead.
fn refusal(spec: &RunSpec, error: &io::Error) -> String {
    let program = spec.argv.first().map_or("", String::as_str);
    let is_path = program.contains('/');
    let hint = match error.kind() {
        io::ErrorKind::NotFound if !is_path => {
            let path = spec.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_str());
            path.map_or("; there is no PATH to look in".to_owned(), |path| format!("; looked in PATH={path}"))
        }
        io::ErrorKind::NotFound if Path::new(program).exists() => {
            "; the file is there, but the interpreter or loader that it names is not".to_owned()
        }
        io::ErrorKind::PermissionDenied if is_path && Path::new(program).is_dir() => {
            "; it is a directory".to_owned()
        }
        _ => String::new(),
    };
    format!("exec {program}: {error}{hint}")
}

impl Preparation<'_> {
    fn take(&self, placed: bool) -> Result<(), (String, io::Error)> {
        fn at<E: Into<io::Error>>(what: &str) -> impl Fn(E) -> (String, io::Error) + '_ {
            move |error| (what.to_owned(), error.into())
        }
        setsid().map_err(at("setsid"))?;
        for number in 1..=LAST_SIGNAL {
            // SAFETY: the default action runs no code of ours. Numbers that cannot be set (KILL, STOP and the two of
            // the C library) are refused, which is harmless.
            unsafe { sys::signal(number, sys::DEFAULT) };
        }
        let _ = fs::write("/proc/self/oom_score_adj", "0");
        if let Some(dir) = self.cgroup.as_deref().filter(|_| !placed) {
            fs::write(dir.join("cgroup.procs"), "0").map_err(at(&format!("cgroup {}", dir.display())))?;
        }
        self.state.sync_name().map_err(at("state file"))?;
        if !self.line.is_wanted() {
            return Err(at("agent")(io::Error::other("it does not want the run any more")));
        }
        self.record_started().map_err(at("state file"))?;
        if let Some(mask) = self.umask {
            umask(Mode::from_raw_mode(mask));
        }
        if let Some(identity) = &self.identity {
            take_on(identity)?;
        }
        // After the change of user, which clears it.
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(at("prctl"))?;
        if getppid().map(Pid::as_raw_pid) != Some(self.keeper.pid) {
            let error = io::Error::other("it is gone");
            return Err(("keeper".to_owned(), error));
        }
        // As the new user: a directory closed to them is not theirs to start in.
        let what = format!("working directory {}", self.working_dir.display());
        std::env::set_current_dir(&self.working_dir).map_err(at(&what))
    }

    fn record_started(&self) -> io::Result<()> {
        self.state.started(Started {
            run_uid: self.run_uid.clone(),
            keeper: self.keeper,
            child: ProcessId::current()?,
            boot_id: self.boot_id.clone(),
            at: Clocks::now(),
            cgroup: self.cgroup.clone(),
            output_pipes: self.output_pipes.clone(),
        })
    }
}

fn inode(fd: &OwnedFd) -> io::Result<u64> {
    Ok(rustix::fs::fstat(fd)?.st_ino)
}

/// Groups before user: afterwards it would no longer be allowed. Each failure ends the start.
fn take_on(identity: &Identity) -> Result<(), (String, io::Error)> {
    let already = rustix::process::getgid().as_raw() == identity.gid
        && identity.uid.is_none_or(|uid| rustix::process::getuid().as_raw() == uid);
    if already && !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    set_thread_groups(&groups).map_err(|error| ("supplementary groups".to_owned(), error.into()))?;
    set_thread_gid(Gid::from_raw(identity.gid))
        .map_err(|error| (format!("group {}", identity.gid), error.into()))?;
    if let Some(uid) = identity.uid {
        set_thread_uid(Uid::from_raw(uid)).map_err(|error| (format!("user {uid}"), error.into()))?;
    }
    Ok(())
}

/// What the next call of `reap` finds.
#[derive(Debug, Clone, Copy)]
pub enum Reap {
    /// One ended, and is now gone for good.
    Ended(Reaped),
    /// There are children, all alive.
    Running,
    /// There is no child left, adopted orphans included.
    NoChildren,
}

/// Takes one child that ended, if there is one. Does not wait.
pub fn reap() -> io::Result<Reap> {
    let mut status = 0;
    let mut usage = sys::Rusage { user: [0; 2], system: [0; 2], max_rss_kib: 0, rest: [0; 13] };
    // SAFETY: both pointers are to live, writable values; `Rusage` has the kernel's layout on 64-bit Linux.
    let pid = unsafe { sys::wait4(-1, &raw mut status, sys::NO_HANG, &raw mut usage) };
    match pid {
        0 => Ok(Reap::Running),
        -1 => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(rustix::io::Errno::CHILD.raw_os_error()) => {
                Ok(Reap::NoChildren)
            }
            error if error.kind() == io::ErrorKind::Interrupted => Ok(Reap::Running),
            error => Err(error),
        },
        pid => Ok(Reap::Ended(Reaped {
            pid,
            outcome: match status & 0x7f {
                0 => Outcome::Code(status >> 8 & 0xff),
                signal => Outcome::Signal(signal),
            },
            user_usec: micros(usage.user),
            system_usec: micros(usage.system),
            max_rss_bytes: usage.max_rss_kib.max(0).cast_unsigned() * 1024,
        })),
    }
}

fn micros([seconds, micros]: [i64; 2]) -> u64 {
    (seconds * 1_000_000 + micros).max(0).cast_unsigned()
}
