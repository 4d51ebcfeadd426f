//! Which nodes have an Assignment of a workload: those that match, or a stable choice of `count` of them.
//!
//! A node keeps what it has through a cordon and through taints. A slot of `count` is free only once nothing on
//! its node can be alive any more: the Assignment is gone, its Node is, or the lease that it had is over.

use std::collections::{BTreeMap, BTreeSet};

use drover_mutants::{Mutant, active};
use drover_types::kinds::core::Taint;
use drover_types::kinds::placement::{Operator, Placement, Requirement, Toleration, TolerationOperator};
use drover_types::kinds::{Assignment, Node};
use drover_types::{ConditionStatus, Duration};
use jiff::Timestamp;

use super::assignment::{Workload, assignment_name, build, held_for, is_for, rank};
use super::node::{bears, is_ready, unknown_since};

/// What is waited beyond lease and grace before a successor is placed: room for what clocks and stops cost.
const MARGIN: Duration = Duration::from_secs(10);

/// One change to the Assignments of a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make it.
    Create(Box<Assignment>),
    /// Replace its spec and labels.
    Update(Box<Assignment>),
    /// Delete it, if it still has this uid.
    Delete {
        /// Its name.
        name: String,
        /// Its uid.
        uid: String,
        /// CamelCase word: why.
        reason: &'static str,
    },
}

/// What to do for a workload, and what follows from it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// What to do.
    pub actions: Vec<Action>,
    /// How many nodes should have it: those that have it or get it, and what `count` lacks.
    pub desired: u32,
    /// How many of those no node could be found for.
    pub missing: u32,
    /// When to decide again although nothing happens.
    pub wake_at: Option<Timestamp>,
    /// Nodes whose silence frees a slot of `count`. Whoever carries the plan out looks, before the deletes and again
    /// before the creates, whether they are still silent.
    pub silent: BTreeSet<String>,
}

/// Whether a node is one of those that a placement speaks of, whether or not it takes new work.
pub fn matches(placement: Option<&Placement>, node: &Node) -> bool {
    let Some(placement) = placement else { return true };
    placement.node_name.as_ref().is_none_or(|name| *name == node.metadata.name)
        && bears(&node.metadata.labels, &placement.node_selector)
        && placement.match_expressions.iter().all(|r| meets(r, &node.metadata.labels))
}

fn meets(requirement: &Requirement, labels: &BTreeMap<String, String>) -> bool {
    let value = labels.get(&requirement.key);
    let compare = |order| {
        let number = |text: &String| text.parse::<i64>().ok();
        let (Some(have), Some(want)) = (value.and_then(number), requirement.values.first().and_then(number))
        else {
            return false;
        };
        have.cmp(&want) == order
    };
    match requirement.operator {
        Operator::In => value.is_some_and(|v| requirement.values.contains(v)),
        Operator::NotIn => value.is_none_or(|v| !requirement.values.contains(v)),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
        Operator::Gt => compare(std::cmp::Ordering::Greater),
        Operator::Lt => compare(std::cmp::Ordering::Less),
    }
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let exists = toleration.operator == Some(TolerationOperator::Exists);
    let key = toleration.key.as_deref().filter(|key| !key.is_empty());
    let effect = toleration.effect.as_deref().filter(|effect| !effect.is_empty());
    key.map_or(exists, |key| key == taint.key)
        && effect.is_none_or(|effect| effect == taint.effect)
        && (exists
            || toleration.value.as_deref().unwrap_or_default() == taint.value.as_deref().unwrap_or_default())
}

/// Whether a node takes new work of a placement that matches it.
pub fn takes_new(placement: Option<&Placement>, node: &Node) -> bool {
    let tolerations = placement.map_or(&[][..], |p| &p.tolerations[..]);
    node.metadata.deletion_timestamp.is_none()
        && node.spec.unschedulable != Some(true)
        && node
            .spec
            .taints
            .iter()
            .filter(|taint| taint.effect != "PreferNoSchedule")
            .all(|taint| tolerations.iter().any(|t| tolerates(t, taint)))
}

