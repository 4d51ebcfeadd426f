//! A run's output as people read it: both streams merged in order, from where they asked, lost bytes said so.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use drover_spawn::segments::{Item, Record};
use drover_wire::{EndStatus, LogStart, MAX_DATA};
use drover_world::World;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::handle::{AgentError, FoundRun, Handle};
use crate::host::{Host, Output};

/// The most last lines that are looked for; who wants more gets so many.
const MAX_TAIL: usize = 100_000;
/// How often a followed run is looked at: its keeper tells nobody of what it writes.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is wanted of a run's output.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) start: LogStart,
    /// Go on until the run ends.
    pub(crate) follow: bool,
    /// Begin each line with its time.
    pub(crate) timestamps: bool,
}

/// What is passed over at the beginning.
#[derive(Clone, Copy, Debug)]
enum Skip {
    Nothing,
    /// All before this byte of this record.
    Before(u64, usize),
    /// All before the first line that began at or after this time, in nanoseconds.
    Since(i64),
}

/// Output being read. Its calls block.
pub(crate) struct Rendering {
    output: Box<dyn Output>,
    timestamps: bool,
    skip: Skip,
    line_start: bool,
}

impl Rendering {
    pub(crate) fn open(host: &dyn Host, run_dir: &Path, request: Request) -> io::Result<Self> {
        let (from, skip) = match request.start {
            LogStart::Beginning => (0, Skip::Nothing),
            LogStart::Sequence(sequence) => (sequence, Skip::Nothing),
            LogStart::Tail(lines) => {
                let lines = usize::try_from(lines).unwrap_or(MAX_TAIL).min(MAX_TAIL);
                let (sequence, byte) = last_lines(host.output(run_dir, 0), lines)?;
                (sequence, Skip::Before(sequence, byte))
            }
            LogStart::Since(time) => {
                (0, Skip::Since(i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)))
            }
        };
        let output = host.output(run_dir, from);
        Ok(Self { output, timestamps: request.timestamps, skip, line_start: true })
    }

    /// The next piece, and whether there is no more for now.
    pub(crate) fn read(&mut self) -> io::Result<(Vec<u8>, bool)> {
        let mut piece = Vec::new();
        while piece.len() < MAX_DATA {
            match self.output.next()? {
                None => return Ok((piece, true)),
                Some(Item::Record(record)) => self.record(&record, &mut piece),
                Some(Item::Gap { bytes, .. }) => self.gap(bytes, &mut piece),
            }
        }
        Ok((piece, false))
    }

    fn gap(&mut self, bytes: Option<u64>, piece: &mut Vec<u8>) {
        // Who asked for the last lines knows that there were others.
        if !matches!(self.skip, Skip::Nothing) {
            self.line_start = true;
            return;
        }
        if !self.line_start {
            piece.push(b'\n');
        }
        let marker = match bytes {
            Some(bytes) => format!("... {bytes} bytes lost ...\n"),
            None => "... output lost ...\n".to_owned(),
        };
        piece.extend_from_slice(marker.as_bytes());
        self.line_start = true;
    }

    fn record(&mut self, record: &Record, piece: &mut Vec<u8>) {
        let bytes = self.wanted(record);
        if bytes.is_empty() {
            return;
        }
        if !self.timestamps {
            piece.extend_from_slice(bytes);
            self.line_start = bytes.ends_with(b"\n");
            return;
        }
        let time = Timestamp::from_nanosecond(i128::from(record.wall_ns)).unwrap_or_default();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line_start {
                piece.extend_from_slice(format!("{time:.9} ").as_bytes());
            }
            piece.extend_from_slice(line);
            self.line_start = line.ends_with(b"\n");
        }
    }

    /// What of a record is not passed over.
    fn wanted<'a>(&mut self, record: &'a Record) -> &'a [u8] {
        let all = &record.payload[..];
        match self.skip {
            Skip::Nothing => all,
            Skip::Before(sequence, _) if record.sequence < sequence => &[],
            Skip::Before(sequence, byte) => {
                self.skip = Skip::Nothing;
                if record.sequence == sequence { all.get(byte..).unwrap_or_default() } else { all }
            }
            Skip::Since(time) if record.wall_ns < time => {
                self.line_start = all.ends_with(b"\n");
                &[]
            }
            Skip::Since(_) => {
                // The end of a line that began earlier is not a line at or after that time.
                let begin = if self.line_start {
                    Some(0)
                } else {
                    all.iter().position(|byte| *byte == b'\n').map(|at| at + 1)
                };
                let Some(begin) = begin else { return &[] };
                self.skip = Skip::Nothing;
                self.line_start = true;
                &all[begin..]
            }
        }
    }
}

