//! One agent per data directory: a lock on a file in it, which the system lets go when the process ends, however it
//! ends. Keepers do not inherit it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::unwritable::is_unwritable;

/// Why an agent has no data directory for itself.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another agent runs on it.
    #[error("another agent{} uses {data_dir}; one data directory is one node", .pid.map_or_else(String::new, |pid| format!(" (pid {pid})")))]
    Held {
        /// The directory.
        data_dir: PathBuf,
        /// The other agent's process.
        pid: Option<u32>,
    },
    /// The lock's file cannot be used.
    #[error("cannot lock {path}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Held for as long as an agent may touch the directory.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, LockError> {
        let path = data_dir.join("agent.lock");
        let io = |source| LockError::Io { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = match options.open(&path) {
            // The lock is the system's and writes nothing: what runs is supervised all the same.
            Err(error) if is_unwritable(&error) => File::open(&path).map_err(io)?,
            opened => opened.map_err(io)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The holder's pid is a courtesy; the refusal stands without it.
                let _ = file.read_to_string(&mut pid);
                let pid = pid.trim().parse().ok();
                return Err(LockError::Held { data_dir: data_dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        // Best effort: a full disk must not keep an agent from supervising.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", std::process::id()).as_bytes()));
        Ok(Self { _file: file })
    }
}
