//! What the loop does with what it is told.

use drover_mutants::{Mutant, active};
use drover_plan::node::run::Ended;
use drover_spawn::{Outcome, RunState};
use drover_wire::{Accepted, Report, ReportItem};

use crate::agent::Agent;
use crate::handle::{FoundRun, Message};
use crate::ledger::Change;

/// Reports under way at once.
const MAX_IN_FLIGHT: usize = 8;
/// Items in one report.
const MAX_REPORTED: usize = 256;
/// Bytes in one report, well below a frame's.
const MAX_BYTES: usize = 512 << 10;

impl Agent {
    pub(crate) fn receive(&mut self, message: Message) {
        match message {
            Message::Standing(answer) => {
                let _ = answer.send(self.standing());
            }
            Message::Welcomed(store_epoch, accepted, answer) => {
                let _ = answer.send(self.welcomed(&store_epoch, accepted));
            }
            Message::Desired(store_epoch, desired, answer) => {
                let _ = answer.send(self.take_over(store_epoch, *desired));
            }
            Message::Reports(after, answer) => {
                let _ = answer.send(self.reports(after));
            }
            Message::Acknowledged(epoch, sequence) => self.stage(Change::Acknowledged(epoch, sequence)),
            Message::Heard(at) => self.heard(at),
            Message::Trigger(trigger, answer) => {
                let now = self.now();
                let _ = answer.send(self.trigger(&trigger, now));
            }
            Message::Find(run_uid, answer) => {
                let _ = answer.send(self.find(&run_uid));
            }
            Message::Facts(facts) => {
                self.stage(Change::Report("node".into(), Box::new(ReportItem::Node { facts: *facts })));
            }
            Message::Look(run_uid) => {
                self.watch_again(&run_uid);
                self.touched.insert(run_uid);
            }
            Message::Buried(run_uid, state, whole) => self.buried(&run_uid, *state, whole),
        }
    }

    /// Whether a session could send more than it has.
    pub(crate) fn has_reports(&self) -> bool {
        let ledger = self.journal.ledger();
        !ledger.pending.is_empty() && ledger.in_flight.len() < MAX_IN_FLIGHT
    }

    pub(crate) fn number(&mut self) {
        while self.has_reports() {
            let count = self.fitting();
            self.stage_quietly(Change::Number(count));
        }
    }

    fn reports(&mut self, after: Option<Accepted>) -> Vec<Report> {
        self.number();
        // Numbered on disk before anybody sees the number.
        if !self.flush() {
            return Vec::new();
        }
        if active(Mutant::DroppedAck)
            && let Some(last) = after
        {
            self.stage(Change::Acknowledged(last.agent_epoch, last.sequence));
        }
        let at = |report: &Report| Accepted { agent_epoch: report.agent_epoch, sequence: report.sequence };
        let in_flight = self.journal.ledger().in_flight.iter();
        in_flight.filter(|report| after.is_none_or(|after| at(report) > after)).cloned().collect()
    }

    /// How many of the oldest items fit into one report; at least one, which is bounded by itself.
    fn fitting(&self) -> usize {
        let (mut count, mut bytes) = (0, 0);
        for (_, item) in self.journal.ledger().pending.values().take(MAX_REPORTED) {
            bytes += serde_json::to_vec(item).map_or(0, |json| json.len());
            if count > 0 && bytes > MAX_BYTES {
                break;
            }
            count += 1;
        }
        count
    }

    fn find(&self, run_uid: &str) -> Option<FoundRun> {
        let ledger = self.journal.ledger();
        if let Some(claim) = ledger.claims.get(run_uid) {
            return Some(FoundRun { run_dir: self.run_dir(&claim.run_uid), open: true });
        }
        // A finished run is one that this node remembers: a name from outside never becomes a path by itself.
        let known = ledger.memories.finished().find(|known| *known == run_uid)?;
        Some(FoundRun { run_dir: self.run_dir(known), open: false })
    }

    /// The tree of a run was killed, wholly or in part.
    fn buried(&mut self, run_uid: &str, state: RunState, whole: bool) {
        self.buried.remove(run_uid);
        if !whole {
            // Something of it cannot be killed yet; nothing takes its place.
            return self.bury(run_uid, state);
        }
        let Some(claim) = self.journal.ledger().claims.get(run_uid).cloned() else { return };
        let state = match self.host.look(&self.run_dir(run_uid)) {
            // Its keeper lives, and is about to record how it ended.
            Ok(look) if look.alive => {
                self.touched.insert(run_uid.to_owned());
                return;
            }
            Ok(look) => look.state,
            Err(_) => state,
        };
        let ended = match &state {
            RunState::Exited(_, exited) => match exited.outcome {
                Outcome::Code(code) => Ended::Code(code),
                Outcome::Signal(number) => Ended::Signal(number),
            },
            RunState::Started(_) if active(Mutant::AssumedExitCode) => Ended::Code(0),
            RunState::Nothing | RunState::Started(_) | RunState::FailedToStart(_) => Ended::KeeperDied,
        };
        let now = self.now();
        if ended == Ended::KeeperDied {
            let message =
                format!("the keeper of run {} was killed; its processes were ended", claim.run_name);
            self.event(&claim.workload, &claim.namespace, "KeeperDied", &message);
        }
        self.ended(&claim, &state, ended, now);
    }
}
