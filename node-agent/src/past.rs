//! What ran here of workloads whose Assignments are forgotten. A server that was restored from a backup may assign such a
//! workload again; this is how the node knows that it has had its turn.

use std::collections::{BTreeMap, VecDeque};

use drover_types::kinds::run::RunPhase;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::Memory;

/// The most workloads that are remembered so; the one forgotten first goes first.
const MAX_PAST: usize = 8192;

/// By the workload's uid.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Past {
    of: BTreeMap<String, Gone>,
    order: VecDeque<String>,
}

/// As much of a memory as keeps anything from running twice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Gone {
    /// The history of the server's store in which it was last wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    cursor: Timestamp,
    boot_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_tick: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_started: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    task_outcome: Option<(RunPhase, Timestamp)>,
}

impl Past {
    /// Keeps of a memory that goes what matters, if anything of it ran.
    pub(crate) fn keep(&mut self, memory: Memory) {
        let ran =
            memory.last_tick.is_some() || memory.task_started.is_some() || memory.task_outcome.is_some();
        if memory.workload.is_empty() || !ran {
            return;
        }
        let gone = Gone {
            epoch: memory.epoch,
            cursor: memory.cursor,
            boot_id: memory.boot_id,
            last_tick: memory.last_tick,
            task_started: memory.task_started,
            task_outcome: memory.task_outcome,
        };
        if self.of.contains_key(&memory.workload) {
            self.order.retain(|uid| *uid != memory.workload);
        }
        self.order.push_back(memory.workload.clone());
        self.of.insert(memory.workload, gone);
        while self.order.len() > MAX_PAST
            && let Some(uid) = self.order.pop_front()
        {
            self.of.remove(&uid);
        }
    }

    /// What a workload that another history of the server's store brings back begins with. In the same history it is a
    /// matter of that server whether a workload runs here again.
    pub(crate) fn recall(&self, workload: &str, epoch: Option<&str>, now: Timestamp) -> Option<Memory> {
        let gone = self.of.get(workload).filter(|gone| gone.epoch.as_deref() != epoch)?;
        let mut memory = Memory {
            cursor: gone.cursor.max(now),
            boot_id: gone.boot_id.clone(),
            last_tick: gone.last_tick,
            task_started: gone.task_started,
            task_outcome: gone.task_outcome,
            workload: workload.to_owned(),
            ..Memory::default()
        };
        if gone.task_started.is_some() && gone.task_outcome.is_none() {
            memory.task_outcome = Some((RunPhase::Lost, now));
            memory.last_end = "it was started before the server was restored, and ended with its Task".into();
        } else if gone.task_outcome.is_some() {
            memory.last_end = "it ran before the server was restored".into();
        }
        memory.last_phase = memory.task_outcome.map(|(phase, _)| phase);
        Some(memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(workload: &str, outcome: Option<RunPhase>) -> Memory {
        let at = Timestamp::UNIX_EPOCH;
        Memory {
            workload: workload.into(),
            epoch: Some("first".into()),
            task_started: Some(at),
            task_outcome: outcome.map(|phase| (phase, at)),
            ..Memory::default()
        }
    }

    #[test]
    fn only_another_history_recalls_what_ran_and_what_never_ended_is_lost() {
        let mut past = Past::default();
        past.keep(memory("done", Some(RunPhase::Succeeded)));
        past.keep(memory("cut", None));
        past.keep(Memory { task_started: None, ..memory("never", None) });
        let now = Timestamp::from_second(100).unwrap();
        let recall = |uid: &str, epoch| past.recall(uid, Some(epoch), now);
        assert_eq!(recall("done", "first"), None);
        assert_eq!(recall("never", "second"), None);
        let phase =
            |uid| recall(uid, "second").and_then(|memory| memory.task_outcome).map(|(phase, _)| phase);
        assert_eq!((phase("done"), phase("cut")), (Some(RunPhase::Succeeded), Some(RunPhase::Lost)));
        assert_eq!(recall("done", "second").unwrap().cursor, now, "no tick before now");
    }

    #[test]
    fn it_is_bounded_and_the_oldest_goes_first() {
        let mut past = Past::default();
        for index in 0..MAX_PAST + 3 {
            past.keep(memory(&format!("u{index}"), None));
        }
        // One that goes once more is young again.
        past.keep(memory("u5", Some(RunPhase::Failed)));
        assert_eq!((past.of.len(), past.order.len()), (MAX_PAST, MAX_PAST));
        let known = |uid: &str| past.recall(uid, None, Timestamp::UNIX_EPOCH).is_some();
        assert!(!known("u2") && known("u3") && known("u5"));
    }
}
