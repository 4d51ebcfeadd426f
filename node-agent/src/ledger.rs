//! What the agent must remember across a crash: ticks dealt with, executions claimed, reports not acknowledged.
//!
//! The ledger is changed by [`Change`]s only, and the journal holds exactly these, so that replaying the journal gives
//! the ledger back. Absent: desired state and secrets, which have files of their own, and anything that can be
//! observed again (pids, exit codes: the keepers' state files).

use std::collections::{BTreeMap, VecDeque};

use drover_plan::node::run::StopCause;
use drover_types::kinds::assignment::WorkloadRef;
use drover_types::kinds::run::{RunPhase, Trigger};
use drover_types::kinds::template::Template;
use drover_wire::{Report, ReportItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The most report items that wait for a server. Beyond it the oldest finished Runs go, counted.
pub(crate) const MAX_PENDING: usize = 10_000;

/// Everything that is remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    /// Counts the agent's starts.
    pub(crate) agent_epoch: u64,
    /// By Assignment uid.
    pub(crate) memories: BTreeMap<String, Memory>,
    /// Executions that are not over, by run uid of the current attempt.
    pub(crate) claims: BTreeMap<String, Claim>,
    /// Report items by what they are about; a later one takes the place of an earlier one.
    pub(crate) pending: VecDeque<(String, ReportItem)>,
    /// Reports that were numbered, and perhaps sent, and are not acknowledged.
    pub(crate) in_flight: VecDeque<Report>,
    /// The number of the last report of this start.
    pub(crate) sequence: u64,
    /// Items dropped because too many waited.
    pub(crate) dropped: u64,
}

/// What is remembered of an Assignment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// Every tick up to here was dealt with.
    pub(crate) cursor: Timestamp,
    /// The boot that `onBoot` last ran in, or that the Assignment arrived in.
    pub(crate) boot_id: String,
    /// Ticks refused or missed.
    pub(crate) skipped: u64,
    /// The last tick claimed.
    pub(crate) last_tick: Option<Timestamp>,
    /// The last success.
    pub(crate) last_success: Option<Timestamp>,
    /// The phase of the last finished run.
    pub(crate) last_phase: Option<RunPhase>,
    /// A Task's first start.
    pub(crate) task_started: Option<Timestamp>,
    /// A Task's end for good.
    pub(crate) task_outcome: Option<(RunPhase, Timestamp)>,
    /// Starts of each replica of a Service so far.
    pub(crate) starts: BTreeMap<u32, u32>,
    /// Requests served, newest last, so that a repeat starts nothing.
    pub(crate) requests: VecDeque<(String, String)>,
    /// Finished runs whose output is kept, oldest first, and whether each succeeded.
    pub(crate) finished: VecDeque<(String, bool)>,
}

/// Why an execution exists; part of its identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum CauseKey {
    /// A tick.
    Tick(Timestamp),
    /// A request, a task, or a service.
    Request(String),
}

/// How far an execution is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// It waits for earlier executions of its timer.
    Queued,
    /// It waits for lane and mutex.
    Waiting,
    /// A keeper may be spawned for it, or was.
    Admitted,
    /// The attempt before ended; the next one begins at this boot time, or at once after a reboot.
    Retry {
        /// Milliseconds since boot.
        at_ms: u64,
        /// Of which boot.
        boot_id: String,
    },
}

/// An execution that is not over, at its current attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Of the current attempt.
    pub(crate) run_uid: String,
    /// Of the current attempt.
    pub(crate) run_name: String,
    pub(crate) namespace: String,
    pub(crate) assignment_uid: String,
    pub(crate) assignment_name: String,
    pub(crate) workload: WorkloadRef,
    pub(crate) node_labels: BTreeMap<String, String>,
    /// Values of a Task's parameters.
    #[serde(default)]
    pub(crate) params: drover_types::kinds::template::ParamValues,
    pub(crate) template: Template,
    pub(crate) cause: CauseKey,
    pub(crate) trigger: Trigger,
    pub(crate) replica: Option<u32>,
    pub(crate) attempt: u32,
    pub(crate) claimed_at: Timestamp,
    pub(crate) starting_deadline_ms: Option<u64>,
    pub(crate) stage: Stage,
    pub(crate) stop: Option<StopCause>,
}

/// One change of the ledger.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Change {
    /// The agent started.
    Start,
    /// Everything, at a compaction.
    Whole(Box<Ledger>),
    /// An Assignment is remembered so from here on.
    Remember(String, Box<Memory>),
    /// An Assignment is forgotten.
    Forget(String),
    /// An execution is claimed, or further on.
    Claim(Box<Claim>),
    /// The attempt of this run uid is over, or has been replaced by the next.
    Release(String),
    /// Something is to be reported.
    Report(String, Box<ReportItem>),
    /// So many of the oldest items become a numbered report.
    Number(usize),
    /// Reports up to this one are stored by a server.
    Acknowledged(u64, u64),
}

impl Ledger {
    /// Applies a change.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Start => {
                self.agent_epoch += 1;
                self.sequence = 0;
            }
            Change::Whole(ledger) => *self = *ledger,
            Change::Remember(uid, memory) => {
                self.memories.insert(uid, *memory);
            }
            Change::Forget(uid) => {
                self.memories.remove(&uid);
            }
            Change::Claim(claim) => {
                self.claims.insert(claim.run_uid.clone(), *claim);
            }
            Change::Release(run_uid) => {
                self.claims.remove(&run_uid);
            }
            Change::Report(about, item) => {
                self.pending.retain(|(held, _)| *held != about);
                self.pending.push_back((about, *item));
                while self.pending.len() > MAX_PENDING {
                    self.pending.pop_front();
                    self.dropped += 1;
                }
            }
            Change::Number(count) => {
                let items =
                    self.pending.drain(..count.min(self.pending.len())).map(|(_, item)| item).collect();
                self.sequence += 1;
                let report = Report { agent_epoch: self.agent_epoch, sequence: self.sequence, items };
                self.in_flight.push_back(report);
            }
            Change::Acknowledged(epoch, sequence) => {
                self.in_flight.retain(|report| (report.agent_epoch, report.sequence) > (epoch, sequence));
            }
        }
    }
}
