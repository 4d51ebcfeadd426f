//! Lets go the Runs that history does not keep, per workload and node.

use drover_client::WorkQueue;
use drover_plan::fleet::history::{Limits, surplus};
use drover_types::Kind;
use drover_types::kinds::Run;

use crate::api::key_of;
use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::queues::Slot;
use crate::shared::Shared;

/// The controller of finished Runs.
pub(crate) struct History;

impl Controller for History {
    type Key = Slot;
    const NAME: &'static str = "history";

    fn queue(shared: &Shared) -> &WorkQueue<Slot> {
        &shared.queues.history
    }

    fn all(shared: &Shared) -> Vec<Slot> {
        shared.index.runs.slots()
    }

    async fn reconcile(shared: &Shared, slot: &Slot) -> Result<Next, Error> {
        let keys = shared.index.runs.in_slot(slot);
        let held: Vec<_> = keys.iter().filter_map(|key| shared.view.runs.get(key)).collect();
        let runs: Vec<&Run> = held.iter().map(|run| &run.0).collect();
        for run in surplus(&runs, limits(shared, slot)) {
            shared.api.delete(Kind::Run, &key_of(&run.metadata), &run.metadata.uid).await?;
        }
        Ok(Next::Done)
    }
}

fn limits(shared: &Shared, slot: &Slot) -> Limits {
    match shared.index.graph.find(&slot.workload) {
        Some((Kind::Timer, key)) => shared.view.timers.get(&key).map(|timer| Limits::of(&timer)),
        _ => None,
    }
    .unwrap_or_default()
}
