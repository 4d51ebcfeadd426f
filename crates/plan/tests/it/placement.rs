//! A fleet to which anything happens, under each way to place a workload on it.

use std::collections::BTreeSet;

use drover_plan::fleet::assignment::{Workload, is_for};
use drover_plan::fleet::placement::{Action, Plan, lease_end, plan};
use drover_types::kinds::core::{NodeSpec, NodeStatus, Taint};
use drover_types::kinds::placement::{Operator, Placement, Requirement, Toleration, TolerationOperator};
use drover_types::kinds::service::ServiceSpec;
use drover_types::kinds::{Assignment, Node, Service};
use drover_types::{API_VERSION, Condition, ConditionStatus, Duration, ObjectMeta};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn node(name: &str, uid: u32, now: i64) -> Node {
    let mut node = Node {
        api_version: "v1".into(),
        kind: "Node".into(),
        metadata: ObjectMeta { name: name.into(), uid: format!("uid-{uid}"), ..ObjectMeta::default() },
        spec: NodeSpec::default(),
        status: Some(NodeStatus::default()),
    };
    ready(&mut node, ConditionStatus::True, now);
    node
}

fn ready(node: &mut Node, status: ConditionStatus, now: i64) {
    let said = Condition {
        type_: "Ready".into(),
        status,
        observed_generation: None,
        last_transition_time: at(now),
        reason: "Test".into(),
        message: String::new(),
    };
    node.status.as_mut().unwrap().conditions = vec![said];
}

fn status_of(node: &Node) -> (ConditionStatus, Timestamp) {
    let condition = &node.status.as_ref().unwrap().conditions[0];
    (condition.status, condition.last_transition_time)
}

/// How the workload is placed, in words that the model reads by itself.
#[derive(Clone, Debug)]
struct Wish {
    count: Option<u32>,
    failover: Option<u64>,
    /// Only where label `dc` is this.
    dc: Option<&'static str>,
    /// Not where label `old` is.
    not_old: bool,
    tolerates: bool,
}

impl Wish {
    fn matches(&self, node: &Node) -> bool {
        let label = |key: &str| node.metadata.labels.get(key).map(String::as_str);
        (self.dc.is_none() || label("dc") == self.dc) && !(self.not_old && label("old").is_some())
    }

    fn lets_in(&self, node: &Node) -> bool {
        node.spec.unschedulable != Some(true)
            && node.metadata.deletion_timestamp.is_none()
            && (self.tolerates || node.spec.taints.is_empty())
    }

