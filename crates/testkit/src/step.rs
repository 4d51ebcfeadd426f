//! What happens in a run, one step at a time, and how a line of the timeline says it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use drover_spawn::Outcome;

/// A part of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The host of store and apiserver.
    Server,
    /// The reconciler, which runs beside the server.
    Reconciler,
    /// An agent, by the number of its host.
    Node(usize),
    /// People and programs that use the API.
    Client,
    /// Who follows everything over the API.
    Witness,
    /// The run itself.
    World,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Reconciler => f.write_str("reconciler"),
            Self::Node(number) => write!(f, "{}", node_name(*number)),
            Self::Client => f.write_str("client"),
            Self::Witness => f.write_str("witness"),
            Self::World => f.write_str("world"),
        }
    }
}

/// The name of a node.
pub fn node_name(number: usize) -> String {
    format!("node-{number:03}")
}

/// A process of a run, as its host knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// The number of the host.
    pub node: usize,
    /// The uid of the run.
    pub run_uid: String,
    /// The name of the run, made of all that it is.
    pub run_name: String,
    /// `namespace/name` of the workload.
    pub workload: String,
    /// The tick, if it is one's.
    pub tick: Option<String>,
    /// Which attempt.
    pub attempt: u32,
    /// Which replica, if it is a Service's.
    pub replica: Option<u32>,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.workload, self.run_uid)?;
        if let Some(tick) = &self.tick {
            write!(f, " tick {tick}")?;
        }
        if let Some(replica) = self.replica {
            write!(f, " replica {replica}")?;
        }
        write!(f, " attempt {}", self.attempt)
    }
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub id: u64,
    /// `POST`, `PATCH`, `DELETE`.
    pub method: &'static str,
    /// Where.
    pub path: String,
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done; the revision in the answer, if it has one.
    Done(Option<u64>),
    /// The server said no.
    Refused(u16, String),
    /// Nobody knows.
    Unknown(String),
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A part starts.
    Up,
    /// A part crashed, or ended; how.
    Down(String),
    /// A fault, or its end.
    Fault(String),
    /// From here on there are no faults, and nobody changes anything.
    Quiet,
    /// A process began.
    Started(Process),
    /// A process ended, by itself or not.
    Ended(Process, Outcome),
    /// A process is gone with its host, or its keeper is: nobody will know how it ended.
    Gone(Process, &'static str),
    /// A client asks.
    Asked(Call),
    /// A client was answered.
    Answered(Call, Answer),
    /// A key was changed in the store, durably; without a value it was deleted.
    Stored {
        /// The revision.
        revision: u64,
        /// Which.
        key: Bytes,
        /// To what.
        value: Option<Bytes>,
    },
    /// A store was opened: all that is in it.
    Opened {
        /// Its revision.
        revision: u64,
        /// Key, revision and value of everything.
        items: Vec<(Bytes, u64, Bytes)>,
    },
    /// The witness began to watch a collection, having listed it or not.
    Listed {
        /// The collection.
        path: String,
        /// The revision of the list.
        revision: u64,
        /// Name and revision of everything in it.
        items: Vec<(String, u64)>,
    },
    /// The witness listed a collection, just to look.
    Read {
        /// The collection.
        path: String,
        /// The revision of the list.
        revision: u64,
        /// Name and revision of everything in it.
        items: Vec<(String, u64)>,
    },
    /// The witness was told of a change.
    Watched {
        /// The collection.
        path: String,
        /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK`.
        kind: &'static str,
        /// `namespace/name`; empty for a bookmark.
        name: String,
        /// The object's revision.
        revision: u64,
    },
    /// A watch of the witness is over.
    WatchOver {
        /// The collection.
        path: String,
        /// Why.
        why: String,
        /// Whether it may resume.
        resumes: bool,
    },
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct Step {
    /// How many there were before it.
    pub number: u64,
    /// Virtual time since the run began.
    pub at: Duration,
    /// Whose it is.
    pub part: Part,
    /// What happened.
    pub event: Event,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.at.as_secs();
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let part = self.part.to_string();
        write!(
            f,
            "{:7} {hours:02}:{minutes:02}:{rest:02}.{:03} {part:<10} ",
            self.number,
            self.at.subsec_millis()
        )?;
        match &self.event {
            Event::Up => f.write_str("up"),
            Event::Down(how) => write!(f, "down: {how}"),
            Event::Fault(what) => write!(f, "fault: {what}"),
            Event::Quiet => f.write_str("quiet: no more faults, no more changes"),
            Event::Started(process) => write!(f, "started {process}"),
            Event::Ended(process, Outcome::Code(code)) => write!(f, "ended {process}: exit {code}"),
            Event::Ended(process, Outcome::Signal(signal)) => write!(f, "ended {process}: signal {signal}"),
            Event::Gone(process, how) => write!(f, "gone {process}: {how}"),
            Event::Asked(call) => write!(f, "asks #{} {} {}", call.id, call.method, call.path),
            Event::Answered(call, Answer::Done(revision)) => {
                write!(
                    f,
                    "was answered #{} {} {}: done, at {}",
                    call.id,
                    call.method,
                    call.path,
                    revision.unwrap_or(0)
                )
            }
            Event::Answered(call, Answer::Refused(code, why)) => {
                write!(f, "was refused #{}: {code} {why}", call.id)
            }
            Event::Answered(call, Answer::Unknown(why)) => write!(f, "has no answer to #{}: {why}", call.id),
            Event::Stored { revision, key, value } => {
                let key = String::from_utf8_lossy(key);
                match value {
                    Some(value) => write!(f, "stored {revision} {key} {} {:016x}", value.len(), mark(value)),
                    None => write!(f, "deleted {revision} {key}"),
                }
            }
            Event::Opened { revision, items } => {
                let all = items.iter().fold(0_u64, |sum, (key, at, value)| {
                    sum.rotate_left(7) ^ mark(key) ^ at.rotate_left(32) ^ mark(value)
                });
                write!(f, "opened the store at {revision}: {} keys {all:016x}", items.len())
            }
            Event::Listed { path, revision, items } => {
                write!(f, "listed {path} at {revision}: {} objects", items.len())
            }
            Event::Read { path, revision, items } => {
                write!(f, "read {path} at {revision}: {} objects", items.len())
            }
            Event::Watched { path, kind, name, revision } => {
                write!(f, "saw {kind} {path} {name} {revision}")
            }
            Event::WatchOver { path, why, resumes } => {
                let then = if *resumes { "resumes" } else { "lists again" };
                write!(f, "watched {path}, {then}: {why}")
            }
        }
    }
}

/// Tells bytes apart: FNV-1a.
fn mark(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