/// Where so many last lines begin: record and byte. After the end, for none.
fn last_lines(mut output: Box<dyn Output>, lines: usize) -> io::Result<(u64, usize)> {
    let mut starts = VecDeque::new();
    let (mut line_start, mut next) = (true, 0);
    while let Some(item) = output.next()? {
        let Item::Record(record) = item else {
            line_start = true;
            continue;
        };
        for (at, byte) in record.payload.iter().enumerate() {
            if line_start {
                starts.push_back((record.sequence, at));
                if starts.len() > lines {
                    starts.pop_front();
                }
            }
            line_start = *byte == b'\n';
        }
        next = record.sequence + 1;
    }
    Ok(starts.front().copied().unwrap_or((next, 0)))
}

/// Sends a run's output in pieces until its end, or until nobody takes them. The status says why it ended early.
pub(crate) async fn read(
    (handle, world): (&Handle, &World),
    host: Arc<dyn Host>,
    (uid, found): (&str, FoundRun),
    request: Request,
    pieces: mpsc::Sender<Bytes>,
) -> Result<Option<EndStatus>, AgentError> {
    let dir = found.run_dir.clone();
    let mut rendering = match blocking(world, move || Rendering::open(&*host, &dir, request)).await {
        Ok(rendering) => rendering,
        Err(error) => return Ok(Some(unreadable(&error))),
    };
    let mut open = found.open;
    loop {
        let result = blocking(world, move || rendering.read().map(|read| (rendering, read))).await;
        let (next, (piece, at_end)) = match result {
            Ok(result) => result,
            Err(error) => return Ok(Some(unreadable(&error))),
        };
        rendering = next;
        if !piece.is_empty() && pieces.send(piece.into()).await.is_err() {
            return Ok(None);
        }
        if !at_end {
            continue;
        }
        // Whether it was over is asked before the last read, so that nothing is missed in between.
        if !request.follow || !open {
            return Ok(None);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        open = handle.find_run(uid).await?.is_some_and(|found| found.open);
    }
}

fn unreadable(error: &io::Error) -> EndStatus {
    EndStatus { reason: "Unreadable".into(), message: format!("the output cannot be read: {error}") }
}

async fn blocking<T: Send + 'static>(
    world: &World,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    world.blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::RealHost;
    use drover_spawn::OutputLimits;
    use drover_spawn::segments::{Stream, Writer};

    fn rendered(dir: &Path, start: LogStart, timestamps: bool) -> String {
        let host = RealHost::new("/nowhere".into());
        let request = Request { start, follow: false, timestamps };
        let mut rendering = Rendering::open(&host, dir, request).unwrap();
        let mut all = Vec::new();
        loop {
            let (piece, end) = rendering.read().unwrap();
            all.extend(piece);
            if end {
                return String::from_utf8(all).unwrap();
            }
        }
    }

    fn written(dir: &Path) {
        let mut writer = Writer::new(dir, OutputLimits::default());
        writer.write(Stream::Stdout, 1_000_000_000, b"one\ntw");
        writer.write(Stream::Stdout, 2_000_000_000, b"o\nthree\n");
        writer.write(Stream::Stderr, 3_000_000_000, b"four\nfi");
        writer.write(Stream::Stdout, 4_000_000_000, b"ve");
    }

    #[test]
    fn output_begins_where_it_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let all = "one\ntwo\nthree\nfour\nfive";
        let since = |seconds| LogStart::Since(Timestamp::from_second(seconds).unwrap());
        for (start, want) in [
            (LogStart::Beginning, all),
            (LogStart::Sequence(1), "o\nthree\nfour\nfive"),
            (LogStart::Tail(0), ""),
            (LogStart::Tail(1), "five"),
            (LogStart::Tail(4), "two\nthree\nfour\nfive"),
            (LogStart::Tail(u64::MAX), all),
            (since(0), all),
            (since(2), "three\nfour\nfive"),
            (since(4), ""),
        ] {
            assert_eq!(rendered(dir.path(), start, false), want, "{start:?}");
        }
    }

    #[test]
    fn a_line_has_the_time_at_which_it_began() {
        let dir = tempfile::tempdir().unwrap();
        written(dir.path());
        let at = |second| format!("1970-01-01T00:00:0{second}.000000000Z ");
        let want = format!("{}one\n{}two\n{}three\n{}four\n{}five", at(1), at(1), at(2), at(3), at(3));
        assert_eq!(rendered(dir.path(), LogStart::Beginning, true), want);
    }

    #[test]
    fn lost_output_is_counted_in_a_line_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::new(dir.path(), OutputLimits { max_bytes: 4096, segment_bytes: 1024 });
        let lines: Vec<String> = (0..1000).map(|line| format!("line {line}\n")).collect();
        for line in &lines {
            writer.write(Stream::Stdout, 0, line.as_bytes());
        }
        let text = rendered(dir.path(), LogStart::Beginning, false);
        let (marker, rest) = text.split_once('\n').unwrap();
        let lost = lines.concat().len() - rest.len();
        assert_eq!(marker, format!("... {lost} bytes lost ..."));
        assert!(lines.concat().ends_with(rest));
        assert_eq!(rendered(dir.path(), LogStart::Tail(2), false), "line 998\nline 999\n");
    }
}