    fn service(&self, grace: u64) -> Service {
        let mut spec = ServiceSpec::default();
        spec.template.process.termination_grace_period = Some(Duration::from_secs(grace));
        let mut placement = Placement {
            count: self.count,
            failover_after: self.failover.map(Duration::from_secs),
            ..Placement::default()
        };
        placement.node_selector.extend(self.dc.map(|dc| ("dc".to_owned(), dc.to_owned())));
        if self.not_old {
            let absent = Requirement { key: "old".into(), operator: Operator::DoesNotExist, values: vec![] };
            placement.match_expressions.push(absent);
        }
        if self.tolerates {
            let all = Toleration { operator: Some(TolerationOperator::Exists), ..Toleration::default() };
            placement.tolerations.push(all);
        }
        spec.placement = Some(placement);
        Service {
            api_version: API_VERSION.into(),
            kind: "Service".into(),
            metadata: ObjectMeta {
                name: "web".into(),
                uid: "uid-web".into(),
                generation: Some(1),
                ..ObjectMeta::default()
            },
            spec,
            status: None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Join(u8),
    /// The Node object is deleted; a host that comes back under its name is another one.
    Leave(u8),
    /// It is being deleted.
    Going(u8),
    Cordon(u8, bool),
    Taint(u8, bool),
    Dc(u8, bool),
    Old(u8, bool),
    Silence(u8),
    Speak(u8),
    /// Nodes that can be reached let go of what they are to end.
    Ended,
    Count(u32),
    Wait(i64),
    /// Whoever decides is started anew, and reads everything in another order.
    Shuffle(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let n = || 0..8_u8;
    prop_oneof![
        5 => n().prop_map(Step::Join),
        2 => n().prop_map(Step::Leave),
        1 => n().prop_map(Step::Going),
        2 => (n(), any::<bool>()).prop_map(|(n, on)| Step::Cordon(n, on)),
        2 => (n(), any::<bool>()).prop_map(|(n, on)| Step::Taint(n, on)),
        2 => (n(), any::<bool>()).prop_map(|(n, on)| Step::Dc(n, on)),
        2 => (n(), any::<bool>()).prop_map(|(n, on)| Step::Old(n, on)),
        3 => n().prop_map(Step::Silence),
        3 => n().prop_map(Step::Speak),
        4 => Just(Step::Ended),
        1 => (0..6_u32).prop_map(Step::Count),
        3 => (1..200_i64).prop_map(Step::Wait),
        2 => any::<u64>().prop_map(Step::Shuffle),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let count = prop_oneof![Just(None), (0..6_u32).prop_map(Some)];
    let failover = prop::option::of(1..90_u64);
    let dc = prop_oneof![Just(None), Just(Some("a"))];
    (count, failover, dc, any::<bool>(), any::<bool>()).prop_map(
        |(count, failover, dc, not_old, tolerates)| Wish { count, failover, dc, not_old, tolerates },
    )
}

struct Fleet {
    wish: Wish,
    grace: u64,
    nodes: Vec<Node>,
    held: Vec<Assignment>,
    now: i64,
    /// Nodes there ever were.
    born: u32,
}

impl Fleet {
    fn decide(&self) -> Plan {
        let service = self.wish.service(self.grace);
        let (nodes, held): (Vec<&Node>, Vec<&Assignment>) =
            (self.nodes.iter().collect(), self.held.iter().collect());
        plan(Workload::Service(&service), &nodes, &held, at(self.now))
    }

    fn host(&self, assignment: &Assignment) -> Option<&Node> {
        self.nodes.iter().find(|node| is_for(assignment, node))
    }

    fn live(&self) -> BTreeSet<String> {
        let live = self.held.iter().filter(|a| a.metadata.deletion_timestamp.is_none());
        live.map(|a| a.spec.node_name.clone()).collect()
    }

    /// On how many nodes something of it may be alive.
    fn may_be_alive(&self) -> usize {
        let over = |a: &Assignment, n: &Node| lease_end(a, n).is_some_and(|end| end <= at(self.now));
        self.held.iter().filter(|a| self.host(a).is_some_and(|node| !over(a, node))).count()
    }

    /// Decides, looks whether that is right, and does it.
    fn settle(&mut self) {
        let plan = self.decide();
        let live = self.live().len();
        let mut creates = 0;
        for action in &plan.actions {
            match action {
                Action::Create(made) => {
                    creates += 1;
                    let node = self
                        .nodes
                        .iter()
                        .find(|n| is_for(made, n))
                        .expect("it is made for a node that is there");
                    assert!(self.wish.matches(node), "made on a node that does not match");
                    assert!(self.wish.lets_in(node), "made on a node that takes no new work");
                    if self.wish.count.is_some() {
                        assert_eq!(
                            status_of(node).0,
                            ConditionStatus::True,
                            "chosen although nobody hears of it"
                        );
                    }
                    let twice = self.held.iter().any(|a| a.metadata.name == made.metadata.name);
                    assert!(!twice, "a node has it already");
                }
                Action::Update(next) => {
                    let held = self
                        .held
                        .iter()
                        .find(|a| a.metadata.name == next.metadata.name)
                        .expect("it is there");
                    assert_ne!(held, &**next, "an update that changes nothing");
                }
                Action::Delete { name, uid, reason } => {
                    let gone = self.held.iter().find(|a| a.metadata.name == *name).expect("it is there");
                    assert_eq!((&gone.metadata.uid, gone.metadata.deletion_timestamp), (uid, None));
                    self.check_cause(gone, reason, live);
                }
            }
        }
        let alive = self.may_be_alive();
        self.carry_out(&plan);
        if let Some(count) = self.wish.count {
            assert!(self.live().len() <= count as usize, "{:?} of {count}", self.live());
            if creates > 0 {
                assert!(
                    alive + creates <= count as usize,
                    "{alive} may be alive, {creates} are made, of {count}"
                );
            }
        }
        assert!(plan.wake_at.is_none_or(|wake| wake > at(self.now)));
        assert_eq!(self.decide().actions, vec![], "the same is decided twice");
    }

    /// Nothing is taken from a node without a reason that can be seen.
    fn check_cause(&self, gone: &Assignment, reason: &str, live: usize) {
        let node = self.host(gone);
        match reason {
            "NodeDeleted" => assert!(node.is_none_or(|n| n.metadata.deletion_timestamp.is_some())),
            "NodeNoLongerMatches" => assert!(node.is_some_and(|n| !self.wish.matches(n))),
            "CountReduced" => assert!(self.wish.count.is_some_and(|count| live > count as usize)),
            "NodeUnreachable" => {
                let (status, since) = status_of(node.expect("it is there"));
                let failover = self.wish.failover.filter(|_| self.wish.count.is_some());
                let wait = failover.expect("it may move") + self.grace + 10;
                let earliest = since.checked_add(SignedDuration::from_secs(wait.cast_signed())).unwrap();
                assert_eq!(status, ConditionStatus::Unknown);
                assert!(at(self.now) >= earliest, "moved before its lease was over");
            }
            other => panic!("an unknown reason, {other}"),
        }
    }

    fn carry_out(&mut self, plan: &Plan) {
        for action in &plan.actions {
            match action {
                Action::Create(made) => {
                    let mut made = (**made).clone();
                    made.metadata.uid = format!("of-{}", made.metadata.name);
                    self.held.push(made);
                }
                Action::Update(next) => {
                    let at = self.held.iter().position(|a| a.metadata.name == next.metadata.name).unwrap();
                    self.held[at] = (**next).clone();
                }
                Action::Delete { name, .. } => {
                    let gone = self.held.iter_mut().find(|a| a.metadata.name == *name).unwrap();
                    gone.metadata.deletion_timestamp = Some(at(self.now));
                }
            }
        }
    }

    fn take(&mut self, step: Step) {
        self.now += 1;
        let now = self.now;
        let find =
            |n: u8, nodes: &Vec<Node>| nodes.iter().position(|node| node.metadata.name == format!("n{n}"));
        let there = matches!(step, Step::Join(n) if find(n, &self.nodes).is_some());
        let mut change = |n: u8, f: &dyn Fn(&mut Node)| {
            if let Some(i) = find(n, &self.nodes) {
                f(&mut self.nodes[i]);
            }
        };
        let label = |node: &mut Node, key: &str, value: Option<&str>| match value {
            Some(value) => drop(node.metadata.labels.insert(key.to_owned(), value.to_owned())),
            None => drop(node.metadata.labels.remove(key)),
        };
        match step {
            Step::Join(n) if !there => {
                self.born += 1;
                let mut joined = node(&format!("n{n}"), self.born, now);
                label(&mut joined, "dc", (n % 3 > 0).then_some("a"));
                self.nodes.push(joined);
            }
            Step::Join(_) => {}
            Step::Leave(n) => self.nodes.retain(|node| node.metadata.name != format!("n{n}")),
            Step::Going(n) => change(n, &|node| node.metadata.deletion_timestamp = Some(at(now))),
            Step::Cordon(n, on) => change(n, &|node| node.spec.unschedulable = Some(on)),
            Step::Taint(n, on) => change(n, &|node| {
                let taint = Taint { key: "k".into(), effect: "NoSchedule".into(), ..Taint::default() };
                node.spec.taints = if on { vec![taint] } else { vec![] };
            }),
            Step::Dc(n, on) => change(n, &|node| label(node, "dc", on.then_some("a"))),
            Step::Old(n, on) => change(n, &|node| label(node, "old", on.then_some("yes"))),
            Step::Silence(n) => change(n, &|node| {
                if status_of(node).0 == ConditionStatus::True {
                    ready(node, ConditionStatus::Unknown, now);
                }
            }),
            Step::Speak(n) => change(n, &|node| ready(node, ConditionStatus::True, now)),
            Step::Ended => {
                let nodes = self.nodes.clone();
                let hears = |a: &Assignment| {
                    nodes
                        .iter()
                        .find(|n| is_for(a, n))
                        .is_none_or(|n| status_of(n).0 == ConditionStatus::True)
                };
                self.held.retain(|a| a.metadata.deletion_timestamp.is_none() || !hears(a));
            }
            Step::Count(count) => self.wish.count = self.wish.count.map(|_| count),
            Step::Wait(seconds) => self.now += seconds,
            Step::Shuffle(seed) => {
                let before = sorted(self.decide());
                let (nodes, held) = (self.nodes.len().max(1), self.held.len().max(1));
                self.nodes.rotate_left(seed as usize % nodes);
                self.held.rotate_left((seed >> 20) as usize % held);
                if seed % 2 == 0 {
                    self.nodes.reverse();
                    self.held.reverse();
                }
                assert_eq!(sorted(self.decide()), before, "the order in which things are read decides");
            }
        }
    }

    /// Nothing stands in anybody's way any more, and all that is to end has ended.
    fn calm_down(&mut self) {
        self.nodes.retain(|node| node.metadata.deletion_timestamp.is_none());
        for node in &mut self.nodes {
            (node.spec.unschedulable, node.spec.taints) = (None, vec![]);
            ready(node, ConditionStatus::True, self.now);
        }
        for _ in 0..3 {
            self.settle();
            self.take(Step::Ended);
        }
    }
}

fn sorted(mut plan: Plan) -> Plan {
    plan.actions.sort_by_key(|action| match action {
        Action::Create(a) => (0, a.metadata.name.clone()),
        Action::Update(a) => (1, a.metadata.name.clone()),
        Action::Delete { name, .. } => (2, name.clone()),
    });
    plan
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_moves_without_cause_and_what_is_calm_is_as_it_was_asked_for(
        wish in wish(), grace in 0..30_u64, steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut fleet = Fleet { wish, grace, nodes: vec![], held: vec![], now: 0, born: 0 };
        for n in 0..4 {
            fleet.take(Step::Join(n));
        }
        for step in steps {
            fleet.take(step);
            fleet.settle();
        }
        fleet.calm_down();
        let matching: BTreeSet<String> = fleet.nodes.iter().filter(|n| fleet.wish.matches(n)).map(|n| n.metadata.name.clone()).collect();
        let live = fleet.live();
        prop_assert!(live.is_subset(&matching));
        match fleet.wish.count {
            None => prop_assert_eq!(&live, &matching),
            Some(count) => prop_assert_eq!(live.len(), matching.len().min(count as usize)),
        }
        // From scratch, on the nodes that there are now: the same nodes, or, of a stable choice, as many.
        let anew = Fleet { held: vec![], nodes: fleet.nodes.clone(), wish: fleet.wish.clone(), ..fleet };
        let made = anew.decide().actions.into_iter().filter_map(|action| match action {
            Action::Create(a) => Some(a.spec.node_name.clone()),
            _ => None,
        });
        let made: BTreeSet<String> = made.collect();
        prop_assert_eq!(made.len(), live.len());
        if anew.wish.count.is_none() {
            prop_assert_eq!(made, live);
        }
    }

    /// Whoever decides from scratch chooses the same nodes, in whatever order these joined; and one more node takes the
    /// place of one of the chosen at most.
    #[test]
    fn a_choice_from_scratch_depends_on_who_is_there_and_not_on_the_order(
        uids in prop::collection::btree_set(0..1000_u32, 1..20), count in 0..8_u32, seed in any::<u64>(),
    ) {
        let wish = Wish { count: Some(count), failover: None, dc: None, not_old: false, tolerates: false };
        let mut fleet = Fleet { wish, grace: 10, nodes: vec![], held: vec![], now: 0, born: 0 };
        fleet.nodes = uids.iter().map(|uid| node(&format!("n{uid}"), *uid, 0)).collect();
        let names = |plan: Plan| -> BTreeSet<String> {
            plan.actions.iter().map(|a| match a {
                Action::Create(a) => a.spec.node_name.clone(),
                other => panic!("{other:?}"),
            }).collect()
        };
        let chosen = names(fleet.decide());
        fleet.take(Step::Shuffle(seed));
        prop_assert_eq!(&names(fleet.decide()), &chosen);
        fleet.nodes.push(node("late", 5000, 0));
        let with = names(fleet.decide());
        prop_assert!(chosen.difference(&with).count() <= 1);
        prop_assert!(with.len() <= count as usize);
    }
}
