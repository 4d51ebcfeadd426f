//! The keeper's end of the output: append, rotate, drop the oldest, and never stop the child for want of disk.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use super::{HEADER, MAGIC, MAX_PAYLOAD, Place, Stream, encode_into, segment_path};
use crate::spec::OutputLimits;

const LEAST_BYTES: u64 = 4096;

/// Appends to the segments of one run directory.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    max_bytes: u64,
    segment_bytes: u64,
    next: u64,
    offset: u64,
    /// Complete segments, oldest first: first sequence and size.
    full: VecDeque<(u64, u64)>,
    full_bytes: u64,
    current: Option<Current>,
    buffer: Vec<u8>,
    lost_bytes: u64,
}

#[derive(Debug)]
struct Current {
    first: u64,
    file: File,
    length: u64,
}

impl Writer {
    /// A writer for a run that has no output yet. No file is made before there is something to write.
    pub fn new(dir: impl Into<PathBuf>, limits: OutputLimits) -> Self {
        let max_bytes = limits.max_bytes.max(LEAST_BYTES);
        let segment_bytes = limits.segment_bytes.clamp(LEAST_BYTES / 4, max_bytes / 4);
        Self {
            dir: dir.into(),
            max_bytes,
            segment_bytes,
            next: 0,
            offset: 0,
            full: VecDeque::new(),
            full_bytes: 0,
            current: None,
            buffer: Vec::new(),
            lost_bytes: 0,
        }
    }

    /// Appends what was read from a stream. What the disk refuses is counted, leaves a gap in the sequences, and does
    /// not stop anything.
    pub fn write(&mut self, stream: Stream, wall_ns: i64, bytes: &[u8]) {
        let room = (self.segment_bytes as usize - MAGIC.len() - HEADER).min(MAX_PAYLOAD);
        for piece in bytes.chunks(room) {
            let mut buffer = std::mem::take(&mut self.buffer);
            let place = Place { sequence: self.next, stream, wall_ns, offset: self.offset };
            encode_into(&mut buffer, place, piece);
            let mut stored = self.append(&buffer).is_ok();
            // On a full disk the newest output is worth more than the oldest.
            while !stored && self.drop_oldest() {
                stored = self.append(&buffer).is_ok();
            }
            if !stored {
                self.lost_bytes += piece.len() as u64;
            }
            self.buffer = buffer;
            self.next += 1;
            self.offset += piece.len() as u64;
        }
    }

    /// Bytes that could not be stored.
    pub fn lost_bytes(&self) -> u64 {
        self.lost_bytes
    }

    /// Puts all that was written on the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        let Some(current) = &self.current else { return Ok(()) };
        for (first, _) in &self.full {
            File::open(segment_path(&self.dir, *first))?.sync_data()?;
        }
        current.file.sync_data()?;
        File::open(&self.dir)?.sync_all()
    }

    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let size = record.len() as u64;
        if self.current.as_ref().is_none_or(|c| c.length + size > self.segment_bytes) {
            self.rotate()?;
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        if let Err(error) = current.file.write_all_at(record, current.length) {
            // Half a record would hide all that follows it from readers.
            let _ = current.file.set_len(current.length);
            return Err(error);
        }
        current.length += size;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        if let Some(current) = self.current.take() {
            self.full.push_back((current.first, current.length));
            self.full_bytes += current.length;
        }
        while self.full_bytes + self.segment_bytes > self.max_bytes && self.drop_oldest() {}
        let path = segment_path(&self.dir, self.next);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        if let Err(error) = file.write_all_at(MAGIC, 0) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        self.current = Some(Current { first: self.next, file, length: MAGIC.len() as u64 });
        Ok(())
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((first, length)) = self.full.pop_front() else { return false };
        self.full_bytes -= length;
        // Already gone is as good; anything else leaves a file that the run's end removes with its directory.
        let _ = fs::remove_file(segment_path(&self.dir, first));
        true
    }
}
