//! One agent per data directory: a lock on a file in it, which the system lets go when the process ends, however it
//! ends. Keepers do not inherit it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::node::NodeError;

/// Held for as long as an agent may touch the directory.
#[derive(Debug)]
pub(crate) struct DirLock {
    _file: File,
}

impl DirLock {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, NodeError> {
        let path = data_dir.join("agent.lock");
        let io = |source| NodeError::File { path: path.clone(), source };
        let options =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut file = options.open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The holder's pid is a courtesy; the refusal stands without it.
                let _ = file.read_to_string(&mut pid);
                let pid = pid.trim().parse().ok();
                return Err(NodeError::Locked { data_dir: data_dir.to_owned(), pid });
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
