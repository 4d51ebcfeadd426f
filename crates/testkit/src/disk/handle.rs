//! An open file: dead when its user's life has ended.

use std::io;

use drover_world::Append;
use rustix::io::Errno;

use super::dir::{FileRef, lock};
use super::gate::crashed;
use super::sim::SimDisk;
use super::steps::State;

#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) disk: SimDisk,
    pub(super) file: FileRef,
    life: u64,
}

impl Handle {
    pub(super) fn new(disk: &SimDisk, life: u64, file: FileRef) -> Self {
        Self { disk: disk.clone(), file, life }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State, &FileRef) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.gate.life != self.life {
            return Err(crashed());
        }
        act(&mut state, &self.file)
    }

    /// Fills as much of the buffer as the file has from `at` on.
    pub(super) fn read_at(&self, at: usize, into: &mut [u8]) -> io::Result<usize> {
        self.with(|state, file| {
            state.gate.step()?;
            let file = lock(file);
            let found = file.bytes().get(at..).unwrap_or_default();
            let len = found.len().min(into.len());
            into[..len].copy_from_slice(&found[..len]);
            Ok(len)
        })
    }

    pub(super) fn write_at(&self, at: usize, bytes: &[u8]) -> io::Result<()> {
        self.with(|state, file| state.write(file, Some(at), bytes))
    }

    pub(super) fn set_len(&self, len: usize) -> io::Result<()> {
        self.with(|state, file| state.set_len(file, len))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.with(|state, file| state.sync_file(file))
    }

    pub(super) fn len(&self) -> io::Result<usize> {
        self.with(|state, file| {
            state.gate.step()?;
            Ok(lock(file).len())
        })
    }

    /// Takes the file, a database, for one connection; `false` if another one has it.
    pub(super) fn connect(&self) -> bool {
        self.with(|state, file| Ok(state.connect(file))).unwrap_or(false)
    }

    /// Gives it back.
    pub(super) fn disconnect(&self) {
        self.disk.state().disconnect(&self.file, self.life);
    }
}

impl Append for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.with(|state, file| state.write(file, None, bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        Handle::sync(self)
    }

    fn len(&self) -> io::Result<u64> {
        Handle::len(self).map(|len| len as u64)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(usize::try_from(len).map_err(|_| Errno::FBIG)?)?;
        Handle::sync(self)
    }
}
