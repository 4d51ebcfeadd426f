//! The steps that everything is made of, each like one system call.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use rustix::io::Errno;

use super::dir::{DirRef, FileRef, Node, lock};
use super::gate::Gate;

/// A disk, as whoever holds its lock sees it.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) gate: Gate,
    pub(super) root: DirRef,
    /// Databases that have a connection, each with the life that opened it.
    pub(super) connected: Vec<(FileRef, u64)>,
}

/// Whose sync it is.
enum Synced<'a> {
    File(&'a FileRef),
    Dir(&'a DirRef),
}

impl State {
    fn find(&self, path: &Path) -> io::Result<Node> {
        let mut node = Node::Dir(self.root.clone());
        for component in path.components() {
            let name = match component {
                Component::RootDir | Component::CurDir => continue,
                Component::Normal(name) => name,
                Component::ParentDir | Component::Prefix(_) => return Err(Errno::INVAL.into()),
            };
            let Node::Dir(dir) = node else { return Err(Errno::NOTDIR.into()) };
            let next = lock(&dir).get(name).cloned();
            node = next.ok_or(Errno::NOENT)?;
        }
        Ok(node)
    }

    fn find_dir(&self, path: &Path) -> io::Result<DirRef> {
        match self.find(path)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(Errno::NOTDIR.into()),
        }
    }

    fn place<'a>(&self, path: &'a Path) -> io::Result<(DirRef, &'a OsStr)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok((self.find_dir(path.parent().unwrap_or(Path::new("")))?, name))
    }

    pub(super) fn stat(&mut self, path: &Path) -> io::Result<Node> {
        self.gate.step()?;
        self.find(path)
    }

    pub(super) fn open(&mut self, path: &Path) -> io::Result<FileRef> {
        self.gate.step()?;
        match self.find(path)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(Errno::ISDIR.into()),
        }
    }

    /// Makes an empty file, if the name is free.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<FileRef> {
        self.gate.step()?;
        let (dir, name) = self.place(path)?;
        let mut dir = lock(&dir);
        if dir.get(name).is_some() {
            return Err(Errno::EXIST.into());
        }
        let file = FileRef::default();
        dir.change(vec![(name.into(), Some(Node::File(file.clone())))]);
        Ok(file)
    }

    /// Makes a directory, if the name is free.
    pub(super) fn mkdir(&mut self, path: &Path) -> io::Result<()> {
        self.gate.step()?;
        if path.file_name().is_none() {
            return Err(Errno::EXIST.into());
        }
        let (dir, name) = self.place(path)?;
        let mut dir = lock(&dir);
        if dir.get(name).is_some() {
            return Err(Errno::EXIST.into());
        }
        dir.change(vec![(name.into(), Some(Node::Dir(DirRef::default())))]);
        Ok(())
    }

    /// Gives a file another name in its directory, in place of the file that has it.
    pub(super) fn rename(&mut self, from: &Path, to: &OsStr) -> io::Result<()> {
        self.gate.step()?;
        let (dir, name) = self.place(from)?;
        let mut dir = lock(&dir);
        let node = dir.get(name).cloned().ok_or(Errno::NOENT)?;
        if let Some(Node::Dir(_)) = dir.get(to) {
            return Err(Errno::ISDIR.into());
        }
        dir.change(vec![(name.into(), None), (to.into(), Some(node))]);
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &Path) -> io::Result<()> {
        self.gate.step()?;
        let (dir, name) = self.place(path)?;
        let mut dir = lock(&dir);
        match dir.get(name) {
            None => Err(Errno::NOENT.into()),
            Some(Node::Dir(_)) => Err(Errno::ISDIR.into()),
            Some(Node::File(_)) => {
                dir.change(vec![(name.into(), None)]);
                Ok(())
            }
        }
    }

    /// Removes an empty directory.
    pub(super) fn rmdir(&mut self, path: &Path) -> io::Result<()> {
        self.gate.step()?;
        let (dir, name) = self.place(path)?;
        let mut dir = lock(&dir);
        match dir.get(name) {
            None => return Err(Errno::NOENT.into()),
            Some(Node::File(_)) => return Err(Errno::NOTDIR.into()),
            Some(Node::Dir(inner)) if !lock(inner).names().is_empty() => {
                return Err(Errno::NOTEMPTY.into());
            }
            Some(Node::Dir(_)) => {}
        }
        dir.change(vec![(name.into(), None)]);
        Ok(())
    }

    /// The names in a directory, with what they stand for.
    pub(super) fn list(&mut self, path: &Path) -> io::Result<Vec<(OsString, Node)>> {
        self.gate.step()?;
        let dir = self.find_dir(path)?;
        let dir = lock(&dir);
        Ok(dir.names().iter().map(|(name, node)| (name.clone(), node.clone())).collect())
    }

    /// Makes the names in the directory that holds `path` durable.
    pub(super) fn sync_parent(&mut self, path: &Path) -> io::Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        let dir = self.find_dir(parent)?;
        self.sync(&Synced::Dir(&dir))
    }

    pub(super) fn sync_file(&mut self, file: &FileRef) -> io::Result<()> {
        self.sync(&Synced::File(file))
    }

    fn sync(&mut self, what: &Synced<'_>) -> io::Result<()> {
        match self.gate.sync() {
            Ok(true) => match what {
                Synced::File(file) => lock(file).synced(),
                Synced::Dir(dir) => lock(dir).synced(),
            },
            Ok(false) => {}
            Err(error) => {
                if !self.gate.frozen {
                    match what {
                        Synced::File(file) => lock(file).sync_failed(),
                        Synced::Dir(dir) => lock(dir).sync_failed(),
                    }
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Writes at `at`, or at the end. What does not fit on the disk is left out, and that is an error.
    pub(super) fn write(&mut self, file: &FileRef, at: Option<usize>, bytes: &[u8]) -> io::Result<()> {
        self.gate.step()?;
        let len = lock(file).len();
        let at = at.unwrap_or(len);
        let fits = self.fits(len, at.saturating_add(bytes.len())).saturating_sub(at).min(bytes.len());
        lock(file).write(at, &bytes[..fits]);
        self.gate.counters.bytes += fits as u64;
        if fits < bytes.len() { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    /// Cuts a file, or grows it with zeros.
    pub(super) fn set_len(&mut self, file: &FileRef, len: usize) -> io::Result<()> {
        self.gate.step()?;
        let was = lock(file).len();
        if self.fits(was, len) < len {
            return Err(Errno::NOSPC.into());
        }
        lock(file).set_len(len);
        Ok(())
    }

    /// How long a file of this length may become, up to what is wanted.
    fn fits(&self, len: usize, wanted: usize) -> usize {
        let Some(capacity) = self.gate.capacity.filter(|_| wanted > len) else { return wanted };
        let free = capacity.saturating_sub(lock(&self.root).bytes());
        wanted.min(len.saturating_add(usize::try_from(free).unwrap_or(usize::MAX)))
    }

    /// Lets one connection have a database; `false` if another one has it in this life.
    pub(super) fn connect(&mut self, file: &FileRef) -> bool {
        let life = self.gate.life;
        self.connected.retain(|(_, of)| *of == life);
        let free = !self.connected.iter().any(|(open, _)| Arc::ptr_eq(open, file));
        if free {
            self.connected.push((file.clone(), life));
        }
        free
    }

    pub(super) fn disconnect(&mut self, file: &FileRef, life: u64) {
        self.connected.retain(|(open, of)| *of != life || !Arc::ptr_eq(open, file));
    }
}
