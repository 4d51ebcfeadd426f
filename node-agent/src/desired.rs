//! The desired state on disk: taken over whole, so that the node goes on with it when there is no server.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use drover_spawn::memory::forget_freed;
use drover_types::kinds::assignment::{Assignment, AssignmentStatus};
use drover_types::{Condition, ConditionStatus};
use drover_wire::{Accepted, Desired, PoolSettings, ReportItem, StatusReport};
use drover_world::Disk;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::Agent;
use crate::config::Config;
use crate::handle::{AgentError, Standing};
use crate::ledger::Change;
use crate::welcome::WENT_BACK;

const NAME: &str = "desired.json";
const MAX_BYTES: u64 = 128 << 20;
/// A state of this size took several times as much while it was read and written.
const LARGE: usize = 1 << 20;
/// As many as a hello may hold.
const MAX_OPEN_RUNS: usize = 4096;

/// Desired state as it is on disk.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stored {
    /// Of which Node. Another one of the same name is owed everything anew.
    node_uid: String,
    pub(crate) store_epoch: Option<String>,
    pub(crate) revision: Option<u64>,
    /// Shared: there may be thousands, and they are not copied to be written.
    pub(crate) assignments: Vec<Arc<Assignment>>,
    pub(crate) pool: PoolSettings,
    /// There was one, and it cannot be read: why. What was desired is not known, which is not the same as nothing.
    #[serde(skip)]
    pub(crate) lost: Option<String>,
}

impl Stored {
    /// What was stored last. What was stored for another Node is done until its own state arrives, which replaces it.
    /// `is_new`: whether the journal knows of no Assignment either.
    pub(crate) fn read(disk: &dyn Disk, config: &Config, is_new: bool) -> Self {
        let path = config.data_dir.join(NAME);
        let mut stored = match disk.read(&path, MAX_BYTES) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                // For whoever wants to know what it was: the next state replaces the file itself.
                let aside = config.data_dir.join(format!("{NAME}.unreadable"));
                if let Err(error) = disk.write_atomic(&aside, &bytes, 0o600) {
                    tracing::warn!(%error, "the unreadable desired state was not set aside");
                }
                Self::lost(error.to_string())
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_new => Self::default(),
            Err(error) => Self::lost(error.to_string()),
        };
        if stored.node_uid != config.node_uid {
            stored.store_epoch = None;
            stored.revision = None;
        }
        stored
    }

    fn lost(why: String) -> Self {
        Self { lost: Some(why), ..Self::default() }
    }
}

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
        if !desired.full && self.store_epoch.as_deref() != Some(&store_epoch) {
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
        let mut next = if desired.full { BTreeMap::new() } else { self.desired.clone() };
        for uid in &desired.removed {
            next.remove(uid);
        }
        for value in desired.assignments {
            match Assignment::deserialize(&value) {
                Ok(assignment) => {
                    touched.insert(assignment.metadata.uid.clone());
                    next.insert(assignment.metadata.uid.clone(), Arc::new(assignment));
                }
                // One that this version cannot read holds up no other.
                Err(error) => self.unreadable(&value, &error.to_string()),
            }
        }
        // Values come before who uses them and go after: an Assignment is never there without them.
        self.materials.add(desired.full, desired.materials)?;
        let stored = Stored {
            node_uid: self.config.node_uid.clone(),
            store_epoch: Some(store_epoch),
            revision: Some(desired.revision),
            assignments: next.values().cloned().collect(),
            pool: desired.pool.unwrap_or_else(|| self.pool.clone()),
            lost: None,
        };
        let bytes = serde_json::to_vec(&stored).map_err(io::Error::from)?;
        self.disk.write_atomic(&self.config.data_dir.join(NAME), &bytes, 0o600)?;
        let large = bytes.len() >= LARGE;
        drop(bytes);
        self.store_epoch = stored.store_epoch;
        self.revision = stored.revision;
        self.pool = stored.pool;
        if everything {
            touched.extend(self.desired.keys().chain(next.keys()).cloned());
        }
        self.desired = next;
        self.cross();
        if std::mem::take(&mut self.lost) {
            // Now it is known which of what was found running is not wanted any more.
            touched.extend(self.known());
        }
        for uid in touched {
            // What was missing may be there now, and the other way round.
            self.problems.remove(&uid);
            self.checked.remove(&uid);
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
