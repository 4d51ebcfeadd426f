//! The line before lanes and mutexes, beside one that is drawn up anew each time.

use std::collections::BTreeMap;

use drover_plan::node::admission::{Admission, Needs};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Ask(u8, Needs),
    Adopt(u8, Needs),
    Release(u8),
    Admit,
    /// The pool's settings change: bounds of the two lanes, or none.
    Bounds(Option<u32>, Option<u32>),
}

fn needs() -> impl Strategy<Value = Needs> {
    let lane = prop_oneof![Just(None), Just(Some("a")), Just(Some("b"))];
    let keys = prop::sample::subsequence(vec!["x", "y", "z"], 0..=3);
    (lane, keys).prop_map(|(lane, keys)| Needs {
        lane: lane.map(str::to_owned),
        keys: keys.into_iter().map(str::to_owned).collect(),
    })
}

fn step() -> impl Strategy<Value = Step> {
    let bound = || prop::option::of(0..3_u32);
    prop_oneof![
        6 => (0..20_u8, needs()).prop_map(|(id, needs)| Step::Ask(id, needs)),
        1 => (0..20_u8, needs()).prop_map(|(id, needs)| Step::Adopt(id, needs)),
        4 => (0..20_u8).prop_map(Step::Release),
        5 => Just(Step::Admit),
        1 => (bound(), bound()).prop_map(|(a, b)| Step::Bounds(a, b)),
    ]
}

/// Who waits in which order, and who runs.
#[derive(Default)]
struct Line {
    waiting: Vec<(String, Needs)>,
    running: BTreeMap<String, Needs>,
}

impl Line {
    fn holders(&self, key: &str) -> usize {
        self.running.values().filter(|needs| needs.keys.iter().any(|k| k == key)).count()
    }

    fn in_lane(&self, lane: &str) -> u32 {
        self.running.values().filter(|needs| needs.lane.as_deref() == Some(lane)).count() as u32
    }

    /// Whoever stands first and could start does, until nobody can.
    fn admit(&mut self, lanes: &BTreeMap<String, u32>) -> Vec<String> {
        let mut admitted = Vec::new();
        while let Some(at) = (0..self.waiting.len()).find(|at| {
            let (_, needs) = &self.waiting[*at];
            let ahead = |key: &String| self.waiting[..*at].iter().any(|(_, n)| n.keys.contains(key));
            needs.keys.iter().all(|key| self.holders(key) == 0 && !ahead(key))
                && needs
                    .lane
                    .as_ref()
                    .is_none_or(|lane| lanes.get(lane).is_none_or(|b| self.in_lane(lane) < *b))
        }) {
            let (id, needs) = self.waiting.remove(at);
            self.running.insert(id.clone(), needs);
            admitted.push(id);
        }
        admitted
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bound_is_passed_no_key_is_shared_and_nobody_is_overtaken(steps in prop::collection::vec(step(), 1..120)) {
        let (mut real, mut line) = (Admission::default(), Line::default());
        let mut lanes = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        for step in steps {
            match step {
                Step::Ask(id, needs) => {
                    let id = id.to_string();
                    prop_assert!(real.ask(&id, needs.clone()));
                    let known = line.running.contains_key(&id) || line.waiting.iter().any(|(w, _)| *w == id);
                    if !known {
                        line.waiting.push((id, needs));
                    }
                }
                Step::Adopt(id, needs) => {
                    let id = id.to_string();
                    real.adopt(&id, needs.clone());
                    line.waiting.retain(|(waiting, _)| *waiting != id);
                    line.running.insert(id, needs);
                }
                Step::Release(id) => {
                    let id = id.to_string();
                    real.release(&id);
                    line.waiting.retain(|(waiting, _)| *waiting != id);
                    line.running.remove(&id);
                }
                Step::Admit => {
                    let before = line.running.clone();
                    let admitted = real.admit(&lanes);
                    prop_assert_eq!(&admitted, &line.admit(&lanes));
                    for id in &admitted {
                        let needs = &line.running[id];
                        for key in &needs.keys {
                            prop_assert_eq!(line.holders(key), 1, "{} is held twice", key);
                        }
                        if let Some((lane, bound)) = needs.lane.as_ref().and_then(|l| Some((l, lanes.get(l)?))) {
                            prop_assert!(line.in_lane(lane) <= *bound, "{} is too full", lane);
                        }
                        prop_assert!(!before.contains_key(id));
                    }
                }
                Step::Bounds(a, b) => {
                    lanes = [("a", a), ("b", b)].into_iter().filter_map(|(l, b)| Some((l.to_owned(), b?))).collect();
                }
            }
            prop_assert_eq!(real.waiting(), line.waiting.len());
            for id in 0..20_u8 {
                let id = id.to_string();
                prop_assert_eq!(real.is_running(&id), line.running.contains_key(&id));
            }
        }
        // Once everything that runs has ended, and again and again, nobody is left waiting.
        lanes = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]);
        while real.waiting() > 0 {
            for id in std::mem::take(&mut line.running).into_keys() {
                real.release(&id);
            }
            let admitted = real.admit(&lanes);
            prop_assert_eq!(&admitted, &line.admit(&lanes));
            prop_assert!(!admitted.is_empty(), "all wait for each other");
        }
    }
}
