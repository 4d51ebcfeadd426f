//! The desired state as the server sends it: taken over whole or not at all, and kept on disk, so that the node goes on
//! with it when there is no server.

use std::collections::BTreeSet;
use std::sync::Arc;

use drover_spawn::memory::forget_freed;
use drover_types::kinds::assignment::{Assignment, AssignmentStatus};
use drover_types::{Condition, ConditionStatus};
use drover_wire::{Accepted, Desired, ReportItem, StatusReport};
use serde::Deserialize;
use serde_json::Value;

use crate::agent::Agent;
use crate::handle::{AgentError, Standing};
use crate::ledger::Change;
use crate::shelf::{Head, Update};
use crate::welcome::WENT_BACK;

/// A state of so many Assignments took several times as much memory while it was read.
const LARGE: usize = 256;
/// As many as a hello may hold.
const MAX_OPEN_RUNS: usize = 4096;

impl Agent {
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            agent_epoch: self.journal.ledger().agent_epoch,
            store_epoch: self.store_epoch.clone(),
            revision: self.revision,
            open_runs: self.open_runs(),
            acknowledged: self.store_epoch.as_ref().map(|_| {
                let (agent_epoch, sequence) = self.journal.ledger().acknowledged;
                Accepted { agent_epoch, sequence }
            }),
        }
    }

    fn open_runs(&self) -> Option<Vec<String>> {
        let ledger = self.journal.ledger();
        let numbered = ledger.in_flight.iter().flat_map(|report| &report.items);
        let told = numbered.chain(ledger.pending.values().map(|(_, item)| item));
        let told = told.filter_map(|item| match item {
            ReportItem::Run { object } => object.pointer("/metadata/uid")?.as_str().map(str::to_owned),
            _ => None,
        });
        let open: BTreeSet<String> = ledger.claims.keys().cloned().chain(told).collect();
        (open.len() <= MAX_OPEN_RUNS).then(|| open.into_iter().collect())
    }

    /// Takes over a desired state: all of it is on disk and in force, or nothing of it is.
    pub(crate) fn take_over(&mut self, store_epoch: String, desired: Desired) -> Result<(), AgentError> {
        let known = self.store_epoch.as_deref() == Some(&store_epoch) && self.revision.is_some();
        if !desired.full && !known {
            return Err(AgentError::Refused("a change of a state that this node does not have".into()));
        }
        if let Some(held) = self.revision
            && self.store_epoch.as_deref() == Some(&store_epoch)
            && desired.revision < held
        {
            return Err(AgentError::Refused(format!(
                "it is of revision {}, and this node already has revision {held} of the same store; {WENT_BACK}",
                desired.revision
            )));
        }
        // Whoever uses a value is looked at again, and there is no list of who does.
        let everything =
            desired.full || !desired.materials.is_empty() || !desired.dropped_materials.is_empty();
        let mut touched: BTreeSet<String> = desired.removed.iter().cloned().collect();
        let large = desired.assignments.len() >= LARGE;
        let mut update = Update { full: desired.full, put: Vec::new(), removed: desired.removed };
        for value in desired.assignments {
            match Assignment::deserialize(&value) {
                Ok(assignment) => {
                    touched.insert(assignment.metadata.uid.clone());
                    update.put.push(Arc::new(assignment));
                }
                // One that this version cannot read holds up no other.
                Err(error) => self.unreadable(&value, &error.to_string()),
            }
        }
        // Values come before who uses them and go after: an Assignment is never there without them.
        self.materials.add(desired.full, desired.materials)?;
        let head = Head {
            node_uid: self.config.node_uid.clone(),
            store_epoch: Some(store_epoch),
            revision: Some(desired.revision),
            pool: desired.pool.unwrap_or_else(|| self.pool.clone()),
            ..Head::default()
        };
        if everything {
            touched.extend(self.desired.uids().map(|uid| (**uid).to_owned()));
        }
        self.desired.update(head.clone(), update)?;
        (self.store_epoch, self.revision, self.pool) = (head.store_epoch, head.revision, head.pool);
        self.cross();
        if std::mem::take(&mut self.lost) {
            // Now it is known which of what was found running is not wanted any more.
            touched.extend(self.known());
        }
        for uid in touched {
            // What was missing may be there now, and the other way round.
            self.problems.remove(&uid);
            self.desired.uncheck(&uid);
            self.changed.insert(uid.clone());
            self.dirty.insert(uid);
        }
        if let Err(error) = self.materials.drop_unused(&desired.dropped_materials) {
            tracing::warn!(%error, "values that nothing uses any more stay on disk for now");
        }
        if large {
            forget_freed();
        }
        Ok(())
    }

    fn unreadable(&mut self, assignment: &Value, error: &str) {
        let text = |field: &str| {
            let value = assignment.get("metadata").and_then(|metadata| metadata.get(field)?.as_str());
            value.unwrap_or_default().to_owned()
        };
        let (namespace, name, uid) = (text("namespace"), text("name"), text("uid"));
        tracing::error!(name, error, "an Assignment cannot be read and is left as it was");
        let ready = Condition {
            type_: "Ready".into(),
            status: ConditionStatus::False,
            observed_generation: None,
            last_transition_time: self.world.clock.now(),
            reason: "Unreadable".into(),
            message: format!("this agent cannot read it: {error}"),
        };
        let status = AssignmentStatus { conditions: vec![ready], ..AssignmentStatus::default() };
        let status = serde_json::to_value(status).unwrap_or_default();
        let about = format!("status/{uid}");
        let report = StatusReport { namespace, name, uid, status };
        self.stage_quietly(Change::Report(about, Box::new(ReportItem::AssignmentStatus(report))));
    }
}
