//! A replica of a Service is at most one process on a node.

use super::{Breach, Law, Scene};
use crate::step::{Event, Step};

/// Needs no memory: what lives is in the scene.
pub(super) struct Replicas;

impl Law for Replicas {
    fn name(&self) -> &'static str {
        "a_replica_of_a_service_is_at_most_one_live_process_on_a_node"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        let Event::Started(process) = &step.event else { return Ok(()) };
        if process.replica.is_none() {
            return Ok(());
        }
        let other = scene.processes.values().find(|other| {
            other.run_uid != process.run_uid
                && (other.node, other.replica) == (process.node, process.replica)
                && other.workload == process.workload
        });
        match other {
            Some(other) => Err(format!("{process} started while {other} lives")),
            None => Ok(()),
        }
    }
}
