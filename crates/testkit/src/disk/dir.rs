//! One directory: names as they are seen, and what it takes to go back to those that were synced.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand_chacha::rand_core::RngCore;

use super::file::File;
use super::unsynced::{Fate, Unsynced};

pub(super) type FileRef = Arc<Mutex<File>>;
pub(super) type DirRef = Arc<Mutex<Dir>>;

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Node {
    File(FileRef),
    Dir(DirRef),
}

/// Names changed in one step, each with what it stood for before. Undone and done again it holds the one or the other.
type Change = Vec<(OsString, Option<Node>)>;

#[derive(Debug, Default)]
pub(super) struct Dir {
    names: BTreeMap<OsString, Node>,
    changes: Unsynced<Change>,
}

pub(super) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dir {
    pub(super) fn get(&self, name: &OsStr) -> Option<&Node> {
        self.names.get(name)
    }

    pub(super) fn names(&self) -> &BTreeMap<OsString, Node> {
        &self.names
    }

    /// Lets names stand for something else, or for nothing, in one step.
    pub(super) fn change(&mut self, mut change: Change) {
        self.swap(&mut change);
        self.changes.note(change);
    }

    fn swap(&mut self, change: &mut Change) {
        for (name, other) in change {
            *other = match other.take() {
                Some(node) => self.names.insert(name.clone(), node),
                None => self.names.remove(name),
            };
        }
    }

    pub(super) fn synced(&mut self) {
        self.changes.synced();
    }

    pub(super) fn sync_failed(&mut self) {
        self.changes.sync_failed();
    }

    /// Bytes of all files below.
    pub(super) fn bytes(&self) -> u64 {
        let of = |node: &Node| match node {
            Node::File(file) => lock(file).len() as u64,
            Node::Dir(dir) => lock(dir).bytes(),
        };
        self.names.values().map(of).sum()
    }

    /// Goes back to the names that are on the disk for sure, then on to those that had reached it, then down.
    pub(super) fn power_cut(&mut self, rng: &mut dyn RngCore) {
        let mut changes = self.changes.take();
        for (_, change) in changes.iter_mut().rev() {
            self.swap(change);
        }
        for (fate, mut change) in changes {
            if fate == Fate::Synced || rng.next_u32().is_multiple_of(2) {
                self.swap(&mut change);
            }
        }
        for node in self.names.values() {
            match node {
                Node::File(file) => lock(file).power_cut(rng),
                Node::Dir(dir) => lock(dir).power_cut(rng),
            }
        }
    }

    /// All that can be seen, in order, into one number's worth of bytes: `take` is given names, lengths and contents.
    pub(super) fn tell(&self, take: &mut dyn FnMut(&[u8])) {
        for (name, node) in &self.names {
            take(name.as_encoded_bytes());
            match node {
                Node::File(file) => {
                    let file = lock(file);
                    take(&(file.len() as u64).to_le_bytes());
                    take(file.bytes());
                }
                Node::Dir(dir) => {
                    take(b"/");
                    lock(dir).tell(take);
                    take(b"..");
                }
            }
        }
    }
}
