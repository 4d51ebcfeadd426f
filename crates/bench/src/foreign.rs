//! What the rest of the machine does meanwhile. Everything this program starts is in a cgroup of its own, so what the
//! machine used and that group did not was used by others.
//!
//! Where there is no such group to be had, it is not known, and said so.

use std::fs;
use std::path::{Path, PathBuf};

use crate::clock;

/// More cores than this in others' use make a round suspect.
pub(crate) const QUIET: f64 = 0.1;

/// Reads the processor time of this program's own group and of the machine.
#[derive(Debug)]
pub(crate) struct Foreign {
    own: Option<(PathBuf, Format)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    /// cgroup v1: one number, nanoseconds.
    Usage,
    /// cgroup v2: `usage_usec N` among other lines.
    Stat,
}

/// One reading.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    at: u64,
    own: u64,
    all: u64,
    stolen: u64,
}

impl Foreign {
    /// Moves this process, and with it all that it will start, into a group of its own.
    pub(crate) fn begin() -> Self {
        let name = format!("drover-bench-{}", std::process::id());
        let places = [("/sys/fs/cgroup/cpuacct", Format::Usage), ("/sys/fs/cgroup", Format::Stat)];
        let own = places.into_iter().find_map(|(root, format)| {
            if !Path::new(root).join(file(format)).exists() {
                return None;
            }
            let group = Path::new(root).join(&name);
            fs::create_dir_all(&group).ok()?;
            fs::write(group.join("cgroup.procs"), std::process::id().to_string()).ok()?;
            group.join(file(format)).exists().then_some((group, format))
        });
        Self { own }
    }

    /// One that knows nothing.
    #[cfg(test)]
    pub(crate) fn unknown() -> Self {
        Self { own: None }
    }

    /// A reading, to be given to [`Foreign::since`]; none where it cannot be known.
    pub(crate) fn mark(&self) -> Option<Mark> {
        let (group, format) = self.own.as_ref()?;
        let all = read(group.parent()?, *format)?;
        Some(Mark { at: clock::mono(), own: read(group, *format)?, all, stolen: stolen() })
    }

    /// Cores that others used since then; time that the hypervisor took counts as theirs.
    pub(crate) fn since(&self, mark: Option<Mark>) -> Option<f64> {
        let (then, now) = (mark?, self.mark()?);
        let wall = now.at.saturating_sub(then.at).max(1);
        let ours = now.own.saturating_sub(then.own);
        let others = now.all.saturating_sub(then.all).saturating_sub(ours);
        Some((others + now.stolen.saturating_sub(then.stolen)) as f64 / wall as f64)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Some((group, _)) = &self.own {
            // Back to where we came from, or the group cannot go. It is empty by then, or stays.
            if let Some(parent) = group.parent() {
                let _ = fs::write(parent.join("cgroup.procs"), std::process::id().to_string());
            }
            let _ = fs::remove_dir(group);
        }
    }
}

fn file(format: Format) -> &'static str {
    match format {
        Format::Usage => "cpuacct.usage",
        Format::Stat => "cpu.stat",
    }
}

/// Processor time of a group in nanoseconds.
fn read(group: &Path, format: Format) -> Option<u64> {
    let text = fs::read_to_string(group.join(file(format))).ok()?;
    usage(&text, format)
}

fn usage(text: &str, format: Format) -> Option<u64> {
    match format {
        Format::Usage => text.trim().parse().ok(),
        Format::Stat => {
            let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
            Some(micros.trim().parse::<u64>().ok()? * 1000)
        }
    }
}

/// Nanoseconds that the hypervisor gave to others.
fn stolen() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks = text.lines().next().and_then(|line| line.split_whitespace().nth(8));
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    ticks.and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0) * (1_000_000_000 / per_second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_group_tell_their_processor_time() {
        assert_eq!(usage("123\n", Format::Usage), Some(123));
        assert_eq!(usage("usage_usec 5\nuser_usec 3\n", Format::Stat), Some(5000));
        assert_eq!(usage("user_usec 3\n", Format::Stat), None);
    }
}
