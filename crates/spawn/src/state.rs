//! The state file of a run directory: what has become of the run, durable at each step.
//!
//! A journal of one line per event, each with its own version and checksum: `drover-run 1 CRC32 JSON`. A line is
//! appended and synced; a crash in the middle leaves a torn last line, which a reader takes as not written. `started`
//! is on disk before the child executes anything, so a run without it never ran.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};

use crate::crc::crc32;
use crate::process::{Clocks, ProcessId, Signal, boot_id};

/// The name of the state file in a run directory.
pub const STATE_FILE: &str = "state";
const PREFIX: &str = "drover-run 1 ";
/// Room taken at the start, so that a disk that fills up later cannot swallow the exit code.
const RESERVED: u64 = 8192;

/// What a run directory says of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// No event yet: nothing was ever executed.
    Nothing,
    /// The child was made and executes, or did.
    Started(Started),
    /// The child could not be made to execute what it should; nothing of the run's ran.
    FailedToStart(FailedToStart),
    /// The child ended and was seen to.
    Exited(Started, Exited),
}

/// The child exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The uid of the run.
    pub run_uid: String,
    /// The keeper that holds the child.
    pub keeper: ProcessId,
    /// The child; also the id of its session and process group.
    pub child: ProcessId,
    /// The boot that both process ids are of.
    pub boot_id: String,
    /// When.
    pub at: Clocks,
    /// The cgroup that the child joined.
    pub cgroup: Option<PathBuf>,
    /// The inodes of the pipes that are its standard output and error: a mark of its descendants.
    #[serde(default)]
    pub output_pipes: Vec<u64>,
}

/// The child could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedToStart {
    /// For the user: `exec /x: No such file or directory (os error 2)`.
    pub reason: String,
    /// When.
    pub at: Clocks,
}

/// The child ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exited {
    /// How.
    pub outcome: Outcome,
    /// When.
    pub at: Clocks,
    /// Processor time in user mode, of the child and what it waited for, in microseconds.
    pub user_usec: u64,
    /// Processor time in the kernel, likewise.
    pub system_usec: u64,
    /// The largest resident set of any one of these processes.
    pub max_rss_bytes: u64,
    /// False: the code is final, but the keeper still ends the tree or collects output. Followed by true, unless the
    /// keeper is killed meanwhile.
    pub complete: bool,
    /// Bytes of output that could not be stored (a full disk), beyond what `max_bytes` drops.
    pub output_lost_bytes: u64,
    /// Processes that outlived the child and were still there when the keeper gave up; normally 0.
    pub left_behind: u32,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// What is recorded in a state file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The child exists.
    Started(Started),
    /// It could not be started.
    FailedToStart(FailedToStart),
    /// It ended.
    Exited(Exited),
}

impl Event {
    /// The bytes that record it, to be appended to the file in one piece.
    pub fn encode(&self) -> io::Result<Vec<u8>> {
        let json = serde_json::to_string(self)?;
        // The leading line break closes a line that an interrupted writer may have left open.
        Ok(format!("\n{PREFIX}{:08x} {json}\n", crc32(&[json.as_bytes()])).into_bytes())
    }
}

impl RunState {
    /// The child, if there ever was one.
    pub fn started(&self) -> Option<&Started> {
        match self {
            Self::Started(started) | Self::Exited(started, _) => Some(started),
            Self::Nothing | Self::FailedToStart(_) => None,
        }
    }
}

impl Started {
    /// Whether the process ids are of the boot that runs now; if not, all of them are gone.
    pub fn is_of_this_boot(&self) -> io::Result<bool> {
        Ok(boot_id()? == self.boot_id)
    }

    /// Signals the main process alone; false when it is gone.
    pub fn signal_main(&self, signal: Signal) -> io::Result<bool> {
        if self.is_of_this_boot()? { self.child.signal(signal) } else { Ok(false) }
    }
}

/// The writer's end of a state file.
#[derive(Debug)]
pub struct StateFile {
    file: File,
    dir: File,
}

impl StateFile {
    /// Of an open file, to which is appended, in its run directory.
    pub fn of(file: File, run_dir: &Path) -> io::Result<Self> {
        // Not every file system can; those that cannot lose only the guarantee on a full disk.
        let _ = fallocate(&file, FallocateFlags::KEEP_SIZE, 0, RESERVED);
        Ok(Self { file, dir: File::open(run_dir)? })
    }

    /// Makes sure that the file is found again after a crash of the host. Until that has been called, nothing recorded is
    /// sure to be.
    pub fn sync_name(&self) -> io::Result<()> {
        self.dir.sync_all()
    }

    /// Records that the child exists; on disk when this returns.
    pub fn started(&self, started: Started) -> io::Result<()> {
        self.append(&Event::Started(started))
    }

    /// Records that the child could not be started; on disk, name included, when this returns.
    pub fn failed_to_start(&self, reason: String, at: Clocks) -> io::Result<()> {
        self.append(&Event::FailedToStart(FailedToStart { reason, at }))?;
        self.sync_name()
    }

    /// Records how the child ended.
    pub fn exited(&self, exited: Exited) -> io::Result<()> {
        self.append(&Event::Exited(exited))
    }

    fn append(&self, event: &Event) -> io::Result<()> {
        (&self.file).write_all(&event.encode()?)?;
        self.file.sync_data()
    }
}

