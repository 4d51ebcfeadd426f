//! A node's readiness and pool, and a pool's counts.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use drover_types::kinds::core::NodeStatus;
use drover_types::kinds::node_pool::NodePoolStatus;
use drover_types::kinds::{Node, NodePool};
use drover_types::{Condition, ConditionStatus, Duration};
use jiff::Timestamp;

/// How long after a disconnect a node is no longer Ready, where no pool says otherwise.
pub const OFFLINE_AFTER: Duration = Duration::from_secs(60);

/// The condition that says whether a node's agent can be reached.
pub const READY: &str = "Ready";

/// What a Node's status should say of readiness and pool.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeVerdict {
    /// The Ready condition, its transition time carried over where its status stays.
    pub ready: Condition,
    /// The pool whose settings the node has.
    pub pool: Option<String>,
    /// When to look again although nothing happens.
    pub wake_at: Option<Timestamp>,
}

impl NodeVerdict {
    /// Writes the verdict into a status. Returns whether anything changed.
    pub fn apply(&self, status: &mut NodeStatus) -> bool {
        let said = Condition::set(&mut status.conditions, self.ready.clone());
        let generation = self.ready.observed_generation.unwrap_or(0);
        let moved = status.pool != self.pool || status.observed_generation != generation;
        status.pool.clone_from(&self.pool);
        status.observed_generation = generation;
        said || moved
    }
}

/// Whether every label of `selector` is borne.
pub(crate) fn bears(labels: &BTreeMap<String, String>, selector: &BTreeMap<String, String>) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The Ready condition of a node, as it was last written.
pub fn ready_condition(node: &Node) -> Option<&Condition> {
    node.status.as_ref()?.conditions.iter().find(|c| c.type_ == READY)
}

/// Whether a node's agent is known to be there.
pub fn is_ready(node: &Node) -> bool {
    ready_condition(node).is_some_and(|c| c.status == ConditionStatus::True)
}

/// Since when nobody has heard of a node; `None` while it is Ready or connected, or was never looked at.
///
/// A session may come and go before anybody has written that the node is Ready, and what it was told then, it does: the
/// silence is no older than the end of the last session.
pub fn unknown_since(node: &Node) -> Option<Timestamp> {
    let session = node.status.as_ref().and_then(|s| s.session.as_ref());
    if session.is_some_and(|s| s.connected) {
        return None;
    }
    let unknown = ready_condition(node).filter(|c| c.status == ConditionStatus::Unknown)?;
    session.and_then(|s| s.changed_at).max(Some(unknown.last_transition_time))
}

/// The pool that counts for a node: the highest priority, then the first by name.
pub fn pool_of<'a>(node: &Node, pools: &[&'a NodePool]) -> Option<&'a NodePool> {
    pools
        .iter()
        .copied()
        .filter(|p| p.metadata.deletion_timestamp.is_none())
        .filter(|p| bears(&node.metadata.labels, &p.spec.node_selector))
        .min_by_key(|p| (Reverse(p.spec.priority.unwrap_or(0)), p.metadata.name.as_str()))
}

/// Decides readiness and pool of one node.
///
/// A disconnect changes nothing for `offlineAfter`: a server that restarts, or a network that blinks, is no
/// reason to call thousands of hosts unknown.
pub fn judge(node: &Node, pools: &[&NodePool], now: Timestamp) -> NodeVerdict {
    let pool = pool_of(node, pools);
    let offline_after = pool.and_then(|p| p.spec.offline_after).unwrap_or(OFFLINE_AFTER);
    let held = ready_condition(node);
    let mut wake_at = None;
    let session = node.status.as_ref().and_then(|s| s.session.as_ref());
    let (status, reason, message) = match session {
        None => (
            ConditionStatus::Unknown,
            "NeverConnected",
            "The agent of this node has not connected yet.".into(),
        ),
        Some(s) if s.connected => (ConditionStatus::True, "AgentConnected", String::new()),
        Some(s) => {
            let ends = s.changed_at.and_then(|at| at.checked_add(offline_after.to_signed()).ok());
            if let Some(ends) = ends.filter(|ends| now < *ends) {
                wake_at = Some(ends);
                let as_it_was = held.map_or(ConditionStatus::Unknown, |c| c.status);
                (as_it_was, "AgentDisconnected", format!("Disconnected; unknown after {offline_after}."))
            } else {
                let message = format!("No session for {offline_after} or longer; what it was told goes on.");
                (ConditionStatus::Unknown, "AgentOffline", message)
            }
        }
    };
    let mut conditions: Vec<Condition> = held.cloned().into_iter().collect();
    let next = Condition {
        type_: READY.into(),
        status,
        observed_generation: node.metadata.generation,
        last_transition_time: now,
        reason: reason.into(),
        message,
    };
    Condition::set(&mut conditions, next);
    let ready = conditions.swap_remove(0);
    NodeVerdict { ready, pool: pool.map(|p| p.metadata.name.clone()), wake_at }
}

