//! Reading the desired state's file, in little memory: where each Assignment is, not what.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use drover_types::kinds::assignment::Assignment;
use drover_world::Disk;

use super::log::{Head, Place, Record, VERSION};
use crate::journal::unseal;

/// So much is read at once.
const CHUNK: usize = 256 << 10;
/// The longest line. No message of a session holds an Assignment of that size.
const MAX_LINE: usize = 4 << 20;

/// What a file amounts to.
pub(crate) struct Contents {
    pub(crate) head: Head,
    pub(crate) places: BTreeMap<Arc<str>, Place>,
    /// Those that are kept in memory.
    pub(crate) pinned: BTreeMap<Arc<str>, Arc<Assignment>>,
    /// Up to the end of the last change that counts.
    pub(crate) size: u64,
    /// Whether something lies behind that.
    pub(crate) torn: bool,
}

/// What was found in a file.
pub(crate) enum Found {
    /// A state.
    State(Box<Contents>),
    /// Not one whole state: a crash cut off its writing.
    Nothing,
    /// A state that cannot be read: why.
    Damaged(String),
}

/// Reads a file. A change that a crash has cut off is as if it had never been; anything else that cannot be read is
/// damage, as what follows it was acknowledged.
pub(crate) fn read(
    disk: &dyn Disk,
    path: &Path,
    limit: u64,
    pins: fn(&Assignment) -> bool,
) -> io::Result<Found> {
    let mut lines = Lines { disk, path, limit, read: 0, at: 0, buffer: Vec::new(), from: 0 };
    let mut found: Option<Contents> = None;
    let mut change = Vec::new();
    // Where the first line that is none is. What a crash cut off is of the last change; one that begins behind it was made
    // when all before it was on the disk.
    let mut broken = None;
    while let Some((at, line)) = lines.next()? {
        let Some(json) = unseal(line) else {
            broken.get_or_insert(at);
            continue;
        };
        let end = at + line.len() as u64;
        let record = match serde_json::from_slice(json) {
            Ok(record) => record,
            Err(error) => return Ok(Found::Damaged(error.to_string())),
        };
        if let Some(broken) = broken {
            match record {
                Record::State(head) if head.begin > broken => {
                    return Ok(Found::Damaged(format!("it is damaged at byte {broken}")));
                }
                _ => continue,
            }
        }
        match record {
            Record::Put(assignment) => {
                let place = Place { at, length: u32::try_from(line.len()).unwrap_or(u32::MAX) };
                let uid: Arc<str> = assignment.metadata.uid.as_str().into();
                change.push((uid, Some((place, pins(&assignment).then(|| Arc::from(assignment))))));
            }
            Record::Drop(uid) => change.push((uid.into(), None)),
            Record::State(head) if head.version > VERSION => {
                return Ok(Found::Damaged(format!("it is of version {}, which is newer", head.version)));
            }
            Record::State(head) => {
                let contents = found.get_or_insert_with(Contents::empty);
                (contents.head, contents.size) = (head, end);
                contents.take(std::mem::take(&mut change));
            }
        }
    }
    let length = lines.read;
    Ok(match found {
        Some(mut contents) => {
            contents.torn = contents.size < length;
            Found::State(Box::new(contents))
        }
        None => Found::Nothing,
    })
}

type Put = (Place, Option<Arc<Assignment>>);

impl Contents {
    fn empty() -> Self {
        Self { head: Head::default(), places: BTreeMap::new(), pinned: BTreeMap::new(), size: 0, torn: false }
    }

    fn take(&mut self, change: Vec<(Arc<str>, Option<Put>)>) {
        for (uid, put) in change {
            self.pinned.remove(&uid);
            match put {
                Some((place, pinned)) => {
                    if let Some(assignment) = pinned {
                        self.pinned.insert(Arc::clone(&uid), assignment);
                    }
                    self.places.insert(uid, place);
                }
                None => {
                    self.places.remove(&uid);
                }
            }
        }
    }
}

/// The lines of a file, each with where it is. The last may have no end, and so has one that is too long.
struct Lines<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    limit: u64,
    /// Bytes read from the file so far.
    read: u64,
    /// Where in the file the buffer begins.
    at: u64,
    buffer: Vec<u8>,
    /// Up to where the buffer was given out.
    from: usize,
}

impl Lines<'_> {
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        let mut searched = self.from;
        let end = loop {
            if let Some(end) = self.buffer[searched..].iter().position(|byte| *byte == b'\n') {
                break searched + end + 1;
            }
            self.buffer.drain(..self.from);
            self.at += self.from as u64;
            self.from = 0;
            searched = self.buffer.len();
            if searched >= MAX_LINE || !self.fill()? {
                break searched;
            }
        };
        let (from, at) = (self.from, self.at + self.from as u64);
        self.from = end;
        Ok((end > from).then(|| (at, &self.buffer[from..end])))
    }

    fn fill(&mut self) -> io::Result<bool> {
        let more = self.disk.read_range(self.path, self.read, CHUNK)?;
        self.read += more.len() as u64;
        if self.read > self.limit {
            let message = format!("{} is longer than {} bytes", self.path.display(), self.limit);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        self.buffer.extend_from_slice(&more);
        Ok(!more.is_empty())
    }
}
