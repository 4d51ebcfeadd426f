//! Timers, Tasks and Services: Assignments as `placement` plans them, and a status that counts how it goes.

mod held;
mod status;
mod surplus;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;

use drover_client::WorkQueue;
use drover_plan::fleet::assignment::Workload;
use drover_plan::fleet::node::unknown_since;
use drover_plan::fleet::placement::{self, Plan};
use drover_plan::fleet::rollup::Seen;
use drover_types::Kind;
use drover_types::kinds::{Assignment, Node};
use jiff::Timestamp;

use crate::api::key_of;
use crate::controller::{Controller, Next};
use crate::error::Error;
use crate::queues::WorkloadKey;
use crate::shared::Shared;

use held::Held;

/// The controller of workloads.
pub(crate) struct Workloads;

impl Controller for Workloads {
    type Key = WorkloadKey;
    const NAME: &'static str = "workloads";

    fn queue(shared: &Shared) -> &WorkQueue<WorkloadKey> {
        &shared.queues.workloads
    }

    fn all(shared: &Shared) -> Vec<WorkloadKey> {
        Held::all(&shared.view).iter().map(Held::key).collect()
    }

    async fn reconcile(shared: &Shared, key: &WorkloadKey) -> Result<Next, Error> {
        match key {
            WorkloadKey::One(kind, key) => match Held::load(&shared.view, *kind, key) {
                Some(held) => one(shared, &held).await,
                None => Ok(Next::Done),
            },
            WorkloadKey::All => Ok(spread(shared, |workload| workload.is_placed())),
            WorkloadKey::Counted => Ok(spread(shared, |workload| {
                workload.is_placed() && workload.placement().is_some_and(|p| p.count.is_some())
            })),
        }
    }
}

/// Adds each workload that is concerned.
fn spread(shared: &Shared, concerned: impl Fn(Workload<'_>) -> bool) -> Next {
    for held in Held::all(&shared.view).iter().filter(|held| concerned(held.as_workload())) {
        // Full: everything is looked at again as soon as there is room.
        let _ = shared.queues.workloads.add(held.key());
    }
    Next::Done
}

/// What a plan was made from.
pub(super) struct Loaded {
    /// All nodes.
    pub(super) nodes: Vec<Arc<Node>>,
    /// The workload's Assignments.
    pub(super) assignments: Vec<Arc<Assignment>>,
    /// What time it was.
    pub(super) now: Timestamp,
}

async fn one(shared: &Shared, held: &Held) -> Result<Next, Error> {
    let workload = held.as_workload();
    if workload.metadata().deletion_timestamp.is_some() {
        return Ok(Next::Done);
    }
    let surplus = match held {
        Held::Task(task) => surplus::clear(shared, task).await?,
        Held::Timer(_) | Held::Service(_) => surplus::Cleared::No,
    };
    if surplus == surplus::Cleared::Removed {
        return Ok(Next::Done);
    }
    settle_doubts(shared, &workload.metadata().uid).await?;
    let loaded = Loaded {
        nodes: shared.view.all_nodes(),
        assignments: shared.index.assignments.of_workload(&workload.metadata().uid),
        now: shared.world.clock.now(),
    };
    let plan = decide(workload, &loaded);
    let written = write::carry_out(shared, workload, &plan, &loaded).await;
    let assignments: Vec<&Assignment> = loaded.assignments.iter().map(|a| &**a).collect();
    let unreachable = unreachable(&loaded);
    let seen = Seen { plan: &plan, assignments: &assignments, unreachable, now: loaded.now };
    status::write(shared, held, seen).await?;
    written?;
    let wake_at = [plan.wake_at, surplus.until()].into_iter().flatten().min();
    Ok(wake_at.into())
}

fn decide(workload: Workload<'_>, loaded: &Loaded) -> Plan {
    let nodes: Vec<&Node> = loaded.nodes.iter().map(|node| &**node).collect();
    let assignments: Vec<&Assignment> = loaded.assignments.iter().map(|a| &**a).collect();
    placement::plan(workload, &nodes, &assignments, loaded.now)
}

/// Assignments on nodes that nothing is heard of.
fn unreachable(loaded: &Loaded) -> u32 {
    let silent = loaded.nodes.iter().filter(|node| unknown_since(node).is_some());
    let silent: BTreeSet<&str> = silent.map(|node| node.metadata.name.as_str()).collect();
    let there = |a: &&Arc<Assignment>| {
        a.metadata.deletion_timestamp.is_none() && silent.contains(a.spec.node_name.as_str())
    };
    u32::try_from(loaded.assignments.iter().filter(there).count()).unwrap_or(u32::MAX)
}

/// Looks up what may have been written and was not seen since.
async fn settle_doubts(shared: &Shared, uid: &str) -> Result<(), Error> {
    for doubtful in shared.index.assignments.doubtful(uid) {
        let key = key_of(&doubtful.metadata);
        let found = shared.api.get::<Assignment>(Kind::Assignment, &key).await?;
        if found.as_ref().is_none_or(|found| found.metadata.uid != doubtful.metadata.uid) {
            shared.index.assignments.forget(&key, &doubtful.metadata.uid);
        }
        if let Some(found) = found {
            shared.index.assignments.assume(found);
        }
    }
    Ok(())
}
