//! How much of the log a crash left unusable. SQLite drops it without a word; an operator should hear of it.

use std::{
    fs::File,
    io::{ErrorKind, Read, Result, Seek, SeekFrom},
    path::Path,
};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Pages that were written to the log since it began, also those cut off or damaged.
pub(crate) fn frames_written(log: &Path) -> Result<u64> {
    let mut file = match File::open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        opened => opened?,
    };
    let mut header = [0; HEADER];
    if !filled(&mut file, &mut header)? {
        return Ok(0);
    }
    let page = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let salts = &header[16..24];
    let mut frames = 0;
    let mut frame = [0; FRAME_HEADER];
    // What is left of the log's time before this one bears other salts.
    while filled(&mut file, &mut frame)? && frame[8..16] == *salts {
        frames += 1;
        file.seek(SeekFrom::Current(page.into()))?;
    }
    Ok(frames)
}

/// Reads all of the buffer, if there is that much.
fn filled(file: &mut File, buffer: &mut [u8]) -> Result<bool> {
    match file.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        done => done.map(|()| true),
    }
}
