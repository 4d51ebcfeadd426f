//! What a sync costs: 4 KiB written and fdatasync, one after the other.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::Result;

use crate::clock;
use crate::stats::Round;

const BLOCK: usize = 4096;

/// Appended, and over a file that has its size already.
pub(crate) fn fdatasync(dir: &Path, seconds: f64) -> Result<Round> {
    let path = dir.join("fdatasync");
    let mut round = Round::default();
    for (prefix, blocks) in [("append ", 0), ("preallocated ", 2048)] {
        let mut file = std::fs::File::create(&path)?;
        for _ in 0..blocks {
            file.write_all(&[1; BLOCK])?;
        }
        file.sync_all()?;
        let (begun, mut latencies) = (clock::mono(), Vec::new());
        file.seek(SeekFrom::Start(0))?;
        while clock::seconds_since(begun) < seconds {
            if blocks > 0 && latencies.len() % blocks == 0 {
                file.seek(SeekFrom::Start(0))?;
            }
            let start = clock::mono();
            file.write_all(&[2; BLOCK])?;
            file.sync_data()?;
            latencies.push(clock::mono() - start);
        }
        round.add_latencies(prefix, latencies);
    }
    std::fs::remove_file(&path)?;
    Ok(round)
}
