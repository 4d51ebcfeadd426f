//! The laws of rollup.

use super::*;
use crate::fleet::assignment::{Workload, build};
use crate::fleet::fixtures::{at, ready_node, service as a_service, task as a_task};
use crate::fleet::placement::{Action, plan as place};
use drover_types::kinds::Node;
use drover_types::kinds::assignment::AssignmentStatus;
use drover_types::kinds::timer::TimerSpec;

fn holds(conditions: &[Condition], type_: &str) -> bool {
    conditions.iter().any(|c| c.type_ == type_ && c.status == ConditionStatus::True)
}

fn on(workload: Workload<'_>, node: &Node, status: AssignmentStatus) -> Assignment {
    let mut a = build(workload, node, None);
    a.metadata.generation = Some(1);
    a.status = Some(AssignmentStatus { observed_generation: 1, ..status });
    a
}

fn ended(outcome: RunPhase, second: i64) -> AssignmentStatus {
    AssignmentStatus {
        outcome: Some(outcome),
        completion_time: Some(at(second)),
        ..AssignmentStatus::default()
    }
}

#[test]
fn a_task_is_complete_when_all_succeeded_and_says_so_for_ever() {
    let (mut t, nodes) = (a_task("t"), [ready_node("a"), ready_node("b")]);
    let refs: Vec<&Node> = nodes.iter().collect();
    let first = on(Workload::Task(&t), &nodes[0], ended(RunPhase::Succeeded, 5));
    let half = place(Workload::Task(&t), &refs, &[&first], at(6));
    assert!(matches!(half.actions[..], [Action::Create(_)]));
    let status = task(&t, Seen { plan: &half, assignments: &[&first], unreachable: 0, now: at(6) });
    assert!(!holds(&status.conditions, "Complete"), "one node was not even told");
    let second = on(Workload::Task(&t), &nodes[1], ended(RunPhase::Succeeded, 9));
    let whole = place(Workload::Task(&t), &refs, &[&first, &second], at(9));
    let status = task(&t, Seen { plan: &whole, assignments: &[&first, &second], unreachable: 0, now: at(9) });
    assert!(holds(&status.conditions, "Complete") && holds(&status.conditions, "Ready"));
    assert_eq!((status.succeeded, status.completion_time), (2, Some(at(9))));
    t.status = Some(status.clone());
    let later = place(Workload::Task(&t), &refs, &[], at(99));
    assert_eq!(task(&t, Seen { plan: &later, assignments: &[], unreachable: 0, now: at(99) }), status);
}

#[test]
fn one_failed_node_fails_a_task_but_only_once_all_have_ended() {
    let (t, node) = (a_task("t"), ready_node("a"));
    let failed = on(Workload::Task(&t), &node, ended(RunPhase::TimedOut, 5));
    let plan = place(Workload::Task(&t), &[&node], &[&failed], at(6));
    let status = task(&t, Seen { plan: &plan, assignments: &[&failed], unreachable: 0, now: at(6) });
    assert!(holds(&status.conditions, "Failed") && holds(&status.conditions, "Stalled"));
    assert!(!holds(&status.conditions, "Complete") && !holds(&status.conditions, "Reconciling"));
}

#[test]
fn too_many_processes_on_one_node_do_not_make_up_for_another() {
    let (mut s, nodes) = (a_service("s"), [ready_node("a"), ready_node("b")]);
    s.spec.replicas = Some(2);
    let up = |n: u32| AssignmentStatus { ready: n, ..AssignmentStatus::default() };
    let held = [on(Workload::Service(&s), &nodes[0], up(3)), on(Workload::Service(&s), &nodes[1], up(1))];
    let refs: Vec<&Assignment> = held.iter().collect();
    let plan = place(Workload::Service(&s), &nodes.iter().collect::<Vec<_>>(), &refs, at(0));
    let status = service(&s, Seen { plan: &plan, assignments: &refs, unreachable: 0, now: at(0) });
    assert_eq!((status.desired, status.ready, status.failing), (4, 4, 1));
    assert!(!holds(&status.conditions, "Available") && holds(&status.conditions, "Progressing"));
}

