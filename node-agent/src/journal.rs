//! The ledger on disk: an append-only log of changes, each with its checksum, compacted when it has grown.
//!
//! One append and one sync per step of the agent, however much changed. A torn end (a crash in the middle of an
//! append) is cut off: what it would have said was never acted upon, because the agent acts after the sync.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use drover_mutants::{Mutant, active};
use drover_world::{Append, Disk};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::ledger::{Change, Ledger};
use crate::unwritable::is_unwritable;

/// The longest journal that is read; compaction keeps it far below.
const MAX_BYTES: u64 = 256 << 20;
/// No compaction below this size.
const COMPACT_ABOVE: u64 = 4 << 20;
/// So much of what is not urgent may wait to be written.
const LAZY_BYTES: usize = 64 << 10;
const NAME: &str = "journal";

/// A [`Change::Whole`], without a copy of everything.
#[derive(Serialize)]
enum Compacted<'a> {
    Whole(&'a Ledger),
}

/// The open journal, with the ledger that it amounts to.
pub(crate) struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// Absent: the file was replaced, or could not be opened for writing, and is to be opened.
    log: Option<Box<dyn Append>>,
    ledger: Ledger,
    size: u64,
    /// Size after the last compaction.
    base: u64,
    staged: Vec<u8>,
    /// Whether what is staged has to be durable before anything else happens.
    urgent: bool,
    /// Whether an append failed, and may have left a part of itself behind.
    torn: bool,
}

impl Journal {
    /// Opens the journal of a data directory, replays it and counts one more start of the agent.
    pub(crate) fn open(disk: Arc<dyn Disk>, data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(NAME);
        let bytes = match disk.read(&path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut ledger = Ledger::default();
        let mut whole = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(change) = decode(line) else { break };
            ledger.apply(change);
            whole += line.len();
        }
        let log = match disk.append(&path, 0o600) {
            Err(error) if is_unwritable(&error) => None,
            opened => Some(opened?),
        };
        let torn = whole < bytes.len();
        if torn {
            tracing::warn!(path = %path.display(), bytes = bytes.len() - whole, "cut a torn end off the journal");
        }
        let mut journal = Self {
            disk,
            path,
            log,
            ledger,
            size: whole as u64,
            base: 0,
            staged: Vec::new(),
            urgent: false,
            torn,
        };
        journal.stage(Change::Start)?;
        // On a full disk the agent still finds and supervises what runs. Nothing is numbered before this is durable.
        if let Err(error) = journal.flush() {
            tracing::error!(%error, "the journal cannot be written; nothing new starts until it can");
        }
        Ok(journal)
    }

    /// What is remembered.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Changes the ledger. Nothing may be done because of it before [`Journal::flush`] has succeeded.
    pub(crate) fn stage(&mut self, change: Change) -> io::Result<()> {
        encode(&change, &mut self.staged)?;
        // A report that was acknowledged and is sent again changes nothing: this goes with what is written anyway.
        self.urgent |= !matches!(change, Change::Acknowledged(..));
        self.ledger.apply(change);
        Ok(())
    }

    /// Makes what was staged durable. After an error it may be called again.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.urgent && self.staged.len() < LAZY_BYTES {
            return Ok(());
        }
        let log = match &mut self.log {
            Some(log) => log,
            none => none.insert(self.disk.append(&self.path, 0o600)?),
        };
        if self.torn {
            // A record behind a torn one would never be read.
            log.truncate(self.size)?;
        }
        self.torn = true;
        log.append(&self.staged)?;
        if !active(Mutant::UnsyncedJournal) {
            log.sync()?;
        }
        self.torn = false;
        self.size += self.staged.len() as u64;
        self.staged.clear();
        self.urgent = false;
        if self.size > COMPACT_ABOVE.max(self.base * 4)
            && let Err(error) = self.compact()
        {
            // What was staged is durable all the same; a larger file is tried again when it has grown further.
            tracing::warn!(%error, "the journal was not compacted");
            self.base = self.size / 2;
        }
        Ok(())
    }

    fn compact(&mut self) -> io::Result<()> {
        let mut bytes = Vec::new();
        encode(&Compacted::Whole(&self.ledger), &mut bytes)?;
        self.disk.write_atomic(&self.path, &bytes, 0o600)?;
        self.log = None;
        self.size = bytes.len() as u64;
        self.base = self.size;
        self.log = Some(self.disk.append(&self.path, 0o600)?);
        Ok(())
    }
}

