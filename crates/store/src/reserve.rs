//! Space kept back for the day the disk is full: what makes room has to be written first.
//!
//! The reserve is a file that holds blocks and nothing else. A full disk lets it go; nothing but what makes room is
//! written until it could be taken again.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::PathBuf};

use rustix::{fs::FallocateFlags, io::Errno};

#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Reserve {
    /// A reserve of so many bytes, 0 for none. It is taken when there is room for it.
    pub(crate) fn new(path: PathBuf, bytes: u64) -> Self {
        let mut reserve = Self { path, bytes, held: bytes == 0 };
        reserve.take();
        reserve
    }

    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Takes the space back if it can; whether it is held now.
    pub(crate) fn take(&mut self) -> bool {
        if self.held {
            return true;
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path);
        self.held = match file {
            Ok(file) => match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, self.bytes) {
                Ok(()) => true,
                // A file system that knows no such thing: there is no reserve, and a full disk refuses deletes too.
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
                    self.bytes = 0;
                    self.remove();
                    true
                }
                Err(_) => {
                    self.remove();
                    false
                }
            },
            Err(_) => false,
        };
        self.held
    }

    /// How large it is, if there is one.
    pub(crate) fn bytes(&self) -> Option<u64> {
        Some(self.bytes).filter(|bytes| *bytes > 0)
    }

    /// Gives the space to whoever writes next; whether there was any.
    pub(crate) fn release(&mut self) -> bool {
        let held = self.bytes > 0 && std::mem::replace(&mut self.held, self.bytes == 0);
        if held {
            self.remove();
        }
        held
    }

    fn remove(&self) {
        // A file that stays only keeps its blocks.
        let _ = std::fs::remove_file(&self.path);
    }
}
