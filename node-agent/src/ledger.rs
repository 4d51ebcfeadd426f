//! What the agent must remember across a crash: ticks dealt with, executions claimed, reports not acknowledged.
//!
//! The ledger is changed by [`Change`]s only, and the journal holds exactly these, so that replaying the journal gives
//! the ledger back. Absent: desired state and secrets, which have files of their own, and anything that can be
//! observed again (pids, exit codes: the keepers' state files).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use drover_plan::node::run::StopCause;
use drover_types::Condition;
use drover_types::kinds::assignment::WorkloadRef;
use drover_types::kinds::run::{RunPhase, Trigger};
use drover_types::kinds::template::Template;
use drover_wire::{Report, ReportItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::counts::Counts;
use crate::memories::Memories;
use crate::past::Past;

/// The most report items that wait for a server. Beyond it the oldest Runs and Events go, counted.
pub(crate) const MAX_PENDING: usize = 10_000;
/// The most requests that are remembered of one Assignment.
pub(crate) const MAX_REQUESTS: usize = 64;

/// Everything that is remembered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ledger {
    /// Counts the agent's starts.
    pub(crate) agent_epoch: u64,
    /// By Assignment uid.
    pub(crate) memories: Memories,
    /// Executions that are not over, by run uid of the current attempt.
    pub(crate) claims: BTreeMap<String, Claim>,
    /// Report items in the order of their arrival, each with what it is about.
    pub(crate) pending: BTreeMap<u64, (String, ReportItem)>,
    /// Where in `pending` the one item about something is: a later one takes the place of an earlier one.
    #[serde(skip)]
    about: BTreeMap<String, u64>,
    /// The claims of each Assignment, by its uid.
    #[serde(skip)]
    by_assignment: BTreeMap<String, BTreeSet<String>>,
    /// Reports that were numbered, and perhaps sent, and are not acknowledged.
    pub(crate) in_flight: VecDeque<Report>,
    /// The number of the last report of this start.
    pub(crate) sequence: u64,
    /// The last report that a server is known to have stored: start of the agent, and number.
    pub(crate) acknowledged: (u64, u64),
    /// Items dropped because too many waited.
    pub(crate) dropped: u64,
    /// When the server was last known to have heard of this node.
    pub(crate) heard: Option<Heard>,
    /// The history of the server's store that the desired state is of.
    pub(crate) epoch: Option<String>,
    /// When it became that one, if there was another before.
    pub(crate) crossed: Option<Heard>,
    /// What ran here of workloads that are forgotten, should a restored server bring them back.
    pub(crate) past: Past,
    /// How often each event was told.
    pub(crate) counts: Counts,
}

/// What is remembered of an Assignment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Memory {
    /// Every tick up to here was dealt with.
    pub(crate) cursor: Timestamp,
    /// Where the cursor was before a clock far behind it put it aside.
    pub(crate) aside: Option<Timestamp>,
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
    /// How the last finished run ended, in words.
    pub(crate) last_end: String,
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
    /// The Assignment's namespace and name, for when it is gone.
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Whether the timer was suspended when it was last looked at.
    pub(crate) suspended: bool,
    /// Replicas that their restart policy keeps down, and the generation of which they ended.
    pub(crate) down: BTreeMap<u32, i64>,
    /// What was last said, so that a transition keeps its time.
    pub(crate) conditions: Vec<Condition>,
    /// The workload's uid; empty where an older agent wrote this.
    pub(crate) workload: String,
    /// The history of the server's store in which the Assignment was last wanted.
    pub(crate) epoch: Option<String>,
    /// Whether it was this node's when the server's store got the history that it has.
    pub(crate) carried: bool,
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
    /// Everything that is not acknowledged is numbered anew, as if by this start of the agent.
    Renumber(u64),
    /// The node was last known to be heard at this boot time of this boot.
    Heard(Heard),
    /// An Assignment takes over all that is remembered of another one of the same workload.
    Inherit(Box<Heir>),
    /// The server's store has another history now.
    Epoch(Box<Crossing>),
}

/// From one history of the server's store to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crossing {
    /// The new one.
    pub(crate) epoch: String,
    /// The Assignments that are wanted in it.
    pub(crate) wanted: Vec<String>,
    /// Those of them that were this node's at that moment.
    pub(crate) carried: Vec<String>,
    /// When that was; none where there was no history before.
    pub(crate) at: Option<Heard>,
}

