//! The laws of placement.

use super::*;
use crate::fleet::fixtures::{at, condition, ready_node, service, task};
use drover_types::kinds::assignment::AssignmentStatus;
use drover_types::kinds::run::RunPhase;
use drover_types::kinds::task::TaskStatus;
use drover_types::kinds::{Service, Task};
use proptest::prelude::*;

/// Carries a plan out as the server would: what is deleted stays until its node has let go.
fn apply(plan: &Plan, held: &mut Vec<Assignment>, now: Timestamp) {
    for action in &plan.actions {
        match action {
            Action::Create(a) => {
                assert!(held.iter().all(|h| h.metadata.name != a.metadata.name), "a name is used twice");
                let mut a = (**a).clone();
                a.metadata.uid = format!("uid-{}", a.metadata.name);
                held.push(a);
            }
            Action::Update(a) => {
                let slot = held.iter_mut().find(|h| h.metadata.name == a.metadata.name).unwrap();
                *slot = (**a).clone();
            }
            Action::Delete { name, uid, .. } => {
                let gone = held.iter_mut().find(|h| h.metadata.name == *name).unwrap();
                assert_eq!(gone.metadata.uid, *uid);
                gone.metadata.deletion_timestamp = Some(now);
            }
        }
    }
}

fn decide(workload: Workload<'_>, nodes: &[Node], held: &[Assignment], now: Timestamp) -> Plan {
    plan(workload, &nodes.iter().collect::<Vec<_>>(), &held.iter().collect::<Vec<_>>(), now)
}

fn settle(workload: Workload<'_>, nodes: &[Node], held: &mut Vec<Assignment>, second: i64) -> Plan {
    let plan = decide(workload, nodes, held, at(second));
    apply(&plan, held, at(second));
    plan
}

fn live(held: &[Assignment]) -> Vec<&str> {
    let mut names: Vec<&str> = held
        .iter()
        .filter(|a| a.metadata.deletion_timestamp.is_none())
        .map(|a| a.spec.node_name.as_str())
        .collect();
    names.sort_unstable();
    names
}

fn counted(count: u32, failover: Option<u64>) -> Service {
    let mut s = service("web");
    let failover_after = failover.map(Duration::from_secs);
    s.spec.placement = Some(Placement { count: Some(count), failover_after, ..Placement::default() });
    s
}

fn silence(node: &mut Node, since: i64) {
    node.status.as_mut().unwrap().conditions = vec![condition("Ready", ConditionStatus::Unknown, since)];
}

fn fleet(names: &[&str]) -> Vec<Node> {
    names.iter().map(|n| ready_node(n)).collect()
}

