//! Executions of a Timer that forbids it never overlap on a node.

use drover_types::Kind;

use super::{Breach, Law, Scene};
use crate::step::{Event, Process, Step};

/// Needs no memory: what lives is in the scene.
pub(super) struct Forbid;

fn forbids(scene: &Scene, process: &Process) -> bool {
    let timer = scene.object(Kind::Timer, &process.workload);
    // A Timer that is gone has said it while it was there; the next one of its name is another.
    timer.is_some_and(|timer| timer["spec"]["concurrencyPolicy"].as_str().unwrap_or("Forbid") == "Forbid")
}

impl Law for Forbid {
    fn name(&self) -> &'static str {
        "executions_of_a_timer_that_forbids_it_never_overlap_on_a_node"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        let Event::Started(process) = &step.event else { return Ok(()) };
        if process.tick.is_none() || !forbids(scene, process) {
            return Ok(());
        }
        let other = scene.processes.values().find(|other| {
            other.run_uid != process.run_uid
                && other.node == process.node
                && other.workload == process.workload
                && other.tick.is_some()
        });
        match other {
            Some(other) => Err(format!("{process} started while {other} lives")),
            None => Ok(()),
        }
    }
}