/// Whether a Once Task has ended for good: the nodes it chose are all it will ever have.
fn is_frozen(workload: Workload<'_>) -> bool {
    let Workload::Task(task) = workload else { return false };
    task.status
        .iter()
        .flat_map(|s| &s.conditions)
        .any(|c| c.status == ConditionStatus::True && (c.type_ == "Complete" || c.type_ == "Failed"))
}

fn has_ended(assignment: &Assignment) -> bool {
    assignment.status.as_ref().is_some_and(|s| s.outcome.is_some())
}

fn delete(assignment: &Assignment, reason: &'static str) -> Action {
    let metadata = &assignment.metadata;
    Action::Delete { name: metadata.name.clone(), uid: metadata.uid.clone(), reason }
}

/// Whether a workload goes elsewhere by itself, and after what silence of its node.
fn failover_after(workload: Workload<'_>) -> Option<Duration> {
    workload.placement().filter(|p| p.count.is_some())?.failover_after
}

/// When nothing of an Assignment can be alive on its node any more; `None`: nobody can tell.
pub fn lease_end(assignment: &Assignment, node: &Node) -> Option<Timestamp> {
    let end = unknown_since(node)?.checked_add(held_for(assignment)?.to_signed()).ok()?;
    end.checked_add(MARGIN.to_signed()).ok()
}

/// When an Assignment may move away from its node.
fn moves_at(workload: Workload<'_>, assignment: &Assignment, node: &Node) -> Option<Timestamp> {
    let mut asked = unknown_since(node)?;
    for part in [failover_after(workload)?, workload.grace(), MARGIN] {
        asked = asked.checked_add(part.to_signed()).ok()?;
    }
    Some(asked.max(lease_end(assignment, node)?))
}

/// Decides which nodes have an Assignment of `workload`. `assignments` are those that it owns, by uid.
pub fn plan(workload: Workload<'_>, nodes: &[&Node], assignments: &[&Assignment], now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let placement = workload.placement();
    if !workload.is_placed() || workload.metadata().deletion_timestamp.is_some() {
        return plan;
    }
    let by_name: BTreeMap<&str, &Node> = nodes.iter().map(|n| (n.metadata.name.as_str(), *n)).collect();
    let host = |a: &Assignment| by_name.get(a.spec.node_name.as_str()).copied().filter(|n| is_for(a, n));
    let is_task = matches!(workload, Workload::Task(_));
    let frozen = is_frozen(workload);

    let mut kept: Vec<(&Assignment, Option<&Node>)> = Vec::new();
    let mut leaving: u32 = 0;
    for assignment in assignments.iter().copied() {
        let node = host(assignment);
        if assignment.metadata.deletion_timestamp.is_some() {
            leaving += u32::from(node.is_some_and(|n| occupied(assignment, n, now, &mut plan)));
            continue;
        }
        // What a node made of a Task is kept as long as the Task is, wherever that node went.
        if is_task && has_ended(assignment) {
            kept.push((assignment, node));
            continue;
        }
        match node {
            None => plan.actions.push(delete(assignment, "NodeDeleted")),
            Some(node) if node.metadata.deletion_timestamp.is_some() => {
                plan.actions.push(delete(assignment, "NodeDeleted"));
                leaving += u32::from(occupied(assignment, node, now, &mut plan));
            }
            Some(node) if !frozen && !matches(placement, node) => {
                plan.actions.push(delete(assignment, "NodeNoLongerMatches"));
                leaving += u32::from(occupied(assignment, node, now, &mut plan));
            }
            Some(_) => kept.push((assignment, node)),
        }
    }

    let mut fresh: Vec<&Node> = Vec::new();
    if !frozen {
        let names: BTreeSet<&str> = assignments.iter().map(|a| a.metadata.name.as_str()).collect();
        let taken =
            |node: &Node| names.contains(assignment_name(workload.metadata(), &node.metadata).as_str());
        fresh = nodes
            .iter()
            .copied()
            .filter(|n| matches(placement, n) && takes_new(placement, n) && !taken(n))
            .collect();
        fresh.sort_by_key(|n| rank(&workload.metadata().uid, &n.metadata.uid));
    }
    if active(Mutant::ForgottenLeaving) {
        leaving = 0;
    }
    let mut candidates = Candidates { kept, fresh, leaving };
    match placement.and_then(|p| p.count).filter(|_| !frozen) {
        Some(count) => choose(workload, count, &mut candidates, now, &mut plan),
        None => plan.desired = size(candidates.kept.len() + candidates.fresh.len()),
    }
    let Candidates { kept, fresh, .. } = candidates;

    for (assignment, node) in kept {
        let Some(node) = node.filter(|_| !(is_task && has_ended(assignment))) else { continue };
        let mut next = build(workload, node, Some(assignment));
        // Labels are those of the node when the Assignment was written: a label alone restarts nothing.
        let labels = std::mem::replace(&mut next.spec.node_labels, assignment.spec.node_labels.clone());
        if next != *assignment && !active(Mutant::IgnoredGeneration) {
            next.spec.node_labels = labels;
            plan.actions.push(Action::Update(Box::new(next)));
        }
    }
    plan.actions.extend(fresh.into_iter().map(|n| Action::Create(Box::new(build(workload, n, None)))));
    plan
}

