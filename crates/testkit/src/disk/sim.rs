//! The disk itself: what can be done to it, and what it does for a [`Disk`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use drover_world::{Append, Disk, Entry};
use rand_chacha::rand_core::RngCore;

use super::dir::{Node, lock};
use super::gate::Counters;
use super::handle::Handle;
use super::steps::State;
use super::vfs::Slot;

/// The disk of one host. Cheap to clone: all clones are one disk.
#[derive(Clone, Debug, Default)]
pub struct SimDisk {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug, Default)]
pub(super) struct Inner {
    state: Mutex<State>,
    /// How SQLite knows it, by the life of its user.
    pub(super) slots: Mutex<BTreeMap<u64, Slot>>,
}

impl SimDisk {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }

    /// Whoever uses it has crashed: from now on every call fails and changes nothing.
    pub fn freeze(&self) {
        self.state().gate.frozen = true;
    }

    /// Freezes it after so many steps more.
    pub fn freeze_after(&self, operations: u64) {
        self.state().gate.freeze_in = Some(operations);
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> bool {
        self.state().gate.frozen
    }

    /// The next life of its user begins. What the last one had open stays dead.
    pub fn thaw(&self) {
        let gate = &mut self.state().gate;
        (gate.frozen, gate.freeze_in, gate.fail_in) = (false, None, None);
        gate.life += 1;
    }

    /// The power is gone: of what was not synced, chance decides what had reached the disk. What is open is dead.
    pub fn power_cut(&self, rng: &mut dyn RngCore) {
        let mut state = self.state();
        state.gate.life += 1;
        let root = state.root.clone();
        drop(state);
        lock(&root).power_cut(rng);
    }

    /// A crash is over: of the host if chance is given for its power cut, of a process otherwise.
    pub fn restart<R: RngCore>(&self, power_cut: Option<&mut R>) {
        if let Some(rng) = power_cut {
            self.power_cut(rng);
        }
        self.thaw();
    }

    /// The most bytes that its files may have together; `None` for no bound. What it holds already stays.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().gate.capacity = bytes;
    }

    /// Lets the next so many syncs fail.
    pub fn fail_syncs(&self, count: u64) {
        self.state().gate.failing_syncs = count;
    }

    /// Lets one step fail, so many steps from now; 0 is the next.
    pub fn fail_after(&self, operations: u64) {
        self.state().gate.fail_in = Some(operations);
    }

    /// Whether syncs do nothing and say that they did: a broken disk, or a program that has forgotten them.
    pub fn set_syncs_lie(&self, lie: bool) {
        self.state().gate.syncs_lie = lie;
    }

    /// What it has done so far.
    pub fn counters(&self) -> Counters {
        self.state().gate.counters
    }

    /// Gives all that can be seen on it to `take`, piece by piece, always in the same order: for a checksum.
    pub fn tell(&self, take: &mut dyn FnMut(&[u8])) {
        let root = self.state().root.clone();
        lock(&root).tell(take);
    }

    fn unlink_if_there(&self, path: &Path) -> io::Result<bool> {
        match self.state().unlink(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what is in a directory, then itself, in steps; `false` when it is missing.
    fn remove_all(&self, directory: &Path) -> io::Result<bool> {
        let names = match self.state().list(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            listed => listed?,
        };
        for (name, node) in names {
            let path = directory.join(name);
            match node {
                Node::File(_) => self.state().unlink(&path)?,
                Node::Dir(_) => drop(self.remove_all(&path)?),
            }
        }
        self.state().rmdir(directory)?;
        Ok(true)
    }

    pub(super) fn open_handle(&self, path: &Path) -> io::Result<Handle> {
        let mut state = self.state();
        let file = state.open(path)?;
        Ok(Handle::new(self, state.gate.life, file))
    }

    pub(super) fn create_handle(&self, path: &Path) -> io::Result<Handle> {
        let mut state = self.state();
        let file = state.create(path)?;
        Ok(Handle::new(self, state.gate.life, file))
    }

    fn is_dir(&self, path: &Path) -> io::Result<bool> {
        match self.state().stat(path) {
            Ok(node) => Ok(matches!(node, Node::Dir(_))),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

// The steps of each call are those of `RealDisk`, in its order.
impl Disk for SimDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let file = state.open(path)?;
        let file = lock(&file);
        if file.len() as u64 > limit {
            return Err(io::Error::new(
                ErrorKind::FileTooLarge,
                format!("{} is longer than {limit} bytes", path.display()),
            ));
        }
        Ok(file.bytes().to_vec())
    }

    fn read_range(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        let file = state.open(path)?;
        let file = lock(&file);
        let from = usize::try_from(at).unwrap_or(usize::MAX);
        let found = file.bytes().get(from..).unwrap_or_default();
        Ok(found[..found.len().min(length)].to_vec())
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], _mode: u32) -> io::Result<()> {
        let name = path.file_name().ok_or_else(|| {
            io::Error::new(ErrorKind::InvalidInput, format!("{} names no file", path.display()))
        })?;
        let temporary = temporary_of(path, name);
        self.unlink_if_there(&temporary)?;
        let file = self.create_handle(&temporary)?;
        // What an empty write does not do, a real one does not either.
        if !bytes.is_empty() {
            file.write_at(0, bytes)?;
        }
        file.sync()?;
        drop(file);
        self.state().rename(&temporary, name)?;
        self.state().sync_parent(path)
    }

    fn append(&self, path: &Path, _mode: u32) -> io::Result<Box<dyn Append>> {
        let handle = match self.create_handle(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.open_handle(path)?,
            created => created?,
        };
        self.state().sync_parent(path)?;
        Ok(Box::new(handle))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        let names = self.state().list(directory)?;
        let entry = |(name, node)| match node {
            Node::File(file) => Entry { name, is_dir: false, len: lock(&file).len() as u64 },
            // What a file system says here is its own affair.
            Node::Dir(_) => Entry { name, is_dir: true, len: 4096 },
        };
        Ok(names.into_iter().map(entry).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.unlink_if_there(path)? { self.state().sync_parent(path) } else { Ok(()) }
    }

    fn remove_tree(&self, directory: &Path) -> io::Result<()> {
        if self.remove_all(directory)? { self.state().sync_parent(directory) } else { Ok(()) }
    }

    fn create_dir(&self, directory: &Path, _mode: u32) -> io::Result<()> {
        let mut levels = vec![directory];
        let mut above = directory;
        while !self.is_dir(above)? {
            let Some(parent) = above.parent().filter(|parent| !parent.as_os_str().is_empty()) else { break };
            levels.push(parent);
            above = parent;
        }
        for level in levels.into_iter().rev() {
            let made = self.state().mkdir(level);
            match made {
                Err(error) if error.get_ref().is_some() || !self.is_dir(level)? => return Err(error),
                _ => {}
            }
            self.state().sync_parent(level)?;
        }
        Ok(())
    }

    fn create_dirs(&self, directories: &[PathBuf], _mode: u32) -> io::Result<()> {
        for directory in directories {
            let made = self.state().mkdir(directory);
            match made {
                Err(error) if error.get_ref().is_some() || !self.is_dir(directory)? => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn sync_names(&self, directory: &Path) -> io::Result<()> {
        self.state().sync_parent(&directory.join("any"))
    }
}

fn temporary_of(path: &Path, name: &std::ffi::OsStr) -> PathBuf {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".new");
    path.with_file_name(temporary)
}
