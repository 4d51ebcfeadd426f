//! What stands before each step: whether the disk still takes it, and how it goes wrong.

use std::io;

use rustix::io::Errno;

/// What a disk has done, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Steps that were taken or failed; not those that a frozen disk refused.
    pub operations: u64,
    /// Syncs among them, of files and directories.
    pub syncs: u64,
    /// Bytes written.
    pub bytes: u64,
}

/// What whoever has crashed is told, should anything of it still ask the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crashed;

impl std::fmt::Display for Crashed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("whoever used this disk has crashed")
    }
}

impl std::error::Error for Crashed {}

pub(super) fn crashed() -> io::Error {
    io::Error::other(Crashed)
}

#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) frozen: bool,
    /// Steps until it freezes.
    pub(super) freeze_in: Option<u64>,
    /// Steps until one fails.
    pub(super) fail_in: Option<u64>,
    pub(super) failing_syncs: u64,
    pub(super) syncs_lie: bool,
    pub(super) capacity: Option<u64>,
    pub(super) counters: Counters,
    /// Which life of its user this is; what was opened in an earlier one is dead.
    pub(super) life: u64,
}

impl Gate {
    /// One step of any kind.
    pub(super) fn step(&mut self) -> io::Result<()> {
        if self.frozen {
            return Err(crashed());
        }
        if let Some(left) = self.freeze_in {
            if left == 0 {
                self.freeze_in = None;
                self.frozen = true;
                return Err(crashed());
            }
            self.freeze_in = Some(left - 1);
        }
        self.counters.operations += 1;
        if let Some(left) = self.fail_in {
            self.fail_in = left.checked_sub(1);
            if left == 0 {
                return Err(Errno::IO.into());
            }
        }
        Ok(())
    }

    /// One sync: whether what it was asked for is to be done.
    pub(super) fn sync(&mut self) -> io::Result<bool> {
        self.step()?;
        self.counters.syncs += 1;
        if self.failing_syncs > 0 {
            self.failing_syncs -= 1;
            return Err(Errno::IO.into());
        }
        Ok(!self.syncs_lie)
    }
}
