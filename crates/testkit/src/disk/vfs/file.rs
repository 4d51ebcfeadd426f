//! What SQLite asks of one open file.

use std::ffi::{c_int, c_void};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::ptr;
use std::slice;

use rusqlite::ffi;

use super::super::handle::Handle;
use super::super::sim::SimDisk;

/// What a frame of the log or a page may be written in without harm to what lies beside it: the disk changes no byte
/// that a write does not name.
const CHARACTERISTICS: c_int = ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE;
const SECTOR: c_int = 4096;

/// What SQLite takes for a file: its own part first.
#[repr(C)]
pub(super) struct VfsFile {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

/// What is behind it.
pub(super) struct Open {
    handle: Handle,
    path: PathBuf,
    /// The names in its directory are synced with its next sync: SQLite counts on that for a log or a journal.
    sync_dir: bool,
    /// Whether it is the database.
    main: bool,
    /// The index of the log, in parts. Each stays where it is until it is unmapped.
    index: Vec<Box<[u64]>>,
}

impl Open {
    pub(super) fn new(disk: &SimDisk, path: &Path, flags: c_int) -> Result<Self, c_int> {
        let may_create = flags & ffi::SQLITE_OPEN_CREATE != 0;
        let opened = match disk.open_handle(path) {
            Ok(_) if may_create && flags & ffi::SQLITE_OPEN_EXCLUSIVE != 0 => {
                Err(io::Error::from(ErrorKind::AlreadyExists))
            }
            Err(error) if may_create && error.kind() == ErrorKind::NotFound => disk.create_handle(path),
            opened => opened,
        };
        let handle = opened.map_err(|_| ffi::SQLITE_CANTOPEN)?;
        let main = flags & ffi::SQLITE_OPEN_MAIN_DB != 0;
        if main && !handle.connect() {
            return Err(ffi::SQLITE_BUSY);
        }
        let logs = ffi::SQLITE_OPEN_WAL | ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL;
        let sync_dir = may_create && flags & logs != 0;
        Ok(Self { handle, path: path.into(), sync_dir, main, index: Vec::new() })
    }

    fn sync(&mut self) -> c_int {
        if self.handle.sync().is_err() {
            return ffi::SQLITE_IOERR_FSYNC;
        }
        if self.sync_dir {
            if self.handle.disk.state().sync_parent(&self.path).is_err() {
                return ffi::SQLITE_IOERR_DIR_FSYNC;
            }
            self.sync_dir = false;
        }
        ffi::SQLITE_OK
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.main {
            self.handle.disconnect();
        }
    }
}

/// # Safety
/// `into` is room for a [`VfsFile`].
pub(super) unsafe fn clear(into: *mut VfsFile) {
    // SAFETY: by the caller's promise.
    unsafe {
        into.write(VfsFile { base: ffi::sqlite3_file { pMethods: ptr::null() }, open: ptr::null_mut() })
    };
}

/// # Safety
/// `into` is room for a [`VfsFile`], which SQLite will close.
pub(super) unsafe fn fill(into: *mut VfsFile, open: Open) {
    let open = Box::into_raw(Box::new(open));
    // SAFETY: by the caller's promise.
    unsafe { into.write(VfsFile { base: ffi::sqlite3_file { pMethods: &METHODS }, open }) };
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// # Safety
/// `file` is one that [`fill`] was given and that is not closed, and SQLite uses it for this call alone.
unsafe fn of<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Open {
    // SAFETY: `fill` put it there.
    unsafe { &mut *(*file.cast::<VfsFile>()).open }
}

// SAFETY of all that follow: SQLite calls them with a file that `open` gave it and it has not closed, one call at a
// time, and with buffers as long as it says.

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let file = file.cast::<VfsFile>();
    // SAFETY: see above; nobody uses it after this, and `clear` makes sure of it.
    unsafe {
        let open = (*file).open;
        clear(file);
        drop(Box::from_raw(open));
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let (Ok(len), Ok(at)) = (usize::try_from(len), usize::try_from(at)) else {
        return ffi::SQLITE_IOERR_READ;
    };
    // SAFETY: see above. SQLite may not have written to the buffer yet, so it is made whole first.
    let (open, into) = unsafe {
        ptr::write_bytes(into.cast::<u8>(), 0, len);
        (of(file), slice::from_raw_parts_mut(into.cast::<u8>(), len))
    };
    match open.handle.read_at(at, into) {
        Ok(read) if read == len => ffi::SQLITE_OK,
        // The rest reads as zeros.
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    let (Ok(len), Ok(at)) = (usize::try_from(len), usize::try_from(at)) else {
        return ffi::SQLITE_IOERR_WRITE;
    };
    // SAFETY: see above.
    let (open, from) = unsafe { (of(file), slice::from_raw_parts(from.cast::<u8>(), len)) };
    match open.handle.write_at(at, from) {
        Ok(()) => ffi::SQLITE_OK,
        Err(error) if error.kind() == ErrorKind::StorageFull => ffi::SQLITE_FULL,
        Err(_) => ffi::SQLITE_IOERR_WRITE,
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: ffi::sqlite3_int64) -> c_int {
    let Ok(len) = usize::try_from(len) else { return ffi::SQLITE_IOERR_TRUNCATE };
    // SAFETY: see above.
    match unsafe { of(file) }.handle.set_len(len) {
        Ok(()) => ffi::SQLITE_OK,
        Err(_) => ffi::SQLITE_IOERR_TRUNCATE,
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see above.
    unsafe { of(file) }.sync()
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: see above.
    match unsafe { of(file) }.handle.len() {
        Ok(len) => {
            // SAFETY: see above.
            unsafe { *size = len as ffi::sqlite3_int64 };
            ffi::SQLITE_OK
        }
        Err(_) => ffi::SQLITE_IOERR_FSTAT,
    }
}

/// There is one connection, so that nobody can hold what it asks for.
unsafe extern "C" fn lock(_: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved_lock(_: *mut ffi::sqlite3_file, held: *mut c_int) -> c_int {
    // SAFETY: see above.
    unsafe { *held = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    SECTOR
}

unsafe extern "C" fn device_characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    CHARACTERISTICS
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    part: c_int,
    bytes: c_int,
    extend: c_int,
    into: *mut *mut c_void,
) -> c_int {
    let (Ok(part), Ok(bytes)) = (usize::try_from(part), usize::try_from(bytes)) else {
        return ffi::SQLITE_IOERR_SHMMAP;
    };
    // SAFETY: see above.
    let index = &mut unsafe { of(file) }.index;
    if extend != 0 {
        while index.len() <= part {
            index.push(vec![0; bytes.div_ceil(size_of::<u64>())].into());
        }
    }
    let found = index.get_mut(part).map_or(ptr::null_mut(), |part| part.as_mut_ptr().cast());
    // SAFETY: see above.
    unsafe { *into = found };
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(_: *mut ffi::sqlite3_file, _: c_int, _: c_int, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: see above.
    unsafe { of(file) }.index = Vec::new();
    ffi::SQLITE_OK
}
