//! The end of a lease, kept by the keeper: a workload that may move must be over on this host before it begins on
//! another, also if the agent was killed and stays dead.
//!
//! The agent ends leased processes itself, some seconds earlier. It writes into a file when the server last heard of the
//! node; a keeper looks there only when the lease that it knows of is about to end. Absent: a lease whose length changes
//! while the run goes on; the keeper has the one from its start.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How long before the end of the lease the tree is killed, in milliseconds.
const KILL_BEFORE: u64 = 2_000;
/// How long before the grace period's latest beginning the main process is asked to end.
const ASK_BEFORE: u64 = 1_000;
/// The file is one line.
const MAX_FILE: u64 = 256;

/// Until when a run may go on, and where to read that it may go on longer. All times are milliseconds since boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leash {
    /// Holds [`line`].
    pub file: PathBuf,
    /// The boot that times are of.
    pub boot_id: String,
    /// When the server last heard of this node, as far as is known.
    pub heard_ms: u64,
    /// The length of the lease.
    pub length_ms: u64,
    /// How long processes get to end by themselves.
    pub grace_ms: u64,
    /// The number of the signal that asks them to.
    pub signal: i32,
}

/// What a keeper has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// Nothing yet.
    Wait,
    /// Ask the main process to end.
    Ask,
    /// Kill the tree.
    Kill,
}

/// What the file holds: that the server heard of the node at this time of this boot.
pub fn line(boot_id: &str, heard_ms: u64) -> String {
    format!("{boot_id} {heard_ms}\n")
}

impl Leash {
    /// What to do at `now_ms`. The file is read only when the lease seems to end.
    pub fn pull(&mut self, now_ms: u64) -> Pull {
        let file = self.file.clone();
        self.pull_by(now_ms, || read(&file))
    }

    /// As [`Leash::pull`], with what the file holds from elsewhere.
    pub fn pull_by(&mut self, now_ms: u64, read: impl FnOnce() -> Option<String>) -> Pull {
        if self.by_what_is_known(now_ms) == Pull::Wait {
            return Pull::Wait;
        }
        if let Some(heard) = read().and_then(|text| self.heard_in(&text)) {
            self.heard_ms = self.heard_ms.max(heard);
        }
        self.by_what_is_known(now_ms)
    }

    fn by_what_is_known(&self, now_ms: u64) -> Pull {
        let kill = self.heard_ms.saturating_add(self.length_ms).saturating_sub(KILL_BEFORE);
        let ask = kill.saturating_sub(self.grace_ms).saturating_sub(ASK_BEFORE);
        if now_ms >= kill {
            Pull::Kill
        } else if now_ms >= ask {
            Pull::Ask
        } else {
            Pull::Wait
        }
    }

    /// None if it is of another boot.
    fn heard_in(&self, text: &str) -> Option<u64> {
        let (boot_id, heard) = text.trim_end().split_once(' ')?;
        if boot_id == self.boot_id { heard.parse().ok() } else { None }
    }
}

/// None if there is no such file.
fn read(file: &Path) -> Option<String> {
    if fs::metadata(file).ok()?.len() > MAX_FILE {
        return None;
    }
    fs::read_to_string(file).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_when_it_was_not_renewed_in_this_boot() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("heard");
        let mut leash = Leash {
            file: file.clone(),
            boot_id: "b".into(),
            heard_ms: 1_000,
            length_ms: 30_000,
            grace_ms: 10_000,
            signal: 15,
        };
        assert_eq!(leash.pull(17_999), Pull::Wait);
        assert_eq!(leash.pull(18_000), Pull::Ask);
        assert_eq!(leash.pull(29_000), Pull::Kill);
        for text in ["", "b", "b x\n", "a 999999\n", "b 500\n"] {
            fs::write(&file, text).unwrap();
            assert_eq!(leash.pull(29_000), Pull::Kill, "{text:?}");
        }
        fs::write(&file, line("b", 25_000)).unwrap();
        assert_eq!(leash.pull(29_000), Pull::Wait);
        assert_eq!(leash.heard_ms, 25_000);
        assert_eq!(leash.pull(53_000), Pull::Kill);
    }
}
