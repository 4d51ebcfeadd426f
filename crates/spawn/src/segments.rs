//! A run's output on disk: records in numbered segment files, bounded, binary safe, readable while written.
//!
//! A file `out-<first sequence>.seg` begins with a magic number; then records: a header of 32 bytes (length, checksum,
//! sequence, wall time, stream, bytes of output before it; little endian) and the bytes as the child wrote them, in pieces of no meaning: a piece
//! may end within a line or a character. Sequences count records from 0, both streams together, in the order read
//! from the pipes. When all segments would exceed the limit the oldest goes; a reader sees that as a gap. Nothing is
//! synced until the run ends, so a crash of the *machine* may cost a running child's latest output.

mod reader;
mod writer;

use std::io;
use std::path::{Path, PathBuf};

pub use reader::{Item, Reader, first_available, tail};
pub use writer::Writer;

use crate::crc::crc32;

const MAGIC: &[u8; 8] = b"DRVSEG\x00\x01";
const HEADER: usize = 32;
/// The most bytes in one record.
pub const MAX_PAYLOAD: usize = 64 << 10;

/// Which of the child's streams a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// File descriptor 1.
    Stdout,
    /// File descriptor 2.
    Stderr,
}

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the run's output.
    pub sequence: u64,
    /// The stream it was written to.
    pub stream: Stream,
    /// When the keeper read it: nanoseconds since the Unix epoch.
    pub wall_ns: i64,
    /// Bytes of output before it, both streams together, lost ones included.
    pub offset: u64,
    /// The bytes.
    pub payload: Vec<u8>,
}

/// Where a record is in a run's output.
#[derive(Debug, Clone, Copy)]
struct Place {
    sequence: u64,
    stream: Stream,
    wall_ns: i64,
    offset: u64,
}

fn encode_into(buffer: &mut Vec<u8>, place: Place, payload: &[u8]) {
    buffer.clear();
    buffer.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&place.sequence.to_le_bytes());
    buffer.extend_from_slice(&place.wall_ns.to_le_bytes());
    buffer.push(if place.stream == Stream::Stdout { 1 } else { 2 });
    // Seven bytes count to 64 PiB.
    buffer.extend_from_slice(&place.offset.to_le_bytes()[..7]);
    buffer.extend_from_slice(payload);
    let sum = crc32(&[&buffer[..4], &buffer[8..]]);
    buffer[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// What the front of a buffer is.
enum Decoded {
    /// A record, and its length with header.
    Record(Record, usize),
    /// The beginning of one.
    Short,
    /// No record.
    Damaged,
}

fn decode(buffer: &[u8]) -> Decoded {
    let Some(header) = buffer.first_chunk::<HEADER>() else { return Decoded::Short };
    let four = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let eight = |at: usize| u64::from(four(at)) | u64::from(four(at + 4)) << 32;
    let length = four(0) as usize;
    let stream = match header[24] {
        1 => Stream::Stdout,
        2 => Stream::Stderr,
        _ => return Decoded::Damaged,
    };
    if length > MAX_PAYLOAD {
        return Decoded::Damaged;
    }
    let Some(payload) = buffer.get(HEADER..HEADER + length) else { return Decoded::Short };
    if four(4) != crc32(&[&header[..4], &header[8..], payload]) {
        return Decoded::Damaged;
    }
    let record = Record {
        sequence: eight(8),
        stream,
        wall_ns: eight(16).cast_signed(),
        offset: eight(24) >> 8,
        payload: payload.to_vec(),
    };
    Decoded::Record(record, HEADER + length)
}

fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("out-{first:020}.seg"))
}

/// The first sequences of all segments, in order.
fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut firsts = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("out-")?.strip_suffix(".seg"));
        firsts.extend(number.and_then(|digits| digits.parse::<u64>().ok()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

#[cfg(test)]
mod tests;
