//! Which Runs and finished Tasks have been kept long enough. What is not finished is never touched.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use drover_types::ConditionStatus;
use drover_types::kinds::run::RunPhase;
use drover_types::kinds::{Run, Task, Timer};
use jiff::Timestamp;

/// How many finished Runs are kept per workload and node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of those that succeeded.
    pub successful: usize,
    /// Of the others.
    pub failed: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { successful: 3, failed: 3 }
    }
}

impl Limits {
    /// Those of a Timer.
    pub fn of(timer: &Timer) -> Self {
        let or_default = |limit: Option<u32>| limit.map_or(3, |n| usize::try_from(n).unwrap_or(usize::MAX));
        Self {
            successful: or_default(timer.spec.successful_runs_history_limit),
            failed: or_default(timer.spec.failed_runs_history_limit),
        }
    }
}

/// The Runs of one workload that history lets go, oldest first within a node.
pub fn surplus<'a>(runs: &[&'a Run], limits: Limits) -> Vec<&'a Run> {
    let mut groups: BTreeMap<(&str, bool), Vec<&'a Run>> = BTreeMap::new();
    for run in runs.iter().copied().filter(|r| r.metadata.deletion_timestamp.is_none()) {
        let Some(phase) = run.status.as_ref().map(|s| s.phase).filter(|p| p.is_finished()) else { continue };
        groups.entry((&run.spec.node_name, phase == RunPhase::Succeeded)).or_default().push(run);
    }
    let mut surplus = Vec::new();
    for ((_, succeeded), mut group) in groups {
        group.sort_by_key(|r| Reverse((ended(r), r.metadata.uid.as_str())));
        let limit = if succeeded { limits.successful } else { limits.failed };
        surplus.extend(group.drain(limit.min(group.len())..).rev());
    }
    surplus
}

fn ended(run: &Run) -> Option<Timestamp> {
    run.status
        .as_ref()
        .and_then(|s| s.finished_at)
        .or(run.spec.trigger.time)
        .or(run.metadata.creation_timestamp)
}

/// What `ttlAfterFinished` asks for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Nothing, ever, as things stand.
    Keep,
    /// Nothing yet; look again at this time.
    Until(Timestamp),
    /// Its Assignments and Runs go; the Task stays, with its counts.
    Clear,
    /// The Task goes, and all it owns with it: it is a child that somebody's call made.
    Remove,
}

/// Decides what becomes of a Task after its end.
pub fn ttl(task: &Task, now: Timestamp) -> Ttl {
    let ended = task.status.as_ref().filter(|s| {
        s.conditions
            .iter()
            .any(|c| c.status == ConditionStatus::True && matches!(c.type_.as_str(), "Complete" | "Failed"))
    });
    let due = ended
        .and_then(|s| s.completion_time)
        .zip(task.spec.ttl_after_finished)
        .and_then(|(end, ttl)| end.checked_add(ttl.to_signed()).ok());
    let is_child =
        task.metadata.owner_references.iter().any(|o| o.controller == Some(true) && o.kind == "Task");
    match due {
        None => Ttl::Keep,
        Some(due) if now < due => Ttl::Until(due),
        Some(_) if is_child => Ttl::Remove,
        Some(_) => Ttl::Clear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::fixtures::{at, condition, meta, task};
    use drover_types::kinds::run::{RunSpec, RunStatus};
    use drover_types::kinds::task::TaskStatus;
    use drover_types::{API_VERSION, Duration, OwnerReference};
    use proptest::prelude::*;

    fn run(i: usize, node: u8, phase: RunPhase) -> Run {
        let mut metadata = meta(&format!("r{i}"));
        metadata.uid = format!("{i:04}");
        Run {
            api_version: API_VERSION.into(),
            kind: "Run".into(),
            metadata,
            spec: RunSpec { node_name: format!("n{node}"), ..RunSpec::default() },
            status: Some(RunStatus {
                phase,
                finished_at: phase.is_finished().then(|| at(i64::try_from(i).unwrap())),
                ..RunStatus::default()
            }),
        }
    }

    fn phase() -> impl Strategy<Value = RunPhase> {
        use RunPhase::{Failed, Lost, Pending, Running, Skipped, Succeeded, TimedOut};
        prop::sample::select(vec![Pending, Running, Succeeded, Failed, TimedOut, Lost, Skipped])
    }

    proptest! {
        #[test]
        fn a_live_run_is_never_let_go_and_each_node_keeps_its_newest(
            shape in prop::collection::vec((0_u8..3, phase()), 0..60),
            successful in 0_usize..5,
            failed in 0_usize..5,
        ) {
            let runs: Vec<Run> = shape.iter().enumerate().map(|(i, (n, p))| run(i, *n, *p)).collect();
            let all: Vec<&Run> = runs.iter().collect();
            let limits = Limits { successful, failed };
            let gone = surplus(&all, limits);
            prop_assert!(gone.iter().all(|r| r.status.as_ref().unwrap().phase.is_finished()));
            let left: Vec<&Run> = all.iter().copied().filter(|r| !gone.iter().any(|g| std::ptr::eq(*g, *r))).collect();
            prop_assert!(surplus(&left, limits).is_empty());
            for node in ["n0", "n1", "n2"] {
                let kept = left.iter().filter(|r| {
                    r.spec.node_name == node && r.status.as_ref().unwrap().phase == RunPhase::Succeeded
                }).count();
                let had = all.iter().filter(|r| {
                    r.spec.node_name == node && r.status.as_ref().unwrap().phase == RunPhase::Succeeded
                }).count();
                prop_assert_eq!(kept, had.min(successful));
            }
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let runs: Vec<Run> = (0..5).map(|i| run(i, 0, RunPhase::Failed)).collect();
        let gone = surplus(&runs.iter().collect::<Vec<_>>(), Limits::default());
        assert_eq!(gone.iter().map(|r| r.metadata.name.as_str()).collect::<Vec<_>>(), ["r0", "r1"]);
    }

    #[test]
    fn a_task_outlives_its_ttl_unless_it_is_a_child() {
        let mut t = task("t");
        t.spec.ttl_after_finished = Some(Duration::from_secs(60));
        assert_eq!(ttl(&t, at(1000)), Ttl::Keep);
        t.status = Some(TaskStatus {
            completion_time: Some(at(0)),
            conditions: vec![condition("Failed", ConditionStatus::True, 0)],
            ..TaskStatus::default()
        });
        assert_eq!(ttl(&t, at(59)), Ttl::Until(at(60)));
        assert_eq!(ttl(&t, at(60)), Ttl::Clear);
        t.metadata.owner_references.push(OwnerReference {
            api_version: API_VERSION.into(),
            kind: "Task".into(),
            name: "parent".into(),
            uid: "u".into(),
            controller: Some(true),
            block_owner_deletion: None,
        });
        assert_eq!(ttl(&t, at(60)), Ttl::Remove);
    }
}