#[test]
fn a_workload_without_placement_follows_the_fleet() {
    let (s, mut nodes, mut held) = (service("web"), fleet(&["a", "b"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    assert_eq!(live(&held), ["a", "b"]);
    nodes.remove(0);
    nodes.push(ready_node("c"));
    settle(Workload::Service(&s), &nodes, &mut held, 1);
    assert_eq!(live(&held), ["b", "c"]);
}

#[test]
fn a_node_that_comes_back_under_its_name_is_another_node() {
    let (s, mut nodes, mut held) = (service("web"), fleet(&["a"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    nodes[0].metadata.uid = "reborn".into();
    let plan = settle(Workload::Service(&s), &nodes, &mut held, 1);
    assert!(matches!(plan.actions[..], [Action::Delete { reason: "NodeDeleted", .. }, Action::Create(_)]));
}

#[test]
fn a_cordon_and_a_taint_keep_what_is_there_and_let_nothing_in() {
    let (s, mut nodes, mut held) = (service("web"), fleet(&["a", "b"]), vec![]);
    settle(Workload::Service(&s), &nodes[..1], &mut held, 0);
    for node in &mut nodes {
        node.spec.unschedulable = Some(true);
        node.spec.taints = vec![Taint { key: "k".into(), effect: "NoExecute".into(), ..Taint::default() }];
    }
    assert!(decide(Workload::Service(&s), &nodes, &held, at(1)).actions.is_empty());
}

#[test]
fn only_a_tolerated_taint_lets_new_work_in() {
    let mut tainted = ready_node("a");
    let taint =
        Taint { key: "k".into(), value: Some("v".into()), effect: "NoSchedule".into(), ..Taint::default() };
    tainted.spec.taints = vec![taint];
    let tolerating = |t: Toleration| Placement { tolerations: vec![t], ..Placement::default() };
    let by_key = Toleration { key: Some("k".into()), ..Toleration::default() };
    assert!(!takes_new(None, &tainted));
    assert!(!takes_new(Some(&tolerating(by_key.clone())), &tainted));
    let equal = Toleration { value: Some("v".into()), ..by_key.clone() };
    assert!(takes_new(Some(&tolerating(equal)), &tainted));
    let exists = Toleration { operator: Some(TolerationOperator::Exists), ..Toleration::default() };
    assert!(takes_new(Some(&tolerating(exists)), &tainted));
    tainted.spec.taints[0].effect = "PreferNoSchedule".into();
    assert!(takes_new(None, &tainted));
}

#[test]
fn requirements_read_labels_as_a_node_selector_does() {
    let labels = BTreeMap::from([("cores".to_owned(), "8".to_owned())]);
    let holds = |key: &str, operator, values: &[&str]| {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        meets(&Requirement { key: key.into(), operator, values }, &labels)
    };
    assert!(holds("cores", Operator::In, &["8", "9"]) && !holds("dc", Operator::In, &["x"]));
    assert!(holds("dc", Operator::NotIn, &["x"]) && !holds("cores", Operator::NotIn, &["8"]));
    assert!(holds("cores", Operator::Exists, &[]) && holds("dc", Operator::DoesNotExist, &[]));
    assert!(holds("cores", Operator::Gt, &["7"]) && !holds("cores", Operator::Gt, &["8"]));
    assert!(holds("cores", Operator::Lt, &["10"]) && !holds("dc", Operator::Lt, &["10"]));
}

#[test]
fn nothing_moves_by_itself_without_failover_after() {
    let (s, mut nodes, mut held) = (counted(1, None), fleet(&["a", "b"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    let chosen = live(&held)[0].to_owned();
    silence(nodes.iter_mut().find(|n| n.metadata.name == chosen).unwrap(), 0);
    let plan = decide(Workload::Service(&s), &nodes, &held, at(1_000_000));
    assert_eq!((plan.actions, plan.wake_at), (vec![], None));
}

#[test]
fn a_successor_comes_only_once_the_lease_is_surely_over() {
    let (s, mut nodes, mut held) = (counted(1, Some(60)), fleet(&["a", "b"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    let chosen = live(&held)[0].to_owned();
    silence(nodes.iter_mut().find(|n| n.metadata.name == chosen).unwrap(), 100);
    // 60 s of failoverAfter, 10 s of grace by default, 10 s of margin.
    let early = decide(Workload::Service(&s), &nodes, &held, at(179));
    assert_eq!((early.actions, early.wake_at), (vec![], Some(at(180))));
    let plan = settle(Workload::Service(&s), &nodes, &mut held, 180);
    assert_eq!(plan.silent, BTreeSet::from([chosen.clone()]));
    assert_eq!(live(&held).len(), 1);
    assert_ne!(live(&held), [chosen.as_str()]);
    assert!(decide(Workload::Service(&s), &nodes, &held, at(181)).actions.is_empty());
}

#[test]
fn a_node_that_never_saw_the_shorter_lease_is_waited_for_by_the_longer_one() {
    let (mut s, mut nodes, mut held) = (counted(1, Some(600)), fleet(&["a", "b"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    held[0].metadata.generation = Some(1);
    held[0].status = Some(AssignmentStatus { observed_generation: 1, ..AssignmentStatus::default() });
    let chosen = live(&held)[0].to_owned();
    silence(nodes.iter_mut().find(|n| n.metadata.name == chosen).unwrap(), 0);
    s.spec.placement.as_mut().unwrap().failover_after = Some(Duration::from_secs(60));
    settle(Workload::Service(&s), &nodes, &mut held, 1);
    held[0].metadata.generation = Some(2);
    let early = decide(Workload::Service(&s), &nodes, &held, at(100));
    assert_eq!((early.actions, early.wake_at), (vec![], Some(at(620))));
    held[0].status.as_mut().unwrap().observed_generation = 2;
    assert_eq!(decide(Workload::Service(&s), &nodes, &held, at(100)).actions.len(), 2);
}

#[test]
fn a_node_that_was_never_given_a_lease_keeps_what_it_has() {
    let (mut s, mut nodes, mut held) = (counted(1, None), fleet(&["a", "b"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    held[0].metadata.generation = Some(1);
    let chosen = live(&held)[0].to_owned();
    silence(nodes.iter_mut().find(|n| n.metadata.name == chosen).unwrap(), 0);
    s.spec.placement.as_mut().unwrap().failover_after = Some(Duration::from_secs(60));
    settle(Workload::Service(&s), &nodes, &mut held, 1);
    held[0].metadata.generation = Some(2);
    let plan = decide(Workload::Service(&s), &nodes, &held, at(1_000_000));
    assert_eq!((plan.actions, plan.wake_at), (vec![], None));
}

#[test]
fn a_slot_is_not_free_while_its_node_may_still_run_it() {
    let (mut s, mut nodes, mut held) = (counted(1, None), fleet(&["a", "b"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    let chosen = live(&held)[0].to_owned();
    for node in nodes.iter_mut().filter(|n| n.metadata.name != chosen) {
        node.metadata.labels.insert("dc".into(), "x".into());
    }
    s.spec.placement.as_mut().unwrap().node_selector.insert("dc".into(), "x".into());
    settle(Workload::Service(&s), &nodes, &mut held, 1);
    assert!(live(&held).is_empty());
    held.clear();
    settle(Workload::Service(&s), &nodes, &mut held, 2);
    assert_eq!(live(&held).len(), 1);
}

#[test]
fn nothing_moves_into_a_slot_that_a_surplus_one_has_not_left() {
    let (mut s, mut nodes, mut held) = (counted(3, Some(60)), fleet(&["a", "b", "c", "d"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    s.spec.placement.as_mut().unwrap().count = Some(2);
    settle(Workload::Service(&s), &nodes, &mut held, 1);
    let silent = live(&held)[0].to_owned();
    silence(nodes.iter_mut().find(|n| n.metadata.name == silent).unwrap(), 2);
    assert!(decide(Workload::Service(&s), &nodes, &held, at(1000)).actions.is_empty());
    held.retain(|a| a.metadata.deletion_timestamp.is_none());
    settle(Workload::Service(&s), &nodes, &mut held, 1000);
    assert_eq!(live(&held).len(), 2);
    assert!(!live(&held).contains(&silent.as_str()));
}

#[test]
fn a_finished_task_takes_no_later_node() {
    let (mut t, mut nodes, mut held): (Task, _, _) = (task("once"), fleet(&["a"]), vec![]);
    settle(Workload::Task(&t), &nodes, &mut held, 0);
    held[0].status =
        Some(AssignmentStatus { outcome: Some(RunPhase::Succeeded), ..AssignmentStatus::default() });
    let conditions = vec![condition("Complete", ConditionStatus::True, 1)];
    t.status = Some(TaskStatus { conditions, ..TaskStatus::default() });
    nodes.push(ready_node("b"));
    assert!(decide(Workload::Task(&t), &nodes, &held, at(2)).actions.is_empty());
}

#[test]
fn an_on_demand_task_is_never_placed() {
    let mut t = task("callable");
    t.spec.mode = Some(drover_types::kinds::task::TaskMode::OnDemand);
    assert_eq!(decide(Workload::Task(&t), &fleet(&["a"]), &[], at(0)), Plan::default());
}

#[test]
fn an_eviction_lasts_as_long_as_the_cordon() {
    let (s, mut nodes, mut held) = (service("web"), fleet(&["a"]), vec![]);
    settle(Workload::Service(&s), &nodes, &mut held, 0);
    held[0].spec.evicted = Some(true);
    nodes[0].spec.unschedulable = Some(true);
    assert!(decide(Workload::Service(&s), &nodes, &held, at(1)).actions.is_empty());
    nodes[0].spec.unschedulable = None;
    settle(Workload::Service(&s), &nodes, &mut held, 2);
    assert_eq!(held[0].spec.evicted, None);
}

/// What may happen to a fleet between two looks at it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Cordon(usize),
    Uncordon(usize),
    Silence(usize),
    Speak(usize),
    Leave(usize),
    Join,
    Count(u32),
    Ended,
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_usize..6).prop_map(Step::Cordon),
        (0_usize..6).prop_map(Step::Uncordon),
        (0_usize..6).prop_map(Step::Silence),
        (0_usize..6).prop_map(Step::Speak),
        (0_usize..6).prop_map(Step::Leave),
        Just(Step::Join),
        (0_u32..5).prop_map(Step::Count),
        Just(Step::Ended),
        (1_i64..120).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_count_is_never_exceeded_and_no_plan_is_made_twice(
        steps in prop::collection::vec(step(), 1..40),
        failover in prop::option::of(1_u64..60),
    ) {
        let (mut nodes, mut held, mut now) = (fleet(&["n0", "n1", "n2"]), vec![], 0);
        let (mut s, mut joined) = (counted(2, failover), 3);
        for step in steps {
            now += 1;
            let at_index = |i: usize, nodes: &Vec<Node>| if nodes.is_empty() { None } else { Some(i % nodes.len()) };
            match step {
                Step::Cordon(i) => if let Some(i) = at_index(i, &nodes) { nodes[i].spec.unschedulable = Some(true) },
                Step::Uncordon(i) => if let Some(i) = at_index(i, &nodes) { nodes[i].spec.unschedulable = None },
                Step::Silence(i) => if let Some(i) = at_index(i, &nodes) { silence(&mut nodes[i], now) },
                Step::Speak(i) => if let Some(i) = at_index(i, &nodes) {
                    nodes[i].status.as_mut().unwrap().conditions =
                        vec![condition("Ready", ConditionStatus::True, now)];
                },
                Step::Leave(i) => if let Some(i) = at_index(i, &nodes) { nodes.remove(i); },
                Step::Join => { nodes.push(ready_node(&format!("n{joined}"))); joined += 1; }
                Step::Count(n) => s.spec.placement.as_mut().unwrap().count = Some(n),
                Step::Ended => held.retain(|a: &Assignment| a.metadata.deletion_timestamp.is_none()),
                Step::Wait(n) => now += n,
            }
            let plan = settle(Workload::Service(&s), &nodes, &mut held, now);
            let count = s.spec.placement.as_ref().unwrap().count.unwrap();
            prop_assert!(u32::try_from(live(&held).len()).unwrap() <= count, "of {count}: {:?}", live(&held));
            for action in &plan.actions {
                if let Action::Create(a) = action {
                    let node = nodes.iter().find(|n| n.metadata.name == a.spec.node_name).unwrap();
                    prop_assert!(node.spec.unschedulable != Some(true), "a cordoned node got work");
                }
            }
            prop_assert!(plan.wake_at.is_none_or(|wake| wake > at(now)));
            let again = decide(Workload::Service(&s), &nodes, &held, at(now));
            prop_assert_eq!(again.actions, vec![]);
        }
    }
}
