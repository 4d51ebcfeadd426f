//! What is remembered of Assignments, in little room: of ten thousand timers that wait, most is the same for all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};

use drover_types::Condition;
use jiff::Timestamp;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ledger::Memory;
use crate::mark::mark;

/// By Assignment uid. On disk it is a map of plain memories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memories {
    // Boxed, as the nodes of a map may be half empty.
    of: BTreeMap<Arc<str>, Box<Kept>>,
    /// What several have in common, by its mark.
    shared: BTreeMap<u64, Weak<Memory>>,
    /// How many of these there may be before those that nothing has any more are cleared away.
    sweep_at: usize,
}

/// A memory: what it has for itself, and the rest.
#[derive(Clone, Debug)]
struct Kept {
    cursor: Timestamp,
    skipped: u64,
    last_tick: Option<Timestamp>,
    last_success: Option<Timestamp>,
    finished: Box<[(Box<str>, bool)]>,
    name: Box<str>,
    workload: Box<str>,
    /// The time of each condition.
    transitions: Box<[Timestamp]>,
    /// All else; what is above is empty in it.
    rest: Arc<Memory>,
}

impl Memories {
    /// What is remembered of an Assignment.
    pub(crate) fn get(&self, uid: &str) -> Option<Memory> {
        self.of.get(uid).map(|kept| kept.open())
    }

    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.of.contains_key(uid)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    pub(crate) fn uids(&self) -> impl Iterator<Item = &str> {
        self.of.keys().map(|uid| &**uid)
    }

    /// Whether an Assignment was this node's when the server's store got the history that it has.
    pub(crate) fn is_carried(&self, uid: &str) -> bool {
        self.of.get(uid).is_some_and(|kept| kept.rest.carried)
    }

    /// The Assignments of a workload, and the history of the server's store in which each was last wanted.
    pub(crate) fn of_workload(&self, workload: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
        let of = self.of.iter().filter(move |(_, kept)| &*kept.workload == workload);
        of.map(|(uid, kept)| (&**uid, kept.rest.epoch.as_deref()))
    }

    /// The finished runs whose output is kept.
    pub(crate) fn finished(&self) -> impl Iterator<Item = &str> {
        self.of.values().flat_map(|kept| kept.finished.iter().map(|(run_uid, _)| &**run_uid))
    }

    /// From here on an Assignment is remembered so.
    pub(crate) fn insert(&mut self, uid: &str, memory: Memory) {
        let held = self.of.get(uid).map(|kept| Arc::clone(&kept.rest));
        let kept = Box::new(Kept::of(memory, |rest| match held {
            Some(held) if *held == rest => held,
            _ => self.share(rest),
        }));
        match self.of.get_mut(uid) {
            Some(held) => *held = kept,
            None => drop(self.of.insert(uid.into(), kept)),
        }
    }

    pub(crate) fn remove(&mut self, uid: &str) -> Option<Memory> {
        self.of.remove(uid).map(|kept| kept.open())
    }

    fn share(&mut self, rest: Memory) -> Arc<Memory> {
        let mark = mark(&rest);
        if let Some(held) = self.shared.get(&mark).and_then(Weak::upgrade)
            && *held == rest
        {
            return held;
        }
        if self.shared.len() >= self.sweep_at {
            self.shared.retain(|_, held| held.strong_count() > 0);
            self.sweep_at = self.shared.len() * 2 + 64;
        }
        let rest = Arc::new(rest);
        self.shared.insert(mark, Arc::downgrade(&rest));
        rest
    }
}

impl Kept {
    fn of(mut memory: Memory, share: impl FnOnce(Memory) -> Arc<Memory>) -> Self {
        let finished = std::mem::take(&mut memory.finished).into_iter();
        let time = |condition: &mut Condition| {
            std::mem::replace(&mut condition.last_transition_time, Timestamp::UNIX_EPOCH)
        };
        Self {
            cursor: std::mem::replace(&mut memory.cursor, Timestamp::UNIX_EPOCH),
            skipped: std::mem::take(&mut memory.skipped),
            last_tick: memory.last_tick.take(),
            last_success: memory.last_success.take(),
            finished: finished.map(|(run_uid, success)| (run_uid.into(), success)).collect(),
            name: std::mem::take(&mut memory.name).into(),
            workload: std::mem::take(&mut memory.workload).into(),
            transitions: memory.conditions.iter_mut().map(time).collect(),
            rest: share(memory),
        }
    }

