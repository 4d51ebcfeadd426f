//! A tick of a Timer fires at most once per node, and each attempt of it at most once.

use std::collections::BTreeMap;

use super::{Breach, Law, Scene};
use crate::step::{Event, Step};

/// The run that each attempt of each tick was.
#[derive(Default)]
pub(super) struct TickOnce(BTreeMap<(usize, String, String, u32), String>);

impl Law for TickOnce {
    fn name(&self) -> &'static str {
        "a_tick_fires_at_most_once_per_node"
    }

    fn on(&mut self, step: &Step, _: &Scene) -> Result<(), Breach> {
        let Event::Started(process) = &step.event else { return Ok(()) };
        let Some(tick) = &process.tick else { return Ok(()) };
        let what = (process.node, process.workload.clone(), tick.clone(), process.attempt);
        match self.0.insert(what, process.run_uid.clone()) {
            Some(before) => Err(format!("{process} started, which run {before} was before")),
            None => Ok(()),
        }
    }
}
