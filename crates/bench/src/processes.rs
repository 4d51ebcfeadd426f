//! What this program started: each is ended with the guard that holds it, and all that they left behind at the end of
//! a row.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

/// A process that ends, at the latest, with this.
#[derive(Debug)]
pub(crate) struct Running(Option<Child>);

impl Running {
    /// Starts it. What it has to say goes into a file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let told = fs::OpenOptions::new().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(told.try_clone()?).stderr(told);
        let child = command.spawn().with_context(|| format!("starting {:?}", command.get_program()))?;
        Ok(Self(Some(child)))
    }

    /// Of a child that was started otherwise.
    pub(crate) fn of(child: Child) -> Self {
        Self(Some(child))
    }

    /// No process.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.as_ref().and_then(|child| i32::try_from(child.id()).ok()).unwrap_or(0)
    }

    /// Ends it by SIGTERM, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        if let Some(mut child) = self.0.take() {
            signal(i32::try_from(child.id())?, Signal::TERM);
            child.wait()?;
        }
        Ok(())
    }

    /// Ends it by SIGKILL, and waits.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Sends a signal to one process; one that is gone already is fine.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Makes this process the parent of all orphans that it caused, so that none of them is lost sight of.
pub(crate) fn adopt_orphans() {
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Kills and reaps every descendant of this process. Only between rows, when nothing is waited for.
pub(crate) fn sweep() {
    for _ in 0..100 {
        let left = descendants(i32::try_from(std::process::id()).unwrap_or(0));
        if left.is_empty() {
            return;
        }
        for pid in left {
            signal(pid, Signal::KILL);
        }
        while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// The processes below one, itself not included.
pub(crate) fn descendants(of: i32) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let (mut found, mut left) = (Vec::new(), vec![of]);
    while let Some(pid) = left.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            found.push(child);
            left.push(child);
        }
    }
    found
}

/// The parent in a line of `/proc/PID/stat`; the name before it may hold anything.
fn parent(stat: &str) -> Option<i32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Resident memory of a process, in bytes.
pub(crate) fn rss(pid: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    kib(&status, "VmRSS:").context("a process without VmRSS")
}

/// Resident memory of a process that is of no file, in bytes: what grows with what it holds. Pages of its own program come
/// and go with what it does, and belong to nothing that it was given.
pub(crate) fn anonymous(pid: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    kib(&status, "RssAnon:").context("a process without RssAnon")
}

/// What a process takes of memory that nobody shares, and its part of what is shared, in bytes.
pub(crate) fn pss(pid: i32) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    kib(&rollup, "Pss:").context("a process without Pss")
}

fn kib(text: &str, field: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// Processor time of one process so far, in seconds.
pub(crate) fn cpu_seconds(pid: i32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    let nanos: u64 = stat.split_whitespace().next().context("an empty schedstat")?.parse()?;
    // The file is of the first thread alone; the others have files of their own.
    let mut all = nanos;
    for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        if task.file_name().to_str() == Some(&pid.to_string()) {
            continue;
        }
        let of_thread = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        all += of_thread.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0);
    }
    Ok(all as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("12 (a) b) S 34 12 12 0"), Some(34));
        assert_eq!(parent(""), None);
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(kib("VmHWM:\t 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
        assert_eq!(kib("", "VmRSS:"), None);
    }
}