    fn open(&self) -> Memory {
        let mut memory = Memory {
            cursor: self.cursor,
            skipped: self.skipped,
            last_tick: self.last_tick,
            last_success: self.last_success,
            finished: self
                .finished
                .iter()
                .map(|(run_uid, success)| (run_uid.to_string(), *success))
                .collect(),
            name: self.name.to_string(),
            workload: self.workload.to_string(),
            ..(*self.rest).clone()
        };
        for (condition, time) in memory.conditions.iter_mut().zip(&self.transitions) {
            condition.last_transition_time = *time;
        }
        memory
    }
}

impl Serialize for Memories {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.of.iter().map(|(uid, kept)| (&**uid, kept.open())))
    }
}

impl<'de> Deserialize<'de> for Memories {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Memories;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("memories by uid")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Memories, A::Error> {
                let mut memories = Memories::default();
                while let Some((uid, memory)) = map.next_entry::<String, Memory>()? {
                    memories.insert(&uid, memory);
                }
                Ok(memories)
            }
        }
        deserializer.deserialize_map(Map)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use drover_types::ConditionStatus;
    use drover_types::kinds::run::RunPhase;
    use proptest::prelude::*;

    use super::*;

    fn memory(seed: u8, name: &str) -> Memory {
        let at = |second: u8| Timestamp::from_second(i64::from(second)).unwrap();
        let condition = |type_: &str| Condition {
            type_: type_.into(),
            status: ConditionStatus::True,
            observed_generation: Some(i64::from(seed % 2)),
            last_transition_time: at(seed),
            reason: "Armed".into(),
            message: String::new(),
        };
        Memory {
            cursor: at(seed),
            aside: seed.is_multiple_of(3).then(|| at(seed / 2)),
            boot_id: "boot".into(),
            skipped: u64::from(seed),
            last_tick: seed.is_multiple_of(4).then(|| at(seed)),
            last_success: seed.is_multiple_of(8).then(|| at(seed)),
            last_phase: seed.is_multiple_of(8).then_some(RunPhase::Succeeded),
            finished: VecDeque::from_iter((0..seed % 4).map(|run| (format!("run-{run}"), run == 1))),
            namespace: "default".into(),
            name: name.into(),
            conditions: ["Ready", "ConfigMissing"]
                .into_iter()
                .take(usize::from(seed % 3))
                .map(condition)
                .collect(),
            workload: format!("of-{seed}"),
            epoch: seed.is_multiple_of(2).then(|| "epoch".into()),
            carried: seed.is_multiple_of(5),
            ..Memory::default()
        }
    }

    proptest! {
        /// However they change, and through the journal's form and back.
        #[test]
        fn what_was_remembered_last_is_what_is_remembered(
            steps in proptest::collection::vec((0..6_u8, any::<u8>(), 0..8_u8), 0..200),
        ) {
            let (mut memories, mut model) = (Memories::default(), BTreeMap::new());
            for (uid, seed, step) in steps {
                let uid = format!("u{uid}");
                if step == 0 {
                    prop_assert_eq!(memories.remove(&uid), model.remove(&uid));
                } else {
                    memories.insert(&uid, memory(seed, &uid));
                    model.insert(uid.clone(), memory(seed, &uid));
                }
                prop_assert_eq!(memories.get(&uid), model.get(&uid).cloned());
                if step == 1 {
                    let json = serde_json::to_value(&memories).unwrap();
                    prop_assert_eq!(&json, &serde_json::to_value(&model).unwrap());
                    memories = serde_json::from_value(json).unwrap();
                }
            }
            prop_assert!(memories.uids().eq(model.keys()));
            for (uid, memory) in &model {
                prop_assert_eq!(memories.is_carried(uid), memory.carried);
                let mut of = memories.of_workload(&memory.workload);
                prop_assert!(of.any(|found| found == (uid, memory.epoch.as_deref())));
            }
            let finished = model.values().flat_map(|memory| memory.finished.iter().map(|(run, _)| run.as_str()));
            prop_assert!(memories.finished().eq(finished));
            prop_assert!(memories.shared.len() <= model.len() * 2 + 64);
        }
    }

    #[test]
    fn what_is_the_same_is_held_once_and_what_nobody_has_is_let_go() {
        let mut memories = Memories::default();
        for number in 0..1000 {
            memories.insert(&format!("u{number}"), memory(1, &format!("t{number}")));
        }
        assert_eq!(memories.shared.len(), 1);
        for number in 0..1000_u16 {
            let last_end = format!("exit code {number}");
            memories.insert("u0", Memory { last_end, ..memory(1, "t0") });
        }
        assert!(memories.shared.len() <= 66, "{} are held", memories.shared.len());
    }
}
