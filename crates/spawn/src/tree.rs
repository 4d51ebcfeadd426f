//! Everything a run has started, found by what a process cannot easily shed, and ended.
//!
//! Marks, any of which makes a process a member: it is in the run's cgroup; it descends from the keeper (to which, as
//! subreaper, orphans return) or from the child; it is in the child's session (and, once the child is gone, has the run's
//! pipes for output); its environment has `DROVER_RUN_UID=<uid>`. A daemon that leaves session and parent and clears its environment is found while its
//! keeper lives, and after that only by the cgroup. Every signal goes through a pidfd whose process was verified by
//! its start time, so a number that meanwhile is another's is never hit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::pidfd_send_signal;

use crate::cgroup;
use crate::process::{self, ProcessId, Signal, Stat, gone};
use crate::state::RunState;

/// The environment variable that every process of a run bears.
pub const RUN_UID_VARIABLE: &str = "DROVER_RUN_UID";

/// Rounds of `end`: enough for any tree that can be ended, few enough to give up on one stuck in the kernel.
const ROUNDS: usize = 100;
const SHORT: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
const ROUND: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// What is known of a run's processes.
#[derive(Debug, Clone)]
pub struct Tree {
    run_uid: String,
    child: Option<ProcessId>,
    keeper: Option<ProcessId>,
    cgroup: Option<PathBuf>,
    output_pipes: Vec<u64>,
}

/// What `end` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How many processes were killed one by one; those that the kernel killed with the cgroup are not counted.
    pub killed: usize,
    /// Processes that are still there: stuck in the kernel, or not ours to signal.
    pub left: Vec<ProcessId>,
}

impl Tree {
    /// The processes of a run, by what its state file says. Process ids of another boot are not used.
    pub fn of_run(run_uid: &str, state: &RunState) -> Self {
        let started = state.started();
        let current = started.filter(|s| s.is_of_this_boot().unwrap_or(false));
        Self {
            run_uid: run_uid.to_owned(),
            child: current.map(|s| s.child),
            keeper: current.map(|s| s.keeper),
            cgroup: started.and_then(|s| s.cgroup.clone()),
            output_pipes: current.map(|s| s.output_pipes.clone()).unwrap_or_default(),
        }
    }

    /// The processes of a run as its keeper sees them.
    pub fn of_keeper(run_uid: &str, keeper: ProcessId, child: ProcessId, cgroup: Option<PathBuf>) -> Self {
        Self {
            run_uid: run_uid.to_owned(),
            child: Some(child),
            keeper: Some(keeper),
            cgroup,
            output_pipes: Vec::new(),
        }
    }

    /// All members that are alive; never the keeper, and never the caller.
    pub fn members(&self) -> io::Result<Vec<ProcessId>> {
        let all = scan()?;
        let in_group: BTreeSet<i32> =
            self.cgroup.as_deref().map(cgroup::processes).unwrap_or_default().into_iter().collect();
        let own = std::process::id().cast_signed();
        let members = all.values().filter(|stat| {
            let id = stat.id;
            let excluded = stat.dead || id.pid <= 1 || id.pid == own || self.keeper == Some(id);
            !excluded
                && (in_group.contains(&id.pid)
                    || self.child == Some(id)
                    || self.in_session(&all, stat)
                    || self.descends(&all, stat)
                    || self.is_marked(id.pid))
        });
        Ok(members.map(|stat| stat.id).collect())
    }

    /// Signals every member; how many it reached.
    pub fn signal(&self, signal: Signal) -> io::Result<usize> {
        let mut reached = 0;
        for member in self.members()? {
            reached += usize::from(member.signal(signal)?);
        }
        Ok(reached)
    }

