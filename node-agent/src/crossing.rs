//! From one history of the server's store to another, as a restore makes it: what runs and what ran is matched with what is
//! wanted by the workload, as the Assignments may be others.

use std::sync::Arc;
use std::time::Duration;

use drover_plan::node::Now;
use drover_types::kinds::assignment::Assignment;

use crate::agent::Agent;
use crate::ledger::{Change, Crossing, Heard, Heir};

impl Agent {
    /// Takes note of the history that the desired state is of, if it is another than before. Nothing is planned between
    /// that state's way to the disk and this; an agent that died between the two does it at its next start.
    pub(crate) fn cross(&mut self) {
        let Some(epoch) = self.store_epoch.clone() else { return };
        let before = self.journal.ledger().epoch.clone();
        if before.as_ref() == Some(&epoch) {
            return;
        }
        let now = self.now();
        if before.is_some() {
            tracing::info!(
                epoch,
                "the server's store has another history: it was restored, or is another one"
            );
            let memories = &self.journal.ledger().memories;
            let unknown = self.desired.uids().filter(|uid| !memories.contains(uid));
            for uid in unknown.cloned().collect::<Vec<_>>() {
                // One that cannot be read now takes over what it is heir to when it is first planned.
                if let Ok(Some(assignment)) = self.desired.get(&uid) {
                    self.inherit(&assignment, now);
                }
            }
        }
        let wanted: Vec<String> = self.desired.uids().map(|uid| (**uid).to_owned()).collect();
        let ledger = self.journal.ledger();
        let is_ours = |uid: &&String| {
            let leased = self.desired.leased().contains_key(uid.as_str());
            let holds = |assignment: &Arc<Assignment>| self.lease(assignment, now).holds();
            let held = !leased || self.desired.get(uid).is_ok_and(|held| held.as_ref().is_some_and(holds));
            held && ledger.memories.contains(uid)
        };
        let carried = wanted.iter().filter(is_ours).cloned().collect();
        let at_ms = u64::try_from(now.boottime.as_millis()).unwrap_or(u64::MAX);
        let at = before.is_some().then(|| Heard { boot_id: self.config.boot_id.clone(), at_ms });
        self.stage_quietly(Change::Epoch(Box::new(Crossing { epoch, wanted, carried, at })));
        if before.is_some() && self.welcomed {
            // What was told before was told of Assignments that may be gone.
            self.tell_all_again();
        }
    }

    /// Until when a workload that may move must not start here because the server was restored: before that it may have
    /// moved, and the node that it moved to goes on until it is told, or its lease is over. None where this node had it.
    pub(crate) fn fenced_until(&self, assignment: &Assignment, now: Now) -> Option<Duration> {
        let lease = assignment.spec.lease?.to_std();
        let ledger = self.journal.ledger();
        let crossed = ledger.crossed.as_ref()?;
        if ledger.memories.is_carried(&assignment.metadata.uid) {
            return None;
        }
        // Of another boot all that is known is that it was before this one.
        let here = crossed.boot_id == self.config.boot_id;
        let since = if here { Duration::from_millis(crossed.at_ms) } else { Duration::ZERO };
        Some(since.saturating_add(lease)).filter(|until| *until > now.boottime)
    }

    /// Gives an Assignment that is not known yet what another history left of its workload: whether there was anything.
    pub(crate) fn inherit(&mut self, assignment: &Assignment, now: Now) -> bool {
        let (uid, workload) = (&assignment.metadata.uid, &assignment.spec.workload_ref.uid);
        let epoch = self.store_epoch.as_deref();
        let ledger = self.journal.ledger();
        let is_old = |(held, of): &(&str, Option<&str>)| *of != epoch && !self.desired.contains(held);
        let of_old = ledger.memories.of_workload(workload).find(is_old);
        let heir = |from: &str| Heir {
            from: from.to_owned(),
            uid: uid.clone(),
            namespace: assignment.metadata.namespace.clone().unwrap_or_default(),
            name: assignment.metadata.name.clone(),
        };
        if let Some((from, _)) = of_old {
            let heir = heir(from);
            if let Some(armed) = self.timers.remove(heir.from.as_str()) {
                self.timers.insert(self.desired.key(uid), armed);
            }
            let mine: Vec<u32> = self
                .replicas
                .keys()
                .filter(|(of, _)| *of == heir.from)
                .map(|(_, replica)| *replica)
                .collect();
            for replica in mine {
                if let Some(slot) = self.replicas.remove(&(heir.from.clone(), replica)) {
                    self.replicas.insert((uid.clone(), replica), slot);
                }
            }
            self.dirty.insert(uid.clone());
            self.changed.insert(uid.clone());
            self.stage_quietly(Change::Inherit(Box::new(heir)));
            return true;
        }
        let Some(mut memory) = ledger.past.recall(workload, epoch, now.wall) else { return false };
        let heir = heir("");
        (memory.namespace, memory.name) = (heir.namespace, heir.name);
        memory.epoch = self.store_epoch.clone();
        self.stage(Change::Remember(heir.uid, Box::new(memory)));
        true
    }
}
