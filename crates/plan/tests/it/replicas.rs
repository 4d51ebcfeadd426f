//! The replicas of a Service on a node where its template, its count and everything that lives change in any order, and
//! the agent starts anew in between.

use std::collections::BTreeSet;
use std::time::Duration;

use drover_plan::node::Now;
use drover_plan::node::replicas::{Held, Progress, SETTLED, replace, vacant};
use drover_plan::node::run::StopCause;
use jiff::Timestamp;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Event {
    /// Another template, or one that was there before.
    Template(u8),
    Scale(u32),
    /// Time passes, so many milliseconds.
    Pass(u64),
    /// A keeper is started for one that waits.
    Admit(usize),
    /// A process is seen for the first time by this start of the agent.
    Begin(usize),
    /// One ends, asked or not; whether its restart policy keeps its replica down, if it was not asked.
    End(usize, bool),
    /// The agent starts anew: of what lives it knows no more than that it was started.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let which = 0..6_usize;
    prop_oneof![
        2 => (0..3_u8).prop_map(Event::Template),
        1 => (0..5_u32).prop_map(Event::Scale),
        6 => prop_oneof![0..400_u64, 900..1100_u64, 0..10_000_u64].prop_map(Event::Pass),
        6 => which.clone().prop_map(Event::Admit),
        6 => which.clone().prop_map(Event::Begin),
        4 => (which, prop::bool::weighted(0.2)).prop_map(|(one, stays)| Event::End(one, stays)),
        1 => Just(Event::Restart),
    ]
}

#[derive(Clone, Debug)]
struct Execution {
    replica: u32,
    template: u8,
    ending: bool,
    /// Whether a keeper was started for it.
    admitted: bool,
    /// When its process started, if it has.
    started: Option<Duration>,
    /// Whether this start of the agent has seen that.
    seen: bool,
}

struct Node {
    wanted: u32,
    template: u8,
    now: Duration,
    executions: Vec<Execution>,
    /// Replicas that their restart policy keeps down.
    down: BTreeSet<u32>,
}

impl Node {
    fn new(wanted: u32) -> Self {
        Self {
            wanted,
            template: 0,
            now: Duration::from_secs(5),
            executions: Vec::new(),
            down: BTreeSet::new(),
        }
    }

    fn held(&self) -> Vec<Held> {
        let progress = |one: &Execution| match one.started.filter(|_| one.seen) {
            Some(at) => Progress::Up(at),
            None if one.admitted => Progress::Starting,
            None => Progress::Waiting,
        };
        let held = |one: &Execution| Held {
            replica: one.replica,
            current: one.template == self.template,
            ending: one.ending,
            progress: progress(one),
        };
        self.executions.iter().map(held).collect()
    }

    /// The wanted replicas, but for `except` and those that are kept down, of which no process is up and stays.
    fn lacking(&self, except: u32) -> Vec<u32> {
        let serves = |replica: u32| {
            self.executions.iter().any(|one| {
                one.replica == replica
                    && !one.ending
                    && one.started.is_some_and(|at| at + SETTLED <= self.now)
            })
        };
        (0..self.wanted).filter(|r| *r != except && !self.down.contains(r) && !serves(*r)).collect()
    }

