//! Executions that name the same mutex never overlap on a node.

use drover_types::Kind;
use serde_json::Value;

use super::{Breach, Law, Scene};
use crate::step::{Event, Process, Step};

/// Needs no memory: what lives is in the scene.
pub(super) struct Mutex;

fn keys<'a>(scene: &'a Scene, process: &Process) -> Vec<&'a str> {
    let workload =
        [Kind::Timer, Kind::Task].into_iter().find_map(|kind| scene.object(kind, &process.workload));
    let named = workload.and_then(|workload| workload["spec"]["template"]["mutex"].as_array());
    named.into_iter().flatten().filter_map(Value::as_str).collect()
}

impl Law for Mutex {
    fn name(&self) -> &'static str {
        "executions_that_name_the_same_mutex_never_overlap_on_a_node"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        let Event::Started(process) = &step.event else { return Ok(()) };
        let mine = keys(scene, process);
        if mine.is_empty() {
            return Ok(());
        }
        let other = scene.processes.values().find(|other| {
            other.run_uid != process.run_uid
                && other.node == process.node
                && keys(scene, other).iter().any(|key| mine.contains(key))
        });
        match other {
            Some(other) => Err(format!("{process} started while {other} lives: both name {mine:?}")),
            None => Ok(()),
        }
    }
}
