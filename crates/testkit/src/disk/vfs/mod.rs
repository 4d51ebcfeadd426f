//! How SQLite gets at a disk: a VFS of its own for each life of its user, which behaves as the one for Unix does. A
//! connection of an earlier life that is closed only now must not take the log of the next one along.
//!
//! For one connection to each database at a time; a second is refused. The index of the log is in memory, so it takes
//! no space and is made anew at each opening, as the first of a process does. Absent: files without a name (the store
//! keeps such in memory), the time of day and random numbers. SQLite asks its default VFS alone for the latter, once in
//! a process: so the salts of a log, and the checksums that follow from them, are not the seed's.
#![allow(unsafe_code, reason = "SQLite is told of a VFS in C")]

mod calls;
mod file;

use std::ffi::{CString, c_int};
use std::fmt;
use std::mem::size_of;
use std::ptr;
use std::sync::{Arc, Mutex, Weak};

use rusqlite::ffi;

use super::dir::lock;
use super::sim::{Inner, SimDisk};

/// The longest path that SQLite may use.
const PATH_BYTES: c_int = 1024;

/// Registrations that no disk has at present. They are never freed: SQLite may hold on to them.
static IDLE: Mutex<Vec<Seat>> = Mutex::new(Vec::new());

/// What one registration leads to.
pub(super) struct Target {
    name: CString,
    disk: Mutex<(Weak<Inner>, u64)>,
}

impl Target {
    /// The disk, as long as the life lasts that it is for.
    fn disk(&self) -> Option<SimDisk> {
        let (inner, life) = lock(&self.disk).clone();
        let disk = inner.upgrade().map(|inner| SimDisk { inner })?;
        let lives = disk.state().gate.life == life;
        lives.then_some(disk)
    }
}

#[derive(Clone, Copy)]
struct Seat {
    vfs: *mut ffi::sqlite3_vfs,
    target: &'static Target,
}

// SAFETY: `vfs` is written by SQLite alone, under a lock of its own, and never freed.
unsafe impl Send for Seat {}
// SAFETY: as above; `Target` guards itself.
unsafe impl Sync for Seat {}

/// The registration of a disk for one life, for as long as the disk is there. An open file keeps its disk, so nobody else can get the
/// seat while SQLite has a file open through it.
pub(super) struct Slot(Seat);

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slot").field(&self.0.target.name).finish()
    }
}

impl Slot {
    /// # Panics
    /// If SQLite has no memory for itself.
    fn take(disk: &Arc<Inner>, life: u64) -> Self {
        let mut idle = lock(&IDLE);
        let seat =
            idle.pop().unwrap_or_else(|| Seat::new(SEATS.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
        drop(idle);
        *lock(&seat.target.disk) = (Arc::downgrade(disk), life);
        // SAFETY: the structure is complete, and lives and stays where it is for ever.
        let done = unsafe { ffi::sqlite3_vfs_register(seat.vfs, 0) };
        assert_eq!(done, ffi::SQLITE_OK, "SQLite takes a VFS");
        Self(seat)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // SAFETY: it is registered, and stays where it is after this too.
        unsafe { ffi::sqlite3_vfs_unregister(self.0.vfs) };
        *lock(&self.0.target.disk) = (Weak::new(), 0);
        lock(&IDLE).push(self.0);
    }
}

static SEATS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

impl Seat {
    fn new(number: u64) -> Self {
        let name = CString::new(format!("drover-sim-{number}")).unwrap_or_default();
        let target: &'static Target =
            Box::leak(Box::new(Target { name, disk: Mutex::new((Weak::new(), 0)) }));
        let vfs = ffi::sqlite3_vfs {
            iVersion: 1,
            szOsFile: size_of::<file::VfsFile>() as c_int,
            mxPathname: PATH_BYTES,
            pNext: ptr::null_mut(),
            zName: target.name.as_ptr(),
            pAppData: ptr::from_ref(target).cast_mut().cast(),
            xOpen: Some(calls::open),
            xDelete: Some(calls::delete),
            xAccess: Some(calls::access),
            xFullPathname: Some(calls::full_pathname),
            // Loading of extensions is off.
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(calls::randomness),
            xSleep: Some(calls::sleep),
            xCurrentTime: Some(calls::current_time),
            xGetLastError: Some(calls::last_error),
            xCurrentTimeInt64: None,
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        };
        Self { vfs: Box::into_raw(Box::new(vfs)), target }
    }
}

impl SimDisk {
    /// The name by which SQLite finds this disk, until the life of its user ends.
    ///
    /// # Panics
    /// If SQLite has no memory for itself.
    pub fn vfs(&self) -> String {
        let life = self.state().gate.life;
        let mut slots = lock(&self.inner.slots);
        let slot = slots.entry(life).or_insert_with(|| Slot::take(&self.inner, life));
        slot.0.target.name.to_string_lossy().into_owned()
    }
}