    /// The agent plans once; whether that changed anything.
    fn plan(&mut self) -> Result<bool, TestCaseError> {
        self.down.retain(|replica| *replica < self.wanted);
        let now = Now { wall: Timestamp::UNIX_EPOCH, boottime: self.now };
        let held = self.held();
        let down = u32::try_from(self.down.len()).unwrap();
        let decided = replace(self.wanted, down, &held, now);
        prop_assert!(decided.look_again.is_none_or(|at| at > self.now), "it looks again in the past");
        let mut replaced = 0;
        for (at, cause) in &decided.end {
            let one = &self.executions[*at];
            prop_assert!(!one.ending, "asked twice: {one:?}");
            match cause {
                StopCause::Removed => {
                    prop_assert!(one.replica >= self.wanted, "wanted, and removed: {one:?}")
                }
                StopCause::Changed => {
                    prop_assert!(one.template != self.template, "nothing changed for {one:?}");
                    if one.admitted {
                        replaced += 1;
                        let lacking = self.lacking(one.replica);
                        prop_assert!(
                            lacking.is_empty(),
                            "{one:?} ends while replicas {lacking:?} are not up"
                        );
                    }
                }
                other => prop_assert!(false, "it ends for {other:?}"),
            }
        }
        prop_assert!(replaced <= 1, "{replaced} replicas are replaced at once");
        let starts: Vec<u32> =
            vacant(self.wanted, &held).filter(|replica| !self.down.contains(replica)).collect();
        let changed = !decided.end.is_empty() || !starts.is_empty();
        let mut ended: Vec<usize> = decided.end.into_iter().map(|(at, _)| at).collect();
        ended.sort_unstable();
        for at in ended.into_iter().rev() {
            if self.executions[at].admitted {
                self.executions[at].ending = true;
            } else {
                self.executions.remove(at);
            }
        }
        for replica in starts {
            let template = self.template;
            self.executions.push(Execution {
                replica,
                template,
                ending: false,
                admitted: false,
                started: None,
                seen: false,
            });
        }
        Ok(changed)
    }

    /// The agent plans until it has nothing to do.
    fn step(&mut self) -> Result<(), TestCaseError> {
        for _ in 0..20 {
            let changed = self.plan()?;
            let mut there = BTreeSet::new();
            for one in &self.executions {
                prop_assert!(
                    there.insert(one.replica),
                    "replica {} is two: {:?}",
                    one.replica,
                    self.executions
                );
            }
            if !changed {
                return Ok(());
            }
        }
        prop_assert!(false, "it never comes to rest");
        Ok(())
    }

    fn nth(&self, which: usize, wanted: impl Fn(&Execution) -> bool) -> Option<usize> {
        let of: Vec<usize> = (0..self.executions.len()).filter(|at| wanted(&self.executions[*at])).collect();
        of.get(which % of.len().max(1)).copied()
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Template(template) => {
                if template != self.template {
                    // Another generation may do better.
                    self.down.clear();
                }
                self.template = template;
            }
            Event::Scale(wanted) => self.wanted = wanted,
            Event::Pass(millis) => self.now += Duration::from_millis(millis),
            Event::Admit(which) => {
                if let Some(at) = self.nth(which, |one| !one.admitted) {
                    self.executions[at].admitted = true;
                }
            }
            Event::Begin(which) => {
                if let Some(at) = self.nth(which, |one| one.admitted && !one.seen) {
                    let one = &mut self.executions[at];
                    one.started.get_or_insert(self.now);
                    one.seen = true;
                }
            }
            Event::End(which, stays_down) => {
                if let Some(at) = self.nth(which, |one| one.admitted) {
                    let one = self.executions.remove(at);
                    if stays_down && !one.ending && one.replica < self.wanted {
                        self.down.insert(one.replica);
                    }
                }
            }
            Event::Restart => self.executions.iter_mut().for_each(|one| one.seen = false),
        }
    }

    /// Nothing fails any more: what waits begins, what is asked to end ends, each a moment later.
    fn settle(&mut self) {
        self.now += Duration::from_millis(500);
        self.executions.retain(|one| !one.ending);
        for one in &mut self.executions {
            if one.admitted {
                one.started.get_or_insert(self.now);
                one.seen = true;
            }
            one.admitted = true;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_replica_is_one_process_at_most_and_a_new_template_takes_one_down_at_a_time_and_reaches_all(
        wanted in 0..5_u32, events in prop::collection::vec(event(), 1..120),
    ) {
        let mut node = Node::new(wanted);
        node.step()?;
        for event in events {
            node.happens(event);
            node.step()?;
        }
        // Each replica needs a second to settle, and half of one to end and to begin.
        for _ in 0..10 * (node.wanted + 2) {
            node.settle();
            node.step()?;
        }
        let there: BTreeSet<u32> = node.executions.iter().map(|one| one.replica).collect();
        let wanted: BTreeSet<u32> = (0..node.wanted).filter(|replica| !node.down.contains(replica)).collect();
        prop_assert_eq!(there, wanted, "in the end");
        for one in &node.executions {
            prop_assert!(one.template == node.template && !one.ending && one.started.is_some(), "{one:?} in the end");
        }
    }
}
