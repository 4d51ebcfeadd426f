//! Which change wakes which controller. A key that finds no room is found again by a resync.

use std::sync::Arc;
use std::time::Duration;

use drover_client::{Change, Key};
use drover_mutants::{Mutant, active};
use drover_plan::fleet::node::{is_ready, ready_condition};
use drover_types::kinds::{Assignment, Namespace, Node, NodePool, Service, Task, Timer};
use drover_types::{API_VERSION, Kind, ObjectMeta};

use crate::queues::{Queues, Which, WorkloadKey};
use crate::view::{Bare, HasMeta, Id, Index, SeenEvent, SlimRun, is_open, slot_of};

/// What a trigger can reach.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) index: Arc<Index>,
    pub(crate) queues: Arc<Queues>,
    /// How long changes are gathered that add up.
    pub(crate) coalesce: Duration,
    /// How long changes are gathered that decide nothing.
    pub(crate) refresh: Duration,
}

/// Whether anything but status changed.
fn is_new_wish<T: HasMeta>(change: &Change<'_, T>) -> bool {
    let (Some(old), Some(new)) = (change.old, change.new) else { return true };
    let (old, new) = (old.meta(), new.meta());
    old.uid != new.uid
        || old.generation != new.generation
        || old.deletion_timestamp != new.deletion_timestamp
        || old.labels != new.labels
        || old.finalizers != new.finalizers
}

fn workload<T: HasMeta>(scene: &Scene, kind: Kind, change: &Change<'_, T>) {
    let key = WorkloadKey::One(kind, change.key.clone());
    if is_new_wish(change) {
        let _ = scene.queues.workloads.add(key);
    } else {
        // Its own status, most likely; if somebody else wrote that, it is put right.
        let _ = scene.queues.workloads.add_after(key, scene.refresh);
    }
}

/// Whether a change of an Assignment may turn anything about its workload, beside times and counts.
fn is_news(change: &Change<'_, Assignment>) -> bool {
    let (Some(old), Some(new)) = (change.old, change.new) else { return true };
    let says = |a: &Assignment| {
        a.status.as_ref().map(|s| {
            let conditions: Vec<_> = s.conditions.iter().map(|c| (c.type_.clone(), c.status)).collect();
            (s.observed_generation, s.ready, s.last_phase, s.outcome, s.start_time, conditions)
        })
    };
    is_new_wish(change) || old.spec != new.spec || says(old) != says(new)
}

/// A ServiceAccount changed: a namespace is to have one again.
pub(crate) fn account(scene: &Scene, change: &Change<'_, Bare>) {
    if change.new.is_none() {
        let _ = scene.queues.namespaces.add(change.key.namespace.clone());
    }
}

/// A Timer changed.
pub(crate) fn timer(scene: &Scene, change: &Change<'_, Timer>) {
    workload(scene, Kind::Timer, change);
    let limits = |t: &Arc<Timer>| (t.spec.successful_runs_history_limit, t.spec.failed_runs_history_limit);
    if let (Some(old), Some(new)) = (change.old, change.new)
        && limits(old) != limits(new)
    {
        for slot in scene.index.runs.slots_of(&new.metadata.uid) {
            let _ = scene.queues.history.add(slot);
        }
    }
}

/// A Task changed.
pub(crate) fn task(scene: &Scene, change: &Change<'_, Task>) {
    workload(scene, Kind::Task, change);
}

/// A Service changed.
pub(crate) fn service(scene: &Scene, change: &Change<'_, Service>) {
    workload(scene, Kind::Service, change);
}

/// An Assignment changed.
pub(crate) fn assignment(scene: &Scene, change: &Change<'_, Assignment>) {
    scene.index.assignments.observe(change);
    let Some(either) = change.new.or(change.old) else { return };
    if let Some(workload) = workload_of(either) {
        let delay = if is_news(change) { scene.coalesce } else { scene.refresh };
        let _ = scene.queues.workloads.add_after(workload, delay);
    }
    if change.new.is_some_and(|new| new.metadata.deletion_timestamp.is_some()) {
        let _ = scene.queues.assignments.add(change.key.clone());
        for run in scene.index.runs.open_of_assignment(change.key) {
            let _ = scene.queues.runs.add(run);
        }
    }
}

fn workload_of(assignment: &Assignment) -> Option<WorkloadKey> {
    let owner = &assignment.spec.workload_ref;
    let kind = Kind::by_gvk(API_VERSION, &owner.kind)?;
    let namespace = assignment.metadata.namespace.clone().unwrap_or_default();
    Some(WorkloadKey::One(kind, Key { namespace, name: owner.name.clone() }))
}