/// Adds a line: 16 hex digits of a hash, a space, the record as JSON.
pub(crate) fn encode(record: &impl Serialize, bytes: &mut Vec<u8>) -> io::Result<()> {
    let json = serde_json::to_vec(record)?;
    bytes.extend_from_slice(&checksum(&json));
    bytes.push(b' ');
    bytes.extend_from_slice(&json);
    bytes.push(b'\n');
    Ok(())
}

fn decode(line: &[u8]) -> Option<Change> {
    serde_json::from_slice(unseal(line)?).ok()
}

/// The JSON of a line that is as it was written.
pub(crate) fn unseal(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (sum, json) = line.split_at_checked(16)?;
    let json = json.strip_prefix(b" ")?;
    (sum == checksum(json)).then_some(json)
}

fn checksum(json: &[u8]) -> [u8; 16] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(json);
    let mut text = [0; 16];
    for (index, byte) in digest.iter().take(8).enumerate() {
        text[index * 2] = HEX[usize::from(byte >> 4)];
        text[index * 2 + 1] = HEX[usize::from(byte & 15)];
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Memory;
    use drover_world::RealDisk;

    fn remember(journal: &mut Journal, uid: &str) {
        journal.stage(Change::Remember(uid.into(), Box::default())).unwrap();
        journal.flush().unwrap();
    }

    #[test]
    fn what_was_committed_is_there_after_a_crash_and_a_torn_end_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut journal = Journal::open(Arc::clone(&disk), dir.path()).unwrap();
        remember(&mut journal, "a");
        let kept = std::fs::read(dir.path().join(NAME)).unwrap();
        remember(&mut journal, "b");
        let all = std::fs::read(dir.path().join(NAME)).unwrap();
        drop(journal);
        for cut in kept.len()..all.len() {
            std::fs::write(dir.path().join(NAME), &all[..cut]).unwrap();
            let journal = Journal::open(Arc::clone(&disk), dir.path()).unwrap();
            assert_eq!(journal.ledger().memories.uids().collect::<Vec<_>>(), ["a"], "cut at {cut}");
            assert_eq!(journal.ledger().agent_epoch, 2);
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_replay_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut journal = Journal::open(Arc::clone(&disk), dir.path()).unwrap();
        remember(&mut journal, "a");
        drop(journal);
        let mut bytes = std::fs::read(dir.path().join(NAME)).unwrap();
        let last = bytes.len() - 4;
        bytes[last] ^= 1;
        std::fs::write(dir.path().join(NAME), bytes).unwrap();
        let journal = Journal::open(disk, dir.path()).unwrap();
        assert!(journal.ledger().memories.is_empty());
    }

    #[test]
    fn a_journal_that_has_grown_is_compacted_and_says_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let mut journal = Journal::open(Arc::clone(&disk), dir.path()).unwrap();
        let long = Memory { boot_id: "x".repeat(1 << 20), ..Memory::default() };
        for _ in 0..6 {
            journal.stage(Change::Remember("a".into(), Box::new(long.clone()))).unwrap();
            journal.flush().unwrap();
        }
        assert!(journal.size < 4 << 20);
        drop(journal);
        let journal = Journal::open(disk, dir.path()).unwrap();
        assert_eq!(journal.ledger().memories.get("a"), Some(long));
    }
}
