//! What a Run says while its node's agent cannot say it: unreachable, and Lost once nobody ever will.

use drover_types::kinds::run::{RunPhase, RunStatus};
use drover_types::kinds::{Assignment, Node, Run};
use drover_types::{Condition, ConditionStatus};
use jiff::Timestamp;

use super::assignment::bears_identity;
use super::node::unknown_since;
use super::placement::lease_end;

/// The condition of an unfinished Run of whose node nothing is heard.
pub const NODE_UNREACHABLE: &str = "NodeUnreachable";

/// What becomes of a Run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunVerdict {
    /// Its status, if that changes.
    pub next: Option<RunStatus>,
    /// When to look again although nothing happens.
    pub wake_at: Option<Timestamp>,
}

/// Whether a Run was made on this Node, and not on an earlier one of the same name.
pub fn ran_on(run: &Run, node: &Node) -> bool {
    run.spec.node_name == node.metadata.name
        && (run.spec.assignment_ref.is_empty()
            || bears_identity(&run.spec.assignment_ref, &run.spec.workload_ref.uid, &node.metadata.uid))
}

/// Decides for one Run. `node` is the Node that now has the name, `assignment` what the Run belongs to.
pub fn judge(run: &Run, node: Option<&Node>, assignment: Option<&Assignment>, now: Timestamp) -> RunVerdict {
    let held = run.status.clone().unwrap_or_default();
    if held.phase.is_finished() {
        return RunVerdict { next: without_condition(&held), wake_at: None };
    }
    let Some(node) = node.filter(|n| ran_on(run, n)) else {
        let message = "Its Node was deleted before it was heard how it ended.";
        return RunVerdict { next: Some(lost(held, "NodeDeleted", message, now)), wake_at: None };
    };
    let Some(since) = unknown_since(node) else {
        return RunVerdict { next: without_condition(&held), wake_at: None };
    };
    let end = assignment
        .filter(|a| a.metadata.deletion_timestamp.is_some())
        .and_then(|assignment| lease_end(assignment, node));
    if end.is_some_and(|end| end <= now) {
        let message = "Its node was not heard of until its lease was over.";
        return RunVerdict { next: Some(lost(held, "LeaseOver", message, now)), wake_at: None };
    }
    let mut next = held;
    let said = Condition::set(
        &mut next.conditions,
        Condition {
            type_: NODE_UNREACHABLE.into(),
            status: ConditionStatus::True,
            observed_generation: run.metadata.generation,
            last_transition_time: now,
            reason: "NodeUnknown".into(),
            message: format!("Nothing was heard of its node since {since}; it may still run."),
        },
    );
    RunVerdict { next: said.then_some(next), wake_at: end }
}

fn without_condition(held: &RunStatus) -> Option<RunStatus> {
    held.conditions.iter().any(|c| c.type_ == NODE_UNREACHABLE).then(|| {
        let mut next = held.clone();
        next.conditions.retain(|c| c.type_ != NODE_UNREACHABLE);
        next
    })
}

fn lost(held: RunStatus, reason: &str, message: &str, now: Timestamp) -> RunStatus {
    let mut next = without_condition(&held).unwrap_or(held);
    next.phase = RunPhase::Lost;
    next.pid = None;
    next.finished_at = Some(now);
    next.reason = reason.into();
    next.message = message.into();
    next.say_ready(now);
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::assignment::{Workload, build};
    use crate::fleet::fixtures::{at, condition, ready_node, service};
    use drover_types::kinds::placement::Placement;
    use drover_types::kinds::run::RunSpec;
    use drover_types::{API_VERSION, Duration, ObjectMeta};

    fn scene(failover: Option<u64>) -> (Node, Assignment, Run) {
        let (mut s, node) = (service("web"), ready_node("n"));
        let failover_after = failover.map(Duration::from_secs);
        s.spec.placement = Some(Placement { count: Some(1), failover_after, ..Placement::default() });
        let assignment = build(Workload::Service(&s), &node, None);
        let spec = RunSpec {
            node_name: "n".into(),
            assignment_ref: assignment.metadata.name.clone(),
            workload_ref: assignment.spec.workload_ref.clone(),
            ..RunSpec::default()
        };
        let status = Some(RunStatus { phase: RunPhase::Running, pid: Some(7), ..RunStatus::default() });
        let metadata = ObjectMeta::default();
        (
            node,
            assignment,
            Run { api_version: API_VERSION.into(), kind: "Run".into(), metadata, spec, status },
        )
    }

    #[test]
    fn a_run_is_unreachable_while_its_node_is_and_no_longer() {
        let (mut node, assignment, mut run) = scene(None);
        assert_eq!(judge(&run, Some(&node), Some(&assignment), at(1)), RunVerdict::default());
        node.status.as_mut().unwrap().conditions = vec![condition("Ready", ConditionStatus::Unknown, 5)];
        let said = judge(&run, Some(&node), Some(&assignment), at(6)).next.unwrap();
        assert_eq!((said.conditions[0].type_.as_str(), said.phase), (NODE_UNREACHABLE, RunPhase::Running));
        run.status = Some(said);
        assert_eq!(judge(&run, Some(&node), Some(&assignment), at(9)).next, None, "it is said once");
        node.status.as_mut().unwrap().conditions = vec![condition("Ready", ConditionStatus::True, 9)];
        assert!(judge(&run, Some(&node), Some(&assignment), at(10)).next.unwrap().conditions.is_empty());
    }

    #[test]
    fn a_run_of_a_deleted_node_is_lost_also_when_a_namesake_came() {
        let (mut node, assignment, run) = scene(None);
        let gone = judge(&run, None, Some(&assignment), at(3)).next.unwrap();
        assert_eq!((gone.phase, gone.reason.as_str(), gone.pid), (RunPhase::Lost, "NodeDeleted", None));
        assert_eq!((gone.exit_code, gone.finished_at), (None, Some(at(3))));
        node.metadata.uid = "reborn".into();
        assert_eq!(judge(&run, Some(&node), Some(&assignment), at(3)).next, Some(gone));
    }

    #[test]
    fn a_run_is_lost_once_the_lease_of_what_moved_away_is_over() {
        let (mut node, mut assignment, run) = scene(Some(60));
        node.status.as_mut().unwrap().conditions = vec![condition("Ready", ConditionStatus::Unknown, 0)];
        let kept = judge(&run, Some(&node), Some(&assignment), at(1000));
        assert_eq!(kept.next.unwrap().phase, RunPhase::Running, "it did not move");
        assignment.metadata.deletion_timestamp = Some(at(70));
        let early = judge(&run, Some(&node), Some(&assignment), at(79));
        assert_eq!((early.next.unwrap().phase, early.wake_at), (RunPhase::Running, Some(at(80))));
        let over = judge(&run, Some(&node), Some(&assignment), at(80)).next.unwrap();
        assert_eq!((over.phase, over.reason.as_str()), (RunPhase::Lost, "LeaseOver"));
    }

    #[test]
    fn what_finished_stays_as_its_agent_told_it() {
        let (mut node, assignment, mut run) = scene(None);
        let status = run.status.as_mut().unwrap();
        status.phase = RunPhase::Failed;
        node.metadata.uid = "reborn".into();
        assert_eq!(judge(&run, None, Some(&assignment), at(1)), RunVerdict::default());
        assert_eq!(judge(&run, Some(&node), None, at(1)), RunVerdict::default());
    }
}