/// Who takes over what is remembered of an Assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heir {
    /// The Assignment that is no more.
    pub(crate) from: String,
    /// The one that takes its place.
    pub(crate) uid: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// When the node was last known to be heard by its server: where every lease begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Heard {
    /// Which boot.
    pub(crate) boot_id: String,
    /// Milliseconds since that boot.
    pub(crate) at_ms: u64,
}

impl Ledger {
    /// Applies a change.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Start => {
                self.agent_epoch = self.agent_epoch.saturating_add(1);
                self.sequence = 0;
            }
            Change::Whole(ledger) => {
                *self = *ledger;
                self.index();
            }
            Change::Remember(uid, memory) => {
                self.memories.insert(&uid, *memory);
            }
            Change::Forget(uid) => {
                if let Some(memory) = self.memories.remove(&uid) {
                    self.past.keep(memory);
                }
            }
            Change::Claim(claim) => {
                let of = self.by_assignment.entry(claim.assignment_uid.clone()).or_default();
                of.insert(claim.run_uid.clone());
                self.claims.insert(claim.run_uid.clone(), *claim);
            }
            Change::Release(run_uid) => self.release(&run_uid),
            Change::Report(about, item) => {
                self.counts.note(&about, &item);
                self.report(about, *item);
            }
            Change::Number(count) => self.number(count),
            Change::Renumber(epoch) => self.renumber(epoch),
            Change::Acknowledged(epoch, sequence) => {
                self.acknowledged = (epoch, sequence);
                self.in_flight.retain(|report| (report.agent_epoch, report.sequence) > (epoch, sequence));
            }
            Change::Heard(heard) => self.heard = Some(heard),
            Change::Inherit(heir) => self.inherit(*heir),
            Change::Epoch(crossing) => self.cross(*crossing),
        }
    }

    fn cross(&mut self, crossing: Crossing) {
        let [carried, wanted] =
            [&crossing.carried, &crossing.wanted].map(|uids| uids.iter().collect::<BTreeSet<_>>());
        for uid in self.memories.uids().map(str::to_owned).collect::<Vec<_>>() {
            let Some(mut memory) = self.memories.get(&uid) else { continue };
            memory.carried = carried.contains(&uid);
            if wanted.contains(&uid) {
                memory.epoch = Some(crossing.epoch.clone());
            }
            self.memories.insert(&uid, memory);
        }
        self.epoch = Some(crossing.epoch);
        self.crossed = crossing.at;
    }

    fn inherit(&mut self, heir: Heir) {
        let Some(mut memory) = self.memories.remove(&heir.from) else { return };
        (memory.namespace, memory.name) = (heir.namespace.clone(), heir.name.clone());
        self.memories.insert(&heir.uid, memory);
        for claim in self.claims.values_mut().filter(|claim| claim.assignment_uid == heir.from) {
            claim.assignment_uid.clone_from(&heir.uid);
            claim.assignment_name.clone_from(&heir.name);
            claim.namespace.clone_from(&heir.namespace);
        }
        self.index();
    }

    /// The executions of an Assignment that are not over, in the order of their making.
    pub(crate) fn claims_of(&self, assignment_uid: &str) -> impl Iterator<Item = &Claim> {
        let of = self.by_assignment.get(assignment_uid).into_iter().flatten();
        of.filter_map(|run_uid| self.claims.get(run_uid))
    }

    /// The Assignments that have claims.
    pub(crate) fn busy(&self) -> impl Iterator<Item = &String> {
        self.by_assignment.keys()
    }

    fn release(&mut self, run_uid: &str) {
        let Some(claim) = self.claims.remove(run_uid) else { return };
        if let Some(of) = self.by_assignment.get_mut(&claim.assignment_uid) {
            of.remove(run_uid);
            if of.is_empty() {
                self.by_assignment.remove(&claim.assignment_uid);
            }
        }
    }

    fn report(&mut self, about: String, item: ReportItem) {
        let next = self.pending.last_key_value().map_or(0, |(at, _)| at.saturating_add(1));
        if let Some(before) = self.about.insert(about.clone(), next) {
            self.pending.remove(&before);
        }
        self.pending.insert(next, (about, item));
        while self.pending.len() > MAX_PENDING {
            // Where Assignments stand, and that one has ended, must get through; there are only so many of these.
            let spare = |item: &ReportItem| matches!(item, ReportItem::Run { .. } | ReportItem::Event { .. });
            let oldest = self.pending.iter().find(|(_, (_, item))| spare(item)).map(|(at, _)| *at);
            let Some(oldest) = oldest.or_else(|| self.pending.keys().next().copied()) else { return };
            if let Some((about, _)) = self.pending.remove(&oldest) {
                self.about.remove(&about);
            }
            self.dropped += 1;
        }
    }

    fn number(&mut self, count: usize) {
        let mut items = Vec::new();
        while items.len() < count
            && let Some((_, (about, item))) = self.pending.pop_first()
        {
            self.about.remove(&about);
            items.push(item);
        }
        self.sequence = self.sequence.saturating_add(1);
        let report = Report { agent_epoch: self.agent_epoch, sequence: self.sequence, items };
        self.in_flight.push_back(report);
    }

    fn renumber(&mut self, epoch: u64) {
        (self.agent_epoch, self.sequence) = (epoch, 0);
        for report in &mut self.in_flight {
            self.sequence += 1;
            (report.agent_epoch, report.sequence) = (epoch, self.sequence);
        }
    }

    fn index(&mut self) {
        self.about = self.pending.iter().map(|(at, (about, _))| (about.clone(), *at)).collect();
        self.by_assignment.clear();
        for claim in self.claims.values() {
            let of = self.by_assignment.entry(claim.assignment_uid.clone()).or_default();
            of.insert(claim.run_uid.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn run(about: u16, version: usize) -> Change {
        let object = json!({"run": about, "version": version});
        Change::Report(format!("run/{about}"), Box::new(ReportItem::Run { object }))
    }

    #[test]
    fn too_many_reports_cost_the_oldest_runs_and_are_counted() {
        let mut ledger = Ledger::default();
        let gone =
            drover_wire::AssignmentIdentity { namespace: "n".into(), name: "a".into(), uid: "u".into() };
        ledger.apply(Change::Report("ended/u".into(), Box::new(ReportItem::Ended(gone))));
        for about in 0..MAX_PENDING + 5 {
            let object = json!(about);
            ledger.apply(Change::Report(format!("run/{about}"), Box::new(ReportItem::Run { object })));
        }
        assert_eq!((ledger.pending.len(), ledger.about.len()), (MAX_PENDING, MAX_PENDING));
        assert_eq!(ledger.dropped, 6);
        let first: Vec<&ReportItem> = ledger.pending.values().take(2).map(|(_, item)| item).collect();
        assert!(matches!(first[0], ReportItem::Ended(_)), "that something ended is never dropped");
        assert_eq!(*first[1], ReportItem::Run { object: json!(6) });
    }

    proptest! {
        /// However reports, numbers and compactions interleave: of each thing the latest is told last, and only once.
        #[test]
        fn of_everything_the_latest_is_told_last(steps in proptest::collection::vec((0..6_u16, 0..8_u8), 1..80)) {
            let mut ledger = Ledger::default();
            let mut latest = BTreeMap::new();
            for (version, (about, step)) in steps.into_iter().enumerate() {
                match step {
                    0 => ledger.apply(Change::Number(2)),
                    1 => {
                        let bytes = serde_json::to_vec(&ledger).unwrap();
                        ledger.apply(Change::Whole(Box::new(serde_json::from_slice(&bytes).unwrap())));
                    }
                    _ => {
                        ledger.apply(run(about, version));
                        latest.insert(about, version);
                    }
                }
                prop_assert_eq!(ledger.about.len(), ledger.pending.len());
            }
            let numbered = ledger.in_flight.iter().flat_map(|report| &report.items);
            let told: Vec<&ReportItem> =
                numbered.chain(ledger.pending.values().map(|(_, item)| item)).collect();
            for (about, version) in latest {
                let of = told.iter().filter_map(|item| match item {
                    ReportItem::Run { object } if object["run"] == about => Some(object["version"].as_u64()),
                    _ => None,
                });
                let of: Vec<_> = of.collect();
                prop_assert!(of.is_sorted(), "{of:?}");
                prop_assert_eq!(of.last().copied().flatten(), Some(version as u64));
            }
        }
    }
}
