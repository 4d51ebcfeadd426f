//! What a patch may still cost. A client pays for each byte it sends; what an operation touches beyond that is counted
//! here: a copy, a value that is measured, the items of a list that make room.

use super::Reason;

/// Units of work for all operations together; each takes nanoseconds.
const WORK: usize = 32 << 20;

/// Work that is left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: WORK }
    }
}

impl Budget {
    pub(super) fn spend(&mut self, units: usize) -> Result<(), Reason> {
        self.left = self.left.checked_sub(units).ok_or(Reason::TooMuchWork)?;
        Ok(())
    }
}
