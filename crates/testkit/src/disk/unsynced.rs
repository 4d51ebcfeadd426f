//! What was changed since the last sync, in order: of a file, or of the names in a directory.

/// Changes kept; beyond that the older half has reached the disk by itself, as a kernel sees to.
const KEPT: usize = 4096;

/// How far a change has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Not synced yet.
    Pending,
    /// A sync of it failed: the kernel takes it for written, and nobody knows.
    Doubtful,
    /// On disk, and kept here for the sake of a doubtful one before it.
    Synced,
}

#[derive(Debug)]
pub(super) struct Unsynced<C>(Vec<(Fate, C)>);

impl<C> Default for Unsynced<C> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<C> Unsynced<C> {
    pub(super) fn note(&mut self, change: C) {
        self.0.push((Fate::Pending, change));
        if self.0.len() > KEPT {
            self.0.drain(..KEPT / 2);
        }
    }

    pub(super) fn synced(&mut self) {
        for (fate, _) in &mut self.0 {
            if *fate == Fate::Pending {
                *fate = Fate::Synced;
            }
        }
        let settled = self.0.iter().take_while(|(fate, _)| *fate == Fate::Synced).count();
        self.0.drain(..settled);
    }

    pub(super) fn sync_failed(&mut self) {
        for (fate, _) in &mut self.0 {
            if *fate == Fate::Pending {
                *fate = Fate::Doubtful;
            }
        }
    }

    pub(super) fn take(&mut self) -> Vec<(Fate, C)> {
        std::mem::take(&mut self.0)
    }
}
