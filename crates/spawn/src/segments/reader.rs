//! Readers of a run's output: from any sequence, to the end and on, while the keeper writes and drops.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Decoded, HEADER, MAGIC, MAX_PAYLOAD, Record, decode, list, segment_path};

const READ_AHEAD: usize = 128 << 10;

/// What comes next in a run's output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A piece of output.
    Record(Record),
    /// The records from `from` up to, not including, `to` are no longer there, or never could be stored.
    Gap {
        /// The first sequence missing.
        from: u64,
        /// The first sequence present again.
        to: u64,
        /// How many bytes are missing; unknown where reading began after the beginning.
        bytes: Option<u64>,
    },
}

/// Reads the segments of a run directory in order. It holds no lock and bothers no writer.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    next: u64,
    /// Bytes of output before `next`, where known.
    passed: Option<u64>,
    open: Option<Open>,
    /// A record read past a gap that was reported first.
    held: Option<Record>,
}

#[derive(Debug)]
struct Open {
    first: u64,
    file: File,
    buffer: Vec<u8>,
    used: usize,
    /// Where in the file the buffer ends.
    end: u64,
    damaged: bool,
}

impl Reader {
    /// A reader of this run directory that begins at a sequence; one that is gone already is reported as a gap.
    pub fn open(run_dir: impl Into<PathBuf>, from: u64) -> Self {
        Self { dir: run_dir.into(), next: from, passed: (from == 0).then_some(0), open: None, held: None }
    }

    /// The sequence that the next record will have, gaps aside: where to go on after a reconnect.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// The next piece; none when there is no more *now*. Call again when the run has written more.
    pub fn poll(&mut self) -> io::Result<Option<Item>> {
        if let Some(record) = self.held.take() {
            return Ok(Some(self.pass(record)));
        }
        loop {
            if self.open.is_none() && !self.enter(None)? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            match open.read()? {
                Some(record) if record.sequence < self.next => {}
                Some(record) if record.sequence > self.next => {
                    let bytes = self.passed.map(|passed| record.offset.saturating_sub(passed));
                    let gap = Item::Gap { from: self.next, to: record.sequence, bytes };
                    self.next = record.sequence;
                    self.held = Some(record);
                    return Ok(Some(gap));
                }
                Some(record) => return Ok(Some(self.pass(record))),
                None => {
                    let first = open.first;
                    if !self.enter(Some(first))? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn pass(&mut self, record: Record) -> Item {
        self.next = record.sequence.saturating_add(1);
        self.passed = Some(record.offset + record.payload.len() as u64);
        Item::Record(record)
    }

    /// Opens the segment to read after `after`, or the one that `next` is in. False when there is none yet.
    fn enter(&mut self, after: Option<u64>) -> io::Result<bool> {
        // A segment may be dropped between listing and opening it; each time only older ones go.
        loop {
            let firsts = list(&self.dir)?;
            let candidate = match after {
                Some(after) => firsts.into_iter().find(|first| *first > after),
                None => {
                    let at = firsts.partition_point(|first| *first <= self.next);
                    firsts.get(at.saturating_sub(1)).copied()
                }
            };
            let Some(first) = candidate else { return Ok(false) };
            // The writer may have added to the last segment between our reading it and our seeing the next.
            if let (Some(_), Some(open)) = (after, &mut self.open)
                && !open.damaged
                && open.has_more()?
            {
                return Ok(true);
            }
            match File::open(segment_path(&self.dir, first)) {
                Ok(file) => {
                    self.open = Some(Open {
                        first,
                        file,
                        buffer: Vec::new(),
                        used: 0,
                        end: MAGIC.len() as u64,
                        damaged: false,
                    });
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Open {
    fn read(&mut self) -> io::Result<Option<Record>> {
        loop {
            if self.damaged {
                return Ok(None);
            }
            match decode(&self.buffer[self.used..]) {
                Decoded::Record(record, size) => {
                    self.used += size;
                    return Ok(Some(record));
                }
                Decoded::Damaged => {
                    // It may also be a record that the writer is just writing: forget it and look again next time.
                    // When a later segment exists, the rest of this one is given up instead.
                    self.rewind();
                    return Ok(None);
                }
                Decoded::Short => {
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Back to the start of the undecoded record, so that it is read from the file again.
    fn rewind(&mut self) {
        self.end -= (self.buffer.len() - self.used) as u64;
        self.buffer.clear();
        self.used = 0;
    }

    fn fill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let before = self.buffer.len();
        self.buffer.resize(before + READ_AHEAD, 0);
        let read = self.file.read_at(&mut self.buffer[before..], self.end);
        let count = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(before + count);
        self.end += count as u64;
        read.map(|count| count > 0)
    }

    /// Whether a whole record follows after all. If not, and a later segment exists, this one is done with.
    fn has_more(&mut self) -> io::Result<bool> {
        self.rewind();
        while self.buffer.len() < HEADER + MAX_PAYLOAD {
            if !self.fill()? {
                break;
            }
        }
        let more = matches!(decode(&self.buffer), Decoded::Record(..));
        self.damaged = !more;
        Ok(more)
    }
}

/// The first sequence still stored; none when there is no output.
pub fn first_available(run_dir: &Path) -> io::Result<Option<u64>> {
    Ok(list(run_dir)?.first().copied())
}

/// The last bytes of a run's output, both streams merged in order.
pub fn tail(run_dir: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut tail: Vec<u8> = Vec::new();
    for first in list(run_dir)?.into_iter().rev() {
        let file = match File::open(segment_path(run_dir, first)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let end = MAGIC.len() as u64;
        let mut open = Open { first, file, buffer: Vec::new(), used: 0, end, damaged: false };
        let mut piece: Vec<u8> = Vec::new();
        while let Some(record) = open.read()? {
            piece.extend_from_slice(&record.payload);
            let excess = piece.len().saturating_sub(bytes);
            piece.drain(..excess);
        }
        piece.append(&mut tail);
        tail = piece;
        if tail.len() >= bytes {
            break;
        }
    }
    let excess = tail.len().saturating_sub(bytes);
    tail.drain(..excess);
    Ok(tail)
}
