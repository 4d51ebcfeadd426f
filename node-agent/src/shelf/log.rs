//! The file that the desired state is in: whole at its beginning, then a change after the other.
//!
//! A line is a checksum and a record as JSON. Records count once the state that ends their change follows them: of a
//! change that a crash has cut off nothing is in force. The file is replaced by the next in number: the new one counts
//! once its first state is complete, and only then the old one goes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drover_types::kinds::assignment::Assignment;
use drover_wire::PoolSettings;
use drover_world::{Append, Disk};
use serde::{Deserialize, Serialize};

use super::MAX_BYTES;
use crate::journal::encode;

/// The form of the file. One of a later form is not read.
pub(crate) const VERSION: u32 = 1;
/// So much is written at once.
const CHUNK: usize = 256 << 10;

/// What a desired state is beside its Assignments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Head {
    /// The form of the file.
    pub(crate) version: u32,
    /// Where in the file the change begins that this ends.
    pub(crate) begin: u64,
    /// Of which Node. Another one of the same name is owed everything anew.
    pub(crate) node_uid: String,
    pub(crate) store_epoch: Option<String>,
    pub(crate) revision: Option<u64>,
    pub(crate) pool: PoolSettings,
}

/// A line, to be written.
#[derive(Serialize)]
pub(crate) enum Line<'a> {
    Put(&'a Assignment),
    Drop(&'a str),
    State(&'a Head),
}

/// A line, as it was read.
#[derive(Deserialize)]
pub(crate) enum Record {
    /// An Assignment is wanted so from here on.
    Put(Box<Assignment>),
    /// The one of this uid is not any more.
    Drop(String),
    /// The end of a change: all of it is in force.
    State(Head),
}

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) at: u64,
    /// Bytes, with the end of the line.
    pub(crate) length: u32,
}

/// The open file.
pub(crate) struct Log {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Absent: to be opened.
    file: Option<Box<dyn Append>>,
    /// Up to the end of the last change that counts.
    size: u64,
    /// Whether something may lie behind that.
    torn: bool,
}

impl Log {
    /// A file that was read, and counts up to `size`.
    pub(crate) fn found(disk: Arc<dyn Disk>, path: PathBuf, size: u64, torn: bool) -> Self {
        Self { disk, path, file: None, size, torn }
    }

    /// A new file. Nothing is in it before [`Log::write`].
    pub(crate) fn create(disk: Arc<dyn Disk>, path: PathBuf) -> io::Result<Self> {
        // One of an earlier try that did not succeed may be there.
        disk.remove(&path)?;
        Ok(Self::found(disk, path, 0, false))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Makes sure that what was read is on the disk, and not just about to be: who wrote it may have died before that.
    pub(crate) fn settle(&mut self) -> io::Result<()> {
        self.open()?.sync()
    }

    /// Writes a change, line after line as `next` gives them, and syncs; where each line is. Nothing of it counts if
    /// this fails.
    pub(crate) fn write(
        &mut self,
        mut next: impl FnMut(&mut Vec<u8>) -> io::Result<bool>,
    ) -> io::Result<Vec<Place>> {
        let size = self.size;
        if self.torn {
            // What lies behind a torn line would never be read.
            self.open()?.truncate(size)?;
        }
        self.torn = true;
        let (mut places, mut buffer, mut written) = (Vec::new(), Vec::new(), size);
        loop {
            let before = buffer.len();
            let more = next(&mut buffer)?;
            if more {
                let length = u32::try_from(buffer.len() - before).map_err(io::Error::other)?;
                places.push(Place { at: written + before as u64, length });
            }
            if written + buffer.len() as u64 > MAX_BYTES {
                let message = format!("a desired state of more than {MAX_BYTES} bytes is refused");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
            }
            if buffer.len() >= CHUNK || (!more && !buffer.is_empty()) {
                self.open()?.append(&buffer)?;
                written += buffer.len() as u64;
                buffer.clear();
            }
            if !more {
                break;
            }
        }
        self.open()?.sync()?;
        self.torn = false;
        self.size = written;
        Ok(places)
    }

    fn open(&mut self) -> io::Result<&mut Box<dyn Append>> {
        Ok(match &mut self.file {
            Some(file) => file,
            none => none.insert(self.disk.append(&self.path, 0o600)?),
        })
    }
}

/// Appends a line to the bytes to be written.
pub(crate) fn add(line: &Line<'_>, bytes: &mut Vec<u8>) -> io::Result<()> {
    encode(line, bytes)
}