#[test]
fn saying_it_again_changes_nothing() {
    let (mut s, node) = (a_service("s"), ready_node("a"));
    let held = on(Workload::Service(&s), &node, AssignmentStatus { ready: 1, ..AssignmentStatus::default() });
    let plan = place(Workload::Service(&s), &[&node], &[&held], at(0));
    let first = service(&s, Seen { plan: &plan, assignments: &[&held], unreachable: 0, now: at(0) });
    assert!(holds(&first.conditions, "Ready") && !holds(&first.conditions, "Reconciling"));
    s.status = Some(first.clone());
    assert_eq!(service(&s, Seen { plan: &plan, assignments: &[&held], unreachable: 0, now: at(50) }), first);
}

#[test]
fn a_task_that_runs_on_is_not_said_anew_at_every_look() {
    let (mut t, node) = (a_task("t"), ready_node("a"));
    let held = on(Workload::Task(&t), &node, AssignmentStatus { active: 1, ..AssignmentStatus::default() });
    let plan = place(Workload::Task(&t), &[&node], &[&held], at(0));
    let first = task(&t, Seen { plan: &plan, assignments: &[&held], unreachable: 0, now: at(0) });
    assert!(holds(&first.conditions, "Reconciling"));
    t.status = Some(first.clone());
    assert_eq!(task(&t, Seen { plan: &plan, assignments: &[&held], unreachable: 0, now: at(50) }), first);
}

#[test]
fn a_count_says_when_it_counts_nothing_or_what_nobody_can_look_at() {
    let (mut s, node) = (a_service("s"), ready_node("a"));
    s.spec.replicas = Some(1);
    let up = AssignmentStatus { ready: 1, ..AssignmentStatus::default() };
    let held = on(Workload::Service(&s), &node, up);
    let plan = place(Workload::Service(&s), &[&node], &[&held], at(0));
    let said = |unreachable| {
        let status = service(&s, Seen { plan: &plan, assignments: &[&held], unreachable, now: at(0) });
        status.conditions.into_iter().find(|c| c.type_ == "Available").unwrap().message
    };
    assert_eq!(said(0), "1 of 1 processes run.");
    assert_eq!(said(1), "1 of 1 processes run. 1 node is unreachable, and counted as last reported.");
    let nowhere = place(Workload::Service(&s), &[], &[], at(0));
    let status = service(&s, Seen { plan: &nowhere, assignments: &[], unreachable: 0, now: at(0) });
    let reasons: Vec<_> = status.conditions.iter().map(|c| (c.type_.as_str(), c.reason.as_str())).collect();
    assert!(reasons.contains(&("Available", "NoNodeMatches")), "{reasons:?}");
    assert!(reasons.contains(&("Stalled", "NoNodeMatches")), "{reasons:?}");
}

#[test]
fn a_suspended_timer_does_not_say_that_it_is_armed() {
    let node = ready_node("a");
    let t = Timer {
        api_version: "drover.dev/v1".into(),
        kind: "Timer".into(),
        metadata: a_task("t").metadata,
        spec: TimerSpec { suspend: Some(true), ..TimerSpec::default() },
        status: None,
    };
    let held = on(Workload::Timer(&t), &node, AssignmentStatus::default());
    let plan = place(Workload::Timer(&t), &[&node], &[&held], at(0));
    let status = timer(&t, Seen { plan: &plan, assignments: &[&held], unreachable: 0, now: at(0) });
    let ready = status.conditions.iter().find(|c| c.type_ == "Ready").unwrap();
    assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::True, "Suspended"));
    assert_eq!(ready.message, "Suspended on 1 of 1 nodes.");
}
