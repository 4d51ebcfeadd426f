//! What is wanted on so many nodes lives on no more than these at once, also while it moves.

use std::collections::BTreeSet;

use drover_types::Kind;

use super::{Breach, Law, Scene};
use crate::step::{Event, Step};

/// Needs no memory: what lives is in the scene.
pub(super) struct Moved;

impl Law for Moved {
    fn name(&self) -> &'static str {
        "what_has_a_count_lives_on_no_more_nodes_also_while_it_moves"
    }

    fn on(&mut self, step: &Step, scene: &Scene) -> Result<(), Breach> {
        let Event::Started(process) = &step.event else { return Ok(()) };
        let workload = [Kind::Service, Kind::Task]
            .into_iter()
            .find_map(|kind| scene.object(kind, &process.workload))
            // Whoever calls a Task makes another one of each call.
            .filter(|workload| workload["spec"]["mode"] != "OnDemand");
        let Some(count) = workload.and_then(|w| w["spec"]["placement"]["count"].as_u64()) else {
            return Ok(());
        };
        let nodes: BTreeSet<usize> = scene
            .processes
            .values()
            .filter(|other| other.workload == process.workload)
            .map(|other| other.node)
            .collect();
        if nodes.len() as u64 > count {
            return Err(format!(
                "{process} started, and {} lives on {nodes:?}, and not on {count}",
                process.workload
            ));
        }
        Ok(())
    }
}
