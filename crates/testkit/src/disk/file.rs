//! The bytes of one file: as they are seen, and what it takes to go back to what was synced.

use rand_chacha::rand_core::RngCore;

use super::unsynced::{Fate, Unsynced};

/// What a disk writes whole or not at all.
pub(super) const SECTOR: usize = 512;
/// One change, with what it replaced. Undone and done again it holds the one or the other.
#[derive(Debug)]
struct Change {
    at: usize,
    /// What the file held from `at` on, as far as the change goes.
    other: Vec<u8>,
    /// What lies past the change at the file's end is as long before as after it; one that cuts or grows is not.
    ends: bool,
    /// How much of the file it covers now.
    covers: usize,
}

#[derive(Debug, Default)]
pub(super) struct File {
    bytes: Vec<u8>,
    changes: Unsynced<Change>,
}

impl File {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes at `at`; a gap before it reads as zeros.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if at > self.len() {
            self.set_len(at);
        }
        let end = at + bytes.len();
        let over = end.min(self.len());
        let other = self.bytes[at..over].to_vec();
        let ends = end > self.len();
        self.bytes[at..over].copy_from_slice(&bytes[..over - at]);
        self.bytes.extend_from_slice(&bytes[over - at..]);
        self.changes.note(Change { at, other, ends, covers: bytes.len() });
    }

    /// Cuts, or grows with zeros.
    pub(super) fn set_len(&mut self, len: usize) {
        let was = self.len();
        if len == was {
            return;
        }
        let at = len.min(was);
        let other = self.bytes[at..].to_vec();
        self.bytes.resize(len, 0);
        self.changes.note(Change { at, other, ends: true, covers: len - at });
    }

    pub(super) fn synced(&mut self) {
        self.changes.synced();
    }

    pub(super) fn sync_failed(&mut self) {
        self.changes.sync_failed();
    }

    /// Goes back to what is on the disk for sure, then on to what of the rest had reached it.
    pub(super) fn power_cut(&mut self, rng: &mut dyn RngCore) {
        let mut changes = self.changes.take();
        for (_, change) in changes.iter_mut().rev() {
            self.swap(change);
        }
        for (fate, change) in changes {
            if fate == Fate::Synced || rng.next_u32().is_multiple_of(2) {
                self.redo(&change, |_| true);
                continue;
            }
            match rng.next_u32() % 4 {
                0 | 1 => {}
                // A prefix, cut at a sector.
                2 => {
                    let sectors = change.other.len().div_ceil(SECTOR) as u64 + 1;
                    let kept = rng.next_u64() % sectors;
                    self.redo(&change, |sector| sector < kept);
                }
                // Each sector on its own.
                _ => self.redo(&change, |_| rng.next_u32().is_multiple_of(2)),
            }
        }
    }

    /// Undoes a change that was done last; it then holds what it had written.
    fn swap(&mut self, change: &mut Change) {
        let at = change.at;
        let now = self.bytes[at..at + change.covers].to_vec();
        let before = std::mem::replace(&mut change.other, now);
        if change.ends {
            self.bytes.truncate(at);
            self.bytes.extend_from_slice(&before);
        } else {
            self.bytes[at..at + before.len()].copy_from_slice(&before);
        }
        change.covers = before.len();
    }

    /// Does an undone change again, but only those of its sectors: the first is numbered 0. A file whose end was moved
    /// is as long as the last sector that made it.
    fn redo(&mut self, change: &Change, mut kept: impl FnMut(u64) -> bool) {
        let (at, bytes) = (change.at, &change.other);
        if change.ends && bytes.is_empty() {
            // A cut has one sector: the length itself.
            if kept(0) {
                self.bytes.truncate(at);
            }
            return;
        }
        let mut from = 0;
        for sector in 0.. {
            if from >= bytes.len() {
                break;
            }
            // Sectors are those of the file, not of the write.
            let to = ((at + from) / SECTOR * SECTOR + SECTOR - at).min(bytes.len());
            if kept(sector) {
                let end = at + to;
                if end > self.len() {
                    self.bytes.resize(end, 0);
                }
                self.bytes[at + from..end].copy_from_slice(&bytes[from..to]);
            }
            from = to;
        }
    }
}
