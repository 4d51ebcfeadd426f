//! Who may run now: lanes with a bound and node-local mutexes, first come, first served.
//!
//! All of what a waiter needs is taken at once, so waiters cannot block each other in a circle. A waiter keeps its
//! place for each of its keys; a lane that is free is not held open for a waiter whose mutex is taken.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use drover_mutants::{Mutant, active};

/// The most that wait on one node; what comes after is refused, and says so.
pub const MAX_WAITING: usize = 10_000;

/// What an execution needs before it may start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// A place in this lane.
    pub lane: Option<String>,
    /// These mutexes.
    pub keys: Vec<String>,
}

/// Who runs and who waits, by an id of the caller's.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    waiting: VecDeque<(String, Needs)>,
    /// The ids in `waiting`.
    in_line: BTreeSet<String>,
    running: BTreeMap<String, Needs>,
}

impl Admission {
    /// Puts `id` at the end of the line. False when too many wait. One that waits or runs already stays as it is.
    pub fn ask(&mut self, id: &str, needs: Needs) -> bool {
        if self.running.contains_key(id) || self.in_line.contains(id) {
            return true;
        }
        if self.waiting.len() >= MAX_WAITING {
            return false;
        }
        self.in_line.insert(id.to_owned());
        self.waiting.push_back((id.to_owned(), needs));
        true
    }

    /// Takes note of what runs already, found again after a restart of the agent. It is never refused.
    pub fn adopt(&mut self, id: &str, needs: Needs) {
        self.leave_line(id);
        let needs = if active(Mutant::ForgottenMutex) { Needs::default() } else { needs };
        self.running.insert(id.to_owned(), needs);
    }

    /// Frees what `id` holds, or gives up its place in the line.
    pub fn release(&mut self, id: &str) {
        self.running.remove(id);
        self.leave_line(id);
    }

    fn leave_line(&mut self, id: &str) {
        if self.in_line.remove(id) {
            self.waiting.retain(|(waiting, _)| waiting != id);
        }
    }

    /// Whether `id` has been admitted and not released.
    pub fn is_running(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Admits all who may start now, in their order. A lane that `lanes` does not name has no bound.
    pub fn admit(&mut self, lanes: &BTreeMap<String, u32>) -> Vec<String> {
        let mut used: BTreeMap<String, u32> = BTreeMap::new();
        let mut taken: BTreeSet<String> = BTreeSet::new();
        for needs in self.running.values() {
            if let Some(lane) = &needs.lane {
                *used.entry(lane.clone()).or_default() += 1;
            }
            taken.extend(needs.keys.iter().cloned());
        }
        let mut admitted = Vec::new();
        let mut still = VecDeque::with_capacity(self.waiting.len());
        for (id, needs) in self.waiting.drain(..) {
            let keys_free = !needs.keys.iter().any(|key| taken.contains(key));
            let room = match &needs.lane {
                Some(lane) => {
                    lanes.get(lane).is_none_or(|bound| used.get(lane).copied().unwrap_or(0) < *bound)
                }
                None => true,
            };
            // Admitted or not, nobody behind gets these keys.
            taken.extend(needs.keys.iter().cloned());
            if keys_free && room {
                if let Some(lane) = &needs.lane {
                    *used.entry(lane.clone()).or_default() += 1;
                }
                self.in_line.remove(&id);
                self.running.insert(id.clone(), needs);
                admitted.push(id);
            } else {
                still.push_back((id, needs));
            }
        }
        self.waiting = still;
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn needs(lane: Option<&str>, keys: &[&str]) -> Needs {
        Needs { lane: lane.map(str::to_owned), keys: keys.iter().map(|k| (*k).to_owned()).collect() }
    }

    #[test]
    fn a_mutex_goes_to_who_waited_longest() {
        let mut line = Admission::default();
        let lanes = BTreeMap::new();
        for id in ["a", "b", "c"] {
            assert!(line.ask(id, needs(None, &["k"])));
        }
        for id in ["a", "b", "c"] {
            assert_eq!(line.admit(&lanes), [id]);
            assert!(line.admit(&lanes).is_empty(), "{id} holds it");
            line.release(id);
        }
    }

    #[test]
    fn who_waits_for_two_keys_is_not_overtaken_on_either() {
        let mut line = Admission::default();
        let lanes = BTreeMap::new();
        line.ask("a", needs(None, &["x"]));
        line.ask("b", needs(None, &["x", "y"]));
        line.ask("c", needs(None, &["y"]));
        line.ask("d", needs(None, &["z"]));
        assert_eq!(line.admit(&lanes), ["a", "d"]);
        line.release("a");
        assert_eq!(line.admit(&lanes), ["b"]);
    }

    #[test]
    fn a_lane_without_a_bound_holds_nobody_up() {
        let mut line = Admission::default();
        for id in 0..50 {
            line.ask(&id.to_string(), needs(Some("free"), &[]));
        }
        assert_eq!(line.admit(&BTreeMap::from([("other".into(), 1)])).len(), 50);
    }

    #[test]
    fn the_line_has_an_end() {
        let mut line = Admission::default();
        for id in 0..MAX_WAITING {
            assert!(line.ask(&id.to_string(), Needs::default()));
        }
        assert!(!line.ask("one more", Needs::default()));
        assert!(line.ask("5", Needs::default()), "one that waits already does not wait twice");
    }

    proptest! {
        #[test]
        fn no_bound_is_passed_and_nobody_waits_for_ever(
            wants in proptest::collection::vec((0..3_usize, 0..4_usize), 1..40), bound in 1..4_u32,
        ) {
            let lanes = BTreeMap::from([("l1".to_owned(), bound), ("l2".to_owned(), bound)]);
            let mut line = Admission::default();
            for (id, (lane, key)) in wants.iter().enumerate() {
                let lane = [None, Some("l1"), Some("l2")][*lane];
                let keys: &[&str] = [&[] as &[&str], &["x"], &["y"], &["x", "y"]][*key];
                line.ask(&id.to_string(), needs(lane, keys));
            }
            let mut done = 0;
            while done < wants.len() {
                line.admit(&lanes);
                prop_assert!(!line.running.is_empty(), "all wait and nobody runs");
                for lane in ["l1", "l2"] {
                    let used = line.running.values().filter(|n| n.lane.as_deref() == Some(lane)).count();
                    prop_assert!(used <= bound as usize);
                }
                for key in ["x", "y"] {
                    prop_assert!(line.running.values().filter(|n| n.keys.iter().any(|k| k == key)).count() <= 1);
                }
                let first = line.running.keys().next().unwrap().clone();
                line.release(&first);
                done += 1;
            }
        }
    }
}
