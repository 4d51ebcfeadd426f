//! One life of a part: from its start to its crash, which may come at any of its operations.
//!
//! Everything that a part does to the world asks its life first: disk, network, processes, blocking work. A part whose
//! life is over does nothing any more, from that very operation on, whatever of it is still to be dropped. So a crash
//! does not depend on every task of the part being owned by the future that is dropped.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::SimDisk;
use drover_world::{Append, Blocking, Disk, Entry, Work};
use tokio_util::sync::CancellationToken;

/// How many operations a life that is not to end has left.
const UNARMED: u64 = u64::MAX;

type AtTheEnd = Box<dyn FnOnce() + Send>;

struct Inner {
    left: AtomicU64,
    over: CancellationToken,
    operations: AtomicU64,
    at_the_end: Mutex<Vec<AtTheEnd>>,
    /// It is over when this is frozen, too: then the crash came at a step of the disk.
    disk: SimDisk,
}

/// A life. Cheap to clone.
#[derive(Clone)]
pub struct Life(Arc<Inner>);

impl Life {
    /// One that begins, of a part with this disk. Freezing the disk ends it.
    pub fn new(disk: SimDisk) -> Self {
        Self(Arc::new(Inner {
            left: AtomicU64::new(UNARMED),
            over: CancellationToken::new(),
            operations: AtomicU64::new(0),
            at_the_end: Mutex::new(Vec::new()),
            disk,
        }))
    }

    /// Does this at its end, before anything else can happen.
    pub fn at_the_end(&self, act: impl FnOnce() + Send + 'static) {
        self.0.at_the_end.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(act));
    }

    /// Ends it after so many operations more.
    pub fn arm(&self, operations: u64) {
        self.0.left.store(operations, Ordering::Relaxed);
    }

    /// Ends it after so many steps more of its disk.
    pub fn arm_disk(&self, steps: u64) {
        self.0.disk.freeze_after(steps);
    }

    /// It is not to end after all.
    pub fn disarm(&self) {
        self.arm(UNARMED);
        self.0.disk.freeze_after(UNARMED);
    }

    /// Ends it now.
    pub fn end(&self) {
        let acts = std::mem::take(&mut *self.0.at_the_end.lock().unwrap_or_else(PoisonError::into_inner));
        for act in acts {
            act();
        }
        self.0.over.cancel();
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.0.over.is_cancelled()
    }

    /// Resolves when it is over.
    pub async fn ended(&self) {
        self.0.over.cancelled().await;
    }

    /// Whether it goes on; a frozen disk ends it.
    pub fn look(&self) -> bool {
        if !self.is_over() && self.0.disk.is_frozen() {
            self.end();
        }
        !self.is_over()
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.0.operations.load(Ordering::Relaxed)
    }

    /// One more operation: an error if the life is over, before it or with it.
    pub fn operate(&self) -> io::Result<()> {
        if !self.look() {
            return Err(over());
        }
        self.0.operations.fetch_add(1, Ordering::Relaxed);
        let left = self.0.left.load(Ordering::Relaxed);
        if left == UNARMED {
            return Ok(());
        }
        if left == 0 {
            self.end();
            return Err(over());
        }
        self.0.left.store(left - 1, Ordering::Relaxed);
        Ok(())
    }
}

/// What a part that has crashed is told, should anything of it still ask.
pub fn over() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "this part has crashed")
}

/// Blocking work of a part: done in the run's one thread, a moment later, if the part is alive then.
#[derive(Clone)]
pub struct LaterOn(pub Life);

impl Blocking for LaterOn {
    fn begin(&self, work: Work) {
        let life = self.0.clone();
        tokio::spawn(async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            if life.operate().is_ok() {
                work();
            }
        });
    }
}

/// A disk through one life.
#[derive(Clone)]
pub struct LifeDisk {
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// Whose operations they are.
    pub life: Life,
}

impl Disk for LifeDisk {
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        self.life.operate()?;
        self.disk.read(path, limit)
    }

    fn read_range(&self, path: &Path, at: u64, length: usize) -> io::Result<Vec<u8>> {
        self.life.operate()?;
        self.disk.read_range(path, at, length)
    }

    fn write_atomic(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.life.operate()?;
        self.disk.write_atomic(path, bytes, mode)
    }

    fn append(&self, path: &Path, mode: u32) -> io::Result<Box<dyn Append>> {
        self.life.operate()?;
        Ok(Box::new(LifeAppend { file: self.disk.append(path, mode)?, life: self.life.clone() }))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<Entry>> {
        self.life.operate()?;
        self.disk.list(directory)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.life.operate()?;
        self.disk.remove(path)
    }

    fn remove_tree(&self, directory: &Path) -> io::Result<()> {
        self.life.operate()?;
        self.disk.remove_tree(directory)
    }

    fn create_dir(&self, directory: &Path, mode: u32) -> io::Result<()> {
        self.life.operate()?;
        self.disk.create_dir(directory, mode)
    }

    fn create_dirs(&self, directories: &[PathBuf], mode: u32) -> io::Result<()> {
        self.life.operate()?;
        self.disk.create_dirs(directories, mode)
    }

    fn sync_names(&self, directory: &Path) -> io::Result<()> {
        self.life.operate()?;
        self.disk.sync_names(directory)
    }
}

struct LifeAppend {
    file: Box<dyn Append>,
    life: Life,
}

impl Append for LifeAppend {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.life.operate()?;
        self.file.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.life.operate()?;
        self.file.sync()
    }

    fn len(&self) -> io::Result<u64> {
        self.life.operate()?;
        self.file.len()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.life.operate()?;
        self.file.truncate(len)
    }
}