/// Counts a pool. `nodes` are all nodes; the pool has those for which it counts.
pub fn count_pool(pool: &NodePool, pools: &[&NodePool], nodes: &[&Node], now: Timestamp) -> NodePoolStatus {
    let mut status = pool.status.clone().unwrap_or_default();
    status.observed_generation = pool.metadata.generation.unwrap_or(0);
    (status.nodes, status.ready) = (0, 0);
    for node in nodes {
        if pool_of(node, pools).is_some_and(|p| p.metadata.name == pool.metadata.name) {
            status.nodes += 1;
            status.ready += u32::from(is_ready(node));
        }
    }
    let all = status.ready == status.nodes;
    Condition::set(
        &mut status.conditions,
        Condition {
            type_: READY.into(),
            status: if all { ConditionStatus::True } else { ConditionStatus::False },
            observed_generation: pool.metadata.generation,
            last_transition_time: now,
            reason: if all { "NodesReady" } else { "NodesNotReady" }.into(),
            message: format!("{} of {} nodes are ready.", status.ready, status.nodes),
        },
    );
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::{at, node, pool};
    use drover_types::kinds::core::NodeSession;
    use proptest::prelude::*;

    fn with_session(connected: bool, changed: i64) -> Node {
        let mut n = node("n1");
        n.status.get_or_insert_default().session =
            Some(NodeSession { server_id: "s".into(), connected, changed_at: Some(at(changed)) });
        n
    }

    #[test]
    fn a_blink_changes_nothing_and_a_long_absence_makes_it_unknown_once() {
        let mut n = with_session(true, 0);
        judge(&n, &[], at(1)).apply(n.status.as_mut().unwrap());
        assert!(is_ready(&n));
        let s = n.status.as_mut().unwrap().session.as_mut().unwrap();
        (s.connected, s.changed_at) = (false, Some(at(100)));
        let blink = judge(&n, &[], at(130));
        assert_eq!((blink.ready.status, blink.wake_at), (ConditionStatus::True, Some(at(160))));
        let gone = judge(&n, &[], at(160));
        assert_eq!((gone.ready.status, gone.wake_at), (ConditionStatus::Unknown, None));
        gone.apply(n.status.as_mut().unwrap());
        assert_eq!(unknown_since(&n), Some(at(160)));
        let mut back = n.clone();
        back.status.as_mut().unwrap().session.as_mut().unwrap().connected = true;
        assert_eq!(unknown_since(&back), None, "it is there, whatever its condition still says");
        assert_eq!(judge(&n, &[], at(900)).ready.last_transition_time, at(160));
        n.status.as_mut().unwrap().session.as_mut().unwrap().changed_at = Some(at(500));
        assert_eq!(
            unknown_since(&n),
            Some(at(500)),
            "it was there meanwhile, and nobody said that it was Ready"
        );
    }

    #[test]
    fn the_pool_of_highest_priority_counts_then_the_first_by_name() {
        let (mut a, b, mut c) = (pool("a"), pool("b"), pool("c"));
        assert_eq!(judge(&node("n"), &[&b, &a], at(0)).pool.as_deref(), Some("a"));
        c.spec.priority = Some(5);
        assert_eq!(judge(&node("n"), &[&b, &a, &c], at(0)).pool.as_deref(), Some("c"));
        a.spec.node_selector.insert("dc".into(), "x".into());
        assert_eq!(judge(&node("n"), &[&b, &a], at(0)).pool.as_deref(), Some("b"));
        assert_eq!(judge(&node("n"), &[&a], at(0)).pool, None);
    }

    #[test]
    fn a_pool_counts_only_nodes_for_which_it_counts() {
        let (low, mut high) = (pool("low"), pool("high"));
        high.spec.priority = Some(1);
        high.spec.node_selector.insert("dc".into(), "x".into());
        let (n1, mut n2) = (node("n1"), node("n2"));
        n2.metadata.labels.insert("dc".into(), "x".into());
        let status = count_pool(&low, &[&low, &high], &[&n1, &n2], at(0));
        assert_eq!(status.nodes, 1);
    }

    proptest! {
        #[test]
        fn saying_it_twice_changes_nothing(connected: bool, changed in 0_i64..200, now in 0_i64..400) {
            let mut n = with_session(connected, changed);
            judge(&n, &[], at(now)).apply(n.status.as_mut().unwrap());
            let again = judge(&n, &[], at(now));
            let mut status = n.status.clone().unwrap();
            prop_assert!(!again.apply(&mut status));
            prop_assert!(again.wake_at.is_none_or(|w| w > at(now)));
        }
    }
}