    /// Kills every member, and whatever they start meanwhile, and waits until they are gone: at most some seconds.
    /// The cgroup, once empty, is removed. Blocking.
    pub fn end(&self) -> io::Result<Ended> {
        let mut killed = 0;
        for _ in 0..ROUNDS {
            let open = self.kill_once()?;
            if open.is_empty() {
                if let Some(dir) = &self.cgroup {
                    // The kernel lets go of the last process a moment after that is gone.
                    for _ in 0..ROUNDS {
                        if cgroup::remove(dir).is_ok() {
                            break;
                        }
                        let _ = poll(&mut [], Some(&SHORT));
                    }
                }
                return Ok(Ended { killed, left: Vec::new() });
            }
            killed += open.len();
            for fd in &open {
                let mut wait = [PollFd::new(fd, PollFlags::IN)];
                match poll(&mut wait, Some(&ROUND)) {
                    Ok(0) => break,
                    Ok(_) | Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(Ended { killed, left: self.members()? })
    }

    /// Kills the members of this moment; their pidfds, empty when there was none.
    pub fn kill_once(&self) -> io::Result<Vec<std::os::fd::OwnedFd>> {
        if let Some(dir) = &self.cgroup {
            cgroup::kill(dir);
        }
        let mut open = Vec::new();
        for member in self.members()? {
            let Some(fd) = member.open()? else { continue };
            // One that may not be signalled stays a member, and is reported as left.
            let _ = pidfd_send_signal(&fd, Signal::KILL);
            open.push(fd);
        }
        Ok(open)
    }

    /// In the child's session, and provably so. While the child lives its number is its own. After that the session's
    /// number is only kept by its members, and may have become a stranger's: then the run's own pipes decide.
    fn in_session(&self, all: &BTreeMap<i32, Stat>, stat: &Stat) -> bool {
        let Some(child) = self.child.filter(|child| stat.session == child.pid) else { return false };
        match all.get(&child.pid) {
            Some(leader) => leader.id == child,
            None => self.writes_to_the_run(stat.id.pid),
        }
    }

    fn writes_to_the_run(&self, pid: i32) -> bool {
        [1, 2].into_iter().any(|number| {
            let target = fs::read_link(format!("/proc/{pid}/fd/{number}"));
            let inode =
                |target: PathBuf| target.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok();
            target.ok().and_then(inode).is_some_and(|inode| self.output_pipes.contains(&inode))
        })
    }

    fn descends(&self, all: &BTreeMap<i32, Stat>, stat: &Stat) -> bool {
        let mut at = stat;
        // A scan is not one moment: a chain of parents might even seem to be a ring.
        for _ in 0..all.len() {
            let Some(parent) = all.get(&at.parent).filter(|p| p.id.pid > 1) else { return false };
            if self.keeper == Some(parent.id) || self.child == Some(parent.id) {
                return true;
            }
            at = parent;
        }
        false
    }

    fn is_marked(&self, pid: i32) -> bool {
        if self.run_uid.is_empty() {
            return false;
        }
        let Ok(environment) = fs::read(format!("/proc/{pid}/environ")) else { return false };
        environment.split(|b| *b == 0).any(|entry| {
            let value =
                entry.strip_prefix(RUN_UID_VARIABLE.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
            value == Some(self.run_uid.as_bytes())
        })
    }
}

fn scan() -> io::Result<BTreeMap<i32, Stat>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        match process::stat(pid) {
            Ok(stat) => {
                all.insert(pid, stat);
            }
            Err(error) if gone(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_marked_process_is_found_and_ended_and_no_other() {
        let sleeper = |uid: &str| {
            Command::new("sleep")
                .arg("600")
                .env(RUN_UID_VARIABLE, uid)
                .stdin(Stdio::null())
                .spawn()
                .expect("sleep")
        };
        let uid = format!("mark-{}", std::process::id());
        let (mut mine, mut other) = (sleeper(&uid), sleeper(&format!("{uid}x")));
        let tree = Tree::of_run(&uid, &RunState::Nothing);
        // Between fork and exec a child has its parent's environment.
        while tree.members().expect("scan").is_empty() {
            std::thread::yield_now();
        }
        let ended = tree.end().expect("end");
        assert!(ended.left.is_empty() && ended.killed >= 1, "{ended:?}");
        assert!(mine.wait().expect("wait").code().is_none(), "it ended by a signal");
        assert!(other.try_wait().expect("wait").is_none(), "another run's process was killed");
        other.kill().expect("kill");
        other.wait().expect("wait");
    }

    #[test]
    fn a_session_that_took_over_the_number_of_a_dead_child_is_left_alone() {
        let own = ProcessId::current().expect("self");
        let session = process::stat(own.pid).expect("stat").session;
        let stale = ProcessId { pid: session, start_ticks: 0 };
        let keeper = ProcessId { pid: i32::MAX, start_ticks: 0 };
        let tree = Tree::of_keeper("no-such-run", keeper, stale, None);
        assert_eq!(tree.members().expect("scan"), [], "strangers in session {session}");
    }

    #[test]
    fn a_run_without_a_uid_has_no_members() {
        assert_eq!(Tree::of_run("", &RunState::Nothing).members().expect("scan"), []);
    }
}
