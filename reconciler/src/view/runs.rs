//! Runs by what they are looked for: a workload on a node, and for those that go on, the node and the Assignment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use drover_client::{Change, Key};
use drover_plan::fleet::run::NODE_UNREACHABLE;

use super::assignments::unlink;
use super::objects::SlimRun;
use crate::queues::Slot;

#[derive(Default)]
struct State {
    by_slot: BTreeMap<Slot, BTreeSet<Key>>,
    open_on_node: BTreeMap<String, BTreeSet<Key>>,
    open_of_assignment: BTreeMap<Key, BTreeSet<Key>>,
}

/// The index. Its lock is held for one operation at a time.
#[derive(Default)]
pub(crate) struct RunIndex(Mutex<State>);

/// The slot of a Run.
pub(crate) fn slot_of(run: &SlimRun) -> Slot {
    Slot { workload: run.0.spec.workload_ref.uid.clone(), node: run.0.spec.node_name.clone() }
}

/// Whether the reconciler may have something to say of a Run: it goes on, or says that it is unreachable.
pub(crate) fn is_open(run: &SlimRun) -> bool {
    let Some(status) = &run.0.status else { return true };
    !status.phase.is_finished() || status.conditions.iter().any(|c| c.type_ == NODE_UNREACHABLE)
}

fn assignment_of(key: &Key, run: &SlimRun) -> Key {
    Key { namespace: key.namespace.clone(), name: run.0.spec.assignment_ref.clone() }
}

impl RunIndex {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the watch shows.
    pub(crate) fn observe(&self, change: &Change<'_, SlimRun>) {
        let mut state = self.lock();
        if let Some(old) = change.old {
            unlink(&mut state.by_slot, &slot_of(old), change.key);
            unlink(&mut state.open_on_node, &old.0.spec.node_name, change.key);
            unlink(&mut state.open_of_assignment, &assignment_of(change.key, old), change.key);
        }
        let Some(new) = change.new else { return };
        state.by_slot.entry(slot_of(new)).or_default().insert(change.key.clone());
        if is_open(new) {
            let node = new.0.spec.node_name.clone();
            state.open_on_node.entry(node).or_default().insert(change.key.clone());
            let assignment = assignment_of(change.key, new);
            state.open_of_assignment.entry(assignment).or_default().insert(change.key.clone());
        }
    }

    /// Those of a workload on a node.
    pub(crate) fn in_slot(&self, slot: &Slot) -> Vec<Key> {
        self.lock().by_slot.get(slot).into_iter().flatten().cloned().collect()
    }

    /// The slots of a workload.
    pub(crate) fn slots_of(&self, workload: &str) -> Vec<Slot> {
        let first = Slot { workload: workload.to_owned(), node: String::new() };
        let state = self.lock();
        let slots = state.by_slot.range(first..).map(|(slot, _)| slot);
        slots.take_while(|slot| slot.workload == workload).cloned().collect()
    }

    /// Every slot.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        self.lock().by_slot.keys().cloned().collect()
    }

    /// Those that go on on a node.
    pub(crate) fn open_on_node(&self, node: &str) -> Vec<Key> {
        self.lock().open_on_node.get(node).into_iter().flatten().cloned().collect()
    }

    /// Those that go on of an Assignment.
    pub(crate) fn open_of_assignment(&self, assignment: &Key) -> Vec<Key> {
        self.lock().open_of_assignment.get(assignment).into_iter().flatten().cloned().collect()
    }

    /// All that go on.
    pub(crate) fn open(&self) -> Vec<Key> {
        self.lock().open_on_node.values().flatten().cloned().collect()
    }
}