/// Reads what a run directory says. A torn or damaged line counts as not written; a directory without a state file,
/// or one that is gone, says `Nothing`.
pub fn read(run_dir: &Path) -> io::Result<RunState> {
    let bytes = match std::fs::read(run_dir.join(STATE_FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RunState::Nothing),
        Err(error) => return Err(error),
    };
    parse(&bytes)
}

/// Reads what the bytes of a state file say.
pub fn parse(bytes: &[u8]) -> io::Result<RunState> {
    let mut state = RunState::Nothing;
    for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
        let Some(event) = decode(line)? else { continue };
        state = match (event, state) {
            (Event::Started(started), _) => RunState::Started(started),
            (Event::FailedToStart(failed), _) => RunState::FailedToStart(failed),
            (Event::Exited(exited), RunState::Started(started) | RunState::Exited(started, _)) => {
                RunState::Exited(started, exited)
            }
            // An end without a beginning is not something a keeper writes.
            (Event::Exited(_), before) => before,
        };
    }
    Ok(state)
}

fn decode(line: &[u8]) -> io::Result<Option<Event>> {
    let Some(rest) = line.strip_prefix(PREFIX.as_bytes()) else {
        return foreign_version(line).map_or(Ok(None), |version| {
            let what = format!("the run's state is of version {version}, this program reads 1");
            Err(io::Error::new(io::ErrorKind::InvalidData, what))
        });
    };
    let Some((sum, json)) = rest.split_at_checked(8) else { return Ok(None) };
    let Some(json) = json.strip_prefix(b" ") else { return Ok(None) };
    let sum = std::str::from_utf8(sum).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok());
    if sum != Some(crc32(&[json])) {
        return Ok(None);
    }
    serde_json::from_slice(json).map(Some).map_err(io::Error::from)
}

/// The version of a line that is whole, but not ours to read.
fn foreign_version(line: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(line).ok()?.strip_prefix("drover-run ")?;
    let mut fields = text.splitn(3, ' ');
    let version = fields.next()?.parse().ok()?;
    let sum = u32::from_str_radix(fields.next()?, 16).ok()?;
    (sum == crc32(&[fields.next()?.as_bytes()])).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Clocks = Clocks { wall_ns: 1_700_000_000_000_000_000, boot_ns: 5 };

    fn started() -> Started {
        let id = ProcessId { pid: 7, start_ticks: 70 };
        let keeper = ProcessId { pid: 6, start_ticks: 69 };
        let (run_uid, boot_id, output_pipes) = ("u".into(), "b".into(), vec![4, 5]);
        Started { run_uid, keeper, child: id, boot_id, at: AT, cgroup: None, output_pipes }
    }

    fn exited() -> Exited {
        Exited {
            outcome: Outcome::Code(3),
            at: AT,
            user_usec: 1,
            system_usec: 2,
            max_rss_bytes: 3,
            complete: true,
            output_lost_bytes: 0,
            left_behind: 0,
        }
    }

    fn written(events: &[Event]) -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(STATE_FILE);
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("open");
        let file = StateFile::of(file, dir.path()).expect("a directory");
        for event in events {
            file.append(event).expect("append");
        }
        std::fs::read(dir.path().join(STATE_FILE)).expect("read")
    }

    #[test]
    fn a_torn_state_file_is_read_as_the_last_good_state() {
        let first = written(&[Event::Started(started())]).len();
        let bytes = written(&[Event::Started(started()), Event::Exited(exited())]);
        for end in 0..bytes.len() {
            let want = match end {
                // Without its line break a line is whole all the same.
                _ if end < first - 1 => RunState::Nothing,
                _ if end < bytes.len() - 1 => RunState::Started(started()),
                _ => RunState::Exited(started(), exited()),
            };
            assert_eq!(parse(&bytes[..end]).expect("readable"), want, "cut at {end}");
        }
        assert_eq!(parse(&bytes).expect("readable"), RunState::Exited(started(), exited()));
    }

    #[test]
    fn an_event_after_a_torn_line_is_read() {
        let mut bytes = written(&[Event::Started(started())]);
        bytes.extend_from_slice(b"\ndrover-run 1 0123");
        bytes.extend(written(&[Event::Exited(exited())]));
        assert_eq!(parse(&bytes).expect("readable"), RunState::Exited(started(), exited()));
    }

    #[test]
    fn a_flipped_bit_is_not_believed() {
        let mut bytes = written(&[Event::Started(started())]);
        let at = bytes.len() - 4;
        bytes[at] ^= 1;
        assert_eq!(parse(&bytes).expect("readable"), RunState::Nothing);
    }

    #[test]
    fn a_newer_version_is_an_error_and_not_a_run_that_never_was() {
        let json = "{}";
        let line = format!("drover-run 2 {:08x} {json}\n", crc32(&[json.as_bytes()]));
        let error = parse(line.as_bytes()).expect_err("a foreign version");
        assert!(error.to_string().contains("version 2"), "{error}");
    }

    #[test]
    fn a_directory_without_a_state_file_has_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(read(dir.path()).expect("read"), RunState::Nothing);
        assert_eq!(read(&dir.path().join("gone")).expect("read"), RunState::Nothing);
    }
}