/// Who has an Assignment, who could have one, and on how many nodes a former one may be alive.
struct Candidates<'a> {
    kept: Vec<(&'a Assignment, Option<&'a Node>)>,
    fresh: Vec<&'a Node>,
    leaving: u32,
}

/// Brings `kept` and `fresh` to `count` in all, less what is still `leaving` its node.
fn choose(workload: Workload<'_>, count: u32, nodes: &mut Candidates<'_>, now: Timestamp, plan: &mut Plan) {
    let Candidates { kept, fresh, leaving } = nodes;
    // A node of which nobody knows whether it lives is no place for something that was asked for by number.
    fresh.retain(|n| is_ready(n));
    kept.sort_by_key(|(a, n)| {
        let ended = has_ended(a);
        let ready = n.is_some_and(is_ready);
        let place = n.map_or(0, |n| rank(&workload.metadata().uid, &n.metadata.uid));
        (!ended, !ready, place)
    });
    let wanted = usize::try_from(count).unwrap_or(usize::MAX);
    for (surplus, node) in kept.drain(wanted.min(kept.len())..) {
        plan.actions.push(delete(surplus, "CountReduced"));
        *leaving += u32::from(node.is_some_and(|n| occupied(surplus, n, now, plan)));
    }
    // Below 0 while more are leaving than there are free slots.
    let mut free = i64::from(count) - i64::from(size(kept.len())) - i64::from(*leaving);
    let slots = |free: i64| usize::try_from(free).unwrap_or(0);
    // An Assignment moves only if there is somewhere to go, and its slot is not another's that is still leaving.
    let mut spare = fresh.len().saturating_sub(slots(free));
    kept.retain(|(assignment, node)| {
        let Some(node) = node.filter(|_| !has_ended(assignment)) else { return true };
        let Some(end) = moves_at(workload, assignment, node) else { return true };
        if end > now {
            plan.wake_at = earliest(plan.wake_at, end);
            return true;
        }
        if spare == 0 || free < 0 {
            return true;
        }
        (spare, free) = (spare - 1, free + 1);
        plan.silent.insert(node.metadata.name.clone());
        plan.actions.push(delete(assignment, "NodeUnreachable"));
        false
    });
    fresh.truncate(slots(free));
    plan.desired = count;
    plan.missing = count.saturating_sub(size(kept.len() + fresh.len()));
}

fn occupied(assignment: &Assignment, node: &Node, now: Timestamp, plan: &mut Plan) -> bool {
    match lease_end(assignment, node) {
        Some(end) if end <= now => {
            plan.silent.insert(node.metadata.name.clone());
            false
        }
        Some(end) => {
            plan.wake_at = earliest(plan.wake_at, end);
            true
        }
        None => true,
    }
}

/// The earlier of two times to wake at.
pub(crate) fn earliest(held: Option<Timestamp>, other: Timestamp) -> Option<Timestamp> {
    Some(held.map_or(other, |held| held.min(other)))
}

fn size(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