/// A Run changed.
pub(crate) fn run(scene: &Scene, change: &Change<'_, SlimRun>) {
    scene.index.runs.observe(change);
    let Some(new) = change.new else { return };
    if is_open(new) {
        let _ = scene.queues.runs.add(change.key.clone());
    }
    if new.0.status.as_ref().is_some_and(|status| status.phase.is_finished()) {
        let _ = scene.queues.history.add_after(slot_of(new), scene.coalesce);
    }
}

/// A Node changed.
pub(crate) fn node(scene: &Scene, change: &Change<'_, Node>) {
    let queues = &scene.queues;
    let name = &change.key.name;
    let moved = match (change.old, change.new) {
        (Some(old), Some(new)) => {
            old.metadata.uid != new.metadata.uid
                || old.metadata.labels != new.metadata.labels
                || old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
                || old.spec != new.spec
        }
        _ => true,
    };
    let readiness = |node: Option<&Arc<Node>>| {
        node.and_then(|node| ready_condition(node)).map(|c| (c.status, c.last_transition_time))
    };
    let turned = readiness(change.old) != readiness(change.new);
    if change.new.is_some() {
        let _ = queues.nodes.add(Which::One(name.clone()));
    }
    if moved && !active(Mutant::LostWakeUp) {
        let _ = queues.workloads.add_after(WorkloadKey::All, scene.coalesce);
    } else if turned {
        let _ = queues.workloads.add_after(WorkloadKey::Counted, scene.coalesce);
        // Their statuses say how many nodes cannot be reached.
        let held = scene.index.assignments.on_node(name);
        let held = held.iter().filter_map(|key| scene.index.assignments.get(key));
        for workload in held.filter_map(|assignment| workload_of(&assignment)) {
            let _ = queues.workloads.add_after(workload, scene.refresh);
        }
    }
    if moved || change.old.is_some_and(|n| is_ready(n)) != change.new.is_some_and(|n| is_ready(n)) {
        let _ = queues.pools.add_after(Which::All, scene.coalesce);
    }
    if turned || moved {
        for run in scene.index.runs.open_on_node(name) {
            let _ = queues.runs.add(run);
        }
    }
    let other = change.old.zip(change.new).is_some_and(|(old, new)| old.metadata.uid != new.metadata.uid);
    if change.new.is_none() || other {
        for key in scene.index.assignments.on_node(name) {
            let _ = queues.assignments.add(key);
        }
    }
}

/// A NodePool changed.
pub(crate) fn pool(scene: &Scene, change: &Change<'_, NodePool>) {
    if is_new_wish(change) {
        let _ = scene.queues.nodes.add(Which::All);
        let _ = scene.queues.pools.add(Which::All);
    } else {
        let _ = scene.queues.pools.add_after(Which::One(change.key.name.clone()), scene.coalesce);
    }
}

/// A Namespace changed.
pub(crate) fn namespace(scene: &Scene, change: &Change<'_, Namespace>) {
    if change.new.is_some() {
        let _ = scene.queues.namespaces.add(change.key.name.clone());
    }
}

/// An Event changed.
pub(crate) fn event(scene: &Scene, change: &Change<'_, SeenEvent>) {
    if change.new.is_some() {
        let _ = scene.queues.expiry.add_after((), Duration::from_secs(1).max(scene.coalesce));
    }
}

/// Anything changed: what concerns owners and namespaces, whatever the kind.
pub(crate) fn any(scene: &Scene, id: &Id, old: Option<&ObjectMeta>, new: Option<&ObjectMeta>) {
    let graph = &scene.index.graph;
    let garbage = &scene.queues.garbage;
    // Also when a namesake took its place, which a relist may show as a change.
    let gone = old.filter(|old| new.is_none_or(|new| new.uid != old.uid));
    if let Some(gone) = gone {
        for dependent in graph.dependents(&gone.uid) {
            let _ = garbage.add(dependent);
        }
        if graph.is_terminating(&id.1.namespace) {
            let _ = scene.queues.namespaces.add_after(id.1.namespace.clone(), scene.coalesce);
        }
    }
    // An owner may wait for this one.
    if let Some(old) = old.filter(|old| new.is_none_or(|new| new.owner_references != old.owner_references)) {
        for owner in &old.owner_references {
            if let Some(owner) = graph.find(&owner.uid) {
                let _ = garbage.add(owner);
            }
        }
    }
    let Some(new) = new else { return };
    let going = new.deletion_timestamp.is_some() && !new.finalizers.is_empty();
    if going || (!new.owner_references.is_empty() && !graph.has_owner(new)) {
        let _ = garbage.add(id.clone());
    }
}
