//! What SQLite asks of a file system as a whole.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use rusqlite::ffi;

use super::super::dir::{Node, lock};
use super::super::sim::SimDisk;
use super::Target;
use super::file::{self, Open, VfsFile};

/// The disk of a VFS, unless it is gone.
///
/// # Safety
/// `vfs` is one that this module made.
unsafe fn disk(vfs: *mut ffi::sqlite3_vfs) -> Option<SimDisk> {
    // SAFETY: whoever made it put a `Target` there, which is never freed.
    unsafe { (*(*vfs).pAppData.cast::<Target>()).disk() }
}

/// # Safety
/// `name` is a C string that lives as long as the answer is used.
unsafe fn path<'a>(name: *const c_char) -> &'a Path {
    // SAFETY: by the caller's promise.
    Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(name) }.to_bytes()))
}

pub(super) unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    into: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    let into = into.cast::<VfsFile>();
    // SAFETY: SQLite gives `szOsFile` bytes for it. Without methods it is not closed.
    unsafe { file::clear(into) };
    // SAFETY: SQLite calls this with the VFS that it found.
    let Some(disk) = (unsafe { disk(vfs) }) else { return ffi::SQLITE_CANTOPEN };
    if name.is_null() {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: SQLite's name of the file lives until it is closed.
    let path = unsafe { path(name) };
    let opened = match Open::new(&disk, path, flags) {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    // SAFETY: as above; and `out_flags` may be written if it is there.
    unsafe {
        file::fill(into, opened);
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

pub(super) unsafe extern "C" fn delete(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    sync_dir: c_int,
) -> c_int {
    // SAFETY: SQLite calls this with the VFS that it found and a name.
    let (Some(disk), path) = (unsafe { (disk(vfs), path(name)) }) else { return ffi::SQLITE_IOERR_DELETE };
    let unlinked = disk.state().unlink(path);
    match unlinked {
        Err(error) if error.kind() == ErrorKind::NotFound => return ffi::SQLITE_IOERR_DELETE_NOENT,
        Err(_) => return ffi::SQLITE_IOERR_DELETE,
        Ok(()) => {}
    }
    if sync_dir & 1 != 0 && disk.state().sync_parent(path).is_err() {
        return ffi::SQLITE_IOERR_DIR_FSYNC;
    }
    ffi::SQLITE_OK
}

pub(super) unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    found: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with the VFS that it found and a name.
    let (Some(disk), path) = (unsafe { (disk(vfs), path(name)) }) else { return ffi::SQLITE_IOERR_ACCESS };
    let node = disk.state().stat(path);
    let there = match node {
        // To SQLite an empty file does not exist.
        Ok(Node::File(file)) => flags != ffi::SQLITE_ACCESS_EXISTS || lock(&file).len() > 0,
        Ok(Node::Dir(_)) => true,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => false,
        Err(_) => return ffi::SQLITE_IOERR_ACCESS,
    };
    // SAFETY: it is there to be written.
    unsafe { *found = c_int::from(there) };
    ffi::SQLITE_OK
}

/// All paths are whole already.
pub(super) unsafe extern "C" fn full_pathname(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    into: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a name.
    let bytes = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    if bytes.first() != Some(&b'/') || bytes.len() > usize::try_from(room).unwrap_or(0) {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: there is `room` for that many, and SQLite's buffer is not the name.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr().cast(), into, bytes.len()) };
    ffi::SQLITE_OK
}

/// There is none to be had here.
pub(super) unsafe extern "C" fn randomness(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}

/// Nobody else holds a lock, so that there is nothing to wait for.
pub(super) unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    micros
}

/// A store that asks SQLite for the time would not follow from its seed.
pub(super) unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, _: *mut f64) -> c_int {
    ffi::SQLITE_ERROR
}

pub(super) unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}
